//! Agreed windows of work by their recurrence (RFC 5545, the part that a book uses): FREQ DAILY, WEEKLY, MONTHLY with
//! BYDAY, BYMONTHDAY, BYMONTH. A rule with anything else is refused by name, never read as something simpler.

use jiff::civil::{Date, Weekday};

/// Why a recurrence is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rrule {rule:?}: {part:?} is not understood; use FREQ=DAILY, WEEKLY or MONTHLY with BYDAY, BYMONTHDAY, BYMONTH"
)]
pub struct RuleError {
    rule: String,
    part: String,
}

/// The days of a recurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recurrence {
    is_monthly: bool,
    days: Vec<(Option<i8>, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
}

impl Recurrence {
    /// Reads a rule.
    pub fn read(text: &str) -> Result<Self, RuleError> {
        let refuse = |part: &str| RuleError { rule: text.to_owned(), part: part.to_owned() };
        let (mut rule, mut freq) = (Self::default(), None);
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| refuse(part))?;
            let numbers =
                || value.split(',').map(|n| n.parse::<i8>().map_err(|_| refuse(part))).collect::<Result<Vec<i8>, _>>();
            match key {
                "FREQ" => freq = Some(value),
                "BYDAY" => {
                    rule.days = value
                        .split(',')
                        .map(|day| weekday(day).ok_or_else(|| refuse(part)))
                        .collect::<Result<_, _>>()?;
                }
                "BYMONTHDAY" => rule.month_days = numbers()?,
                "BYMONTH" => rule.months = numbers()?,
                "INTERVAL" if value == "1" => {}
                "WKST" => {}
                _ => return Err(refuse(part)),
            }
        }
        match freq {
            Some("DAILY") => {}
            // Without a day nobody knows which one was meant.
            Some("WEEKLY") if !rule.days.is_empty() => {}
            Some("MONTHLY") if !(rule.days.is_empty() && rule.month_days.is_empty()) => rule.is_monthly = true,
            _ => return Err(refuse(freq.unwrap_or("FREQ"))),
        }
        if !rule.is_monthly && rule.days.iter().any(|(nth, _)| nth.is_some()) {
            return Err(refuse("BYDAY"));
        }
        Ok(rule)
    }

    /// Whether it falls on a day.
    pub fn is_on(&self, day: Date) -> bool {
        let is_day = |(nth, weekday): &(Option<i8>, Weekday)| {
            day.weekday() == *weekday
                && nth.is_none_or(|nth| {
                    let (from_begin, from_end) = ((day.day() - 1) / 7 + 1, (day.days_in_month() - day.day()) / 7 + 1);
                    nth == from_begin || -nth == from_end
                })
        };
        let is_month_day = |n: &i8| *n == day.day() || *n == day.day() - day.days_in_month() - 1;
        (self.days.is_empty() || self.days.iter().any(is_day))
            && (self.month_days.is_empty() || self.month_days.iter().any(is_month_day))
            && (self.months.is_empty() || self.months.contains(&day.month()))
    }
}

fn weekday(text: &str) -> Option<(Option<i8>, Weekday)> {
    let (nth, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let weekday = match day {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let nth = if nth.is_empty() { None } else { Some(nth.parse().ok().filter(|n| *n != 0)?) };
    Some((nth, weekday))
}
