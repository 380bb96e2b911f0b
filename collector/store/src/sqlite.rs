//! SQLite: one file, one writer thread with group commit, a pool of readers.
//!
//! WAL with `synchronous=FULL`: an answered write is on the disk. Up to [`GROUP_MAX`] jobs share a sync.
//!
//! Other processes may have the same file open (the command line beside the server): a writer waits
//! [`Options::lock_wait`] for the lock, then everything queued is answered [`StoreError::Locked`]. A full disk is
//! [`StoreError::DiskFull`]; the file stays whole and the store goes on when there is room.

pub mod backup;
mod columns;
#[cfg(feature = "faulty")]
pub mod faulty;
pub mod follow;
mod open;
mod query;
mod readers;
mod wal;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;

use crate::{
    Store, StoreError,
    backend::{Backend, ReadJob, Submitted, WriteJob},
    writer::{Writer, Writing},
};

pub use crate::writer::GROUP_MAX;
pub(crate) use columns::meaning;
pub use open::SCHEMA_VERSION;

/// How the file is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a transaction waits for another process's lock.
    pub lock_wait: Duration,
    /// Connections that read.
    pub readers: usize,
    /// The most pages that the file may have; `None` for no bound but the disk's.
    pub pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { lock_wait: Duration::from_secs(5), readers: 4, pages_max: None }
    }
}

/// Opens the database at `path`, creating or migrating it where needed. A database of a newer version, or a file
/// that is not ours, is refused and left alone.
pub fn open(path: &Path) -> Result<Store, StoreError> {
    open_with(path, &Options::default())
}

/// [`open`] with other than the usual options.
pub fn open_with(path: &Path, options: &Options) -> Result<Store, StoreError> {
    open_over(path, options, |connection| connection)
}

/// Opens it with `writing` around the connection that writes.
fn open_over<W: Writing>(
    path: &Path,
    options: &Options,
    writing: impl FnOnce(Connection) -> W,
) -> Result<Store, StoreError> {
    let connection = open::prepare(path, options)?;
    let readers = readers::Readers::open(path, options)?;
    let writer = Writer::start(writing(connection))
        .map_err(|error| StoreError::Open { path: path.to_owned(), source: std::sync::Arc::new(error) })?;
    Ok(Store::over(std::sync::Arc::new(Sqlite { readers, writer, path: path.to_owned() })))
}

struct Sqlite {
    readers: readers::Readers,
    writer: Writer,
    path: PathBuf,
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        tracing::debug!(path = %self.path.display(), "the database is being closed");
    }
}

impl Backend for Sqlite {
    fn submit_write(&self, job: Box<dyn WriteJob>) -> Submitted<'_> {
        Box::pin(self.writer.submit(job))
    }

    fn submit_read(&self, name: &'static str, job: ReadJob) -> Submitted<'_> {
        Box::pin(self.readers.submit(name, job))
    }
}

#[cfg(test)]
mod tests;
