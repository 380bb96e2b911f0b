//! What can be done to an incident as it stands: a page offers these and no others (UX 2.3).

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::{
    terms::PinnedTerms,
    words::{BookName, Stage},
};
use upheld_detection::incident::{Action, IncidentKey, Resolution, Who, act};
use upheld_model::{Cause, Digest};
use utoipa::ToSchema;

use super::ClockView;
use crate::{
    book::CurrentBook,
    case::{Case, promise::Promise},
    commands,
};

/// The commands that an incident takes, and the words that they take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Offers {
    /// The commands by name: `acknowledge`, `respond`, …
    pub commands: Vec<&'static str>,
    /// The reasons for which the terms allow a pause.
    pub pause_reasons: Vec<String>,
    /// The riders that can be bought for it.
    pub riders: Vec<String>,
    /// The manufacturer behind the asset.
    pub manufacturer: Option<String>,
    /// The facts that the client may dispute: number, what, and when it took effect.
    pub disputable: Vec<(u64, String, Timestamp)>,
    /// The numbers of the facts that are in dispute.
    pub disputed: Vec<u64>,
}

/// What a case offers as of `now`.
pub(super) fn offers(book: &CurrentBook, case: &Case, clocks: &[ClockView], now: Timestamp) -> Offers {
    if case.incident.is_drill() {
        return Offers { commands: vec!["note"], ..Offers::default() };
    }
    if !case.incident.is_ticketed() {
        // What nobody deals with can be made people's business, or put aside.
        let commands = states(case, now).into_iter().filter(|name| matches!(*name, "note" | "reopen" | "dismiss"));
        return Offers { commands: commands.collect(), ..Offers::default() };
    }
    let mut offers = Offers { commands: states(case, now), ..Offers::default() };
    let Promise::Pinned(pinned) = &case.promise else { return offers };
    let terms = commands::standing(case, pinned);
    let is_over = !case.incident.is_open();
    let is_paused = clocks.iter().any(|clock| clock.state == "paused");
    offers.pause_reasons = terms.pause_reasons().iter().map(ToString::to_string).collect();
    offers.manufacturer = maker(terms).map(ToString::to_string);
    offers.disputable = if terms.dispute_within_s.is_some() {
        let facts = commands::disputable(case).into_iter();
        facts.map(|fact| (fact.number, fact.kind.word().to_owned(), fact.effective_at)).collect()
    } else {
        Vec::new()
    };
    offers.disputed = commands::open_disputes(case);
    if !is_over {
        offers.riders = riders(book, terms);
    }
    let promises = |stage| terms.targets_of(stage).next().is_some();
    let more = [
        ("pause", !is_over && !is_paused && !offers.pause_reasons.is_empty()),
        ("resume", is_paused),
        ("worked-around", !is_over && promises(Stage::Workaround)),
        ("visit-reported", promises(Stage::VisitReport)),
        ("set-priority", !is_over),
        ("hand-over", !is_over && offers.manufacturer.is_some()),
        ("manufacturer-answered", case.was_handed_over()),
        ("expedite", !offers.riders.is_empty()),
        ("dispute", !offers.disputable.is_empty()),
        ("settle", !offers.disputed.is_empty()),
    ];
    offers.commands.extend(more.iter().filter(|(_, is_offered)| *is_offered).map(|(name, _)| *name));
    offers
}

/// What its state takes: detection is asked, so that page and command agree.
fn states(case: &Case, now: Timestamp) -> Vec<&'static str> {
    let somebody = Who::Rule("offer".to_owned());
    let takes = |action: Action| matches!(act(&case.incident, &action, &somebody, now, now), Ok(Some(_)));
    let another = IncidentKey(Digest([0; 32]));
    let nobody = matches!(case.incident.state.holder(), upheld_detection::incident::Holder::Nobody);
    [
        ("acknowledge", nobody && takes(Action::Take)),
        ("respond", takes(Action::Respond)),
        ("assign", takes(Action::Assign { to: Who::Person(String::new()) })),
        ("update", case.incident.is_open()),
        ("note", takes(Action::Note { text: String::new() })),
        ("resolve", takes(Action::Resolve(Resolution::OnWord))),
        ("close", takes(Action::Close)),
        ("reopen", takes(Action::Reopen)),
        ("merge", takes(Action::Merge { into: another })),
        ("dismiss", takes(Action::Dismiss { reason: String::new() })),
        ("set-cause", takes(Action::SetCause { cause: Cause::Undetermined })),
    ]
    .into_iter()
    .filter_map(|(name, is_offered)| is_offered.then_some(name))
    .collect()
}

fn maker(terms: &PinnedTerms) -> Option<&BookName> {
    Some(&terms.asset_terms.as_ref()?.manufacturer.as_ref()?.maker)
}

/// The book's riders that the incident has not.
fn riders(book: &CurrentBook, terms: &PinnedTerms) -> Vec<String> {
    let all = book.book.riders.keys();
    all.filter(|rider| !terms.riders.contains(*rider)).map(ToString::to_string).collect()
}
