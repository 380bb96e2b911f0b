//! Instants as they are kept.

use jiff::Timestamp;

/// Cut to the microsecond, which is what the store keeps: a judgement made now and one made from the store later are
/// about the same instant.
pub(crate) fn stored(at: Timestamp) -> Timestamp {
    // Every microsecond of a valid timestamp is in range.
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
