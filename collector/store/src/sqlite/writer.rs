//! The writing connection: `BEGIN IMMEDIATE`, a savepoint a job, one synced commit.

use rusqlite::Connection;

use super::columns::Named;
use crate::{StoreError, ahead::Foreseeing, sql, writer::Writing};

impl Writing for Connection {
    fn begin(&mut self, _: &[&Foreseeing]) -> Result<(), StoreError> {
        self.execute_batch("BEGIN IMMEDIATE").named("store.begin")
    }

    fn stands(&self) -> bool {
        !self.is_autocommit()
    }

    fn connection(&self) -> &dyn sql::Connection {
        self
    }

    fn savepoint(&self, _: usize) -> Result<(), StoreError> {
        cached(self, "SAVEPOINT job")
    }

    fn release(&self) -> Result<(), StoreError> {
        cached(self, "RELEASE job")
    }

    fn undo(&self) -> Result<(), StoreError> {
        cached(self, "ROLLBACK TO job").and_then(|()| cached(self, "RELEASE job"))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.is_autocommit() {
            return Err(StoreError::Undone { name: "store.commit" });
        }
        self.execute_batch("COMMIT").named("store.commit").inspect_err(|_| {
            if !self.is_autocommit() {
                drop(self.execute_batch("ROLLBACK"));
            }
        })
    }
}

fn cached(connection: &Connection, sql: &'static str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).named("store.savepoint")
}
