//! One incident: its clocks, why each is due when it is, its terms, what happened, who was told; and the forms by
//! which a person answers it.

pub(super) mod answer;
mod forms;
mod page;
mod plot;
mod strips;
mod why;

use axum::{
    Form, Json,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::{CommandError, IncidentView, figures::Signals, views::Explained};
use upheld_model::IncidentRef;
use utoipa::IntoParams;

use super::api::asked::Asked;
use crate::{Portal, access::Reader, problem::Refusal};
use answer::Typed;
use page::IncidentPage;

/// The two parts of an address, `northgate` and `INC-7` (or `INC-7.json`).
pub(super) type Address = Path<(String, String)>;

/// Reads an address. What cannot be an incident is not found, as one that does not exist.
pub(super) fn reference(client: &str, number: &str) -> Result<IncidentRef, Refusal> {
    format!("{client}/{number}").parse().map_err(|_| Refusal::NotFound { is_json: true })
}

/// As of when a page or an explanation is asked for: `?at=2026-11-16T22:10:00Z`; now when absent. So a look can be had
/// again, and the same question gets the same answer wherever it is asked (TERMS F9).
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AsOf {
    /// As of when; now when absent.
    pub(super) at: Option<Timestamp>,
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
    Asked(as_of): Asked<AsOf>,
) -> Result<Response, Refusal> {
    let bare = number.strip_suffix(".json");
    let is_json = bare.is_some();
    let seen = Seen::load(&portal, &reader, &client, bare.unwrap_or(&number), as_of)
        .await
        .map_err(|no| no.for_reader(is_json))?;
    if is_json { Ok(Json(seen.document()).into_response()) } else { IncidentPage::of(&seen, &reader, None).show() }
}

/// An incident and why its clocks are due, at one instant.
struct Seen {
    at: Timestamp,
    /// Whether it is the present, to which something can be done.
    is_now: bool,
    view: IncidentView,
    explained: Explained,
    signals: Signals,
}

impl Seen {
    async fn load(portal: &Portal, reader: &Reader, client: &str, number: &str, as_of: AsOf) -> Result<Self, Refusal> {
        let incident = reference(client, number)?;
        let at = as_of.at.unwrap_or(portal.now());
        let view = portal.desk.incident(reader.scope(), &incident, at).await?;
        let explained = portal.desk.explain(reader.scope(), &incident, at).await?;
        let signals = portal.desk.signals(reader.scope(), &incident, at).await?;
        Ok(Self { at, is_now: as_of.at.is_none(), view, explained, signals })
    }

    /// The page's data, which is also what `explain --json` prints.
    fn document(&self) -> Value {
        json!({
            "schema": "upheld.explain/1",
            "as_of": self.at,
            "incident": self.view,
            "clocks": self.explained.clocks,
            "text": self.explained.text,
            "signals": self.signals,
        })
    }

    /// The zone in which its times are read.
    fn zone(&self) -> &str {
        &self.view.time_zone
    }
}

/// One command by its form.
pub(super) async fn command(
    State(portal): State<Portal>,
    who: Reader,
    Path((client, number, name)): Path<(String, String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let seen = Seen::load(&portal, &who, &client, &number, AsOf::default()).await.map_err(|no| no.for_reader(false))?;
    let incident = seen.view.incident.clone();
    let words = match typed.words(seen.zone()) {
        Ok(words) => words,
        Err(why) => return IncidentPage::of(&seen, &who, Some((&name, &typed))).refusing(why).show(),
    };
    let given = match words.read(&name, &incident.client) {
        Ok(Some(given)) => given,
        Ok(None) => return Err(Refusal::NotFound { is_json: false }),
        Err(error) => return refused(&portal, &who, &incident, (&name, &typed), error).await,
    };
    // The form carries a key of its own: sent twice, by a double click or a reload, it is one command.
    let desk = typed.key().map_or_else(|| portal.desk.clone(), |key| portal.desk.once(key));
    match desk.give_as(&who.0, &incident, given, portal.now()).await {
        Ok(_view) => Ok(back_to(&incident)),
        Err(error) => refused(&portal, &who, &incident, (&name, &typed), error).await,
    }
}

/// The page again, with what was typed and why it was not done; what is no rule of the desk's is a refusal.
async fn refused(
    portal: &Portal,
    who: &Reader,
    incident: &IncidentRef,
    sent: (&str, &Typed),
    error: CommandError,
) -> Result<Response, Refusal> {
    match error {
        CommandError::Desk(error) => return Err(Refusal::from(error).for_reader(false)),
        CommandError::Role { .. } => return Err(Refusal::from(error).for_reader(false)),
        CommandError::Time { .. }
        | CommandError::NotAllowed { .. }
        | CommandError::Missing { .. }
        | CommandError::State { .. }
        | CommandError::Stale { .. }
        | CommandError::KeyReused => {}
    }
    let (client, number) = (incident.client.to_string(), incident.number.to_string());
    let seen = Seen::load(portal, who, &client, &number, AsOf::default()).await.map_err(|no| no.for_reader(false))?;
    let why = answer::in_words(&error, seen.zone());
    IncidentPage::of(&seen, who, Some(sent)).refusing(why).show()
}

pub(super) fn back_to(incident: &IncidentRef) -> Response {
    Redirect::to(&format!("/i/{}/{}", incident.client, incident.number)).into_response()
}
