//! What was seen of an asset: a partition of time without gaps.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "kebab-case")]
pub enum Seen {
    /// It worked.
    Up,
    /// It worked in part.
    Degraded,
    /// It did not work.
    Down,
    /// Nobody knows: never stored or shown as up.
    Unknown(UnknownWhy),
}

upheld_model::vocabulary!(
    /// Why nobody knows.
    UnknownWhy, "reason for not knowing", {
        /// The agent that watches it was not heard.
        AgentSilent = "agent-silent",
        /// It was switched off, and said so before: counted nowhere.
        Off = "off",
        /// It was not watched yet, or not any more.
        NotMonitored = "not-monitored",
        /// The collector could not look.
        Collector = "collector",
        /// It is not decided yet.
        Pending = "pending",
    }
);

/// A stretch `[from, to)` in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What was seen.
    pub state: Seen,
}

/// Pieces of time that follow each other without gap or overlap. What lies before the first and after the last was not
/// monitored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline(Vec<Piece>);

/// Why pieces are no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// A piece ends before it begins.
    #[error("piece {index} ends at {to}, before it begins at {from}")]
    Backwards {
        /// Which, from 0.
        index: usize,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// A piece does not begin where the one before it ends.
    #[error("piece {index} begins at {from}, but the one before it ends at {ended}")]
    NotGapFree {
        /// Which, from 0.
        index: usize,
        /// Its beginning.
        from: Timestamp,
        /// The end of the piece before it.
        ended: Timestamp,
    },
}

impl Timeline {
    /// Checks that the pieces partition the time from the first to the last.
    pub fn new(pieces: Vec<Piece>) -> Result<Self, TimelineError> {
        for (index, piece) in pieces.iter().enumerate() {
            let Piece { from, to, .. } = *piece;
            if to < from {
                return Err(TimelineError::Backwards { index, from, to });
            }
            match index.checked_sub(1).map(|before| pieces[before].to) {
                Some(ended) if ended != from => return Err(TimelineError::NotGapFree { index, from, ended }),
                Some(_) | None => {}
            }
        }
        Ok(Self(pieces))
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}
