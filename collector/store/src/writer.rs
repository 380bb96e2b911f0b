//! The writer of every backend: a thread of its own, a bounded queue, one commit for many jobs.
//!
//! The writer takes all jobs that wait (at most [`GROUP_MAX`]) into one transaction, each in a savepoint of its own,
//! commits once, and answers them all; so the price of a commit is shared by whoever came in the meantime, and one
//! job's refusal undoes that job alone.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
    time::Instant,
};

use tokio::sync::mpsc;

use crate::{
    StoreError,
    ahead::Foreseeing,
    backend::{Verdict, WriteJob},
    sql::{Connection, Sql},
};

/// The most jobs that share a commit. Twice as many would save little more and delay the first one's answer.
pub const GROUP_MAX: usize = 256;
/// Jobs that may wait; beyond it callers wait to be queued.
const QUEUE_MAX: usize = 1_024;

/// A database's one writing connection.
pub(crate) trait Writing: Send + 'static {
    /// Begins a group's transaction, whose jobs will ask this.
    fn begin(&mut self, foreseen: &[&Foreseeing]) -> Result<(), StoreError>;
    /// Whether that transaction still stands; the database may have undone it.
    fn stands(&self) -> bool;
    /// Where a job's queries run.
    fn connection(&self) -> &dyn Connection;
    /// Before a job, which has this number in its group.
    fn savepoint(&self, job: usize) -> Result<(), StoreError>;
    /// After a job whose writes are kept.
    fn release(&self) -> Result<(), StoreError>;
    /// After a job of this name was released.
    fn keeps(&self, _name: &'static str) {}
    /// After a job whose writes are undone.
    fn undo(&self) -> Result<(), StoreError>;
    /// Ends the transaction. Anything but `Ok` means that nothing of the group was stored, [`StoreError::Unsure`]
    /// excepted.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// After the commit: the jobs that were released and, as was only seen then, could not be kept.
    fn undone(&mut self) -> Vec<(usize, StoreError)> {
        Vec::new()
    }
}

pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn WriteJob>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(mut database: impl Writing) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || write_groups(&mut database, jobs))?;
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

fn write_groups(database: &mut impl Writing, mut jobs: mpsc::Receiver<Box<dyn WriteJob>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = jobs.blocking_recv() {
        group.push(first);
        while group.len() < GROUP_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            group.push(next);
        }
        write_group(database, &mut group);
    }
}

/// Runs a group in one transaction and answers each of its jobs.
fn write_group(database: &mut impl Writing, group: &mut Vec<Box<dyn WriteJob>>) {
    let began = Instant::now();
    metrics::histogram!("upheld_store_group_jobs").record(u32::try_from(group.len()).unwrap_or(u32::MAX));
    let foreseen: Vec<_> = group.iter().flat_map(|job| job.foreseen()).collect();
    let begun = database.begin(&foreseen);
    if let Err(error) = begun {
        group.drain(..).for_each(|job| job.refuse(error.clone()));
        return;
    }
    let mut replies = Vec::with_capacity(group.len());
    for (number, job) in group.drain(..).enumerate() {
        if database.stands() {
            run_in_savepoint(database, job, number, &mut replies);
        } else {
            // An earlier job's error (a full disk, say) made the database undo the whole transaction.
            let name = job.name();
            job.refuse(StoreError::Undone { name });
        }
    }
    let committed = database.commit();
    metrics::histogram!("upheld_store_commit_seconds").record(began.elapsed());
    let mut undone = database.undone();
    for (number, reply) in replies {
        let of_its_own = undone.iter().position(|(job, _)| *job == number).map(|at| Err(undone.swap_remove(at).1));
        reply(of_its_own.unwrap_or_else(|| committed.clone()));
    }
}

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn run_in_savepoint(database: &impl Writing, job: Box<dyn WriteJob>, number: usize, replies: &mut Vec<(usize, Reply)>) {
    let name = job.name();
    if let Err(error) = database.savepoint(number) {
        return job.refuse(error);
    }
    // A panic in the job's code ends that job alone: its caller sees `Stopped`, its writes are undone.
    let verdict = catch_unwind(AssertUnwindSafe(|| job.run(&mut Sql(database.connection()))));
    let keep = verdict.as_ref().is_ok_and(|verdict| verdict.keep);
    let closed = if keep { database.release().inspect(|()| database.keeps(name)) } else { database.undo() };
    match (verdict, closed) {
        (Ok(Verdict { keep: true, reply }), Err(error)) => reply(Err(error)),
        // A refusal stands whatever became of the savepoint: when the database has undone everything, that too.
        (Ok(Verdict { keep: true, reply }), Ok(())) | (Ok(Verdict { keep: false, reply }), _) => {
            replies.push((number, reply));
        }
        (Err(_panic), _) => tracing::error!(transaction = name, "a transaction's code panicked and was undone"),
    }
}
