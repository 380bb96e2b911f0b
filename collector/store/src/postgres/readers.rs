//! Reads: each on a connection of the pool, at one moment, on a thread that may wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use deadpool_postgres::{Object, Pool};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
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
}

impl Readers {
    pub(super) fn over(pool: Pool, io: Handle, texts: Arc<Texts>) -> Self {
        let permits = Arc::new(Semaphore::new(pool.status().max_size));
        Self { io, pool, texts, permits }
    }

    /// Waits for its turn and runs the job on a thread that may block.
    pub(super) async fn submit(&self, name: &'static str, job: ReadJob) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return job(Err(StoreError::Stopped { name }));
        };
        let (io, pool, texts) = (self.io.clone(), self.pool.clone(), Arc::clone(&self.texts));
        self.io.spawn_blocking(move || {
            match io.block_on(connection(&pool, name)) {
                Ok(client) => {
                    let connection = Blocking::over(Line::beginning(client, io.clone(), pool, BEGIN), texts);
                    // A panic in the job ends that job alone: its caller sees `Stopped`, the connection goes back.
                    drop(catch_unwind(AssertUnwindSafe(|| job(Ok(&Sql(&connection))))));
                    if let (Some(client), true) = connection.line.into_client() {
                        // Nobody waits for it but the next who reads.
                        io.spawn(end(client, permit));
                    }
                }
                Err(error) => job(Err(error)),
            }
        });
    }
}

/// Everything is read at one moment, that of the first question.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

async fn end(client: Object, permit: OwnedSemaphorePermit) {
    if client.batch_execute("ROLLBACK").await.is_err() {
        drop(Object::take(client));
    }
    drop(permit);
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
        tokio::time::sleep(pause).await;
    }
}
