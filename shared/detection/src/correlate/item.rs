//! Every finding finds its place: with its cause, promoted out of it, or by itself (DETECTION 3, 4.1, 4.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use upheld_model::{AssetId, CheckId, FindingId, IncidentClass};

use super::{
    Case, Event, Happened,
    window::{How, Windows},
};
use crate::{
    facts::FindingFact,
    incident::{AssetView, Bounds, open_after},
    plan::{Asset, plus},
};

/// Something that may be an incident: a cause with its symptoms, or failures of one asset that touch.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) asset: AssetId,
    pub(super) check: Option<CheckId>,
    pub(super) class: IncidentClass,
    pub(super) started: Bounds,
    pub(super) detected: Timestamp,
    pub(super) received: Timestamp,
    /// The cause that it is, if it is one and no finding.
    pub(super) window: Option<usize>,
    /// When it is an incident that people deal with.
    pub(super) opens: Option<Timestamp>,
    pub(super) restored: Option<Timestamp>,
    /// Its own findings, by their place among the site's.
    pub(super) findings: BTreeSet<usize>,
    /// Findings of others that it explains.
    pub(super) symptoms: BTreeSet<usize>,
    /// Those among them that did not come back in time.
    pub(super) promoted: BTreeSet<usize>,
    /// The cause out of which it was promoted.
    pub(super) parent: Option<usize>,
    pub(super) is_retroactive: bool,
    /// What it is if it is no incident.
    pub(super) otherwise: Happened,
}

/// What became of all findings and causes.
pub(super) struct Sorted {
    pub(super) items: Vec<Item>,
    /// Which item a cause is, or belongs to.
    pub(super) of_window: BTreeMap<usize, usize>,
}

pub(super) fn sort(case: &Case<'_>, windows: &Windows) -> Sorted {
    let explained: BTreeMap<usize, Explained> = (case.findings.iter().enumerate())
        .filter_map(|(at, finding)| Some((at, explain(case, windows, finding)?)))
        .collect();
    let by_itself = (0..case.findings.len()).filter(|at| !explained.contains_key(at));
    let mut items: Vec<Item> = runs(case, by_itself).into_iter().map(|run| by_itself_item(case, &run)).collect();
    let home: BTreeMap<&FindingId, usize> = (items.iter().enumerate())
        .flat_map(|(at, item)| item.findings.iter().map(move |finding| (&case.findings[*finding].id, at)))
        .collect();
    let places: BTreeMap<&FindingId, usize> =
        case.findings.iter().enumerate().map(|(at, finding)| (&finding.id, at)).collect();
    let mut of_window = BTreeMap::new();
    for (at, window) in windows.all.iter().enumerate() {
        let own = match &window.how {
            How::Lost(finding) => home.get(finding).copied(),
            How::OnBattery | How::Transfer | How::Boot | How::LinkDrop | How::Off => {
                items.push(cause_item(case, windows, at));
                Some(items.len() - 1)
            }
        };
        if let Some(own) = own {
            of_window.insert(at, own);
        }
    }
    let homeless = (0..windows.all.len()).filter(|at| !of_window.contains_key(at));
    let found: Vec<_> =
        homeless.filter_map(|at| Some((at, home_of_lost(windows, &explained, &places, &of_window, at)?))).collect();
    of_window.extend(found);
    for (at, explained) in &explained {
        if let Some(item) = of_window.get(&explained.root).and_then(|item| items.get_mut(*item)) {
            item.take(case, *at, explained);
        }
    }
    promote(case, &explained, &mut items);
    Sorted { items, of_window }
}

/// The item of a lost asset whose own finding something explains, such as its restart: what hangs on it goes there too.
fn home_of_lost(
    windows: &Windows,
    explained: &BTreeMap<usize, Explained>,
    places: &BTreeMap<&FindingId, usize>,
    of_window: &BTreeMap<usize, usize>,
    lost: usize,
) -> Option<usize> {
    let (mut at, mut seen) = (lost, BTreeSet::new());
    while seen.insert(at) {
        if let Some(item) = of_window.get(&at) {
            return Some(*item);
        }
        let How::Lost(finding) = &windows.all[at].how else { return None };
        at = explained.get(places.get(finding)?)?.root;
    }
    None
}

/// What explains a finding.
struct Explained {
    /// The first cause of its chain.
    root: usize,
    /// Whether it is the cause itself, seen by its own check.
    is_own: bool,
    /// When its time to settle is over; `None` while a cause lasts.
    settled: Option<Timestamp>,
    /// Whether it still failed then.
    is_promoted: bool,
}

fn explain(case: &Case<'_>, windows: &Windows, finding: &FindingFact) -> Option<Explained> {
    let explaining = windows.all_of_finding(case, finding);
    let nearest = *explaining.first()?;
    let (root, chain) = windows.root_of(nearest);
    // What hangs on a switch has its time to settle from the switch's return, whichever of two causes was seen first.
    let others = explaining.iter().filter(|at| windows.root_of(**at).0 == root);
    let asset = &finding.id.check.asset;
    let class = case.asset_class(asset);
    let ends: Option<Vec<Timestamp>> = chain.iter().chain(others).map(|at| windows.all[*at].settled(class)).collect();
    let settled = ends.and_then(|ends| ends.into_iter().max());
    let waited = case.asset(asset).and_then(|asset| asset.max_wait).map(|wait| plus(finding.detected, wait));
    let settled = [settled, waited].into_iter().flatten().min();
    let is_own = windows.all[root].asset == *asset && windows.all[root].check.as_ref() == Some(&finding.id.check);
    let is_promoted = settled.is_some_and(|end| case.is_due(end) && finding.surely_fails_at(end));
    Some(Explained { root, is_own, settled, is_promoted })
}

/// Findings of one asset that touch, in order.
fn runs(case: &Case<'_>, findings: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut of_asset: BTreeMap<&AssetId, Vec<usize>> = BTreeMap::new();
    findings.for_each(|at| of_asset.entry(&case.findings[at].id.check.asset).or_default().push(at));
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for mut own in of_asset.into_values() {
        own.sort_by_key(|at| (case.findings[*at].detected, *at));
        let mut end: Option<Option<Timestamp>> = None;
        for at in own {
            let finding = case.findings[at];
            let touches = end.is_some_and(|end| end.is_none_or(|end| finding.detected <= end));
            let own_end = finding.ended.map(|ended| ended.confirmed);
            match runs.last_mut().filter(|_| touches) {
                Some(run) => run.push(at),
                None => runs.push(vec![at]),
            }
            end = Some(match end.filter(|_| touches) {
                Some(end) => end.zip(own_end).map(|(a, b)| a.max(b)),
                None => own_end,
            });
        }
    }
    runs
}

/// A run as an item; a run has at least one finding.
fn run_item(case: &Case<'_>, run: &[usize], opens: Option<Timestamp>, otherwise: Happened) -> Item {
    let findings: Vec<&FindingFact> = run.iter().map(|at| case.findings[*at]).collect();
    let first = findings[0];
    let restored: Option<Vec<Timestamp>> = findings.iter().map(|finding| finding.restored()).collect();
    Item {
        asset: first.id.check.asset.clone(),
        check: Some(first.id.check.clone()),
        class: case.class_of(first),
        started: findings.iter().map(|finding| finding.started).min_by_key(|s| s.not_after).unwrap_or(first.started),
        detected: first.detected,
        received: first.received,
        window: None,
        opens,
        restored: restored.and_then(|ends| ends.into_iter().max()),
        findings: run.iter().copied().collect(),
        symptoms: BTreeSet::new(),
        promoted: BTreeSet::new(),
        parent: None,
        is_retroactive: findings.iter().all(|finding| finding.is_retroactive()),
        otherwise,
    }
}

fn by_itself_item(case: &Case<'_>, run: &[usize]) -> Item {
    let first = case.findings[run[0]];
    let ends: Option<Vec<_>> = run.iter().map(|at| case.findings[*at].over()).collect();
    let end = ends.and_then(|ends| ends.into_iter().max());
    let (opens, otherwise) = match case.asset(&first.id.check.asset) {
        Some(asset) if asset.may_be_off() && is_its_habit(case, first) => (None, Happened::NotExpected),
        Some(asset) => opening(asset, first.detected, end),
        None => (Some(first.detected), Happened::Passed),
    };
    run_item(case, run, opens, otherwise)
}

/// How long a workstation is away to have been switched off.
const SWITCHED_OFF: Duration = Duration::from_secs(3_600);
/// How long that is remembered.
const HABIT: Duration = Duration::from_secs(31 * 86_400);

/// Whether a workstation of which nobody said when it runs is away as it is used to: it was off when watching began,
/// or it was away for an hour before and came back by itself. It is an incident the first time, not every evening.
pub(super) fn is_its_habit(case: &Case<'_>, finding: &FindingFact) -> bool {
    let Some(last_good) = finding.started.not_before else { return true };
    let Some(own) = case.facts.checks.get(&finding.id.check) else { return false };
    let before = own.findings.partition_point(|other| other.started.not_after < finding.started.not_after);
    let remembered = own.findings[..before].iter().rev().take_while(|other| last_good <= plus(other.detected, HABIT));
    remembered
        .take(HABITS_MAX)
        .any(|other| other.restored().is_some_and(|restored| plus(other.started.not_after, SWITCHED_OFF) <= restored))
}

/// How many failures back a habit is looked for.
const HABITS_MAX: usize = 100;

/// When a failure confirmed at `detected` and over at `end` is an incident, and what it is if it never is.
fn opening(asset: &Asset, detected: Timestamp, end: Option<Timestamp>) -> (Option<Timestamp>, Happened) {
    let fails_at = |at: Timestamp| end.is_none_or(|end| at < end);
    let view = AssetView { class: asset.class, is_critical: asset.is_critical };
    let wait = open_after(&view).min(asset.max_wait.unwrap_or(Duration::MAX));
    let due = plus(detected, wait);
    if !fails_at(due) && !wait.is_zero() {
        return (None, Happened::Passed);
    }
    let (mut opens, mut otherwise) = (due, Happened::Passed);
    while fails_at(opens) || opens == due {
        if let Some(until) = asset.maintained_until(opens) {
            (opens, otherwise) = (until, Happened::Maintained);
        } else if !asset.is_expected(opens) {
            let Some(missed) = asset.missed_at(opens) else { return (None, Happened::NotExpected) };
            (opens, otherwise) = (missed, Happened::NotExpected);
        } else {
            return (Some(opens), otherwise);
        }
    }
    (None, otherwise)
}

/// A cause that is no finding.
fn cause_item(case: &Case<'_>, windows: &Windows, at: usize) -> Item {
    let window = &windows.all[at];
    let detected = window.opens.unwrap_or(window.started.not_after);
    let is_maintained = case.asset(&window.asset).is_some_and(|asset| asset.maintained_until(detected).is_some());
    Item {
        asset: window.asset.clone(),
        check: window.check.clone(),
        class: window.class,
        started: window.started,
        detected,
        received: window.received.max(if window.how == How::Off { detected } else { window.received }),
        window: Some(at),
        opens: window.opens.filter(|_| !is_maintained),
        restored: window.clear,
        findings: BTreeSet::new(),
        symptoms: BTreeSet::new(),
        promoted: BTreeSet::new(),
        parent: None,
        is_retroactive: window.is_retroactive,
        otherwise: match window.how {
            _ if is_maintained => Happened::Maintained,
            How::OnBattery | How::Transfer => Happened::PowerDip,
            How::LinkDrop => Happened::LinkDrop,
            How::Boot => Happened::Boot,
            How::Off => Happened::Off,
            How::Lost(_) => Happened::Passed,
        },
    }
}

impl Item {
    fn take(&mut self, case: &Case<'_>, at: usize, explained: &Explained) {
        let finding = case.findings[at];
        if explained.is_own {
            self.findings.insert(at);
        } else {
            self.symptoms.insert(at);
        }
        if explained.is_promoted {
            self.promoted.insert(at);
        }
        let over = if explained.is_promoted { explained.settled } else { finding.restored() };
        self.restored = self.restored.zip(over).map(|(own, other)| own.max(other));
        self.is_retroactive &= finding.is_retroactive();
    }

    /// Whether it is an incident at all (DETECTION 3): confirmed bad, or a cause with symptoms.
    pub(super) fn is_incident(&self) -> bool {
        let is_agreed = matches!(self.otherwise, Happened::Maintained | Happened::Off);
        self.opens.is_some() || (!self.symptoms.is_empty() && !is_agreed)
    }

    /// When it becomes one: at the latest when its first symptom is confirmed.
    pub(super) fn opened(&self, case: &Case<'_>) -> Timestamp {
        let symptom = self.symptoms.iter().map(|at| case.findings[*at].detected.max(self.started.not_after)).min();
        self.opens.into_iter().chain(symptom).min().unwrap_or(self.detected)
    }

    /// What it is if it is no incident. Occurrences that a counter counts are told one by one elsewhere.
    pub(super) fn event(&self) -> Option<Event> {
        match self.otherwise {
            Happened::PowerDip | Happened::LinkDrop => None,
            Happened::Boot
            | Happened::Off
            | Happened::Passed
            | Happened::Maintained
            | Happened::NotExpected
            | Happened::Degraded => Some(Event {
                at: self.started.not_after,
                after: self.started.not_before,
                asset: self.asset.clone(),
                check: self.check.clone(),
                what: self.otherwise,
                until: self.restored,
                dip: None,
            }),
        }
    }
}

/// Of what did not come back in time, the root-most become items of their own; the others are their symptoms.
fn promote(case: &Case<'_>, explained: &BTreeMap<usize, Explained>, items: &mut Vec<Item>) {
    let promoted: Vec<usize> = explained.iter().filter(|(_, e)| e.is_promoted).map(|(at, _)| *at).collect();
    let asset = |at: usize| &case.findings[at].id.check.asset;
    let still_fails = |above: usize, at: usize| {
        explained[&at].settled.is_some_and(|end| case.findings[above].fails_at(end))
            && explained[&above].settled <= explained[&at].settled
    };
    let mut of_asset: BTreeMap<&AssetId, Vec<usize>> = BTreeMap::new();
    promoted.iter().for_each(|at| of_asset.entry(asset(*at)).or_default().push(*at));
    let above = |at: usize| {
        let upstream = case.above(asset(at)).filter(|other| !case.is_below(other, asset(at)));
        let failing = upstream.filter_map(|other| of_asset.get(other)).flatten().copied();
        failing.filter(|other| still_fails(*other, at)).min()
    };
    let root_most: Vec<usize> = promoted.iter().copied().filter(|at| above(*at).is_none()).collect();
    let mut home: BTreeMap<usize, usize> = BTreeMap::new();
    for run in runs(case, root_most.into_iter()) {
        let first = &explained[&run[0]];
        let due = first.settled.map(|end| end.max(case.findings[run[0]].detected));
        let item = run_item(case, &run, due, Happened::Passed);
        run.iter().for_each(|at| {
            home.insert(*at, items.len());
        });
        items.push(Item { parent: Some(first.root), ..item });
    }
    for at in &promoted {
        let mut upstream = *at;
        while let Some(next) = above(upstream).filter(|_| !home.contains_key(&upstream)) {
            upstream = next;
        }
        if upstream != *at
            && let Some(item) = home.get(&upstream).and_then(|item| items.get_mut(*item))
        {
            item.symptoms.insert(*at);
            item.restored = item.restored.zip(case.findings[*at].restored()).map(|(own, other)| own.max(other));
        }
    }
}
