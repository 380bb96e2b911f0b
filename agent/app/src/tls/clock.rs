//! A wall clock that may be ten years off, either way (SECURITY 39).
//!
//! A chain that is "not yet valid" or "expired" by this clock is verified at the bound which the error names, but
//! never accepted when it ended before the *floor*: the newest moment known to have passed (the build, the link's
//! issue). Whoever is believed that way leaves a mark here, and the agent tells its people.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};

/// When this binary was built, in Unix seconds; `SOURCE_DATE_EPOCH` decides where it is set.
const BUILT: &str = env!("UPHELD_BUILT_UNIX_S");

/// This host's wall clock with the floor below it.
#[derive(Debug)]
pub(crate) struct BoundedClock {
    floor: UnixTime,
    is_suspect: AtomicBool,
    wall: fn() -> Timestamp,
}

impl BoundedClock {
    /// A clock that reads `wall`, with the newer of the build and the link's issue time as its floor.
    pub(crate) fn new(wall: fn() -> Timestamp, link_issued: Timestamp) -> Self {
        let built = BUILT.parse().unwrap_or(0);
        let issued = u64::try_from(link_issued.as_second()).unwrap_or(0);
        Self::with_floor(wall, built.max(issued))
    }

    fn with_floor(wall: fn() -> Timestamp, floor_unix_s: u64) -> Self {
        let floor = UnixTime::since_unix_epoch(Duration::from_secs(floor_unix_s));
        Self { floor, is_suspect: AtomicBool::new(false), wall }
    }

    /// The newest moment that has certainly passed.
    pub(crate) fn floor(&self) -> UnixTime {
        self.floor
    }

    /// Whether the collector could only be believed at another time than this clock's.
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// A chain was believed, at this clock's own time or not. The last word counts: a clock that was set right is
    /// suspect no more.
    pub(crate) fn note(&self, suspect: bool) {
        self.is_suspect.store(suspect, Ordering::Relaxed);
    }

    fn now(&self) -> UnixTime {
        // A clock before 1970 reads as 1970: as wrong, and as survivable.
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from((self.wall)().as_second()).unwrap_or(0)))
    }
}

/// Lends the clock to rustls.
#[derive(Debug)]
pub(super) struct Wall(pub(super) std::sync::Arc<BoundedClock>);

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0.now())
    }
}

#[cfg(test)]
pub(super) fn test_clock(wall: fn() -> Timestamp, floor_unix_s: u64) -> std::sync::Arc<BoundedClock> {
    std::sync::Arc::new(BoundedClock::with_floor(wall, floor_unix_s))
}
