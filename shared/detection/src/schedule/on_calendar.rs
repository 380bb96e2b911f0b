//! systemd's calendar events (systemd.time(7)): weekdays, dates with lists, ranges (`..`), repetitions (`/`) and days
//! from the month's end (`~`), times, a zone at the end, and the words `daily` and its like. Refused by name: parts of
//! seconds, `@` instants, years of two digits.

use jiff::tz::TimeZone;

use super::spec::{FromEnd, Join, Spec, Years, bits};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const YEARS: (i16, i16) = (1970, 2199);

pub(super) fn read(text: &str) -> Result<Spec, String> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let zone = zone_of(&mut words)?;
    if let [word] = words.as_slice()
        && let Some(meaning) = shorthand(word)
    {
        return read(meaning).map(|spec| Spec { zone, ..spec });
    }
    let mut spec = Spec {
        years: vec![Years { from: YEARS.0, to: YEARS.1, step: 1 }],
        months: bits(1, 12, 1),
        days: bits(1, 31, 1),
        days_from_end: Vec::new(),
        weekdays: bits(0, 6, 1),
        join: Join::Both,
        hours: 1,
        minutes: 1,
        seconds: 1,
        zone,
    };
    let mut rest = words.as_slice();
    if let [first, tail @ ..] = rest
        && first.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        spec.weekdays = weekdays(first)?;
        rest = tail;
    }
    if let [first, tail @ ..] = rest
        && !first.contains(':')
    {
        date(first, &mut spec)?;
        rest = tail;
    }
    if let [first, tail @ ..] = rest {
        time(first, &mut spec)?;
        rest = tail;
    }
    match (rest, words.is_empty()) {
        ([], false) => Ok(spec),
        ([], true) => Err("an empty expression; write e.g. `Mon..Fri 02:00`".to_owned()),
        ([more, ..], _) => Err(format!("{more:?} is one word too many: weekdays, a date, a time, a zone")),
    }
}

fn shorthand(word: &str) -> Option<&'static str> {
    Some(match word {
        "minutely" => "*-*-* *:*:00",
        "hourly" => "*-*-* *:00:00",
        "daily" => "*-*-* 00:00:00",
        "weekly" => "Mon *-*-* 00:00:00",
        "monthly" => "*-*-01 00:00:00",
        "quarterly" => "*-01,04,07,10-01 00:00:00",
        "semiannually" => "*-01,07-01 00:00:00",
        "yearly" | "annually" => "*-01-01 00:00:00",
        _ => return None,
    })
}

/// A zone is the last word where there are others and it is no weekday, date or time.
fn zone_of(words: &mut Vec<&str>) -> Result<Option<TimeZone>, String> {
    let Some(last) = words.last().filter(|_| words.len() > 1) else { return Ok(None) };
    if !last.starts_with(|c: char| c.is_ascii_alphabetic()) || weekdays(last).is_ok() {
        return Ok(None);
    }
    let zone = TimeZone::get(last).map_err(|_| format!("{last:?} is no time zone"))?;
    words.pop();
    Ok(Some(zone))
}

fn weekdays(text: &str) -> Result<u64, String> {
    let day = |word: &str| {
        let word = word.to_ascii_lowercase();
        let is_it = |name: &str| name == word || name[..3] == word;
        let found = WEEKDAYS.iter().position(|name| is_it(name)).and_then(|at| u32::try_from(at).ok());
        found.ok_or_else(|| format!("{word:?} is no weekday"))
    };
    text.split(',').filter(|part| !part.is_empty()).try_fold(0, |set, part| {
        let (from, to) = match part.split_once("..").or_else(|| part.split_once('-')) {
            Some((from, to)) => (day(from)?, day(to)?),
            None => (day(part)?, day(part)?),
        };
        if from > to {
            return Err(format!("weekday {part:?}: a range goes upwards from Monday; write two"));
        }
        Ok(set | bits(from, to, 1))
    })
}

fn date(text: &str, spec: &mut Spec) -> Result<(), String> {
    let (before, from_end) = match text.split_once('~') {
        Some((before, from_end)) => (before, Some(from_end)),
        None => (text, None),
    };
    let mut parts: Vec<&str> = before.split('-').collect();
    let day = match from_end {
        Some(_) => None,
        None => parts.pop(),
    };
    let (year, month) = match parts.as_slice() {
        [month] => (None, *month),
        [year, month] => (Some(*year), *month),
        _ => return Err(format!("{text:?} is no date; write `*-*-01`, `05-24` or `*-02~03`")),
    };
    if let Some(year) = year {
        spec.years = year.split(',').map(years).collect::<Result<_, _>>()?;
    }
    spec.months = component("month", month, 1, 12)?;
    if let Some(day) = day {
        spec.days = component("day", day, 1, 31)?;
    }
    if let Some(from_end) = from_end {
        spec.days = 0;
        spec.days_from_end = from_end.split(',').map(days_from_end).collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn years(text: &str) -> Result<Years, String> {
    let refuse = || format!("{text:?} is no year; write *, 2026, 2026..2030 or 2026/2");
    let (range, step) = text.split_once('/').unwrap_or((text, ""));
    let is_stepped = !step.is_empty();
    let step = if is_stepped { step.parse::<i16>().ok().filter(|step| *step > 0).ok_or_else(refuse)? } else { 1 };
    let year =
        |word: &str| word.parse::<i16>().ok().filter(|year| (YEARS.0..=YEARS.1).contains(year)).ok_or_else(refuse);
    let (from, to) = match range.split_once("..") {
        _ if range == "*" => YEARS,
        Some((from, to)) => (year(from)?, year(to)?),
        None => (year(range)?, if is_stepped { YEARS.1 } else { year(range)? }),
    };
    if from > to { Err(refuse()) } else { Ok(Years { from, to, step }) }
}

fn days_from_end(text: &str) -> Result<FromEnd, String> {
    let refuse = || format!("~{text:?} is no day from the month's end; write ~01 or ~07/1");
    let (back, step) = text.split_once('/').unwrap_or((text, ""));
    let number = |word: &str| word.parse::<i8>().ok().filter(|value| (1..=31).contains(value)).ok_or_else(refuse);
    Ok(FromEnd { back: number(back)?, step: if step.is_empty() { None } else { Some(number(step)?) } })
}

fn time(text: &str, spec: &mut Spec) -> Result<(), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, "0"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return Err(format!("{text:?} is no time; write 02:00 or *:0/15")),
    };
    if second.replace("..", "").contains('.') {
        return Err(format!("{text:?}: parts of seconds are not understood"));
    }
    spec.hours = component("hour", hour, 0, 23)?;
    spec.minutes = component("minute", minute, 0, 59)?;
    spec.seconds = component("second", second, 0, 59)?;
    Ok(())
}

fn component(field: &str, text: &str, least: u32, most: u32) -> Result<u64, String> {
    text.split(',').try_fold(0, |set, part| {
        let refuse = || format!("{field} {part:?}: expected *, {least} to {most}, a range `..` or a repetition `/`");
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0).ok_or_else(refuse)?)),
            None => (part, None),
        };
        let value = |word: &str| number(word).filter(|value| (least..=most).contains(value)).ok_or_else(refuse);
        let (from, to) = match range.split_once("..") {
            _ if range == "*" => (least, most),
            Some((from, to)) => (value(from)?, value(to)?),
            None => (value(range)?, if step.is_some() { most } else { value(range)? }),
        };
        if from > to { Err(refuse()) } else { Ok(set | bits(from, to, step.unwrap_or(1))) }
    })
}

fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use jiff::Timestamp;

    use super::*;

    const EXPRESSIONS: &[&str] = &[
        "Mon..Fri 02:00",
        "Sat,Sun 12:30",
        "*-*-* 04:00:00",
        "*:0/15",
        "08..17/3:30",
        "*-02~01 06:00",
        "Mon *-05~07/1",
        "*-02~03,05",
        "2027-*-01",
        "2028/4-02-29",
        "05-24",
        "Fri..Sun",
        "Fri,Mon..Tue",
        "Wed 18:00:30",
        "*-01,07-15 00:00",
        "*-*~1",
        "quarterly",
        "semiannually",
        "weekly",
        "minutely",
        "Thu,Fri 2026-*-1,5 11:12:13",
        "*-*-10..15/2 5:05",
    ];

    #[test]
    fn the_next_runs_are_as_systemd_says() {
        for (text, expected) in [
            ("Mon..Fri 02:00", "2026-03-02T02:00:00 2026-03-03T02:00:00"),
            ("*-02~01 06:00", "2027-02-28T06:00:00 2028-02-29T06:00:00"),
            ("Mon *-05~07/1", "2026-05-25T00:00:00 2027-05-31T00:00:00"),
            ("*:0/15", "2026-03-01T00:00:00 2026-03-01T00:15:00"),
            ("05-24", "2026-05-24T00:00:00 2027-05-24T00:00:00"),
            ("Fri..Sat,Mon 03:00 Asia/Kolkata", "2026-03-01T21:30:00 2026-03-05T21:30:00"),
            ("quarterly UTC", "2026-04-01T00:00:00 2026-07-01T00:00:00"),
        ] {
            assert_eq!(next(text, 2).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (text, why) in [
            ("", "empty"),
            ("Foo 02:00", "weekday"),
            ("Fri..Mon 02:00", "upwards"),
            ("02:00 Mars/Base", "no time zone"),
            ("*-13-01", "month"),
            ("02:00:00.5", "parts of seconds"),
            ("*-*-* 25:00", "hour"),
            ("1-2-3-4", "no date"),
            ("*-*-* 02:00 03:00", "too many"),
            ("@1700000000", "no date"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    /// An independent oracle where it is installed.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test asks systemd-analyze where it is installed")]
    fn systemd_itself_says_the_same() {
        for text in EXPRESSIONS {
            let asked = Command::new("systemd-analyze")
                .args(["calendar", "--iterations=6", "--base-time=2026-02-28 23:59:59 UTC", text])
                .env("TZ", "UTC")
                .output();
            let Ok(answer) = asked else {
                println!("systemd-analyze is not installed: OnCalendar is compared with fixed answers only");
                return;
            };
            let said = String::from_utf8_lossy(&answer.stdout);
            let theirs: Vec<String> = (said.lines())
                .filter(|line| line.contains("UTC") && !line.contains("(in UTC)"))
                .filter_map(|line| line.split_once(": "))
                .filter_map(|(_, at)| at.trim().split_once(' ').map(|(_, at)| at))
                .map(|at| at.trim_end_matches(" UTC").replace(' ', "T"))
                .collect();
            assert!(!theirs.is_empty(), "{text}: {said}");
            assert_eq!(next(text, theirs.len()), theirs, "{text}: {said}");
        }
    }

    fn next(text: &str, number: usize) -> Vec<String> {
        let from: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        let spec = read(text).unwrap();
        spec.after(from, &TimeZone::UTC).take(number).map(|at| at.to_string()[..19].to_owned()).collect()
    }
}
