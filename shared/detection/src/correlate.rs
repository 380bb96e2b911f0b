//! One cause, one incident: what the facts of a whole site amount to (DETECTION 3, 4).
//!
//! A pure function of facts in effective time. It may be asked again whenever facts arrive: the same facts give the
//! same incidents by key, however late and in whatever order they came; only `opened`, `received` and whether somebody
//! was told depend on receipt. Suppression is of openings alone: every finding goes into some incident or event.
//!
//! The way: causes open windows (`window`), what falls into one is its symptom, what is still down when its time to
//! settle is over is promoted, everything else opens by itself (`item`); what belongs together on one asset is one
//! incident (`episode`); what comes again and again is `unstable` and holds what follows; what is a little wrong for
//! long is `lingering`; what is about to fail or short of its promise is `at-risk` or `noncompliant` (`risk`).

mod episode;
mod item;
mod lingering;
mod risk;
mod unstable;
mod window;
mod words;

pub(crate) use window::ON_BATTERY;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use upheld_model::{
    AgentId, AssetClass, AssetId, Cause, CheckId, Culprit, FindingId, IncidentClass, IncidentKind, SiteId,
};

use crate::{
    facts::{FindingFact, SiteFacts},
    incident::{Bounds, Foresight, Handling, IncidentKey, OpeningCause, Root, Rules, Stage},
    kind::CheckKind,
    observe::Dip,
    plan::{Asset, Site},
    topology::Topology,
};

/// What the facts of one site amount to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Correlated {
    /// Its incidents, by their begin.
    pub incidents: Vec<Judged>,
    /// What happened and is no incident, counted; by time.
    pub events: Vec<Event>,
    /// Messages that were sent about failures that an `unstable` incident took in afterwards.
    pub pages_taken_in: u64,
}

/// One incident, as the facts make it. What people did with it is not a fact of detection.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its name for ever.
    pub key: IncidentKey,
    /// What it is about.
    pub class: IncidentClass,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// What failed first.
    pub root: Subject,
    /// When the fault began.
    pub started: Bounds,
    /// When it was confirmed.
    pub detected: Timestamp,
    /// When that was received: response clocks count from here.
    pub received: Timestamp,
    /// When it became an incident.
    pub opened: Timestamp,
    /// When everything in it worked again; `None` while something does not.
    pub restored: Option<Timestamp>,
    /// The incident whose cause brought it about.
    pub parent: Option<IncidentKey>,
    /// Every finding in it.
    pub symptoms: BTreeSet<FindingId>,
    /// One generated sentence.
    pub title: String,
    /// Who or what brought it about, as far as a rule can say.
    pub cause: Cause,
    /// Critical assets in it: they raise its impact.
    pub critical: BTreeSet<AssetId>,
    /// Whether people and clocks deal with it.
    pub handling: Handling,
    /// Whether it is ticketed by itself.
    pub is_ticketed: bool,
    /// Whether its opening sends an immediate message.
    pub is_paged: bool,
}

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An asset, by the check that failed first where there is one.
    Asset {
        /// Which.
        asset: AssetId,
        /// By which check.
        check: Option<CheckId>,
    },
    /// An agent whose site is heard through another one.
    Agent {
        /// Of which site.
        site: SiteId,
        /// Which.
        agent: AgentId,
        /// The asset on which it runs, if that is known.
        host: Option<AssetId>,
    },
    /// A whole site.
    Site {
        /// Which.
        site: SiteId,
    },
    /// The collector itself.
    Collector,
}

impl Subject {
    /// Its name: the asset's, the agent's, the site's.
    pub fn name(&self) -> &str {
        match self {
            Self::Asset { asset, .. } | Self::Agent { host: Some(asset), .. } => asset.as_str(),
            Self::Agent { agent, host: None, .. } => agent.as_str(),
            Self::Site { site } => site.as_str(),
            Self::Collector => "collector",
        }
    }
}

/// Something that happened and is no incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When it was noticed at the latest.
    pub at: Timestamp,
    /// Not before this.
    pub after: Option<Timestamp>,
    /// On which asset.
    pub asset: AssetId,
    /// By which check, where there is one.
    pub check: Option<CheckId>,
    /// What.
    pub what: Happened,
    /// Until when it lasted, where it did.
    pub until: Option<Timestamp>,
    /// How deep it was and why, where it was a dip and the agent told.
    pub dip: Option<Dip>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// The supply went to battery and back.
    PowerDip,
    /// A link went down and up.
    LinkDrop,
    /// A host started.
    Boot,
    /// It was switched off as announced.
    Off,
    /// A failure was over before its class counts it.
    Passed,
    /// A failure inside an agreed window of work.
    Maintained,
    /// A failure outside the hours in which it is expected to run.
    NotExpected,
    /// A little wrong for seven days.
    Degraded,
}

impl Happened {
    /// Its word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerDip => "power-dip",
            Self::LinkDrop => "link-drop",
            Self::Boot => "boot",
            Self::Off => "off",
            Self::Passed => "passed",
            Self::Maintained => "maintenance",
            Self::NotExpected => "not-expected",
            Self::Degraded => "degraded",
        }
    }
}

/// Judges a site. Deadlines after the last fact are judged as if nothing else came.
pub fn correlate(site: &Site, facts: &SiteFacts, rules: &Rules) -> Correlated {
    let case = Case::new(site, facts, rules);
    let windows = window::windows(&case);
    let sorted = item::sort(&case, &windows);
    let mut episodes = episode::episodes(&case, sorted);
    unstable::hold(&case, &windows, &mut episodes);
    let mut correlated = episode::judge(&case, &windows, episodes);
    risk::add(&case, &mut correlated);
    lingering::add(&case, &mut correlated);
    correlated.incidents.sort_by_key(|incident| (incident.started.not_after, incident.key));
    correlated.events.sort();
    correlated
}

/// What every step may look at.
struct Case<'a> {
    site: &'a Site,
    facts: &'a SiteFacts,
    rules: &'a Rules,
    topology: Topology,
    findings: Vec<&'a FindingFact>,
    of_asset: BTreeMap<&'a AssetId, Vec<usize>>,
    below: BTreeMap<AssetId, BTreeSet<AssetId>>,
    above: BTreeMap<AssetId, BTreeSet<AssetId>>,
}

impl<'a> Case<'a> {
    fn new(site: &'a Site, facts: &'a SiteFacts, rules: &'a Rules) -> Self {
        let mut findings: Vec<_> = facts.checks.values().flat_map(|check| &check.findings).collect();
        findings.sort_by(|a, b| (a.started.not_after, &a.id).cmp(&(b.started.not_after, &b.id)));
        let mut of_asset: BTreeMap<&AssetId, Vec<usize>> = BTreeMap::new();
        findings
            .iter()
            .enumerate()
            .for_each(|(at, finding)| of_asset.entry(&finding.id.check.asset).or_default().push(at));
        let topology = Topology::of(site);
        let below: BTreeMap<AssetId, BTreeSet<AssetId>> =
            site.assets.keys().map(|asset| (asset.clone(), topology.below(asset))).collect();
        let mut above: BTreeMap<AssetId, BTreeSet<AssetId>> = BTreeMap::new();
        for (upstream, assets) in &below {
            assets.iter().for_each(|asset| {
                above.entry(asset.clone()).or_default().insert(upstream.clone());
            });
        }
        Self { site, facts, rules, topology, findings, of_asset, below, above }
    }

    /// The findings on an asset, by their begin.
    fn findings_on(&self, asset: &AssetId) -> impl Iterator<Item = &'a FindingFact> {
        self.of_asset.get(asset).into_iter().flatten().map(|at| self.findings[*at])
    }

    fn asset(&self, asset: &AssetId) -> Option<&'a Asset> {
        self.site.assets.get(asset)
    }

    fn asset_class(&self, asset: &AssetId) -> AssetClass {
        self.asset(asset).map_or(AssetClass::Other, |asset| asset.class)
    }

    fn kind(&self, check: &CheckId) -> Option<&'a CheckKind> {
        self.site.checks.get(check).map(|check| &check.kind)
    }

    fn class(&self, check: &CheckId) -> IncidentClass {
        let class = self.asset_class(&check.asset);
        self.kind(check).map_or(IncidentClass::Monitoring, |kind| kind.class_on(class))
    }

    /// The class of an incident of this failure: the culprit's, where the check named one.
    fn class_of(&self, finding: &FindingFact) -> IncidentClass {
        finding.culprit.map_or_else(|| self.class(&finding.id.check), Culprit::class)
    }

    /// Whether `asset` hangs on `upstream` in any way.
    fn is_below(&self, asset: &AssetId, upstream: &AssetId) -> bool {
        self.below.get(upstream).is_some_and(|below| below.contains(asset))
    }

    /// Whether a deadline may be judged: a replay has nothing else, a collector waits until it is due.
    fn is_due(&self, at: Timestamp) -> bool {
        match self.rules.foresight {
            Foresight::ToTheEnd => true,
            Foresight::UntilNow => at <= self.facts.until,
        }
    }

    /// What an asset hangs on, in any way.
    fn above(&self, asset: &AssetId) -> impl Iterator<Item = &AssetId> {
        self.above.get(asset).into_iter().flatten()
    }

    /// The key of what a check found itself; an incident is born with the one by the instant that its agent said.
    fn key_found(&self, root: &Root, occurrence: Timestamp) -> IncidentKey {
        let cause = OpeningCause::Concluded { source: "finding".to_owned(), occurrence };
        IncidentKey::new(&self.site.client, &self.site.site, root, &cause)
    }

    fn key(&self, root: &Root, source: String, at: Timestamp) -> IncidentKey {
        let cause = OpeningCause::concluded(source, at);
        IncidentKey::new(&self.site.client, &self.site.site, root, &cause)
    }

    /// How what was confirmed at this instant is dealt with, as far as the site decides.
    fn handling(&self, detected: Timestamp) -> Handling {
        match self.site.stage {
            Stage::Commissioned { since } if detected >= since => Handling::Desk,
            Stage::Commissioned { since: _ } | Stage::Commissioning => Handling::AsFound,
        }
    }
}
