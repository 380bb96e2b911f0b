//! The collector's clock: the wall clock against the monotonic clock, and against the median of the agents (DELIVERY 4).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use upheld_model::Mono;

use super::Change;

/// More than this off, and the clock is in doubt.
pub const DOUBT: SignedDuration = SignedDuration::from_secs(30);
/// Agents that must be heard before they contradict or confirm a clock: one has a clock that is ten years off.
pub const QUORUM: usize = 3;
/// With fewer agents nobody can be asked: a clock that has not moved again for so long is believed.
pub const SETTLES_BY_ITSELF: Duration = Duration::from_secs(15 * 60);
/// How long one comparison of both clocks goes back: long enough for a jump in small steps, too short for the slow
/// correction that a time service makes.
const COMPARED_OVER: Duration = Duration::from_secs(60 * 60);

/// Both clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub mono: Mono,
}

/// Whether the wall clock may be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockGuard {
    /// From where both clocks are compared; `None` before the first reading.
    base: Option<Reading>,
    last: Option<Reading>,
    /// The median of the agents that was taken as it is.
    accepted: SignedDuration,
    /// Since when it is in doubt, and since when, by the monotonic clock, it has not moved again.
    doubt: Option<(Timestamp, Mono)>,
    /// By how much it is off while it is in doubt, for all that is known.
    off: SignedDuration,
    /// By how much it was off before the first reading, as the process before knew: the base is what it would show.
    known: SignedDuration,
}

impl ClockGuard {
    /// A clock that was in doubt when the process before this one ended, and by how much it was off then for all that was
    /// known; zero where that is not known.
    pub fn in_doubt_since(since: Timestamp, off: SignedDuration) -> Self {
        Self { doubt: Some((since, Mono(0))), off, known: off, ..Self::default() }
    }

    /// Since when it is in doubt, and by how much it is off for all that is known: what a process after this one needs to
    /// know. `None` while it is believed.
    pub fn doubt(&self) -> Option<(Timestamp, SignedDuration)> {
        self.doubt.map(|(since, _)| (since, self.off))
    }

    /// A new process begins, by a clock that should have gone on since the collector's last sign of life. One that shows an
    /// earlier time is in doubt; one that runs ahead looks like a longer absence, which agents alone can contradict. One that
    /// was off as the last process ended is taken to be off by as much, unless that makes it earlier than that sign of life,
    /// or so much later that the doubt would have settled by itself.
    pub fn started(&mut self, last_alive: Timestamp, now: Timestamp) -> Option<Change> {
        let went = now.duration_since(last_alive);
        let settles = SignedDuration::try_from(SETTLES_BY_ITSELF).unwrap_or(SignedDuration::MAX);
        if (-DOUBT..=settles).contains(&went.saturating_sub(self.off)) {
            return None;
        }
        // What it was off by before is over; behind it is by so much at least.
        (self.off, self.known) = (went.min(SignedDuration::ZERO), SignedDuration::ZERO);
        if went >= -DOUBT || self.doubt.is_some() {
            return None;
        }
        self.doubt = Some((now, Mono(0)));
        let why = format!("the collector was alive {} s later than its clock shows as it starts", went.abs().as_secs());
        Some(Change::Begins { since: now, noticed: now, why })
    }

    /// The time that is most likely when the wall clock shows this: while that is in doubt what it would show had it not
    /// jumped, or what the agents' median says, or, of a process that began behind the last sign of life, the time since
    /// that. Unless a `witness`, the clock of who is dated by it, agrees with the wall clock: two do not go wrong alike. It
    /// is no further from the truth than what was dated before the doubt.
    #[must_use]
    pub fn likely(&self, wall: Timestamp, witness: Option<Timestamp>) -> Timestamp {
        let agrees = witness.is_some_and(|witness| wall.duration_since(witness).abs() <= DOUBT);
        match self.doubt {
            Some(_) if !agrees => wall.saturating_sub(self.off).unwrap_or(wall),
            Some(_) | None => wall,
        }
    }

    /// Whether it is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// Takes a reading of both clocks; ask before anything is judged.
    ///
    /// ```
    /// use upheld_detection::own::{ClockGuard, Reading};
    /// use upheld_model::Mono;
    /// let reading = |wall, mono: u64| Reading { wall: jiff::Timestamp::from_second(wall).unwrap(), mono: Mono(mono * 1_000_000_000) };
    /// let mut clock = ClockGuard::default();
    /// assert!(clock.read(reading(1_000, 5)).is_none());
    /// assert!(clock.read(reading(1_010, 15)).is_none());
    /// assert!(clock.read(reading(4_600, 16)).is_some(), "an hour in a second");
    /// ```
    pub fn read(&mut self, reading: Reading) -> Option<Change> {
        let Some(base) = self.base else {
            let wall = reading.wall.saturating_sub(self.known).unwrap_or(reading.wall);
            (self.base, self.last) = (Some(Reading { wall, ..reading }), Some(reading));
            self.doubt = self.doubt.map(|(since, _)| (since, reading.mono));
            return None;
        };
        let last = self.last.replace(reading).unwrap_or(base);
        let off = step(base, reading);
        match self.doubt {
            None if off.abs() > DOUBT => {
                let since = last.wall.min(reading.wall);
                self.doubt = Some((since, reading.mono));
                self.off = off;
                let why = format!("the wall clock moved by {} s against the monotonic clock", off.as_secs());
                Some(Change::Begins { since, noticed: reading.wall, why })
            }
            None => {
                if reading.mono.since(base.mono) > COMPARED_OVER {
                    self.base = Some(reading);
                }
                None
            }
            Some((since, quiet_since)) => {
                let moved = step(last, reading);
                if moved.abs() > DOUBT {
                    self.doubt = Some((since, reading.mono));
                    self.off = self.off.saturating_add(moved);
                    // It may have been set right: it is as it was before the jump.
                    if off.abs() <= DOUBT {
                        return self.settle(reading, "the wall clock is back where it was");
                    }
                    return None;
                }
                if reading.mono.since(quiet_since) >= SETTLES_BY_ITSELF {
                    return self
                        .settle(reading, "it has not moved again for 15 minutes, and too few agents contradict");
                }
                None
            }
        }
    }

    /// Takes what the agents that were heard since the last asking say: the collector's clock minus theirs, of each.
    pub fn asked(&mut self, offsets: &[SignedDuration], reading: Reading) -> Option<Change> {
        if offsets.len() < QUORUM {
            return None;
        }
        let mut sorted = offsets.to_vec();
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        let is_off = median.saturating_sub(self.accepted).abs() > DOUBT;
        if is_off {
            self.off = median.saturating_sub(self.accepted);
        }
        match (self.doubt, is_off) {
            (None, true) => {
                self.doubt = Some((reading.wall, reading.mono));
                let why = format!("the median of {} agents is {} s away from it", offsets.len(), median.as_secs());
                Some(Change::Begins { since: reading.wall, noticed: reading.wall, why })
            }
            (Some((since, _)), true) => {
                // They contradict: it does not settle by itself.
                self.doubt = Some((since, reading.mono));
                None
            }
            (Some(_), false) => self.settle(reading, "the median of the agents agrees with it"),
            (None, false) => None,
        }
    }

    /// A person said that the clock is right as it is, and so what the agents say now is no contradiction.
    pub fn settled_by_person(&mut self, offsets: &[SignedDuration], reading: Reading) -> Option<Change> {
        let mut sorted = offsets.to_vec();
        sorted.sort_unstable();
        self.accepted = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        self.settle(reading, "a person closed the incident: the clock is right as it is")
    }

    fn settle(&mut self, reading: Reading, why: &str) -> Option<Change> {
        let (since, _) = self.doubt.take()?;
        (self.base, self.last) = (Some(reading), Some(reading));
        self.off = SignedDuration::ZERO;
        Some(Change::Ends { since, until: reading.wall.max(since), why: why.to_owned() })
    }
}

/// By how much the wall clock moved more than the monotonic one.
fn step(from: Reading, to: Reading) -> SignedDuration {
    let went = SignedDuration::try_from(to.mono.since(from.mono)).unwrap_or(SignedDuration::MAX);
    to.wall.duration_since(from.wall).saturating_sub(went)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: i64, mono: u64) -> Reading {
        Reading { wall: Timestamp::from_second(wall).unwrap(), mono: Mono(mono * 1_000_000_000) }
    }

    fn seconds(seconds: &[i64]) -> Vec<SignedDuration> {
        seconds.iter().copied().map(SignedDuration::from_secs).collect()
    }

    fn told(change: Option<Change>) -> String {
        match change {
            None => "-".to_owned(),
            Some(Change::Begins { since, noticed, .. }) => {
                format!("doubt {}@{}", since.as_second(), noticed.as_second())
            }
            Some(Change::Ends { since, until, .. }) => format!("good {}..{}", since.as_second(), until.as_second()),
        }
    }

    #[test]
    fn a_jump_either_way_is_doubt_until_the_clock_is_back() {
        for jump in [-7_200, -31, 31, 7_200] {
            let mut clock = ClockGuard::default();
            assert_eq!(told(clock.read(reading(10_000, 0))), "-");
            assert_eq!(told(clock.read(reading(10_001, 1))), "-");
            let (to, since) = (10_002 + jump, 10_001.min(10_002 + jump));
            assert_eq!(told(clock.read(reading(to, 2))), format!("doubt {since}@{to}"));
            assert_eq!(told(clock.read(reading(to + 60, 62))), "-");
            assert!(clock.is_in_doubt());
            assert_eq!(told(clock.read(reading(10_063, 63))), format!("good {since}..10063"));
            assert!(!clock.is_in_doubt());
        }
    }

    #[test]
    fn while_it_is_in_doubt_the_likely_time_is_what_it_would_show_had_it_not_jumped() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for jump in [-315_576_000, -3_600, 3_600, 315_576_000] {
            let mut clock = ClockGuard::default();
            clock.read(reading(10_000, 0));
            assert_eq!(clock.likely(at(10_005), None), at(10_005));
            clock.read(reading(10_010 + jump, 10));
            assert_eq!(clock.likely(at(10_020 + jump), None), at(10_020));
            clock.read(reading(10_030 - jump, 30));
            assert_eq!(clock.likely(at(10_040 - jump), None), at(10_040), "it jumped again");
            clock.read(reading(10_050, 50));
            assert_eq!((clock.is_in_doubt(), clock.likely(at(10_060), None)), (false, at(10_060)));
        }
        // One whose clock shows the same is believed, at once and for himself; too few are asked.
        let mut clock = ClockGuard::default();
        clock.read(reading(13_600, 0));
        clock.read(reading(10_010, 10));
        assert_eq!(clock.likely(at(10_020), Some(at(10_050))), at(10_020), "it was set right");
        assert_eq!(clock.likely(at(10_020), Some(at(10_051))), at(13_620));
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        clock.read(reading(3_601, 1));
        clock.read(reading(4_501, 901));
        assert_eq!((clock.is_in_doubt(), clock.likely(at(5_000), None)), (false, at(5_000)));
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        clock.asked(&seconds(&[3_600, 3_601, -90_000]), reading(30, 30));
        assert_eq!((clock.is_in_doubt(), clock.likely(at(4_000), None)), (true, at(400)), "by the agents' median");
    }

    #[test]
    fn a_process_that_begins_before_the_last_sign_of_life_is_in_doubt_and_one_that_begins_later_is_not() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (alive, now, is_told) in
            [(5_000, 5_000, false), (5_000, 9_000, false), (5_000, 4_970, false), (5_000, 1_400, true)]
        {
            let mut clock = ClockGuard::default();
            assert_eq!(
                told(clock.started(at(alive), at(now))),
                if is_told { format!("doubt {now}@{now}") } else { "-".to_owned() }
            );
            assert_eq!(clock.is_in_doubt(), is_told);
        }
        let mut clock = ClockGuard::default();
        clock.started(at(5_000), at(1_400));
        assert_eq!(told(clock.read(reading(1_405, 70))), "-");
        assert_eq!(clock.likely(at(1_410), None), at(5_010), "no earlier than it was alive");
        assert_eq!(told(clock.asked(&seconds(&[-3_700, -3_701, -3_699]), reading(1_410, 75))), "-", "they contradict");
        assert_eq!(clock.likely(at(1_420), None), at(5_120), "and know better");
        assert_eq!(told(clock.read(reading(5_120, 85))), "-");
        assert_eq!(told(clock.asked(&seconds(&[0, 1, 0]), reading(5_125, 90))), "good 1400..5125");
        let mut clock = ClockGuard::in_doubt_since(at(900), SignedDuration::ZERO);
        assert_eq!(told(clock.started(at(5_000), at(1_400))), "-", "it was in doubt already");
        clock.read(reading(1_400, 1));
        assert_eq!(told(clock.read(reading(2_300, 901))), "good 900..2300");
    }

    #[test]
    fn a_process_after_one_in_doubt_knows_by_how_much_the_clock_is_off() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for off in [-3_600, -31, 31, 3_600, 315_576_000] {
            let mut before = ClockGuard::default();
            before.read(reading(10_000, 0));
            before.read(reading(10_010 + off, 10));
            let (since, known) = before.doubt().unwrap();
            assert_eq!(known, SignedDuration::from_secs(off));
            // A minute later, by a monotonic clock of its own.
            let again = || {
                let mut clock = ClockGuard::in_doubt_since(since, known);
                assert_eq!(told(clock.started(at(10_000), at(10_070 + off))), "-");
                assert_eq!(told(clock.read(reading(10_070 + off, 500))), "-");
                assert_eq!(clock.likely(at(10_080 + off), None), at(10_080), "off by {off} s");
                clock
            };
            let mut clock = again();
            assert_eq!(told(clock.read(reading(10_090, 520))), format!("good {}..10090", since.as_second()));
            assert_eq!((clock.doubt(), clock.likely(at(10_100), None)), (None, at(10_100)));
            let mut clock = again();
            assert_eq!(told(clock.read(reading(20_090, 520))), "-", "it is set again, and not right");
            assert_eq!(clock.likely(at(20_100), None), at(10_100));
        }
        // It was set right before the process began: it would have begun before the last sign of life, or long after it.
        for off in [3_600, -3_600] {
            let mut clock = ClockGuard::in_doubt_since(at(10_000), SignedDuration::from_secs(off));
            assert_eq!(told(clock.started(at(10_000), at(10_070))), "-");
            assert_eq!(clock.doubt(), Some((at(10_000), SignedDuration::ZERO)), "by {off} s");
            assert_eq!(told(clock.read(reading(10_070, 500))), "-");
            assert_eq!(clock.likely(at(10_080), None), at(10_080));
        }
    }

    #[test]
    fn small_steps_add_up_and_a_slow_correction_does_not() {
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        assert_eq!(told(clock.read(reading(620, 600))), "-");
        assert_eq!(told(clock.read(reading(1_240, 1_200))), "doubt 620@1240");
        let mut clock = ClockGuard::default();
        // A second in every ten minutes, for a day.
        for n in 0..144u64 {
            assert_eq!(told(clock.read(reading(i64::try_from(n * 601).unwrap(), n * 600))), "-");
        }
    }

    #[test]
    fn agents_settle_a_jump_that_was_a_correction_and_one_agent_settles_nothing() {
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        assert_eq!(told(clock.read(reading(3_601, 1))), "doubt 0@3601");
        assert_eq!(told(clock.asked(&seconds(&[0]), reading(3_610, 10))), "-");
        assert_eq!(told(clock.asked(&seconds(&[0, 1, 90_000]), reading(3_620, 20))), "good 0..3620");
    }

    #[test]
    fn agents_contradict_a_clock_that_never_jumped() {
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        assert_eq!(told(clock.asked(&seconds(&[31, 315_000_000]), reading(10, 10))), "-", "too few to contradict");
        assert_eq!(told(clock.asked(&seconds(&[-2, 0, 315_000_000]), reading(20, 20))), "-", "one battery is flat");
        assert_eq!(told(clock.asked(&seconds(&[31, 40, 35]), reading(30, 30))), "doubt 30@30");
        assert_eq!(told(clock.read(reading(2_000, 2_000))), "good 30..2000", "nobody was heard to contradict again");
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        clock.asked(&seconds(&[31, 40, 35]), reading(30, 30));
        for minute in 1..60 {
            let now = reading(30 + 60 * minute, 30 + 60 * minute.cast_unsigned());
            assert_eq!(told(clock.asked(&seconds(&[31, 40, 35]), now)), "-");
            assert_eq!(told(clock.read(now)), "-", "they go on contradicting");
        }
        let now = reading(3_700, 3_700);
        assert_eq!(told(clock.settled_by_person(&seconds(&[31, 40, 35]), now)), "good 30..3700");
        assert_eq!(told(clock.asked(&seconds(&[31, 40, 35]), now)), "-", "they say nothing new");
        assert_eq!(told(clock.asked(&seconds(&[0, 0, 0]), now)), "doubt 3700@3700", "this is new");
    }

    #[test]
    fn without_agents_a_clock_that_stands_is_believed_after_a_quarter_of_an_hour() {
        let mut clock = ClockGuard::default();
        clock.read(reading(0, 0));
        clock.read(reading(3_601, 1));
        assert_eq!(told(clock.read(reading(4_500, 900))), "-");
        assert_eq!(told(clock.read(reading(4_501, 901))), "good 0..4501");
    }
}
