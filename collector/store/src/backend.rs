//! What a database must offer to stand behind a [`Store`](crate::Store).

use crate::{ReadTx, StoreError, Tx, ahead::Foreseeing};

/// A closure that waits to be run in a transaction, and its caller who waits for the answer.
pub(crate) trait WriteJob: Send {
    /// The transaction's name.
    fn name(&self) -> &'static str;
    /// What it will ask first, as far as that is known.
    fn foreseen(&self) -> &[Foreseeing];
    /// Runs the closure. The verdict says whether to keep what it wrote; its caller is told by the verdict's
    /// `reply`, after the commit.
    fn run(self: Box<Self>, tx: &mut dyn Tx) -> Verdict;
    /// Tells the caller that it was never run.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// What a closure decided.
pub(crate) struct Verdict {
    /// Whether its writes are kept.
    pub(crate) keep: bool,
    /// Gives the answer to the caller, or the error that made the answer void.
    pub(crate) reply: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A closure that waits to read.
pub(crate) type ReadJob = Box<dyn FnOnce(Result<&dyn ReadTx, StoreError>) + Send>;

/// A database. Implementations bound their own queues; a full queue makes the caller wait.
pub(crate) trait Backend: Send + Sync {
    /// Queues a write.
    fn submit_write(&self, job: Box<dyn WriteJob>) -> Submitted<'_>;
    /// Runs a read on a thread that may block.
    fn submit_read(&self, name: &'static str, job: ReadJob) -> Submitted<'_>;
}

/// Resolves once the job is queued (write) or running (read).
pub(crate) type Submitted<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
