//! What is wrong with a switch's port that has a link.

use crate::port;

/// Slower than meant, or than was usual where nobody says; half duplex.
pub(super) fn shortcomings(
    speed_mbps: Option<u32>,
    meant_mbps: Option<u32>,
    usual_mbps: Option<u32>,
    is_half_duplex: Option<bool>,
) -> Vec<String> {
    let mut why = Vec::new();
    if let (Some(speed), Some(expected)) = (speed_mbps, meant_mbps.or(usual_mbps))
        && speed < expected
    {
        why.push(format!("{}: {}", port::slower(speed, expected, meant_mbps.is_some()), port::CABLE));
    }
    if is_half_duplex == Some(true) {
        why.push(format!("{}: {}", port::HALF_DUPLEX, port::NEGOTIATION));
    }
    why
}
