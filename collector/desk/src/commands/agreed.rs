//! Facts about the agreement itself, as a command says them and the ledger takes them: causes that exclude, hand-overs,
//! riders for one incident, disputes.

use jiff::Timestamp;
use upheld_agreement::{
    book::Exclusion,
    clock::{DisputeOutcome, Fact, FactKind, TermsChange},
    matching::{self, Set},
    outcome,
    words::{BookName, Priority},
};
use upheld_model::Cause;

use super::{CommandError, ask::state_error};
use crate::{
    Actor,
    book::CurrentBook,
    case::{
        Case, entry,
        promise::{Pinned, Promise, query},
    },
};

/// What of it an agreement may leave out; a cause of any other kind takes an earlier one back.
pub(super) fn excluding(cause: Cause) -> Option<Exclusion> {
    match cause {
        Cause::Utility => Some(Exclusion::Utility),
        Cause::Isp => Some(Exclusion::Isp),
        Cause::Client => Some(Exclusion::Client),
        Cause::Maintenance => Some(Exclusion::Maintenance),
        Cause::SiteLan
        | Cause::Component
        | Cause::Software
        | Cause::Operator
        | Cause::Collector
        | Cause::Undetermined => None,
    }
}

/// The manufacturer has it too; where nobody is named, it is whom the terms name.
pub(super) fn handed_over(
    case: &Case,
    maker: Option<&BookName>,
    reference: Option<&String>,
) -> Result<FactKind, CommandError> {
    let pinned = pinned(case)?;
    let known = pinned.terms.asset_terms.as_ref().and_then(|terms| terms.manufacturer.as_ref());
    let nobody = || state_error(case, "the terms name no manufacturer behind the asset");
    let maker = maker.or(known.map(|terms| &terms.maker)).cloned().ok_or_else(nobody)?;
    Ok(FactKind::HandedOver { maker, reference: reference.cloned() })
}

/// A rider for this incident alone.
pub(super) fn expedited(
    book: &CurrentBook,
    case: &Case,
    rider: &BookName,
    at: Timestamp,
    who: &Actor,
) -> Result<FactKind, CommandError> {
    let pinned = pinned(case)?;
    let query = query(book, &case.incident, pinned.start.detected)?;
    let terms = matching::expedited(&book.book, &query, standing(case, pinned), rider, at, &who.label());
    let terms = terms.map_err(|refused| state_error(case, &refused.to_string()))?;
    Ok(FactKind::TermsChanged { why: TermsChange::Expedite, terms: Box::new(terms) })
}

/// Another priority, whatever the matrix says (F3).
pub(super) fn reprioritised(
    book: &CurrentBook,
    case: &Case,
    priority: Priority,
    who: &Actor,
) -> Result<FactKind, CommandError> {
    let pinned = pinned(case)?;
    let query = query(book, &case.incident, pinned.start.detected)?;
    let set = Set { priority: Some(priority), ..Set::default() };
    let terms = matching::reprioritised(&book.book, &query, standing(case, pinned), set, &who.label());
    let terms = terms.map_err(|refused| state_error(case, &refused.to_string()))?;
    Ok(FactKind::TermsChanged { why: TermsChange::Priority, terms: Box::new(terms) })
}

/// The client says that a fact is not so; where he names none, it is the last that can be disputed.
pub(super) fn disputed(case: &Case, item: Option<u64>, why: Option<String>) -> Result<FactKind, CommandError> {
    let nothing = || state_error(case, "there is no pause, cause or resolution to dispute");
    let item = item.or_else(|| disputable(case).last().map(|fact| fact.number)).ok_or_else(nothing)?;
    Ok(FactKind::Disputed { item, why: why.unwrap_or_default() })
}

/// A dispute has ended; where none is named, it is the only open one.
pub(super) fn settled(case: &Case, item: Option<u64>, outcome: DisputeOutcome) -> Result<FactKind, CommandError> {
    let item = match (item, open_disputes(case).as_slice()) {
        (Some(item), _) => item,
        (None, [only]) => *only,
        (None, []) => return Err(state_error(case, "nothing in it is disputed")),
        (None, many) => {
            let items = many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(CommandError::Missing { field: "item", allowed: items });
        }
    };
    Ok(FactKind::DisputeSettled { item, outcome })
}

/// The facts that a client may dispute and has not yet, in the order of recording.
pub(crate) fn disputable(case: &Case) -> Vec<Fact> {
    let facts = entry::facts(&case.ledger);
    let was_disputed: Vec<u64> = facts.iter().filter_map(|fact| disputed_item(&fact.kind)).collect();
    let can_be = |fact: &Fact| fact.kind.can_be_disputed() && !was_disputed.contains(&fact.number);
    facts.into_iter().filter(can_be).collect()
}

/// The numbers of the facts that are in dispute.
pub(crate) fn open_disputes(case: &Case) -> Vec<u64> {
    outcome::in_dispute(&entry::facts(&case.ledger)).into_iter().collect()
}

fn disputed_item(kind: &FactKind) -> Option<u64> {
    if let FactKind::Disputed { item, why: _ } = kind { Some(*item) } else { None }
}

/// The terms that were last changed to, or those at the start.
pub(crate) fn standing<'a>(case: &'a Case, pinned: &'a Pinned) -> &'a upheld_agreement::terms::PinnedTerms {
    let changed = case.ledger.iter().rev().find_map(|entry| entry.said.fact.as_ref()?.changed_terms());
    changed.unwrap_or(&pinned.terms)
}

fn pinned(case: &Case) -> Result<&Pinned, CommandError> {
    match &case.promise {
        Promise::Pinned(pinned) => Ok(pinned),
        Promise::None(_) | Promise::NotAsked => {
            Err(state_error(case, "nothing is promised for it, so no agreement provides for this"))
        }
    }
}
