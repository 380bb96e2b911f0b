//! A database whose process dies at a commit: for the simulator (`tests/sim`), behind a feature that no program turns on.
//!
//! What was committed stays in the file, what was not is undone; whoever waited for an answer never hears what became of
//! it. After the death every write is refused: what opens the file next is another process.

use std::path::Path;

use rusqlite::Connection;

use super::{Options, open_over};
use crate::{Store, StoreError, ahead::Foreseeing, sql, writer::Writing};

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Before the commit: nothing of it is stored.
    BeforeCommit,
    /// After the commit and before anybody is answered: all of it is stored.
    AfterCommit,
}

/// Asked at each commit, on the writer's thread: whether the process dies there.
pub type AtCommit = Box<dyn FnMut() -> Option<Kill> + Send>;

/// Opens a database as [`open_with`](super::open_with) does, whose process dies where `at_commit` says so.
pub fn open(path: &Path, options: &Options, at_commit: AtCommit) -> Result<Store, StoreError> {
    open_over(path, options, |connection| Faulty { connection, at_commit, is_dead: false })
}

struct Faulty {
    connection: Connection,
    at_commit: AtCommit,
    is_dead: bool,
}

const DEAD: StoreError = StoreError::Stopped { name: "store.killed" };

impl Writing for Faulty {
    fn begin(&mut self, foreseen: &[&Foreseeing]) -> Result<(), StoreError> {
        if self.is_dead { Err(DEAD) } else { self.connection.begin(foreseen) }
    }

    fn stands(&self) -> bool {
        self.connection.stands()
    }

    fn connection(&self) -> &dyn sql::Connection {
        Writing::connection(&self.connection)
    }

    fn savepoint(&self, job: usize) -> Result<(), StoreError> {
        Writing::savepoint(&self.connection, job)
    }

    fn release(&self) -> Result<(), StoreError> {
        self.connection.release()
    }

    fn undo(&self) -> Result<(), StoreError> {
        self.connection.undo()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let kill = (self.at_commit)();
        self.is_dead = kill.is_some();
        match kill {
            None => self.connection.commit(),
            Some(Kill::BeforeCommit) => {
                drop(self.connection.execute_batch("ROLLBACK"));
                Err(DEAD)
            }
            Some(Kill::AfterCommit) => self.connection.commit().and(Err(DEAD)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn note(store: &Store, what: &'static str) -> Result<(), StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let entry = crate::audit::AuditRow {
            at: jiff::Timestamp::UNIX_EPOCH,
            who: "0".to_owned(),
            what: what.to_owned(),
            client: None,
            detail: "{}".to_owned(),
        };
        runtime.block_on(store.write("test.note", move |tx| tx.append_audit(&entry)))
    }

    fn noted(store: &Store) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows = runtime.block_on(store.read::<_, StoreError, _>("test.noted", |tx| tx.audit(10))).unwrap();
        rows.into_iter().rev().map(|row| row.what).collect()
    }

    #[test]
    fn what_dies_before_a_commit_stored_nothing_and_after_it_all_and_nothing_more() {
        for (kill, is_stored) in [(Kill::BeforeCommit, false), (Kill::AfterCommit, true)] {
            let folder = tempfile::TempDir::new().unwrap();
            let path = folder.path().join("upheld.db");
            let next = Arc::new(Mutex::new(None));
            let asked = Arc::clone(&next);
            let store = open(&path, &Options::default(), Box::new(move || asked.lock().unwrap().take())).unwrap();
            note(&store, "first").unwrap();
            *next.lock().unwrap() = Some(kill);
            assert!(note(&store, "second").is_err(), "nobody is answered");
            assert!(note(&store, "third").is_err(), "it is dead");
            drop(store);
            let mut stored = vec!["first"];
            stored.extend(is_stored.then_some("second"));
            assert_eq!(noted(&super::super::open(&path).unwrap()), stored);
        }
    }
}
