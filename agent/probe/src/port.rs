//! What is wrong with a port that has a link: the same words for a host's own port and for one of a switch.

/// What to do about a port that is slower than it should be, or damages frames.
pub(crate) const CABLE: &str = "cable or port; swap the cable first, then the port";
/// A port that sends and receives by turns.
pub(crate) const HALF_DUPLEX: &str = "runs at half duplex";
/// What to do about one.
pub(crate) const NEGOTIATION: &str = "the two ends do not agree; set both to negotiate";

/// `runs at 100 Mbit/s where 1000 were usual`; or are meant, where the book says so.
pub(crate) fn slower(speed_mbps: u32, expected_mbps: u32, is_meant: bool) -> String {
    let by = if is_meant { "are meant" } else { "were usual" };
    format!("runs at {speed_mbps} Mbit/s where {expected_mbps} {by}")
}
