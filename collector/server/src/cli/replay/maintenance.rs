//! Agreed windows of work by their recurrence (RFC 5545, the part that a book uses): FREQ DAILY, WEEKLY, MONTHLY with
//! BYDAY, BYMONTHDAY, BYMONTH. A rule with anything else is refused by name, never read as something simpler.

use std::time::Duration;

use jiff::{
    ToSpan as _,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use upheld_detection::uptime::Span;

/// Why a recurrence is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rrule {rule:?}: {part:?} is not understood; use FREQ=DAILY, WEEKLY or MONTHLY with BYDAY, BYMONTHDAY, BYMONTH"
)]
pub(super) struct RuleError {
    rule: String,
    part: String,
}

/// The windows that touch a period. One whose begin falls into a spring gap begins where the gap ends.
pub(super) fn windows(
    rule: &str,
    from: Time,
    lasts: Duration,
    zone: &TimeZone,
    period: Span,
) -> Result<Vec<Span>, RuleError> {
    let read = Rule::read(rule)?;
    let first = zone.to_datetime(period.from).date().saturating_sub(2.days());
    let last = zone.to_datetime(period.to).date();
    let days = std::iter::successors(Some(first), |day| day.checked_add(1.day()).ok()).take_while(|day| *day <= last);
    let window = |day: Date| {
        let begin = day.at(from.hour(), from.minute(), from.second(), 0).to_zoned(zone.clone()).ok()?.timestamp();
        Some(Span { from: begin, to: begin.checked_add(lasts).ok()? })
    };
    let all = days.filter(|day| read.is_on(*day)).filter_map(window);
    Ok(all.filter(|span| span.from < period.to && period.from < span.to).collect())
}

#[derive(Debug, Default)]
struct Rule {
    is_monthly: bool,
    days: Vec<(Option<i8>, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
}

impl Rule {
    fn read(text: &str) -> Result<Self, RuleError> {
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

    fn is_on(&self, day: Date) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_recur_in_the_sites_own_time() {
        for (rule, expected) in [
            ("FREQ=MONTHLY;BYDAY=2SU", vec!["2026-03-08T08:00:00Z", "2026-04-12T07:00:00Z"]),
            ("FREQ=MONTHLY;BYDAY=-1FR", vec!["2026-03-27T07:00:00Z"]),
            ("FREQ=MONTHLY;BYMONTHDAY=31", vec!["2026-03-31T07:00:00Z"]),
            ("FREQ=WEEKLY;BYDAY=SA;BYMONTH=4", vec!["2026-04-04T07:00:00Z", "2026-04-11T07:00:00Z"]),
        ] {
            assert_eq!(begins(rule).unwrap(), expected, "{rule}");
        }
        assert_eq!(begins("FREQ=DAILY").unwrap().len(), 46);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for rule in
            ["FREQ=YEARLY", "FREQ=WEEKLY", "FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "BYDAY=MO", "x"]
        {
            assert!(begins(rule).unwrap_err().contains("not understood"), "{rule}");
        }
    }

    fn begins(rule: &str) -> Result<Vec<String>, String> {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let period =
            Span { from: "2026-03-01T00:00:00Z".parse().unwrap(), to: "2026-04-15T12:00:00Z".parse().unwrap() };
        let spans = windows(rule, Time::constant(2, 0, 0, 0), Duration::from_secs(3_600), &zone, period);
        spans.map(|spans| spans.iter().map(|span| span.from.to_string()).collect()).map_err(|error| error.to_string())
    }
}
