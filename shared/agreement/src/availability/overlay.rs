//! What excuses time: agreed maintenance and causes that are not the provider's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::book::Exclusion;

/// A window of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// When the client was told.
    pub announced_at: Timestamp,
    /// When it was written down: what is entered afterwards excuses nothing.
    pub entered_at: Timestamp,
    /// Whether the client disputes it (F13).
    pub is_disputed: bool,
}

/// Why a window of work is not left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum NotAgreed {
    /// It was written down after it had begun.
    #[error("it was entered at {entered_at}, after it had begun")]
    EnteredAfterwards {
        /// When.
        entered_at: Timestamp,
    },
    /// The client was told too late.
    #[error("notice was {given_s} s, and the agreement asks for {needed_s} s")]
    NoticeTooShort {
        /// From telling and writing down, whichever was later, to the beginning.
        given_s: u64,
        /// What the agreement asks for.
        needed_s: u64,
    },
}

/// A stretch whose cause the agreement may leave out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedSpan {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Whose cause.
    pub cause: Exclusion,
    /// Whether the client disputes it (F13).
    pub is_disputed: bool,
}

impl Maintenance {
    /// Whether it was agreed: written down before it began and with the notice that the agreement asks for.
    pub fn agreed(&self, notice_s: u64) -> Result<(), NotAgreed> {
        if self.entered_at > self.from {
            return Err(NotAgreed::EnteredAfterwards { entered_at: self.entered_at });
        }
        let told = self.announced_at.max(self.entered_at);
        let given_s = u64::try_from(self.from.duration_since(told).as_secs()).unwrap_or(0);
        if given_s < notice_s {
            return Err(NotAgreed::NoticeTooShort { given_s, needed_s: notice_s });
        }
        Ok(())
    }
}
