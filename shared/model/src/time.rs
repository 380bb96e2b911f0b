//! Three kinds of time, three types.
//!
//! [`Mono`] measures within one process and is never compared between two. [`ObservedAt`] is what an agent claims.
//! [`ReceivedAt`] is the collector's own stamp. Agreement arithmetic uses plain instants (`jiff::Timestamp`) and an
//! IANA zone; turning an agent's claim into such an instant is [`ObservedAt::corrected`] and nothing else.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A reading of a monotonic clock, in nanoseconds since some fixed but unknown moment of one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    /// The time since an earlier reading; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The reading `after` later.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// When an agent says that something was so: its wall clock, held steady by its monotonic clock between the steps
/// that it reports. UTC, millisecond precision on the wire.
///
/// Two values of one agent may be compared; with anything of another host only after [`ObservedAt::corrected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObservedAt(pub Timestamp);

impl ObservedAt {
    /// The instant in the collector's time: the claim plus the offset measured at upload (collector minus agent),
    /// and never later than the receipt, because nothing is received before it happened (TERMS F1).
    #[must_use]
    pub fn corrected(self, offset: SignedDuration, received: ReceivedAt) -> Timestamp {
        let moved = self.0.saturating_add(offset).unwrap_or(received.0);
        moved.min(received.0)
    }
}

impl fmt::Display for ObservedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When the collector committed something: its own clock, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceivedAt(pub Timestamp);

impl fmt::Display for ReceivedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The kernel's name for one boot of a machine (Linux: `/proc/sys/kernel/random/boot_id`). At most 64 printable
/// ASCII characters; it is the epoch of counters that a reboot resets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(String);

impl BootId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BootId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a boot id is 1 to 64 printable ASCII characters".to_owned())
        }
    }
}

impl TryFrom<String> for BootId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BootId> for String {
    fn from(id: BootId) -> String {
        id.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_claim_is_moved_by_the_offset_but_never_past_its_receipt() {
        let claim = ObservedAt(at("2026-11-16T16:10:07Z"));
        let received = ReceivedAt(at("2026-11-16T16:10:09Z"));
        assert_eq!(claim.corrected(SignedDuration::from_secs(1), received), at("2026-11-16T16:10:08Z"));
        assert_eq!(claim.corrected(SignedDuration::from_secs(60), received), received.0);
        assert_eq!(claim.corrected(SignedDuration::from_secs(-7), received), at("2026-11-16T16:10:00Z"));
    }

    #[test]
    fn a_monotonic_difference_is_never_negative() {
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(Mono(5).plus(Duration::MAX), Mono(u64::MAX));
    }
}
