//! Disputes (TERMS F13): what the client says is not so is shown as such, and counted both ways until settled.
//!
//! Counting it his way means to strike it: a pause that was not, a service that was not back. What was settled in his
//! favour is struck for good; its dues are dated by themselves, however late they are noticed (F6).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ledger::{DisputeOutcome, Fact, FactKind},
    leg::{Leg, StopWhy},
    view::{Dispute, Settled},
};
use crate::{
    book::Exclusion,
    clock::{CancelReason, in_effective_order},
    words::Stage,
};

/// Every dispute of an incident, in the order in which they began.
pub fn disputes(facts: &[Fact]) -> Vec<Dispute> {
    let facts = in_effective_order(facts);
    all(&facts.iter().collect::<Vec<_>>())
}

/// The facts as the client sees them: without those that he disputes and that are not settled, and without those that
/// were struck before; `None` while nothing is in dispute.
pub fn facts_if_client_is_right(facts: &[Fact]) -> Option<Vec<Fact>> {
    let facts = in_effective_order(facts);
    let facts: Vec<&Fact> = facts.iter().collect();
    let his = as_client_says(&facts, &all(&facts))?;
    Some(his.into_iter().cloned().collect())
}

/// What an incident is put down to, as availability counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The fact that says so.
    pub fact: u64,
    /// Whose it is.
    pub cause: Exclusion,
    /// Who says so.
    pub who: String,
    /// What the client says to it. While that is open, the time counts both ways.
    pub dispute: Option<Dispute>,
}

/// The cause that holds: the last that was set and that no settled dispute struck.
pub fn cause(facts: &[Fact]) -> Option<Cause> {
    let facts = in_effective_order(facts);
    let facts: Vec<&Fact> = facts.iter().collect();
    let disputes = all(&facts);
    let standing = settled(&facts);
    let last = standing.iter().rfind(|fact| matches!(fact.kind, FactKind::CauseSet { .. }))?;
    let FactKind::CauseSet { cause: Some(cause), .. } = last.kind else { return None };
    let dispute = disputes.into_iter().find(|dispute| dispute.item == last.number);
    Some(Cause { fact: last.number, cause, who: last.who.clone(), dispute })
}

fn all(facts: &[&Fact]) -> Vec<Dispute> {
    let mut settled = BTreeMap::new();
    for fact in facts {
        if let FactKind::DisputeSettled { item, outcome } = &fact.kind {
            let (outcome, at, who) = (*outcome, fact.effective_at, fact.who.clone());
            settled.entry(*item).or_insert(Settled { outcome, at, who });
        }
    }
    let known = by_number(facts);
    let began = facts.iter().filter_map(|fact| {
        let FactKind::Disputed { item, why } = &fact.kind else { return None };
        let disputed = known.get(item)?;
        let (why, who, settled) = (why.clone(), fact.who.clone(), settled.get(item).cloned());
        let (what, effective_at, by) = (in_words(disputed), disputed.effective_at, disputed.who.clone());
        Some(Dispute { item: *item, what, effective_at, by, why, who, at: fact.effective_at, settled })
    });
    began.collect()
}

fn by_number<'a>(facts: &[&'a Fact]) -> BTreeMap<u64, &'a Fact> {
    facts.iter().map(|fact| (fact.number, *fact)).collect()
}

fn in_words(fact: &Fact) -> String {
    let of = if let FactKind::Paused { reason, .. } = &fact.kind { format!(" for {reason}") } else { String::new() };
    format!("{}{of}", fact.kind.word())
}

/// The facts without those that a dispute, settled in the client's favour, struck.
pub(super) fn settled<'a>(facts: &[&'a Fact]) -> Vec<&'a Fact> {
    if !facts.iter().any(|fact| matches!(fact.kind, FactKind::DisputeSettled { .. })) {
        return facts.to_vec();
    }
    let struck = all(facts).into_iter().filter(is_won).map(|dispute| dispute.item);
    strike(facts, &struck.collect())
}

/// The facts as the client says, where something of the clock is in dispute.
pub(super) fn as_client_says<'a>(facts: &[&'a Fact], of_clock: &[Dispute]) -> Option<Vec<&'a Fact>> {
    of_clock.iter().find(|dispute| dispute.settled.is_none())?;
    let struck = all(facts).into_iter().filter(|dispute| dispute.settled.is_none() || is_won(dispute));
    Some(strike(facts, &struck.map(|dispute| dispute.item).collect()))
}

/// The disputes that touch a clock: of pauses that hold it, and of what ended it or would have.
pub(super) fn of_clock(facts: &[&Fact], legs: &[Leg]) -> Vec<Dispute> {
    if !facts.iter().any(|fact| matches!(fact.kind, FactKind::Disputed { .. })) {
        return Vec::new();
    }
    let known = by_number(facts);
    let touches = |dispute: &Dispute| {
        let item = known.get(&dispute.item);
        item.is_some_and(|item| legs.iter().any(|leg| touches(leg, item, is_won(dispute))))
    };
    all(facts).into_iter().filter(touches).collect()
}

fn touches(leg: &Leg, item: &Fact, is_struck: bool) -> bool {
    if let FactKind::Paused { reason, .. } = &item.kind {
        return leg.target.pause_for.contains(reason);
    }
    if !matches!(item.kind, FactKind::Restored | FactKind::Resolved) {
        return false;
    }
    if is_struck {
        return matches!(leg.target.stage, Stage::Resolve | Stage::Workaround | Stage::Update);
    }
    leg.stops.iter().any(|stop| match &stop.why {
        StopWhy::Satisfied(by) => {
            by.fact == item.number || (by.at == item.effective_at && leg.target.stage == Stage::Resolve)
        }
        StopWhy::Cancelled(why) => *why == CancelReason::Resolved && stop.from == item.effective_at,
    })
}

fn is_won(dispute: &Dispute) -> bool {
    let outcome = dispute.settled.as_ref().map(|settled| settled.outcome);
    match outcome {
        Some(DisputeOutcome::ClientIsRight) => true,
        Some(DisputeOutcome::ProviderIsRight | DisputeOutcome::Withdrawn) | None => false,
    }
}

/// Without these facts. A resolution goes with everything that ended the fault since it last returned: the restoration
/// and the resolution that confirms it are one thing to the client.
fn strike<'a>(facts: &[&'a Fact], items: &BTreeSet<u64>) -> Vec<&'a Fact> {
    let mut kept = Vec::with_capacity(facts.len());
    for run in facts.chunk_by(|_, next| next.kind != FactKind::Reopened) {
        let ends = |fact: &Fact| matches!(fact.kind, FactKind::Restored | FactKind::Resolved);
        let is_not_over = run.iter().any(|fact| ends(fact) && items.contains(&fact.number));
        let holds = |fact: &&&Fact| !(items.contains(&fact.number) || (is_not_over && ends(fact)));
        kept.extend(run.iter().filter(holds).copied());
    }
    kept
}

/// Whether the client may dispute such a fact: a pause, a cause that excludes time, or a resolution.
pub(super) fn can_be_disputed(kind: &FactKind) -> bool {
    match kind {
        FactKind::Paused { .. }
        | FactKind::CauseSet { cause: Some(_), .. }
        | FactKind::Restored
        | FactKind::Resolved => true,
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Resumed
        | FactKind::Reopened
        | FactKind::Cancelled { .. }
        | FactKind::Updated { .. }
        | FactKind::VisitReported
        | FactKind::RestoreTested
        | FactKind::TermsChanged { .. }
        | FactKind::Disputed { .. }
        | FactKind::DisputeSettled { .. }
        | FactKind::CauseSet { cause: None, .. }
        | FactKind::HandedOver { .. }
        | FactKind::ManufacturerAnswered { .. }
        | FactKind::Worked { .. } => false,
    }
}

impl FactKind {
    /// Whether the client may dispute such a fact, as long as the agreement gives him time to.
    pub fn can_be_disputed(&self) -> bool {
        can_be_disputed(self)
    }
}

/// Whether a fact was ever disputed.
pub(super) fn was_disputed(ledger: &[Fact], item: u64) -> bool {
    ledger.iter().any(|fact| matches!(&fact.kind, FactKind::Disputed { item: disputed, .. } if *disputed == item))
}

/// Whether a fact is in dispute.
pub(super) fn is_open(ledger: &[Fact], item: u64) -> bool {
    let is_settled =
        |fact: &Fact| matches!(&fact.kind, FactKind::DisputeSettled { item: settled, .. } if *settled == item);
    was_disputed(ledger, item) && !ledger.iter().any(is_settled)
}
