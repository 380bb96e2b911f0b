//! The calendar on the wall clock alone: a week that repeats, and special dates that differ from it.
//!
//! Positions are seconds of an unbroken wall clock since 1970-01-01T00:00 ("wall seconds"): no zone yet. Counting
//! and reaching cost two binary searches, however far apart their ends are (R8).

use std::collections::BTreeMap;

use jiff::civil::{Date, date};

use super::{
    check::{Checked, DAY_S, Special},
    day::{Day, Kind},
    stretch::Stretch,
};

/// Far beyond every instant, and far from overflowing.
const FOREVER_DAY: i64 = i64::MAX / DAY_S / 4;

/// Open wall seconds as a function of the wall clock.
#[derive(Debug)]
pub(super) struct Wall {
    /// Day `d` since 1970-01-01 (a Thursday) is `week[d mod 7]` unless it is special.
    week: [Day; 7],
    /// The open seconds of the first `i` days of `week`.
    week_before: [i64; 8],
    /// Ascending.
    specials: Vec<SpecialDay>,
    /// What special days look like; many look the same.
    patterns: Vec<Day>,
}

#[derive(Debug, Clone, Copy)]
struct SpecialDay {
    day: i64,
    pattern: u32,
    /// [`Wall::open_before`] at its midnight.
    open_before: i64,
    /// What special days up to this one added to the repeating week.
    shift: i64,
}

impl Wall {
    /// `years` bounds where yearly holidays fall.
    pub(super) fn new(checked: &Checked, years: std::ops::RangeInclusive<i16>) -> Self {
        let week = std::array::from_fn(|day| special_day(&checked.weekly[from_monday(day as i64)], &[]));
        let mut week_before = [0; 8];
        for (day, hours) in week.iter().enumerate() {
            week_before[day + 1] = week_before[day] + hours.open();
        }
        let mut wall = Self { week, week_before, specials: Vec::new(), patterns: Vec::new() };
        wall.add_specials(checked, special_dates(checked, years));
        wall
    }

    fn add_specials(&mut self, checked: &Checked, dates: Vec<(i64, Special)>) {
        // What each weekday looks like under which specials; most special days look like an earlier one.
        let mut known: [BTreeMap<Vec<Special>, u32>; 7] = Default::default();
        let (mut specials, mut shift) = (Vec::new(), 0);
        for group in dates.chunk_by(|a, b| a.0 == b.0) {
            let day = group[0].0;
            specials.clear();
            specials.extend(group.iter().map(|(_, special)| *special));
            let known = &mut known[weekday(day)];
            let pattern = match known.get(&specials) {
                Some(pattern) => *pattern,
                None => {
                    let pattern = self.add_pattern(special_day(&checked.weekly[from_monday(day)], &specials));
                    known.insert(specials.clone(), pattern);
                    pattern
                }
            };
            let open_before = shift + self.regular_before(day);
            shift = open_before + self.patterns[pattern as usize].open() - self.regular_before(day + 1);
            self.specials.push(SpecialDay { day, pattern, open_before, shift });
        }
    }

    fn add_pattern(&mut self, day: Day) -> u32 {
        self.patterns.push(day);
        // At most one for each of the dated and yearly entries and weekdays: far below 2^32.
        u32::try_from(self.patterns.len() - 1).unwrap_or(u32::MAX)
    }

    /// The open seconds before `wall`, less those before 1970-01-01: negative earlier.
    pub(super) fn open_before(&self, wall: i64) -> i64 {
        let (day, second) = (wall.div_euclid(DAY_S), wall.rem_euclid(DAY_S));
        match self.special_up_to(day) {
            Some(special) if special.day == day => {
                special.open_before + self.patterns[special.pattern as usize].open_before(second)
            }
            special => {
                let shift = special.map_or(0, |special| special.shift);
                shift + self.regular_before(day) + self.regular(day).open_before(second)
            }
        }
    }

    /// The earliest wall second by which `open` seconds were open, in the measure of [`Wall::open_before`]; `None`
    /// when that never happens.
    pub(super) fn reach(&self, open: i64) -> Option<i64> {
        let after = self.specials.partition_point(|special| special.open_before < open);
        let special = after.checked_sub(1).map(|index| self.specials[index]);
        if let Some(special) = special {
            let pattern = &self.patterns[special.pattern as usize];
            if open <= special.open_before + pattern.open() {
                return Some(special.day * DAY_S + pattern.reach(open - special.open_before));
            }
        }
        self.regular_reach(open - special.map_or(0, |special| special.shift))
    }

    /// What the wall second is, and a later one up to which that holds.
    pub(super) fn at(&self, wall: i64) -> (Kind, i64) {
        let (day, second) = (wall.div_euclid(DAY_S), wall.rem_euclid(DAY_S));
        match self.special_up_to(day) {
            Some(special) if special.day == day => {
                let (kind, end) = self.patterns[special.pattern as usize].at(second);
                (kind, day * DAY_S + end)
            }
            _ => {
                let (kind, end) = self.regular(day).at(second);
                let is_always_so = self.week.iter().all(|day| day.uniform() == Some(kind));
                (kind, if is_always_so { self.next_special_day(day) * DAY_S } else { day * DAY_S + end })
            }
        }
    }

    /// How many table entries the memory is proportional to; a pattern has some four pieces.
    pub(super) fn weight(&self) -> usize {
        self.specials.len() + 4 * self.patterns.len()
    }

    fn special_up_to(&self, day: i64) -> Option<&SpecialDay> {
        let after = self.specials.partition_point(|special| special.day <= day);
        after.checked_sub(1).map(|index| &self.specials[index])
    }

    fn next_special_day(&self, day: i64) -> i64 {
        let after = self.specials.partition_point(|special| special.day <= day);
        self.specials.get(after).map_or(FOREVER_DAY, |special| special.day)
    }

    fn regular(&self, day: i64) -> &Day {
        &self.week[weekday(day)]
    }

    fn regular_before(&self, day: i64) -> i64 {
        day.div_euclid(7) * self.week_before[7] + self.week_before[weekday(day)]
    }

    fn regular_reach(&self, open: i64) -> Option<i64> {
        let a_week = self.week_before[7];
        let week = (open - 1).checked_div_euclid(a_week)?;
        let rest = open - week * a_week;
        let day = self.week_before.partition_point(|before| *before < rest) - 1;
        Some((week * 7 + day as i64) * DAY_S + self.week[day].reach(rest - self.week_before[day]))
    }
}

/// Days since 1970-01-01.
pub(super) fn day_number(of: Date) -> i64 {
    of.duration_since(date(1970, 1, 1)).as_hours() / 24
}

fn weekday(day: i64) -> usize {
    day.rem_euclid(7) as usize
}

/// Monday is the fourth day after a Thursday.
fn from_monday(day: i64) -> usize {
    weekday(day + 3)
}

/// Every dated and yearly special, by day; on one day dated ones first, so that their names win.
fn special_dates(checked: &Checked, years: std::ops::RangeInclusive<i16>) -> Vec<(i64, Special)> {
    let mut dates: Vec<_> = checked.dated.iter().map(|(date, special)| (day_number(*date), *special)).collect();
    for year in years {
        let falls = checked.yearly.iter().filter_map(|yearly| {
            // 02-29 falls on leap years only.
            Date::new(year, yearly.month, yearly.day).ok().map(|date| (day_number(date), yearly.special))
        });
        dates.extend(falls);
    }
    dates.sort_by_key(|(day, _)| *day);
    dates
}

fn special_day(regular: &[Stretch<i64, ()>], specials: &[Special]) -> Day {
    let (mut hours, mut holidays, mut in_spite) = (regular.to_vec(), Vec::new(), Vec::new());
    for special in specials {
        match special {
            Special::Holiday(part) => holidays.push(*part),
            Special::Extra(extra) => hours.push(*extra),
            Special::ExtraOnHoliday(extra) => in_spite.push(*extra),
        }
    }
    Day::new(hours, holidays, in_spite)
}
