//! From measurements to cells: what makes an hour bad, signal by signal.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

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
        let into = SignedDuration::from_secs(i64::from(local.minute()) * 60 + i64::from(local.second()))
            + SignedDuration::from_nanos(i64::from(local.subsec_nanosecond()));
        let from = at.saturating_sub(into).unwrap_or(at);
        let to = from.saturating_add(SignedDuration::from_hours(1)).unwrap_or(at);
        let is_plain = self.zone.to_offset(from) == self.zone.to_offset(to);
        self.latest = is_plain.then_some((from, to, local.date(), hour));
        (local.date(), hour)
    }
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

/// Round-trip times by the hour.
#[derive(Debug, Clone, Default)]
pub struct RttCells(BTreeMap<Date, [Vec<f32>; 24]>);

impl RttCells {
    /// Counts one round's median.
    pub fn add(&mut self, (day, hour): (Date, usize), rtt_ms: f64) {
        // A round-trip time needs no more digits than that.
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a network")]
        self.0.entry(day).or_default()[hour].push(rtt_ms as f32);
    }

    /// Which hours were bad, measured by their own day.
    pub fn cells(&self) -> Cells {
        let judge = |hours: &[Vec<f32>; 24]| {
            let day = median(hours.iter().flatten().copied().collect()).unwrap_or_default();
            std::array::from_fn(|hour| {
                let own = median(hours[hour].clone())?;
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

fn median(mut values: Vec<f32>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (_, upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    Some(f64::from(*upper))
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
