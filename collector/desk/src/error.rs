//! What can go wrong when the desk looks something up or stores something.

use std::fmt::Display;

use upheld_store::StoreError;

/// Why the desk could not answer. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeskError {
    /// The store did not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A stored row cannot be read: written by a newer version, or damaged.
    #[error("a stored {what} cannot be read: {why}; run the version that wrote it, or restore a backup")]
    Unreadable {
        /// Which row.
        what: &'static str,
        /// What its reader said.
        why: String,
    },
    /// There is no book yet.
    #[error("no book has been applied yet: run `upheld-collector book apply DIR`")]
    NoBook,
    /// A site of the book cannot be judged.
    #[error("the book's site {0}; correct it: run `upheld-collector book check DIR`")]
    Plan(#[from] crate::plan::PlanError),
    /// No such incident (or not this client's: the two cannot be told apart, SECURITY 23).
    #[error("there is no incident {0}: see `upheld-collector queue`")]
    NoSuchIncident(String),
    /// A bare number that several clients' incidents have.
    #[error("{given} is an incident of more than one client; name one: {}", candidates.join(", "))]
    Ambiguous {
        /// As it was given.
        given: String,
        /// The incidents that it may mean.
        candidates: Vec<String>,
    },
    /// No such site (or not this client's).
    #[error("there is no site {0} in the book: see `upheld-collector book explain`")]
    NoSuchPlace(String),
    /// No such agent.
    #[error("there is no agent {0}: see `upheld-collector agent list`")]
    NoSuchAgent(String),
    /// Somebody else changed the same row in between; nothing was changed here.
    #[error("{0} was changed by somebody else at the same moment: look again and repeat")]
    Overtaken(&'static str),
    /// A restore waits for a person: until then nothing is taken and nothing decided.
    #[error(
        "this collector was restored and facts may be missing from {from:.0} to {to:.0}; nothing is taken or decided until a \
         person has seen that: run `upheld-collector recovery show`"
    )]
    Recovering {
        /// Facts from this instant on may be missing.
        from: jiff::Timestamp,
        /// Up to this one.
        to: jiff::Timestamp,
    },
    /// The facts of the time that was asked for were kept as long as the book says, and then taken away.
    #[error(
        "what happened at {client} before {before:.0} was kept as long as the book says (provider.toml, [retention]) and then \
         taken away: ask for a later time"
    )]
    Forgotten {
        /// Whose.
        client: upheld_model::ClientId,
        /// Everything before this is gone.
        before: jiff::Timestamp,
    },
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes: {0}")]
    Random(String),
}

impl DeskError {
    pub(crate) fn unreadable(what: &'static str, why: &impl Display) -> Self {
        Self::Unreadable { what, why: why.to_string() }
    }

    /// Whether the same call may succeed later without anything being changed in it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Overtaken(_) | Self::Random(_) | Self::Recovering { .. } => true,
            Self::Unreadable { .. }
            | Self::NoBook
            | Self::Plan(_)
            | Self::NoSuchIncident(_)
            | Self::NoSuchPlace(_)
            | Self::Forgotten { .. }
            | Self::Ambiguous { .. }
            | Self::NoSuchAgent(_) => false,
        }
    }
}
