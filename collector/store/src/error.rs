//! What a caller of the store may do differently.

use std::{error::Error, path::PathBuf, sync::Arc};

/// Why a transaction did not happen. Nothing of it was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database for longer than we wait.
    #[error("the database is locked by another process; it was waited for, nothing was stored: try again")]
    Locked,
    /// There is no room on the disk. Readers go on.
    #[error("the disk is full: nothing was stored and nothing is lost; make room, then it goes on by itself")]
    DiskFull,
    /// The file was written by a newer version of Upheld. It was left alone.
    #[error(
        "{} was written by a newer version (schema {found}, this version knows {known}) and was left alone: \
         run that version, or restore a backup of schema {known}", path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// The file is a database, but not ours.
    #[error("{} is a database of another program and was left alone: name another folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or folder cannot be opened or created.
    #[error("{} cannot be opened: check the folder and its rights", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A row that must be unique exists already: somebody else won.
    #[error("{what} exists already")]
    Exists {
        /// The constraint, as the database names it.
        what: String,
    },
    /// A stored value is not what its column promises.
    #[error("column {column} holds {value:?}: {why}; restore a backup or run the version that wrote it")]
    Damaged {
        /// The column.
        column: &'static str,
        /// The value, cut short.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store was stopped, or the transaction's code panicked and was rolled back.
    #[error("the transaction {name} was not run: the store has stopped or its code has failed")]
    Stopped {
        /// The transaction.
        name: &'static str,
    },
    /// Anything else that the database said.
    #[error("the database refused {name}")]
    Database {
        /// The query or transaction.
        name: &'static str,
        /// What it said.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything else.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Locked | Self::DiskFull => true,
            Self::NewerSchema { .. }
            | Self::Foreign { .. }
            | Self::Open { .. }
            | Self::Exists { .. }
            | Self::Damaged { .. }
            | Self::Stopped { .. }
            | Self::Database { .. } => false,
        }
    }
}
