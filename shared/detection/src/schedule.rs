//! When a job is expected to run, and what became of each expected run (DETECTION 6).
//!
//! A [`Schedule`] is a cron line, a systemd OnCalendar expression or an interval, read in the job host's own zone.
//! [`ledger()`] lays what was said about runs beside what was expected. Both are pure and end: nothing here counts up
//! to a number that a year overflows.
//!
//! Around changes of the clocks: an occurrence inside a spring gap moves to the first valid instant (and is one with
//! whatever is expected there), one that comes twice in autumn is expected at its first coming only. Cron and systemd
//! differ from each other and between versions there; these two rules miss no run and expect none twice.
//!
//! No crate is used: those that read cron with jiff run twice in autumn, and none reads OnCalendar. The common grammar
//! of both is here; the rest is refused by name, never read as something simpler.

mod cron;
mod ledger;
mod on_calendar;
mod spec;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

pub use ledger::{Expected, Job, Outcome, Run, Said, Word, ledger, resume};
use spec::Spec;

use crate::plan::plus;

/// When a job is expected to run.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// At instants of a calendar.
    Calendar(Calendar),
    /// This long after the run before.
    Every(Duration),
}

/// Instants of a calendar: cron's or OnCalendar's.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar(Spec);

/// Why a schedule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule {text:?}: {why}")]
pub struct ScheduleError {
    text: String,
    why: String,
}

impl Schedule {
    /// Reads `cron 0 2 * * *`, `calendar Mon..Fri 02:00` (systemd's OnCalendar) or `every 6h`.
    ///
    /// ```
    /// use jiff::tz::TimeZone;
    /// use upheld_detection::schedule::Schedule;
    /// let Schedule::Calendar(nightly) = Schedule::read("cron 30 2 * * *").unwrap() else { panic!() };
    /// let zone = TimeZone::get("America/Chicago").unwrap();
    /// // 02:30 does not exist on the day on which summer time begins: 03:00 is the first instant after it.
    /// let next = nightly.next_after("2026-03-08T06:00:00Z".parse().unwrap(), &zone).unwrap();
    /// assert_eq!(next.to_string(), "2026-03-08T08:00:00Z");
    /// ```
    pub fn read(text: &str) -> Result<Self, ScheduleError> {
        let refuse = |why: String| ScheduleError { text: text.to_owned(), why };
        let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        match word.to_ascii_lowercase().as_str() {
            "cron" => cron::read(rest).map(|spec| Self::Calendar(Calendar(spec))).map_err(refuse),
            "calendar" | "oncalendar" => {
                on_calendar::read(rest).map(|spec| Self::Calendar(Calendar(spec))).map_err(refuse)
            }
            "every" => interval(rest).map(Self::Every).map_err(refuse),
            _ => Err(refuse(
                "begin with the word of its language: `cron 0 2 * * *`, `calendar Mon..Fri 02:00` or `every 6h`"
                    .to_owned(),
            )),
        }
    }
}

impl Schedule {
    /// Reads a length of time: `90s`, `15min`, `6h`, `1d`, sums such as `1h30min`; from a minute to a year.
    pub fn interval(text: &str) -> Result<Duration, ScheduleError> {
        interval(text).map_err(|why| ScheduleError { text: text.to_owned(), why })
    }
}

impl Calendar {
    /// The first instant after this one; `None` when there is none within a hundred years.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.0.after(after, zone).next()
    }

    /// Every instant in `[from, to)`, in order.
    pub fn between<'a>(
        &'a self,
        from: Timestamp,
        to: Timestamp,
        zone: &'a TimeZone,
    ) -> impl Iterator<Item = Timestamp> + 'a {
        let before = from.checked_sub(Duration::from_nanos(1)).unwrap_or(Timestamp::MIN);
        self.0.after(before, zone).take_while(move |at| *at < to)
    }
}

/// `90s`, `15min`, `6h`, `1d`; sums such as `1h30min`.
fn interval(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is no interval; write 90s, 15min, 6h or 1d");
    let mut rest = text.trim();
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        let tail = rest[digits..].trim_start();
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let unit = match &tail[..letters] {
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(refuse()),
        };
        seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(refuse)?;
        rest = tail[letters..].trim_start();
    }
    // A year is longer than any job waits; a minute is shorter than any agent looks.
    if !(60..=366 * 86_400).contains(&seconds) {
        return Err(format!("an interval is from 1 min to 366 d, not {text:?}"));
    }
    Ok(Duration::from_secs(seconds))
}

/// When a run is expected after one: by the calendar, or so long after it.
impl Schedule {
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Calendar(calendar) => calendar.next_after(after, zone),
            Self::Every(period) => Some(plus(after, *period)).filter(|next| *next < Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_its_unit_and_its_bounds() {
        for (text, seconds) in
            [("every 90s", 90), ("every 15min", 900), ("every 1h30min", 5_400), ("every 1 d", 86_400)]
        {
            assert_eq!(Schedule::read(text), Ok(Schedule::Every(Duration::from_secs(seconds))), "{text}");
        }
        for text in
            ["every", "every 5", "every 1y", "every 1s", "every 400d", "every 99999999999999999999h", "0 2 * * *"]
        {
            assert!(Schedule::read(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
