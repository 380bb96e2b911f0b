//! What is wrong with a switch's port that has a link.

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
        let by = if meant_mbps.is_some() { "are meant" } else { "were usual" };
        why.push(format!(
            "runs at {speed} Mbit/s where {expected} {by}: a damaged cable or plug does that, or the port at its other end"
        ));
    }
    if is_half_duplex == Some(true) {
        why.push("runs at half duplex: its other end does not negotiate, or is set by hand".to_owned());
    }
    why
}
