//! [`Store`]: the handle that everybody holds.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    ReadTx, StoreError, Tx,
    ahead::{Foreseeing, Foreseen},
    backend::{Backend, Verdict, WriteJob},
};

/// A store, whatever database is beneath. Cheap to clone; every clone is the same store.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    fence: Option<Fence>,
}

/// For which task a handle writes.
#[derive(Debug, Clone, Copy)]
struct Fence {
    task: &'static str,
    number: i64,
}

impl Store {
    pub(crate) fn over(backend: Arc<dyn Backend>) -> Self {
        Self { backend, fence: None }
    }

    /// The same store, whose writes are those of a task: each is [`StoreError::Fenced`] and undone once the task's lease with
    /// this fence is over, as seen in the transaction of that write ([`leases`](crate::leases)).
    #[must_use]
    pub fn fenced(&self, task: &'static str, fence: i64) -> Self {
        Self { backend: Arc::clone(&self.backend), fence: Some(Fence { task, number: fence }) }
    }

    /// Runs `work` in a transaction of its own and answers after its commit is synced. An `Err` of `work` undoes all
    /// that it wrote. Several callers' transactions may share one commit; each is undone alone. `name` stands in
    /// errors and metrics. `work` may run on another thread and must not wait for anything but the store.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    {
        self.write_foreseeing(name, Foreseen::default(), work).await
    }

    /// The same with what `work` will ask first: over a line that is asked at once for all who share a commit, as their
    /// transaction begins. A hint, which changes no answer ([`AheadReads`](crate::ahead::AheadReads)).
    pub async fn write_foreseeing<T, E, F>(&self, name: &'static str, foreseen: Foreseen, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let fence = self.fence;
        let work = move |tx: &mut dyn Tx| match fence {
            Some(Fence { task, number }) if !tx.is_leased(task, number)? => Err(StoreError::Fenced { task }.into()),
            Some(_) | None => work(tx),
        };
        self.backend.submit_write(Box::new(Job { name, foreseen, work, answer })).await;
        answered.await.unwrap_or_else(|_| Err(StoreError::Stopped { name }.into()))
    }

    /// Runs `work` on a snapshot: everything it reads is of one moment.
    pub async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&dyn ReadTx) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |tx: Result<&dyn ReadTx, StoreError>| {
            let result = match tx {
                Ok(tx) => work(tx),
                Err(error) => Err(error.into()),
            };
            // The caller may have gone away; then nobody wants the answer.
            drop(answer.send(result));
        });
        self.backend.submit_read(name, job).await;
        answered.await.unwrap_or_else(|_| Err(StoreError::Stopped { name }.into()))
    }
}

struct Job<T, E, F> {
    name: &'static str,
    foreseen: Foreseen,
    work: F,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> WriteJob for Job<T, E, F>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn foreseen(&self) -> &[Foreseeing] {
        self.foreseen.questions()
    }

    fn run(self: Box<Self>, tx: &mut dyn Tx) -> Verdict {
        let Self { work, answer, .. } = *self;
        let result = work(tx);
        Verdict {
            keep: result.is_ok(),
            reply: Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    Err(error) => result.and(Err(error.into())),
                };
                // The caller may have gone away; the commit stands all the same.
                drop(answer.send(result));
            }),
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error.into())));
    }
}
