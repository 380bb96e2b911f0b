//! Agents: which hosts report, since when they are silent, and the line that enrols another one.

use askama::Template;
use axum::{
    Form, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use upheld_desk::{AgentView, TokenError, agents::AgentStatus, roles::Action};
use upheld_model::{ClientId, SiteId};

use super::client::shown;
use crate::{Portal, access::Reader, nav, problem::Refusal, words};

/// How long a link works that is made on the page: time to walk to the host.
const TTL: SignedDuration = SignedDuration::from_hours(1);
/// An agent that was not heard for this long is silent: it reports each half minute, and five minutes are an incident.
const SILENT: SignedDuration = SignedDuration::from_mins(5);

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    who: String,
    nav: Vec<nav::Place>,
    as_of: String,
    agents: Vec<Line>,
    may_enrol: bool,
    places: Vec<(String, String)>,
    line: Option<EnrolLine>,
    refused: Option<String>,
}

/// One agent in words.
struct Line {
    look: &'static str,
    word: &'static str,
    host: String,
    id: String,
    place: String,
    version: String,
    seen: String,
    more: Vec<String>,
}

/// What enrols a host, shown once.
struct EnrolLine {
    command: String,
    place: String,
    ends: String,
}

/// Where a host stands: `northgate/plant-2`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    place: String,
}

pub(super) async fn page(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    show(&portal, &reader, None, None).await.map_err(|no| no.for_reader(false))
}

pub(super) async fn json(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let agents = portal.desk.agents(reader.scope()).await?;
    Ok(Json(json!({ "schema": "upheld.agents/1", "as_of": portal.now(), "agents": agents })).into_response())
}

/// Makes a link for one host. Only the provider's people may: an agent's reports are facts.
pub(super) async fn enrol(
    State(portal): State<Portal>,
    reader: Reader,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Refusal> {
    let place = wanted.place.split_once('/');
    let Some((client, site)) =
        place.and_then(|(client, site)| Some((client.parse::<ClientId>().ok()?, site.parse::<SiteId>().ok()?)))
    else {
        return show(&portal, &reader, None, Some("Choose the site.".to_owned()))
            .await
            .map_err(|no| no.for_reader(false));
    };
    let made = portal.desk.new_token(&client, &site, TTL, &reader.0.actor, portal.now()).await;
    let (line, refused) = match made {
        Ok(token) => {
            let line = EnrolLine {
                command: format!("sudo upheld-agent enroll '{}'", (portal.link)(&token)),
                place: wanted.place,
                ends: words::local(token.expires_at, "UTC"),
            };
            (Some(line), None)
        }
        Err(TokenError::Desk(error)) => return Err(Refusal::from(error).for_reader(false)),
        Err(error) => (None, Some(error.to_string())),
    };
    show(&portal, &reader, line, refused).await.map_err(|no| no.for_reader(false))
}

async fn show(
    portal: &Portal,
    reader: &Reader,
    line: Option<EnrolLine>,
    refused: Option<String>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let book = portal.desk.current_book().await?;
    let agents = portal.desk.agents(reader.scope()).await?;
    let clients = book.book.clients.values().filter(|client| reader.scope().includes(&client.id));
    let places = clients.flat_map(|client| {
        client
            .sites
            .values()
            .map(|site| (format!("{}/{}", client.id, site.id), format!("{}, {}", client.name, site.name)))
    });
    shown(&AgentsPage {
        who: reader.name().to_owned(),
        nav: nav::of(reader, "/agents"),
        as_of: words::local(now, &book.book.provider.zone),
        agents: agents.iter().map(|agent| Line::of(agent, &book.book.provider.zone, now)).collect(),
        may_enrol: reader.may(Action::Agents),
        places: places.collect(),
        line,
        refused,
    })
}

impl Line {
    fn of(agent: &AgentView, zone: &str, now: Timestamp) -> Self {
        let is_silent = agent.last_seen.is_none_or(|seen| now.duration_since(seen) >= SILENT);
        let (look, word) = match agent.status {
            AgentStatus::Revoked => ("pause", "‖ revoked"),
            AgentStatus::Quarantined => ("bad", "■ in quarantine: two hosts seem to use one identity"),
            AgentStatus::Active if is_silent => ("bad", "■ silent"),
            AgentStatus::Active if !agent.ailments.is_empty() => ("warn", "▲ reports, and something ails it"),
            AgentStatus::Active => ("ok", "✓ reports"),
        };
        let mut more = agent.ailments.clone();
        if agent.waiting > 0 {
            more.push(format!("{} records wait there", agent.waiting));
        }
        if let Some(offset) = agent.offset_ms.filter(|offset| offset.unsigned_abs() > 2_000) {
            let word = if offset > 0 { "slow" } else { "fast" };
            more.push(format!("its clock is {} {word}", words::two_units(offset.unsigned_abs() / 1_000)));
        }
        Self {
            look,
            word,
            host: agent.host.clone(),
            id: agent.agent.to_string(),
            place: format!("{}/{}", agent.client, agent.site),
            version: if agent.version.is_empty() { "no version said yet".to_owned() } else { agent.version.clone() },
            seen: match agent.last_seen {
                Some(seen) => {
                    let ago = now.duration_since(seen).as_secs().max(0).unsigned_abs();
                    format!("last report {} ago, {}", words::two_units(ago), words::local(seen, zone))
                }
                None => format!("enrolled {}, no report yet", words::local(agent.enrolled_at, zone)),
            },
            more,
        }
    }
}
