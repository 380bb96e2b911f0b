//! What the journal asks of a disk: a handful of named files in one folder.
//!
//! The agent implements it over a real folder, [`sim::SimStorage`] over memory with faults. Names are plain
//! (`[a-z0-9.-]`), never a path. Nothing is durable before `sync` of the file, and no new, renamed or removed name
//! before `sync_dir`; a call that failed may have happened in part.

pub mod sim;

/// A folder of append-only files.
pub trait Storage {
    /// Every file with its length in bytes, in any order.
    fn list(&self) -> Result<Vec<(String, u64)>, StorageError>;

    /// Reads up to `into.len()` bytes from `at` and says how many; fewer only at the end of the file.
    fn read(&self, name: &str, at: u64, into: &mut [u8]) -> Result<usize, StorageError>;

    /// Makes an empty file; one that exists already is cut to nothing.
    fn create(&mut self, name: &str) -> Result<(), StorageError>;

    /// Adds bytes at the end. On an error some of them may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), StorageError>;

    /// Makes the file's bytes durable (fdatasync). A failure is final for the bytes since the last success: the
    /// kernel may have dropped them while it says that all is well the next time.
    fn sync(&mut self, name: &str) -> Result<(), StorageError>;

    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), StorageError>;

    /// Gives a file another name, replacing what had it, atomically.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> Result<(), StorageError>;

    /// Makes the folder's names durable.
    fn sync_dir(&mut self) -> Result<(), StorageError>;
}

/// A call of [`Storage`] that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {what} {name}: {detail}")]
pub struct StorageError {
    /// What was tried, a verb: `append to`, `sync`.
    pub what: &'static str,
    /// The file.
    pub name: String,
    /// What the journal can do about it.
    pub fault: Fault,
    /// The operating system's words.
    pub detail: String,
}

/// Kinds of failure, by what they call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room (ENOSPC, EDQUOT): give something up.
    Full,
    /// The file is not there.
    Missing,
    /// The file system or the permissions do not allow it (EROFS, EACCES): a person must act.
    Refused,
    /// This host lacks something else (EMFILE, ENOMEM): the file is as good as it was, and it is tried again.
    Starved,
    /// Anything else (EIO): the file is not to be trusted from here on.
    Broken,
}
