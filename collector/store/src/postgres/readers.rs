//! Reads: each on a connection of the pool, at one moment, on a thread that may wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use deadpool_postgres::{Object, Pool};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    meaning::{meaning, meaning_of_pool, trouble, trouble_of_pool},
    query::Blocking,
    retry::{TO_BEGIN, Trouble, wait},
};
use crate::{StoreError, backend::ReadJob, sql::Sql};

pub(super) struct Readers {
    io: Handle,
    pool: Pool,
    /// As many permits as connections: no thread waits for one.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn over(pool: Pool, io: Handle) -> Self {
        let permits = Arc::new(Semaphore::new(pool.status().max_size));
        Self { io, pool, permits }
    }

    /// Waits for its turn and runs the job on a thread that may block.
    pub(super) async fn submit(&self, name: &'static str, job: ReadJob) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return job(Err(StoreError::Stopped { name }));
        };
        let (io, pool) = (self.io.clone(), self.pool.clone());
        self.io.spawn_blocking(move || {
            match io.block_on(begin(&pool, name)) {
                Ok(client) => {
                    let connection = Blocking::over(client, io);
                    // A panic in the job ends that job alone: its caller sees `Stopped`, the connection goes back.
                    drop(catch_unwind(AssertUnwindSafe(|| job(Ok(&Sql(&connection))))));
                    connection.end("ROLLBACK");
                }
                Err(error) => job(Err(error)),
            }
            drop(permit);
        });
    }
}

async fn begin(pool: &Pool, name: &'static str) -> Result<Object, StoreError> {
    let mut tried = 0;
    loop {
        match try_to_begin(pool, name).await {
            Ok(client) => return Ok(client),
            Err((trouble, error)) => {
                tried += 1;
                let Some(pause) = wait(tried, TO_BEGIN, trouble) else { return Err(error) };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn try_to_begin(pool: &Pool, name: &'static str) -> Result<Object, (Trouble, StoreError)> {
    let client = pool.get().await.map_err(|error| (trouble_of_pool(&error), meaning_of_pool(name, error)))?;
    match client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await {
        Ok(()) => Ok(client),
        Err(error) => {
            drop(Object::take(client));
            Err((trouble(&error), meaning(name, error)))
        }
    }
}
