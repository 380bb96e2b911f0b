//! When each check runs next, on the monotonic clock.

use std::{collections::BTreeSet, time::Duration};

use upheld_model::{CheckId, Mono};

/// How far ahead of its time a run may start to share a wake-up with others; an eighth of its interval at most.
pub(crate) const EARLY_MAX: Duration = Duration::from_millis(250);

/// The lanes of all checks, ordered by their next instant. Knows no check, only numbers of lanes.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    at: Vec<Option<Mono>>,
    queue: BTreeSet<(Mono, usize)>,
}

impl Schedule {
    /// Sets when a lane is due; `None` takes it out.
    pub(crate) fn set(&mut self, lane: usize, at: Option<Mono>) {
        if self.at.len() <= lane {
            self.at.resize(lane + 1, None);
        }
        if let Some(before) = self.at[lane].take() {
            self.queue.remove(&(before, lane));
        }
        if let Some(at) = at {
            self.at[lane] = Some(at);
            self.queue.insert((at, lane));
        }
    }

    /// The earliest instant of any lane.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Lanes whose instant is at most `until`, the earliest first. They stay where they are until they are set again.
    pub(crate) fn until(&self, until: Mono) -> impl Iterator<Item = (Mono, usize)> + '_ {
        self.queue.range(..=(until, usize::MAX)).copied()
    }
}

/// How early a check of this interval may run.
pub(crate) fn early(every: Duration) -> Duration {
    EARLY_MAX.min(every / 8)
}

/// The first instant after `now` that belongs to a check: its place on a grid of `every`, by a hash of its name, so
/// that checks spread over the interval and keep their place across restarts of the schedule.
pub(crate) fn next_on_grid(check: &CheckId, every: Duration, now: Mono) -> Mono {
    // At least a second (CheckSpec::validate), and at most a day, which fits in u64 nanoseconds.
    let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1);
    let place = hash(check) % every;
    let into = (now.0 % every + every - place) % every;
    Mono(now.0.saturating_add(every - into))
}

/// FNV-1a, mixed once more: spread is all that is asked of it.
fn hash(check: &CheckId) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in check.asset.as_str().bytes().chain([b'/']).chain(check.name.as_str().bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
