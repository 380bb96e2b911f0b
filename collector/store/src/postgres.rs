//! PostgreSQL 15 or later: one server, one or several collectors.
//!
//! **Writing** is serial, as it is on SQLite, and so the desk's code may read, decide and write without a thought for
//! others: each group of jobs begins by taking one advisory lock of the database, which its end gives back. Other
//! collectors and the command line wait for it; readers never do. `SERIALIZABLE` would let independent writers go side
//! by side and ask for closures that can be run again, which the desk's are not; one lock and a commit shared by up to
//! 256 jobs costs less than aborted work would. When one writer is not enough the lock becomes one per client: every
//! table of a client's rows is led by the client.
//!
//! **Reading** is at one moment (`REPEATABLE READ READ ONLY`).
//!
//! **Waiting** is what an answer over a line costs, so only for what is asked (`line`).
//!
//! Closures are synchronous and run on threads of the store's own; the connections live on a small runtime of its own,
//! so that a store works from wherever it is called. A pooler between must keep sessions (not transactions) together.

mod connect;
pub mod copy;
mod export;
pub mod follow;
mod joined;
mod known;
mod line;
mod many;
mod marks;
mod meaning;
mod migrate;
pub(crate) mod query;
mod readers;
mod retry;
mod texts;
mod waiting;
mod writer;

use std::{fmt, path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{
    Store, StoreError,
    backend::{Backend, ReadJob, Submitted, WriteJob},
    writer::Writer,
};
use connect::{Address, Place};
pub use export::export;
pub use marks::{Lost, Watch, WentBack};
use migrate::STEPS;

/// The advisory lock that whoever writes holds: "UPHD".
const WRITERS: i64 = 0x5550_4844;

/// The advisory lock that the sessions of all who serve share, and that whoever copies needs alone.
const SERVES: i64 = WRITERS + 1;

/// The oldest server that will do, as it numbers itself.
const OLDEST: i32 = 150_000;

/// How the database is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a transaction waits for another one's lock.
    pub lock_wait: Duration,
    /// How long one query may take.
    pub statement_timeout: Duration,
    /// Connections that read; one more writes.
    pub readers: usize,
    /// Whether this one serves, beside any number of others; who copies to the database keeps it away
    /// ([`StoreError::Served`]).
    pub serves: bool,
    /// What the user of the address logs in with, where the address does not say it.
    pub password: Option<Password>,
    /// The authority of the server's certificate, a PEM file; Mozilla's list when `None`.
    pub ca: Option<PathBuf>,
    /// What is done when commits are gone that were there; `None` where nobody looks.
    pub watch: Option<Watch>,
}

/// A password, which no log shows.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// This one.
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            readers: 4,
            serves: false,
            password: None,
            ca: None,
            watch: None,
        }
    }
}

/// Whether an address can be used, as far as that is known without the network. It stands in a file that people read, so
/// a password in it is refused.
pub fn check(url: &str) -> Result<(), StoreError> {
    Address::read(url, None)?.refuse_password()
}

/// Opens the database at `url` (`postgres://USER@HOST:PORT/DATABASE`), making or migrating its tables where
/// needed. A database of a newer version, or one with other tables and none of ours, is refused and left alone. Waits for
/// the network; on another thread, so that it may be called from anywhere.
pub fn open(url: &str, options: &Options) -> Result<Store, StoreError> {
    on_a_thread(|| open_here(url, options))
}

/// Where a runtime of our own may be waited for, whoever calls.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn open_here(url: &str, options: &Options) -> Result<Store, StoreError> {
    let address = Address::read(url, options.password.as_ref())?;
    let io = runtime().map_err(|error| address.unreachable(error))?;
    let writing = address.pool(options, 1, if options.serves { Place::Beside } else { Place::None })?;
    let reading = address.pool(options, options.readers.max(1), Place::None)?;
    let home = io.block_on(async {
        let client = writing.get().await.map_err(|error| address.refused(error))?;
        refuse_too_old(&client, &address).await?;
        migrate::migrate(&client, &address.shown, STEPS).await?;
        marks::make(&client).await?;
        Ok::<_, StoreError>(marks::home(&client).await)
    })?;
    let texts = Arc::<texts::Texts>::default();
    let readers = readers::Readers::over(reading, io.handle().clone(), Arc::clone(&texts));
    let marks = marks::Marks::new(options.watch.clone(), home);
    let pen = writer::Pen::over(writing, io.handle().clone(), marks, texts);
    let writer = Writer::start(pen).map_err(|error| address.unreachable(error))?;
    Ok(Store::over(Arc::new(Postgres { readers, writer: Some(writer), io: Some(io), address: address.shown })))
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("store-io").enable_all().build()
}

async fn refuse_too_old(client: &deadpool_postgres::ClientWrapper, address: &Address) -> Result<(), StoreError> {
    let asked = client.query_one("SELECT current_setting('server_version_num')::int, version()", &[]).await;
    let row = asked.map_err(|error| address.unreachable(error))?;
    let (number, version): (i32, String) = (row.get(0), row.get(1));
    if number < OLDEST {
        let why = format!("it is {version}, and PostgreSQL 15 or later is needed");
        return Err(connect::unusable(&address.shown, why));
    }
    Ok(())
}

struct Postgres {
    readers: readers::Readers,
    writer: Option<Writer>,
    io: Option<Runtime>,
    address: String,
}

impl Drop for Postgres {
    /// The writer ends what is queued, which needs the connections; then these end.
    fn drop(&mut self) {
        tracing::debug!(database = self.address, "the database is being closed");
        self.writer = None;
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

impl Backend for Postgres {
    fn submit_write(&self, job: Box<dyn WriteJob>) -> Submitted<'_> {
        match &self.writer {
            Some(writer) => Box::pin(writer.submit(job)),
            None => Box::pin(async move {
                let name = job.name();
                job.refuse(StoreError::Stopped { name });
            }),
        }
    }

    fn submit_read(&self, name: &'static str, job: ReadJob) -> Submitted<'_> {
        Box::pin(self.readers.submit(name, job))
    }
}

#[cfg(test)]
mod tests;
