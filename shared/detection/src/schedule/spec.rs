//! Days and times of day that match, and the instants they are in a zone: one engine for cron and OnCalendar.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use crate::plan::plus;

/// How far ahead a next occurrence is looked for.
const YEARS_MAX: i16 = 100;

/// Which seconds match. Sets are bits by value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) years: Vec<Years>,
    /// 1 to 12.
    pub(super) months: u64,
    /// 1 to 31.
    pub(super) days: u64,
    /// Days counted from the month's last one, which is 1.
    pub(super) days_from_end: Vec<FromEnd>,
    /// Monday is 0.
    pub(super) weekdays: u64,
    pub(super) join: Join,
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
    /// The zone that the expression itself names.
    pub(super) zone: Option<TimeZone>,
}

/// Years from one to another by steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Years {
    pub(super) from: i16,
    pub(super) to: i16,
    pub(super) step: i16,
}

/// A day so far from a month's end, and every `step` days after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FromEnd {
    pub(super) back: i8,
    pub(super) step: Option<i8>,
}

/// What a day must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// Its date and its weekday.
    Both,
    /// One of them: cron, when both are given.
    Either,
}

/// Every value from one to another.
pub(super) fn bits(from: u32, to: u32, step: u32) -> u64 {
    (from..=to).step_by(step.max(1) as usize).fold(0, |set, value| set | 1 << value)
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| value < 64 && set & (1 << value) != 0)
}

impl Spec {
    /// Every instant after this one, in order and each once.
    pub(super) fn after<'a>(&'a self, after: Timestamp, zone: &'a TimeZone) -> impl Iterator<Item = Timestamp> + 'a {
        let zone = self.zone.as_ref().unwrap_or(zone);
        let first = zone.to_datetime(after).date();
        // A gap may have moved yesterday's last occurrences beyond midnight.
        let first = first.yesterday().unwrap_or(first);
        let end = first.saturating_add(i64::from(YEARS_MAX).years());
        let mut latest = after;
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(move |day| *day <= end);
        days.filter(|day| self.is_on(*day))
            .flat_map(move |day| self.times().map(move |time| instant(day, time, zone)))
            .filter(move |at| {
                let is_later = *at > latest;
                latest = latest.max(*at);
                is_later
            })
    }

    fn is_on(&self, day: Date) -> bool {
        let is_year = |years: &Years| {
            (years.from..=years.to).contains(&day.year()) && (day.year() - years.from) % years.step.max(1) == 0
        };
        if !has(self.months, day.month()) || !self.years.iter().any(is_year) {
            return false;
        }
        let is_date = has(self.days, day.day()) || self.days_from_end.iter().any(|from_end| from_end.is(day));
        let is_weekday = has(self.weekdays, day.weekday().to_monday_zero_offset());
        match self.join {
            Join::Both => is_date && is_weekday,
            Join::Either => is_date || is_weekday,
        }
    }

    fn times(&self) -> impl Iterator<Item = Time> + '_ {
        let values = |set: u64, end: i8| (0..end).filter(move |value| has(set, *value));
        values(self.hours, 24).flat_map(move |hour| {
            values(self.minutes, 60).flat_map(move |minute| {
                values(self.seconds, 60).map(move |second| Time::constant(hour, minute, second, 0))
            })
        })
    }
}

impl FromEnd {
    fn is(self, day: Date) -> bool {
        let first = day.days_in_month() - self.back + 1;
        match self.step {
            None => day.day() == first,
            Some(step) => first >= 1 && day.day() >= first && (day.day() - first) % step.max(1) == 0,
        }
    }
}

/// The instant of a wall time: the first of two, and for one that does not exist the first valid instant after it.
fn instant(day: Date, time: Time, zone: &TimeZone) -> Timestamp {
    let wall = day.to_datetime(time);
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, after: _ } => {
            offset.to_timestamp(wall).unwrap_or(Timestamp::MAX)
        }
        AmbiguousOffset::Gap { before, after: _ } => {
            let as_before = before.to_timestamp(wall).unwrap_or(Timestamp::MAX);
            let change = zone.preceding(plus(as_before, std::time::Duration::from_secs(1))).next();
            change.map_or(as_before, |change| change.timestamp())
        }
    }
}
