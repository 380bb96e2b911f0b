//! When time counts: the calendars by name, and the bands that work is charged by.

use jiff::civil::Date;
use serde::Serialize;

use super::{Asked, say};
use crate::{
    bands::{Band, BandRule},
    calendar::{CalendarDef, Holiday, Hours, Weekly},
    words::BookName,
};

/// What a calendar's name means in the other sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoursClaim {
    /// The name.
    pub calendar: BookName,
    /// The calendar, holidays inside.
    pub def: CalendarDef,
    /// The version's first day: dated entries before it are not said. Those after its last are, because incidents that
    /// it was in force for may run on.
    pub from: Date,
}

/// In which bands time is cut; the first that matches wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BandsClaim {
    /// On which calendar.
    pub calendar: BookName,
    /// The bands.
    pub bands: Vec<Band>,
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Every calendar that a sentence names.
pub(super) fn gather(asked: &Asked<'_>) -> Vec<HoursClaim> {
    let mut names: Vec<&BookName> = Vec::new();
    let measured = asked.plan.availability.iter().map(|measured| &measured.calendar.value);
    let tariff = asked.tariff_calendar().map(|(name, _)| name);
    for name in asked.target_calendars().chain(measured).chain(tariff).chain(asked.support_calendars()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let claim = |name: &BookName| {
        let def = asked.book.calendars.get(name)?.clone();
        Some(HoursClaim { calendar: name.clone(), def, from: asked.dates().0 })
    };
    names.into_iter().filter_map(claim).collect()
}

/// Whether a calendar never closes.
pub(super) fn is_always(def: &CalendarDef) -> bool {
    let all_day = Weekly::every_day(&[Hours("00:00".to_owned(), "24:00".to_owned())]);
    def.weekly == all_day && def.holidays.is_empty() && def.yearly_holidays.is_empty()
}

/// `around the clock`, `in "business" hours`.
pub(super) fn in_hours(name: &BookName, def: Option<&CalendarDef>) -> String {
    match def {
        Some(def) if is_always(def) => "around the clock".to_owned(),
        Some(_) | None => format!("in \"{name}\" hours"),
    }
}

impl HoursClaim {
    pub(super) fn say(&self) -> String {
        let Self { calendar, def, .. } = self;
        if is_always(def) {
            return format!("\"{calendar}\" is every hour of every day, holidays too.");
        }
        let mut said = format!("\"{calendar}\" hours are {}, {} time.", weekly(&def.weekly), def.tz);
        let extra: Vec<String> = def
            .extra
            .iter()
            .filter(|hours| self.matters(&hours.date))
            .map(|hours| {
                let holiday = if hours.counts_on_holiday { ", even on a holiday" } else { "" };
                format!("{} {}{holiday}", dated(&hours.date), from_to(&hours.from, &hours.to))
            })
            .collect();
        if !extra.is_empty() {
            said += &format!(" So are {}.", say::list(&extra, "and"));
        }
        let yearly = def.yearly_holidays.iter().map(|day| holiday(day, &every_year(&day.date)));
        let single = def.holidays.iter().filter(|day| self.matters(&day.date));
        let holidays: Vec<String> = yearly.chain(single.map(|day| holiday(day, &dated(&day.date)))).collect();
        if !holidays.is_empty() {
            said += &format!(" Holidays do not count: {}.", say::list(&holidays, "and"));
        }
        said
    }

    fn matters(&self, date: &str) -> bool {
        date.parse::<Date>().is_ok_and(|date| date >= self.from)
    }
}

impl BandsClaim {
    pub(super) fn say(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        for Band { name, when } in &self.bands {
            let what = match when {
                BandRule::Holidays => "the holidays".to_owned(),
                BandRule::Weekly => format!("\"{}\" hours", self.calendar),
                BandRule::Days(days) => {
                    let names: Vec<&str> = days.iter().filter_map(|&day| DAYS.get(day).copied()).collect();
                    say::list(&names, "and")
                }
                BandRule::Rest => "all other time".to_owned(),
            };
            said.push(format!("\"{name}\" is {what}"));
        }
        format!(
            "What work costs depends on when it is done, by the first of these that fits: {}. Work across a boundary \
             is split there.",
            said.join("; ")
        )
    }
}

/// `Monday to Thursday 8:00 to 18:00 and Friday 8:00 to 12:00 and 13:00 to 18:00`.
fn weekly(weekly: &Weekly) -> String {
    let week: [&[Hours]; 7] = Weekly::days(weekly);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in (0..7).filter(|&day| !week[day].is_empty()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == day && week[*last] == week[day] => *last = day,
            Some(_) | None => runs.push((day, day)),
        }
    }
    let said: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| {
            let name =
                if first == last { DAYS[first].to_owned() } else { format!("{} to {}", DAYS[first], DAYS[last]) };
            let each: Vec<String> = week[first].iter().map(|Hours(from, to)| from_to(from, to)).collect();
            format!("{name} {}", say::list(&each, "and"))
        })
        .collect();
    if said.is_empty() { "on no weekday".to_owned() } else { said.join("; ") }
}

/// `8:00 to 18:00`, `22:00 to 4:00 the next day`.
fn from_to(from: &str, to: &str) -> String {
    // Two digits each: the texts are ordered as the times are. `24:00` is the greatest.
    let overnight = if to < from { " the next day" } else { "" };
    format!("{} to {}{overnight}", say::clock(from), say::clock(to))
}

fn holiday(day: &Holiday, date: &str) -> String {
    let part = match (&day.from, &day.to) {
        (None, None) => String::new(),
        (Some(from), None) => format!(" from {}", say::clock(from)),
        (None, Some(to)) => format!(" until {}", say::clock(to)),
        (Some(from), Some(to)) => format!(" {}", from_to(from, to)),
    };
    match &day.name {
        Some(name) => format!("{name} ({date}{part})"),
        None => format!("{date}{part}"),
    }
}

fn dated(date: &str) -> String {
    date.parse::<Date>().map_or_else(|_| date.to_owned(), say::day)
}

/// `every 25 December`.
fn every_year(date: &str) -> String {
    let month_and_day = date.split_once('-').and_then(|(month, day)| {
        let month = month.parse::<usize>().ok()?.checked_sub(1)?;
        Some(format!("every {} {}", day.trim_start_matches('0'), MONTHS.get(month)?))
    });
    month_and_day.unwrap_or_else(|| format!("every {date}"))
}
