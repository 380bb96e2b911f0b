//! Holidays that are added while a version is in force.
//!
//! A list of holidays is complete until a day that it names (`valid_until`, or its last dated day where that is later).
//! Days after it were never promised either way, so next year's may be announced without an amendment, as long as they
//! lie ahead. Days up to it are promised: they are changed by an amendment only. Incidents keep the calendars that were
//! pinned to them (F2).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, tz::TimeZone};

use super::{Book, CalendarFile, Version};
use crate::{
    calendar::{CalendarDef, Holiday},
    words::BookName,
};

/// A dated holiday that a book changes and may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rewritten {
    /// The calendar that observes it.
    pub calendar: BookName,
    /// Its date.
    pub date: String,
    /// Whether it is new, or gone or at other hours.
    pub is_new: bool,
}

/// The holidays of calendars of `before` that `after` adds or takes away although they were promised, or have passed on
/// `today`. Calendars that `after` lacks are not looked at: their versions differ altogether.
pub fn rewritten(before: &Book, after: &Book, calendars: &BTreeSet<BookName>, today: Date) -> Vec<Rewritten> {
    let mut found = Vec::new();
    for name in calendars {
        let (Some(old), Some(new)) = (before.calendars.get(name), after.calendars.get(name)) else { continue };
        let promised = before.calendar_files.get(name).and_then(|file| promised_until(before, file));
        let (old, new) = (dates(old), dates(new));
        let is_free = |date: &str| {
            date.parse::<Date>().is_ok_and(|date| date > today && promised.is_none_or(|promised| date > promised))
        };
        let changed = old.symmetric_difference(&new).filter(|(date, ..)| !is_free(date));
        found.extend(changed.map(|day| Rewritten {
            calendar: name.clone(),
            date: day.0.to_owned(),
            is_new: new.contains(day),
        }));
    }
    found.sort();
    found.dedup();
    found
}

/// Every calendar by which a version counts.
pub fn calendars_of(book: &Book, version: &Version) -> BTreeSet<BookName> {
    let plan = book.plans.get(&version.plan.value);
    let riders = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value));
    let targets = plan.into_iter().flat_map(|plan| &plan.targets).chain(riders.flat_map(|rider| &rider.overrides));
    let measured = plan.and_then(|plan| plan.availability.as_ref()).map(|measured| measured.calendar.value.clone());
    targets.map(|target| target.calendar.value.clone()).chain(measured).collect()
}

/// The last day of which the lists of a calendar say that it is or is not a holiday.
fn promised_until(book: &Book, file: &CalendarFile) -> Option<Date> {
    let lists = file.holidays.iter().filter_map(|name| book.holidays.get(&name.value));
    let last = lists.flat_map(|list| {
        let dated = list.dated.iter().filter_map(|day| day.date.parse().ok());
        list.valid_until.as_ref().map(|until| until.value).into_iter().chain(dated)
    });
    last.max()
}

/// The dated holidays by date and hours; what they are called promises nothing.
fn dates(def: &CalendarDef) -> BTreeSet<(&str, Option<&str>, Option<&str>)> {
    def.holidays.iter().map(|day| (day.date.as_str(), day.from.as_deref(), day.to.as_deref())).collect()
}

/// The calendar as a version's hash covers it: with the dated holidays up to the end of the year in which the version
/// takes effect. Those of later years are announced while it is in force.
pub(super) fn as_hashed<'a>(
    calendars: impl Iterator<Item = (&'a BookName, &'a CalendarDef)>,
    version: &Version,
    zone: &TimeZone,
) -> BTreeMap<&'a BookName, CalendarDef> {
    let year = zone.to_datetime(version.from).year();
    let is_covered = |day: &Holiday| day.date.parse::<Date>().is_ok_and(|date| date.year() <= year);
    calendars
        .map(|(name, def)| {
            let holidays = def.holidays.iter().filter(|day| is_covered(day)).cloned().collect();
            (name, CalendarDef { holidays, ..def.clone() })
        })
        .collect()
}
