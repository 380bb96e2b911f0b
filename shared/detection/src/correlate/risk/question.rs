//! The questions of `at-risk` and `noncompliant`, and how the days of a check answer them.
//!
//! A day's answer looks at no more than the four weeks before it, so that a collector that knows two months says what
//! a replay of a year says.

use std::time::Duration;

use jiff::{ToSpan as _, civil::Date};
use upheld_model::IncidentKind;

use crate::{
    kind::Family,
    measure::{Day, Days, Measure, Measured, median},
    plan::Check,
};

/// How far back a day's answer looks.
const LOOK_BACK_DAYS: i32 = 28;
/// Trends are measured over so many days (PROBES 10).
const TREND_DAYS: i32 = 7;
/// Fewer days are no trend: three days apart, four values.
const TREND_DAYS_MIN: usize = 4;
/// So many of all pairs of days must go the same way. Noise on a level does that on few days in a hundred.
const SAME_WAY: f64 = 5.0 / 6.0;
/// A disk that is full within so many days opens; beyond the second number it is clear.
const FULL_DAYS: (f64, f64) = (7.0, 10.0);
/// A disk that fills more slowly (percent a day) is not filling.
const FILLS_MIN: f64 = 0.25;
/// A battery that lasts less than the first share of what it did opens; beyond the second it is clear.
const BATTERY_SHARE: (f64, f64) = (0.6, 0.7);
/// A battery on mains that holds less than the first share of its usual charge opens; beyond the second it is clear.
const CHARGE_SHARE: (f64, f64) = (0.8, 0.9);
/// What is usual is told by the first week ...
const FIRST_DAYS: usize = 7;
/// ... of at least two.
const BATTERY_DAYS_MIN: usize = 14;
/// Loads further apart than this (percent) are not comparable.
const LOAD_APART: f64 = 10.0;
/// A battery that delivers less than the first share of what it promised opens; beyond the second it is clear.
const WORD_SHARE: (f64, f64) = (0.5, 0.6);
/// Backups are compared with those of so many days, and at least so many.
const BACKUP_DAYS: (i32, usize) = (14, 7);
/// Retention that falls under its promise within so many days opens.
const RETENTION_DAYS: f64 = 14.0;
/// Retention may be short of its promise by this much: recorders delete by the file.
const RETENTION_SLACK: f64 = 1.0;
/// Retention that grows by more than this a day is still filling: nobody can say yet.
const RETENTION_FILLS: f64 = 0.5;

/// What a day says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It is so.
    Yes {
        /// In words.
        words: String,
        /// What it was compared with: later days are too, until it is over.
        usual: f64,
    },
    /// Clearly not.
    No,
    /// Between the two.
    Unclear,
    /// Nothing was measured, or too little to say.
    Unknown,
}

/// A question of one check.
pub(super) struct Question<'a> {
    what: What<'a>,
    days: &'a Days,
}

enum What<'a> {
    DiskFills {
        mount: &'a str,
    },
    CertificateEnds {
        warn_days: f64,
    },
    RuntimeFalls {
        load: Option<&'a Days>,
    },
    ChargeFalls,
    /// `heard` are days on which the supply said anything of its battery.
    WordIsBroken {
        promised: &'a Days,
        heard: Option<&'a Days>,
    },
    BackupDrifts,
    RetentionFalls {
        promised: f64,
    },
    RetentionShort {
        promised: f64,
    },
    RestoreOverdue {
        every: Duration,
    },
}

/// What is asked of a check.
pub(super) fn of<'a>(check: &Check, measured: &'a Measured) -> Vec<Question<'a>> {
    let promised = check.promised;
    let ask = |(measure, days): (&'a Measure, &'a Days)| {
        let what = match (measure, check.kind.family()) {
            (Measure::DiskUsed(mount), Family::Host) => vec![What::DiskFills { mount }],
            (Measure::CertificateDays, Family::Network) => {
                let warn_days = f64::from(promised.certificate_days.unwrap_or(CERTIFICATE_DAYS));
                vec![What::CertificateEnds { warn_days }]
            }
            (Measure::BatteryRuntime, Family::Power) => {
                vec![What::RuntimeFalls { load: measured.get(&Measure::BatteryLoad) }]
            }
            (Measure::BatteryCharge, Family::Power) => vec![What::ChargeFalls],
            (Measure::BatteryDelivered, Family::Power) => {
                let promised = measured.get(&Measure::BatteryPromised);
                let heard = measured.get(&Measure::BatteryCharge).or(measured.get(&Measure::BatteryRuntime));
                promised.map(|promised| What::WordIsBroken { promised, heard }).into_iter().collect()
            }
            (Measure::BackupBytes, Family::Backup) => vec![What::BackupDrifts],
            (Measure::RetentionDays, Family::Recording) => {
                let promised = promised.retention_days.map(f64::from);
                let both = |promised| [What::RetentionFalls { promised }, What::RetentionShort { promised }];
                promised.into_iter().flat_map(both).collect()
            }
            (Measure::Restored, Family::Restore) => {
                promised.restore_every.map(|every| What::RestoreOverdue { every }).into_iter().collect()
            }
            // A name that means something else to this kind of check.
            (_, _) => Vec::new(),
        };
        what.into_iter().map(move |what| Question { what, days })
    };
    measured.iter().flat_map(ask).collect()
}

/// The usual warning before a certificate ends (PROBES 8).
const CERTIFICATE_DAYS: u16 = 21;

impl Question<'_> {
    pub(super) fn kind(&self) -> IncidentKind {
        match self.what {
            What::DiskFills { .. }
            | What::CertificateEnds { .. }
            | What::RuntimeFalls { .. }
            | What::ChargeFalls
            | What::WordIsBroken { .. }
            | What::BackupDrifts
            | What::RetentionFalls { .. } => IncidentKind::AtRisk,
            What::RetentionShort { .. } | What::RestoreOverdue { .. } => IncidentKind::Noncompliant,
        }
    }

    /// The days after which it is asked. A restore test is overdue on days on which nothing happens.
    pub(super) fn days(&self, until: Date) -> Vec<Date> {
        match (&self.what, self.days.first_key_value()) {
            (What::RestoreOverdue { .. } | What::WordIsBroken { .. }, Some((first, _))) => {
                super::every_day(*first, until)
            }
            (_, _) => self.days.keys().copied().collect(),
        }
    }

    /// What is known after this day. An open question goes on comparing with what was usual when it opened.
    pub(super) fn ask(&self, day: Date, usual: Option<f64>) -> Answer {
        if let What::RestoreOverdue { every } = self.what {
            return self.restore(day, every);
        }
        if let What::WordIsBroken { promised, heard } = self.what {
            return self.word(day, promised, heard);
        }
        let Some(today) = self.days.get(&day) else { return Answer::Unknown };
        match self.what {
            What::DiskFills { mount } => self.disk(day, today, mount),
            What::CertificateEnds { warn_days } => certificate(today.last, warn_days),
            What::RuntimeFalls { load } => self.runtime(day, load, usual),
            What::ChargeFalls => self.charge(day, today, usual),
            What::BackupDrifts => self.backup(day, today.last),
            What::RetentionFalls { promised } => self.retention_falls(day, today.median, promised),
            What::RetentionShort { promised } => self.retention(day, today.median, promised),
            What::RestoreOverdue { every } => self.restore(day, every),
            What::WordIsBroken { promised, heard } => self.word(day, promised, heard),
        }
    }

    /// Known days in the `back` days that end with this one.
    fn recent(&self, day: Date, back: i32) -> impl DoubleEndedIterator<Item = (Date, Day)> {
        let first = day.checked_sub((back - 1).days()).unwrap_or(Date::MIN);
        self.days.range(first..=day).map(|(date, day)| (*date, *day))
    }

    fn disk(&self, day: Date, today: &Day, mount: &str) -> Answer {
        let Some(trend) = Trend::of(self.recent(day, TREND_DAYS)) else { return Answer::Unknown };
        let left = (100.0 - today.last).max(0.0) / trend.slope;
        if trend.slope < FILLS_MIN || left > FULL_DAYS.1 {
            return Answer::No;
        }
        if left > FULL_DAYS.0 || !trend.is_rising() || self.fell_from(day, today.median) {
            return Answer::Unclear;
        }
        let disk = if mount.is_empty() || mount == "/" { String::new() } else { format!(" {mount}") };
        let words = match left.ceil() {
            left if left <= 1.0 => format!("the disk{disk} is full within a day at this pace"),
            left => format!("the disk{disk} is full in about {left:.0} days at this pace"),
        };
        Answer::Yes { words, usual: trend.slope }
    }

    /// Whether it was as full as this before and became emptier by itself: logs are rotated, recordings deleted.
    fn fell_from(&self, day: Date, level: f64) -> bool {
        let mut lowest_since = f64::INFINITY;
        for (_, known) in self.recent(day, LOOK_BACK_DAYS).rev() {
            if known.median >= level && lowest_since < known.median - 1.0 {
                return true;
            }
            lowest_since = lowest_since.min(known.median);
        }
        false
    }

    fn runtime(&self, day: Date, load: Option<&Days>, usual: Option<f64>) -> Answer {
        let load_on = |date: &Date| load.and_then(|days| days.get(date)).map(|day| day.median);
        let of_today = load_on(&day);
        let is_comparable = |date: &Date| match (load_on(date), of_today) {
            (Some(one), Some(other)) => (one - other).abs() <= LOAD_APART,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let known = self.recent(day, LOOK_BACK_DAYS).filter(|(date, _)| is_comparable(date));
        let known: Vec<f64> = known.map(|(_, day)| day.median).collect();
        let Some((first, latest)) = first_and_latest(&known) else { return Answer::Unknown };
        let usual = usual.unwrap_or(first);
        compared(latest, usual, BATTERY_SHARE, || {
            let minutes = |seconds: f64| (seconds / 60.0).round();
            format!("the battery lasts about {} min, it was {} min", minutes(latest), minutes(usual))
        })
    }

    fn charge(&self, day: Date, today: &Day, usual: Option<f64>) -> Answer {
        let known: Vec<f64> = self.recent(day, LOOK_BACK_DAYS).map(|(_, day)| day.median).collect();
        let Some((first, latest)) = first_and_latest(&known) else { return Answer::Unknown };
        compared(latest, usual.unwrap_or(first), CHARGE_SHARE, || {
            format!("the battery stays at {:.0} % on mains", today.median)
        })
    }

    /// The agent tells of a broken word until the battery keeps a later one or is changed, so a day on which it tells of
    /// none is a clear one.
    fn word(&self, day: Date, promised: &Days, heard: Option<&Days>) -> Answer {
        let (Some(delivered), Some(promised)) = (self.days.get(&day), promised.get(&day)) else {
            let was_heard = heard.is_some_and(|days| days.contains_key(&day));
            return if was_heard { Answer::No } else { Answer::Unknown };
        };
        let (delivered, promised) = (delivered.last, promised.last);
        compared(delivered, promised, WORD_SHARE, || {
            format!(
                "the battery is ageing: it lasted {} of the {} that it promised",
                length(delivered),
                length(promised)
            )
        })
    }

    /// Beyond twice or half of what is usual, and beyond all that was seen: a full backup among small ones is usual.
    fn backup(&self, day: Date, newest: f64) -> Answer {
        let (back, number) = BACKUP_DAYS;
        let Ok(yesterday) = day.checked_sub(1.day()) else { return Answer::Unknown };
        let mut known: Vec<f64> = self.recent(yesterday, back).map(|(_, day)| day.last).collect();
        if known.len() < number {
            return Answer::Unknown;
        }
        let Some(usual) = median(&mut known).filter(|usual| *usual > 0.0) else { return Answer::Unknown };
        // Sorted by the median.
        let is_small = newest < usual / 2.0 && newest < known[0];
        let is_large = newest > usual * 2.0 && newest > known[known.len() - 1];
        let is_usual = (usual / 2.0..=usual * 2.0).contains(&newest);
        match (is_small || is_large, is_usual) {
            (true, _) => Answer::Yes {
                words: format!("the newest backup has {}, usual is {}", size(newest), size(usual)),
                usual,
            },
            (false, true) => Answer::No,
            (false, false) => Answer::Unclear,
        }
    }

    fn retention_falls(&self, day: Date, days: f64, promised: f64) -> Answer {
        let Some(trend) = Trend::of(self.recent(day, TREND_DAYS)) else { return Answer::Unknown };
        let left = (days - promised).max(0.0) / -trend.slope;
        if trend.slope >= 0.0 || left > 2.0 * RETENTION_DAYS {
            return Answer::No;
        }
        if left > RETENTION_DAYS || !trend.is_falling() || days < promised - RETENTION_SLACK {
            return Answer::Unclear;
        }
        let words = format!(
            "recordings go back {days:.0} days and less each day; under the promised {promised:.0} in about {:.0} days",
            left.ceil().max(1.0)
        );
        Answer::Yes { words, usual: promised }
    }

    fn retention(&self, day: Date, days: f64, promised: f64) -> Answer {
        if days >= promised {
            return Answer::No;
        }
        let Some(trend) = Trend::of(self.recent(day, TREND_DAYS)) else { return Answer::Unknown };
        if days >= promised - RETENTION_SLACK || trend.slope >= RETENTION_FILLS {
            return Answer::Unclear;
        }
        let words = format!("recordings go back {days:.0} days, {promised:.0} are promised");
        Answer::Yes { words, usual: promised }
    }

    /// That one was never passed, as far as is known, says nothing: a run that fails or is missed is told by itself.
    fn restore(&self, day: Date, every: Duration) -> Answer {
        let Some((last, _)) = self.days.range(..=day).next_back() else { return Answer::Unknown };
        let Ok(since) = last.until(day) else { return Answer::Unknown };
        let promised = every.as_secs() / 86_400;
        let days = u64::try_from(since.get_days()).unwrap_or(0);
        if days <= promised {
            return Answer::No;
        }
        let words =
            format!("the last restore test that passed is {days} days old, one every {promised} days is promised");
        Answer::Yes { words, usual: 0.0 }
    }
}

fn certificate(left: f64, warn_days: f64) -> Answer {
    if left > warn_days {
        return Answer::No;
    }
    let words = match left.floor() {
        left if left < 0.0 => "the certificate has expired".to_owned(),
        left if left < 1.0 => "the certificate expires within a day".to_owned(),
        left => format!("the certificate expires in {left:.0} days"),
    };
    Answer::Yes { words, usual: warn_days }
}

/// The middle of the first week and of the last three days; `None` while there are too few days.
fn first_and_latest(known: &[f64]) -> Option<(f64, f64)> {
    if known.len() < BATTERY_DAYS_MIN {
        return None;
    }
    let first = median(&mut known[..FIRST_DAYS].to_vec())?;
    Some((first, median(&mut known[known.len() - 3..].to_vec())?))
}

fn compared(latest: f64, usual: f64, (opens, clear): (f64, f64), words: impl Fn() -> String) -> Answer {
    if usual <= 0.0 {
        Answer::Unknown
    } else if latest < opens * usual {
        Answer::Yes { words: words(), usual }
    } else if latest >= clear * usual {
        Answer::No
    } else {
        Answer::Unclear
    }
}

/// How days follow one another: the middle slope of all pairs (Theil and Sen), which a few odd days do not move.
struct Trend {
    slope: f64,
    rising: usize,
    falling: usize,
    pairs: usize,
}

impl Trend {
    fn of(days: impl Iterator<Item = (Date, Day)>) -> Option<Self> {
        let days: Vec<(Date, Day)> = days.collect();
        if days.len() < TREND_DAYS_MIN {
            return None;
        }
        let mut slopes = Vec::new();
        for (at, (earlier, before)) in days.iter().enumerate() {
            for (later, after) in &days[at + 1..] {
                let apart = earlier.until(*later).ok()?.get_days();
                slopes.push((after.median - before.median) / f64::from(apart));
            }
        }
        let rising = slopes.iter().filter(|slope| **slope > 0.0).count();
        let falling = slopes.iter().filter(|slope| **slope < 0.0).count();
        let pairs = slopes.len();
        Some(Self { slope: median(&mut slopes)?, rising, falling, pairs })
    }

    fn is_rising(&self) -> bool {
        self.rising as f64 >= SAME_WAY * self.pairs as f64
    }

    fn is_falling(&self) -> bool {
        self.falling as f64 >= SAME_WAY * self.pairs as f64
    }
}

/// `45 s`, `4 min`.
fn length(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// `1.2 GB`.
fn size(bytes: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes:.0} bytes"),
    }
}
