//! What a journal is given and what it says: bounds, urgency, findings of its opening, status, errors.

use std::time::Duration;

use upheld_model::{Epoch, ObservedAt};
use upheld_wire::v1::Head;

use crate::storage::StorageError;

/// The bounds of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes on disk; beyond it acknowledged records go first, then samples but for a summary, transitions last.
    pub budget_bytes: u64,
    /// A new segment begins after so many bytes.
    pub segment_bytes: u64,
    /// How long acknowledged records are kept, so that a collector restored from a backup gets them back.
    pub acknowledged_for: Duration,
    /// How long records wait for a collector before their bodies are given up.
    pub waiting_for: Duration,
    /// How long samples may stay unsynced.
    pub flush_within: Duration,
}

impl Default for Settings {
    /// DELIVERY 1: 256 MiB, 72 hours, 30 days, one second.
    fn default() -> Self {
        Self {
            budget_bytes: 256 << 20,
            segment_bytes: 1 << 20,
            acknowledged_for: Duration::from_secs(72 * 3600),
            waiting_for: Duration::from_secs(30 * 86_400),
            flush_within: Duration::from_secs(1),
        }
    }
}

/// How soon a body must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A transition: synced before `append` returns, sent at once, given up last.
    Now,
    /// Samples: synced within [`Settings::flush_within`], sent with the next heartbeat.
    Soon,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// When the newest record was written: `last_alive` of `AgentEvent::Started`. `None` in a new journal.
    pub last_written: Option<ObservedAt>,
    /// Whether the run before ended by [`super::Journal::close`].
    pub clean: bool,
    /// Bytes cut from a torn tail (unsynced when the power went).
    pub torn_bytes: u64,
    /// Places where records were damaged.
    pub damaged: u64,
    /// Records that wait to be acknowledged.
    pub waiting: u64,
}

/// A journal's state for people and for the "now" header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Records that wait to be acknowledged.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub oldest_waiting: Option<ObservedAt>,
    /// What the collector holds, as far as is known.
    pub heads: Vec<Head>,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// What ails the journal, in words; empty when nothing does.
    pub ailments: Vec<String>,
}

/// Why the journal could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A newer version wrote this journal.
    #[error(
        "the journal file {name} has format {found}, this version reads up to {known}: \
         install the newer upheld-agent again; nothing was changed"
    )]
    Newer {
        /// The file.
        name: String,
        /// Its format.
        found: u16,
        /// The newest format that this version reads.
        known: u16,
    },
    /// The disk failed; the body is kept in memory, will be sent, and will be written as soon as the disk takes it.
    #[error("the journal is volatile")]
    Volatile(#[source] StorageError),
    /// The disk failed and memory is full: the body is lost.
    #[error("the journal's memory is full as well: these observations are lost")]
    Lost(#[source] StorageError),
    /// The disk failed.
    #[error("the journal's folder cannot be used")]
    Storage(#[from] StorageError),
    /// One transition alone is larger than a record may be.
    #[error("a body of {bytes} bytes does not fit into a record of {max}: cut its evidence")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Records that should be sent turned out to be damaged. The journal has already put the others under a new
    /// epoch: plan anew.
    #[error("records of epoch {epoch} were found damaged; the others go under a new epoch")]
    Damaged {
        /// Where.
        epoch: Epoch,
    },
}

impl JournalError {
    /// Whether the body is kept in memory at least.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Self::Volatile(_))
    }
}
