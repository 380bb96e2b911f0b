//! A little wrong for long: on the digest after seven days, an incident after twenty-one (DETECTION 4.8).

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use upheld_model::{Cause, CheckId, IncidentKind};

use super::{Case, Correlated, Event, Happened, Judged, Subject};
use crate::{
    incident::{Bounds, Handling, Root},
    plan::plus,
    uptime::Span,
};

const DAY: Duration = Duration::from_secs(86_400);
/// On the digest after this long.
const DIGEST_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// An incident after this long.
const OPENS_AFTER: Duration = Duration::from_secs(21 * 86_400);
/// Degraded for less than this is a hiccup, not a recurrence.
const SPAN_MIN: Duration = Duration::from_secs(600);

/// What lingers. Age counts from first seen, across recurrences that are no more than a week apart.
/// What an incident of its asset and class says already does not linger.
pub(super) fn add(case: &Case<'_>, correlated: &mut Correlated) {
    for (check, facts) in &case.facts.checks {
        let long = facts.degraded.iter().filter(|span| plus(span.from, SPAN_MIN) <= span.to);
        for chain in &chains(long) {
            if is_known(case, check, chain, &correlated.incidents) {
                continue;
            }
            if let Some(at) = reached(chain, DIGEST_AFTER) {
                correlated.events.push(Event {
                    at,
                    after: Some(chain[0].from),
                    asset: check.asset.clone(),
                    check: Some(check.clone()),
                    what: Happened::Degraded,
                    until: None,
                });
            }
            correlated.incidents.extend(reached(chain, OPENS_AFTER).map(|at| judged(case, check, chain, at)));
        }
    }
}

fn is_known(case: &Case<'_>, check: &CheckId, chain: &[Span], incidents: &[Judged]) -> bool {
    let (first, last) = (chain[0].from, chain[chain.len() - 1].to);
    let class = case.class(check);
    incidents.iter().any(|incident| {
        incident.root.name() == check.asset.as_str()
            && incident.class == class
            && incident.opened <= last
            && incident.restored.is_none_or(|restored| restored >= first)
            && incident.kind == IncidentKind::Unstable
    })
}

fn chains<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<Vec<Span>> {
    let mut chains: Vec<Vec<Span>> = Vec::new();
    for span in spans {
        match chains.last_mut() {
            Some(chain) if chain.last().is_some_and(|last| span.from <= plus(last.to, DIGEST_AFTER)) => {
                chain.push(*span);
            }
            Some(_) | None => chains.push(vec![*span]),
        }
    }
    chains
}

/// When the chain was this old and still there.
fn reached(chain: &[Span], age: Duration) -> Option<Timestamp> {
    let due = plus(chain.first()?.from, age);
    chain.iter().find(|span| due <= span.to).map(|span| due.max(span.from))
}

fn judged(case: &Case<'_>, check: &CheckId, chain: &[Span], at: Timestamp) -> Judged {
    let (first, last) = (chain[0], chain[chain.len() - 1]);
    let handling = case.handling(at);
    let root = Root::Check { check: check.clone() };
    Judged {
        key: case.key(&root, "lingering".to_owned(), first.from),
        class: case.class(check),
        kind: IncidentKind::Lingering,
        root: Subject::Asset { asset: check.asset.clone(), check: Some(check.clone()) },
        started: Bounds { not_before: None, not_after: first.from },
        detected: at,
        received: at,
        opened: at,
        restored: (plus(last.to, DIGEST_AFTER) <= case.facts.until).then_some(last.to),
        parent: None,
        symptoms: BTreeSet::new(),
        title: format!(
            "{}: {} has been degraded for {} days",
            check.asset,
            check.name,
            OPENS_AFTER.as_secs() / DAY.as_secs()
        ),
        cause: Cause::Undetermined,
        critical: BTreeSet::new(),
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
        let hour = |day: i64| Span { from: at(day * 86_400), to: at(day * 86_400 + 3_600) };
        let nightly: Vec<_> = (0..30).map(hour).collect();
        let chain = &chains(nightly.iter())[0];
        assert_eq!(reached(chain, DIGEST_AFTER), Some(at(7 * 86_400)));
        assert_eq!(reached(chain, OPENS_AFTER), Some(at(21 * 86_400)));
        let twice = [hour(0), hour(9), hour(16)];
        assert_eq!(chains(twice.iter()).len(), 2, "nine days without it");
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
