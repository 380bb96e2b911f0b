//! Trouble that keeps hours: the line that is bad every weekday afternoon (DETECTION 3, "Time of day").
//!
//! Every local hour of every day is a cell: bad, good, or without data. An hour is named when it was bad on so many
//! days that the other hours of the same days make chance a poor explanation, by the exact binomial tail. A pooled
//! z-test finds a pattern at nearly every site that has bursts at all; a baseline of the same hour learns the trouble
//! as normal. Neither is used.

mod cells;

use std::collections::BTreeMap;

use jiff::{ToSpan as _, civil::Date, civil::Weekday};
use serde::{Deserialize, Serialize};

pub use cells::{CountCells, Hours, LossCells, RttCells, rtt_bucket};

/// What is looked at by the hour. The threshold is divided by how many of them a check has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// More than 1 % of the packets were lost.
    Loss,
    /// The hour's median is more than twice its day's and 20 ms above it.
    Rtt,
    /// The supply went to battery.
    Transfers,
    /// The link went down.
    LinkDrops,
}

/// The cells of one signal: for each local day the 24 hours, `None` without data.
pub type Cells = BTreeMap<Date, [Option<bool>; 24]>;

/// How many days back are looked at.
pub const DAYS: i32 = 28;
/// How long a pattern must be away before it is over, and how recent its last bad day must be to be found.
pub const QUIET_DAYS: i32 = 7;
/// The least number of days on which an hour must have been bad.
const DAYS_MIN: u32 = 3;
/// The chance of a false alarm that one evening's evaluation of one check may have. Doubled, twice as many sites are
/// told of a pattern that is chance.
const ALARM: f64 = 0.0003;
/// 24 hours, over all days and over weekdays.
const TESTS: f64 = 48.0;

/// Hours that are bad again and again, and on which days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The local hours, in order.
    pub hours: Vec<u8>,
    /// The weekdays on which they are bad on at least half of their days, Monday first.
    pub weekdays: Vec<Weekday>,
    /// The last day on which one of them was bad.
    pub last_bad: Date,
}

/// Looks at the 28 days before the midnight that begins `today`; `signals` is how many signals the check has.
pub fn evaluate(cells: &Cells, today: Date, signals: usize) -> Option<Pattern> {
    let from = today.checked_sub(DAYS.days()).unwrap_or(Date::MIN);
    let recent = today.checked_sub(QUIET_DAYS.days()).unwrap_or(Date::MIN);
    let days: Vec<(Date, &[Option<bool>; 24])> = cells.range(from..today).map(|(day, hours)| (*day, hours)).collect();
    let weekdays: Vec<_> = days.iter().copied().filter(|(day, _)| is_weekday(*day)).collect();
    let limit = ALARM / signals.max(1) as f64;
    let sets =
        [&days, &weekdays].map(|set| (set, tally(set.iter().flat_map(|(_, hours)| hours.iter().flatten().copied()))));
    let hours: Vec<u8> = (0..24)
        .filter(|hour| sets.iter().any(|(set, all)| TESTS * chance(set, *all, *hour) < limit))
        .filter(|hour| last_bad(&days, &[*hour]).is_some_and(|day| day >= recent))
        .collect();
    let last_bad = last_bad(&days, &hours)?;
    Some(Pattern { weekdays: weekdays_of(&days, &hours), hours, last_bad })
}

/// How likely it is that an hour is bad this often by chance, judged by all other hours of the same days.
fn chance(days: &[(Date, &[Option<bool>; 24])], (all_seen, all_bad): (u32, u32), hour: u8) -> f64 {
    let own = days.iter().filter_map(|(_, hours)| hours[usize::from(hour)]);
    let (seen, bad) = tally(own);
    if bad < DAYS_MIN {
        return 1.0;
    }
    let (others_seen, others_bad) = (all_seen - seen, all_bad - bad);
    let least = 0.5 / (23.0 * f64::from(seen));
    let share = if others_seen == 0 { 0.0 } else { f64::from(others_bad) / f64::from(others_seen) };
    binomial_tail(seen, share.max(least), bad)
}

fn tally(cells: impl Iterator<Item = bool>) -> (u32, u32) {
    cells.fold((0, 0), |(seen, bad), is_bad| (seen + 1, bad + u32::from(is_bad)))
}

/// P(X >= `least`) of `n` throws that succeed with chance `p`, summed exactly.
///
/// ```
/// use upheld_detection::time_of_day::binomial_tail;
/// assert!((binomial_tail(2, 0.5, 1) - 0.75).abs() < 1e-12);
/// ```
pub fn binomial_tail(n: u32, p: f64, least: u32) -> f64 {
    if least == 0 || p >= 1.0 {
        return 1.0;
    }
    let term = |k: u32| {
        let choose = (0..k).fold(1.0, |product, i| product * f64::from(n - i) / f64::from(i + 1));
        choose * p.powi(k.cast_signed()) * (1.0 - p).powi((n - k).cast_signed())
    };
    (least..=n).map(term).sum::<f64>().min(1.0)
}

fn last_bad(days: &[(Date, &[Option<bool>; 24])], hours: &[u8]) -> Option<Date> {
    let is_bad = |cells: &[Option<bool>; 24]| hours.iter().any(|hour| cells[usize::from(*hour)] == Some(true));
    days.iter().rev().find(|(_, cells)| is_bad(cells)).map(|(day, _)| *day)
}

fn weekdays_of(days: &[(Date, &[Option<bool>; 24])], hours: &[u8]) -> Vec<Weekday> {
    let is_bad_half = |weekday: &Weekday| {
        let own = days.iter().filter(|(day, _)| day.weekday() == *weekday);
        let (seen, bad) = tally(own.flat_map(|(_, cells)| hours.iter().filter_map(|hour| cells[usize::from(*hour)])));
        seen > 0 && 2 * bad >= seen
    };
    Weekday::Monday.cycle_forward().take(7).filter(is_bad_half).collect()
}

fn is_weekday(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

impl Pattern {
    /// When, in words: `on weekdays from 14:00 to 16:00`.
    pub fn when(&self) -> String {
        format!("{} {}", days_in_words(&self.weekdays), hours_in_words(&self.hours))
    }
}

fn days_in_words(days: &[Weekday]) -> String {
    let is_working = |day: &Weekday| !matches!(day, Weekday::Saturday | Weekday::Sunday);
    match (days.iter().filter(|day| is_working(day)).count(), days.len()) {
        (5, 7) => "every day".to_owned(),
        (5, 5) => "on weekdays".to_owned(),
        (0, 2) => "at weekends".to_owned(),
        (_, 0) => "on some days".to_owned(),
        (_, _) => format!("on {}", listed(&days.iter().map(|day| format!("{day:?}s")).collect::<Vec<_>>())),
    }
}

/// Runs of touching hours, the one over midnight in one piece.
fn hours_in_words(hours: &[u8]) -> String {
    if hours.len() == 24 {
        return "at all hours".to_owned();
    }
    let is_in = |hour: u8| hours.contains(&(hour % 24));
    let begins = hours.iter().filter(|hour| !is_in(**hour + 23));
    let run = |from: &u8| {
        let to = (*from + 1..*from + 25).find(|hour| !is_in(*hour)).unwrap_or(*from + 24);
        format!("from {from:02}:00 to {:02}:00", if to == 24 { 24 } else { to % 24 })
    };
    listed(&begins.map(run).collect::<Vec<_>>())
}

fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_exact() {
        for (n, p, least, expected) in
            [(10, 0.5, 10, 1.0 / 1024.0), (3, 0.1, 2, 0.028), (28, 0.02, 0, 1.0), (5, 0.0, 1, 0.0), (5, 1.0, 5, 1.0)]
        {
            assert!((binomial_tail(n, p, least) - expected).abs() < 1e-12, "{n} {p} {least}");
        }
    }

    #[test]
    fn an_afternoon_that_is_bad_on_every_weekday_is_named() {
        let monday = "2026-01-05".parse::<Date>().unwrap();
        let cells = days(monday, 14, |day, hour| is_weekday(day) && (14..16).contains(&hour));
        let found = (1..=14).find_map(|n| evaluate(&cells, monday + n.days(), 1).map(|pattern| (n, pattern)));
        let (after, pattern) = found.unwrap();
        assert_eq!(after, 4, "the fourth bad afternoon is beyond chance");
        assert_eq!(pattern.hours, [14, 15]);
        let pattern = evaluate(&cells, monday + 14.days(), 1).unwrap();
        assert_eq!(pattern.when(), "on weekdays from 14:00 to 16:00");
        assert_eq!(pattern.last_bad, monday + 11.days());
    }

    #[test]
    fn trouble_at_any_hour_has_no_hours() {
        let monday = "2026-01-05".parse::<Date>().unwrap();
        let cells = days(monday, 28, |day, hour| (i32::from(day.day()) * 7 + i32::from(hour) * 5) % 11 == 0);
        assert_eq!(evaluate(&cells, monday + 28.days(), 1), None);
    }

    #[test]
    fn what_was_bad_long_ago_is_not_found_again() {
        let monday = "2026-01-05".parse::<Date>().unwrap();
        let cells = days(monday, 28, |day, hour| day < monday + 14.days() && hour == 3);
        assert!(evaluate(&cells, monday + 20.days(), 1).is_some());
        assert_eq!(evaluate(&cells, monday + 21.days(), 1), None);
    }

    #[test]
    fn hours_and_days_read_as_a_person_says_them() {
        assert_eq!(hours_in_words(&[0, 1, 22, 23]), "from 22:00 to 02:00");
        assert_eq!(hours_in_words(&[8, 14, 15]), "from 08:00 to 09:00 and from 14:00 to 16:00");
        assert_eq!(hours_in_words(&[23]), "from 23:00 to 24:00");
        assert_eq!(days_in_words(&[Weekday::Monday, Weekday::Thursday]), "on Mondays and Thursdays");
        assert_eq!(days_in_words(&[Weekday::Saturday, Weekday::Sunday]), "at weekends");
    }

    fn days(first: Date, count: i32, is_bad: impl Fn(Date, u8) -> bool) -> Cells {
        let day = |n: i32| first + n.days();
        let hours = |day: Date| std::array::from_fn(|hour| u8::try_from(hour).ok().map(|hour| is_bad(day, hour)));
        (0..count).map(|n| (day(n), hours(day(n)))).collect()
    }
}
