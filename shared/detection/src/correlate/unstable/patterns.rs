//! The evenings at which an hour of the day stood out, and the sentence that says so.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil::Date};
use upheld_model::{AssetClass, AssetId, CheckId, IncidentClass};

use super::{Case, Occurrence, What};
use crate::{
    plan::{Asset, Expected, plus},
    time_of_day::{Cells, Pattern, QUIET_DAYS, Signal, evaluate},
};

/// Facts that end this short before a midnight have seen the whole day.
const DAY_SEEN: Duration = Duration::from_secs(3_600);

/// A pattern found at a midnight.
struct Found<'a> {
    check: &'a CheckId,
    signal: Signal,
    pattern: Pattern,
}

pub(super) fn occurrences(case: &Case<'_>) -> Vec<(AssetId, IncidentClass, Occurrence)> {
    let mut by_midnight: BTreeMap<(Timestamp, Date), Vec<Found<'_>>> = BTreeMap::new();
    for (check, facts) in &case.facts.checks {
        let Some(asset) = case.asset(&check.asset).filter(|asset| !asset.may_be_off()) else { continue };
        for (signal, cells) in &facts.hours {
            let cells = expected_only(case, asset, cells);
            for (midnight, today) in midnights(case, cells.keys()) {
                if let Some(pattern) = evaluate(&cells, today, facts.hours.len()) {
                    let found = Found { check, signal: *signal, pattern };
                    by_midnight.entry((midnight, today)).or_default().push(found);
                }
            }
        }
    }
    let mut all = Vec::new();
    for ((midnight, _), found) in &by_midnight {
        for one in found.iter().filter(|one| !found.iter().any(|other| explains(case, other, one))) {
            let (asset, class) = (one.check.asset.clone(), case.class(one.check));
            all.push((asset, class, occurrence(case, one, *midnight)));
        }
    }
    all
}

/// The hours in which it is expected to run: what is switched off loses every packet, and that is no trouble of a line.
fn expected_only<'a>(case: &Case<'_>, asset: &Asset, cells: &'a Cells) -> Cow<'a, Cells> {
    let Expected::Within(_) = asset.expected else { return Cow::Borrowed(cells) };
    let mut expected = cells.clone();
    for (day, hours) in &mut expected {
        for (hour, cell) in (0i8..).zip(hours) {
            let whole = [0, 59].map(|minute| day.at(hour, minute, 0, 0).to_zoned(case.site.zone.clone()));
            if !whole.iter().all(|at| at.as_ref().is_ok_and(|at| asset.is_expected(at.timestamp()))) {
                *cell = None;
            }
        }
    }
    Cow::Owned(expected)
}

/// The midnights after the days on which there was anything to see.
pub(in crate::correlate) fn midnights<'a>(
    case: &Case<'_>,
    mut days: impl DoubleEndedIterator<Item = &'a Date>,
) -> impl Iterator<Item = (Timestamp, Date)> {
    let first = days.next().copied();
    let last = days.next_back().copied().or(first);
    let until = plus(case.facts.until, DAY_SEEN);
    let all = first.zip(last).into_iter().flat_map(|(first, last)| {
        let tomorrow = |day: &Date| day.checked_add(1.day()).ok();
        std::iter::successors(tomorrow(&first), tomorrow).take_while(move |day| Some(*day) <= tomorrow(&last))
    });
    let zone = case.site.zone.clone();
    all.filter_map(move |day| Some((day.to_zoned(zone.clone()).ok()?.timestamp(), day)))
        .take_while(move |(midnight, _)| *midnight <= until)
}

/// Whether a pattern above explains one below: it has one of its hours.
fn explains(case: &Case<'_>, other: &Found<'_>, one: &Found<'_>) -> bool {
    case.is_below(&one.check.asset, &other.check.asset)
        && other.pattern.hours.iter().any(|hour| one.pattern.hours.contains(hour))
}

fn occurrence(case: &Case<'_>, found: &Found<'_>, midnight: Timestamp) -> Occurrence {
    let quiet = found.pattern.last_bad.checked_add((QUIET_DAYS + 1).days()).unwrap_or(Date::MAX);
    let quiet = quiet.to_zoned(case.site.zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
    Occurrence {
        after: midnight,
        at: midnight,
        number: 1,
        received: midnight,
        check: found.check.clone(),
        what: What::Pattern { sentence: sentence(case, found) },
        quiet_at: quiet,
    }
}

fn sentence(case: &Case<'_>, found: &Found<'_>) -> String {
    let subject = match (found.signal, case.asset_class(&found.check.asset)) {
        (Signal::Transfers, _) => "the power supply",
        (Signal::Loss | Signal::Rtt | Signal::LinkDrops, AssetClass::InternetLink) => "the internet link",
        (Signal::Loss | Signal::Rtt | Signal::LinkDrops, AssetClass::Gateway) => "the gateway",
        (
            Signal::Loss | Signal::Rtt | Signal::LinkDrops,
            AssetClass::Ups
            | AssetClass::Switch
            | AssetClass::Recorder
            | AssetClass::Camera
            | AssetClass::AccessPanel
            | AssetClass::Server
            | AssetClass::Workstation
            | AssetClass::Other,
        ) => "the link",
    };
    let does = match found.signal {
        Signal::Loss => "loses packets",
        Signal::Rtt => "is slow",
        Signal::Transfers => "goes to battery",
        Signal::LinkDrops => "drops",
    };
    format!("{subject} {does} {}", found.pattern.when())
}
