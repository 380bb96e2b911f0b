//! One incident: its clocks, why each is due when it is, its terms, what happened, who was told; and the forms by
//! which a person answers it.

mod answer;
mod page;
mod why;

use axum::{
    Form, Json,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use upheld_desk::{CommandError, IncidentView, views::Explained};
use upheld_model::IncidentRef;

use crate::{
    Portal,
    access::{Reader, Responder},
    problem::Refusal,
};
use answer::Typed;
use page::IncidentPage;

/// The two parts of an address, `northgate` and `INC-7` (or `INC-7.json`).
pub(super) type Address = Path<(String, String)>;

/// Reads an address. What cannot be an incident is not found, as one that does not exist.
pub(super) fn reference(client: &str, number: &str) -> Result<IncidentRef, Refusal> {
    format!("{client}/{number}").parse().map_err(|_| Refusal::NotFound { is_json: true })
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
) -> Result<Response, Refusal> {
    let bare = number.strip_suffix(".json");
    let is_json = bare.is_some();
    let seen =
        Seen::load(&portal, &reader, &client, bare.unwrap_or(&number)).await.map_err(|no| no.for_reader(is_json))?;
    if is_json { Ok(Json(seen.document()).into_response()) } else { IncidentPage::of(&seen, &reader).show() }
}

/// An incident and why its clocks are due, at one instant.
struct Seen {
    at: Timestamp,
    view: IncidentView,
    explained: Explained,
}

impl Seen {
    async fn load(portal: &Portal, reader: &Reader, client: &str, number: &str) -> Result<Self, Refusal> {
        let incident = reference(client, number)?;
        let at = portal.now();
        let view = portal.desk.incident(reader.scope(), &incident, at).await?;
        let explained = portal.desk.explain(reader.scope(), &incident, at).await?;
        Ok(Self { at, view, explained })
    }

    /// The page's data, which is also what `explain --json` prints.
    fn document(&self) -> Value {
        json!({
            "schema": "upheld.explain/1",
            "as_of": self.at,
            "incident": self.view,
            "clocks": self.explained.clocks,
            "text": self.explained.text,
        })
    }

    /// The zone in which its times are read.
    fn zone(&self) -> &str {
        &self.view.time_zone
    }
}

pub(super) async fn acknowledge(
    State(portal): State<Portal>,
    responder: Responder,
    Path((client, number)): Address,
) -> Result<Response, Refusal> {
    let who = responder.into_reader();
    let incident = reference(&client, &number).map_err(|no| no.for_reader(false))?;
    let taken = portal.desk.acknowledge(who.scope(), &incident, &who.0.actor, portal.now()).await;
    match taken {
        Ok(_view) => Ok(back_to(&incident)),
        Err(error) => refused(&portal, &who, &incident, Typed::default(), error).await,
    }
}

pub(super) async fn respond(
    State(portal): State<Portal>,
    responder: Responder,
    Path((client, number)): Address,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let who = responder.into_reader();
    let seen = Seen::load(&portal, &who, &client, &number).await.map_err(|no| no.for_reader(false))?;
    let incident = seen.view.incident.clone();
    let response = match typed.response(seen.zone()) {
        Ok(response) => response,
        Err(why) => return IncidentPage::of(&seen, &who).refusing(typed, why).show(),
    };
    // The form carries a key of its own: sent twice, by a double click or a reload, it is one response.
    let desk = typed.key().map_or_else(|| portal.desk.clone(), |key| portal.desk.once(key));
    match desk.respond(who.scope(), &incident, response, &who.0.actor, portal.now()).await {
        Ok(_view) => Ok(back_to(&incident)),
        Err(error) => refused(&portal, &who, &incident, typed, error).await,
    }
}

/// The page again, with what was typed and why it was not done; what is no rule of the desk's is a refusal.
async fn refused(
    portal: &Portal,
    who: &Reader,
    incident: &IncidentRef,
    typed: Typed,
    error: CommandError,
) -> Result<Response, Refusal> {
    if let CommandError::Desk(error) = error {
        return Err(Refusal::from(error).for_reader(false));
    }
    let (client, number) = (incident.client.to_string(), incident.number.to_string());
    let seen = Seen::load(portal, who, &client, &number).await.map_err(|no| no.for_reader(false))?;
    let why = answer::in_words(&error, seen.zone());
    IncidentPage::of(&seen, who).refusing(typed, why).show()
}

fn back_to(incident: &IncidentRef) -> Response {
    Redirect::to(&format!("/i/{}/{}", incident.client, incident.number)).into_response()
}
