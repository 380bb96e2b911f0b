//! Causes, and the stretch of time in which they explain what happens below them (DETECTION 4.1).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use upheld_model::{AssetClass, AssetId, BootEnd, CheckId, FindingId, IncidentClass};

use super::Case;
use crate::{
    facts::{Count, FindingFact, OnBattery},
    incident::Bounds,
    kind::Family,
    observe::Dip,
    plan::{minus, plus, settle},
    time_of_day::Signal,
    topology::{Flow, Reach},
};

/// How much before its cause a symptom may be seen: two checks are not sampled in the same second.
const BEFORE: Duration = Duration::from_secs(30);
/// The longest stretch between two samples in which a counted occurrence explains what happened meanwhile.
const COUNTED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long a supply runs on battery before that is an incident by itself (PROBES 1).
pub(crate) const ON_BATTERY: Duration = Duration::from_secs(60);

/// One cause.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) asset: AssetId,
    pub(super) check: Option<CheckId>,
    pub(super) class: IncidentClass,
    pub(super) how: How,
    pub(super) started: Bounds,
    /// Since when it explains, less [`BEFORE`].
    pub(super) from: Timestamp,
    /// When the cause was over; `None` while it is not.
    pub(super) clear: Option<Timestamp>,
    pub(super) received: Timestamp,
    /// When it is an incident by itself, with or without symptoms.
    pub(super) opens: Option<Timestamp>,
    /// Whether it was over when it arrived.
    pub(super) is_retroactive: bool,
    /// How a host that started had ended before.
    pub(super) ended: Option<BootEnd>,
    /// How deep a stretch on battery was, and why.
    pub(super) dip: Option<Dip>,
    flow: Flow,
    /// Since when it explains failures on its own asset.
    own_from: Option<Timestamp>,
}

/// What kind of cause it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    OnBattery,
    Transfer,
    Boot,
    LinkDrop,
    Off,
    /// A finding on what others hang on.
    Lost(FindingId),
}

/// The causes of a site, by their begin.
pub(super) struct Windows {
    pub(super) all: Vec<Window>,
    sources: BTreeMap<(AssetId, Flow), Source>,
    /// Which sources reach an asset, or lie on it.
    above: BTreeMap<AssetId, Vec<(AssetId, Flow)>>,
    /// The chain of causes of each, up to the first one.
    chains: Vec<Vec<usize>>,
}

/// Where causes come from again and again: what they reach, and when they were.
#[derive(Default)]
struct Source {
    reach: Reach,
    /// Causes by their begin, each with the latest end of all up to it.
    windows: Vec<(usize, Timestamp)>,
    /// Those that last for long, by their begin: they would keep all after them open.
    lasting: Vec<usize>,
}

/// A cause that lasts longer than this is kept apart.
const LASTING: Duration = Duration::from_secs(2 * 3_600);

pub(super) fn windows(case: &Case<'_>) -> Windows {
    let mut all = Vec::new();
    for (check, facts) in &case.facts.checks {
        all.extend(facts.on_battery.iter().map(|stretch| on_battery(case, check, stretch)));
        // Stretches come in order and apart.
        let is_seen = |count: &&Count| {
            let next =
                facts.on_battery.partition_point(|stretch| stretch.until.is_some_and(|until| until < count.after));
            facts.on_battery.get(next).is_some_and(|stretch| overlaps(stretch, count))
        };
        all.extend(facts.counts.iter().filter(|count| !is_seen(count)).filter_map(|count| counted(case, check, count)));
        all.extend(facts.findings.iter().filter_map(|finding| lost(case, finding)));
    }
    all.extend(case.facts.boots.iter().map(|boot| {
        let began = began_before(case, &boot.asset, boot.at);
        let began =
            Bounds { not_before: began.not_before.or(boot.after.filter(|after| *after <= began.not_after)), ..began };
        Window {
            ended: boot.ended,
            received: boot.received,
            own_from: Some(boot.at),
            ..window(case, &boot.asset, None, How::Boot, began, Some(boot.at))
        }
    }));
    all.extend(case.facts.off.iter().map(|off| {
        let started = Bounds { not_before: Some(off.from), not_after: off.from };
        let opens = case.asset(&off.asset).and_then(|asset| asset.missed_at(off.from));
        let opens = opens.filter(|at| off.until.is_none_or(|until| *at < until));
        Window { opens, own_from: Some(off.from), ..window(case, &off.asset, None, How::Off, started, off.until) }
    }));
    all.sort_by(|a, b| (a.from, &a.asset, &a.how, &a.check).cmp(&(b.from, &b.asset, &b.how, &b.check)));
    Windows::new(case, all)
}

fn window(
    case: &Case<'_>,
    asset: &AssetId,
    check: Option<&CheckId>,
    how: How,
    started: Bounds,
    clear: Option<Timestamp>,
) -> Window {
    let class = check.map_or(IncidentClass::Host, |check| case.class(check));
    let flow = match (&how, case.asset_class(asset)) {
        (How::OnBattery | How::Transfer, _) | (_, AssetClass::Ups) => Flow::Power,
        (How::LinkDrop, _) | (_, AssetClass::Switch | AssetClass::Gateway | AssetClass::InternetLink) => Flow::Network,
        (How::Boot | How::Off | How::Lost(_), _) => Flow::Host,
    };
    Window {
        flow,
        asset: asset.clone(),
        check: check.cloned(),
        class,
        how,
        from: started.not_after,
        started,
        clear,
        received: started.not_after,
        opens: None,
        is_retroactive: false,
        ended: None,
        dip: None,
        own_from: None,
    }
}

fn on_battery(case: &Case<'_>, check: &CheckId, stretch: &OnBattery) -> Window {
    let by_length = plus(stretch.from.not_after, ON_BATTERY);
    // What went silent on battery is told as silent, not as still on battery.
    let lasted = |at: &Timestamp| *at <= stretch.last_seen;
    let opens = stretch.low.into_iter().chain(Some(by_length).filter(lasted)).min();
    Window {
        opens,
        received: stretch.received.max(stretch.from.not_after),
        is_retroactive: stretch.received > stretch.from.not_after
            && stretch.ended_received.is_some_and(|ended| ended <= stretch.received),
        own_from: Some(stretch.from.not_after),
        dip: stretch.dip.clone(),
        ..window(case, &check.asset, Some(check), How::OnBattery, stretch.from, stretch.until)
    }
}

fn overlaps(stretch: &OnBattery, count: &Count) -> bool {
    let begins = stretch.from.not_before.unwrap_or(stretch.from.not_after);
    begins <= count.at && stretch.until.is_none_or(|until| count.after <= until)
}

/// What a counter counted between two samples that are not too far apart.
fn counted(case: &Case<'_>, check: &CheckId, count: &Count) -> Option<Window> {
    let how = match count.signal {
        Signal::Transfers => How::Transfer,
        Signal::LinkDrops => How::LinkDrop,
        Signal::Loss | Signal::Rtt => return None,
    };
    if plus(count.after, COUNTED_WITHIN) < count.at {
        return None;
    }
    let started = Bounds { not_before: Some(count.after), not_after: count.at };
    Some(Window {
        from: count.after,
        received: count.received,
        own_from: Some(count.after),
        ..window(case, &check.asset, Some(check), how, started, Some(count.at))
    })
}

/// A failure of something that others hang on.
fn lost(case: &Case<'_>, finding: &FindingFact) -> Option<Window> {
    let check = &finding.id.check;
    match case.kind(check)?.family() {
        Family::Network | Family::Link | Family::Host => {}
        Family::Power
        | Family::Camera
        | Family::Recording
        | Family::Access
        | Family::Backup
        | Family::Restore
        | Family::Service
        | Family::TimeSync
        | Family::Environment
        | Family::Unknown => return None,
    }
    if case.below.get(&check.asset)?.is_empty() {
        return None;
    }
    let how = How::Lost(finding.id.clone());
    let window = window(case, &check.asset, Some(check), how, finding.started, finding.restored());
    // A way out that ends is no host that is down, wherever its check stands.
    let flow = if finding.culprit.is_some() { Flow::Network } else { window.flow };
    Some(Window { received: finding.received, class: case.class_of(finding), flow, ..window })
}

/// Since when a host was away before it started: the begin of what still failed on it then.
fn began_before(case: &Case<'_>, asset: &AssetId, boot: Timestamp) -> Bounds {
    let before = case.findings_on(asset).filter(|finding| finding.started.not_after <= boot && finding.fails_at(boot));
    let at_boot = Bounds { not_before: None, not_after: boot };
    before.map(|finding| finding.started).min_by_key(|started| started.not_after).unwrap_or(at_boot)
}

impl Window {
    /// When the time to settle of an asset of this class is over.
    pub(super) fn settled(&self, class: AssetClass) -> Option<Timestamp> {
        self.clear.map(|clear| plus(clear, settle(class)))
    }

    fn last_end(&self) -> Timestamp {
        self.settled(AssetClass::Recorder).unwrap_or(Timestamp::MAX)
    }

    fn covers(&self, begins: Timestamp, class: AssetClass) -> bool {
        minus(self.from, BEFORE) <= begins && self.settled(class).is_none_or(|end| begins <= end)
    }

    /// Whether it explains a failure on its own asset.
    fn explains_own(&self, case: &Case<'_>, finding: &FindingFact) -> bool {
        let begins = finding.started.not_after;
        // A link that is down is not explained by having gone down.
        let is_itself = self.how == How::LinkDrop && self.check.as_ref() == Some(&finding.id.check);
        !is_itself
            && self.own_from.is_some_and(|from| minus(from, BEFORE) <= begins)
            && self.covers(begins, case.asset_class(&self.asset))
    }
}

impl Windows {
    fn new(case: &Case<'_>, all: Vec<Window>) -> Self {
        let mut sources: BTreeMap<(AssetId, Flow), Source> = BTreeMap::new();
        let mut above: BTreeMap<AssetId, Vec<(AssetId, Flow)>> = BTreeMap::new();
        for (at, window) in all.iter().enumerate() {
            let name = (window.asset.clone(), window.flow);
            let source = sources.entry(name.clone()).or_insert_with(|| {
                let reach = case.topology.reached(&window.asset, window.flow);
                for asset in reach.assets().chain([&window.asset]) {
                    above.entry(asset.clone()).or_default().push(name.clone());
                }
                Source { reach, ..Source::default() }
            });
            if plus(window.from, LASTING) < window.last_end() {
                source.lasting.push(at);
                continue;
            }
            let latest = source.windows.last().map_or(Timestamp::MIN, |(_, end)| *end);
            source.windows.push((at, latest.max(window.last_end())));
        }
        let mut windows = Self { all, sources, above, chains: Vec::new() };
        windows.chains = (0..windows.all.len()).map(|at| windows.chain_of(case, at)).collect();
        windows
    }

    /// The latest cause that explains a failure.
    pub(super) fn of_finding(&self, case: &Case<'_>, finding: &FindingFact) -> Option<usize> {
        self.all_of_finding(case, finding).first().copied()
    }

    /// Every cause that explains a failure, the latest first.
    pub(super) fn all_of_finding(&self, case: &Case<'_>, finding: &FindingFact) -> Vec<usize> {
        let (check, begins) = (&finding.id.check, finding.started.not_after);
        let (class, asset_class) = (case.class_of(finding), case.asset_class(&check.asset));
        self.lately(&check.asset, begins, |window, reach| {
            if window.asset == check.asset {
                window.explains_own(case, finding)
            } else {
                reach.explains(&check.asset, class) && window.covers(begins, asset_class)
            }
        })
    }

    /// Whether a cause on another asset explains what happened to this check at this instant.
    pub(super) fn is_from_elsewhere(&self, case: &Case<'_>, check: &CheckId, at: Timestamp) -> bool {
        let (class, asset_class) = (case.class(check), case.asset_class(&check.asset));
        let found = self.lately(&check.asset, at, |window, reach| {
            window.asset != check.asset && reach.explains(&check.asset, class) && window.covers(at, asset_class)
        });
        !found.is_empty()
    }

    /// The first cause of a chain, and the chain.
    pub(super) fn root_of(&self, of: usize) -> (usize, &[usize]) {
        let chain = &self.chains[of];
        (chain[chain.len() - 1], chain)
    }

    /// From a cause to the one that brought it about, and on; a circle ends where it closes.
    fn chain_of(&self, case: &Case<'_>, of: usize) -> Vec<usize> {
        let mut chain = vec![of];
        while let Some(next) = chain.last().and_then(|last| self.brought_about(case, *last)) {
            if chain.contains(&next) {
                break;
            }
            chain.push(next);
        }
        chain
    }

    /// The latest cause on another asset that brought a cause about.
    fn brought_about(&self, case: &Case<'_>, of: usize) -> Option<usize> {
        let other = &self.all[of];
        let class = case.asset_class(&other.asset);
        let found = self.lately(&other.asset, other.started.not_after, |window, reach| {
            window.asset != other.asset
                && reach.explains(&other.asset, other.class)
                && (window.covers(other.from, class) || window.covers(other.started.not_after, class))
        });
        found.first().copied()
    }

    /// The causes above an asset, or on it, that began by then and are what is asked for; the latest first.
    fn lately(&self, asset: &AssetId, begins: Timestamp, is_it: impl Fn(&Window, &Reach) -> bool) -> Vec<usize> {
        let until = plus(begins, BEFORE);
        let mut found: Vec<usize> = Vec::new();
        for source in self.above.get(asset).into_iter().flatten().filter_map(|name| self.sources.get(name)) {
            let end = source.windows.partition_point(|(at, _)| self.all[*at].from <= until);
            // The begin of a cause may lie as far back as a counter was not read.
            let oldest = minus(begins, COUNTED_WITHIN);
            let open = source.windows[..end].iter().rev().take_while(|(_, latest)| *latest >= oldest);
            let begun = source.lasting.partition_point(|at| self.all[*at].from <= until);
            let lasting = source.lasting[..begun].iter().copied().filter(|at| oldest <= self.all[*at].last_end());
            let open = open.map(|(at, _)| *at).chain(lasting);
            found.extend(open.filter(|at| is_it(&self.all[*at], &source.reach)));
        }
        found.sort_by(|a, b| b.cmp(a));
        found
    }
}
