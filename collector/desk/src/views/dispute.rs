//! What a client disputes: shown as such, and counted both ways until it is settled (TERMS F13).

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::clock::{Clock, DisputeOutcome, Fact, FactKind};
use utoipa::ToSchema;

use super::{
    ClockView,
    clock::{clock_view, local},
};
use crate::{
    DeskError,
    case::{Case, entry, promise::Promise},
};

/// One dispute.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DisputeView {
    /// The number of the disputed fact.
    pub item: u64,
    /// What that says: `paused`, `cause set`, `resolved`.
    pub what: String,
    /// When that took effect.
    pub effective_at: Timestamp,
    /// Who disputes it.
    pub by: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// Why it is not so, in his words.
    pub why: String,
    /// Who was right; `None` while it is open.
    pub outcome: Option<DisputeOutcome>,
    /// Who settled it.
    pub settled_by: Option<String>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// The clocks as they would stand if the fact were not so; empty once it is settled.
    pub clocks_without_it: Vec<ClockView>,
    /// The dispute in sentences.
    pub said: Vec<String>,
}

/// Every dispute of a case, the oldest first.
pub(super) fn disputes(case: &Case, now: Timestamp) -> Result<Vec<DisputeView>, DeskError> {
    let facts = entry::facts(&case.ledger);
    let mut views = Vec::new();
    for opened in &facts {
        let FactKind::Disputed { item, why } = &opened.kind else { continue };
        let Some(disputed) = facts.iter().find(|fact| fact.number == *item) else { continue };
        let settled = facts.iter().find_map(|fact| outcome(fact, *item).map(|outcome| (fact, outcome)));
        let mut view = DisputeView {
            item: *item,
            what: disputed.kind.word().to_owned(),
            effective_at: disputed.effective_at,
            by: opened.who.clone(),
            opened_at: opened.effective_at,
            why: why.clone(),
            outcome: settled.map(|(_, outcome)| outcome),
            settled_by: settled.map(|(fact, _)| fact.who.clone()),
            settled_at: settled.map(|(fact, _)| fact.effective_at),
            clocks_without_it: if settled.is_some() { Vec::new() } else { clocks_without(case, &facts, *item, now)? },
            said: Vec::new(),
        };
        view.said = said(case, &view);
        views.push(view);
    }
    Ok(views)
}

fn said(case: &Case, view: &DisputeView) -> Vec<String> {
    let Promise::Pinned(pinned) = &case.promise else { return Vec::new() };
    let zone = pinned.terms.calendars.values().next().map_or("UTC", |calendar| calendar.tz.as_str());
    let at = |at| local(at, zone);
    let DisputeView { item, what, effective_at, by, opened_at, why, .. } = view;
    let ended = match (view.outcome, &view.settled_by, view.settled_at) {
        (Some(outcome), Some(who), Some(settled)) => {
            format!("settled by {who}, {}: {}", at(settled), outcome.as_str().replace('-', " "))
        }
        (..) => "counted both ways until it is settled".to_owned(),
    };
    let dispute = format!(
        "Disputed: \"{what}\", {} (fact {item}), by {by} since {}: {why}; {ended}.",
        at(*effective_at),
        at(*opened_at)
    );
    let without = view.clocks_without_it.iter().map(|clock| {
        let due = clock.due_local.as_ref().map_or_else(|| "without a due".to_owned(), |due| format!("due {due}"));
        let missed = clock.breached_at.map(|missed| format!(", missed {}", at(missed))).unwrap_or_default();
        format!(
            "If the client is right, {} is {}, {due}{missed}.",
            clock.stage.replace('-', " "),
            clock.state.replace('-', " ")
        )
    });
    std::iter::once(dispute).chain(without).collect()
}

fn outcome(fact: &Fact, disputed: u64) -> Option<DisputeOutcome> {
    if let FactKind::DisputeSettled { item, outcome } = &fact.kind {
        (*item == disputed).then_some(*outcome)
    } else {
        None
    }
}

/// The clocks of the same ledger without one fact.
fn clocks_without(case: &Case, facts: &[Fact], item: u64, now: Timestamp) -> Result<Vec<ClockView>, DeskError> {
    let Promise::Pinned(pinned) = &case.promise else { return Ok(Vec::new()) };
    let others: Vec<Fact> = facts.iter().filter(|fact| fact.number != item).cloned().collect();
    let replayed = Clock::replay_all(&pinned.terms, &pinned.start, &others)
        .map_err(|error| DeskError::unreadable("calendar of an incident", &error))?;
    Ok(replayed.iter().map(|clock| clock_view(&pinned.terms, clock, now)).collect())
}
