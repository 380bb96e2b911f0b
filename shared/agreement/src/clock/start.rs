//! From when the clocks of an incident count (TERMS F11).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::words::MeasuredFrom;

/// The instants from which clocks can start (F11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStart {
    /// When the agent confirmed the fault, in the collector's time.
    pub detected: Timestamp,
    /// The commit of the record that confirmed the finding.
    pub received: Timestamp,
    /// When a person says that he called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Timestamp>,
    /// The stretches in which the collector could not receive, `[from, to)`. Only what lies between `detected` and
    /// `received` matters: a provider's outage buys no time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<(Timestamp, Timestamp)>,
}

impl ClockStart {
    /// A start without outages or reports.
    pub fn new(detected: Timestamp, received: Timestamp) -> Self {
        Self { detected, received, reported: None, outages: Vec::new() }
    }

    /// The instant a target counts from, cut to the whole second: the second in which it happened belongs to the
    /// client.
    pub fn counted_from(&self, measured_from: MeasuredFrom) -> Timestamp {
        let exact = match measured_from {
            MeasuredFrom::Received => self.received_less_outages(),
            MeasuredFrom::Detected => self.detected.min(self.received),
            MeasuredFrom::Reported => self.reported.unwrap_or_else(|| self.received_less_outages()),
        };
        whole_second(exact)
    }

    /// How many seconds of the collector's own outages lie between detection and receipt.
    pub fn outage_s(&self) -> u64 {
        let (from, to) = (self.detected.as_second(), self.received.as_second());
        let mut stretches: Vec<(i64, i64)> = self
            .outages
            .iter()
            .map(|&(a, b)| (a.as_second().max(from), b.as_second().min(to)))
            .filter(|(a, b)| a < b)
            .collect();
        stretches.sort_unstable();
        let mut counted_to = i64::MIN;
        let mut total = 0;
        for (a, b) in stretches {
            total += (b - a.max(counted_to)).max(0);
            counted_to = counted_to.max(b);
        }
        total.unsigned_abs()
    }

    fn received_less_outages(&self) -> Timestamp {
        let outage = jiff::SignedDuration::from_secs(i64::try_from(self.outage_s()).unwrap_or(i64::MAX));
        self.received.saturating_sub(outage).unwrap_or(self.received)
    }
}

/// The instant at the beginning of its second.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    // Negative instants do not occur in practice; flooring keeps them right all the same.
    let below = i64::from(at.subsec_nanosecond() < 0);
    Timestamp::from_second(at.as_second() - below).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_collectors_own_outage_buys_no_time() {
        let mut start = ClockStart::new(at("2026-11-16T16:00:00Z"), at("2026-11-16T16:30:00.75Z"));
        assert_eq!(start.counted_from(MeasuredFrom::Received), at("2026-11-16T16:30:00Z"));
        start.outages = vec![
            (at("2026-11-16T15:00:00Z"), at("2026-11-16T16:10:00Z")),
            (at("2026-11-16T16:05:00Z"), at("2026-11-16T16:20:00Z")),
            (at("2026-11-16T16:29:00Z"), at("2026-11-16T18:00:00Z")),
        ];
        assert_eq!(start.outage_s(), 20 * 60 + 60);
        assert_eq!(start.counted_from(MeasuredFrom::Received), at("2026-11-16T16:09:00Z"));
        assert_eq!(start.counted_from(MeasuredFrom::Detected), at("2026-11-16T16:00:00Z"));
    }

    #[test]
    fn a_report_counts_from_when_he_says_he_called() {
        let mut start = ClockStart::new(at("2026-11-16T16:00:00Z"), at("2026-11-16T16:00:01Z"));
        assert_eq!(start.counted_from(MeasuredFrom::Reported), at("2026-11-16T16:00:01Z"));
        start.reported = Some(at("2026-11-16T15:45:00Z"));
        assert_eq!(start.counted_from(MeasuredFrom::Reported), at("2026-11-16T15:45:00Z"));
    }
}
