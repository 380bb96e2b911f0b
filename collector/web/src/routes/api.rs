//! `/api/v1`: incidents, their clocks, response facts. Problems are RFC 9457; numbers come from the same views as
//! the pages. `POST incidents/{client}/{INC-n}/{command}` takes each of [`Command::NAMES`] with the fields of [`Words`];
//! `responses` is the command `respond`, answered as what was created.
//!
//! A POST may carry an `Idempotency-Key`; sent again within 24 h it is carried out once. An incident's `ETag` is its
//! revision: with `If-Match` a command loses to whatever happened since.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{ETAG, IF_MATCH},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use upheld_desk::{Command, Desk, Given, IncidentView, ProblemReport, SignedIn, commands::Words, jobs::RunsAsked};
use upheld_model::{ClientId, SiteId};

use super::incident::{Address, AsOf, reference};
use crate::{
    Portal,
    access::{Reader, Responder},
    problem::Refusal,
};

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;
/// How far back runs are listed when nothing is said.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a list's address may say.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    limit: Option<u32>,
}

pub(super) async fn list(
    State(portal): State<Portal>,
    reader: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let limit = wanted.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let incidents = portal.desk.incidents(reader.scope(), limit, portal.now()).await?;
    Ok(Json(json!({ "incidents": incidents })))
}

/// What a list of runs may say.
#[derive(Debug, Deserialize)]
pub(super) struct WantedRuns {
    site: Option<SiteId>,
    job: Option<String>,
    since: Option<Timestamp>,
}

pub(super) async fn runs(
    State(portal): State<Portal>,
    reader: Reader,
    Path(client): Path<String>,
    Query(wanted): Query<WantedRuns>,
) -> Result<Json<Value>, Refusal> {
    // What is no name is nobody's.
    let client: ClientId = client.parse().map_err(|_| Refusal::NotFound { is_json: true })?;
    let now = portal.now();
    let since = wanted.since.unwrap_or_else(|| now.saturating_sub(WEEK).unwrap_or(Timestamp::MIN));
    let asked = RunsAsked { client: Some(client), site: wanted.site, job: wanted.job, since };
    let runs = portal.desk.runs(reader.scope(), asked, now).await?;
    Ok(Json(json!({ "since": since, "runs": runs })))
}

pub(super) async fn one(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
    Query(as_of): Query<AsOf>,
) -> Result<([(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let incident = reference(&client, &number)?;
    let view = portal.desk.incident(reader.scope(), &incident, as_of.at.unwrap_or(portal.now())).await?;
    Ok(([etag(&view)], Json(view)))
}

pub(super) async fn clocks(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
    Query(as_of): Query<AsOf>,
) -> Result<Json<Value>, Refusal> {
    let incident = reference(&client, &number)?;
    let now = as_of.at.unwrap_or(portal.now());
    let explained = portal.desk.explain(reader.scope(), &incident, now).await?;
    Ok(Json(json!({
        "incident": explained.incident,
        "as_of": now,
        "clocks": explained.clocks,
        "text": explained.text,
    })))
}

/// A response fact; the same as the command `respond`, and answered as what was created.
pub(super) async fn respond(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number)): Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let view = give(&portal, &who, (&client, &number, "respond"), &headers, &body).await?;
    Ok((StatusCode::CREATED, [etag(&view)], Json(view)))
}

/// One command by its name. What was so already stays as it was, with a key or without.
pub(super) async fn command(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<([(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let view = give(&portal, &who, (&client, &number, &name), &headers, &body).await?;
    Ok(([etag(&view)], Json(view)))
}

async fn give(
    portal: &Portal,
    who: &SignedIn,
    (client, number, name): (&str, &str, &str),
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<IncidentView, Refusal> {
    let incident = reference(client, number)?;
    if !Command::NAMES.contains(&name) && name != "take" {
        return Err(Refusal::NotFound { is_json: true });
    }
    let words = sent::<Words>(body)?;
    // Whether it is there comes before what is wrong with the words: another client's is as one that is not.
    portal.desk.incident(&who.scope, &incident, portal.now()).await?;
    let given = words.read(name, &incident.client)?.ok_or(Refusal::NotFound { is_json: true })?;
    let given = Given { revision: seen(headers)?, ..given };
    let desk = given_once(portal, headers)?;
    Ok(desk.give(&who.scope, &incident, given, &who.actor, portal.now()).await?)
}

/// A problem report; whoever sends it reports it unless it says who does.
pub(super) async fn report(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, site)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<IncidentView>), Refusal> {
    let place = client.parse().ok().zip(site.parse().ok());
    let (client, site) = place.ok_or(Refusal::NotFound { is_json: true })?;
    let mut report = sent::<ProblemReport>(&body)?;
    if report.by.trim().is_empty() {
        report.by = who.actor.label();
    }
    let desk = given_once(&portal, &headers)?;
    let view = desk.report_problem(&who.scope, (&client, &site), report, &who.actor, portal.now()).await?;
    Ok((StatusCode::CREATED, [etag(&view)], Json(view)))
}

/// A body as JSON; none is an empty object.
fn sent<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Refusal::Unreadable { why: format!("the body: {error}"), is_json: true })
}

fn etag(view: &IncidentView) -> (HeaderName, String) {
    (ETAG, format!("\"{}\"", view.revision))
}

/// The revision that `If-Match` names.
fn seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match tag.parse() {
        _ if tag == "*" => Ok(None),
        Ok(revision) => Ok(Some(revision)),
        Err(_) => Err(Refusal::Unreadable {
            why: "If-Match must be the ETag of the incident, such as \"7\"".to_owned(),
            is_json: true,
        }),
    }
}

/// The desk for a command with its `Idempotency-Key`, 1 to 128 printable ASCII characters: kept for 24 h with the
/// fact, in one transaction. The same request again answers with the incident and records nothing; another one under
/// the same key is refused.
fn given_once(portal: &Portal, headers: &HeaderMap) -> Result<Desk, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(portal.desk.clone()) };
    match value.to_str() {
        Ok(key) if (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(portal.desk.once(key))
        }
        Ok(_) | Err(_) => Err(Refusal::Unreadable {
            why: "Idempotency-Key must be 1 to 128 printable ASCII characters without spaces".to_owned(),
            is_json: true,
        }),
    }
}
