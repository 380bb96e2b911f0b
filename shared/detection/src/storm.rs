//! When so much opens for one client at once that tickets and messages become one (DETECTION 4.9). Each incident keeps
//! itself and its clocks.

use std::time::Duration;

/// Over this many openings ...
pub const OPENINGS_MAX: usize = 20;
/// ... in this long for one client are a storm.
pub const WITHIN: Duration = Duration::from_secs(5 * 60);

/// Whether an opening is part of a storm; `openings` counts the client's last [`WITHIN`], this one among them.
pub fn is_storm(openings: usize) -> bool {
    openings > OPENINGS_MAX
}
