//! The writing connection: one lock for all writers of a database, a savepoint a job, one commit.
//!
//! A commit whose answer was lost is not guessed at: the transaction's number is asked for when it begins, and the server
//! says by that number what became of it.

use std::{cell::Cell, thread};

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio_postgres::{Error, SimpleQueryMessage};

use super::{
    WRITERS,
    meaning::{meaning, meaning_of_pool, trouble, trouble_of_pool},
    query::Blocking,
    retry::{TO_BEGIN, TO_SETTLE, Trouble, wait},
};
use crate::{
    StoreError,
    sql::{Connection, Query, Read, Row, Value},
    writer::Writing,
};

/// The writing connection between and within transactions.
pub(super) struct Pen {
    io: Handle,
    pool: Pool,
    held: Option<Held>,
}

struct Held {
    connection: Blocking,
    /// The transaction's number, for a commit whose answer is lost.
    number: String,
    /// A savepoint could not be returned to: what stands is not what the answers say.
    broken: Cell<bool>,
}

impl Pen {
    pub(super) fn over(pool: Pool, io: Handle) -> Self {
        Self { io, pool, held: None }
    }

    fn try_to_begin(&self) -> Result<Held, (Trouble, StoreError)> {
        let name = "store.begin";
        let client = self
            .io
            .block_on(self.pool.get())
            .map_err(|error| (trouble_of_pool(&error), meaning_of_pool(name, error)))?;
        // The lock is waited for before anything is read: at `read committed` what follows sees all that its last holder
        // wrote. At a higher level the snapshot would be older than the lock.
        let text = format!("BEGIN; SELECT pg_advisory_xact_lock({WRITERS}); SELECT pg_current_xact_id()");
        let answer = self.io.block_on(client.simple_query(&text));
        let connection = Blocking::over(client, self.io.clone());
        match answer.map(|messages| last_value(&messages)) {
            Ok(Some(number)) => Ok(Held { connection, number, broken: Cell::new(false) }),
            Ok(None) => {
                connection.end("ROLLBACK");
                Err((Trouble::Other, StoreError::Undone { name }))
            }
            Err(error) => {
                connection.end("ROLLBACK");
                Err((trouble(&error), meaning(name, error)))
            }
        }
    }

    /// What became of a transaction whose commit was not answered.
    fn settle(&self, number: &str) -> Result<(), StoreError> {
        let mut tried = 0;
        loop {
            match self.ask_status(number).as_deref() {
                Some("committed") => return Ok(()),
                Some("aborted") => return Err(StoreError::Undone { name: "store.commit" }),
                // In progress, not known any more, or nobody answers.
                _not_known => {}
            }
            tried += 1;
            let Some(pause) = wait(tried, TO_SETTLE, Trouble::Lost) else { return Err(StoreError::Unsure) };
            thread::sleep(pause);
        }
    }

    fn ask_status(&self, number: &str) -> Option<String> {
        let text = format!("SELECT pg_xact_status('{number}')");
        self.io.block_on(async {
            let client = self.pool.get().await.ok()?;
            match client.simple_query(&text).await {
                Ok(messages) => last_value(&messages),
                Err(_) => {
                    drop(Object::take(client));
                    None
                }
            }
        })
    }
}

fn last_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().rev().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0).map(str::to_owned)
    })
}

impl Writing for Pen {
    fn begin(&mut self) -> Result<(), StoreError> {
        let mut tried = 0;
        loop {
            match self.try_to_begin() {
                Ok(held) => {
                    self.held = Some(held);
                    return Ok(());
                }
                Err((trouble, error)) => {
                    tried += 1;
                    let Some(pause) = wait(tried, TO_BEGIN, trouble) else { return Err(error) };
                    thread::sleep(pause);
                }
            }
        }
    }

    fn stands(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.broken.get() && !held.connection.client.is_closed())
    }

    fn connection(&self) -> &dyn Connection {
        self.held.as_ref().map_or(&Nobody as &dyn Connection, |held| &held.connection)
    }

    fn savepoint(&self) -> Result<(), StoreError> {
        let held = self.held.as_ref().ok_or(GONE)?;
        held.connection.before_the_next(Some("SAVEPOINT job"));
        Ok(())
    }

    fn release(&self) -> Result<(), StoreError> {
        // A job that asked nothing has no savepoint yet.
        let held = self.held.as_ref().ok_or(GONE)?;
        if held.connection.before_the_next(None).is_some() {
            return Ok(());
        }
        held.connection.say("RELEASE job").map_err(|error| {
            // Its code went on after a query that had failed: what it wrote before that is undone with it.
            held.undo();
            meaning("store.savepoint", error)
        })
    }

    fn undo(&self) -> Result<(), StoreError> {
        let held = self.held.as_ref().ok_or(GONE)?;
        if held.connection.before_the_next(None).is_none() {
            held.undo();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let name = "store.commit";
        let stood = self.stands();
        let Some(Held { connection, number, .. }) = self.held.take() else { return Err(GONE) };
        if !stood {
            connection.end("ROLLBACK");
            return Err(StoreError::Undone { name });
        }
        // In a transaction that failed the first word is refused; alone, COMMIT would quietly roll back.
        match connection.say("SELECT 1; COMMIT") {
            Ok(()) => Ok(()),
            Err(error) if trouble(&error) == Trouble::Lost => {
                tracing::warn!(error = %error, "the connection was lost in the middle of a commit; the database is asked what became of it");
                drop(Object::take(connection.client));
                self.settle(&number)
            }
            Err(error) => {
                connection.end("ROLLBACK");
                Err(meaning(name, error))
            }
        }
    }
}

impl Held {
    fn undo(&self) {
        let undone: Result<(), Error> = self.connection.say("ROLLBACK TO job; RELEASE job");
        if undone.is_err() {
            self.broken.set(true);
        }
    }
}

const GONE: StoreError = StoreError::Undone { name: "store.savepoint" };

/// Who answers outside a transaction.
struct Nobody;

impl Connection for Nobody {
    fn run(&self, query: &Query, _: &[Value<'_>]) -> Result<usize, StoreError> {
        Err(StoreError::Undone { name: query.name })
    }

    fn each(
        &self,
        query: &Query,
        _: &[Value<'_>],
        _: usize,
        _: &mut dyn FnMut(&Row<'_>) -> Read<()>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Undone { name: query.name })
    }
}
