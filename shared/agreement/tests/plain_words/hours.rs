//! The hours as a sentence says them, minute by minute, and the calendar held against them.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use upheld_agreement::{
    bands::Bands,
    calendar::Calendar,
    explain::{BandsClaim, HoursClaim},
};

use super::{Case, read};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// How many days are looked at, beginning two before the instant of the case.
const DAYS_LOOKED_AT: i64 = 80;

/// Hours as they were read from a sentence: for each minute of the days looked at, whether it counts.
pub(crate) struct SaidHours {
    first: Timestamp,
    is_open: Vec<bool>,
    is_holiday: Vec<bool>,
    pub(crate) zone: TimeZone,
}

/// What a sentence says.
#[derive(Default)]
struct Said {
    is_always: bool,
    zone: String,
    weekly: [Vec<(Time, Time)>; 7],
    extra: Vec<(Date, Time, Time)>,
    holidays: Vec<Holiday>,
}

/// Month and day, the year where it is not every one, and the part of the day.
type Holiday = (i8, i8, Option<i16>, Time, Option<Time>);

impl SaidHours {
    pub(crate) fn read(text: &str, at: Timestamp) -> Self {
        let said = said(text);
        let zone = TimeZone::get(if said.is_always { "UTC" } else { &said.zone }).unwrap();
        let first = Timestamp::from_second((at.as_second() / 86_400 - 2) * 86_400).unwrap();
        let minutes = || (0..DAYS_LOOKED_AT * 1440).map(|minute| zone.to_datetime(first + minute.minutes()));
        let is_open = minutes().map(|wall| said.is_open(wall)).collect();
        let is_holiday = minutes().map(|wall| said.is_holiday(wall)).collect();
        Self { first, is_open, is_holiday, zone }
    }

    fn minute(&self, at: Timestamp) -> usize {
        usize::try_from((at.as_second() - self.first.as_second()).div_euclid(60)).unwrap()
    }

    /// When so many seconds have counted, walking minute by minute; all instants and times here are whole minutes.
    pub(crate) fn due(&self, from: Timestamp, seconds: u64) -> Timestamp {
        let mut left = seconds / 60;
        let mut minute = self.minute(from);
        while left > 0 {
            left -= u64::from(self.is_open[minute]);
            minute += 1;
        }
        self.first + i64::try_from(minute).unwrap().minutes()
    }

    /// That wall time of the n-th date after the start's that has such hours.
    pub(crate) fn due_by(&self, from: Timestamp, by: Time, mut nth: u32) -> Timestamp {
        let mut date = self.zone.to_datetime(from).date();
        while nth > 0 {
            date = date.tomorrow().unwrap();
            nth -= u32::from(self.has_hours(date));
        }
        self.zone.to_ambiguous_timestamp(date.to_datetime(by)).compatible().unwrap()
    }

    fn has_hours(&self, date: Date) -> bool {
        let midnight = |date: Date| date.to_zoned(self.zone.clone()).unwrap().timestamp();
        let (from, to) = (self.minute(midnight(date)), self.minute(midnight(date.tomorrow().unwrap())));
        self.is_open[from..to].iter().any(|is_open| *is_open)
    }
}

impl Said {
    fn is_open(&self, wall: DateTime) -> bool {
        if self.is_always {
            return true;
        }
        let (date, time) = (wall.date(), wall.time());
        let yesterday = date.yesterday().unwrap();
        let runs = |(from, to): &(Time, Time), is_own: bool| match (from < to || *to == Time::midnight(), is_own) {
            (true, true) => *from <= time && (time < *to || *to == Time::midnight()),
            (true, false) => false,
            (false, true) => *from <= time,
            (false, false) => time < *to,
        };
        let weekday = |date: Date| usize::try_from(date.weekday().to_monday_zero_offset()).unwrap();
        let is_weekly = self.weekly[weekday(date)].iter().any(|hours| runs(hours, true))
            || self.weekly[weekday(yesterday)].iter().any(|hours| runs(hours, false));
        let is_extra = self.extra.iter().any(|(on, from, to)| {
            (*on == date && runs(&(*from, *to), true)) || (*on == yesterday && runs(&(*from, *to), false))
        });
        (is_weekly || is_extra) && !self.is_holiday(wall)
    }

    fn is_holiday(&self, wall: DateTime) -> bool {
        self.holidays.iter().any(|(month, day, year, from, to)| {
            (wall.month(), wall.day()) == (*month, *day)
                && year.is_none_or(|year| year == wall.year())
                && *from <= wall.time()
                && to.is_none_or(|to| wall.time() < to)
        })
    }
}

fn said(text: &str) -> Said {
    let mut said = Said { is_always: text.contains("is every hour of every day"), ..Said::default() };
    if said.is_always {
        return said;
    }
    let sentences = text.split_once(" hours are ").unwrap().1;
    let (weekly, rest) = sentences.split_once(" time.").unwrap();
    let (weekly, zone) = weekly.rsplit_once(", ").unwrap();
    said.zone = zone.to_owned();
    for part in weekly.split("; ") {
        let (days, hours) =
            part.split_at(part.find(|letter: char| letter.is_ascii_digit() || part.starts_with("m")).unwrap());
        let days: Vec<usize> =
            days.split(" to ").map(|day| DAYS.iter().position(|known| *known == day.trim()).unwrap()).collect();
        for day in days[0]..=days[days.len() - 1] {
            said.weekly[day] = hours.split(" and ").map(from_to).collect();
        }
    }
    if let Some((_, extra)) = rest.split_once(" So are ") {
        for part in extra.split_once('.').unwrap().0.split(" and ") {
            let words = read::words(part);
            let (from, to) = from_to(&words[3..].join(" ").replace(" the next day", ""));
            said.extra.push((date(&words[..3].join(" ")).unwrap(), from, to));
        }
    }
    if let Some((_, holidays)) = rest.split_once("do not count: ") {
        for part in holidays.split('(').skip(1) {
            said.holidays.push(holiday(part.split_once(')').unwrap().0));
        }
    }
    said
}

/// `every 25 December`, `24 December 2026 from 12:00`.
fn holiday(text: &str) -> Holiday {
    let words = read::words(text);
    let (date, rest, year) = match words[0] {
        "every" => (date(&format!("{} {} 2024", words[1], words[2])).unwrap(), &words[3..], None),
        _ => (date(&words[..3].join(" ")).unwrap(), &words[3..], Some(words[2].parse().unwrap())),
    };
    let (from, to) = match rest {
        [] => (Time::midnight(), None),
        ["from", from] => (clock(from), None),
        ["until", to] => (Time::midnight(), Some(clock(to))),
        [from, "to", to] => (clock(from), Some(clock(to))),
        other => panic!("{other:?}"),
    };
    (date.month(), date.day(), year, from, to)
}

fn from_to(text: &str) -> (Time, Time) {
    let (from, to) = text.trim().split_once(" to ").unwrap();
    (clock(from), clock(to))
}

pub(crate) fn clock(text: &str) -> Time {
    match text {
        "midnight" => Time::midnight(),
        _ => Time::strptime("%H:%M", format!("{text:0>5}")).unwrap(),
    }
}

pub(crate) fn date(text: &str) -> Option<Date> {
    Date::strptime("%d %B %Y", format!("{:0>2}", text)).ok()
}

/// The calendar is open in those minutes that the sentence says, and in no other.
pub(crate) fn hold(case: &Case, claim: &HoursClaim) {
    let said = &case.hours[claim.calendar.as_str()];
    let calendar = Calendar::compile(&case.book.calendars[&claim.calendar]).unwrap();
    for (minute, is_open) in (0..).zip(&said.is_open) {
        let at = said.first + i64::from(minute).minutes();
        let date = said.zone.to_datetime(at).date();
        if date >= claim.from {
            assert_eq!(calendar.is_open(at), *is_open, "{} at {at}", claim.calendar);
        }
    }
    assert!(said.is_open.iter().any(|is_open| *is_open));
}

/// Every quarter of an hour is in the band that the sentence gives it.
pub(crate) fn bands(case: &Case, claim: &BandsClaim, text: &str) {
    let file = &case.book.calendar_files[&claim.calendar];
    let bands = Bands::compile(&case.book.calendars[&claim.calendar], &file.bands).unwrap();
    let said = &case.hours[claim.calendar.as_str()];
    let list = text.split_once("that fits: ").unwrap().1.split_once(". ").unwrap().0;
    let rules: Vec<(&str, &str)> = list
        .split("; ")
        .map(|part| part.split_once(" is ").map(|(name, what)| (name.trim_matches('"'), what)).unwrap())
        .collect();
    for (minute, is_open) in (0_i64..).zip(&said.is_open).step_by(15) {
        let at = said.first + minute.minutes();
        let day = DAYS[usize::try_from(said.zone.to_datetime(at).weekday().to_monday_zero_offset()).unwrap()];
        let is_holiday = said.is_holiday[usize::try_from(minute).unwrap()];
        let fits = |what: &str| match what {
            "the holidays" => is_holiday,
            "all other time" => true,
            hours if hours.ends_with(" hours") => *is_open,
            days => days.contains(day),
        };
        let expected = rules.iter().find(|(_, what)| fits(what)).unwrap().0;
        assert_eq!(bands.at(at), expected, "{at}");
    }
}
