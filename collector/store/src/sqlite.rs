//! SQLite: one file, one writer thread with group commit, a pool of readers.

use std::path::Path;

use crate::{Store, StoreError};

/// Opens the database at `path`, creating or migrating it where needed. A database of a newer version is refused and
/// left alone.
pub fn open(path: &Path) -> Result<Store, StoreError> {
    Err(StoreError::Stopped { name: "open" }).inspect_err(|_: &StoreError| drop(path.to_owned()))
}
