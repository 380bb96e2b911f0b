//! From a line to a question.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::calendar::{CalendarError, Pause};

use super::{AmendError, AmendMode, Case, LINE_BYTES_MAX, Question, Version, store::Calendars};

/// Why a case is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The line is longer than is read.
    #[error("the line has {bytes} bytes, at most {LINE_BYTES_MAX} are read")]
    LineTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The line is not JSON, or not an object.
    #[error("not a case: {0}")]
    NotACase(String),
    /// Its kind is none that is known.
    #[error("kind {0:?} is not known: write due, elapsed or amend")]
    UnknownKind(String),
    /// A key that this kind needs is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key's value cannot be read.
    #[error("{key}: {why}")]
    Key {
        /// Which key.
        key: &'static str,
        /// What the reader said.
        why: String,
    },
    /// The calendar is refused.
    #[error("calendar: {0}")]
    Calendar(#[source] CalendarError),
    /// A pause ends before it begins.
    #[error("pauses[{index}] ends before it begins")]
    PauseBackwards {
        /// Which one.
        index: usize,
    },
    /// A period ends before it begins.
    #[error("end is before start")]
    EndBeforeStart,
    /// The versions do not say which one applies.
    #[error("versions: {0}")]
    Amend(#[source] AmendError),
}

impl CaseError {
    pub(super) fn key(key: &'static str, error: impl ToString) -> Self {
        Self::Key { key, why: error.to_string() }
    }
}

/// A line's keys, their values unread: one bad value then spoils its own key only, and the id is still known.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow, default)]
    id: Option<&'l RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'l RawValue>,
    #[serde(borrow, default)]
    calendar: Option<&'l RawValue>,
    #[serde(borrow, default)]
    start: Option<&'l RawValue>,
    #[serde(borrow, default)]
    end: Option<&'l RawValue>,
    #[serde(borrow, default)]
    pauses: Option<&'l RawValue>,
    #[serde(borrow, default)]
    target_s: Option<&'l RawValue>,
    #[serde(borrow, default)]
    mode: Option<&'l RawValue>,
    #[serde(borrow, default)]
    versions: Option<&'l RawValue>,
}

#[derive(Deserialize)]
struct VersionLine<'l> {
    effective_from: Option<Timestamp>,
    #[serde(borrow)]
    calendar: &'l RawValue,
    target_s: WholeSeconds,
}

/// Seconds; `3600.0`, as some languages write whole numbers, is one too.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct WholeSeconds(u64);

impl TryFrom<serde_json::Number> for WholeSeconds {
    type Error = String;

    fn try_from(number: serde_json::Number) -> Result<Self, String> {
        // Every whole number below 2^53 is exact as a float.
        let from_float = |float: f64| (float.fract() == 0.0 && (0.0..9.0e15).contains(&float)).then_some(float as u64);
        let seconds = number.as_u64().or_else(|| number.as_f64().and_then(from_float));
        seconds.map(Self).ok_or_else(|| format!("{number} is no whole number of seconds from 0 to {}", u64::MAX))
    }
}

pub(super) fn case<'l>(line: &'l str, calendars: &mut Calendars) -> Case<'l> {
    match keys(line) {
        Ok(keys) => Case { id: plain(keys.id), question: question(&keys, calendars) },
        Err(error) => Case { id: id_of(line), question: Err(error) },
    }
}

fn keys(line: &str) -> Result<Line<'_>, CaseError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(CaseError::LineTooLong { bytes: line.len() });
    }
    if !is_object(line) {
        return Err(CaseError::NotACase("expected a JSON object".to_owned()));
    }
    serde_json::from_str(line).map_err(|error| CaseError::NotACase(error.to_string()))
}

/// The id of a line that may be bad otherwise.
pub(crate) fn id_of(line: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct OnlyId<'l> {
        #[serde(borrow, default)]
        id: Option<&'l RawValue>,
    }
    let is_readable = line.len() <= LINE_BYTES_MAX && is_object(line);
    is_readable.then(|| serde_json::from_str::<OnlyId<'_>>(line).ok()).flatten().and_then(|line| plain(line.id))
}

/// The reader of structs takes arrays too; a case is an object.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
}

/// An id is echoed as it stands; one that is no plain value is not an id.
fn plain(id: Option<&RawValue>) -> Option<&RawValue> {
    id.filter(|id| !id.get().starts_with(['{', '[']))
}

fn question(keys: &Line<'_>, calendars: &mut Calendars) -> Result<Question, CaseError> {
    let kind: String = value("kind", keys.kind)?;
    let start = || value::<Timestamp>("start", keys.start);
    let mut calendar = || calendars.get(keys.calendar.ok_or(CaseError::Missing("calendar"))?.get());
    match kind.as_str() {
        "due" => Ok(Question::Due {
            calendar: calendar()?,
            start: start()?,
            target_s: value::<WholeSeconds>("target_s", keys.target_s)?.0,
            pauses: pauses(keys.pauses)?,
        }),
        "elapsed" => {
            let (calendar, start, end) = (calendar()?, start()?, value("end", keys.end)?);
            if end < start {
                return Err(CaseError::EndBeforeStart);
            }
            Ok(Question::Elapsed { calendar, start, end, pauses: pauses(keys.pauses)? })
        }
        "amend" => Ok(Question::Amend {
            start: start()?,
            mode: value::<AmendMode>("mode", keys.mode)?,
            versions: versions(keys.versions, calendars)?,
            pauses: pauses(keys.pauses)?,
        }),
        unknown => Err(CaseError::UnknownKind(unknown.chars().take(80).collect())),
    }
}

fn value<T: DeserializeOwned>(key: &'static str, raw: Option<&RawValue>) -> Result<T, CaseError> {
    let raw = raw.ok_or(CaseError::Missing(key))?;
    serde_json::from_str(raw.get()).map_err(|error| CaseError::key(key, error))
}

fn pauses(raw: Option<&RawValue>) -> Result<Vec<Pause>, CaseError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let pairs: Option<Vec<(Timestamp, Option<Timestamp>)>> = value("pauses", Some(raw))?;
    let pause = |(index, (from, to)): (usize, (Timestamp, Option<Timestamp>))| match to {
        Some(to) if to < from => Err(CaseError::PauseBackwards { index }),
        Some(_) | None => Ok(Pause { from, to }),
    };
    pairs.unwrap_or_default().into_iter().enumerate().map(pause).collect()
}

fn versions(raw: Option<&RawValue>, calendars: &mut Calendars) -> Result<Vec<Version>, CaseError> {
    let raw = raw.ok_or(CaseError::Missing("versions"))?;
    let lines: Vec<VersionLine<'_>> =
        serde_json::from_str(raw.get()).map_err(|error| CaseError::key("versions", error))?;
    let version = |line: VersionLine<'_>| {
        let calendar = calendars.get(line.calendar.get())?;
        Ok(Version { effective_from: line.effective_from, calendar, target_s: line.target_s.0 })
    };
    lines.into_iter().map(version).collect()
}
