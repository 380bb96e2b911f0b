//! The only place of this binary that reads a clock.
//!
//! The agent's own time is made of these readings by [`upheld_engine::AgentClock`].

use std::time::Duration;

use jiff::Timestamp;
use upheld_engine::Reading;
use upheld_model::Mono;

/// This host's wall clock as it stands.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock, which stands still while the machine sleeps.
pub(crate) fn mono() -> Mono {
    platform::mono()
}

/// The processor time that this process has used.
pub(crate) fn processor_time() -> Option<Duration> {
    platform::processor_time()
}

/// The name this host has for itself.
pub(crate) fn host_name() -> String {
    platform::host_name()
}

/// All clocks of the machine together.
pub(crate) fn reading() -> Reading {
    Reading { wall: wall(), mono: mono(), boottime: platform::boottime() }
}

#[cfg(windows)]
use crate::platform::machine as platform;

#[cfg(target_os = "linux")]
mod platform {
    use std::time::Duration;

    use rustix::{
        system::uname,
        time::{ClockId, clock_gettime},
    };
    use upheld_model::Mono;

    pub(super) fn mono() -> Mono {
        Mono(0).plus(elapsed(ClockId::Monotonic))
    }

    pub(super) fn boottime() -> Option<Mono> {
        Some(Mono(0).plus(elapsed(ClockId::Boottime)))
    }

    pub(super) fn processor_time() -> Option<Duration> {
        Some(elapsed(ClockId::ProcessCPUTime))
    }

    pub(super) fn host_name() -> String {
        uname().nodename().to_string_lossy().into_owned()
    }

    fn elapsed(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // None of these clocks is negative.
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod platform {
    use std::{
        sync::OnceLock,
        time::{Duration, Instant},
    };

    use upheld_model::Mono;

    /// Counts from the process's start.
    pub(super) fn mono() -> Mono {
        static START: OnceLock<Instant> = OnceLock::new();
        Mono(0).plus(START.get_or_init(Instant::now).elapsed())
    }

    /// Sleep is not told apart from a stepped clock on this system.
    pub(super) fn boottime() -> Option<Mono> {
        None
    }

    pub(super) fn processor_time() -> Option<Duration> {
        None
    }

    pub(super) fn host_name() -> String {
        std::env::var("HOSTNAME").unwrap_or_else(|_| "unnamed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_goes_on_and_the_one_that_counts_sleep_is_not_behind_it() {
        let (first, second) = (reading(), reading());
        assert!(second.mono >= first.mono);
        assert!(second.boottime.is_none_or(|boottime| boottime >= first.mono));
    }
}
