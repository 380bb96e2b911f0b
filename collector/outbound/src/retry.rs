//! When to try a delivery again: one pure function for every integration.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeliveryKey, Outcome};

/// One try and what came of it. A try whose end nobody saw (the collector was killed) counts as
/// [`Outcome::Unclear`]: note it so before the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended, or began if nobody saw its end.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What to do with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send it then.
    At(Timestamp),
    /// Then look it up and send it only if it is not there.
    LookUpFirst {
        /// When.
        at: Timestamp,
    },
    /// Tell a person; it is not tried again by itself.
    GiveUp {
        /// Why.
        why: String,
    },
    /// It is there.
    Done,
}

/// What to do next after `attempts`, oldest first. The same arguments give the same answer.
pub fn next_attempt(key: &DeliveryKey, attempts: &[Attempt], now: Timestamp) -> Next {
    let _ = key;
    match attempts.last().map(|attempt| &attempt.outcome) {
        None => Next::At(now),
        Some(Outcome::Delivered { .. }) => Next::Done,
        Some(Outcome::Permanent { why }) => Next::GiveUp { why: why.clone() },
        Some(Outcome::Retry { .. }) => Next::At(now),
        Some(Outcome::Unclear { .. }) => Next::LookUpFirst { at: now },
    }
}
