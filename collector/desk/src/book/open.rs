//! Amendments and the incidents that are open (F2): what a book does to each, before and when it is applied.

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::words::OpenIncidents;
use upheld_model::IncidentRef;
use upheld_store::{ReadTx, Tx};

use super::CurrentBook;
use crate::{
    Actor, DeskError,
    case::{Case, clocks, promise::Promise},
};

/// What a book does to one open incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentPlan {
    /// Which.
    pub incident: IncidentRef,
    /// Under which version it stands: `SSA-2026-014 v1`.
    pub version: String,
    /// The amendments that act on it when they take effect.
    pub amended_by: Vec<AmendedBy>,
    /// What becomes of its clocks.
    pub clocks: Vec<ClockPlan>,
}

/// An amendment that acts on open incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AmendedBy {
    /// `SSA-2026-014 v2`.
    pub version: String,
    /// From when.
    pub from: Timestamp,
    /// In which way.
    pub how: OpenIncidents,
}

/// One clock's due under both books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClockPlan {
    /// The stage.
    pub stage: String,
    /// Its due as it stands.
    pub due: Option<Timestamp>,
    /// Its due under the new book, once its amendments have taken effect.
    pub new_due: Option<Timestamp>,
}

/// Every open incident with terms, and what `book` does to it. Changes nothing.
pub(super) fn plan(tx: &dyn ReadTx, book: &CurrentBook, now: Timestamp) -> Result<Vec<IncidentPlan>, DeskError> {
    let mut plans = Vec::new();
    for row in tx.open_incidents(None)? {
        let mut case = Case::open(tx, row)?;
        let Promise::Pinned(pinned) = &case.promise else { continue };
        let version = pinned.terms.version_label();
        let before = case.clone();
        case.promise.amend(book, &case.incident)?;
        let Promise::Pinned(pinned) = &case.promise else { continue };
        // An amendment shows on a clock from when it takes effect.
        let as_of = pinned.terms.amendments.iter().map(|terms| terms.in_force_from).fold(now, Timestamp::max);
        let amendments = pinned.terms.amendments.iter().map(|terms| AmendedBy {
            version: terms.version_label(),
            from: terms.in_force_from,
            how: terms.open_incidents,
        });
        let amended_by = amendments.collect();
        let (before, after) = (dues(&before, as_of)?, dues(&case, as_of)?);
        let clocks =
            before.into_iter().zip(after).map(|((stage, due), (_, new_due))| ClockPlan { stage, due, new_due });
        plans.push(IncidentPlan { incident: case.reference(), version, amended_by, clocks: clocks.collect() });
    }
    Ok(plans)
}

fn dues(case: &Case, as_of: Timestamp) -> Result<Vec<(String, Option<Timestamp>)>, DeskError> {
    let clocks = clocks::replay(case)?;
    Ok(clocks.iter().map(|clock| (clock.stage().to_string(), clock.view(as_of).due.instant())).collect())
}

/// Gives every open incident the amendments of the book that has been applied, and replays the clocks of those that
/// it changes. Terms without an amendment that acts on them stay as they were pinned.
pub(super) fn amend(tx: &mut dyn Tx, book: &CurrentBook, who: &Actor, now: Timestamp) -> Result<(), DeskError> {
    for row in tx.open_incidents(None)? {
        let mut case = Case::open(&*tx, row)?;
        let is_changed = case.promise.amend(book, &case.incident)?;
        if let (true, Promise::Pinned(pinned)) = (is_changed, &case.promise) {
            let acting: Vec<String> = pinned
                .terms
                .amendments
                .iter()
                .map(|terms| format!("{} ({})", terms.version_label(), terms.open_incidents))
                .collect();
            let note = match acting.as_slice() {
                [] => "no amendment acts on it any more".to_owned(),
                some => format!("amended by {}", some.join(", ")),
            };
            case.amended(tx, book, note, who.clone(), now)?;
        }
    }
    Ok(())
}
