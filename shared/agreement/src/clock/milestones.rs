//! What falls due on a clock, what of it must be told, and what was told wrongly.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Clock,
    ledger::{Fact, FactKind},
    leg::Leg,
    view::{Announced, Effect, LateFact, Milestone},
};

/// The leg whose due is the earliest: where two targets hold, the earlier due counts.
pub(super) fn leading(legs: &[Leg]) -> Option<&Leg> {
    // Without a due instant a leg leads only where no other has one.
    legs.iter().min_by_key(|leg| leg.due.instant().map_or((1, Timestamp::MAX), |due| (0, due)))
}

/// Everything that has fallen due or will, each with its instant.
fn milestones(clock: &Clock, legs: &[Leg]) -> BTreeSet<(Milestone, Timestamp)> {
    let warning = |(fraction, at)| (Milestone::Warning { fraction }, at);
    let breach = |at| (Milestone::Breach, at);
    let mut found: BTreeSet<_> =
        leading(legs).map(Leg::warnings).unwrap_or_default().into_iter().map(warning).collect();
    found.extend(legs.iter().filter_map(Leg::breached_at).min().map(breach));
    // Every leg of a stage that comes again knows the rounds before.
    if let Some(rounds) = legs.first().map(Leg::rounds) {
        found.extend(rounds.warnings.iter().copied().map(warning));
        found.extend(rounds.missed.iter().copied().map(breach));
    }
    found.extend(clock.hands_over(legs));
    found
}

pub(super) fn due(clock: &Clock, legs: &[Leg], now: Timestamp, told: &[Announced]) -> Vec<Effect> {
    let fallen = milestones(clock, legs).into_iter().filter(|(_, at)| *at <= now).collect();
    difference(&fallen, clock.facts(), now, told)
}

/// What of the fallen is not told, and what of the told has not fallen.
pub(super) fn difference(
    fallen: &BTreeSet<(Milestone, Timestamp)>,
    facts: &[Fact],
    now: Timestamp,
    told: &[Announced],
) -> Vec<Effect> {
    let known: BTreeSet<_> = told.iter().map(|told| (told.milestone, told.due_at)).collect();
    let untrue = told.iter().filter(|told| !fallen.contains(&(told.milestone, told.due_at)));
    let withdrawn = untrue.map(|&announced| Effect::Withdraw { announced, because: late_fact(facts, announced) });
    let announced = fallen
        .difference(&known)
        .map(|&(milestone, due_at)| Effect::Announce { announced: Announced { milestone, due_at, noticed_at: now } });
    let mut announced: Vec<Effect> = announced.collect();
    announced.sort_by_key(|effect| match effect {
        Effect::Announce { announced } | Effect::Withdraw { announced, .. } => (announced.due_at, announced.milestone),
    });
    withdrawn.chain(announced).collect()
}

pub(super) fn next_deadline(clock: &Clock, legs: &[Leg], after: Timestamp) -> Option<Timestamp> {
    let begins = legs.iter().filter_map(|leg| leg.begins.filter(|_| leg.ended().is_none()));
    let pause_ends = legs.iter().flat_map(|leg| leg.pauses.iter().filter(|pause| pause.ends_by_itself));
    let milestones = milestones(clock, legs).into_iter().map(|(_, at)| at);
    milestones.chain(begins).chain(pause_ends.filter_map(|pause| pause.to)).filter(|&at| at > after).min()
}

/// The fact that came in after the announcement and took effect before it: of several the one written down last.
fn late_fact(facts: &[Fact], announced: Announced) -> LateFact {
    let late = facts
        .iter()
        .filter(|fact| fact.recorded_at >= announced.noticed_at && fact.effective_at <= announced.due_at)
        .filter(|fact| fact.kind != FactKind::Opened)
        .max_by_key(|fact| (fact.recorded_at, fact.number));
    match late {
        Some(fact) => LateFact {
            fact: Some(fact.number),
            what: format!(
                "{} at {}, recorded at {} by {}",
                fact.kind.word(),
                fact.effective_at,
                fact.recorded_at,
                fact.who
            ),
        },
        None => LateFact { fact: None, what: "the start of the clock or its terms were corrected".to_owned() },
    }
}
