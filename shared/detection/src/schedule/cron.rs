//! The five fields of cron (crontab(5)): names, lists, ranges, steps, `@daily` and its like. Days of month and of week
//! that are both given match either, as cron does it. Refused by name: a sixth field, `L`, `W`, `#`, `?`, `@reboot`.

use super::spec::{Join, Spec, Years, bits};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) fn read(text: &str) -> Result<Spec, String> {
    let expanded = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        "@reboot" => return Err("@reboot has no time; no run can be expected".to_owned()),
        other => other,
    };
    let fields: Vec<&str> = expanded.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!(
            "cron has five fields (minute, hour, day of month, month, day of week), here are {}",
            fields.len()
        ));
    };
    let days = field("day of month", day, 1, 31, &[], 0)?;
    let weekdays = field("day of week", weekday, 0, 7, &WEEKDAYS, 0)?;
    // A field that begins with a star restricts nothing, or both must hold: crontab(5).
    let join = if day.starts_with('*') || weekday.starts_with('*') { Join::Both } else { Join::Either };
    Ok(Spec {
        years: vec![Years { from: 1, to: 9_999, step: 1 }],
        months: field("month", month, 1, 12, &MONTHS, 1)?,
        days,
        days_from_end: Vec::new(),
        weekdays: monday_first(weekdays),
        join,
        hours: field("hour", hour, 0, 23, &[], 0)?,
        minutes: field("minute", minute, 0, 59, &[], 0)?,
        seconds: 1,
        zone: None,
    })
}

/// Sunday is 0 and 7 in cron; here Monday is 0.
fn monday_first(cron: u64) -> u64 {
    (1..=6).filter(|day| cron & (1 << day) != 0).fold(0, |set, day| set | 1 << (day - 1))
        | if cron & (1 | 1 << 7) != 0 { 1 << 6 } else { 0 }
}

fn field(name: &str, text: &str, least: u32, most: u32, names: &[&str], first: u32) -> Result<u64, String> {
    text.split(',').try_fold(0, |set, part| Ok(set | one(name, part, (least, most), names, first)?))
}

fn one(field: &str, part: &str, (least, most): (u32, u32), names: &[&str], first: u32) -> Result<u64, String> {
    let refuse = |why: &str| format!("{field} {part:?}: {why}");
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => {
            let step = step.parse().ok().filter(|step| (1..=most).contains(step));
            (range, Some(step.ok_or_else(|| refuse("a step is a number of at least 1"))?))
        }
        None => (part, None),
    };
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let value = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + first).or_else(|| number(text));
        value.filter(|value| (least..=most).contains(value)).ok_or_else(|| {
            if text.contains(['L', 'W', '#', '?', 'H', '~']) {
                refuse("L, W, #, ?, H and ~ are no part of cron; write the days, or use `calendar`")
            } else {
                refuse(&format!("expected {least} to {most}, a range, a list or a step"))
            }
        })
    };
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (least, most),
        Some((from, to)) => (value(from)?, value(to)?),
        // `5/15` is from 5 on.
        None => (value(range)?, if step.is_some() { most } else { value(range)? }),
    };
    if from > to {
        return Err(refuse("a range goes upwards; write two"));
    }
    Ok(bits(from, to, step.unwrap_or(1)))
}

/// Digits only: a sign is no part of a field.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;

    #[test]
    fn the_next_runs_are_as_crontab_says() {
        for (text, expected) in [
            ("0 2 * * *", "2026-03-01T02:00 2026-03-02T02:00 2026-03-03T02:00"),
            ("*/20 8-9 * * 1-5", "2026-03-02T08:00 2026-03-02T08:20 2026-03-02T08:40"),
            ("5/25 0 1 * *", "2026-03-01T00:05 2026-03-01T00:30 2026-03-01T00:55"),
            ("0 0 13 * FRI", "2026-03-06T00:00 2026-03-13T00:00 2026-03-20T00:00"),
            ("0 0 */10 * 1", "2026-05-11T00:00 2026-06-01T00:00 2026-08-31T00:00"),
            ("0 12 29 feb *", "2028-02-29T12:00 2032-02-29T12:00 2036-02-29T12:00"),
            ("15 10,22 * Jan,jun 7", "2026-06-07T10:15 2026-06-07T22:15 2026-06-14T10:15"),
            ("@weekly", "2026-03-01T00:00 2026-03-08T00:00 2026-03-15T00:00"),
        ] {
            assert_eq!(next_three(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_cron_is_refused_by_name() {
        for (text, why) in [
            ("0 2 * *", "five fields"),
            ("0 0 2 * * *", "five fields"),
            ("60 * * * *", "minute"),
            ("* * L * *", "no part of cron"),
            ("* * * * MON#1", "no part of cron"),
            ("* * * * fri-mon", "upwards"),
            ("*/0 * * * *", "step"),
            ("* +5 * * *", "hour"),
            ("@reboot", "no time"),
            ("* * 0 * *", "day of month"),
            ("", "five fields"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn a_day_that_never_comes_ends() {
        let never = read("0 0 30 2 *").unwrap();
        assert_eq!(never.after("2026-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC).next(), None);
    }

    fn next_three(text: &str) -> String {
        let from: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        let spec = read(text).unwrap();
        let utc = TimeZone::UTC;
        let told = spec.after(from, &utc).take(3).map(|at| at.to_string()[..16].to_owned());
        told.collect::<Vec<_>>().join(" ")
    }
}
