//! Causes, and the stretch of time in which they explain what happens below them (DETECTION 4.1).

use std::time::Duration;

use jiff::Timestamp;
use upheld_model::{AssetClass, AssetId, CheckId, FindingId, IncidentClass};

use super::Case;
use crate::{
    facts::{Count, FindingFact, OnBattery},
    incident::Bounds,
    kind::Family,
    plan::{minus, plus, settle},
    time_of_day::Signal,
    topology::{Flow, Reach},
};

/// How much before its cause a symptom may be seen: two checks are not sampled in the same second.
const BEFORE: Duration = Duration::from_secs(30);
/// The longest stretch between two samples in which a counted occurrence explains what happened meanwhile.
const COUNTED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long a supply runs on battery before that is an incident by itself (PROBES 1).
const ON_BATTERY: Duration = Duration::from_secs(60);

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
    reach: Reach,
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

/// The causes of a site, by their begin, with the latest end of all up to each.
pub(super) struct Windows {
    pub(super) all: Vec<Window>,
    latest_end: Vec<Timestamp>,
}

pub(super) fn windows(case: &Case<'_>) -> Windows {
    let mut all = Vec::new();
    for (check, facts) in &case.facts.checks {
        all.extend(facts.on_battery.iter().map(|stretch| on_battery(case, check, stretch)));
        let is_seen = |count: &&Count| facts.on_battery.iter().any(|stretch| overlaps(stretch, count));
        all.extend(facts.counts.iter().filter(|count| !is_seen(count)).filter_map(|count| counted(case, check, count)));
        all.extend(facts.findings.iter().filter_map(|finding| lost(case, finding)));
    }
    all.extend(case.facts.boots.iter().map(|boot| {
        let began = began_before(case, &boot.asset, boot.at);
        Window {
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
    let latest_end = all
        .iter()
        .scan(Timestamp::MIN, |latest, window| {
            *latest = (*latest).max(window.last_end());
            Some(*latest)
        })
        .collect();
    Windows { all, latest_end }
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
        reach: case.topology.reached(asset, flow),
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
        own_from: None,
    }
}

fn on_battery(case: &Case<'_>, check: &CheckId, stretch: &OnBattery) -> Window {
    let by_length = plus(stretch.from.not_after, ON_BATTERY);
    let opens = stretch.low.map_or(by_length, |low| low.min(by_length));
    let opens = Some(opens).filter(|at| stretch.until.is_none_or(|until| *at < until));
    Window {
        opens,
        received: stretch.received.max(stretch.from.not_after),
        is_retroactive: stretch.received > stretch.from.not_after
            && stretch.ended_received.is_some_and(|ended| ended <= stretch.received),
        own_from: Some(stretch.from.not_after),
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
    Some(Window { received: finding.received, ..window })
}

/// Since when a host was away before it started: the begin of what still failed on it then.
fn began_before(case: &Case<'_>, asset: &AssetId, boot: Timestamp) -> Bounds {
    let own = case.findings.iter().filter(|finding| finding.id.check.asset == *asset);
    let before = own.filter(|finding| finding.started.not_after <= boot && finding.fails_at(boot));
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

    fn explains(&self, case: &Case<'_>, finding: &FindingFact) -> bool {
        let asset = &finding.id.check.asset;
        let begins = finding.started.not_after;
        if *asset == self.asset {
            // A link that is down is not explained by having gone down.
            if self.how == How::LinkDrop && self.check.as_ref() == Some(&finding.id.check) {
                return false;
            }
            return self.own_from.is_some_and(|from| minus(from, BEFORE) <= begins)
                && self.covers(begins, case.asset_class(asset));
        }
        self.reach.explains(asset, case.class(&finding.id.check)) && self.covers(begins, case.asset_class(asset))
    }

    /// Whether it brought the other cause about.
    fn brought(&self, case: &Case<'_>, other: &Self) -> bool {
        self.asset != other.asset
            && self.reach.explains(&other.asset, other.class)
            && (self.covers(other.from, case.asset_class(&other.asset))
                || self.covers(other.started.not_after, case.asset_class(&other.asset)))
    }
}

impl Windows {
    /// The latest cause that explains a failure.
    pub(super) fn of_finding(&self, case: &Case<'_>, finding: &FindingFact) -> Option<usize> {
        self.all_of_finding(case, finding).next()
    }

    /// Every cause that explains a failure, the latest first.
    pub(super) fn all_of_finding(&self, case: &Case<'_>, finding: &FindingFact) -> impl Iterator<Item = usize> {
        let begins = finding.started.not_after;
        self.lately(plus(begins, BEFORE), begins).filter(|at| self.all[*at].explains(case, finding))
    }

    /// Whether a cause on another asset explains what happened to this check at this instant.
    pub(super) fn is_from_elsewhere(&self, case: &Case<'_>, check: &CheckId, at: Timestamp) -> bool {
        let (class, asset_class) = (case.class(check), case.asset_class(&check.asset));
        let explains = |window: &Window| {
            window.asset != check.asset && window.reach.explains(&check.asset, class) && window.covers(at, asset_class)
        };
        self.latest(plus(at, BEFORE), at, explains).is_some()
    }

    /// The latest cause that brought a cause about.
    pub(super) fn of_window(&self, case: &Case<'_>, of: usize) -> Option<usize> {
        let other = self.all.get(of)?;
        self.latest(plus(other.started.not_after, BEFORE), other.from, |window| window.brought(case, other))
    }

    /// The first cause of a chain; a circle ends where it closes.
    pub(super) fn root_of(&self, case: &Case<'_>, of: usize) -> (usize, Vec<usize>) {
        let mut chain = vec![of];
        while let Some(next) = chain.last().and_then(|last| self.of_window(case, *last)) {
            if chain.contains(&next) {
                break;
            }
            chain.push(next);
        }
        (chain[chain.len() - 1], chain)
    }

    fn latest(&self, until: Timestamp, from: Timestamp, is_it: impl Fn(&Window) -> bool) -> Option<usize> {
        self.lately(until, from).find(|at| is_it(&self.all[*at]))
    }

    /// The causes that began before `until`, the latest first, as long as one of them may last beyond `from`.
    fn lately(&self, until: Timestamp, from: Timestamp) -> impl Iterator<Item = usize> {
        let end = self.all.partition_point(|window| window.from <= until);
        (0..end).rev().take_while(move |at| self.latest_end[*at] >= from)
    }
}
