//! Readings that come late: whatever is no news changes nothing that judging looks at.

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use upheld_model::Outcome;

use super::{
    Keeper, Kept, Stretch, readings,
    tests::{at, name, story},
};
use crate::{
    correlate::ON_BATTERY,
    kind::CheckKind,
    observe::{Reading, Supply, Unfolded, unfolded},
    plan::{Check, Promised, plus},
};

proptest! {
    /// However late readings come: as long as nothing is news, judging again finds what it found.
    #[test]
    fn what_is_no_news_changes_nothing(
        steps in proptest::collection::vec((1i64..400, 0u8..6, 0u64..3, 0u8..20), 1..80),
        kind in 0usize..4, late in proptest::collection::vec(prop_oneof![4 => Just(0i64), 1 => 1i64..3_000], 1..80),
        clock in proptest::collection::vec(prop_oneof![6 => Just(0i64), 1 => -90i64..90, 1 => Just(-3_600)], 1..20),
    ) {
        let kind = CheckKind::new(["ups.nut", "net.link", "net.icmp", "host"][kind]);
        let plan = Check { rule: kind.usual_rule(), kind: kind.clone(), promised: Promised::default() };
        let mut arrived = story(&steps);
        for (nth, reading) in arrived.iter_mut().enumerate() {
            let second = reading.at.as_second();
            reading.received = at(second + 4_000 + late[nth % late.len()]);
            reading.at = at(second + clock[(nth / 4) % clock.len()]);
        }
        arrived.sort_by_key(|reading| reading.received);
        let (mut kept, mut rows, mut before) = (Kept::default(), Vec::<Stretch>::new(), None);
        for reading in arrived {
            let mut keeper = Keeper::new(kept, TimeZone::UTC);
            keeper.take(&name(), Some(&kind), reading.clone(), None);
            let (next, over) = keeper.finish();
            kept = next;
            // As in a store, whose rows have their begin for a name.
            let fresh = over.stretches.into_iter().map(|(_, stretch)| stretch);
            let fresh: Vec<_> = fresh.filter(|one| rows.iter().all(|row| row.from != one.from)).collect();
            rows.extend(fresh);
            let looked = looked_at(&plan, rows.iter().chain(kept.latest().map(|(_, stretch)| stretch)));
            if let Some(before) = before.filter(|_| !over.is_news) {
                prop_assert_eq!(&looked, &before, "{:?}", reading);
            }
            before = Some(looked);
        }
    }
}

/// What judging looks at: of a battery that is not over whether it has lasted, of a warning that goes on its begin.
fn looked_at<'a>(plan: &Check, stretches: impl Iterator<Item = &'a Stretch>) -> String {
    let mut told = readings(stretches);
    told.sort_by_key(|reading| (reading.at, reading.received));
    let last = told.last().filter(|reading| reading.outcome == Outcome::Warn).map(|reading| reading.at);
    let Unfolded { mut on_battery, counts, mut degraded } = unfolded(plan, &told);
    for stretch in &mut on_battery {
        let lasted = plus(stretch.from.not_after, ON_BATTERY);
        stretch.last_seen = if lasted <= stretch.last_seen { lasted } else { stretch.from.not_after };
    }
    degraded.iter_mut().filter(|span| Some(span.to) == last).for_each(|span| span.to = Timestamp::MAX);
    format!("{on_battery:?} {counts:?} {degraded:?}")
}

#[test]
fn when_mains_came_back_does_not_move_with_each_reading_after_a_late_one() {
    let kind = CheckKind::new("ups.nut");
    let (mut kept, mut rows) = (Kept::default(), Vec::new());
    let mut ends = Vec::new();
    let (on, off) = (Some(Supply::Battery { is_low: false }), Some(Supply::Mains));
    for (second, supply) in [(0, off), (60, on), (320, off), (380, off), (350, on), (440, off), (500, off)] {
        let mut keeper = Keeper::new(kept, TimeZone::UTC);
        let reading = Reading { supply, received: at(1_000), ..Reading::new(at(second), Outcome::Ok) };
        keeper.take(&name(), Some(&kind), reading, None);
        let (next, over) = keeper.finish();
        kept = next;
        rows.extend(over.stretches.into_iter().map(|(_, stretch)| stretch));
        let mut told = readings(rows.iter().chain(kept.latest().map(|(_, stretch)| stretch)));
        told.sort_by_key(|reading| reading.at);
        let plan = Check { rule: kind.usual_rule(), kind: kind.clone(), promised: Promised::default() };
        let seen = unfolded(&plan, &told).on_battery;
        ends.push(seen.last().and_then(|stretch| stretch.until).map(Timestamp::as_second));
    }
    assert_eq!(ends, [None, None, Some(320), Some(320), Some(380), Some(380), Some(380)]);
}

#[test]
fn after_a_clock_that_stood_years_ahead_a_day_is_few_stretches() {
    let kind = CheckKind::new("ups.nut");
    let years = 10 * 365 * 86_400;
    let ahead = (60..70).map(|n| (years + n * 60, n % 4 == 0));
    let right = (0..60).map(|n| (n * 60, false));
    let after = (70..1_510).map(|n| (n * 60, (400..430).contains(&n)));
    let (mut kept, mut number) = (Kept::default(), 0);
    for (second, is_on) in right.chain(ahead).chain(after) {
        let supply = Some(if is_on { Supply::Battery { is_low: false } } else { Supply::Mains });
        let mut keeper = Keeper::new(kept, TimeZone::UTC);
        keeper.take(&name(), Some(&kind), Reading { supply, ..Reading::new(at(second), Outcome::Ok) }, None);
        let (next, over) = keeper.finish();
        kept = next;
        number += over.stretches.len();
    }
    assert!(number <= 12, "{number}");
}

#[test]
fn what_a_clock_that_stood_ahead_dated_too_late_ends_where_the_journal_goes_on() {
    let kind = CheckKind::new("ups.nut");
    let (mut kept, mut rows) = (Kept::default(), Vec::new());
    let (on, off) = (Some(Supply::Battery { is_low: false }), Some(Supply::Mains));
    // An hour ahead from 180 to 300.
    for (second, supply) in [(0, off), (60, on), (120, on), (3_780, on), (3_840, on), (300, off), (4_000, off)] {
        let mut keeper = Keeper::new(kept, TimeZone::UTC);
        keeper.take(&name(), Some(&kind), Reading { supply, ..Reading::new(at(second), Outcome::Ok) }, None);
        let (next, over) = keeper.finish();
        kept = next;
        rows.extend(over.stretches.into_iter().map(|(_, stretch)| stretch));
    }
    let mut told = readings(rows.iter().chain(kept.latest().map(|(_, stretch)| stretch)));
    told.sort_by_key(|reading| (reading.at, reading.received));
    let plan = Check { rule: kind.usual_rule(), kind, promised: Promised::default() };
    let seen = unfolded(&plan, &told).on_battery;
    let seen: Vec<_> = seen.iter().map(|stretch| (stretch.from.not_after, stretch.until)).collect();
    assert_eq!(seen, [(at(60), Some(at(300)))]);
}
