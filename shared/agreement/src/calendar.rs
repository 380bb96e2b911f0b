//! Coverage calendars: when time counts, and when a target falls due (TERMS 3, R1-R9).
use jiff::{Timestamp, civil::Time};

mod def;
mod error;

pub use def::{CalendarDef, ExtraHours, Holiday, Hours, Weekly};
pub use error::{CalendarError, CalendarWarning, Place};

/// The first year whose seconds count and in which a dated entry may stand.
pub const YEAR_MIN: i16 = 1900;
/// The last year in which a dated entry may stand. Regular hours go on to the end of the year 9999.
pub const YEAR_MAX: i16 = 2999;

/// A compiled calendar: immutable, and cheap to ask.
#[derive(Debug, Clone)]
pub enum Calendar {}

/// A set of instants `[from, to)` that does not count; without `to` it is still open (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pause {
    /// When it began.
    pub from: Timestamp,
    /// When it ended. At or before `from` it is empty.
    pub to: Option<Timestamp>,
}

/// When a target falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this instant.
    At(Timestamp),
    /// Not while the open pause lasts (R5).
    Paused,
    /// The calendar can never reach the target (R7).
    Never,
}

impl Due {
    /// The instant, if there is one.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Paused | Self::Never => None,
        }
    }
}

/// A stretch of time and how it counts (F10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why it counts or does not.
    pub why: Why,
    /// How many seconds of it count: all of them or none, whole seconds of the running sum.
    pub counted_s: u64,
}

/// Why a stretch of time counts or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Covered, and not paused.
    Counted,
    /// Outside the calendar's hours: running, not counting (F5).
    OutsideCoverage,
    /// Would be covered but for this holiday.
    Holiday {
        /// What people call it.
        name: Option<String>,
    },
    /// Would count but for this pause.
    Paused {
        /// Which of the pauses given; of overlapping ones the one that began first.
        pause: usize,
    },
}

/// A part of a target, from nothing to the whole: for warnings (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction {
    /// In millionths, at most 1,000,000.
    ppm: u32,
}

impl Fraction {
    /// So many hundredths; above 100 is the whole.
    pub const fn percent(percent: u32) -> Self {
        Self::ppm(percent.saturating_mul(10_000))
    }

    /// So many millionths; above 1,000,000 is the whole.
    pub const fn ppm(ppm: u32) -> Self {
        Self { ppm: if ppm < 1_000_000 { ppm } else { 1_000_000 } }
    }
}

/// "By 12:00 next business day" (R9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByNextBusinessDay {
    /// The wall time on that date.
    pub by: Time,
    /// What starts later than this wall time is due one covered date later.
    pub received_by: Option<Time>,
}

impl Calendar {
    /// Checks and compiles a calendar. The first mistake is the error.
    pub fn compile(_def: &CalendarDef) -> Result<Self, CalendarError> {
        Err(CalendarError::NoZone)
    }

    /// What is legal in the calendar but hardly meant.
    pub fn warnings(&self) -> &[CalendarWarning] {
        match *self {}
    }

    /// The IANA name of the zone, as the database spells it.
    pub fn zone_name(&self) -> &str {
        match *self {}
    }

    /// The earliest instant at which the counted seconds since `start` reach `target_s` (R4, R5, R7).
    pub fn due(&self, _start: Timestamp, _target_s: u64, _pauses: &[Pause]) -> Due {
        match *self {}
    }

    /// The due of that fraction of the target (R6), the seconds rounded up.
    pub fn warning(&self, _start: Timestamp, _target_s: u64, _fraction: Fraction, _pauses: &[Pause]) -> Due {
        match *self {}
    }

    /// By that wall time on the next date with coverage (R9).
    pub fn due_by(&self, _start: Timestamp, _rule: ByNextBusinessDay, _pauses: &[Pause]) -> Due {
        match *self {}
    }

    /// The instant at which that fraction of the counted seconds of `[start, due]` under `due_by` is used (R9).
    pub fn warning_by(
        &self,
        _start: Timestamp,
        _rule: ByNextBusinessDay,
        _fraction: Fraction,
        _pauses: &[Pause],
    ) -> Due {
        match *self {}
    }

    /// The whole seconds that count in `[start, end)`; 0 when `end` is not after `start`.
    pub fn elapsed_s(&self, _start: Timestamp, _end: Timestamp, _pauses: &[Pause]) -> u64 {
        match *self {}
    }

    /// `[start, end)` cut into consecutive stretches, each with its reason; their counted seconds sum up to
    /// [`Calendar::elapsed_s`].
    pub fn segments(&self, _start: Timestamp, _end: Timestamp, _pauses: &[Pause]) -> Vec<Segment> {
        match *self {}
    }

    /// Whether the instant is inside coverage (R1).
    pub fn is_open(&self, _at: Timestamp) -> bool {
        match *self {}
    }

    /// The first instant after `at` at which coverage begins; `None` when it never does again.
    pub fn next_opening(&self, _at: Timestamp) -> Option<Timestamp> {
        match *self {}
    }

    /// The first instant after `at` at which coverage ends; `None` when it never does again.
    pub fn next_closing(&self, _at: Timestamp) -> Option<Timestamp> {
        match *self {}
    }

    /// The first instant after `at` at which coverage begins or ends; `None` when it never does again.
    pub fn next_change(&self, _at: Timestamp) -> Option<Timestamp> {
        match *self {}
    }
}
