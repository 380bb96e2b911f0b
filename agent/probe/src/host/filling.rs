//! In how many days a file system is full, if it goes on as it did.
//!
//! Of each hour one value is kept for a week, over restarts too ([`crate::Memory`]). The slope is the middle one of those
//! between all values of the same hour of different days (Theil and Sen, by season as Hirsch has it), so that one large
//! file and a nightly clean-up say nothing; and it must be so of the last day too, so that what was copied once and lies
//! still is nobody's growth. Before a day and a half is known nothing is said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// For so long values are kept, in hours.
const KEPT_H: i64 = 7 * 24;
const DAY_H: i64 = 24;
/// So many pairs must be there.
const LEAST: usize = 12;
/// Under so many days it is bad, and under so many a warning (PROBES 10).
pub(super) const BAD_DAYS: f64 = 3.0;
pub(super) const WARN_DAYS: f64 = 14.0;
/// So many file systems are followed.
const POINTS_MAX: usize = 16;

/// How full each file system was, by where it is mounted.
pub(crate) type DiskMemory = BTreeMap<String, Hours>;

/// One file system's week: hours since 1970, and hundredths of a percent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hours(Vec<(i64, u16)>);

/// Notes how full a file system is in this hour; the first value of an hour stands.
pub(super) fn note(memory: &mut DiskMemory, point: &str, used_percent: f64, hour: i64) {
    if !memory.contains_key(point) {
        if memory.len() >= POINTS_MAX {
            return;
        }
        memory.insert(point.to_owned(), Hours::default());
    }
    let Some(Hours(hours)) = memory.get_mut(point) else { return };
    // A clock that was set back: what lies ahead never was.
    hours.retain(|(at, _)| *at <= hour && *at > hour - KEPT_H);
    if hours.last().is_none_or(|(at, _)| *at < hour) {
        // From 0 to 10,000, which fits.
        hours.push((hour, (used_percent.clamp(0.0, 100.0) * 100.0).round() as u16));
    }
}

/// Forgets file systems that are not mounted any more for a week.
pub(super) fn forget(memory: &mut DiskMemory, hour: i64) {
    memory.retain(|_, Hours(hours)| hours.last().is_some_and(|(at, _)| *at > hour - KEPT_H));
}

/// In how many days it is full; `None` where it does not fill, or too little is known.
pub(super) fn days_to_full(memory: &DiskMemory, point: &str, used_percent: f64) -> Option<f64> {
    let Hours(hours) = memory.get(point)?;
    let (last, _) = hours.last()?;
    let per_day = slope(hours, i64::MIN, 7)?.min(slope(hours, last - DAY_H, 1)?);
    // A tenth of a percent a day is not worth a word.
    (per_day > 0.1).then(|| (100.0 - used_percent).max(0.0) / per_day)
}

/// Percent a day: the middle of the slopes between values of the same hour of different days, the later of them after
/// `since`, and so many days apart at most.
fn slope(hours: &[(i64, u16)], since: i64, days_max: i64) -> Option<f64> {
    let mut slopes: Vec<f64> = Vec::new();
    for (index, (from, before)) in hours.iter().enumerate() {
        let later = hours[index + 1..].iter().filter(|(to, _)| *to > since && (to - from) % DAY_H == 0);
        let near = later.filter(|(to, _)| to - from <= days_max * DAY_H);
        let grown = near.map(|(to, after)| (f64::from(*after) - f64::from(*before)) / ((to - from) as f64 / 24.0));
        slopes.extend(grown.map(|hundredths| hundredths / 100.0));
    }
    if slopes.len() < LEAST {
        return None;
    }
    let middle = slopes.len() / 2;
    let (_, middle, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*middle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file system that is this full in each of so many hours; what is said at the last.
    fn days(hours: i64, used: impl Fn(i64) -> f64) -> Option<f64> {
        let mut memory = DiskMemory::default();
        (0..hours).for_each(|hour| note(&mut memory, "/", used(hour), 490_000 + hour));
        days_to_full(&memory, "/", used(hours - 1))
    }

    #[test]
    fn what_grows_is_full_in_so_many_days() {
        let seen = days(168, |hour| 50.0 + hour as f64 * 0.2).unwrap();
        assert!((seen - (100.0 - 50.0 - 167.0 * 0.2) / 4.8).abs() < 0.1, "{seen}");
        assert_eq!(days(168, |_| 80.0), None);
        assert_eq!(days(168, |hour| 90.0 - hour as f64 * 0.1), None);
        assert_eq!(days(30, |hour| 50.0 + hour as f64), None, "too little is known");
        assert!(days(40, |hour| 50.0 + hour as f64).is_some());
    }

    #[test]
    fn a_nightly_clean_up_and_a_copy_once_are_no_growth() {
        assert_eq!(days(168, |hour| 60.0 + (hour % 24) as f64), None, "full by day and cleared by night");
        assert_eq!(days(168, |hour| if hour < 80 { 30.0 } else { 70.0 }), None, "copied once, half a week ago");
        assert_eq!(days(168, |hour| if hour < 150 { 30.0 } else { 70.0 }), None, "copied today");
        let with_noise = days(168, |hour| 40.0 + hour as f64 * 0.2 + if hour % 9 == 0 { 15.0 } else { 0.0 }).unwrap();
        assert!((3.0..6.0).contains(&with_noise), "{with_noise}");
    }

    #[test]
    fn a_clock_that_was_set_back_and_a_week_without_the_disk_leave_nothing_behind() {
        let mut memory = DiskMemory::default();
        (0..200).for_each(|hour| note(&mut memory, "/", 50.0, hour));
        assert_eq!(memory["/"].0.len(), 168);
        note(&mut memory, "/", 50.0, 100);
        assert_eq!(memory["/"].0.last().unwrap().0, 100);
        forget(&mut memory, 100 + KEPT_H);
        assert!(memory.is_empty());
    }

    proptest! {
        #[test]
        fn no_history_breaks_it(all in proptest::collection::vec((-10_i64..400, -5.0..105.0_f64), 0..300)) {
            let mut memory = DiskMemory::default();
            for (hour, used) in all {
                note(&mut memory, "/", used, hour);
                let days = days_to_full(&memory, "/", used.clamp(0.0, 100.0));
                prop_assert!(days.is_none_or(|days| days.is_finite() && days >= 0.0));
            }
        }
    }
}
