//! What is known of a site, in effective time: the input of [`crate::correlate`].
//!
//! Facts have no order and no number of arrivals: whoever gathers them (a replay, a collector that reads its store)
//! gives the same ones however late they came. Only `received` says when that was.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use upheld_model::{AssetId, BootEnd, CheckId, Culprit, DeviceText, FindingId, finding::CheckState};

use crate::{
    incident::Bounds,
    measure::Measured,
    observe::Dip,
    plan::plus,
    time_of_day::{Cells, Signal},
    uptime::{CheckHistory, Span},
};

/// Everything known of one site.
#[derive(Debug, Clone)]
pub struct SiteFacts {
    /// As of when: nothing is known of what came later.
    pub until: Timestamp,
    /// What each check saw.
    pub checks: BTreeMap<CheckId, CheckFacts>,
    /// Hosts that started.
    pub boots: Vec<Boot>,
    /// Assets that were switched off as announced.
    pub off: Vec<Off>,
}

/// What one check saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckFacts {
    /// Its findings, by their begin.
    pub findings: Vec<FindingFact>,
    /// Every change of its state.
    pub changes: Vec<(Timestamp, CheckState)>,
    /// When it worked worse than it should.
    pub degraded: Vec<Span>,
    /// Transfers of a supply, drops of a link: what its counters say, or where there are none what was seen.
    pub counts: Vec<Count>,
    /// When the supply ran on battery, as far as that was seen.
    pub on_battery: Vec<OnBattery>,
    /// Its hours, signal by signal.
    pub hours: BTreeMap<Signal, Cells>,
    /// What it measured, by the day.
    pub measured: Arc<Measured>,
}

impl CheckFacts {
    /// What uptime is counted from: states, findings, and when it was degraded. A finding that is not over lasts
    /// until `until`.
    pub fn history(&self, until: Timestamp) -> CheckHistory {
        let down = |finding: &FindingFact| Span {
            from: finding.started.not_after,
            to: finding.restored().unwrap_or(until).min(until),
        };
        CheckHistory {
            changes: self.changes.clone(),
            down: self.findings.iter().map(down).collect(),
            degraded: self.degraded.clone(),
            unwatched: Vec::new(),
        }
    }
}

/// A finding, as its agent confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFact {
    /// Its name.
    pub id: FindingId,
    /// From the last good to the first bad sample.
    pub started: Bounds,
    /// When it was confirmed.
    pub detected: Timestamp,
    /// When that was received.
    pub received: Timestamp,
    /// How it ended; `None` while it has not.
    pub ended: Option<Ended>,
    /// Since when it looks as if it ended, without being sure yet, or since when nobody knows: what its agent saw of it
    /// afterwards is still on its way.
    pub recovering: Option<Timestamp>,
    /// What the sample said.
    pub evidence: Option<DeviceText>,
    /// Whom it blamed.
    pub culprit: Option<Culprit>,
}

/// A finding that arrives later than this is part of a backlog, which is drained in about this long. Doubled, an
/// outage that is told late pages a minute later.
const BACKLOG: Duration = Duration::from_secs(60);

impl FindingFact {
    /// The first good sample after it.
    pub fn restored(&self) -> Option<Timestamp> {
        self.ended.map(|ended| ended.restored.not_after)
    }

    /// Whether it still fails at this instant.
    pub fn fails_at(&self, at: Timestamp) -> bool {
        self.restored().is_none_or(|restored| at < restored)
    }

    /// Whether it was seen to fail at or after this instant, or nothing says that it does not: between its last bad
    /// and its first good sample nobody can say.
    pub fn surely_fails_at(&self, at: Timestamp) -> bool {
        match self.ended {
            Some(ended) => ended.restored.not_before.is_some_and(|last_bad| at <= last_bad),
            None => self.recovering.is_none_or(|since| at < since),
        }
    }

    /// When it ended: the first good sample of a recovery that was confirmed, or may be once more is known. While a
    /// check is recovering or nobody knows, nothing opens; a relapse is the same finding again.
    pub fn over(&self) -> Option<Timestamp> {
        self.restored().or(self.recovering)
    }

    /// Whether it was over when it arrived (DETECTION 1).
    ///
    /// A backlog comes record by record: what arrives long after the fact is told as over if its end, which was in the
    /// past too, is in the same backlog.
    pub fn is_retroactive(&self) -> bool {
        let Some(ended) = self.ended.filter(|_| self.received > self.detected) else { return false };
        let is_backlog = plus(self.detected, BACKLOG) < self.received && ended.confirmed <= self.received;
        ended.received <= if is_backlog { plus(self.received, BACKLOG) } else { self.received }
    }
}

/// How a finding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// From the last bad to the first good sample.
    pub restored: Bounds,
    /// When the recovery was confirmed.
    pub confirmed: Timestamp,
    /// When that was received.
    pub received: Timestamp,
}

/// Occurrences that a counter counted between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Of what.
    pub signal: Signal,
    /// After this.
    pub after: Timestamp,
    /// Not after this.
    pub at: Timestamp,
    /// How many; at least one.
    pub number: u64,
    /// When that was received.
    pub received: Timestamp,
}

/// A stretch on battery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBattery {
    /// When it began.
    pub from: Bounds,
    /// When mains was back; `None` while it is not.
    pub until: Option<Timestamp>,
    /// The last time that it was seen on battery.
    pub last_seen: Timestamp,
    /// Since when the battery was low.
    pub low: Option<Timestamp>,
    /// When its first sample was received.
    pub received: Timestamp,
    /// When its last one was.
    pub ended_received: Option<Timestamp>,
    /// What the agent said of it when it was over.
    pub dip: Option<Dip>,
}

/// A host that started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Which.
    pub asset: AssetId,
    /// When.
    pub at: Timestamp,
    /// When that was received.
    pub received: Timestamp,
    /// When it was seen last before that.
    pub after: Option<Timestamp>,
    /// How it ended then, as far as a check could say.
    pub ended: Option<BootEnd>,
}

impl Boot {
    /// Whether a later one, of starts by asset and time, tells of the same: an event and a sample do, or two checks. Then
    /// the tighter bounds hold, and whatever one of them says of the end.
    pub fn is_told_again_by(&mut self, later: &Self) -> bool {
        let is_same = later.asset == self.asset && later.at <= plus(self.at, SAME_BOOT);
        if is_same {
            self.ended = self.ended.or(later.ended);
            self.after = self.after.max(later.after.filter(|after| *after <= self.at));
        }
        is_same
    }
}

/// Two tellings of one start are at most this far apart.
const SAME_BOOT: Duration = Duration::from_secs(120);

/// An asset that was switched off as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// Which.
    pub asset: AssetId,
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` while it is.
    pub until: Option<Timestamp>,
}
