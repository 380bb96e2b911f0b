//! The audit: who did what, when, from where; newest first. Every filter is in the address.

use askama::Template;
use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::audit::{AuditPage as Found, AuditView, AuditWanted};

use super::{Head, places, zone};
use crate::{
    Portal,
    access::{Reader, to_login::escaped},
    problem::Refusal,
    routes::client::shown,
    words,
};

const HERE: &str = "/settings/audit";

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    head: Head,
    asked: Asked,
    entries: Vec<Line>,
    kinds: Vec<String>,
    clients: Vec<String>,
    zone: String,
    older: Option<String>,
    is_narrowed: bool,
    query: String,
}

/// One entry in words.
struct Line {
    at: String,
    instant: String,
    who: String,
    client: String,
    what: String,
    details: Vec<(String, String)>,
}

/// The filters as the address has them.
#[derive(Debug, Default, Clone, Deserialize)]
pub(in crate::routes) struct Asked {
    #[serde(default)]
    who: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    what: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    before: String,
}

pub(in crate::routes) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let known = places(&portal, &reader).await?;
    let zone = known.time_zone;
    let found = find(&portal, &reader, &asked, &zone).await.map_err(|no| no.for_reader(false))?;
    // Whoever sees one client has nothing to choose.
    let choice = known.clients.into_iter().filter(|_| reader.scope().client().is_none());
    let clients = choice.map(|client| client.client.to_string()).collect();
    let query = asked.query();
    shown(&AuditPage {
        head: Head::of(&reader, HERE),
        older: found.next.map(|next| format!("{HERE}?{query}before={next}")),
        entries: found.entries.into_iter().map(|entry| Line::of(entry, &zone)).collect(),
        kinds: found.kinds,
        clients,
        zone: words::zone_now(&zone, portal.now()),
        is_narrowed: !query.is_empty() || !asked.before.is_empty(),
        query,
        asked,
    })
}

pub(in crate::routes) async fn json(
    State(portal): State<Portal>,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let zone = zone(&portal, &reader).await?;
    let found = find(&portal, &reader, &asked, &zone).await?;
    Ok(Json(json!({ "schema": "upheld.audit/1", "entries": found.entries, "next": found.next })).into_response())
}

async fn find(portal: &Portal, reader: &Reader, asked: &Asked, zone: &str) -> Result<Found, Refusal> {
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let client = match said(&asked.client).map(|client| client.parse()).transpose() {
        Ok(client) => client,
        // What cannot be a client's name is nobody's: nothing is found.
        Err(_) => return Ok(Found::default()),
    };
    let before = said(&asked.before).map(|before| before.parse::<i64>()).transpose();
    let wanted = AuditWanted {
        who: said(&asked.who),
        client,
        what: said(&asked.what),
        from: instant("from", &asked.from, zone, Edge::Begin)?,
        to: instant("to", &asked.to, zone, Edge::End)?,
        before: before
            .map_err(|_| Refusal::parameter("before", "the number of an entry, from the page before", true))?,
    };
    Ok(portal.desk.audit(reader.scope(), wanted).await?)
}

/// Which end of a day is meant.
#[derive(Clone, Copy)]
enum Edge {
    Begin,
    End,
}

/// A day in the provider's zone, or an instant.
fn instant(name: &str, text: &str, zone: &str, edge: Edge) -> Result<Option<Timestamp>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    let day = text.parse::<Date>().ok().and_then(|day| match edge {
        Edge::Begin => Some(day),
        Edge::End => day.tomorrow().ok(),
    });
    let at = day.and_then(|day| day.to_zoned(TimeZone::get(zone).unwrap_or(TimeZone::UTC)).ok());
    match at {
        Some(at) => Ok(Some(at.timestamp())),
        None => Err(Refusal::parameter(name, "a day as 2026-11-28, or an instant as 2026-11-28T09:00:00Z", true)),
    }
}

impl Asked {
    /// The filters for the address of another page, each with its `&`.
    fn query(&self) -> String {
        let Self { who, client, what, from, to, before: _ } = self;
        [("who", who), ("client", client), ("what", what), ("from", from), ("to", to)]
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, value)| format!("{name}={}&", escaped(value)))
            .collect()
    }
}

impl Line {
    fn of(entry: AuditView, zone: &str) -> Self {
        let AuditView { entry: _, at, who, client, what, detail } = entry;
        let details = detail.as_object().into_iter().flatten();
        Self {
            at: words::local(at, zone),
            instant: at.to_string(),
            who,
            client: client.map(|client| client.to_string()).unwrap_or_default(),
            what,
            details: details
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.replace('_', " "), plain(value)))
                .collect(),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_providers_whole_day() {
        let at = |text, edge| instant("from", text, "America/Chicago", edge).unwrap().map(|at| at.to_string());
        assert_eq!(at("2026-11-28", Edge::Begin).as_deref(), Some("2026-11-28T06:00:00Z"));
        assert_eq!(at("2026-11-28", Edge::End).as_deref(), Some("2026-11-29T06:00:00Z"));
        assert_eq!(at("2026-11-28T09:00:00Z", Edge::End).as_deref(), Some("2026-11-28T09:00:00Z"));
        assert_eq!(at(" ", Edge::End), None);
        assert!(instant("from", "yesterday", "UTC", Edge::Begin).is_err());
        assert!(instant("to", "9999-12-31", "UTC", Edge::End).is_err());
    }

    #[test]
    fn the_filters_stand_in_the_next_pages_address() {
        let asked = Asked { who: "Ana & Co".into(), what: "user.made".into(), before: "7".into(), ..Asked::default() };
        assert_eq!(asked.query(), "who=Ana%20%26%20Co&what=user.made&");
    }
}
