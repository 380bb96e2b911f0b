//! Coverage calendars: when time counts, and when a target falls due (TERMS 3, R1-R9).
//!
//! A [`CalendarDef`] is what people write. [`Calendar::compile`] refuses what cannot be meant and builds tables; after
//! that every question costs a few binary searches, whether the target is an hour or ten years (R8):
//!
//! | layer | knows |
//! |---|---|
//! | `check` | texts, bounds |
//! | `day` | the hours of one local date |
//! | `wall` | the repeating week and the special dates, on an unbroken wall clock |
//! | `line` | the zone: real seconds, gaps and folds, and the 400-year cycle in which calendars repeat |
//!
//! Coverage begins and ends on whole seconds. Instants may have fractions, and they are kept: a target of an hour that
//! starts at 10:00:00.25 is due at 11:00:00.25. Seconds before the year 1900 never count; a due after the year 9999
//! is [`Due::Never`]. The zone's rules are those of the time zone database that `jiff` finds.
//!
//! It never asks what time it is, and it never fails once compiled.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp, civil::Time, tz::Offset};

mod business_day;
mod check;
mod day;
mod def;
mod error;
mod line;
mod pause;
mod segment;
mod stretch;
mod wall;

use check::Checked;
use day::Kind;
pub use def::{CalendarDef, ExtraHours, Holiday, Hours, Weekly};
pub use error::{CalendarError, CalendarWarning, Place};
use line::Line;
use pause::Pauses;
pub use segment::Segments;

/// The first year whose seconds count and in which a dated entry may stand.
pub const YEAR_MIN: i16 = 1900;
/// The last year in which a dated entry may stand. Regular hours go on to the end of the year 9999.
pub const YEAR_MAX: i16 = 2999;

/// A compiled calendar: immutable, shared when cloned, and cheap to ask.
///
/// ```
/// use upheld_agreement::calendar::{Calendar, CalendarDef, Due, Hours, Weekly};
///
/// let office = vec![Hours("09:00".into(), "17:00".into())];
/// let weekly = Weekly { mon: office.clone(), fri: office, ..Weekly::default() };
/// let def = CalendarDef { tz: "America/Chicago".into(), weekly, ..CalendarDef::default() };
/// let calendar = Calendar::compile(&def)?;
/// // Friday 16:00 in Chicago; two hours later in coverage is Monday 10:00.
/// let due = calendar.due("2026-11-20T22:00:00Z".parse()?, 2 * 3600, &[]);
/// assert_eq!(due, Due::At("2026-11-23T16:00:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Calendar(Arc<Compiled>);

struct Compiled {
    line: Line,
    /// Names of holidays, by the number that [`Kind::Holiday`] holds.
    names: Vec<Option<String>>,
    zone_name: String,
    warnings: Vec<CalendarWarning>,
}

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
    /// Not while the open pause lasts (R5). Only where the target could be reached without it.
    Paused,
    /// The calendar can never reach the target, or not before the year 10,000 (R7).
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

    /// The fraction of so many seconds, rounded up: a warning never comes before its time.
    pub fn of_s(self, seconds: u64) -> u64 {
        let part = (u128::from(seconds) * u128::from(self.ppm)).div_ceil(1_000_000);
        // At most the whole, which was a u64.
        u64::try_from(part).unwrap_or(seconds)
    }
}

/// "By 12:00 next business day" (R9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByNextBusinessDay {
    /// The wall time on that date. Where a gap swallows it, the end of the gap; in a fold the first of the two.
    pub by: Time,
    /// What starts later than this wall time is due one covered date later.
    pub received_by: Option<Time>,
}

impl Calendar {
    /// Checks and compiles a calendar. The first mistake is the error.
    pub fn compile(def: &CalendarDef) -> Result<Self, CalendarError> {
        let checked = Checked::read(def)?;
        let line = Line::new(&checked);
        let Checked { zone_name, names, warnings, .. } = checked;
        Ok(Self(Arc::new(Compiled { line, names, zone_name, warnings })))
    }

    /// What is legal in the calendar but hardly meant.
    pub fn warnings(&self) -> &[CalendarWarning] {
        &self.0.warnings
    }

    /// The IANA name of the zone, as the database spells it.
    pub fn zone_name(&self) -> &str {
        &self.0.zone_name
    }

    /// The zone's offset from UTC at an instant, by which its wall clock can be shown.
    pub fn offset_at(&self, at: Timestamp) -> Offset {
        let seconds = i32::try_from(self.0.line.offset_at(split(at).0)).unwrap_or(0);
        Offset::from_seconds(seconds).unwrap_or(Offset::UTC)
    }

    /// The earliest instant at which the counted seconds since `start` reach `target_s` (R4, R5, R7). A target of zero
    /// is due at the start, whatever the coverage and the pauses.
    pub fn due(&self, start: Timestamp, target_s: u64, pauses: &[Pause]) -> Due {
        match i64::try_from(target_s) {
            Ok(target_s) => self.due_exact(start, SignedDuration::from_secs(target_s), pauses),
            Err(_) => Due::Never,
        }
    }

    /// The same for a target with a fraction of a second, as one carried over from another calendar may have.
    pub(crate) fn due_exact(&self, start: Timestamp, target: SignedDuration, pauses: &[Pause]) -> Due {
        self.0.due(start, target, pauses)
    }

    /// The due of that fraction of the target (R6), its seconds rounded up.
    pub fn warning(&self, start: Timestamp, target_s: u64, fraction: Fraction, pauses: &[Pause]) -> Due {
        self.due(start, fraction.of_s(target_s), pauses)
    }

    /// By that wall time on the next date with coverage after the start's date, or on the one after when `start` is
    /// past the cut-off (R9). Dates whose coverage was paused from beginning to end are passed over. An open pause that
    /// began before the due leaves no due.
    pub fn due_by(&self, start: Timestamp, rule: ByNextBusinessDay, pauses: &[Pause]) -> Due {
        self.0.due_by(start, rule, pauses)
    }

    /// The instant at which that fraction of the counted seconds of `[start, due]` under `due_by` is used (R9), its
    /// seconds rounded up.
    pub fn warning_by(&self, start: Timestamp, rule: ByNextBusinessDay, fraction: Fraction, pauses: &[Pause]) -> Due {
        match self.due_by(start, rule, pauses) {
            Due::At(due) => self.warning(start, self.elapsed_s(start, due, pauses), fraction, pauses),
            none @ (Due::Paused | Due::Never) => none,
        }
    }

    /// The whole seconds that count in `[start, end)`; 0 when `end` is not after `start`.
    pub fn elapsed_s(&self, start: Timestamp, end: Timestamp, pauses: &[Pause]) -> u64 {
        self.elapsed_exact(start, end, pauses).as_secs().unsigned_abs()
    }

    /// The same with its fraction of a second.
    pub(crate) fn elapsed_exact(&self, start: Timestamp, end: Timestamp, pauses: &[Pause]) -> SignedDuration {
        self.0.elapsed(start, end, &Pauses::new(pauses))
    }

    /// `[start, end)` cut into consecutive stretches, each with its reason and unlike its neighbours; their counted
    /// seconds sum up to [`Calendar::elapsed_s`].
    pub fn segments(&self, start: Timestamp, end: Timestamp, pauses: &[Pause]) -> Vec<Segment> {
        self.segments_lazily(start, end, pauses).collect()
    }

    /// The same one by one, for periods of unknown length.
    pub fn segments_lazily(&self, start: Timestamp, end: Timestamp, pauses: &[Pause]) -> Segments<'_> {
        Segments::new(&self.0, start, end, Pauses::new(pauses))
    }

    /// Whether the instant is inside coverage (R1).
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.0.is_open(split(at).0)
    }

    /// The first instant after `at` at which coverage begins; `None` when it never does again.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let at = split(at).0;
        let closed_from = if self.0.is_open(at) { self.0.line.open_run_end(at)? } else { at };
        Timestamp::from_second(self.0.line.first_open(closed_from)?).ok()
    }

    /// The first instant after `at` at which coverage ends; `None` when it never does again.
    pub fn next_closing(&self, at: Timestamp) -> Option<Timestamp> {
        let opening = self.0.line.first_open(split(at).0)?;
        Timestamp::from_second(self.0.line.open_run_end(opening)?).ok()
    }

    /// The first instant after `at` at which coverage begins or ends; `None` when it never does again.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        if self.is_open(at) { self.next_closing(at) } else { self.next_opening(at) }
    }

    /// How many table entries the calendar holds, some 40 bytes each: for bounding a cache of calendars.
    pub fn weight(&self) -> usize {
        self.0.line.weight()
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calendar").field("zone", &self.0.zone_name).finish_non_exhaustive()
    }
}

impl Compiled {
    fn due(&self, start: Timestamp, target: SignedDuration, pauses: &[Pause]) -> Due {
        if target.is_zero() {
            return Due::At(start);
        }
        let Some(mut goal) = self.counted(start).checked_add(target) else { return Due::Never };
        for stretch in Pauses::new(pauses).since(start) {
            let at_pause = self.counted(stretch.from.max(start));
            if goal <= at_pause {
                break;
            }
            if stretch.to == Timestamp::MAX {
                return self.reach(goal).map_or(Due::Never, |_| Due::Paused);
            }
            let taken = self.counted(stretch.to) - at_pause;
            let Some(later) = goal.checked_add(taken) else { return Due::Never };
            goal = later;
        }
        self.reach(goal).map_or(Due::Never, Due::At)
    }

    fn elapsed(&self, start: Timestamp, end: Timestamp, pauses: &Pauses) -> SignedDuration {
        if end <= start {
            return SignedDuration::ZERO;
        }
        self.counted(end) - self.counted(start) - pauses.taken(self, start, end)
    }

    /// The covered time before an instant, pauses apart.
    fn counted(&self, at: Timestamp) -> SignedDuration {
        let (second, nanosecond) = split(at);
        let fraction = if nanosecond > 0 && self.is_open(second) { nanosecond } else { 0 };
        SignedDuration::new(self.line.open_before(second), fraction)
    }

    /// The earliest instant before which that much time was covered; more than none.
    fn reach(&self, counted: SignedDuration) -> Option<Timestamp> {
        let (seconds, fraction) = (counted.as_secs(), counted.subsec_nanos());
        if fraction == 0 {
            return Timestamp::from_second(self.line.reach(seconds)?).ok();
        }
        // The last second before the next whole one is open throughout, because coverage changes on whole seconds.
        let begun = self.line.reach(seconds.checked_add(1)?)? - 1;
        Timestamp::new(begun, fraction).ok()
    }

    fn is_open(&self, second: i64) -> bool {
        self.line.at(second).0 == Kind::Open
    }
}

/// The second in which an instant lies, and the nanoseconds since that second began.
fn split(at: Timestamp) -> (i64, i32) {
    let (second, nanosecond) = (at.as_second(), at.subsec_nanosecond());
    if nanosecond < 0 { (second - 1, nanosecond + 1_000_000_000) } else { (second, nanosecond) }
}
