//! The terms that hold for one incident, resolved once and pinned to it (TERMS F2).
//!
//! A [`PinnedTerms`] is self-contained: the calendars are inside, so that a later edit of the book changes nothing for
//! an open incident, and so that anybody can compute its due times from it alone. It never looks anything up. It is
//! made by [`crate::matching::resolve`] and read by [`crate::clock`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AssetId, ClientId, Digest, IncidentClass, IncidentKind, SiteId};

use crate::{
    calendar::CalendarDef,
    canonical,
    money::Price,
    ratio::Ratio,
    words::{
        BookName, Category, Level, Manner, MeasuredFrom, OpenIncidents, PauseReason, Priority, SatisfiedBy, Stage,
    },
};

/// Everything that the agreement promises for one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedTerms {
    /// Whose agreement.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// The asset at the root of the incident; `None` for a report about the site as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<AssetId>,
    /// The agreement's number, `SSA-2026-014`.
    pub agreement: String,
    /// Which version of it, from 1; written `v2`.
    pub version: u32,
    /// The hash of that version's canonical form.
    pub version_hash: Digest,
    /// From when that version is in force.
    pub in_force_from: Timestamp,
    /// Until when, exclusive; `None` while nothing ends it.
    pub in_force_until: Option<Timestamp>,
    /// What that version does to incidents that are open when it takes effect.
    pub open_incidents: OpenIncidents,
    /// The plan.
    pub plan: BookName,
    /// The plan's name as the client reads it.
    pub plan_name: String,
    /// The riders in force, in the order of the agreement.
    pub riders: Vec<BookName>,
    /// The entry of the issue catalogue that matched.
    pub issue: Issue,
    /// What the incident does to the site.
    pub impact: Level,
    /// Impact × urgency by the plan's matrix.
    pub priority: Priority,
    /// Every calendar that a target names.
    pub calendars: BTreeMap<BookName, CalendarDef>,
    /// What is promised. Several targets of one stage may stand beside each other: the earlier due counts.
    pub targets: Vec<Target>,
    /// The provider's channels that are told.
    pub tell: Vec<BookName>,
    /// The agreement's fee.
    pub fee: Option<Price>,
    /// What the agreement says about this asset in particular.
    pub asset_terms: Option<AssetTerms>,
    /// The manufacturer behind the asset with his own promise, where he makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<PinnedManufacturer>,
    /// How long the client may dispute a pause, a cause or a resolution, in seconds (F13).
    pub dispute_within_s: Option<u64>,
    /// What the priority and the factors were made of, each with who or what set it; `None` in terms that were pinned
    /// before these were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// The riders that were bought for this incident alone; they are among `riders` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expedited: Vec<Expedited>,
    /// Why these terms, and what was ruled out (F2, F10).
    pub explanation: Why,
    /// The terms of the later versions that say what they do to open incidents, ascending: each acts on the clocks that
    /// run when it takes effect, and on no other (F2). They have no amendments of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<PinnedTerms>,
}

/// What was matched in the issue catalogue, and what it was matched with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// The entry, `HW-07`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Hardware, software or a request.
    pub category: Category,
    /// How pressing it is for the client.
    pub urgency: Level,
    /// How hard it is.
    pub complexity: Option<Level>,
    /// How it is usually handled.
    pub manner: Option<Manner>,
    /// The class of the incident that was matched.
    pub class: IncidentClass,
    /// The kind of the incident that was matched.
    pub kind: IncidentKind,
}

/// What the priority and the factors on targets were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// What the incident does to the site.
    pub impact: Input<Level>,
    /// How pressing it is for the client.
    pub urgency: Input<Level>,
    /// Impact × urgency, or as a person set it.
    pub priority: Input<Priority>,
    /// How hard it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complexity: Option<Input<Level>>,
    /// How far the site is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Input<String>>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input<T> {
    /// What it is.
    pub value: T,
    /// Who or what set it.
    pub by: SetBy,
}

/// Who or what set an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum SetBy {
    /// The book: `catalogue.toml HW-07`.
    Book {
        /// Where it is written.
        source: String,
    },
    /// A person.
    Person {
        /// Who.
        who: String,
    },
}

/// A rider that was bought for one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expedited {
    /// Which.
    pub rider: BookName,
    /// What it costs, as the rider's file says.
    pub price: Option<Price>,
    /// From when its targets count.
    pub from: Timestamp,
    /// Who bought it.
    pub who: String,
}

/// One promise: a stage by a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// What is promised.
    pub stage: Stage,
    /// By when.
    pub within: Within,
    /// The coverage calendar it is counted under; a key of [`PinnedTerms::calendars`].
    pub calendar: BookName,
    /// The manners of response that are accepted; any, when empty.
    pub manners: Vec<Manner>,
    /// What satisfies a `respond` target.
    pub satisfied_by: SatisfiedBy,
    /// From where it is measured.
    pub measured_from: MeasuredFrom,
    /// The stage that must go unresolved first.
    pub after: Option<After>,
    /// The fractions at which to warn, in ascending order (R6).
    pub warn_at: Vec<Ratio>,
    /// The reasons for which this target's clock may stand still.
    pub pause_for: Vec<PauseReason>,
    /// The longest that one pause may last, in seconds of plain time; it ends by itself then (F4).
    pub longest_pause_s: Option<u64>,
    /// What a tightening change must leave, in seconds (F3).
    pub grace_s: u64,
    /// The factors that made the promised time out of the written one, in the order they were applied.
    pub modified: Vec<Modified>,
    /// Where it is written: `plans/gold.toml target 1`.
    pub source: String,
}

/// By when a target is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Within {
    /// After so many counted seconds.
    Covered {
        /// Seconds of the target's calendar.
        seconds: CoveredSeconds,
    },
    /// By a wall time of the next day with coverage (R9).
    NextBusinessDay {
        /// The wall time, in the calendar's zone.
        by: jiff::civil::Time,
        /// Received later in the day than this, it is the day after.
        received_by: Option<jiff::civil::Time>,
    },
}

/// Seconds that count only inside coverage and outside pauses: adding them to an instant needs the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CoveredSeconds(pub u64);

/// "Remote first, then on site after two hours": a target whose time begins when another stage did not end it.
///
/// It begins `unresolved_for` after the response, or after the response was due where nobody responded: not to answer
/// buys no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct After {
    /// The stage that comes first.
    pub stage: Stage,
    /// How long it stays unresolved after that, in counted seconds of the target's calendar.
    pub unresolved_for: CoveredSeconds,
}

/// A factor on a target's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modified {
    /// What brought it: `distance far`, `complexity high`.
    pub by: String,
    /// The factor.
    pub factor: Ratio,
}

/// What the agreement says about one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetTerms {
    /// How much hangs on it; `high` makes the impact of its incidents high.
    pub criticality: Option<Level>,
    /// The longest it may be down.
    pub longest_downtime: Option<LongestDowntime>,
    /// What an hour of downtime costs the client.
    pub cost_of_downtime: Option<Price>,
    /// The manufacturer who supports it, and under which agreement of his.
    pub manufacturer: Option<ManufacturerTerms>,
}

/// The longest downtime that is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongestDowntime {
    /// Seconds.
    pub seconds: u64,
    /// Summed over what.
    pub per: DowntimePer,
}

upheld_model::vocabulary!(
    /// Over what downtime is summed.
    DowntimePer, "period of downtime", {
        /// One event.
        Event = "event",
        /// A calendar month.
        Month = "month",
        /// A quarter.
        Quarter = "quarter",
        /// A year of the agreement.
        AgreementYear = "agreement year",
    }
);

/// How a manufacturer stands behind one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManufacturerTerms {
    /// Who.
    pub maker: BookName,
    /// The number of his agreement.
    pub agreement: Option<String>,
    /// Its last day.
    pub until: Option<jiff::civil::Date>,
    /// The fraction of the target after which he is handed the incident.
    pub hand_over_after: Option<Ratio>,
    /// His share of what is owed.
    pub share: Option<Ratio>,
}

/// What a manufacturer promises us, with his hours inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedManufacturer {
    /// Who.
    pub maker: BookName,
    /// His name.
    pub name: String,
    /// By when he answers.
    pub respond: Within,
    /// His hours; all hours of the provider's zone, where his file says none.
    pub hours: CalendarDef,
    /// Where it is written: `manufacturers/example-recorders.toml promises`.
    pub source: String,
}

/// A finding of the matcher with its reasons below it: a tree, the answer at the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Why {
    /// What was found, as a sentence without its full stop.
    pub what: String,
    /// Where it is written: `plans/gold.toml:9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Because of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(no_recursion))]
    pub because: Vec<Why>,
}

impl PinnedTerms {
    /// The hash by which these terms are named.
    pub fn hash(&self) -> Digest {
        canonical::digest(self)
    }

    /// The version as people say it: `SSA-2026-014 v2`.
    pub fn version_label(&self) -> String {
        format!("{} v{}", self.agreement, self.version)
    }

    /// The stages for which something is promised: one clock each.
    pub fn stages(&self) -> Vec<Stage> {
        Stage::ALL.iter().copied().filter(|&stage| self.targets_of(stage).next().is_some()).collect()
    }

    /// What is promised for one stage.
    pub fn targets_of(&self, stage: Stage) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.stage == stage)
    }

    /// The reasons for which any clock of the incident may stand still: these and no others are offered to a person.
    pub fn pause_reasons(&self) -> Vec<PauseReason> {
        let amended = self.amendments.iter().flat_map(|terms| &terms.targets);
        let mut reasons: Vec<_> =
            self.targets.iter().chain(amended).flat_map(|target| target.pause_for.clone()).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }
}

impl Target {
    /// Whether a response in this manner satisfies the target.
    pub fn accepts(&self, manner: Manner) -> bool {
        self.manners.is_empty() || self.manners.contains(&manner)
    }
}

impl Why {
    /// A reason without further reasons.
    pub fn because(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None, because: Vec::new() }
    }

    /// The same, with the place where it is written.
    #[must_use]
    pub fn at(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, with its own reasons.
    #[must_use]
    pub fn with(mut self, because: Vec<Why>) -> Self {
        self.because = because;
        self
    }

    /// The tree as indented lines, two spaces a level.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    fn write(&self, depth: usize, text: &mut String) {
        let source = self.source.as_ref().map(|source| format!("  [{source}]")).unwrap_or_default();
        text.push_str(&format!("{:indent$}{}{source}\n", "", self.what, indent = 2 * depth));
        for reason in &self.because {
            reason.write(depth + 1, text);
        }
    }
}
