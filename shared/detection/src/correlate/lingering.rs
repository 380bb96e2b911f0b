//! A little wrong for long: on the digest after seven days, an incident after twenty-one (DETECTION 4.8).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use upheld_model::{AssetId, Cause, CheckId, IncidentKind};

use super::{Case, Correlated, Event, Happened, Judged, Subject};
use crate::{
    incident::{Bounds, Handling, Root},
    plan::plus,
    uptime::Span,
};

const DAY: Duration = Duration::from_secs(86_400);
/// On the digest after this long.
const DIGEST_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// Degraded for less than this is a hiccup, not a recurrence.
const SPAN_MIN: Duration = Duration::from_secs(600);
/// Degraded for less than this part of the time since it was first seen is a habit (the nightly backup), not a fault
/// that nobody tends to.
const SHARE_MIN: f64 = 1.0 / 6.0;

/// A stretch in which a check was degraded.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    check: &'a CheckId,
    span: Span,
}

/// What lingers, one incident an asset. Age counts from first seen, across recurrences that are no more than a week
/// apart. What an incident of its asset and class says already does not linger.
pub(super) fn add(case: &Case<'_>, correlated: &mut Correlated) {
    let mut of_asset: BTreeMap<&AssetId, Vec<Stretch<'_>>> = BTreeMap::new();
    for (check, facts) in &case.facts.checks {
        let long = facts.degraded.iter().filter(|span| plus(span.from, SPAN_MIN) <= span.to);
        of_asset.entry(&check.asset).or_default().extend(long.map(|span| Stretch { check, span: *span }));
    }
    for mut stretches in of_asset.into_values() {
        stretches.sort_by_key(|stretch| (stretch.span.from, stretch.check));
        for chain in &chains(stretches) {
            if is_known(case, chain, &correlated.incidents) {
                continue;
            }
            let first = chain[0];
            if let Some(at) = reached(chain, DIGEST_AFTER) {
                correlated.events.push(Event {
                    at,
                    after: Some(first.span.from),
                    asset: first.check.asset.clone(),
                    check: Some(first.check.clone()),
                    what: Happened::Degraded,
                    until: None,
                    dip: None,
                });
            }
            let opens = reached(chain, case.rules.lingering_after);
            correlated.incidents.extend(opens.map(|at| judged(case, chain, at)));
        }
    }
}

fn is_known(case: &Case<'_>, chain: &[Stretch<'_>], incidents: &[Judged]) -> bool {
    let (first, last) = (chain[0].span.from, end(chain));
    let (asset, class) = (&chain[0].check.asset, case.class(chain[0].check));
    incidents.iter().any(|incident| {
        incident.root.name() == asset.as_str()
            && incident.class == class
            && incident.opened <= last
            && incident.restored.is_none_or(|restored| restored >= first)
            && match incident.kind {
                IncidentKind::Unstable | IncidentKind::AtRisk | IncidentKind::Noncompliant => true,
                IncidentKind::Down
                | IncidentKind::Degraded
                | IncidentKind::Silent
                | IncidentKind::Lingering
                | IncidentKind::Reported => false,
            }
    })
}

fn chains(stretches: Vec<Stretch<'_>>) -> Vec<Vec<Stretch<'_>>> {
    let mut chains: Vec<Vec<Stretch<'_>>> = Vec::new();
    let mut latest = Timestamp::MIN;
    for stretch in stretches {
        match chains.last_mut() {
            Some(chain) if stretch.span.from <= plus(latest, DIGEST_AFTER) => chain.push(stretch),
            Some(_) | None => chains.push(vec![stretch]),
        }
        latest = latest.max(stretch.span.to);
    }
    chains
}

fn end(chain: &[Stretch<'_>]) -> Timestamp {
    chain.iter().map(|stretch| stretch.span.to).max().unwrap_or(Timestamp::MIN)
}

/// When the chain was this old, still there, and no mere habit.
fn reached(chain: &[Stretch<'_>], age: Duration) -> Option<Timestamp> {
    let begin = chain.first()?.span.from;
    let due = plus(begin, age);
    let (mut degraded, mut covered) = (0.0, begin);
    for Stretch { span, .. } in chain {
        let seconds = |from: Timestamp, to: Timestamp| from.duration_until(to).as_secs_f64().max(0.0);
        let at = due.max(span.from);
        if due <= span.to {
            let until_then = degraded + seconds(covered.max(span.from), at);
            if until_then >= SHARE_MIN * seconds(begin, at) {
                return Some(at);
            }
        }
        degraded += seconds(covered.max(span.from), span.to);
        covered = covered.max(span.to);
    }
    None
}

fn judged(case: &Case<'_>, chain: &[Stretch<'_>], at: Timestamp) -> Judged {
    let (Stretch { check, span: first }, last) = (chain[0], end(chain));
    let handling = case.handling(at);
    let root = Root::Check { check: check.clone() };
    let days = case.rules.lingering_after.as_secs() / DAY.as_secs();
    let is_critical = case.asset(&check.asset).is_some_and(|asset| asset.is_critical);
    Judged {
        key: case.key(&root, "lingering".to_owned(), first.from),
        class: case.class(check),
        kind: IncidentKind::Lingering,
        root: Subject::Asset { asset: check.asset.clone(), check: Some(check.clone()) },
        started: Bounds { not_before: None, not_after: first.from },
        detected: at,
        received: at,
        opened: at,
        restored: (plus(last, DIGEST_AFTER) <= case.facts.until).then_some(last),
        parent: None,
        symptoms: BTreeSet::new(),
        title: format!("{}: {} has been degraded for {days} days and nobody has tended to it", check.asset, check.name),
        cause: Cause::Undetermined,
        critical: is_critical.then(|| check.asset.clone()).into_iter().collect(),
        handling,
        is_ticketed: handling == Handling::Desk,
        is_paged: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_first_seen_across_recurrences() {
        let hours = |day: i64, hours: i64| Span { from: at(day * 86_400), to: at(day * 86_400 + hours * 3_600) };
        let daily: Vec<_> = (0..30).map(|day| hours(day, 8)).collect();
        assert_eq!(told(&daily, 7), [Some(at(7 * 86_400))]);
        assert_eq!(told(&daily, 21), [Some(at(21 * 86_400))]);
        assert_eq!(told(&[hours(0, 240)], 7), [Some(at(7 * 86_400))]);
        let twice = [hours(0, 40), hours(9, 40), hours(16, 40)];
        assert_eq!(told(&twice, 7), [None, Some(at(16 * 86_400))], "nine days without it");
    }

    #[test]
    fn an_hour_every_night_is_a_habit() {
        let nightly: Vec<_> =
            (0..30).map(|day| Span { from: at(day * 86_400), to: at(day * 86_400 + 3_600) }).collect();
        assert_eq!(told(&nightly, 7), [None]);
    }

    fn told(spans: &[Span], days: u64) -> Vec<Option<Timestamp>> {
        let check = "srv-1/host".parse().unwrap();
        let stretches = spans.iter().map(|span| Stretch { check: &check, span: *span }).collect();
        chains(stretches).iter().map(|chain| reached(chain, Duration::from_secs(days * 86_400))).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
