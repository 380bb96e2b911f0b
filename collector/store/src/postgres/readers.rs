//! Reads: each on a connection of the pool, at one moment, on a thread that may wait.
//!
//! Whoever has read leaves his transaction as it stands: who reads next on its connection ends it in the same breath in which
//! he begins his own and asks, which saves a way there and back. Where nobody comes it is ended after a second, so that the
//! server may clean up behind it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{
    line::Line,
    meaning::{meaning_of_pool, trouble_of_pool},
    query::Blocking,
    retry::{TO_BEGIN, wait},
    texts::Texts,
};
use crate::{StoreError, backend::ReadJob, sql::Sql};

pub(super) struct Readers {
    io: Handle,
    pool: Pool,
    texts: Arc<Texts>,
    /// As many permits as connections: no thread waits for one.
    permits: Arc<Semaphore>,
    left: Arc<Left>,
}

impl Readers {
    pub(super) fn over(pool: Pool, io: Handle, texts: Arc<Texts>) -> Self {
        let permits = Arc::new(Semaphore::new(pool.status().max_size));
        Self { io, pool, texts, permits, left: Arc::default() }
    }

    /// Waits for its turn and runs the job on a thread that may block.
    pub(super) async fn submit(&self, name: &'static str, job: ReadJob) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return job(Err(StoreError::Stopped { name }));
        };
        let (io, pool, texts) = (self.io.clone(), self.pool.clone(), Arc::clone(&self.texts));
        let (left, permits) = (Arc::clone(&self.left), Arc::clone(&self.permits));
        self.io.spawn_blocking(move || {
            let (client, was_left) = match left.take() {
                Some(client) => (Ok(client), true),
                None => (io.block_on(connection(&pool, name)), false),
            };
            match client {
                Ok(client) => {
                    let words = if was_left { END_AND_BEGIN } else { BEGIN };
                    let connection = Blocking::over(Line::beginning(client, io.clone(), pool, words), texts);
                    // A panic in the job ends that job alone: its caller sees `Stopped`, the connection goes back.
                    drop(catch_unwind(AssertUnwindSafe(|| job(Ok(&Sql(&connection))))));
                    let (client, has_begun) = connection.line.into_client();
                    if let Some(client) = client.filter(|_| was_left || has_begun) {
                        left.leave(client, &io, permits);
                    }
                    // Whoever reads next finds it there, or room in the pool.
                    drop(permit);
                }
                Err(error) => job(Err(error)),
            }
        });
    }
}

/// Everything is read at one moment, that of the first question.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const END_AND_BEGIN: &str = "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// How long a transaction is left that nobody needs.
const LEFT_FOR: Duration = Duration::from_secs(1);

/// Connections that nobody reads on, whose last transactions still stand.
#[derive(Default)]
struct Left(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Since when each, the newest last.
    clients: Vec<(Instant, Object)>,
    /// Whether somebody sees to it that they end.
    is_watched: bool,
}

impl Left {
    /// The one that was left last: the others may end.
    fn take(&self) -> Option<Object> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is closed goes back to the pool, which lends it no more.
        std::iter::from_fn(|| waiting.clients.pop()).map(|(_, client)| client).find(|client| !client.is_closed())
    }

    fn leave(self: &Arc<Self>, client: Object, io: &Handle, permits: Arc<Semaphore>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.clients.push((Instant::now(), client));
        if !std::mem::replace(&mut waiting.is_watched, true) {
            let left = Arc::clone(self);
            io.spawn(async move {
                while left.is_waited_for() {
                    sleep(LEFT_FOR).await;
                    left.end_old(&permits).await;
                }
            });
        }
    }

    /// Whether any is left; if not, nobody watches from here on.
    fn is_waited_for(&self) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_watched = !waiting.clients.is_empty();
        waiting.is_watched
    }

    async fn end_old(&self, permits: &Arc<Semaphore>) {
        // A connection whose transaction ends is one less to read on.
        while let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            let old = {
                let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let is_old = waiting.clients.first().is_some_and(|(since, _)| since.elapsed() >= LEFT_FOR);
                is_old.then(|| waiting.clients.remove(0).1)
            };
            let Some(client) = old else { break };
            if client.batch_execute("ROLLBACK").await.is_err() {
                drop(Object::take(client));
            }
            drop(permit);
        }
    }
}

async fn connection(pool: &Pool, name: &'static str) -> Result<Object, StoreError> {
    let mut tried = 0;
    loop {
        let error = match pool.get().await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        tried += 1;
        let Some(pause) = wait(tried, TO_BEGIN, trouble_of_pool(&error)) else {
            return Err(meaning_of_pool(name, error));
        };
        sleep(pause).await;
    }
}
