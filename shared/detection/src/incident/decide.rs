//! What happens to a site's incidents when something happened.

mod deadline;
mod finding;
mod silent;

use std::time::Duration;

use jiff::Timestamp;
use upheld_model::{AgentId, AssetId, Cause, DeviceText, FindingId};

use super::{
    Bounds, CauseClaim, Change, Desk, Handling, Incident, IncidentEffect, OpeningCause, Rules, SiteView, Stage, Who,
};

/// Something that happened at a site, in the collector's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An agent confirmed a failure.
    FindingOpened(FindingSeen),
    /// An agent confirmed a recovery.
    FindingClosed(FindingEnded),
    /// An agent's silence became an incident ([`crate::silence`]).
    AgentSilent(SilenceSeen),
    /// A silent agent was heard again.
    AgentBack {
        /// The agent.
        agent: AgentId,
        /// When its request was committed.
        heard: Timestamp,
    },
    /// A deadline of [`super::Incident::next_deadline`] passed.
    Deadline,
}

/// A finding as the collector received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingSeen {
    /// Its name, in the agent's own time.
    pub id: FindingId,
    /// From the last good to the first bad sample.
    pub started: Bounds,
    /// When the agent confirmed it.
    pub detected: Timestamp,
    /// When its record was committed.
    pub received: Timestamp,
    /// What the sample said.
    pub evidence: Option<DeviceText>,
    /// The record that carried it.
    pub cause: OpeningCause,
    /// Whether it still fails.
    pub arrival: Arrival,
}

/// Whether a finding was over when it arrived (DETECTION 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Its check still fails, as far as the agent's "now" header and the same delivery say.
    StillFailing,
    /// It is over: its end came with it, or the "now" header says that the check is good.
    Over {
        /// From the last bad to the first good sample; without the end's record, up to the header's `since`.
        restored: Bounds,
    },
}

/// A finding's end as the collector received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingEnded {
    /// The finding's name.
    pub id: FindingId,
    /// From the last bad to the first good sample.
    pub restored: Bounds,
    /// When the agent confirmed the recovery.
    pub confirmed: Timestamp,
}

/// A silence that became an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceSeen {
    /// The agent.
    pub agent: AgentId,
    /// The asset on which it runs, if the book says so.
    pub host: Option<AssetId>,
    /// When it was last heard.
    pub last_heard: Timestamp,
    /// By when it should have been heard again.
    pub expected_by: Timestamp,
    /// The deadline that passed: detected and received at once (TERMS F11).
    pub deadline: Timestamp,
}

/// Says what changes, in the order in which to store it. The same trigger twice changes nothing the second time.
pub fn decide(view: &SiteView, trigger: &Trigger, rules: &Rules, now: Timestamp) -> Vec<IncidentEffect> {
    let case = Case { view, rules, now };
    match trigger {
        Trigger::FindingOpened(seen) => finding::opened(&case, seen),
        Trigger::FindingClosed(ended) => finding::closed(&case, ended),
        Trigger::AgentSilent(seen) => silent::silent(&case, seen),
        Trigger::AgentBack { agent, heard } => silent::back(&case, agent, *heard),
        Trigger::Deadline => deadline::due(&case),
    }
}

/// What every rule may look at.
struct Case<'a> {
    view: &'a SiteView,
    rules: &'a Rules,
    now: Timestamp,
}

impl Case<'_> {
    fn effect(&self, incident: Incident, change: Change, desk: Desk, due_at: Timestamp) -> IncidentEffect {
        IncidentEffect { incident, change, desk, due_at, noticed_at: self.now }
    }

    /// When the watch over something restored at this instant ends.
    fn watched_until(&self, restored: Timestamp) -> Timestamp {
        later(restored, self.rules.watch)
    }

    /// How a failure confirmed at this instant is dealt with, as far as the site decides.
    fn handling(&self, detected: Timestamp) -> Handling {
        match self.view.stage {
            Stage::Commissioned { since } if detected >= since => Handling::Desk,
            Stage::Commissioned { since: _ } | Stage::Commissioning => Handling::AsFound,
        }
    }
}

/// Whether people and clocks begin with an incident that just became one.
fn desk_for(incident: &Incident, detected: Timestamp, received: Timestamp) -> Desk {
    if incident.is_ticketed() { Desk::Begins { detected, received } } else { Desk::AsBefore }
}

fn undetermined() -> CauseClaim {
    CauseClaim { cause: Cause::Undetermined, confidence_percent: 0, by: Who::Rule("opening".to_owned()) }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
