//! What is said to the server in one go.
//!
//! An answer that is waited for costs a way there and back. What nobody waits for (a savepoint, a change whose outcome is
//! not asked for, the end of a job) therefore waits here until the next question, or the commit, takes it along, all in the
//! order in which it was said. After a statement that failed the server refuses everything up to a `ROLLBACK`: so what
//! failed is the first that did, and whose job it was is known. That job alone is undone, its caller is told, and what was
//! refused behind it is said again.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    thread,
};

use deadpool_postgres::{Object, Pool};
use futures_util::{FutureExt as _, future::join};
use tokio::runtime::Handle;
use tokio_postgres::{Error, Row as PgRow, SimpleQueryMessage, Statement, types::ToSql};

use super::{
    joined::Given,
    many::{Column, Make},
    meaning::{is_lost, meaning},
    retry::{TO_BEGIN, Trouble, wait},
    waiting::{Step, Waiting, What, Whose},
};
use crate::{StoreError, sql::Value};

/// One thing to say.
pub(super) enum Say<'a> {
    /// Words without values, and what they are called.
    Words(&'static str, &'a str),
    /// A statement for each set of values, or one for all of them where `make` has one.
    Ask {
        /// The query's name.
        name: &'static str,
        /// Its text in PostgreSQL's words.
        text: &'a str,
        /// The values; at least one set.
        sets: &'a [Vec<Value<'a>>],
        /// What makes one statement of it for all sets.
        make: Option<Make>,
    },
    /// A statement of several questions.
    Joined {
        /// The first one's name.
        name: &'static str,
        /// Its text in PostgreSQL's words.
        text: &'a str,
        /// Its parameters.
        params: &'a [Given<'a, 'a>],
    },
}

/// What the words that begin a transaction answered, and what was asked with them.
pub(super) type Begun = (Vec<SimpleQueryMessage>, Option<Told>);

/// What a statement answered: its rows, and how many it changed.
#[derive(Default)]
pub(super) struct Told {
    pub(super) rows: Vec<PgRow>,
    pub(super) changed: u64,
}

/// Why an exchange failed.
pub(super) struct Failed {
    pub(super) error: StoreError,
    /// It is the line that failed: what was on its way may have been done.
    pub(super) is_lost: bool,
}

impl Failed {
    fn said(name: &'static str, error: Error) -> Self {
        Self { is_lost: is_lost(&error), error: meaning(name, error) }
    }

    /// Nothing was asked: the transaction does not stand any more.
    fn unasked(name: &'static str) -> Self {
        Self { error: StoreError::Undone { name }, is_lost: false }
    }
}

impl Say<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Words(name, _) | Self::Ask { name, .. } | Self::Joined { name, .. } => name,
        }
    }
}

/// A line to the server, for a thread that may wait.
pub(super) struct Line {
    /// `None` only while another one is asked for.
    client: RefCell<Option<Object>>,
    io: Handle,
    pub(super) waiting: RefCell<Waiting>,
    /// Where another connection is had while nothing was answered yet.
    unbegun: RefCell<Option<Pool>>,
    /// What failed of the job that stands; up to its end the server refuses all.
    spoiled: RefCell<Option<StoreError>>,
    /// What stands is not what the answers say, or nothing stands any more.
    is_broken: Cell<bool>,
}

impl Line {
    /// One on which a transaction has begun.
    pub(super) fn over(client: Object, io: Handle) -> Self {
        Self {
            client: RefCell::new(Some(client)),
            io,
            waiting: RefCell::default(),
            unbegun: RefCell::new(None),
            spoiled: RefCell::new(None),
            is_broken: Cell::new(false),
        }
    }

    /// One whose transaction begins, by these words, with the first question. A connection of the pool that turns out to be
    /// dead then is replaced.
    pub(super) fn beginning(client: Object, io: Handle, pool: Pool, words: &'static str) -> Self {
        let line = Self::over(client, io);
        line.waiting.borrow_mut().open(0, words);
        line.unbegun.replace(Some(pool));
        line
    }

    /// Whether the transaction still stands.
    pub(super) fn stands(&self) -> bool {
        !self.is_broken.get() && self.client.borrow().as_ref().is_some_and(|client| !client.is_closed())
    }

    /// What failed of the job that stands.
    pub(super) fn spoiled(&self) -> Option<StoreError> {
        self.spoiled.borrow().clone()
    }

    /// A job begins: nothing of the one before it is asked of this one.
    pub(super) fn begin_job(&self) {
        self.spoiled.replace(None);
    }

    /// Gives the connection back, and whether its transaction was begun.
    pub(super) fn into_client(self) -> (Option<Object>, bool) {
        let has_begun = self.unbegun.borrow().is_none();
        (self.client.into_inner(), has_begun)
    }

    /// Begins a transaction by these words and asks something in it in the same go; what each answered.
    pub(super) fn begin(&self, words: &str, ask: Option<&Say<'_>>) -> Result<Begun, (&'static str, Error)> {
        const NAME: &str = "store.begin";
        let client = self.client.borrow();
        let (Some(client), ask) = (client.as_ref(), ask) else { return Ok((Vec::new(), None)) };
        self.io.block_on(async {
            let begun = client.simple_query(words);
            let Some(Say::Joined { name, text, params }) = ask else {
                return Ok((begun.await.map_err(|error| (NAME, error))?, None));
            };
            // What is not known yet is asked for before, where it begins nothing.
            let statement = client.prepare_cached(text).await.map_err(|error| (*name, error))?;
            // Both leave with the first look at them, in this order.
            let (begun, told) = join(begun, asked(client, statement, params.iter().collect())).await;
            Ok((begun.map_err(|error| (NAME, error))?, Some(told.map_err(|error| (*name, error))?)))
        })
    }

    /// What the server says of a statement's types.
    pub(super) fn describe(&self, text: &str) -> Option<Statement> {
        let client = self.client.borrow();
        self.io.block_on(client.as_ref()?.prepare_cached(text)).ok()
    }

    /// Asks `text` alone, whose values are all in it.
    pub(super) fn simple(&self, name: &'static str, text: &str) -> Result<Vec<SimpleQueryMessage>, Failed> {
        let client = self.client.borrow();
        let Some(client) = client.as_ref() else { return Err(Failed::unasked(name)) };
        self.io.block_on(client.simple_query(text)).map_err(|error| Failed::said(name, error))
    }

    /// Says what waits and then all of this, and waits once for the answers to this.
    pub(super) fn exchange(&self, asks: &[Say<'_>]) -> Result<Vec<Told>, Failed> {
        let name = asks.first().map_or("store.savepoint", Say::name);
        if self.spoiled.borrow().is_some() || self.is_broken.get() || self.client.borrow().is_none() {
            return Err(Failed::unasked(name));
        }
        let mut tried = 0;
        loop {
            let (owners, mut told) = self.said_all(asks);
            let (place, failed) = match told.pop() {
                Some(Err((name, error))) => (told.len(), Failed::said(name, error)),
                last => {
                    self.waiting.borrow_mut().were_said();
                    self.unbegun.replace(None);
                    told.extend(last);
                    return Ok(told.drain(owners.len()..).flatten().collect());
                }
            };
            if failed.is_lost {
                tried += 1;
                if self.is_replaced(tried) {
                    continue;
                }
                self.is_broken.set(true);
                return Err(failed);
            }
            self.unbegun.replace(None);
            let whose = owners.get(place).copied();
            let has_ended = |whose: &Whose| match *whose {
                Whose::Job(job) => self.waiting.borrow().has_ended(job),
                Whose::AllFrom(_) => true,
                Whose::Nobody => false,
            };
            let Some(whose) = whose.filter(has_ended) else {
                // The job that stands: it was opened before whatever failed of it, or all is lost.
                let is_undone = whose != Some(Whose::Nobody) && self.waiting.borrow_mut().were_said_up_to(place);
                self.is_broken.set(!is_undone);
                self.spoiled.replace(Some(failed.error.clone()));
                return Err(failed);
            };
            match whose {
                Whose::Job(job) => self.waiting.borrow_mut().undone_later(job, failed.error),
                // Whose fault it is shows when each is said for itself.
                Whose::AllFrom(first) => self.waiting.borrow_mut().part(first),
                Whose::Nobody => {}
            }
        }
    }

    /// After a guarded statement failed: what was before it stands.
    pub(super) fn mend(&self, words: &str) -> Result<(), Failed> {
        self.simple("store.savepoint", words)?;
        self.spoiled.replace(None);
        Ok(())
    }

    /// While nothing was answered another connection is as good as the one that was lost.
    fn is_replaced(&self, tried: u32) -> bool {
        let unbegun = self.unbegun.borrow();
        let Some(pool) = unbegun.as_ref() else { return false };
        // One that is dead is not lent again, and makes room for the next.
        self.client.take().map(Object::take);
        let mut tried = tried;
        while let Some(pause) = wait(tried, TO_BEGIN, Trouble::Lost) {
            thread::sleep(pause);
            if let Ok(client) = self.io.block_on(pool.get()) {
                self.client.replace(Some(client));
                return true;
            }
            tried += 1;
        }
        false
    }

    /// Says it all; whose what was of the queue, in its order, and the answers of all up to the first that failed.
    fn said_all(&self, asks: &[Say<'_>]) -> (Vec<Whose>, Vec<Answered>) {
        let (client, waiting) = (self.client.borrow(), self.waiting.borrow());
        let steps = waiting.steps();
        let sets: Vec<_> = steps.iter().map(|step| step.what.sets()).collect();
        let mut lines: Vec<Part<'_>> = steps.iter().zip(&sets).map(|(step, sets)| part(step, sets)).collect();
        lines.extend(asks.iter().map(Part::Given));
        let owners = steps.iter().map(|step| step.whose).collect();
        let Some(client) = client.as_ref() else { return (owners, Vec::new()) };
        let told = self.io.block_on(say_in_order(client, &lines));
        (owners, told)
    }
}

fn part<'a>(step: &'a Step<'a>, sets: &'a [Vec<Value<'a>>]) -> Part<'a> {
    match &step.what {
        What::Words(words) => Part::Words(words),
        What::Changes(changes) => {
            let first = changes.first().map(|change| (change.name, change.spoken.plain.as_str()));
            let (name, text) = first.unwrap_or_default();
            Part::Queued(Say::Ask { name, text, sets, make: What::make(sets) })
        }
    }
}

/// Undoes the job that stands.
pub(super) const UNDO: &str = "ROLLBACK TO job; RELEASE job";

/// What a line of an exchange answered, or by what name it failed.
type Answered = Result<Told, (&'static str, Error)>;

/// A line of an exchange, of the queue or of whoever asks.
enum Part<'a> {
    Words(&'a str),
    Queued(Say<'a>),
    Given(&'a Say<'a>),
}

type Answer<'f> = Pin<Box<dyn Future<Output = Result<Told, Error>> + 'f>>;

/// A statement that was sent.
enum Sent<'f> {
    Waited(Answer<'f>),
    Answered(Result<Told, Error>),
}

impl<'f> Sent<'f> {
    /// A request leaves with the first look at its future.
    fn now(mut answer: Answer<'f>) -> Self {
        match answer.as_mut().now_or_never() {
            Some(told) => Self::Answered(told),
            None => Self::Waited(answer),
        }
    }

    async fn answer(self) -> Result<Told, Error> {
        match self {
            Self::Waited(answer) => answer.await,
            Self::Answered(told) => told,
        }
    }
}

async fn say_in_order<'f>(client: &'f Object, lines: &'f [Part<'f>]) -> Vec<Answered> {
    let mut said = Said { client, sent: Vec::new() };
    let mut unsaid = None;
    for (place, line) in lines.iter().enumerate() {
        let (sent, name) = match line {
            Part::Words(words) => (said.words(words), "store.savepoint"),
            Part::Queued(say) => (said.ask(say).await, say.name()),
            Part::Given(say) => (said.ask(say).await, say.name()),
        };
        if let Err(error) = sent.and_then(|sent| said.keep(place, name, sent)) {
            // What comes after it must not be sent: the server, which knows nothing of it, would take it.
            unsaid = Some((place, name, error));
            break;
        }
    }
    let mut told: Vec<Result<Told, _>> = Vec::new();
    let mut last = None;
    for (place, name, sent) in said.sent {
        let answer = sent.answer().await.map_err(|error| (name, error));
        match (told.last_mut(), answer) {
            // After the first that failed the others only say that it did; they are heard to their end all the same.
            (Some(Err(_)), _) => {}
            (Some(Ok(of_line)), Ok(more)) if last == Some(place) => {
                of_line.rows.extend(more.rows);
                of_line.changed += more.changed;
            }
            (Some(of_line @ Ok(_)), Err(error)) if last == Some(place) => *of_line = Err(error),
            (_, answer) => told.push(answer),
        }
        last = Some(place);
    }
    match (told.last(), unsaid) {
        (Some(Err(_)), _) | (_, None) => {}
        (_, Some((place, name, error))) => {
            told.truncate(place);
            told.push(Err((name, error)));
        }
    }
    told
}

/// What was sent so far, each with its place and name.
struct Said<'f> {
    client: &'f Object,
    sent: Vec<(usize, &'static str, Sent<'f>)>,
}

impl<'f> Said<'f> {
    /// Keeps what was sent. A value that cannot be said never was.
    fn keep(&mut self, place: usize, name: &'static str, sent: Vec<Sent<'f>>) -> Result<(), Error> {
        for sent in sent {
            if let Sent::Answered(Err(error)) = sent {
                return Err(error);
            }
            self.sent.push((place, name, sent));
        }
        Ok(())
    }

    fn words(&self, words: &'f str) -> Result<Vec<Sent<'f>>, Error> {
        let client = self.client;
        Ok(vec![Sent::now(Box::pin(async move { client.batch_execute(words).await.map(|()| Told::default()) }))])
    }

    async fn ask(&mut self, say: &'f Say<'f>) -> Result<Vec<Sent<'f>>, Error> {
        let (text, sets, make) = match say {
            Say::Words(_, words) => return self.words(words),
            Say::Ask { text, sets, make, .. } => (*text, *sets, *make),
            Say::Joined { text, params, .. } => {
                let statement = self.prepare(text).await?;
                return Ok(vec![Sent::now(Box::pin(asked(self.client, statement, params.iter().collect())))]);
            }
        };
        let single = self.prepare(text).await?;
        if let Some(make) = make {
            // What the server makes of a single set's parameters says what the arrays hold.
            if let Some(many) = make(text, single.params()) {
                let many = self.prepare(&many).await?;
                let columns = (0..single.params().len()).map(|at| Column { sets, at }).collect();
                return Ok(vec![Sent::now(Box::pin(asked(self.client, many, columns)))]);
            }
        }
        let ask = |values: &'f Vec<Value<'f>>| {
            Sent::now(Box::pin(asked(self.client, single.clone(), values.iter().collect::<Vec<_>>())))
        };
        Ok(sets.iter().map(ask).collect())
    }

    /// A statement that is not known yet is asked for, behind what was sent.
    async fn prepare(&mut self, text: &str) -> Result<Statement, Error> {
        let client = self.client;
        let mut prepared = Box::pin(client.prepare_cached(text));
        if let Some(known) = prepared.as_mut().now_or_never() {
            return known;
        }
        for (_, _, sent) in &mut self.sent {
            if let Sent::Waited(answer) = sent {
                let told = answer.await;
                *sent = Sent::Answered(told);
            }
        }
        prepared.await
    }
}

async fn asked<P: ToSql + Sync>(client: &Object, statement: Statement, values: Vec<P>) -> Result<Told, Error> {
    let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    if statement.columns().is_empty() {
        return Ok(Told { rows: Vec::new(), changed: client.execute(&statement, &params).await? });
    }
    Ok(Told { rows: client.query(&statement, &params).await?, changed: 0 })
}
