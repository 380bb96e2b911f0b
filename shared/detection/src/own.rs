//! The collector watches itself, so that a silence is never called a client's fault when it is ours (DETECTION 4.6, 4.7).
//!
//! Three machines: its own [`Line`], asked by anchors; its data [`Door`], which refuses or does not keep up; its
//! [`ClockGuard`], the wall clock against the monotonic clock and against the agents. Each is told what was seen and says
//! when a trouble begins and when it is over. While one lasts nobody is called silent, and afterwards not before every
//! source had time to report ([`crate::silence::Deaf`]).

mod clock;
mod door;
mod line;

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use clock::{ClockGuard, DOUBT, QUORUM, Reading, SETTLES_BY_ITSELF};
pub use door::{Door, FORGOTTEN_AFTER, REFUSES_AFTER};
pub use line::{BACK_AFTER, LOST_AFTER, Line, Look};

/// What is wrong with the collector itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// It reaches none of its anchors: its own line is out.
    Line,
    /// It refuses what agents send, or does not keep up with it.
    Door,
    /// Its clock jumped, or the agents contradict it.
    Clock,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Line, Self::Door, Self::Clock];

    /// Its word: in the database, in `/healthz` and in an incident's key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Door => "door",
            Self::Clock => "clock",
        }
    }

    /// The incident's sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Line => "collector: its own line is out; nobody else is called silent meanwhile",
            Self::Door => "collector: it refuses what agents send; nobody is called silent meanwhile",
            Self::Clock => "collector: its clock is in doubt; no silence and no breach is announced meanwhile",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no trouble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of the collector's own troubles: line, door, clock")]
pub struct NoSuchTrouble(pub String);

impl FromStr for Trouble {
    type Err = NoSuchTrouble;

    fn from_str(text: &str) -> Result<Self, NoSuchTrouble> {
        Self::ALL.into_iter().find(|trouble| trouble.as_str() == text).ok_or_else(|| NoSuchTrouble(text.to_owned()))
    }
}

/// What a machine says. Instants are the collector's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A trouble is certain.
    Begins {
        /// Since when it may have lasted: the last instant at which all was well.
        since: Timestamp,
        /// When that was certain.
        noticed: Timestamp,
        /// What was seen, for the incident's evidence.
        why: String,
    },
    /// It is over.
    Ends {
        /// When it began.
        since: Timestamp,
        /// From when on all was well.
        until: Timestamp,
        /// What was seen.
        why: String,
    },
}
