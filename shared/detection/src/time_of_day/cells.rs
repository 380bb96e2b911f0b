//! From measurements to cells: what makes an hour bad, signal by signal.

use std::collections::BTreeMap;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::Cells;

/// An hour with more than this share of its packets lost is bad.
const LOSS_MAX: f64 = 0.01;
/// An hour's median is bad beyond this many times its day's ...
const RTT_FACTOR: f64 = 2.0;
/// ... and this many milliseconds above it.
const RTT_ABOVE_MS: f64 = 20.0;

/// Finds the local hour of instants that come in order, asking the zone once an hour.
#[derive(Debug, Clone)]
pub struct Hours {
    zone: TimeZone,
    latest: Option<(Timestamp, Timestamp, Date, usize)>,
}

impl Hours {
    /// The hours of a zone.
    pub fn of(zone: TimeZone) -> Self {
        Self { zone, latest: None }
    }

    /// When the local hour of an instant began.
    pub fn begin(&mut self, at: Timestamp) -> Timestamp {
        self.at(at);
        match self.latest {
            Some((from, ..)) => from,
            // In an hour that the zone's clocks jump into or out of it is told by its own minutes.
            None => at.saturating_sub(into_hour(&self.zone.to_datetime(at))).unwrap_or(at),
        }
    }

    /// The local day and hour of an instant. An hour that comes twice in autumn is one cell.
    pub fn at(&mut self, at: Timestamp) -> (Date, usize) {
        if let Some((from, to, day, hour)) = self.latest
            && from <= at
            && at < to
        {
            return (day, hour);
        }
        let local = self.zone.to_datetime(at);
        let hour = usize::try_from(local.hour()).unwrap_or(0);
        let from = at.saturating_sub(into_hour(&local)).unwrap_or(at);
        let to = from.saturating_add(SignedDuration::from_hours(1)).unwrap_or(at);
        let is_plain = self.zone.to_offset(from) == self.zone.to_offset(to);
        self.latest = is_plain.then_some((from, to, local.date(), hour));
        (local.date(), hour)
    }
}

fn into_hour(local: &DateTime) -> SignedDuration {
    SignedDuration::from_secs(i64::from(local.minute()) * 60 + i64::from(local.second()))
        + SignedDuration::from_nanos(i64::from(local.subsec_nanosecond()))
}

/// Packets sent and lost by the hour.
#[derive(Debug, Clone, Default)]
pub struct LossCells(BTreeMap<Date, [(f64, f64); 24]>);

impl LossCells {
    /// Counts one round.
    pub fn add(&mut self, (day, hour): (Date, usize), sent: f64, lost: f64) {
        let cell = &mut self.0.entry(day).or_default()[hour];
        *cell = (cell.0 + sent, cell.1 + lost);
    }

    /// Which hours were bad.
    pub fn cells(&self) -> Cells {
        let judge = |(sent, lost): (f64, f64)| (sent > 0.0).then(|| lost / sent > LOSS_MAX);
        self.0.iter().map(|(day, hours)| (*day, hours.map(judge))).collect()
    }
}

/// The low bits of a round-trip time that are not kept: what is left tells 1 ms from 1.016 ms, and the same on every
/// machine.
const RTT_SHIFT: u32 = 46;

/// The bucket of a round-trip time: so many of them fit an hour's row, and their middle one is found without all.
pub fn rtt_bucket(rtt_ms: f64) -> u32 {
    u32::try_from(rtt_ms.max(0.0).to_bits() >> RTT_SHIFT).unwrap_or(u32::MAX)
}

/// The middle of a bucket, in milliseconds.
fn rtt_of(bucket: u32) -> f64 {
    f64::from_bits((u64::from(bucket) << RTT_SHIFT) | (1 << (RTT_SHIFT - 1)))
}

/// Round-trip times by the hour, counted by bucket.
#[derive(Debug, Clone, Default)]
pub struct RttCells(BTreeMap<Date, [BTreeMap<u32, u32>; 24]>);

impl RttCells {
    /// Counts one round's median.
    pub fn add(&mut self, cell: (Date, usize), rtt_ms: f64) {
        self.add_many(cell, rtt_bucket(rtt_ms), 1);
    }

    /// Counts several rounds of one bucket.
    pub fn add_many(&mut self, (day, hour): (Date, usize), bucket: u32, number: u32) {
        *self.0.entry(day).or_default()[hour].entry(bucket).or_default() += number;
    }

    /// Which hours were bad, measured by their own day.
    pub fn cells(&self) -> Cells {
        let judge = |hours: &[BTreeMap<u32, u32>; 24]| {
            let day = median(hours).unwrap_or_default();
            std::array::from_fn(|hour| {
                let own = median(std::slice::from_ref(&hours[hour]))?;
                Some(own > RTT_FACTOR * day && own - day > RTT_ABOVE_MS)
            })
        };
        self.0.iter().map(|(day, hours)| (*day, judge(hours))).collect()
    }

    /// Whether anything was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn median(hours: &[BTreeMap<u32, u32>]) -> Option<f64> {
    let mut all: BTreeMap<u32, u32> = BTreeMap::new();
    for (bucket, number) in hours.iter().flatten() {
        *all.entry(*bucket).or_default() += number;
    }
    let mut left = all.values().sum::<u32>() / 2;
    all.into_iter()
        .find(|(_, number)| {
            if left < *number {
                true
            } else {
                left -= number;
                false
            }
        })
        .map(|(b, _)| rtt_of(b))
}

/// Occurrences by the hour: an hour is bad when there was any.
#[derive(Debug, Clone, Default)]
pub struct CountCells(Cells);

impl CountCells {
    /// Notes that the hour was watched.
    pub fn watched(&mut self, (day, hour): (Date, usize)) {
        self.0.entry(day).or_default()[hour].get_or_insert(false);
    }

    /// Notes an occurrence.
    pub fn occurred(&mut self, (day, hour): (Date, usize)) {
        self.0.entry(day).or_default()[hour] = Some(true);
    }

    /// Which hours were bad.
    pub fn cells(self) -> Cells {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_the_sites_own() {
        let mut hours = Hours::of(TimeZone::get("Asia/Kolkata").unwrap());
        for (at, expected) in [
            ("2026-01-05T08:29:59Z", ("2026-01-05", 13)),
            ("2026-01-05T08:30:00Z", ("2026-01-05", 14)),
            ("2026-01-05T09:29:59.9Z", ("2026-01-05", 14)),
            ("2026-01-05T18:30:00Z", ("2026-01-06", 0)),
        ] {
            let (day, hour) = hours.at(at.parse().unwrap());
            assert_eq!((day.to_string().as_str(), hour), expected, "{at}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_cell() {
        let mut hours = Hours::of(TimeZone::get("America/Chicago").unwrap());
        let (first, second) = (hours.at(at("2026-11-01T06:30:00Z")), hours.at(at("2026-11-01T07:30:00Z")));
        assert_eq!((first.1, first), (1, second));
    }

    #[test]
    fn an_hour_is_measured_by_its_own_day() {
        let day = "2026-01-05".parse().unwrap();
        let mut cells = RttCells::default();
        for hour in 0..24 {
            (0..10).for_each(|_| cells.add((day, hour), if hour == 20 { 60.0 } else { 25.0 }));
        }
        let bad: Vec<_> = cells.cells()[&day].iter().map(|cell| *cell == Some(true)).collect();
        assert!(bad.iter().enumerate().all(|(hour, bad)| *bad == (hour == 20)));
    }

    #[test]
    fn one_percent_is_not_more_than_one_percent() {
        let day = "2026-01-05".parse().unwrap();
        let mut cells = LossCells::default();
        cells.add((day, 3), 1_000.0, 10.0);
        cells.add((day, 4), 1_000.0, 11.0);
        assert_eq!(cells.cells()[&day][2..6], [None, Some(false), Some(true), None]);
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }
}
