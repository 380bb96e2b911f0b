//! The small values of the book: durations with units, dates, percentages, money, words, names.

use std::str::FromStr;

use jiff::{
    Timestamp,
    civil::{Date, Time},
};
use serde::Serialize;
use toml::de::DeValue;
use upheld_model::{
    AssetClass, AssetId, CheckId, CheckName, ClientId, IncidentClass, IncidentKind, SecretName, SiteId,
    check::{EventLevel, RecordKind},
};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Node, Read, Reading, shown},
    schema::Shape,
};
use crate::{
    money::{Currency, Money, MoneyError, Price},
    ratio::Ratio,
    terms::CoveredSeconds,
    words::{
        BookName, Category, Level, Manner, MeasuredFrom, OpenIncidents, PauseReason, Priority, SatisfiedBy, Stage,
    },
};

/// A stretch of plain time, in seconds: `10s`, `5min`, `2h`, `5d`, `2w`, `7y` (a year is 366 days: what is kept for
/// seven years is never kept for less).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PlainSeconds(pub u64);

/// A factor as the book writes it, `"1.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Factor(pub Ratio);

/// When a version takes effect: a bare date is 00:00 of it in the provider's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Moment {
    /// A date.
    Date(Date),
    /// An instant, written with its offset.
    Instant(Timestamp),
}

const YEAR_S: u64 = 366 * 86_400;

/// The longest plain duration, a century.
const PLAIN_MAX_S: u64 = 100 * YEAR_S;

/// The longest target: ten thousand covered hours, more than four working years.
const COVERED_MAX_S: u64 = 10_000 * 3600;

/// Seconds of a text such as `90s`, `15min`, `2h30min`, with the units that `allowed` gives, the longest first.
fn duration_s(text: &str, allowed: &[(&str, u64)]) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut used = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits).filter(|_| (1..=9).contains(&digits))?.parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[..letters];
        let position = allowed.iter().position(|(name, _)| *name == unit).filter(|&position| position >= used)?;
        used = position + 1;
        total = total.checked_add(number.checked_mul(allowed[position].1)?)?;
        rest = rest[letters..].trim_start();
    }
    (used > 0).then_some(total)
}

const PLAIN_UNITS: &[(&str, u64)] =
    &[("y", YEAR_S), ("w", 7 * 86_400), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];

impl PlainSeconds {
    /// Reads `2h30min`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        duration_s(text, PLAIN_UNITS).filter(|&seconds| seconds <= PLAIN_MAX_S).map(Self)
    }
}

impl Read for PlainSeconds {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let seconds = duration_s(&text, PLAIN_UNITS);
        match seconds {
            None => reading.bad_value(
                value,
                format!(
                    "{:?} is not a duration: write a number and a unit, \"10s\", \"5min\", \"2h\", \"5d\"",
                    shown(&text)
                ),
            ),
            Some(seconds) if seconds > PLAIN_MAX_S => {
                let place = reading.place(value);
                reading.report(Diagnostic::new(Code::OutOfBounds, &place, "the duration is longer than a century"));
            }
            Some(_) => {}
        }
        seconds.map(PlainSeconds)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for CoveredSeconds {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let covered = duration_s(&text, &PLAIN_UNITS[3..]);
        let place = reading.place(value);
        match covered {
            None if duration_s(&text, PLAIN_UNITS).is_some() => reading.report(
                Diagnostic::new(Code::BadValue, &place, "a day of covered time has no fixed length")
                    .help("write the hours: \"8h\" is a day of a calendar that covers eight hours"),
            ),
            None => reading.bad_value(
                value,
                format!("{:?} is not a duration: write a number and a unit, \"30min\", \"4h\"", shown(&text)),
            ),
            Some(seconds) if seconds > COVERED_MAX_S => {
                reading.report(Diagnostic::new(Code::OutOfBounds, &place, "a target is at most 10,000 covered hours"));
            }
            Some(_) => {}
        }
        covered.map(CoveredSeconds)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for Ratio {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        Ratio::percent(&text).map_err(|error| reading.bad_value(value, error.to_string())).ok()
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for Factor {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        match Ratio::decimal(&text) {
            Ok(factor) if factor.of(1) > 100 || factor.of(1_000_000) == 0 => {
                let place = reading.place(value);
                reading.report(Diagnostic::new(Code::OutOfBounds, &place, "a factor is above 0 and at most 100"));
                None
            }
            Ok(factor) => Some(Factor(factor)),
            Err(error) => {
                reading.bad_value(value, error.to_string());
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for Price {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        read_money(value, reading, Price::parse)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for Money {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        read_money(value, reading, Money::parse)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// Money is written in the provider's currency. Where that could not be read the amount is not looked at: one mistake
/// is not reported a hundred times.
fn read_money<T>(
    value: &Node<'_>,
    reading: &mut Reading<'_>,
    parse: impl Fn(&str, Currency) -> Result<T, MoneyError>,
) -> Option<T> {
    let text = String::read(value, reading)?;
    let currency = reading.currency?;
    parse(&text, currency).map_err(|error| reading.bad_value(value, error.to_string())).ok()
}

impl Read for Currency {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        Currency::parse(&text).map_err(|error| reading.bad_value(value, error.to_string())).ok()
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for Date {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match Moment::read(value, reading)? {
            Moment::Date(date) => Some(date),
            Moment::Instant(_) => {
                reading.wrong_type(value, "a date without a time, 2026-11-03");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Date
    }
}

impl Read for Moment {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Datetime(written) = value.get_ref() else {
            reading.wrong_type(value, "a date without quotes, 2026-11-03");
            return None;
        };
        let text = written.to_string();
        let moment = match (written.date, written.time, written.offset) {
            (Some(_), None, None) => text.parse::<Date>().ok().map(Moment::Date),
            (Some(_), Some(_), Some(_)) => text.parse::<Timestamp>().ok().map(Moment::Instant),
            (Some(_), Some(_), None) | (None, ..) | (_, None, Some(_)) => {
                let place = reading.place(value);
                reading.report(
                    Diagnostic::new(Code::BadValue, &place, "a time without its zone could be any instant")
                        .help("write a date (2026-11-03: from 00:00 in the provider's zone) or an offset (2026-11-03T00:00:00-06:00)"),
                );
                return None;
            }
        };
        if moment.is_none() {
            reading.bad_value(value, format!("{} is not a date of the calendar", shown(&text)));
        }
        moment
    }
}

/// `12:00` as a wall time.
impl Read for Time {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let time = wall_time(&text);
        if time.is_none() {
            reading.bad_value(value, format!("{:?} is not a time of day: write \"16:00\"", shown(&text)));
        }
        time
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// Reads `HH:MM`.
pub(crate) fn wall_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i8>().ok()).flatten()
    };
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

/// Makes vocabularies readable: a word outside of one is reported with the nearest known.
macro_rules! read_words {
    ($($word:ident $what:literal),+ $(,)?) => {
        $(impl $crate::book::fields::Read for $word {
            fn read(
                value: &$crate::book::fields::Node<'_>,
                reading: &mut $crate::book::fields::Reading<'_>,
            ) -> Option<Self> {
                let text = <String as $crate::book::fields::Read>::read(value, reading)?;
                let word = text.parse().ok();
                if word.is_none() {
                    let known: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    reading.unknown_word(value, $what, &$crate::book::fields::shown(&text), &known);
                }
                word
            }

            fn shape() -> $crate::book::schema::Shape {
                $crate::book::schema::Shape::Words(Self::ALL.iter().map(|known| known.as_str()).collect())
            }
        })+
    };
}
pub(crate) use read_words;

read_words! {
    Stage "stage", Manner "manner", Priority "priority", Level "level", Category "category",
    MeasuredFrom "instant to measure from", SatisfiedBy "satisfying fact",
    OpenIncidents "treatment of open incidents",
    AssetClass "asset class", IncidentClass "incident class", IncidentKind "incident kind",
    RecordKind "kind of record", EventLevel "level of events",
}

macro_rules! names {
    ($($name:ident),+) => {
        $(impl Read for $name {
            fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
                let text = String::read(value, reading)?;
                $name::from_str(&text)
                    .map_err(|error| {
                        let place = reading.place(value);
                        reading.report(Diagnostic::new(Code::BadName, &place, error.to_string()));
                    })
                    .ok()
            }

            fn shape() -> Shape {
                Shape::Text
            }
        })+
    };
}

names!(BookName, PauseReason, ClientId, SiteId, AssetId, CheckId, CheckName, SecretName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_units_in_descending_order() {
        for (text, seconds) in [
            ("10s", Some(10)),
            ("5min", Some(300)),
            ("2h30min", Some(9000)),
            ("2h 30min", Some(9000)),
            ("5d", Some(432_000)),
            ("1y", Some(YEAR_S)),
            ("", None),
            ("10", None),
            ("h", None),
            ("30min2h", None),
            ("1.5h", None),
            ("-1h", None),
            ("2h2h", None),
            ("5m", None),
            ("9999999999s", None),
        ] {
            assert_eq!(duration_s(text, PLAIN_UNITS), seconds, "{text:?}");
        }
    }

    #[test]
    fn wall_times_have_two_digits_each() {
        assert_eq!(wall_time("16:00"), Some(jiff::civil::time(16, 0, 0, 0)));
        for bad in ["24:00", "9:00", "16", "16:0", "-1:00", "+1:00", "16:60"] {
            assert_eq!(wall_time(bad), None, "{bad}");
        }
    }
}
