//! One incident: its clocks, why each is due when it is, its terms, what happened, who was told.

use askama::Template;
use axum::{
    Form, Json,
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_agreement::words::Manner;
use upheld_desk::{ClockView, IncidentView, Response as ResponseFact, views::TermsView};
use upheld_model::IncidentRef;

use crate::{
    Portal,
    access::{Reader, Responder},
    problem::Refusal,
    words,
};

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
    let now = portal.now();
    let (view, document) = load(&portal, &reader, &client, bare.unwrap_or(&number), now)
        .await
        .map_err(|refusal| refusal.for_reader(is_json))?;
    if is_json {
        return Ok(Json(document).into_response());
    }
    let explained = document["text"].as_str().unwrap_or_default();
    let page = IncidentPage::of(&view, explained, &reader, now);
    page.render()
        .map(|page| Html(page).into_response())
        .map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })
}

/// The incident and the page's data, which is also what `explain --json` prints.
async fn load(
    portal: &Portal,
    reader: &Reader,
    client: &str,
    number: &str,
    now: Timestamp,
) -> Result<(IncidentView, Value), Refusal> {
    let incident = reference(client, number)?;
    let view = portal.desk.incident(reader.scope(), &incident, now).await?;
    let explained = portal.desk.explain(reader.scope(), &incident, now).await?;
    let document = json!({
        "schema": "upheld.explain/1",
        "as_of": now,
        "incident": &view,
        "clocks": explained.clocks,
        "text": explained.text,
    });
    Ok((view, document))
}

pub(super) async fn acknowledge(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number)): Address,
) -> Result<Redirect, Refusal> {
    let incident = reference(&client, &number).map_err(|refusal| refusal.for_reader(false))?;
    portal
        .desk
        .acknowledge(&who.scope, &incident, &who.actor, portal.now())
        .await
        .map_err(|error| Refusal::from(error).for_reader(false))?;
    Ok(back_to(&incident))
}

/// The form on the page. An empty field is an absent one.
#[derive(Debug, Deserialize)]
pub(super) struct RespondForm {
    manner: String,
    #[serde(default)]
    with_whom: String,
    #[serde(default)]
    note: String,
}

pub(super) async fn respond(
    State(portal): State<Portal>,
    Responder(who): Responder,
    Path((client, number)): Address,
    Form(form): Form<RespondForm>,
) -> Result<Redirect, Refusal> {
    let incident = reference(&client, &number).map_err(|refusal| refusal.for_reader(false))?;
    let now = portal.now();
    let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let response =
        ResponseFact { effective_at: now, manner: form.manner, with_whom: said(form.with_whom), note: said(form.note) };
    portal
        .desk
        .respond(&who.scope, &incident, response, &who.actor, now)
        .await
        .map_err(|error| Refusal::from(error).for_reader(false))?;
    Ok(back_to(&incident))
}

fn back_to(incident: &IncidentRef) -> Redirect {
    Redirect::to(&format!("/i/{}/{}", incident.client, incident.number))
}

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage<'a> {
    view: &'a IncidentView,
    who: &'a str,
    as_of: String,
    as_of_exact: String,
    place: String,
    facts: Vec<(&'static str, String)>,
    clocks: Vec<ClockBox>,
    explained: &'a str,
    terms: Vec<String>,
    timeline: Vec<Entry>,
    told: Vec<String>,
    href: String,
    wants_owner: bool,
    manners: Vec<&'static str>,
}

struct ClockBox {
    look: &'static str,
    stage: String,
    state: String,
    countdown: String,
    left: i64,
    ticks: bool,
    used: u64,
    sentence: String,
    detail: String,
}

struct Entry {
    exact: String,
    at: String,
    what: String,
}

impl<'a> IncidentPage<'a> {
    fn of(view: &'a IncidentView, explained: &'a str, reader: &'a Reader, now: Timestamp) -> Self {
        let zone = view.clocks.first().map_or("UTC", |clock| clock.time_zone.as_str());
        let is_open = view.resolved_at.is_none();
        Self {
            who: reader.name(),
            as_of: words::local_short(now, zone, now),
            as_of_exact: words::with_offset(now, zone),
            place: place(view),
            facts: facts(view, zone),
            clocks: view.clocks.iter().map(|clock| ClockBox::of(clock, now)).collect(),
            explained,
            terms: terms(&view.terms),
            timeline: view.timeline.iter().rev().map(|entry| Entry::of(entry, zone)).collect(),
            told: view.deliveries.iter().map(|delivery| told(delivery, zone)).collect(),
            href: format!("/i/{}/{}", view.incident.client, view.incident.number),
            wants_owner: is_open && reader.may_respond() && view.owner.is_none(),
            manners: if is_open && reader.may_respond() { manners(view) } else { Vec::new() },
            view,
        }
    }
}

/// Every manner, those first that a clock is waiting for: a call may be logged though only a visit would satisfy.
fn manners(view: &IncidentView) -> Vec<&'static str> {
    let is_awaited = |manner: &str| {
        let mut waiting = view.clocks.iter().filter(|clock| clock.satisfied_at.is_none());
        waiting.any(|clock| clock.manner.iter().any(|accepted| accepted == manner))
    };
    let mut manners: Vec<&str> = Manner::ALL.iter().map(|manner| manner.as_str()).collect();
    manners.sort_by_key(|manner| !is_awaited(manner));
    manners
}

fn place(view: &IncidentView) -> String {
    let asset = view.asset.as_ref().map(|asset| format!(" / {asset}")).unwrap_or_default();
    format!("{} / {}{asset}", view.client_name, view.site_name)
}

fn facts(view: &IncidentView, zone: &str) -> Vec<(&'static str, String)> {
    let local = |at: Timestamp| words::local(at, zone);
    let began = match view.started_after {
        Some(after) => format!("between {} and {}", local(after), local(view.started_by)),
        None => format!("by {}", local(view.started_by)),
    };
    let mut facts = vec![
        ("State", view.state.replace('-', " ")),
        ("Owner", view.owner.clone().unwrap_or_else(|| "unassigned".to_owned())),
        ("Began", began),
        ("Detected", local(view.detected_at)),
        ("Received", local(view.received_at)),
    ];
    facts.extend(view.restored_at.map(|at| ("Restored", local(at))));
    facts.extend(view.resolved_at.map(|at| ("Resolved", local(at))));
    facts.extend(view.check.as_ref().map(|check| ("Check", check.to_string())));
    facts.extend(view.evidence.clone().map(|evidence| ("Evidence", evidence)));
    facts
}

fn terms(terms: &TermsView) -> Vec<String> {
    match terms {
        TermsView::Pinned { agreement, version, hash, priority, because } => {
            // The version's label names its agreement already.
            let label = if version.contains(agreement) { version.clone() } else { format!("{agreement} {version}") };
            let short: String = hash.chars().take(12).collect();
            let ends = [format!("Pinned terms {short}…")];
            std::iter::once(format!("{label}, {priority}")).chain(because.iter().cloned()).chain(ends).collect()
        }
        TermsView::None { refusal, why } => vec![format!("None promised: {why}"), refusal.replace('-', " ")],
    }
}

impl ClockBox {
    fn of(clock: &ClockView, now: Timestamp) -> Self {
        let is_overdue = clock.breached_at.is_some() && clock.satisfied_at.is_none();
        let is_met = clock.satisfied_at.is_some();
        let look = match (is_overdue, is_met, clock.is_counting) {
            (true, _, _) => "bad",
            (_, true, _) => "ok",
            (_, _, true) if clock.used_permille >= 750 => "warn",
            (_, _, true) => "ok",
            (_, _, false) => "pause",
        };
        let countdown = if is_met { "✓".to_owned() } else { words::countdown_of(clock, now) };
        let used = clock.used_permille / 10;
        Self {
            look,
            stage: words::stage(&clock.stage),
            state: if is_overdue { "■ overdue".to_owned() } else { words::state(clock) },
            countdown,
            left: words::seconds_left(clock, now).unwrap_or(0),
            ticks: !is_met && (clock.is_counting || is_overdue),
            used: used.min(100),
            sentence: words::due_sentence(clock),
            detail: format!("{} counted, {used}\u{202f}% used", words::two_units(clock.counted_s)),
        }
    }
}

impl Entry {
    fn of(entry: &upheld_desk::views::TimelineEntry, zone: &str) -> Self {
        let who = entry.who.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
        let late = if entry.recorded_at.duration_since(entry.effective_at).as_secs() >= 60 {
            format!(" (recorded {})", words::local(entry.recorded_at, zone))
        } else {
            String::new()
        };
        Self {
            exact: words::with_offset(entry.effective_at, zone),
            at: words::local(entry.effective_at, zone),
            what: format!("{}{who}: {}{late}", entry.what.replace('-', " "), entry.text),
        }
    }
}

fn told(delivery: &upheld_desk::views::DeliveryView, zone: &str) -> String {
    let when = match delivery.delivered_at {
        Some(at) => format!("delivered {}", words::local(at, zone)),
        None => format!("{}, {} tried", delivery.status, delivery.attempts),
    };
    let why = delivery.last_error.as_ref().filter(|_| delivery.delivered_at.is_none());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} to {}: {when}{why}", delivery.event, delivery.channel)
}
