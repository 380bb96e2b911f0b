//! Why a calendar is refused, and what it is warned about.

use std::fmt;

use super::{Weekly, YEAR_MAX, YEAR_MIN};

/// Where in a [`super::CalendarDef`] something stands; indexes count from 0 in the order written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `tz`.
    Zone,
    /// `weekly`: the day (0 is Monday) and which of its hours.
    Weekly {
        /// 0 is Monday.
        day: usize,
        /// Which of the day's hours.
        index: usize,
    },
    /// `holidays`.
    Holiday {
        /// Which one.
        index: usize,
    },
    /// `yearly_holidays`.
    YearlyHoliday {
        /// Which one.
        index: usize,
    },
    /// `extra`.
    Extra {
        /// Which one.
        index: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Zone => f.write_str("tz"),
            Self::Weekly { day, index } => {
                write!(f, "weekly.{}[{index}]", Weekly::DAYS.get(day).copied().unwrap_or("?"))
            }
            Self::Holiday { index } => write!(f, "holidays[{index}]"),
            Self::YearlyHoliday { index } => write!(f, "yearly_holidays[{index}]"),
            Self::Extra { index } => write!(f, "extra[{index}]"),
        }
    }
}

/// Why a calendar is refused. Texts that are quoted are cut at 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// There is no `tz`.
    #[error("the calendar has no time zone: write tz, for example \"America/Chicago\"")]
    NoZone,
    /// No such zone in the time zone database.
    #[error("tz: {tz:?} is not a time zone of the IANA database; write for example \"America/Chicago\"")]
    UnknownZone {
        /// As written.
        tz: String,
    },
    /// Not a reading of the clock.
    #[error("{place}: {text:?} is not a time of day: write HH:MM from 00:00 to 24:00")]
    Clock {
        /// Where.
        place: Place,
        /// As written.
        text: String,
    },
    /// `24:00` where hours begin.
    #[error("{place}: hours cannot begin at 24:00: write 00:00 of the next day")]
    BeginsAtMidnightsEnd {
        /// Where.
        place: Place,
    },
    /// Not a date of the calendar, or not within the years that are kept.
    #[error("{place}: {text:?} is not a date from {YEAR_MIN} to {YEAR_MAX}: write YYYY-MM-DD")]
    Date {
        /// Where.
        place: Place,
        /// As written.
        text: String,
    },
    /// Not a date of any year.
    #[error("{place}: {text:?} is not a date of any year: write MM-DD")]
    YearlyDate {
        /// Where.
        place: Place,
        /// As written.
        text: String,
    },
    /// A part of a holiday that ends before it begins.
    #[error("{place}: the part ends before it begins; a holiday is within one date: write one for each date")]
    PartEndsFirst {
        /// Where.
        place: Place,
    },
    /// More entries than a calendar takes.
    #[error("{what} has {count} entries, at most {max} are allowed")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
}

impl CalendarError {
    /// Where the mistake stands; `None` for a whole list.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::NoZone | Self::UnknownZone { .. } => Some(Place::Zone),
            Self::Clock { place, .. }
            | Self::BeginsAtMidnightsEnd { place }
            | Self::Date { place, .. }
            | Self::YearlyDate { place, .. }
            | Self::PartEndsFirst { place } => Some(*place),
            Self::TooMany { .. } => None,
        }
    }
}

/// What is legal but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarWarning {
    /// Hours or a part whose end is its beginning: nothing.
    Empty {
        /// Where.
        place: Place,
    },
    /// No regular and no extra hours: every target but zero is never due.
    CoversNothing,
}

impl fmt::Display for CalendarWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { place } => {
                write!(f, "{place}: begins and ends at the same time, so it is empty; a whole day is 00:00 to 24:00")
            }
            Self::CoversNothing => f.write_str("the calendar covers no time at all: no target can fall due"),
        }
    }
}
