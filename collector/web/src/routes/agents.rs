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
use upheld_desk::{
    AgentView, DecideError, Decided, DeskError, TokenError, WaitingHost, agents::AgentStatus, roles::Action,
    views::ClientPlaces,
};
use upheld_model::{AgentId, ClientId, SiteId};

use super::client::shown;
use crate::{NewHost, Portal, access::Reader, nav, problem::Refusal, words};

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
    /// Sites for which hosts propose something to decide; `None` for who may not see it.
    proposals: Option<usize>,
    places: Vec<(String, String)>,
    line: Option<EnrolLine>,
    refused: Option<String>,
    waiting: Vec<Waiting>,
    may_decide: bool,
    /// What became of a decision, and whether it was carried out.
    decided: Option<(bool, String)>,
}

/// One host that waits for a person.
struct Waiting {
    host: String,
    id: String,
    /// Tells it from other hosts of the same identity; empty for a new one.
    request: String,
    place: String,
    address: String,
    why: String,
    since: String,
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
    install: Option<String>,
    place: String,
    ends: String,
}

/// What a form came to.
#[derive(Default)]
struct Said {
    line: Option<EnrolLine>,
    refused: Option<String>,
    decided: Option<(bool, String)>,
}

/// A decision about a host that waits.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    #[serde(default)]
    agent: String,
    #[serde(default)]
    request: String,
    decision: Verdict,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Approve,
    Refuse,
}

/// Where a host stands: `northgate/plant-2`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    place: String,
}

pub(super) async fn page(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    show(&portal, &reader, Said::default()).await.map_err(|no| no.for_reader(false))
}

/// Lets a host in that waits, or refuses it.
pub(super) async fn decide(
    State(portal): State<Portal>,
    reader: Reader,
    Form(wanted): Form<Decision>,
) -> Result<Response, Refusal> {
    let decided = match wanted.agent.parse::<AgentId>() {
        Ok(agent) => carry_out(&portal, &reader, &agent, &wanted).await.map_err(|no| no.for_reader(false))?,
        Err(_) => (false, "That is no agent's name.".to_owned()),
    };
    let said = Said { decided: Some(decided), ..Said::default() };
    show(&portal, &reader, said).await.map_err(|no| no.for_reader(false))
}

async fn carry_out(
    portal: &Portal,
    reader: &Reader,
    agent: &AgentId,
    wanted: &Decision,
) -> Result<(bool, String), Refusal> {
    let request = Some(wanted.request.as_str()).filter(|request| !request.is_empty());
    let (who, now) = (&reader.0.actor, portal.now());
    let did = match wanted.decision {
        Verdict::Approve => portal.desk.approve_agent(agent, request, who, now).await,
        Verdict::Refuse => portal.desk.refuse_agent(agent, request, who, now).await,
    };
    Ok(match (did, wanted.decision) {
        (Ok(Decided::New), Verdict::Approve) => (true, format!("{agent} reports from here on.")),
        (Ok(Decided::Returning), Verdict::Approve) => {
            (true, format!("{agent} is taken back when it asks next; every certificate that it had before is void."))
        }
        (Ok(Decided::New), Verdict::Refuse) => (true, format!("{agent} is refused, and revoked.")),
        (Ok(Decided::Returning), Verdict::Refuse) => {
            (true, format!("The host that asked to be taken back as {agent} is refused; the agent stays."))
        }
        (Ok(Decided::Nothing), _) => (false, format!("No host waits as {agent} any more: somebody was here before.")),
        (Err(DecideError::Desk(error @ DeskError::NoSuchAgent(_))), _) => (false, error.to_string()),
        (Err(DecideError::Desk(error)), _) => return Err(error.into()),
        (Err(error), _) => (false, error.to_string()),
    })
}

pub(super) async fn json(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let agents = portal.desk.agents(reader.scope()).await?;
    let waiting = portal.desk.waiting_hosts(reader.scope()).await?;
    let document = json!({ "schema": "upheld.agents/1", "as_of": portal.now(), "agents": agents, "waiting": waiting });
    Ok(Json(document).into_response())
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
        let said = Said { refused: Some("Choose the site.".to_owned()), ..Said::default() };
        return show(&portal, &reader, said).await.map_err(|no| no.for_reader(false));
    };
    let made = portal.desk.new_token(&client, &site, TTL, &reader.0.actor, portal.now()).await;
    let (line, refused) = match made {
        Ok(token) => {
            let NewHost { link, install } = (portal.new_host)(&token);
            let line = EnrolLine {
                command: format!("sudo upheld-agent enroll '{link}'"),
                install,
                place: wanted.place,
                ends: words::local(token.expires_at, "UTC"),
            };
            (Some(line), None)
        }
        Err(TokenError::Desk(error)) => return Err(Refusal::from(error).for_reader(false)),
        Err(error) => (None, Some(error.to_string())),
    };
    let said = Said { line, refused, decided: None };
    show(&portal, &reader, said).await.map_err(|no| no.for_reader(false))
}

async fn show(portal: &Portal, reader: &Reader, said: Said) -> Result<Response, Refusal> {
    let Said { line, refused, decided } = said;
    let now = portal.now();
    let known = portal.desk.places(reader.scope()).await?;
    let agents = portal.desk.agents(reader.scope()).await?;
    let waiting = portal.desk.waiting_hosts(reader.scope()).await?;
    let proposals = match reader.may(Action::Proposals) {
        true => Some(portal.desk.proposals(reader.scope()).await?.iter().filter(|line| line.waiting > 0).count()),
        false => None,
    };
    shown(&AgentsPage {
        who: reader.name().to_owned(),
        nav: nav::of(reader, "/agents"),
        as_of: words::local(now, &known.time_zone),
        agents: agents.iter().map(|agent| Line::of(agent, &known.time_zone, now)).collect(),
        may_enrol: reader.may(Action::Agents),
        proposals,
        places: known.clients.iter().flat_map(ClientPlaces::named).collect(),
        line,
        refused,
        waiting: waiting.into_iter().map(|host| Waiting::of(host, &known.time_zone)).collect(),
        may_decide: reader.may(Action::Agents),
        decided,
    })
}

impl Waiting {
    fn of(host: WaitingHost, zone: &str) -> Self {
        let WaitingHost { agent, client, site, host, address, why, request, token, asked_at, .. } = host;
        Self {
            host,
            id: agent.to_string(),
            request: request.unwrap_or_default(),
            place: format!("{client}/{site}"),
            address,
            why: token.iter().fold(why, |why, token| format!("{why} {token}")),
            since: words::local(asked_at, zone),
        }
    }
}

impl Line {
    fn of(agent: &AgentView, zone: &str, now: Timestamp) -> Self {
        let is_silent = agent.last_seen.is_none_or(|seen| now.duration_since(seen) >= SILENT);
        let (look, word) = match agent.status {
            AgentStatus::Revoked => ("pause", "‖ revoked"),
            AgentStatus::Pending => ("warn", "▲ waits to be approved; nothing that it sends is taken"),
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
