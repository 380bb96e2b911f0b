//! Is the database ours, is it of our version, and what it takes to bring it there.
//!
//! A step runs while other collectors read and, between its locks, write: it expands. What a later version drops is
//! dropped a release after nothing reads it. Steps are numbered as SQLite's are, so that one number is one set of tables.

use std::path::PathBuf;

use deadpool_postgres::ClientWrapper;

use super::{WRITERS, meaning::meaning};
use crate::StoreError;

/// Each step with the version that it leads to. A step, once released, never changes.
pub(super) const STEPS: &[(i64, &str)] = &[
    (12, include_str!("schema.sql")),
    (13, include_str!("schema_13.sql")),
    (14, include_str!("schema_14.sql")),
    (15, include_str!("schema_15.sql")),
];

const NAME: &str = "open.migrate";

/// The newest version that this program knows.
pub(super) fn known() -> i64 {
    STEPS.last().map_or(0, |step| step.0)
}

/// Brings the database to the last of `steps`. One of a newer version, or one that is not ours, is left alone.
pub(super) async fn migrate(client: &ClientWrapper, address: &str, steps: &[(i64, &str)]) -> Result<(), StoreError> {
    let known = steps.last().map_or(0, |step| step.0);
    if version(client, address, known).await? == known {
        return Ok(());
    }
    let migrated = run_missing(client, address, steps).await;
    if migrated.is_err() {
        // The connection is not used again when even this fails.
        drop(client.batch_execute("ROLLBACK").await);
    }
    migrated
}

async fn run_missing(client: &ClientWrapper, address: &str, steps: &[(i64, &str)]) -> Result<(), StoreError> {
    let known = steps.last().map_or(0, |step| step.0);
    let begin = format!("BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({WRITERS})");
    client.batch_execute(&begin).await.map_err(|error| meaning(NAME, error))?;
    // Read again under the lock: another process may have been here first.
    let found = version(client, address, known).await?;
    for (number, step) in steps.iter().filter(|step| step.0 > found) {
        let noted = format!(
            "CREATE TABLE IF NOT EXISTS upheld_migrations (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL); \
             INSERT INTO upheld_migrations VALUES ({number}, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
        );
        client.batch_execute(step).await.map_err(|error| meaning(NAME, error))?;
        client.batch_execute(&noted).await.map_err(|error| meaning(NAME, error))?;
    }
    client.batch_execute("COMMIT").await.map_err(|error| meaning(NAME, error))?;
    tracing::info!(from = found, to = known, database = address, "the database's schema was brought up to date");
    Ok(())
}

/// The version of the database; 0 when it is empty.
pub(super) async fn version(client: &ClientWrapper, address: &str, known: i64) -> Result<i64, StoreError> {
    let path = || PathBuf::from(address);
    let tables = "SELECT count(*), count(*) FILTER (WHERE c.relname = 'upheld_migrations') FROM pg_catalog.pg_class c \
                  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
    let row = client.query_one(tables, &[]).await.map_err(|error| meaning(NAME, error))?;
    let (all, ours): (i64, i64) = (row.get(0), row.get(1));
    if ours == 0 {
        return if all == 0 { Ok(0) } else { Err(StoreError::Foreign { path: path() }) };
    }
    let row = client
        .query_one("SELECT coalesce(max(version), 0) FROM upheld_migrations", &[])
        .await
        .map_err(|error| meaning(NAME, error))?;
    let found: i64 = row.get(0);
    if found > known {
        return Err(StoreError::NewerSchema { path: path(), found, known });
    }
    Ok(found)
}
