//! The writing connection: one lock for all writers of a database, a savepoint a job, one commit.
//!
//! A commit whose answer was lost is not guessed at: the transaction's number is asked for when it begins, and the server
//! says by that number what became of it.

use std::{cell::Cell, sync::Arc, thread};

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio_postgres::SimpleQueryMessage;

use super::{
    line::{Failed, Line, Say},
    marks::{Found, Lost, Marks, WentBack},
    meaning::{meaning, meaning_of_pool, trouble, trouble_of_pool},
    query::{Blocking, CLOCK},
    retry::{TO_BEGIN, TO_SETTLE, Trouble, wait},
    texts::Texts,
};
use crate::{
    StoreError,
    ahead::Foreseeing,
    sql::{Connection, Query, Read, Row, Sql, Value},
    writer::Writing,
};

/// The writing connection between and within transactions.
pub(super) struct Pen {
    io: Handle,
    pool: Pool,
    texts: Arc<Texts>,
    held: Option<Held>,
    marks: Marks,
    /// The jobs that were undone after they had ended.
    undone: Vec<(usize, StoreError)>,
}

struct Held {
    connection: Blocking,
    /// What stood there when it began: its number too, for a commit whose answer is lost.
    found: Found,
    /// Whether it holds more than what comes again by itself.
    is_kept: Cell<bool>,
}

impl Pen {
    pub(super) fn over(pool: Pool, io: Handle, marks: Marks, texts: Arc<Texts>) -> Self {
        Self { io, pool, texts, held: None, marks, undone: Vec::new() }
    }

    fn try_to_begin(&mut self, foreseen: &[&Foreseeing]) -> Result<Held, (Trouble, StoreError)> {
        let name = "store.begin";
        let client = self
            .io
            .block_on(self.pool.get())
            .map_err(|error| (trouble_of_pool(&error), meaning_of_pool(name, error)))?;
        let connection = Blocking::over(Line::over(client, self.io.clone()), Arc::clone(&self.texts));
        // The lock is waited for before anything is read: at `read committed` what follows sees all that its last holder
        // wrote. At a higher level the snapshot would be older than the lock.
        let answer = connection.begin(&self.marks.begin(), foreseen);
        match answer.map(|messages| last_row(&messages, Found::read).flatten()) {
            Ok(Some(found)) => {
                let held = Held { connection, found, is_kept: Cell::new(false) };
                self.look_back(held).map_err(|(held, error)| {
                    self.end(held.connection);
                    (Trouble::Other, error)
                })
            }
            Ok(None) => {
                self.end(connection);
                Err((Trouble::Other, StoreError::Undone { name }))
            }
            Err((asked, error)) => {
                self.end(connection);
                // What is asked ahead must not keep anybody from writing.
                let trouble = if asked == name { trouble(&error) } else { Trouble::GaveWay };
                Err((trouble, meaning(asked, error)))
            }
        }
    }

    /// Ends whatever transaction stands.
    fn end(&self, connection: Blocking) {
        if let (Some(client), _) = connection.line.into_client() {
            self.roll_back(client);
        }
    }

    /// The same. A connection that does not answer is closed and not lent again.
    fn roll_back(&self, client: Object) {
        if self.io.block_on(client.batch_execute("ROLLBACK")).is_err() {
            drop(Object::take(client));
        }
    }

    /// Before anything is written: are the commits there that we know of?
    #[expect(clippy::result_large_err, reason = "the transaction is handed back to be ended")]
    fn look_back(&mut self, held: Held) -> Result<Held, (Held, StoreError)> {
        let Some(gone) = self.marks.look(&held.found) else { return Ok(held) };
        let since = match held.connection.line.simple("store.begin", &gone.since()) {
            Ok(messages) => last_value(&messages),
            Err(failed) => return Err((held, failed.error)),
        };
        let back = gone.known(since.as_deref(), &held.found);
        let WentBack { missing_from, lost, .. } = back;
        match lost {
            Lost::NothingSeen => {
                tracing::info!("the database is another server or timeline; nothing is gone that was seen here");
            }
            Lost::ComesAgain | Lost::ForAPerson => {
                let is_for_a_person = lost == Lost::ForAPerson;
                tracing::warn!(%missing_from, is_for_a_person, "the database lacks commits that were there");
            }
        }
        if let Err(error) = self.marks.went_back(&mut Sql(&held.connection), &back) {
            return Err((held, error));
        }
        held.connection.forget_all();
        if lost != Lost::NothingSeen {
            held.is_kept.set(true);
        }
        Ok(held)
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
    last_row(messages, |cells| cells.first().copied().flatten().map(str::to_owned)).flatten()
}

fn last_row<T>(messages: &[SimpleQueryMessage], read: impl Fn(&[Option<&str>]) -> T) -> Option<T> {
    messages.iter().rev().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        let cells: Vec<_> = (0..row.len()).map(|column| row.get(column)).collect();
        Some(read(&cells))
    })
}

impl Writing for Pen {
    fn begin(&mut self, foreseen: &[&Foreseeing]) -> Result<(), StoreError> {
        let mut tried = 0;
        loop {
            // After that each job asks for itself.
            let foreseen = if tried == 0 { foreseen } else { &[] };
            match self.try_to_begin(foreseen) {
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
        self.held.as_ref().is_some_and(|held| held.connection.line.stands())
    }

    fn connection(&self) -> &dyn Connection {
        self.held.as_ref().map_or(&Nobody as &dyn Connection, |held| &held.connection)
    }

    fn savepoint(&self, job: usize) -> Result<(), StoreError> {
        let connection = &self.held.as_ref().ok_or(GONE)?.connection;
        connection.forget_of_job();
        connection.line.begin_job();
        connection.line.waiting.borrow_mut().open(job, "SAVEPOINT job");
        Ok(())
    }

    fn release(&self) -> Result<(), StoreError> {
        let connection = &self.held.as_ref().ok_or(GONE)?.connection;
        let mut waiting = connection.line.waiting.borrow_mut();
        if let Some(error) = connection.line.spoiled() {
            // Its code went on after a query that had failed: what it wrote before that is undone with it.
            waiting.undo();
            return Err(error);
        }
        waiting.end("RELEASE job");
        Ok(())
    }

    fn undo(&self) -> Result<(), StoreError> {
        self.held.as_ref().ok_or(GONE)?.connection.line.waiting.borrow_mut().undo();
        Ok(())
    }

    fn keeps(&self, name: &'static str) {
        if let Some(held) = self.held.as_ref().filter(|_| self.marks.is_kept(name)) {
            held.is_kept.set(true);
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let name = "store.commit";
        let stood = self.stands();
        let Some(Held { connection, found, is_kept }) = self.held.take() else { return Err(GONE) };
        if !stood {
            self.end(connection);
            return Err(StoreError::Undone { name });
        }
        // In a transaction that failed the first word is refused; alone, COMMIT would quietly roll back.
        let (seen, mark) = Marks::leave(&found, is_kept.get());
        connection.line.begin_job();
        let said = connection.line.exchange(&[Say::Words(name, &format!("{mark}; COMMIT"))]);
        self.undone = connection.line.waiting.borrow_mut().take_undone();
        let committed = match said {
            Ok(_) => Ok(()),
            Err(Failed { error, is_lost: true }) => {
                tracing::warn!(error = %error, "the connection was lost in the middle of a commit; the database is asked what became of it");
                if let (Some(client), _) = connection.line.into_client() {
                    drop(Object::take(client));
                }
                self.settle(&found.transaction)
            }
            Err(Failed { error, is_lost: false }) => {
                self.end(connection);
                Err(error)
            }
        };
        if committed.is_ok() {
            self.marks.committed(seen);
        }
        committed
    }

    fn undone(&mut self) -> Vec<(usize, StoreError)> {
        std::mem::take(&mut self.undone)
    }
}

const GONE: StoreError = StoreError::Undone { name: "store.savepoint" };

/// Who answers outside a transaction.
struct Nobody;

impl Connection for Nobody {
    fn clock(&self) -> &'static Query {
        &CLOCK
    }

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
