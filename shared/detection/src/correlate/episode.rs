//! What belongs together on one asset is one incident: what touches, and what comes again within the watch
//! (DETECTION 4, 5).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use upheld_model::{AssetId, BootEnd, Cause, CheckId, FindingId, IncidentClass, IncidentKind};

use super::{
    Case, Correlated, Event, Happened, Judged, Subject,
    item::{Item, Sorted},
    unstable::Unstable,
    window::{How, Windows},
    words,
};
use crate::{
    facts::Count,
    incident::{Bounds, Handling, IncidentKey, Root},
    plan::plus,
    time_of_day::Signal,
};

/// The incidents of a site in the making.
pub(super) struct Episodes {
    pub(super) all: Vec<Episode>,
    pub(super) unstable: Vec<Unstable>,
    events: Vec<Event>,
    /// In which episode a cause lies.
    of_window: BTreeMap<usize, usize>,
}

/// One incident in the making.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub(super) asset: AssetId,
    pub(super) class: IncidentClass,
    pub(super) items: Vec<Item>,
    /// The `unstable` incident that took it in.
    pub(super) held_by: Option<usize>,
    /// The `unstable` incident during which it did not come back.
    pub(super) out_of: Option<usize>,
    /// The cause out of which it was promoted.
    parent: Option<usize>,
}

/// Joins items to episodes.
pub(super) fn episodes(case: &Case<'_>, sorted: Sorted) -> Episodes {
    let Sorted { items, of_window } = sorted;
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let by = |at: &usize| (items[*at].asset.clone(), items[*at].started.not_after, items[*at].window, *at);
        by(a).cmp(&by(b))
    });
    let mut all: Vec<Episode> = Vec::new();
    let (mut events, mut home) = (Vec::new(), BTreeMap::new());
    for at in order {
        let item = &items[at];
        if !item.is_incident() {
            events.extend(item.event());
            continue;
        }
        let joins = all.last().is_some_and(|episode| episode.asset == item.asset && episode.is_met_by(case, item));
        if !joins {
            all.push(Episode {
                asset: item.asset.clone(),
                class: item.class,
                items: Vec::new(),
                held_by: None,
                out_of: None,
                parent: item.parent,
            });
        }
        if let Some(episode) = all.last_mut() {
            episode.items.push(item.clone());
        }
        home.insert(at, all.len() - 1);
    }
    events.extend(counted(case));
    let of_window = of_window.into_iter().filter_map(|(window, item)| Some((window, *home.get(&item)?))).collect();
    Episodes { all, unstable: Vec::new(), events, of_window }
}

impl Episode {
    /// Whether an item begins before the watch over this one ends.
    fn is_met_by(&self, case: &Case<'_>, item: &Item) -> bool {
        self.restored().is_none_or(|restored| item.started.not_after < plus(restored, case.rules.watch))
    }

    pub(super) fn started(&self) -> Bounds {
        self.items[0].started
    }

    /// When everything in it worked again.
    pub(super) fn restored(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.items.iter().map(|item| item.restored).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }

    pub(super) fn opened(&self, case: &Case<'_>) -> Timestamp {
        self.items.iter().map(|item| item.opened(case)).min().unwrap_or(self.items[0].detected)
    }

    /// The item that people must deal with, if there is one.
    fn for_the_desk(&self, case: &Case<'_>) -> Option<&Item> {
        let opens = |item: &Item| item.opens.is_some_and(|at| case.is_due(at));
        self.items.iter().find(|item| opens(item) && !item.is_retroactive)
    }

    pub(super) fn findings(&self, case: &Case<'_>) -> BTreeSet<FindingId> {
        let all = self.items.iter().flat_map(|item| item.findings.iter().chain(&item.symptoms));
        all.map(|at| case.findings[*at].id.clone()).collect()
    }

    /// Whether something did not come back from it in time.
    pub(super) fn has_promoted(&self) -> bool {
        self.items.iter().any(|item| !item.promoted.is_empty())
    }

    pub(super) fn is_page(&self, case: &Case<'_>) -> bool {
        self.for_the_desk(case).is_some() && matches!(case.handling(self.items[0].detected), Handling::Desk)
    }
}

/// Says what became of each episode.
pub(super) fn judge(case: &Case<'_>, windows: &Windows, episodes: Episodes) -> Correlated {
    let keys: Vec<IncidentKey> = episodes.all.iter().map(|episode| key(case, windows, episode)).collect();
    let unstable_keys: Vec<IncidentKey> = episodes.unstable.iter().map(|unstable| unstable.key(case)).collect();
    let key_of = |at: usize| match episodes.all[at].held_by {
        Some(unstable) => unstable_keys[unstable],
        None => keys[at],
    };
    let mut correlated = Correlated { events: episodes.events, ..Correlated::default() };
    for (at, episode) in episodes.all.iter().enumerate() {
        if let Some(unstable) = episode.held_by {
            let was_told = episode.opened(case) < episodes.unstable[unstable].opened && episode.is_page(case);
            correlated.pages_taken_in += u64::from(was_told);
            continue;
        }
        let parent = episode.parent.and_then(|window| episodes.of_window.get(&window)).map(|parent| key_of(*parent));
        let parent = parent.filter(|parent| *parent != keys[at]);
        let parent = parent.or(episode.out_of.map(|unstable| unstable_keys[unstable]));
        correlated.incidents.push(judged(case, windows, episode, keys[at], parent));
    }
    let mut held: BTreeMap<usize, BTreeSet<FindingId>> = BTreeMap::new();
    for (episode, unstable) in episodes.all.iter().filter_map(|episode| Some((episode, episode.held_by?))) {
        held.entry(unstable).or_default().extend(episode.findings(case));
    }
    correlated.incidents.extend(
        episodes
            .unstable
            .iter()
            .enumerate()
            .map(|(at, unstable)| unstable.judged(case, held.remove(&at).unwrap_or_default())),
    );
    correlated
}

/// From the first cause or finding: the same facts give the same key.
fn key(case: &Case<'_>, windows: &Windows, episode: &Episode) -> IncidentKey {
    let first = &episode.items[0];
    let source = match first.window.map(|at| &windows.all[at].how) {
        None | Some(How::Lost(_)) => None,
        Some(How::OnBattery) => Some("on-battery"),
        Some(How::Transfer) => Some("transfer"),
        Some(How::Boot) => Some("boot"),
        Some(How::LinkDrop) => Some("link-drop"),
        Some(How::Off) => Some("off"),
    };
    let check = first.check.clone().unwrap_or_else(|| seen_by_none(&first.asset, source.unwrap_or("finding")));
    let (root, at) = (Root::Check { check }, first.started.not_after);
    match source {
        Some(source) => case.key(&root, source.to_owned(), at),
        None => case.key_found(&root, at),
    }
}

/// A cause that no check saw has its name in the place of one.
fn seen_by_none(asset: &AssetId, source: &'static str) -> CheckId {
    // The words of `key` are letters and dashes, which every id may have.
    CheckId { asset: asset.clone(), name: source.parse().expect("a word is a check's name") }
}

fn judged(
    case: &Case<'_>,
    windows: &Windows,
    episode: &Episode,
    key: IncidentKey,
    parent: Option<IncidentKey>,
) -> Judged {
    let first = &episode.items[0];
    let desk = episode.for_the_desk(case);
    let told = desk.unwrap_or(first);
    let site = case.handling(told.detected);
    let handling = match (site, episode.items.iter().all(|item| item.is_retroactive)) {
        (Handling::Desk, true) => Handling::Retroactive,
        (Handling::Desk | Handling::Cause | Handling::Retroactive | Handling::AsFound, _) => site,
    };
    let is_ticketed = desk.is_some() && handling == Handling::Desk;
    let symptoms = episode.findings(case);
    let is_critical = |asset: &&AssetId| case.asset(asset).is_some_and(|asset| asset.is_critical);
    let assets = symptoms.iter().map(|finding| &finding.check.asset).chain([&episode.asset]);
    Judged {
        key,
        class: episode.class,
        kind: IncidentKind::Down,
        root: Subject::Asset { asset: episode.asset.clone(), check: first.check.clone() },
        started: first.started,
        // A cause that took something down is known from its first symptom on.
        detected: told.detected.min(episode.opened(case)),
        received: told.received,
        opened: episode.opened(case).max(told.received),
        restored: episode.restored(),
        parent,
        title: words::title(case, windows, episode),
        cause: cause(case, windows, episode),
        critical: assets.filter(is_critical).cloned().collect(),
        symptoms,
        handling,
        is_ticketed,
        is_paged: is_ticketed,
    }
}

fn cause(case: &Case<'_>, windows: &Windows, episode: &Episode) -> Cause {
    if let (None, Some(culprit)) = (episode.items[0].window, words::culprit(case, &episode.items[0])) {
        return culprit.cause();
    }
    let first = episode.items[0].window.map(|at| &windows.all[at]);
    match first.map(|window| &window.how) {
        Some(How::OnBattery | How::Transfer) => Cause::Utility,
        Some(How::Boot) if first.is_some_and(|window| window.ended == Some(BootEnd::Power)) => Cause::Utility,
        Some(How::Off) => Cause::Operator,
        Some(How::LinkDrop) => Cause::SiteLan,
        Some(How::Boot | How::Lost(_)) | None => Cause::Undetermined,
    }
}

/// Beyond this many occurrences between two samples the rest is one event: a counter may claim any number.
const TOLD_MAX: u64 = 1_000;

/// Every occurrence that was counted, whether or not something came of it.
fn counted(case: &Case<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for (check, facts) in &case.facts.checks {
        for count in &facts.counts {
            let what = match count.signal {
                Signal::Transfers => Happened::PowerDip,
                Signal::LinkDrops => Happened::LinkDrop,
                Signal::Loss | Signal::Rtt => continue,
            };
            let next = facts.on_battery.partition_point(|stretch| stretch.from.not_after < count.at);
            let until = facts.on_battery.get(next).filter(|stretch| stretch.from.not_after == count.at);
            let event = Event {
                at: count.at,
                after: Some(count.after),
                asset: check.asset.clone(),
                check: Some(check.clone()),
                what,
                until: until.and_then(|stretch| stretch.until),
                dip: until.and_then(|stretch| stretch.dip.clone()),
            };
            events.extend((0..number(count)).map(|_| event.clone()));
        }
    }
    events
}

fn number(count: &Count) -> u64 {
    count.number.min(TOLD_MAX)
}
