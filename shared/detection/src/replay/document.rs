//! The document of a replay, in the shape of DETECTION 8.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{AssetId, CheckId, CheckName, DeviceText, IncidentClass, IncidentKind};

use crate::{
    correlate::{self, Correlated, Judged},
    facts::SiteFacts,
    schedule::Expected,
    uptime::Status,
};

/// What a trace amounts to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Document {
    /// Every finding, by its begin.
    pub findings: Vec<Finding>,
    /// Every incident, by its begin.
    pub incidents: Vec<Incident>,
    /// What happened and is no incident.
    pub events: Vec<Event>,
    /// What became of each expected run of the jobs that the trace tells of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
    /// How many immediate messages were sent.
    pub pages: u64,
    /// The account of each asset's time.
    pub uptime: BTreeMap<String, Uptime>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The first bad sample.
    pub first_bad: Timestamp,
    /// On which asset.
    pub asset: AssetId,
    /// By which check.
    pub check: CheckName,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
    /// The first good sample of its recovery; `None` while it fails.
    pub first_ok: Option<Timestamp>,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// Its name.
    pub key: String,
    /// What it is about.
    pub class: IncidentClass,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// The asset, agent or site that failed first, or `collector`.
    pub root: String,
    /// Between which instants the fault began; the first is `None` when nothing good was seen before.
    pub started: (Option<Timestamp>, Timestamp),
    /// When it was confirmed.
    pub detected: Timestamp,
    /// When it became an incident.
    pub opened: Timestamp,
    /// When everything in it worked again; `None` while something does not.
    pub restored: Option<Timestamp>,
    /// The incident out of whose cause it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its findings: `asset/check@first_bad`.
    pub symptoms: Vec<String>,
    /// One sentence.
    pub title: String,
    /// Whether it has a ticket of its own.
    pub ticketed: bool,
}

/// Something that happened and is no incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it was noticed.
    pub t: Timestamp,
    /// What.
    pub event: &'static str,
    /// On which asset.
    pub asset: AssetId,
    /// By which check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckName>,
    /// Not before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// Until when it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of a dip, the lowest voltage of the input that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_min: Option<i32>,
    /// Of a dip, its cause in the supply's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<DeviceText>,
}

/// One expected run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Run {
    /// When it was expected.
    pub expected: Timestamp,
    /// On which asset.
    pub asset: AssetId,
    /// By which check.
    pub check: CheckName,
    /// By when it had to be done.
    pub until: Timestamp,
    /// `ok`, `late`, `failed`, `missed`, `excused`, `unknown` or `pending`.
    pub outcome: &'static str,
    /// When that happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t: Option<Timestamp>,
}

/// The account of one asset's time; the four sum to the period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Uptime {
    /// Seconds up.
    pub up_s: i64,
    /// Seconds degraded.
    pub degraded_s: i64,
    /// Seconds down.
    pub down_s: i64,
    /// Seconds of which nobody can say.
    pub unknown_s: i64,
}

impl Uptime {
    pub(super) fn add(&mut self, status: Status, seconds: i64) {
        *match status {
            Status::Up => &mut self.up_s,
            Status::Degraded => &mut self.degraded_s,
            Status::Down => &mut self.down_s,
            Status::Unknown { reason: _ } => &mut self.unknown_s,
        } += seconds;
    }
}

impl Document {
    pub(super) fn add_facts(&mut self, facts: &SiteFacts, correlated: &Correlated) {
        let findings = facts.checks.values().flat_map(|check| &check.findings);
        self.findings.extend(findings.map(|finding| Finding {
            first_bad: finding.started.not_after,
            asset: finding.id.check.asset.clone(),
            check: finding.id.check.name.clone(),
            confirmed_at: finding.detected,
            first_ok: finding.restored(),
        }));
        self.findings.sort();
        self.events.extend(correlated.events.iter().map(Event::from));
        self.events.sort_by(|a, b| (a.t, &a.asset, &a.check, a.event).cmp(&(b.t, &b.asset, &b.check, b.event)));
    }

    pub(super) fn add_runs(&mut self, check: &CheckId, runs: &[Expected]) {
        self.runs.extend(runs.iter().map(|run| {
            let (asset, check) = (check.asset.clone(), check.name.clone());
            Run { expected: run.at, asset, check, until: run.until, outcome: run.outcome.word(), t: run.outcome.at() }
        }));
        self.runs.sort();
    }

    pub(super) fn add_incidents(&mut self, incidents: impl Iterator<Item = Judged>) {
        self.incidents.extend(incidents.map(Incident::from));
        self.incidents.sort_by(|a, b| (a.started.1, &a.key).cmp(&(b.started.1, &b.key)));
    }
}

impl From<&correlate::Event> for Event {
    fn from(event: &correlate::Event) -> Self {
        Self {
            t: event.at,
            event: event.what.as_str(),
            asset: event.asset.clone(),
            check: event.check.as_ref().map(|check| check.name.clone()),
            after: event.after,
            until: event.until,
            voltage_min: event.dip.as_ref().and_then(|dip| dip.lowest_v),
            cause: event.dip.as_ref().and_then(|dip| dip.cause.clone()),
        }
    }
}

impl From<Judged> for Incident {
    fn from(judged: Judged) -> Self {
        Self {
            key: judged.key.to_string(),
            class: judged.class,
            kind: judged.kind,
            root: judged.root.name().to_owned(),
            started: (judged.started.not_before, judged.started.not_after),
            detected: judged.detected,
            opened: judged.opened,
            restored: judged.restored,
            parent: judged.parent.map(|parent| parent.to_string()),
            symptoms: judged.symptoms.iter().map(ToString::to_string).collect(),
            title: judged.title,
            ticketed: judged.is_ticketed,
        }
    }
}
