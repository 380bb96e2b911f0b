//! The read pool: connections that are lent to blocking threads, one transaction at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Options, columns::Named, open::connect};
use crate::{StoreError, backend::ReadJob, sql::Sql};

pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// As many permits as connections: whoever holds one finds a connection idle.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let mut idle = Vec::new();
        for _ in 0..options.readers.max(1) {
            let connection = connect(path, options)?;
            connection.pragma_update(None, "query_only", true).named("open.query_only")?;
            idle.push(connection);
        }
        let permits = Arc::new(Semaphore::new(idle.len()));
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits })
    }

    /// Waits for a connection and runs the job on a thread that may block.
    pub(crate) async fn submit(&self, name: &'static str, job: ReadJob) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return job(Err(StoreError::Stopped { name }));
        };
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            let lent = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(connection) = lent else {
                return job(Err(StoreError::Stopped { name }));
            };
            // A panic in the job ends that job alone: its caller sees `Stopped`, the connection goes back.
            if catch_unwind(AssertUnwindSafe(|| snapshot(&connection, name, job))).is_err() {
                drop(connection.execute_batch("ROLLBACK"));
            }
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
        });
    }
}

/// Runs the job on one moment's state.
fn snapshot(connection: &Connection, name: &'static str, job: ReadJob) {
    match cached(connection, "BEGIN").named(name) {
        Ok(()) => job(Ok(&Sql(connection))),
        Err(error) => return job(Err(error)),
    }
    // Nothing was written, so nothing can be lost by an end that fails; the next BEGIN would say so.
    drop(cached(connection, "COMMIT"));
}

/// Both are said with each read: they are not parsed each time.
fn cached(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
