//! Announces what falls due on clocks. It costs by the clocks that are due, not by those that are open: the next
//! deadline is an indexed column.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use upheld_model::{
    IncidentRef,
    mutant::{Rule, is_broken},
};
use upheld_store::Tx;

use super::Report;
use crate::{
    Desk, DeskError,
    book::BookCache,
    case::{Case, clocks},
    clock,
};

/// Clocks that one run takes; the next run takes the rest.
const CLOCKS_MAX: u32 = 1_000;

impl Desk {
    /// Announces warnings and breaches that fell due, each dated by its due instant, with `now` as the instant of
    /// noticing beside it (F6).
    pub async fn clocks_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("clocks");
        if !self.is_clock_settled(now).await? && !is_broken(Rule::DoubtIsSilent) {
            return Ok(report);
        }
        let due: BTreeSet<IncidentRef> = self
            .store
            .read("clocks.due", move |tx| tx.clocks_due(now, CLOCKS_MAX).map_err(DeskError::from))
            .await?
            .into_iter()
            .map(|row| IncidentRef { client: row.client, number: row.number })
            .collect();
        for incident in due {
            report.seen += 1;
            let (shared, this) = (Arc::clone(&self.shared), incident.clone());
            match self.store.write("clocks.settle", move |tx| settle(tx, &shared.books, &this, now)).await {
                Ok(()) => report.changed += 1,
                Err(error) => report.failures.push(format!("{incident}: {error}")),
            }
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }
}

fn settle(tx: &mut dyn Tx, books: &BookCache, incident: &IncidentRef, now: Timestamp) -> Result<(), DeskError> {
    let Some(row) = tx.incident(&incident.client, incident.number)? else { return Ok(()) };
    let book = books.current(&*tx)?;
    let case = Case::open(&*tx, row)?;
    let replayed = clocks::replay(&case)?;
    clocks::announce(tx, &book, &case, &replayed, now)
}
