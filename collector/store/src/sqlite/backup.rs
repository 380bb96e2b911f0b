//! A copy of a database that is in use, and whether a copy is whole.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, backup::Backup};

use super::{Options, columns::Named, open};
use crate::StoreError;

/// Copies the database at `from` to `to`, a file of its owner's alone: all of one moment, in one file, synced. Writers go
/// on meanwhile; a collector need not run. Answers with the copy's schema. `from` is not migrated.
pub fn snapshot(from: &Path, to: &Path) -> Result<i64, StoreError> {
    let opened =
        |path: &Path, error: rusqlite::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| opened(from, error))?;
    source.busy_timeout(Options::default().lock_wait).map_err(|error| opened(from, error))?;
    open::refuse_what_is_not_ours(&source, from)?;
    create_empty(to)?;
    let mut copy = Connection::open(to).map_err(|error| opened(to, error))?;
    {
        let backup = Backup::new(&source, &mut copy).named("backup.begin")?;
        // All pages in one step, under one read of the source: smaller steps begin again whenever somebody writes.
        backup.run_to_completion(i32::MAX, Duration::from_millis(50), None).named("backup.copy")?;
    }
    // One file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE").named("backup.one_file")?;
    let schema = copy.pragma_query_value(None, "user_version", |row| row.get(0)).named("backup.schema")?;
    copy.close().map_err(|(_, error)| error).named("backup.close")?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Open { path: to.to_owned(), source: Arc::new(error) })?;
    Ok(schema)
}

/// Opens a copy without changing it and reads every page of it: is it ours, of a schema that this version knows, and
/// whole. Answers with its schema.
pub fn inspect(path: &Path) -> Result<i64, StoreError> {
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) })?;
    open::refuse_what_is_not_ours(&copy, path)?;
    let verdict: String =
        copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).named("backup.integrity_check")?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { name: "backup.integrity_check", column: 0, why: verdict });
    }
    copy.pragma_query_value(None, "user_version", |row| row.get(0)).named("backup.schema")
}

/// A new file of its owner's alone, with the tables of `schema` and nothing in them, for whoever fills it and syncs it.
pub(crate) fn make(path: &Path, schema: i64) -> Result<Connection, StoreError> {
    create_empty(path)?;
    let connection =
        Connection::open(path).map_err(|error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) })?;
    // What is not whole at its end is thrown away.
    connection.pragma_update(None, "journal_mode", "OFF").named("backup.make")?;
    connection.pragma_update(None, "synchronous", "OFF").named("backup.make")?;
    open::make(&connection, schema)?;
    Ok(connection)
}

/// A file of its owner's alone, empty: what an interrupted copy left is written over.
fn create_empty(path: &Path) -> Result<(), StoreError> {
    let mut how = OpenOptions::new();
    how.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    how.open(path).map(drop).map_err(|error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) })
}
