//! Ordinary incidents of what the provider ticks on the as-found report.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use upheld_detection::incident::{Action, Handling, IncidentState, Who, act};
use upheld_model::{ClientId, IncidentRef, SiteId};
use upheld_store::{ReadTx, Tx};

use super::is_over;
use crate::{
    Actor, Desk, DeskError, IncidentView, audit,
    book::CurrentBook,
    case::{self, Case, Deed, entry},
    clock, views,
};

/// Why nothing of it was opened. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommissionError {
    /// The site file has no date yet, or one that has not come.
    #[error("{client}/{site} is still being commissioned{}: nothing there is ticketed before that ends", until(*.from))]
    Still {
        /// Whose.
        client: ClientId,
        /// Which site.
        site: SiteId,
        /// When it ends, if the file says so.
        from: Option<Timestamp>,
    },
    /// It is no incident of this site's as-found report.
    #[error("{incident} was not found while {client}/{site} was commissioned; its report lists what was")]
    NotFoundThere {
        /// Which.
        incident: IncidentRef,
        /// Whose.
        client: ClientId,
        /// Which site.
        site: SiteId,
    },
    /// It does not fail any more.
    #[error("{incident} is {state}: there is nothing to open")]
    Over {
        /// Which.
        incident: IncidentRef,
        /// Its state.
        state: &'static str,
    },
    /// Looking up or storing failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<upheld_store::StoreError> for CommissionError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

fn until(from: Option<Timestamp>) -> String {
    from.map(|from| format!(" until {from}")).unwrap_or_default()
}

impl Desk {
    /// Makes ordinary incidents of these, all or none: terms, ticket and clocks from this moment on. One that was
    /// opened before stays as it is.
    pub async fn open_as_found(
        &self,
        (client, site): (&ClientId, &SiteId),
        ticked: &[IncidentRef],
        who: &Actor,
        now: Timestamp,
    ) -> Result<Vec<IncidentView>, CommissionError> {
        let now = clock::stored(now);
        let (client, site, ticked) = (client.clone(), site.clone(), ticked.to_vec());
        let (who, shared) = (who.clone(), Arc::clone(&self.shared));
        let views = self
            .store
            .write("desk.open_as_found", move |tx| {
                let book = shared.books.current(&*tx)?;
                let entry = book.book.site(&client, &site);
                let entry = entry.ok_or_else(|| DeskError::NoSuchPlace(format!("{client}/{site}")))?;
                if !is_over(entry, now) {
                    return Err(CommissionError::Still { client, site, from: entry.commissioned_at() });
                }
                let mut views = Vec::new();
                for incident in &ticked {
                    let case = tickable(&*tx, (&client, &site), incident)?;
                    let case = open(tx, &book, case, &who, now)?;
                    views.push(views::incident_view(&*tx, &book, &case, now)?);
                }
                Ok(views)
            })
            .await?;
        self.shared.wake.all();
        Ok(views)
    }
}

/// The incident, if it was listed as found at this site and still fails, or is opened already.
fn tickable(
    tx: &dyn ReadTx,
    (client, site): (&ClientId, &SiteId),
    incident: &IncidentRef,
) -> Result<Case, CommissionError> {
    let row = tx.incident(client, incident.number)?;
    let row = row.filter(|row| incident.client == *client && row.site == *site);
    let case = row.map(|row| Case::open(tx, row)).transpose()?;
    let case = case.filter(|case| case.incident.was_found_in_commissioning() && case.incident.opened.is_some());
    let case = case.ok_or_else(|| CommissionError::NotFoundThere {
        incident: incident.clone(),
        client: client.clone(),
        site: site.clone(),
    })?;
    match &case.incident.state {
        IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. } => Ok(case),
        state @ (IncidentState::Candidate { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. }) => {
            Err(CommissionError::Over { incident: incident.clone(), state: state.word() })
        }
    }
}

fn open(tx: &mut dyn Tx, book: &CurrentBook, case: Case, who: &Actor, now: Timestamp) -> Result<Case, CommissionError> {
    if case.incident.handling != Handling::AsFound {
        return Ok(case);
    }
    let over = |state| CommissionError::Over { incident: case.reference(), state };
    let by = Who::Person(who.id(tx)?);
    let effect = act(&case.incident, &Action::Reopen, &by, now, now)
        .map_err(|_| over(case.incident.state.word()))?
        .ok_or_else(|| over(case.incident.state.word()))?;
    let note = "found while commissioning; its clocks count from here".to_owned();
    let deed = Deed { fact: entry::fact_of(&effect.change), who: who.clone(), note: Some(note) };
    let opened = case::apply_as(tx, book, &effect, deed)?;
    let detail = json!({ "incident": opened.reference() });
    audit::note(tx, now, who, Some(&case.row.client), "commissioning.opened", &detail)?;
    Ok(opened)
}
