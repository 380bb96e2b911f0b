//! Which task is whose, where several collectors serve one database. Nobody is elected: each task has a lease of its
//! own, and whoever finds it free takes it.
//!
//! Two clocks, and each only where it is sound. A lease begins and ends by the database's clock, which is one for all,
//! and each write of a task is checked against it in its own transaction. What leaves the house cannot be checked there:
//! for that a holder knows until when it surely holds, counted from the moment at which it asked.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_detection::own::Reading;
use upheld_store::leases::LeaseRow;

/// How long a lease lasts when nobody prolongs it. With [`KEEP_EVERY`] another collector has the task within 8 s.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(6);
/// How often a collector prolongs what it has and takes what is free.
pub(crate) const KEEP_EVERY: Duration = Duration::from_secs(2);
/// How long after it asked a holder may still send: a second is left to what is on its way.
const SURE: SignedDuration = SignedDuration::from_secs(5);

/// What to do about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is free: take it.
    Take {
        /// The fence of its last holder; `None` when there was none.
        was: Option<i64>,
    },
    /// It is ours: prolong it.
    Keep {
        /// Our fence.
        fence: i64,
    },
    /// It is another one's.
    Leave,
}

/// What the collector `me` does about a task that stands so; `now` by the database's clock.
pub(crate) fn step(row: Option<&LeaseRow>, me: &str, now: Timestamp) -> Step {
    match row {
        None => Step::Take { was: None },
        // Also our own: meanwhile another may have had it and gone, and what we began before is void.
        Some(row) if row.until <= now => Step::Take { was: Some(row.fence) },
        Some(row) if row.holder == me => Step::Keep { fence: row.fence },
        Some(_) => Step::Leave,
    }
}

/// A lease that was given or prolonged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    fence: i64,
    /// When it was asked for: the database's answer counts from then or later.
    asked: Reading,
}

impl Grant {
    fn is_sure(&self, now: Reading) -> bool {
        let by_mono = Duration::from_nanos(now.mono.0.saturating_sub(self.asked.mono.0));
        // The monotonic clock stands still while a host is suspended, the wall clock may be set: the one that says more
        // counts.
        by_mono < SURE.unsigned_abs() && now.wall.duration_since(self.asked.wall) < SURE
    }
}

/// What this collector has.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    all: BTreeMap<&'static str, Grant>,
    /// When the last answer was asked for, whatever it gave.
    asked: Option<Timestamp>,
}

impl Grants {
    /// Notes what the database gave, all of it, to whoever asked at `asked`.
    pub(crate) fn given(&mut self, all: impl IntoIterator<Item = (&'static str, i64)>, asked: Reading) {
        self.all = all.into_iter().map(|(task, fence)| (task, Grant { fence, asked })).collect();
        self.asked = Some(asked.wall);
    }

    /// When the last answer was asked for, by the holder's wall clock.
    pub(crate) fn asked(&self) -> Option<Timestamp> {
        self.asked
    }

    /// The fence under which this collector does a task; `None` while it surely is not its own.
    pub(crate) fn fence(&self, task: &str, now: Reading) -> Option<i64> {
        self.all.get(task).filter(|grant| grant.is_sure(now)).map(|grant| grant.fence)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use upheld_model::Mono;

    use super::*;

    const TASK: &str = "clocks";

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap()
    }

    /// The clocks of a collector whose wall clock is `skew_ms` ahead.
    fn reading(ms: i64, skew_ms: i64) -> Reading {
        Reading { wall: at(ms + skew_ms), mono: Mono(u64::try_from(ms).unwrap() * 1_000_000) }
    }

    fn row(holder: &str, fence: i64, until: i64) -> LeaseRow {
        LeaseRow { task: TASK.into(), holder: holder.into(), fence, taken_at: at(0), until: at(until) }
    }

    #[test]
    fn a_free_task_is_taken_an_own_one_kept_and_another_ones_left() {
        assert_eq!(step(None, "a", at(0)), Step::Take { was: None });
        assert_eq!(step(Some(&row("b", 4, 10)), "a", at(9)), Step::Leave);
        assert_eq!(step(Some(&row("b", 4, 10)), "a", at(10)), Step::Take { was: Some(4) });
        assert_eq!(step(Some(&row("a", 4, 10)), "a", at(9)), Step::Keep { fence: 4 });
        assert_eq!(step(Some(&row("a", 4, 10)), "a", at(10)), Step::Take { was: Some(4) });
    }

    #[test]
    fn what_was_given_ends_by_whichever_clock_says_more() {
        let mut grants = Grants::default();
        grants.given([(TASK, 3)], reading(1_000, 0));
        assert_eq!(grants.fence(TASK, reading(5_999, 0)), Some(3));
        assert_eq!(grants.fence(TASK, reading(6_000, 0)), None);
        assert_eq!(grants.fence(TASK, reading(1_001, 4_999)), None, "suspended: only the wall clock went on");
        assert_eq!(
            grants.fence(TASK, reading(5_999, -3_600_000)),
            Some(3),
            "a wall clock that is set back gives nothing"
        );
        assert_eq!(grants.fence(TASK, reading(6_000, -3_600_000)), None);
        assert_eq!(grants.fence("silence", reading(1_000, 0)), None);
    }

    /// What happens to one of three collectors.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// Time passes for all.
        Pass(i64),
        /// It reads the clocks, as it does before it asks for leases.
        Asks(usize),
        /// What it asked for is carried out, perhaps long after (it was frozen in between), and the answer arrives.
        Answered(usize),
        /// The same, and the answer is lost on its way.
        Lost(usize),
        /// It looks whether it holds, and what fence it would write under.
        Looks(usize),
        /// It writes under the fence that it found, perhaps long after.
        Writes(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        let who = 0..3_usize;
        prop_oneof![
            3 => (1..9_000_i64).prop_map(Event::Pass),
            3 => who.clone().prop_map(Event::Asks),
            3 => who.clone().prop_map(Event::Answered),
            1 => who.clone().prop_map(Event::Lost),
            2 => who.clone().prop_map(Event::Looks),
            2 => who.prop_map(Event::Writes),
        ]
    }

    #[derive(Default)]
    struct Collector {
        grants: Grants,
        asked: Option<Reading>,
        looked: Option<i64>,
    }

    /// One statement of the database: what a collector does in its transaction.
    fn database(row: &mut Option<LeaseRow>, me: &str, now: Timestamp) -> Option<i64> {
        let (fence, taken_at) = match step(row.as_ref(), me, now) {
            Step::Leave => return None,
            Step::Take { was } => (was.unwrap_or(0) + 1, now),
            Step::Keep { fence } => (fence, row.as_ref().unwrap().taken_at),
        };
        *row = Some(LeaseRow { task: TASK.into(), holder: me.into(), fence, taken_at, until: now + LEASE });
        Some(fence)
    }

    proptest! {
        #[test]
        fn never_two_hold_a_task_and_never_one_writes_after_the_next(
            events in prop::collection::vec(event(), 1..200),
            skews in prop::array::uniform3(-60_000..60_000_i64),
        ) {
            let names = ["a", "b", "c"];
            let mut collectors: [Collector; 3] = Default::default();
            let (mut row, mut ms, mut written) = (None::<LeaseRow>, 0, 0);
            for event in events {
                match event {
                    Event::Pass(by) => ms += by,
                    Event::Asks(who) => collectors[who].asked = Some(reading(ms, skews[who])),
                    Event::Answered(who) | Event::Lost(who) => {
                        let Some(asked) = collectors[who].asked.take() else { continue };
                        let before = row.as_ref().map_or(0, |row| row.fence);
                        let given = database(&mut row, names[who], at(ms));
                        let after = row.as_ref().map_or(0, |row| row.fence);
                        prop_assert!(after == before || after == before + 1, "fences grow one by one");
                        if matches!(event, Event::Answered(_)) {
                            collectors[who].grants.given(given.map(|fence| (TASK, fence)), asked);
                        }
                    }
                    Event::Looks(who) => {
                        collectors[who].looked = collectors[who].grants.fence(TASK, reading(ms, skews[who]));
                    }
                    Event::Writes(who) => {
                        let Some(fence) = collectors[who].looked else { continue };
                        let is_leased = row.as_ref().is_some_and(|row| row.fence == fence && at(ms) < row.until);
                        if is_leased {
                            prop_assert!(fence >= written, "{fence} wrote after {written}");
                            prop_assert_eq!(&row.as_ref().unwrap().holder, names[who]);
                            written = fence;
                        }
                    }
                }
                let holding: Vec<_> = (0..3)
                    .filter_map(|who| collectors[who].grants.fence(TASK, reading(ms, skews[who])).map(|fence| (who, fence)))
                    .collect();
                prop_assert!(holding.len() <= 1, "{holding:?} at {ms}");
                if let [(who, fence)] = holding.as_slice() {
                    let row = row.as_ref().unwrap();
                    prop_assert!(row.fence == *fence && row.holder == names[*who] && at(ms) < row.until, "{row:?}");
                }
            }
        }

        #[test]
        fn whoever_is_left_has_the_task_within_eight_seconds(
            frozen_at in 0..60_000_i64,
            first in 0..2_000_i64,
            second in 0..2_000_i64,
        ) {
            let every = i64::try_from(KEEP_EVERY.as_millis()).unwrap();
            let (mut row, mut taken) = (None, None);
            for ms in 0..80_000 {
                if ms >= first && (ms - first) % every == 0 && ms <= frozen_at {
                    database(&mut row, "a", at(ms));
                }
                if ms >= second && (ms - second) % every == 0 {
                    let has = database(&mut row, "b", at(ms)).is_some();
                    if has && ms >= frozen_at && taken.is_none() {
                        taken = Some(ms);
                    }
                }
            }
            prop_assert!(taken.unwrap() - frozen_at <= 8_000);
        }
    }
}
