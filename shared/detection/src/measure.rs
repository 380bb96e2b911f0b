//! What is measured and judged by the day: disks, certificates, batteries, backups, recordings (DETECTION 3, at risk).
//!
//! Such things change slowly, so of each local hour the latest value is kept ([`Points`]), and of each local day the
//! middle and the latest of those ([`Day`]). Neither order nor number of arrivals changes them. What a check could not
//! judge says nothing.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::Outcome;

use crate::{
    kind::{CheckKind, Family},
    observe::{Reading, Supply},
};

/// A battery below this is charging: how long it would last says nothing about its age.
const CHARGED_PERCENT: f64 = 95.0;

/// What is measured, by the name of its value in samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Measure {
    /// How full a file system is, in percent; by where it is mounted, empty where that is not said.
    DiskUsed(Box<str>),
    /// For how many days the certificate is good.
    CertificateDays,
    /// For how many seconds the charged battery would last.
    BatteryRuntime,
    /// The load in percent at which it would.
    BatteryLoad,
    /// How full the battery is on mains, in percent.
    BatteryCharge,
    /// For how many seconds the battery lasted when its word was put to the test ...
    BatteryDelivered,
    /// ... and for how many it had promised to.
    BatteryPromised,
    /// The size of the newest backup.
    BackupBytes,
    /// How many days recordings go back.
    RetentionDays,
    /// A restore test that was passed; its value says nothing.
    Restored,
}

impl Measure {
    /// The measure of this name; an open list from outside: other values are not judged by the day.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "disk_used_percent" => Some(Self::DiskUsed("".into())),
            "tls_days_left" => Some(Self::CertificateDays),
            "runtime_s" => Some(Self::BatteryRuntime),
            "load_percent" => Some(Self::BatteryLoad),
            "charge_percent" => Some(Self::BatteryCharge),
            "battery_delivered_s" => Some(Self::BatteryDelivered),
            "battery_promised_s" => Some(Self::BatteryPromised),
            "newest_bytes" => Some(Self::BackupBytes),
            "retention_days" => Some(Self::RetentionDays),
            "restored" => Some(Self::Restored),
            _ => name.strip_prefix("disk_used_percent ").map(|mount| Self::DiskUsed(mount.into())),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskUsed(mount) if mount.is_empty() => f.write_str("disk_used_percent"),
            Self::DiskUsed(mount) => write!(f, "disk_used_percent {mount}"),
            Self::CertificateDays => f.write_str("tls_days_left"),
            Self::BatteryRuntime => f.write_str("runtime_s"),
            Self::BatteryLoad => f.write_str("load_percent"),
            Self::BatteryCharge => f.write_str("charge_percent"),
            Self::BatteryDelivered => f.write_str("battery_delivered_s"),
            Self::BatteryPromised => f.write_str("battery_promised_s"),
            Self::BackupBytes => f.write_str("newest_bytes"),
            Self::RetentionDays => f.write_str("retention_days"),
            Self::Restored => f.write_str("restored"),
        }
    }
}

impl From<Measure> for String {
    fn from(measure: Measure) -> Self {
        measure.to_string()
    }
}

impl TryFrom<String> for Measure {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::named(&name).ok_or_else(|| format!("nothing measured by the day is called {name:?}"))
    }
}

/// The measures among a sample's values. Of a battery that is not charged, or in use, neither runtime nor load is
/// comparable with another day's.
pub(crate) fn of_values<'a>(
    values: impl Iterator<Item = (&'a str, f64)>,
    supply: Option<Supply>,
) -> Vec<(Measure, f64)> {
    let known = values.filter(|(_, value)| value.is_finite());
    let mut found: Vec<(Measure, f64)> =
        known.filter_map(|(name, value)| Some((Measure::named(name)?, value))).collect();
    let is_in_use = matches!(supply, Some(Supply::Battery { .. }));
    let is_charged = !found.iter().any(|(what, value)| *what == Measure::BatteryCharge && *value < CHARGED_PERCENT);
    found.retain(|(what, _)| match what {
        Measure::BatteryRuntime | Measure::BatteryLoad => is_charged && !is_in_use,
        Measure::BatteryCharge => !is_in_use,
        // That a restore was passed is for its check's outcome to say.
        Measure::Restored => false,
        Measure::DiskUsed(_)
        | Measure::CertificateDays
        | Measure::BatteryDelivered
        | Measure::BatteryPromised
        | Measure::BackupBytes
        | Measure::RetentionDays => true,
    });
    found
}

/// A value and when it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(pub Timestamp, pub f64);

impl Point {
    /// The later of two; of two of one instant the larger, so that their order decides nothing.
    pub(crate) fn later(self, other: Self) -> Self {
        if (self.0, self.1.total_cmp(&other.1)) < (other.0, std::cmp::Ordering::Equal) { other } else { self }
    }
}

/// Keeps the later of what is known and another point.
pub(crate) fn keep_later<K: Ord>(known: Entry<'_, K, Point>, point: Point) {
    known.and_modify(|known| *known = known.later(point)).or_insert(point);
}

/// What a reading of this kind of check measured.
pub(crate) fn of_reading(kind: Option<&CheckKind>, reading: &Reading) -> Vec<(Measure, Point)> {
    let is_judged = !matches!(reading.outcome, Outcome::Unknown { .. });
    let is_proof = reading.outcome == Outcome::Ok && kind.is_some_and(|kind| kind.family() == Family::Restore);
    let proof = is_proof.then_some((Measure::Restored, 1.0));
    let values = reading.measured.iter().filter(|_| is_judged).cloned();
    values.chain(proof).map(|(what, value)| (what, Point(reading.at, value))).collect()
}

/// The latest value of each hour, by the hour's begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points(BTreeMap<Measure, BTreeMap<Timestamp, Point>>);

impl Points {
    /// Takes a value of the hour that began at `hour`.
    pub fn add(&mut self, measure: &Measure, hour: Timestamp, point: Point) {
        if !self.0.contains_key(measure) {
            self.0.insert(measure.clone(), BTreeMap::new());
        }
        if let Some(hours) = self.0.get_mut(measure) {
            keep_later(hours.entry(hour), point);
        }
    }

    /// Its days in a zone.
    pub fn days(&self, zone: &TimeZone) -> Measured {
        self.0.iter().map(|(measure, hours)| (measure.clone(), days(hours.values(), zone))).collect()
    }
}

/// Days of what one check measured.
pub type Measured = BTreeMap<Measure, Days>;

/// The local days on which something was measured.
pub type Days = BTreeMap<Date, Day>;

/// A day's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Day {
    /// The middle one of its hours' latest values.
    pub median: f64,
    /// The latest value.
    pub last: f64,
}

fn days<'a>(points: impl Iterator<Item = &'a Point>, zone: &TimeZone) -> Days {
    let mut by_day: BTreeMap<Date, Vec<f64>> = BTreeMap::new();
    points.for_each(|Point(at, value)| by_day.entry(zone.to_datetime(*at).date()).or_default().push(*value));
    let day = |mut values: Vec<f64>| {
        let last = values.last().copied().unwrap_or_default();
        Day { median: median(&mut values).unwrap_or(last), last }
    };
    by_day.into_iter().map(|(date, values)| (date, day(values))).collect()
}

/// The middle value; of an even number the middle of the two.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(if values.len() % 2 == 1 { *upper } else { f64::midpoint(values[middle - 1], *upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_its_values_name_and_back() {
        for name in ["disk_used_percent", "disk_used_percent /var", "tls_days_left", "runtime_s", "newest_bytes"] {
            assert_eq!(Measure::named(name).unwrap().to_string(), name);
        }
        assert_eq!(Measure::named("rtt_ms"), None);
    }

    #[test]
    fn a_battery_that_charges_says_nothing_about_its_age() {
        let values = |charge| [("runtime_s", 900.0), ("charge_percent", charge), ("load_percent", 20.0)].into_iter();
        assert_eq!(of_values(values(100.0), Some(Supply::Mains)).len(), 3);
        assert_eq!(of_values(values(60.0), Some(Supply::Mains)), [(Measure::BatteryCharge, 60.0)]);
        assert_eq!(of_values(values(100.0), Some(Supply::Battery { is_low: false })), []);
    }

    #[test]
    fn a_day_is_told_by_the_latest_value_of_each_hour_in_any_order() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let told = [(0, 90.0), (10, 10.0), (10, 12.0), (3_600, 20.0), (7_200, 40.0)];
        let days = |order: &mut dyn Iterator<Item = &(i64, f64)>| {
            let mut points = Points::default();
            order.for_each(|(second, value)| {
                points.add(&Measure::CertificateDays, at(second / 3_600 * 3_600), Point(at(*second), *value));
            });
            points.days(&TimeZone::UTC)
        };
        let expected = Day { median: 20.0, last: 40.0 };
        assert_eq!(days(&mut told.iter())[&Measure::CertificateDays].values().collect::<Vec<_>>(), [&expected]);
        assert_eq!(days(&mut told.iter()), days(&mut told.iter().rev().chain(&told)));
    }
}
