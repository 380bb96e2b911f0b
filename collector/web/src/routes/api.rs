//! `/api/v1`: incidents, their clocks, response facts. Problems are RFC 9457; numbers come from the same views as
//! the pages.
//!
//! | request | answer |
//! |---|---|
//! | `GET incidents?limit=` | the newest incidents, open or not |
//! | `GET incidents/{client}/{INC-n}` | one |
//! | `GET incidents/{client}/{INC-n}/clocks` | why each clock is due when it is |
//! | `POST incidents/{client}/{INC-n}/responses` | a response fact (TERMS F12) |
//! | `POST incidents/{client}/{INC-n}/acknowledge` | take it |
//!
//! A POST may carry an `Idempotency-Key`; sent again within 24 h it is carried out once.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::{Desk, IncidentView, Response as ResponseFact};

use super::incident::{Address, reference};
use crate::{
    Portal,
    access::{Reader, Responder},
    problem::Refusal,
};

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/incidents", get(list))
        .route("/incidents/{client}/{incident}", get(one))
        .route("/incidents/{client}/{incident}/clocks", get(clocks))
        .route("/incidents/{client}/{incident}/responses", post(respond))
        .route("/incidents/{client}/{incident}/acknowledge", post(acknowledge))
}

/// What a list's address may say.
#[derive(Debug, Deserialize)]
struct Wanted {
    limit: Option<u32>,
}

async fn list(
    State(portal): State<Portal>,
    reader: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let limit = wanted.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let incidents = portal.desk.incidents(reader.scope(), limit, portal.now()).await?;
    Ok(Json(json!({ "incidents": incidents })))
}

async fn one(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
) -> Result<Json<IncidentView>, Refusal> {
    let incident = reference(&client, &number)?;
    Ok(Json(portal.desk.incident(reader.scope(), &incident, portal.now()).await?))
}

async fn clocks(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, number)): Address,
) -> Result<Json<Value>, Refusal> {
    let incident = reference(&client, &number)?;
    let now = portal.now();
    let explained = portal.desk.explain(reader.scope(), &incident, now).await?;
    Ok(Json(json!({
        "incident": explained.incident,
        "as_of": now,
        "clocks": explained.clocks,
        "text": explained.text,
    })))
}

/// A response as it is sent: `effective_at` is this moment when absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    effective_at: Option<Timestamp>,
    manner: String,
    with_whom: Option<String>,
    note: Option<String>,
}

async fn respond(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number)): Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<IncidentView>), Refusal> {
    let incident = reference(&client, &number)?;
    let sent: Sent = serde_json::from_slice(&body)
        .map_err(|error| Refusal::Unreadable { why: format!("the body: {error}"), is_json: true })?;
    let desk = given_once(&portal, &headers)?;
    let response = ResponseFact {
        effective_at: sent.effective_at,
        manner: sent.manner,
        with_whom: sent.with_whom,
        note: sent.note,
    };
    let view = desk.respond(&who.scope, &incident, response, &who.actor, portal.now()).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Taking an incident twice says nothing new, with a key or without.
async fn acknowledge(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number)): Address,
    headers: HeaderMap,
) -> Result<Json<IncidentView>, Refusal> {
    let incident = reference(&client, &number)?;
    let desk = given_once(&portal, &headers)?;
    Ok(Json(desk.acknowledge(&who.scope, &incident, &who.actor, portal.now()).await?))
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
