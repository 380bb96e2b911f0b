//! Incidents, their clocks, and what people do to them.
#![expect(unused_qualifications, reason = "utoipa's macro writes whole paths")]

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::explain::Explanation;
use upheld_desk::{
    Command, CommandError, Given, IncidentView, ProblemReport, SignedIn,
    commands::{Response, Words},
};
use upheld_model::IncidentRef;
use utoipa::{IntoParams, ToSchema};

use super::{
    LIMIT, LIMIT_MAX,
    asked::{Asked, Sent, etag, given_once, seen},
};
use crate::{
    Portal,
    access::Reader,
    problem::{Problem, Refusal},
    routes::incident::{Address, AsOf, reference},
};

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct Wanted {
    /// How many, 50 when absent, at most 500.
    limit: Option<u32>,
    /// What the page before named as `next_cursor`.
    cursor: Option<String>,
}

/// Incidents, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct IncidentsAnswer {
    incidents: Vec<IncidentView>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Why each clock of an incident is due when it is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct ClocksAnswer {
    #[schema(value_type = String, example = "northgate/INC-7")]
    incident: IncidentRef,
    /// As of when.
    as_of: Timestamp,
    /// One explanation for each clock.
    clocks: Vec<Explanation>,
    /// The same for a person, as the command line prints it.
    text: String,
}

type Revised = ([(HeaderName, String); 1], Json<IncidentView>);

/// The newest incidents, open or not.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", operation_id = "listIncidents", params(Wanted),
    responses((status = 200, body = IncidentsAnswer), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::routes) async fn list(
    State(portal): State<Portal>,
    reader: Reader,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<IncidentsAnswer>, Refusal> {
    let wrong = |_| Refusal::parameter("cursor", "it must be the next_cursor of the page before", true);
    let after = wanted.cursor.map(|cursor| cursor.parse::<IncidentRef>()).transpose().map_err(wrong)?;
    let limit = wanted.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let mut incidents = portal.desk.incidents(reader.scope(), after.as_ref(), limit + 1, portal.now()).await?;
    let is_more = incidents.len() > limit as usize;
    incidents.truncate(limit as usize);
    let next_cursor = incidents.last().filter(|_| is_more).map(|view| view.incident.to_string());
    Ok(Json(IncidentsAnswer { incidents, next_cursor }))
}

/// One incident, as of an instant. Its `ETag` is its revision.
#[utoipa::path(get, path = "/api/v1/incidents/{client}/{incident}", tag = "incidents", operation_id = "getIncident",
    params(
        ("client" = String, Path, description = "The client's name in the book.", example = "northgate"),
        ("incident" = String, Path, description = "Its number.", example = "INC-7"),
        AsOf,
    ),
    responses(
        (status = 200, body = IncidentView, headers(("ETag" = String, description = "Its revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::routes) async fn one(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
    Asked(as_of): Asked<AsOf>,
) -> Result<Revised, Refusal> {
    let incident = reference(&client, &number)?;
    let view = portal.desk.incident(reader.scope(), &incident, as_of.at.unwrap_or(portal.now())).await?;
    Ok(([etag(&view)], Json(view)))
}

/// Why each clock is due when it is: every stretch of time with its reason, and why these terms.
#[utoipa::path(get, path = "/api/v1/incidents/{client}/{incident}/clocks", tag = "incidents", operation_id = "explainClocks",
    params(
        ("client" = String, Path, description = "The client's name in the book.", example = "northgate"),
        ("incident" = String, Path, description = "Its number.", example = "INC-7"),
        AsOf,
    ),
    responses((status = 200, body = ClocksAnswer), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::routes) async fn clocks(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
    Asked(as_of): Asked<AsOf>,
) -> Result<Json<ClocksAnswer>, Refusal> {
    let incident = reference(&client, &number)?;
    let now = as_of.at.unwrap_or(portal.now());
    let explained = portal.desk.explain(reader.scope(), &incident, now).await?;
    Ok(Json(ClocksAnswer { incident: explained.incident, as_of: now, clocks: explained.clocks, text: explained.text }))
}

/// A response fact; the same as the command `respond`, and answered as what was created.
#[utoipa::path(post, path = "/api/v1/incidents/{client}/{incident}/responses", tag = "incidents", operation_id = "addResponse",
    request_body = Response,
    params(
        ("client" = String, Path, description = "The client's name in the book.", example = "northgate"),
        ("incident" = String, Path, description = "Its number.", example = "INC-7"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request again under the same key is carried out once within 24 h."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen: 412 when something happened since.", example = "\"7\""),
    ),
    responses(
        (status = 201, body = IncidentView, headers(("ETag" = String, description = "Its revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::routes) async fn respond(
    State(portal): State<Portal>,
    Reader(who): Reader,
    Path((client, number)): Address,
    headers: HeaderMap,
    Sent(words): Sent<Words>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let view = give(&portal, &who, (&client, &number, "respond"), &headers, words).await?;
    Ok((StatusCode::CREATED, [etag(&view)], Json(view)))
}

/// One command by its name. What was so already stays as it was, with a key or without. `offers.commands` of the incident
/// lists those that it takes.
#[utoipa::path(post, path = "/api/v1/incidents/{client}/{incident}/{command}", tag = "incidents", operation_id = "giveCommand",
    request_body(content = Option<Words>, description = "The fields that the command takes; none is an empty object."),
    params(
        ("client" = String, Path, description = "The client's name in the book.", example = "northgate"),
        ("incident" = String, Path, description = "Its number.", example = "INC-7"),
        ("command" = String, Path, description = "The command.", example = "acknowledge"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request again under the same key is carried out once within 24 h."),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen: 412 when something happened since.", example = "\"7\""),
    ),
    responses(
        (status = 200, body = IncidentView, headers(("ETag" = String, description = "Its revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::routes) async fn command(
    State(portal): State<Portal>,
    Reader(who): Reader,
    Path((client, number, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    Sent(words): Sent<Words>,
) -> Result<Revised, Refusal> {
    let view = give(&portal, &who, (&client, &number, &name), &headers, words).await?;
    Ok(([etag(&view)], Json(view)))
}

async fn give(
    portal: &Portal,
    who: &SignedIn,
    (client, number, name): (&str, &str, &str),
    headers: &HeaderMap,
    words: Words,
) -> Result<IncidentView, Refusal> {
    let incident = reference(client, number)?;
    if !Command::NAMES.contains(&name) && name != "take" {
        return Err(Refusal::NotFound { is_json: true });
    }
    // Whether it is there comes before what is wrong with the words: another client's is as one that is not.
    portal.desk.incident(&who.scope, &incident, portal.now()).await?;
    let given = words.read(name, &incident.client)?.ok_or(Refusal::NotFound { is_json: true })?;
    let given = Given { revision: seen(headers)?, ..given };
    let desk = given_once(&portal.desk, headers)?;
    match desk.give_as(who, &incident, given, portal.now()).await {
        Ok(view) => Ok(view),
        Err(error @ CommandError::Stale { .. }) => {
            let current = portal.desk.incident(&who.scope, &incident, portal.now()).await?;
            Err(Refusal::Stale { why: error.to_string(), current: Some(Box::new(current)), is_json: true })
        }
        Err(error) => Err(error.into()),
    }
}

/// A problem report; whoever sends it reports it unless it says who does. About an asset with an open incident it joins
/// that one.
#[utoipa::path(post, path = "/api/v1/clients/{client}/sites/{site}/reports", tag = "incidents", operation_id = "reportProblem",
    request_body = ProblemReport,
    params(
        ("client" = String, Path, description = "The client's name in the book.", example = "northgate"),
        ("site" = String, Path, description = "The site's name in the book.", example = "plant-2"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request again under the same key is carried out once within 24 h."),
    ),
    responses(
        (status = 201, body = IncidentView, headers(("ETag" = String, description = "Its revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::routes) async fn report(
    State(portal): State<Portal>,
    Reader(who): Reader,
    Path((client, site)): Path<(String, String)>,
    headers: HeaderMap,
    Sent(mut report): Sent<ProblemReport>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let place = client.parse().ok().zip(site.parse().ok());
    let (client, site) = place.ok_or(Refusal::NotFound { is_json: true })?;
    if report.by.trim().is_empty() {
        report.by = who.actor.label();
    }
    let desk = given_once(&portal.desk, &headers)?;
    let view = desk.report_problem(&who.scope, (&client, &site), report, &who.actor, portal.now()).await?;
    Ok((StatusCode::CREATED, [etag(&view)], Json(view)))
}
