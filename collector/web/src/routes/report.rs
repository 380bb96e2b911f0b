//! Reporting a problem: one field, and what a caller tells beside it.

use askama::Template;
use axum::{
    Form, Json,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::{CommandError, ProblemReport, views::Places};
use upheld_model::{AssetId, ClientId, SiteId};

use super::incident::{
    answer::{in_words, instant, said},
    back_to,
};
use crate::{Portal, access::Reader, nav, problem::Refusal, words};

/// The form as it was sent, or as an address fills it in. An empty field is an absent one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Typed {
    /// `northgate/plant-2`, or with the asset: `northgate/plant-2/nvr-02`.
    #[serde(default)]
    place: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    called_at: String,
    #[serde(default)]
    new: String,
    #[serde(default)]
    key: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    who: String,
    nav: Vec<nav::Place>,
    typed: Typed,
    places: Vec<Group>,
    zone: String,
    latest: String,
    key: String,
    refused: Option<String>,
}

/// The places of one site.
struct Group {
    name: String,
    places: Vec<(String, String)>,
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Query(typed): Query<Typed>,
) -> Result<Response, Refusal> {
    show(&portal, &reader, typed, None).await
}

/// What the page offers, as data: where a problem may be, and in which zone times are read.
pub(super) async fn json(State(portal): State<Portal>, reader: Reader) -> Result<Json<Value>, Refusal> {
    let known = portal.desk.places(reader.scope()).await?;
    let places =
        groups(&known).flat_map(|group| group.places).map(|(place, name)| json!({ "place": place, "name": name }));
    let places: Vec<Value> = places.collect();
    Ok(Json(json!({ "schema": "upheld.report/1", "time_zone": known.time_zone, "places": places })))
}

pub(super) async fn enter(
    State(portal): State<Portal>,
    who: Reader,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let zone = places(&portal, &who).await?.time_zone;
    let (place, report) = match read(&typed, &who, &zone) {
        Ok(read) => read,
        Err(why) => return show(&portal, &who, typed, Some(why)).await,
    };
    let desk = said(&typed.key).map_or_else(|| portal.desk.clone(), |key| portal.desk.once(key));
    let entered = desk.report_problem(who.scope(), (&place.0, &place.1), report, &who.0.actor, portal.now()).await;
    match entered {
        Ok(view) => Ok(back_to(&view.incident)),
        Err(CommandError::Desk(error)) => Err(Refusal::from(error).for_reader(false)),
        Err(error) => {
            let why = in_words(&error, &zone);
            show(&portal, &who, typed, Some(why)).await
        }
    }
}

fn read(typed: &Typed, who: &Reader, zone: &str) -> Result<((ClientId, SiteId), ProblemReport), String> {
    let mut parts = typed.place.splitn(3, '/');
    let (client, site, asset) = (parts.next(), parts.next(), parts.next());
    let client = client.and_then(|client| client.parse().ok());
    let site = site.and_then(|site| site.parse().ok());
    let place = client.zip(site).ok_or("Choose the site.")?;
    let asset: Option<AssetId> = asset.map(|asset| asset.parse().map_err(|_| "Choose the asset.")).transpose()?;
    let report = ProblemReport {
        asset,
        text: typed.text.clone(),
        by: said(&typed.by).unwrap_or(who.name()).to_owned(),
        called_at: instant(&typed.called_at, zone)?,
        class: None,
        new: said(&typed.new).is_some(),
    };
    Ok((place, report))
}

async fn places(portal: &Portal, reader: &Reader) -> Result<Places, Refusal> {
    portal.desk.places(reader.scope()).await.map_err(|error| Refusal::from(error).for_reader(false))
}

async fn show(portal: &Portal, reader: &Reader, typed: Typed, refused: Option<String>) -> Result<Response, Refusal> {
    let (known, now) = (places(portal, reader).await?, portal.now());
    let zone = &known.time_zone;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = ReportPage {
        who: reader.name().to_owned(),
        nav: nav::of(reader, "/report"),
        places: groups(&known).collect(),
        zone: words::zone_now(zone, now),
        latest: words::civil(now, zone),
        key: key(reader, now),
        typed,
        refused,
    };
    let page = page.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
    Ok((status, Html(page)).into_response())
}

/// One key for each time that the page is drawn; they are kept per person.
fn key(reader: &Reader, now: Timestamp) -> String {
    let name: u32 = reader.name().bytes().map(u32::from).sum();
    format!("report-{name}-{}", now.as_microsecond())
}

/// Every site, each with its assets.
fn groups(known: &Places) -> impl Iterator<Item = Group> {
    known.clients.iter().flat_map(|client| {
        client.named().zip(&client.sites).map(|((place, name), site)| {
            let whole = (place.clone(), format!("{}, in general", site.name));
            let asset = |asset: &AssetId| (format!("{place}/{asset}"), format!("{}, {asset}", site.name));
            let places = std::iter::once(whole).chain(site.assets.iter().map(asset)).collect();
            Group { name, places }
        })
    })
}
