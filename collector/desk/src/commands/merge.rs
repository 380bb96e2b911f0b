//! One incident becomes part of another: which may carry on, and what it takes over.

use jiff::Timestamp;
use upheld_agreement::clock::{FactKind, TermsChange};
use upheld_detection::incident::{Incident, IncidentKey, Refused, absorb, may_carry_on};
use upheld_model::{IncidentNumber, IncidentRef};
use upheld_store::Tx;

use super::{CommandError, agreed::standing, ask::state_error};
use crate::{
    Actor, DeskError,
    book::CurrentBook,
    case::{self, Case, Deed, promise::Promise},
};

/// The incident that is to carry on: another open one of the same client.
pub(super) fn target(tx: &dyn Tx, case: &Case, into: IncidentNumber) -> Result<IncidentKey, CommandError> {
    let target = open(tx, case, into)?;
    let why = match may_carry_on(&target.incident) {
        Ok(()) => return Ok(target.incident.key),
        Err(Refused::StillSilent { agent }) => {
            format!("{into} is about agent {agent}, which is still silent: merge once it is heard again")
        }
        Err(Refused::Drill) => format!("{into} is a drill, so it cannot carry on: name an incident that is none"),
        Err(_) => format!("{into} is {}, so it cannot carry on: name an open incident", target.incident.state.word()),
    };
    Err(state_error(case, &why))
}

/// Has the other one carry on: with the earlier start of both and the more pressing terms (a merge never buys time), and
/// with what still fails.
pub(super) fn carry_on(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    merged: &Incident,
    merged_as: &Case,
    into: IncidentNumber,
    who: &Actor,
    now: Timestamp,
) -> Result<(), CommandError> {
    let target = open(&*tx, merged_as, into)?;
    let effect = absorb(&target.incident, merged, now);
    let note = Some(format!("{} is a part of it: {}", merged_as.row.number, merged.title));
    let fact = more_pressing(merged_as, &target);
    case::apply_as(tx, book, &effect, Deed { fact, who: who.clone(), note })?;
    Ok(())
}

/// The merged one's terms, where they promise more: a merge takes no priority back.
fn more_pressing(merged: &Case, target: &Case) -> Option<FactKind> {
    let (Promise::Pinned(merged_pinned), Promise::Pinned(pinned)) = (&merged.promise, &target.promise) else {
        return None;
    };
    let (theirs, ours) = (standing(merged, merged_pinned), standing(target, pinned));
    let is_more = theirs.priority < ours.priority;
    is_more.then(|| FactKind::TermsChanged { why: TermsChange::Merge, terms: Box::new(theirs.clone()) })
}

/// What was dismissed or resolved is not opened beside another one about the same.
pub(super) fn refuse_a_second(tx: &dyn Tx, case: &Case) -> Result<(), CommandError> {
    match tx.open_incident(&case.row.client, &case.row.dedup)? {
        Some(other) if other.number != case.row.number => {
            Err(state_error(case, &format!("{} is open about the same: deal with that one", other.number)))
        }
        Some(_) | None => Ok(()),
    }
}

fn open(tx: &dyn Tx, case: &Case, number: IncidentNumber) -> Result<Case, CommandError> {
    let client = &case.row.client;
    let none = || DeskError::NoSuchIncident(IncidentRef { client: client.clone(), number }.to_string());
    let row = tx.incident(client, number)?.ok_or_else(none)?;
    Ok(Case::open(tx, row)?)
}
