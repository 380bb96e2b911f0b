//! What amendments of one mode do to a clock that runs (F2, F3): versions as a case writes them, for the engine of
//! [`crate::amendment`].

use jiff::Timestamp;

pub use crate::amendment::AmendMode;
use crate::{
    amendment::{Change, Term, course},
    calendar::{Calendar, Due, Pause},
    terms::{CoveredSeconds, Within},
};

/// A version of the terms of one target.
#[derive(Debug, Clone)]
pub struct Version {
    /// From when it is in force; `None` for always.
    pub effective_from: Option<Timestamp>,
    /// Its calendar.
    pub calendar: Calendar,
    /// Its target in seconds of that calendar.
    pub target_s: u64,
}

impl Version {
    fn term<'a>(&'a self, held: &'a [Pause]) -> Term<'a> {
        let within = Within::Covered { seconds: CoveredSeconds(self.target_s) };
        Term { calendar: &self.calendar, within, held }
    }
}

/// The most versions of one target: an agreement has a handful.
pub const VERSIONS_MAX: usize = 1_000;

/// Why versions give no due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmendError {
    /// More than are taken.
    #[error("{count} are given, at most {VERSIONS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// None is in force at the start.
    #[error("no version is in force at the start: write one with effective_from null or not after start")]
    NotInForce,
    /// Two take effect at the same instant.
    #[error("two take effect at {}", at.map_or_else(|| "null".to_owned(), |at| at.to_string()))]
    Ambiguous {
        /// When; `None` when both have been in force for ever.
        at: Option<Timestamp>,
    },
}

/// A clock's due under several versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    /// The due, with and without the floor.
    pub due: AmendedDue,
    /// The change whose terms gave the due; `None` when it is still that of the version in force at the start.
    pub decided_by: Option<Timestamp>,
}

/// A due before and after F3's floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendedDue {
    /// As the mode computes it.
    pub recomputed: Due,
    /// Never before the change that moved it: tightening makes no breach in the past (F3, grace 0).
    pub due: Due,
}

/// The due of a clock started at `start`, under the versions in force then and since. The order of `versions` does
/// not matter.
pub fn amend(start: Timestamp, mode: AmendMode, versions: &[Version], pauses: &[Pause]) -> Result<Amended, AmendError> {
    let History { first, changes } = History::new(start, versions)?;
    let taken: Vec<Change<'_>> =
        changes.iter().map(|&(at, version)| Change { at, mode, term: version.term(pauses), grace_s: 0 }).collect();
    let course = course(start, &first.term(pauses), &taken);
    let decided_by = course.stretches.last().and_then(|last| Some(taken.get(last.term.checked_sub(1)?)?.at));
    Ok(Amended { due: AmendedDue { recomputed: course.recomputed, due: course.due }, decided_by })
}

/// The versions of one clock in the order in which they apply.
struct History<'v> {
    /// In force at the start.
    first: &'v Version,
    /// In force later, ascending, each with its instant.
    changes: Vec<(Timestamp, &'v Version)>,
}

impl<'v> History<'v> {
    fn new(start: Timestamp, versions: &'v [Version]) -> Result<Self, AmendError> {
        if versions.len() > VERSIONS_MAX {
            return Err(AmendError::TooMany { count: versions.len() });
        }
        let mut ordered: Vec<&Version> = versions.iter().collect();
        ordered.sort_by_key(|version| version.effective_from);
        if let Some(twins) = ordered.windows(2).find(|pair| pair[0].effective_from == pair[1].effective_from) {
            return Err(AmendError::Ambiguous { at: twins[0].effective_from });
        }
        let later = |version: &&'v Version| version.effective_from.filter(|from| *from > start);
        let first = ordered.iter().rfind(|version| later(version).is_none()).ok_or(AmendError::NotInForce)?;
        let changes = ordered.iter().filter_map(|version| later(version).map(|from| (from, *version))).collect();
        Ok(Self { first, changes })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::calendar::{CalendarDef, Hours, Weekly};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn on(time: &str) -> Timestamp {
        at(&format!("2026-11-23T{time}:00Z"))
    }

    fn daily(from: &str, to: &str) -> Calendar {
        let weekly = Weekly::every_day(&[Hours(from.into(), to.into())]);
        Calendar::compile(&CalendarDef { tz: "UTC".into(), weekly, ..CalendarDef::default() }).unwrap()
    }

    fn version(effective_from: Option<Timestamp>, calendar: &Calendar, hours: u64) -> Version {
        Version { effective_from, calendar: calendar.clone(), target_s: hours * 3600 }
    }

    /// Recomputed and floored due of a clock started at 08:00 on 23 November 2026 (a Monday).
    fn dues(mode: AmendMode, versions: &[Version], pauses: &[Pause]) -> (Due, Due) {
        let AmendedDue { recomputed, due } = amend(on("08:00"), mode, versions, pauses).unwrap().due;
        (recomputed, due)
    }

    fn both(due: Timestamp) -> (Due, Due) {
        (Due::At(due), Due::At(due))
    }

    #[test]
    fn each_mode_has_its_own_due() {
        let (office, always) = (daily("08:00", "18:00"), daily("00:00", "24:00"));
        let versions = [version(None, &office, 8), version(Some(on("10:00")), &always, 4)];
        assert_eq!(dues(AmendMode::Pin, &versions, &[]), both(on("16:00")));
        assert_eq!(dues(AmendMode::CarryElapsed, &versions, &[]), both(on("12:00")));
        // Six of eight hours were unused: three of four.
        assert_eq!(dues(AmendMode::Prorate, &versions, &[]), both(on("13:00")));
        assert_eq!(dues(AmendMode::RestartFromChange, &versions, &[]), both(on("14:00")));
        assert_eq!(dues(AmendMode::RestartFromStart, &versions, &[]), both(on("12:00")));
    }

    #[test]
    fn tightening_makes_no_breach_in_the_past() {
        let office = daily("08:00", "18:00");
        let versions = [version(None, &office, 8), version(Some(on("14:00")), &office, 2)];
        assert_eq!(dues(AmendMode::CarryElapsed, &versions, &[]), both(on("14:00")));
        let restarted = dues(AmendMode::RestartFromStart, &versions, &[]);
        assert_eq!(restarted, (Due::At(on("10:00")), Due::At(on("14:00"))));
    }

    #[test]
    fn a_clock_that_ran_out_before_the_change_keeps_its_due() {
        let office = daily("08:00", "18:00");
        let versions = [version(None, &office, 2), version(Some(on("14:00")), &office, 8)];
        for mode in [AmendMode::CarryElapsed, AmendMode::Prorate] {
            let amended = amend(on("08:00"), mode, &versions, &[]).unwrap();
            assert_eq!((amended.due.recomputed, amended.due.due, amended.decided_by), {
                let (recomputed, due) = both(on("10:00"));
                (recomputed, due, None)
            });
        }
        assert_eq!(dues(AmendMode::RestartFromStart, &versions, &[]), both(on("16:00")));
    }

    #[test]
    fn carrying_walks_through_several_changes_in_order_of_time() {
        let (office, always) = (daily("08:00", "18:00"), daily("00:00", "24:00"));
        let versions = [
            version(Some(on("20:00")), &always, 16),
            version(None, &office, 40),
            version(Some(on("12:00")), &office, 30),
        ];
        // 4 h to noon, 6 h to closing, then 6 h of plain time from 20:00.
        assert_eq!(dues(AmendMode::CarryElapsed, &versions, &[]), both(at("2026-11-24T02:00:00Z")));
        // 36/40 of 30 h is 27 h; less 6 h is 21/30 of 16 h = 11.2 h from 20:00.
        assert_eq!(dues(AmendMode::Prorate, &versions, &[]), both(at("2026-11-24T07:12:00Z")));
        assert_eq!(dues(AmendMode::RestartFromChange, &versions, &[]), both(at("2026-11-24T12:00:00Z")));
    }

    #[test]
    fn prorating_rounds_up_to_a_whole_second() {
        let office = daily("08:00", "18:00");
        let second = |target_s, from| Version { effective_from: from, calendar: office.clone(), target_s };
        let change = on("08:00") + SignedDuration::from_secs(1);
        let versions = [second(3, None), second(100, Some(change))];
        // 2/3 of 100 s is 66.67 s.
        assert_eq!(dues(AmendMode::Prorate, &versions, &[]), both(change + SignedDuration::from_secs(67)));
    }

    #[test]
    fn pauses_count_under_neither_version() {
        let office = daily("08:00", "18:00");
        let versions = [version(None, &office, 8), version(Some(on("10:00")), &office, 4)];
        let ended = [Pause { from: on("09:00"), to: Some(on("11:00")) }];
        assert_eq!(dues(AmendMode::CarryElapsed, &versions, &ended), both(on("14:00")));
        let open = [Pause { from: on("09:00"), to: None }];
        assert_eq!(dues(AmendMode::CarryElapsed, &versions, &open), (Due::Paused, Due::Paused));
    }

    #[test]
    fn versions_that_are_not_in_force_or_ambiguous_are_refused() {
        let office = daily("08:00", "18:00");
        let many = vec![version(None, &office, 8); VERSIONS_MAX + 1];
        assert_eq!(amend(on("08:00"), AmendMode::Pin, &many, &[]), Err(AmendError::TooMany { count: 1_001 }));
        let late = [version(Some(on("09:00")), &office, 8)];
        assert_eq!(amend(on("08:00"), AmendMode::Pin, &late, &[]), Err(AmendError::NotInForce));
        let twins = [version(None, &office, 8), version(None, &office, 4)];
        assert_eq!(amend(on("08:00"), AmendMode::Pin, &twins, &[]), Err(AmendError::Ambiguous { at: None }));
        let past = [version(None, &office, 8), version(Some(on("07:00")), &office, 1)];
        assert_eq!(dues(AmendMode::RestartFromChange, &past, &[]), both(on("09:00")));
    }
}
