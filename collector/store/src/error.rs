//! What a caller of the store may do differently.

use std::{error::Error, path::PathBuf, sync::Arc};

/// Why a transaction did not happen. Nothing of it was stored, [`StoreError::Unsure`] excepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database for longer than we wait.
    #[error("the database is locked by another process; it was waited for and nothing was stored: try again")]
    Locked,
    /// There is no room on the disk. Readers go on.
    #[error("the disk is full: nothing was stored and nothing is lost; make room, then it goes on by itself")]
    DiskFull,
    /// Another transaction of the same commit made the database undo all of it (most often for want of room).
    #[error("the database undid the commit that {name} was part of: nothing was stored, try again")]
    Undone {
        /// The transaction.
        name: &'static str,
    },
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
    /// The file is not ours: another program's database, or no database.
    #[error("{} is not a database of Upheld and was left alone: name another folder, or another database", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or folder cannot be opened or created.
    #[error("{} cannot be opened: check that the folder exists and may be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The database's server cannot be reached, or refuses us.
    #[error("the database at {address} cannot be used: check that it runs, and the name and password in the settings")]
    Unreachable {
        /// Where it is, without the password.
        address: String,
        /// What it or the network said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Whoever needs the database for himself alone finds it being served; or it is being copied to.
    #[error(
        "the database at {address} is in use: collectors serve it, or it is being copied to; stop them, or wait for the copy"
    )]
    Served {
        /// Where it is.
        address: String,
    },
    /// The task that this was done for is another collector's by now.
    #[error("{task} is not this collector's task any more: nothing was stored, and whoever has it goes on")]
    Fenced {
        /// The task.
        task: &'static str,
    },
    /// The connection to the database was lost. What was not committed is undone.
    #[error("the connection to the database was lost during {name}: nothing was stored, try again")]
    Lost {
        /// The query or transaction.
        name: &'static str,
        /// What was seen.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The connection was lost while it was committed, and the database could not be asked what became of it.
    #[error(
        "the connection to the database was lost in the middle of a commit: look whether it was stored, then try again"
    )]
    Unsure,
    /// A row that must be unique exists already: somebody else won.
    #[error("{name} found its row already there: {what}")]
    Exists {
        /// The query.
        name: &'static str,
        /// The constraint, as the database names it.
        what: String,
    },
    /// A stored value is not what its column promises.
    #[error("{name} read a damaged value in column {column}: {why}; restore a backup or run the version that wrote it")]
    Damaged {
        /// The query.
        name: &'static str,
        /// The column's place in the query's answer, from 0.
        column: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store was stopped, or the transaction's code panicked and was undone.
    #[error("{name} was not carried out: the store has stopped, or its own code failed and was undone")]
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
    /// Whether the same call may succeed later without anything being changed in it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Locked | Self::DiskFull | Self::Undone { .. } | Self::Fenced { .. } | Self::Lost { .. } => true,
            Self::NewerSchema { .. }
            | Self::Foreign { .. }
            | Self::Open { .. }
            | Self::Unreachable { .. }
            | Self::Served { .. }
            | Self::Unsure
            | Self::Exists { .. }
            | Self::Damaged { .. }
            | Self::Stopped { .. }
            | Self::Database { .. } => false,
        }
    }
}
