//! The statement: did the client get what he pays for. Facts are gathered here; the account counts them (F9).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use upheld_agreement::{
    account::{Account, Happened, NoAccount, Question, Stretch, Windows, account, needed},
    availability::{AssetUptime, ExcludedSpan},
    clock::{Calendars, FactKind},
    outcome::in_dispute,
};
use upheld_detection::incident::Incident;
use upheld_model::{AssetId, ClientId, IncidentNumber, SiteId};
use upheld_store::ReadTx;

use super::{past, uptime};
use crate::{
    Desk, DeskError, Scope,
    book::CurrentBook,
    case::{Case, entry},
    tasks::refuse_forgotten,
};

/// Why there is no statement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StatementError {
    /// The agreement has nothing to account for.
    #[error(transparent)]
    NoAccount(#[from] NoAccount),
    /// Looking up failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<upheld_store::StoreError> for StatementError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

impl Desk {
    /// What an agreement came to over a period, as of an instant.
    pub async fn statement(
        &self,
        scope: &Scope,
        client: &ClientId,
        period: Stretch,
        as_of: Timestamp,
    ) -> Result<Account, StatementError> {
        if !scope.includes(client) {
            return Err(NoAccount::NoAgreement { client: client.clone() }.into());
        }
        let (client, shared) = (client.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.statement", move |tx| {
                // Nothing is breached or credited on facts that may be missing.
                crate::recovery::refuse(tx)?;
                let book = shared.books.current(tx)?;
                let question = Question { client: &client, period, as_of, windows: Windows::Whole };
                let needed = needed(&book.book, question)?;
                let happened = happened(tx, &book, &client, needed, as_of)?;
                Ok(account(&book.book, question, &happened)?)
            })
            .await
    }
}

/// Everything that happened at a client's over a stretch of time, as it is known at an instant.
pub(crate) fn happened(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    client: &ClientId,
    stretch: Stretch,
    as_of: Timestamp,
) -> Result<Happened, DeskError> {
    refuse_forgotten(tx, client, stretch.from)?;
    let mut found = Happened { assets: uptime::of_client(tx, book, client, stretch, as_of)?, ..Happened::default() };
    let mut causes: BTreeMap<(SiteId, AssetId), Vec<ExcludedSpan>> = BTreeMap::new();
    let mut calendars = Calendars::default();
    let mut behind = IncidentNumber(0);
    loop {
        let rows = tx.incidents_behind(client, behind, past::PAGE)?;
        let Some(last) = rows.last().map(|row| row.number) else { break };
        for row in rows {
            if row.opened_at >= stretch.to || row.over_at.is_some_and(|over| over < stretch.from) {
                continue;
            }
            let case = Case::open(tx, row)?;
            note_cause(&mut causes, &case, as_of);
            let Some(mut incident) = past::past(tx, book, &case)? else { continue };
            incident.facts.retain(|fact| fact.recorded_at <= as_of);
            found.targets.extend(past::targets(&incident, &mut calendars, as_of)?);
            found.work.extend(past::work(&incident));
        }
        behind = last;
    }
    for asset in &mut found.assets {
        let AssetUptime { site, asset, causes: own, .. } = asset;
        own.extend(causes.remove(&(site.clone(), asset.clone())).unwrap_or_default());
    }
    Ok(found)
}

/// A cause that somebody set excuses the incident's time, where the agreement leaves it out. What detection supposes
/// excuses nothing: the client could not dispute it (F13).
fn note_cause(causes: &mut BTreeMap<(SiteId, AssetId), Vec<ExcludedSpan>>, case: &Case, as_of: Timestamp) {
    let facts = entry::facts(&case.ledger);
    let known = facts.iter().filter(|fact| fact.recorded_at <= as_of);
    let set = known.filter_map(|fact| {
        let FactKind::CauseSet { cause, .. } = &fact.kind else { return None };
        Some((fact.effective_at, fact.number, *cause))
    });
    let Some((_, number, Some(cause))) = set.max_by_key(|(at, number, _)| (*at, *number)) else { return };
    let Incident { site, started, restored, .. } = &case.incident;
    let (from, to) = (started.not_after, restored.unwrap_or(as_of).min(as_of));
    let is_disputed = in_dispute(&facts).contains(&number);
    for asset in case.incident.assets() {
        let span = ExcludedSpan { from, to, cause, is_disputed };
        causes.entry((site.clone(), asset.clone())).or_default().push(span);
    }
}
