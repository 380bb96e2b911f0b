//! What fails again and again is an incident of its own, which holds what follows until it is quiet (DETECTION 3).
//!
//! Three windows, any one of which opens it: 3 transfers or drops in 24 hours; 7 confirmed findings in 7 days, or 10 in
//! 30, of the rest; an hour of the day that stands out. One per asset and class. What a cause elsewhere explains does
//! not count. A failure inside it that does not come back in its time to settle is an incident beside it: unstable
//! hides no state.

mod patterns;

pub(super) use patterns::midnights;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use upheld_model::{AssetId, Cause, CheckId, FindingId, IncidentClass, IncidentKind};

use super::{
    Case, Judged, Subject,
    episode::{Episode, Episodes},
    item::{Item, is_its_habit},
    window::Windows,
};
use crate::{
    facts::FindingFact,
    incident::{Bounds, Handling, IncidentKey, Root},
    kind::Family,
    plan::{Expected, plus, settle},
    time_of_day::Signal,
};

const DAY: Duration = Duration::from_secs(86_400);
/// Transfers and drops: how many in how long.
const COUNTED: Limit = Limit { number: 3, within: DAY };
/// Confirmed findings of the rest.
const FINDINGS: [Limit; 2] = [
    Limit { number: 7, within: Duration::from_secs(7 * 86_400) },
    Limit { number: 10, within: Duration::from_secs(30 * 86_400) },
];
/// How far apart two samples may be for their distance to be added to the day: an occurrence lies between them.
const SLACK_MAX: Duration = Duration::from_secs(60);

struct Limit {
    number: u64,
    within: Duration,
}

/// Something that came again.
#[derive(Debug, Clone)]
struct Occurrence {
    after: Timestamp,
    at: Timestamp,
    number: u64,
    received: Timestamp,
    check: CheckId,
    what: What,
    /// When it is quiet unless something comes before.
    quiet_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Counted(Signal),
    Finding,
    Pattern { sentence: String },
}

/// One `unstable` incident in the making.
#[derive(Debug, Clone)]
pub(super) struct Unstable {
    asset: AssetId,
    class: IncidentClass,
    check: CheckId,
    started: Bounds,
    pub(super) opened: Timestamp,
    received: Timestamp,
    last: Timestamp,
    quiet_at: Timestamp,
    number: u64,
    what: What,
}

/// Finds what is unstable, and puts what follows into it.
pub(super) fn hold(case: &Case<'_>, windows: &Windows, episodes: &mut Episodes) {
    let mut of_asset: BTreeMap<AssetId, Vec<usize>> = BTreeMap::new();
    for (at, episode) in episodes.all.iter().enumerate() {
        of_asset.entry(episode.asset.clone()).or_default().push(at);
    }
    for ((asset, class), mut occurrences) in occurrences(case, windows) {
        occurrences.sort_by(|a, b| (a.at, &a.check, a.after).cmp(&(b.at, &b.check, b.after)));
        for unstable in sweep(&asset, class, &occurrences) {
            let at = episodes.unstable.len();
            for own in of_asset.get(&asset).into_iter().flatten() {
                let episode = &mut episodes.all[*own];
                if !unstable.meets(episode) {
                    continue;
                }
                if lasts(case, episode) {
                    episode.out_of = Some(at);
                } else if episode.opened(case) >= unstable.opened || !episode.has_promoted() {
                    episode.held_by = Some(at);
                }
            }
            episodes.unstable.push(unstable);
        }
    }
}

type ByAsset = BTreeMap<(AssetId, IncidentClass), Vec<Occurrence>>;

fn occurrences(case: &Case<'_>, windows: &Windows) -> ByAsset {
    let mut all = ByAsset::new();
    for (check, facts) in &case.facts.checks {
        let class = case.class(check);
        let counts = facts.counts.iter().filter(|count| !windows.is_from_elsewhere(case, check, count.at));
        let counted = counts.map(|count| Occurrence {
            after: count.after,
            at: count.at,
            number: count.number,
            received: count.received,
            check: check.clone(),
            what: What::Counted(count.signal),
            quiet_at: plus(count.at, DAY),
        });
        let is_counted = case.kind(check).is_some_and(|kind| matches!(kind.family(), Family::Power | Family::Link));
        let asset = case.asset(&check.asset);
        let is_habit = |finding: &FindingFact| {
            asset.is_some_and(|asset| match &asset.expected {
                Expected::ByClass => asset.may_be_off() && is_its_habit(case, finding),
                Expected::Within(_) => !asset.is_expected(finding.detected),
            })
        };
        let findings = facts.findings.iter().filter(|finding| !is_counted && !is_habit(finding));
        let unexplained = findings.filter(|finding| windows.of_finding(case, finding).is_none());
        let found = unexplained.map(|finding| Occurrence {
            after: finding.started.not_after,
            at: finding.detected,
            number: 1,
            received: finding.received,
            check: check.clone(),
            what: What::Finding,
            quiet_at: plus(finding.restored().unwrap_or(finding.detected), DAY),
        });
        all.entry((check.asset.clone(), class)).or_default().extend(counted.chain(found));
    }
    for (asset, class, pattern) in patterns::occurrences(case) {
        all.entry((asset, class)).or_default().push(pattern);
    }
    all
}

/// Walks through what came, in order.
fn sweep(asset: &AssetId, class: IncidentClass, occurrences: &[Occurrence]) -> Vec<Unstable> {
    let mut found: Vec<Unstable> = Vec::new();
    let (mut counted, mut findings): (VecDeque<&Occurrence>, VecDeque<&Occurrence>) = Default::default();
    for occurrence in occurrences {
        if let Some(open) = found.last_mut().filter(|open| occurrence.at <= open.quiet_at) {
            open.goes_on(occurrence);
            continue;
        }
        let begins = match &occurrence.what {
            What::Counted(_) => {
                counted.push_back(occurrence);
                reached(&mut counted, &COUNTED).then(|| counted[0].clone())
            }
            What::Finding => {
                findings.push_back(occurrence);
                let is_reached = FINDINGS.iter().any(|limit| count_within(&findings, limit).1);
                is_reached.then(|| occurrence.clone())
            }
            What::Pattern { .. } => Some(occurrence.clone()),
        };
        if let Some(first) = begins {
            let number = match occurrence.what {
                What::Counted(_) => counted.iter().map(|one| one.number).sum(),
                What::Finding => count_within(&findings, &FINDINGS[1]).0,
                What::Pattern { .. } => 1,
            };
            found.push(Unstable {
                asset: asset.clone(),
                class,
                check: occurrence.check.clone(),
                started: Bounds { not_before: Some(first.after), not_after: first.at },
                opened: occurrence.at,
                received: occurrence.received.max(occurrence.at),
                last: occurrence.at,
                quiet_at: occurrence.quiet_at,
                number,
                what: occurrence.what.clone(),
            });
            counted.clear();
            findings.clear();
        }
    }
    found
}

/// Forgets what is too old, and says whether the rest is enough.
fn reached(queue: &mut VecDeque<&Occurrence>, limit: &Limit) -> bool {
    while queue.front().is_some_and(|first| queue.back().is_some_and(|last| !is_within(first, last, limit))) {
        queue.pop_front();
    }
    queue.iter().map(|one| one.number).sum::<u64>() >= limit.number
}

fn count_within(queue: &VecDeque<&Occurrence>, limit: &Limit) -> (u64, bool) {
    let Some(last) = queue.back() else { return (0, false) };
    let number = queue.iter().filter(|one| is_within(one, last, limit)).map(|one| one.number).sum();
    (number, number >= limit.number)
}

fn is_within(first: &Occurrence, last: &Occurrence, limit: &Limit) -> bool {
    let apart = Duration::try_from(last.after.duration_until(last.at)).unwrap_or_default();
    let slack = match last.what {
        What::Counted(_) => apart.min(SLACK_MAX),
        What::Finding | What::Pattern { .. } => Duration::ZERO,
    };
    last.at <= plus(plus(first.at, limit.within), slack)
}

/// Whether something in it did not come back in the time that its class needs, as far as is known yet.
fn lasts(case: &Case<'_>, episode: &Episode) -> bool {
    let settle = settle(case.asset_class(&episode.asset));
    let lasts = |item: &Item| {
        let until = plus(item.detected, settle);
        item.restored.map_or(until <= case.facts.until, |restored| until < restored)
    };
    episode.items.iter().any(lasts)
}

impl Unstable {
    fn goes_on(&mut self, occurrence: &Occurrence) {
        self.last = self.last.max(occurrence.at);
        self.quiet_at = self.quiet_at.max(occurrence.quiet_at);
        match (&mut self.what, &occurrence.what) {
            (What::Pattern { sentence }, What::Pattern { sentence: newer }) => sentence.clone_from(newer),
            (What::Counted(_) | What::Finding, What::Pattern { .. }) => self.what = occurrence.what.clone(),
            (_, What::Counted(_) | What::Finding) => self.number += occurrence.number,
        }
    }

    /// Whether an episode begins while this one holds what follows.
    fn meets(&self, episode: &Episode) -> bool {
        let begins = episode.started().not_after;
        let from = self.started.not_before.unwrap_or(self.started.not_after);
        episode.asset == self.asset
            && episode.class == self.class
            && episode.held_by.is_none()
            && from <= begins
            && begins <= self.quiet_at
    }

    /// Its name, from what it began with.
    pub(super) fn key(&self, case: &Case<'_>) -> IncidentKey {
        let root = Root::Check { check: self.check.clone() };
        case.key(&root, format!("unstable/{}", self.class), self.started.not_after)
    }

    /// What it is told as.
    pub(super) fn judged(&self, case: &Case<'_>, symptoms: BTreeSet<FindingId>) -> Judged {
        let handling = case.handling(self.opened);
        let is_critical = case.asset(&self.asset).is_some_and(|asset| asset.is_critical);
        Judged {
            key: self.key(case),
            class: self.class,
            kind: IncidentKind::Unstable,
            root: Subject::Asset { asset: self.asset.clone(), check: Some(self.check.clone()) },
            started: self.started,
            detected: self.opened,
            received: self.received,
            opened: self.received,
            restored: (self.quiet_at <= case.facts.until).then_some(self.last),
            parent: None,
            symptoms,
            title: self.title(),
            cause: Cause::Undetermined,
            critical: is_critical.then(|| self.asset.clone()).into_iter().collect(),
            handling,
            is_ticketed: handling == Handling::Desk,
            is_paged: false,
        }
    }

    fn title(&self) -> String {
        let (asset, number) = (&self.asset, self.number);
        match &self.what {
            What::Counted(Signal::Transfers) => format!("{asset}: unstable power, {number} times on battery"),
            What::Counted(Signal::LinkDrops | Signal::Loss | Signal::Rtt) => {
                format!("{asset}: unstable link, {number} drops")
            }
            What::Finding => format!("{asset}: {} failed {number} times", self.check.name),
            What::Pattern { sentence } => format!("{asset}: {sentence}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_any_day_and_only_one_until_a_quiet_day() {
        let hour = |hour: i64| counted(hour * 3_600);
        assert!(opened(&[hour(0), hour(23), hour(25)]).is_empty(), "three, but not in any 24 hours");
        assert_eq!(opened(&[hour(0), hour(10), hour(24)]), [24 * 3_600]);
        assert_eq!(opened(&[hour(0), hour(1), hour(2), hour(20), hour(40), hour(60)]), [2 * 3_600]);
        assert_eq!(opened(&[hour(0), hour(1), hour(2), hour(27), hour(28), hour(29)]), [2 * 3_600, 29 * 3_600]);
    }

    #[test]
    fn three_at_once_are_three() {
        assert_eq!(opened(&[Occurrence { number: 3, ..counted(50) }]), [50]);
    }

    #[test]
    fn the_rest_is_given_a_week_and_a_month() {
        let day = |n: i64| Occurrence { what: What::Finding, quiet_at: at(n * 86_400 + 1), ..counted(n * 86_400) };
        assert_eq!(opened(&(0..8).map(day).collect::<Vec<_>>()).len(), 1, "seven in seven days");
        let every_third: Vec<_> = (0..12).map(|n| day(n * 3)).collect();
        assert_eq!(opened(&every_third), [27 * 86_400], "ten in thirty days");
        let every_fourth: Vec<_> = (0..12).map(|n| day(n * 4)).collect();
        assert!(opened(&every_fourth).is_empty());
    }

    fn opened(occurrences: &[Occurrence]) -> Vec<i64> {
        let asset = "sw-4".parse().unwrap();
        let found = sweep(&asset, IncidentClass::NetworkLan, occurrences);
        found.iter().map(|unstable| unstable.opened.as_second()).collect()
    }

    fn counted(second: i64) -> Occurrence {
        Occurrence {
            after: at(second - 10),
            at: at(second),
            number: 1,
            received: at(second),
            check: "sw-4/link".parse().unwrap(),
            what: What::Counted(Signal::LinkDrops),
            quiet_at: at(second + 86_400),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
