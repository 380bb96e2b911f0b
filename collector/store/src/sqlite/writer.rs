//! The writer: a thread of its own, a bounded queue, one commit for many jobs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::columns::Named;
use crate::{
    StoreError,
    backend::{Verdict, WriteJob},
    sql::Sql,
};

/// The most jobs that share a commit. Twice as many would save little more and delay the first one's answer.
pub const GROUP_MAX: usize = 256;
/// Jobs that may wait; beyond it callers wait to be queued.
const QUEUE_MAX: usize = 1_024;

pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn WriteJob>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_groups(&connection, jobs))
            .map_err(|error| StoreError::Open { path: path.to_owned(), source: Arc::new(error) })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn submit(&self, job: Box<dyn WriteJob>) {
        let name = job.name();
        let Some(queue) = &self.queue else {
            return job.refuse(StoreError::Stopped { name });
        };
        metrics::gauge!("upheld_store_write_queue").set(queue_depth(queue));
        if let Err(mpsc::error::SendError(job)) = queue.send(job).await {
            job.refuse(StoreError::Stopped { name });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most QUEUE_MAX")]
fn queue_depth(queue: &mpsc::Sender<Box<dyn WriteJob>>) -> f64 {
    (queue.max_capacity() - queue.capacity()) as f64
}

impl Drop for Writer {
    /// Lets the thread finish what is queued, then waits for it: whoever opens the file next finds it closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the database's writer ended in a panic");
        }
    }
}

fn write_groups(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn WriteJob>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = jobs.blocking_recv() {
        group.push(first);
        while group.len() < GROUP_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            group.push(next);
        }
        write_group(connection, &mut group);
    }
}

/// Runs a group in one transaction and answers each of its jobs.
fn write_group(connection: &Connection, group: &mut Vec<Box<dyn WriteJob>>) {
    let began = Instant::now();
    metrics::histogram!("upheld_store_group_jobs").record(u32::try_from(group.len()).unwrap_or(u32::MAX));
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE").named("store.begin") {
        group.drain(..).for_each(|job| job.refuse(error.clone()));
        return;
    }
    let mut replies = Vec::with_capacity(group.len());
    for job in group.drain(..) {
        if connection.is_autocommit() {
            // An earlier job's error (a full disk, say) made SQLite undo the whole transaction.
            let name = job.name();
            job.refuse(StoreError::Undone { name });
        } else {
            run_in_savepoint(connection, job, &mut replies);
        }
    }
    let committed = commit(connection);
    metrics::histogram!("upheld_store_commit_seconds").record(began.elapsed());
    for reply in replies {
        reply(committed.clone());
    }
}

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn run_in_savepoint(connection: &Connection, job: Box<dyn WriteJob>, replies: &mut Vec<Reply>) {
    let name = job.name();
    if let Err(error) = cached(connection, "SAVEPOINT job") {
        return job.refuse(error);
    }
    // A panic in the job's code ends that job alone: its caller sees `Stopped`, its writes are undone.
    let verdict = catch_unwind(AssertUnwindSafe(|| job.run(&mut Sql(connection))));
    let keep = verdict.as_ref().is_ok_and(|verdict| verdict.keep);
    let closed = if keep {
        cached(connection, "RELEASE job")
    } else {
        cached(connection, "ROLLBACK TO job").and_then(|()| cached(connection, "RELEASE job"))
    };
    match (verdict, closed) {
        (Ok(Verdict { keep: true, reply }), Err(error)) => reply(Err(error)),
        // A refusal stands whatever became of the savepoint: when SQLite has undone everything, that too.
        (Ok(Verdict { keep: true, reply }), Ok(())) | (Ok(Verdict { keep: false, reply }), _) => replies.push(reply),
        (Err(_panic), _) => tracing::error!(transaction = name, "a transaction's code panicked and was undone"),
    }
}

/// Ends the group's transaction. Anything but `Ok` means that nothing of the group was stored.
fn commit(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Err(StoreError::Undone { name: "store.commit" });
    }
    connection.execute_batch("COMMIT").named("store.commit").inspect_err(|_| {
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
    })
}

fn cached(connection: &Connection, sql: &'static str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).named("store.savepoint")
}
