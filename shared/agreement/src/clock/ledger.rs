//! The ledger of an incident: facts, appended and never rewritten (TERMS F7, F11, F12).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::words::{Manner, MeasuredFrom, PauseReason};

/// Something that happened to an incident. When it happened and when it was written down are two instants: a late
/// fact is placed at its effective time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its place in the incident's ledger, from 1, unique within the incident. The same number twice is one fact.
    pub number: u64,
    /// When it happened.
    pub effective_at: Timestamp,
    /// When the collector wrote it down; never before `effective_at` once [`super::admit`] let it in.
    pub recorded_at: Timestamp,
    /// The person, agent or rule that says so.
    pub who: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: FactKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum FactKind {
    /// The incident was opened. It changes no clock: clocks start as [`ClockStart`] says.
    Opened,
    /// Somebody took the incident. Satisfies `acknowledge` and, unless the agreement says so, nothing else.
    Acknowledged,
    /// Somebody answered: a response fact.
    Responded {
        /// How.
        manner: Manner,
        /// With whom, by telephone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with_whom: Option<String>,
    },
    /// A workaround is in place.
    WorkedAround,
    /// The incident waits for a reason that the terms allow.
    Paused {
        /// Why.
        reason: PauseReason,
        /// In the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It waits no longer: every open pause ends.
    Resumed,
    /// The service is back. The resolution clock stands from here, unless [`FactKind::Reopened`] takes it back
    /// because the fault returned inside the watch.
    Restored,
    /// The incident is done with. Where the watch confirmed a restoration, its effective time is that of the
    /// restoration.
    Resolved,
    /// The fault is back, or the client says that it never went: clocks that the end had stopped run on.
    Reopened,
    /// There is nothing to answer.
    Cancelled {
        /// Why not.
        why: CancelReason,
    },
}

upheld_model::vocabulary!(
    /// Why a clock is cancelled (TERMS 5).
    CancelReason, "reason to cancel", {
        /// Another incident carries on.
        Merged = "merged",
        /// It was there twice.
        Duplicate = "duplicate",
        /// Nothing was wrong.
        FalseAlarm = "false-alarm",
        /// The agreement does not cover it.
        NotCovered = "not-covered",
        /// The incident was resolved before this stage was due: nothing was left to do.
        Resolved = "resolved",
    }
);

impl FactKind {
    /// The fact as a word: `responded`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Acknowledged => "acknowledged",
            Self::Responded { .. } => "responded",
            Self::WorkedAround => "worked around",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::Restored => "restored",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

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

    #[test]
    fn a_fact_reads_as_one_flat_line() {
        let text = r#"{"number":3,"effective_at":"2026-11-16T16:10:00Z","recorded_at":"2026-11-16T16:11:00Z","who":"ana","fact":"responded","manner":"phone","with_whom":"plant manager"}"#;
        let fact: Fact = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&fact).unwrap(), text);
    }
}
