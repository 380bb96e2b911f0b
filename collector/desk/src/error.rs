//! What can go wrong when the desk only looks something up.

use upheld_store::StoreError;

/// Why the desk could not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeskError {
    /// The store did not answer; nothing was changed.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A stored row cannot be read: written by a newer version, or damaged.
    #[error(
        "a stored {what} cannot be read: {why}; restore the data folder from a backup or run the version that wrote it"
    )]
    Unreadable {
        /// Which row.
        what: String,
        /// What its reader said.
        why: String,
    },
    /// There is no book yet.
    #[error("no book has been applied yet: run `upheld-collector book apply DIR`")]
    NoBook,
    /// No such incident (or not this client's: the two cannot be told apart, SECURITY 23).
    #[error("there is no incident {0}: see `upheld-collector queue`")]
    NoSuchIncident(String),
    /// No such agent.
    #[error("there is no agent {0}: see `upheld-collector agent list`")]
    NoSuchAgent(String),
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes: {0}")]
    Random(String),
    /// Not written yet in this version.
    #[error("{0} is not built yet")]
    NotBuilt(&'static str),
}
