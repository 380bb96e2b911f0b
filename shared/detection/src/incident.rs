//! The incident: what people and the agreement deal with (DETECTION 5), and how findings become one (DETECTION 3, 4).
//!
//! [`reconcile()`] sets what the facts of a site amount to against its stored incidents, and returns those that change
//! with what changed. [`decide()`] does the same for silences, the collector's own troubles and deadlines, [`act()`] the same for what a person asks of one incident, and may refuse by name. Both are
//! pure: storing, matching terms, clocks, tickets and pages are the caller's, who learns from [`Desk`] whether an
//! incident is people's business from this change on.
//!
//! Rules held here: one incident per asset, whichever of its checks fail; restored is not resolved; a relapse inside
//! the watch reopens the same incident; what is over when it arrives is retroactive and bothers nobody; a site in
//! commissioning is measured and listed, never ticketed; unknown resolves nothing.

mod act;
mod begun;
mod decide;
pub mod drill;
mod effect;
mod keys;
mod known_as;
mod reconcile;
pub mod report;
mod rules;
mod state;
mod symptoms;
#[cfg(test)]
mod testing;
mod title;
mod view;
mod wakes;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{
    AgentId, AssetId, Cause, CheckId, ClientId, DeviceText, DrillId, FindingId, IncidentClass, IncidentKind, SiteId,
};

use crate::own::Trouble;

pub use act::{Action, Refused, Resolution, absorb, act, may_carry_on};
pub use begun::Begun;
pub use decide::{OwnSeen, SilenceSeen, Trigger, decide};
pub use effect::{Change, Desk, IncidentEffect};
pub use keys::{DedupKey, IncidentKey};
pub use reconcile::reconcile;
pub use rules::{Foresight, Rules, open_after};
pub use state::{Holder, IncidentState};
pub use title::title;
pub use view::{AssetView, SiteView, Stage};
pub use wakes::next_wake;

/// One incident as it stands. All instants are the collector's time, agents' claims corrected (TERMS F1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name for ever: a digest of client, site, root and opening cause (DELIVERY 3).
    pub key: IncidentKey,
    /// The key by which the facts know it since late ones arrived, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<IncidentKey>,
    /// Unique among open incidents: no time, severity or text in it.
    pub dedup: DedupKey,
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// What it is about.
    pub class: IncidentClass,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// What failed first.
    pub root: Root,
    /// One generated sentence.
    pub title: String,
    /// When the fault began. Downtime counts from here.
    pub started: Bounds,
    /// When the agent confirmed it; chooses the agreement's version (TERMS F11).
    pub detected: Timestamp,
    /// When the confirming record was committed; response clocks start here (TERMS F11).
    pub received: Timestamp,
    /// When it became an incident; `None` while a candidate, and for one that never became more.
    pub opened: Option<Timestamp>,
    /// When everything in it worked again; `None` while something does not. Kept when resolved.
    pub restored: Option<Timestamp>,
    /// Where it stands.
    pub state: IncidentState,
    /// Who or what brought it about, as far as somebody said so.
    pub cause: CauseClaim,
    /// Every finding in it, the opening one among them; a silence has none.
    #[serde(with = "symptoms")]
    pub symptoms: BTreeMap<FindingId, Symptom>,
    /// Whether people and clocks deal with it.
    pub handling: Handling,
    /// When the provider made it people's business, where it was found while commissioning: it counts as detected and
    /// received then, whatever becomes known of the time before (TERMS F11: nothing was promised for that).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_on: Option<Timestamp>,
    /// The closed incident that this one follows, when the same thing failed again.
    pub follows: Option<IncidentKey>,
    /// The incident whose cause brought it about, or may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<IncidentKey>,
    /// What the opening sample said.
    pub evidence_opening: Option<DeviceText>,
    /// How the restoration was measured, in words; `None` while not restored.
    pub evidence_restoration: Option<DeviceText>,
}

/// What an incident is about, at its root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Root {
    /// An asset, by the check that failed first.
    Check {
        /// The check, and in it the asset.
        check: CheckId,
    },
    /// An agent that is not heard any more.
    Agent {
        /// The agent.
        agent: AgentId,
        /// The asset on which it runs, if the book says so.
        host: Option<AssetId>,
    },
    /// What a person reported.
    Report {
        /// The report's id.
        id: String,
        /// The asset, where he named one.
        asset: Option<AssetId>,
    },
    /// The collector itself.
    Collector {
        /// What is wrong with it.
        trouble: Trouble,
    },
    /// Nothing: a person at an agent's host plays an outage ([`drill`]). It counts nowhere and ends by itself.
    Drill {
        /// The agent.
        agent: AgentId,
        /// Which drill.
        id: DrillId,
    },
}

impl Root {
    /// The asset, where there is one.
    pub fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Check { check } => Some(&check.asset),
            Self::Agent { agent: _, host } => host.as_ref(),
            Self::Report { id: _, asset } => asset.as_ref(),
            Self::Collector { .. } | Self::Drill { .. } => None,
        }
    }

    /// The check, where there is one.
    pub fn check(&self) -> Option<&CheckId> {
        match self {
            Self::Check { check } => Some(check),
            Self::Agent { agent: _, host: _ } | Self::Report { .. } | Self::Collector { .. } | Self::Drill { .. } => {
                None
            }
        }
    }
}

/// Two instants between which something happened. A penalty is certain only on the later one (DETECTION 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Not before this; `None` when nothing good was ever seen.
    pub not_before: Option<Timestamp>,
    /// Not after this.
    pub not_after: Timestamp,
}

/// One finding inside an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symptom {
    /// When the fault began.
    pub started: Bounds,
    /// When the agent confirmed it.
    pub detected: Timestamp,
    /// When the collector committed it.
    pub received: Timestamp,
    /// When it worked again; `None` while it does not.
    pub restored: Option<Bounds>,
}

/// Whether people and clocks deal with an incident. Measurement goes on either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Handling {
    /// Terms are matched, clocks run, a ticket is written, people are told.
    Desk,
    /// A cause that was over by itself: open while what it brought about fails. What does not come back is dealt with
    /// as an incident of its own.
    Cause,
    /// It was over when it arrived: counted and put on the digest.
    Retroactive,
    /// The site is in commissioning: measured and listed as found.
    AsFound,
}

/// What brought an incident about, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseClaim {
    /// The cause.
    pub cause: Cause,
    /// How sure that is, in percent.
    pub confidence_percent: u8,
    /// Who said so.
    pub by: Who,
}

/// Who did or said something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", content = "name", rename_all = "kebab-case")]
pub enum Who {
    /// One of our rules, by its id.
    Rule(String),
    /// A person, as the collector knows him.
    Person(String),
}

/// What opened an incident, from which its key is made (DELIVERY 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum OpeningCause {
    /// What was concluded from facts.
    Concluded {
        /// By which rule about what, e.g. `silence/agent-7`, `finding`.
        source: String,
        /// Which occurrence of it; the same however late it is noticed.
        occurrence: Timestamp,
    },
    /// A person's report.
    Report {
        /// The report's id.
        id: String,
    },
}

impl Incident {
    /// Whether it occupies its dedup key: at most one such incident per key.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Whether its opening sends an immediate message (DETECTION 3).
    pub fn pages(&self) -> bool {
        self.is_ticketed()
            && !self.is_drill()
            && match self.kind {
                IncidentKind::Down | IncidentKind::Degraded | IncidentKind::Silent | IncidentKind::Reported => true,
                IncidentKind::Unstable
                | IncidentKind::AtRisk
                | IncidentKind::Noncompliant
                | IncidentKind::Lingering => false,
            }
    }

    /// Whether it gets terms, clocks and a ticket.
    pub fn is_ticketed(&self) -> bool {
        match self.handling {
            Handling::Desk => self.opened.is_some(),
            Handling::Cause | Handling::Retroactive | Handling::AsFound => false,
        }
    }

    /// Whether nothing is wrong and a person plays an outage.
    pub fn is_drill(&self) -> bool {
        matches!(self.root, Root::Drill { .. })
    }

    /// The agent whose silence it is about, while that lasts and nobody has ended it.
    pub fn still_silent(&self) -> Option<&AgentId> {
        match &self.root {
            Root::Agent { agent, host: _ } => (self.is_open() && self.restored.is_none()).then_some(agent),
            Root::Check { .. } | Root::Report { .. } | Root::Collector { .. } | Root::Drill { .. } => None,
        }
    }

    /// Whether it was found while its site was being commissioned, whatever became of it since.
    pub fn was_found_in_commissioning(&self) -> bool {
        self.handling == Handling::AsFound || self.taken_on.is_some()
    }

    /// The assets in it: the root's and those of its symptoms.
    pub fn assets(&self) -> Vec<&AssetId> {
        let mut assets: Vec<_> = self.root.asset().into_iter().collect();
        assets.extend(self.symptoms.keys().map(|finding| &finding.check.asset));
        assets.sort();
        assets.dedup();
        assets
    }

    /// The next instant at which [`decide()`] must be asked with [`Trigger::Deadline`]; it changes with the incident.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.is_drill() {
            return self.is_open().then(|| drill::ends(self.received));
        }
        self.state.next_deadline()
    }
}
