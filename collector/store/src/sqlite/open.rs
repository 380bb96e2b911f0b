//! Opening the file: is it ours, is it of our version, and what it takes to bring it there.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, config::DbConfig};

use super::{Options, columns::Named};
use crate::StoreError;

/// "UPHD": tells our files from any other program's.
const APPLICATION_ID: i64 = 0x5550_4844;

/// The writer's page cache, in KiB (SQLite counts KiB as negative numbers).
const CACHE_KIB: i64 = -16_000;

/// Each step brings a database from the version that is its index to the next. A step, once released, never changes;
/// it expands, and what a later version drops is dropped a release after nothing reads it.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
    include_str!("schema_13.sql"),
    include_str!("schema_14.sql"),
    include_str!("schema_15.sql"),
];

/// The schema that this version reads and writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Opens the writer's connection and brings the schema to this version.
pub(crate) fn prepare(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    create_private(path)?;
    let mut connection = connect(path, options)?;
    refuse_what_is_not_ours(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").named("open.wal")?;
    connection.pragma_update(None, "synchronous", "FULL").named("open.synchronous")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB).named("open.cache")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000).named("open.checkpoint")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).named("open.journal_size")?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update(None, "max_page_count", pages).named("open.pages_max")?;
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens one connection with the settings that every connection has; it has read nothing yet.
pub(crate) fn connect(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let cannot = |error: rusqlite::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) };
    let connection = Connection::open(path).map_err(cannot)?;
    connection.busy_timeout(options.lock_wait).map_err(cannot)?;
    // Without this most statements are prepared anew at each call, as their values change (the planner may look at them).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(cannot)?;
    // More than there are queries.
    connection.set_prepared_statement_cache_capacity(320);
    Ok(connection)
}

/// Creates the file for its owner alone, so that no other user of the host ever reads it.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut how = OpenOptions::new();
    how.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    match how.open(path) {
        Ok(_file) => Ok(()),
        Err(error) => Err(StoreError::Open { path: path.to_owned(), source: Arc::new(error) }),
    }
}

pub(super) fn refuse_what_is_not_ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let tables: i64 = match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        other => other.named("open.tables")?,
    };
    let id: i64 = pragma(connection, "application_id")?;
    if id != APPLICATION_ID && (tables > 0 || id != 0) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    refuse_newer(pragma(connection, "user_version")?, path)
}

fn refuse_newer(found: i64, path: &Path) -> Result<(), StoreError> {
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { path: PathBuf::from(path), found, known: SCHEMA_VERSION });
    }
    Ok(())
}

/// Runs the missing steps in one transaction. The version is read again inside it: another process may have been
/// here first.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let name = "open.migrate";
    if pragma(connection, "user_version")? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).named(name)?;
    let found = pragma(&transaction, "user_version")?;
    refuse_newer(found, path)?;
    steps(&transaction, found, SCHEMA_VERSION)?;
    transaction.commit().named(name)?;
    tracing::info!(from = found, to = SCHEMA_VERSION, path = %path.display(), "the database's schema was brought up to date");
    Ok(())
}

/// Makes the tables of `schema` in an empty file.
pub(super) fn make(connection: &Connection, schema: i64) -> Result<(), StoreError> {
    steps(connection, 0, schema)
}

fn steps(connection: &Connection, from: i64, to: i64) -> Result<(), StoreError> {
    let name = "open.migrate";
    let count = |version: i64| usize::try_from(version).unwrap_or(0);
    for step in MIGRATIONS.iter().take(count(to)).skip(count(from)) {
        connection.execute_batch(step).named(name)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID).named(name)?;
    connection.pragma_update(None, "user_version", to).named(name)
}

fn pragma(connection: &Connection, which: &str) -> Result<i64, StoreError> {
    connection.pragma_query_value(None, which, |row| row.get(0)).named("open.pragma")
}
