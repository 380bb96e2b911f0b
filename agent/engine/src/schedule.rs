//! When each check runs next, on the monotonic clock.

use std::{collections::BTreeSet, time::Duration};

use upheld_model::{CheckId, Mono};

/// Runs begin on common instants this far apart, so that one wake-up serves many. Halved, an agent with 20 checks every
/// 10 s wakes up 0.8 times a second more often (measured: once for the start, once for the answers) and misses its goal
/// of 3; doubled, the start of its runs is twice as crowded.
const SLOT_MAX: Duration = Duration::from_secs(2);
/// At least into so many parts an interval is parted.
const PARTS_MIN: u32 = 5;

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

/// The first instant after `now` that belongs to a check: its slot, by a hash of its name, on a grid of `every`. So checks
/// spread over the interval, keep their place, and never drift; what was missed is not made up for.
pub(crate) fn next_on_grid(check: &CheckId, every: Duration, now: Mono) -> Mono {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1);
    let slot = nanos(SLOT_MAX.min(every / PARTS_MIN));
    let every = nanos(every);
    let place = hash(check) % (every / slot).max(1) * slot;
    // Both remainders are less than a day (CheckSpec::validate), so the sum is far from overflow.
    let into = (now.0 % every + (every - place)) % every;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_check_keeps_its_place_and_its_interval() {
        let (check, every) = (id(7), Duration::from_secs(10));
        let mut now = Mono(5);
        for _ in 0..1_000 {
            let next = next_on_grid(&check, every, now);
            assert!(next > now && next.since(now) <= every);
            assert_eq!(next_on_grid(&check, every, next).since(next), every);
            assert_eq!(next_on_grid(&check, every, Mono(next.0 - 1)), next);
            now = next.plus(Duration::from_millis(3_333));
        }
    }

    #[test]
    fn checks_spread_over_their_interval() {
        let every = Duration::from_secs(10);
        let mut per_slot = BTreeMap::new();
        for number in 0..1_000 {
            *per_slot.entry(next_on_grid(&id(number), every, Mono(1 << 50))).or_insert(0) += 1;
        }
        assert_eq!(per_slot.len(), 5);
        assert!(per_slot.values().all(|count| (140..260).contains(count)), "{per_slot:?}");
    }

    #[test]
    fn a_second_is_parted_too_and_a_day_is_not_only_its_first_second() {
        let spread = |every: u64| {
            let every = Duration::from_secs(every);
            let instants: BTreeSet<_> = (0..1_000).map(|number| next_on_grid(&id(number), every, Mono(0))).collect();
            (instants.len(), instants.last().unwrap().since(Mono(0)))
        };
        assert_eq!(spread(1), (5, Duration::from_secs(1)));
        let (instants, last) = spread(86_400);
        assert!(instants > 950 && last > Duration::from_secs(80_000));
    }

    #[test]
    fn lanes_come_due_in_order_and_only_once_set() {
        let mut schedule = Schedule::default();
        for (lane, at) in [(2, 30), (0, 10), (1, 20), (0, 40)] {
            schedule.set(lane, Some(Mono(at)));
        }
        assert_eq!(schedule.next(), Some(Mono(20)));
        assert_eq!(schedule.until(Mono(30)).collect::<Vec<_>>(), [(Mono(20), 1), (Mono(30), 2)]);
        schedule.set(1, None);
        assert_eq!(schedule.next(), Some(Mono(30)));
    }

    fn id(number: u32) -> CheckId {
        format!("asset-{number}/net.icmp").parse().unwrap()
    }
}
