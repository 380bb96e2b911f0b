//! A client's page: did he get what he pays for, and what is being done (UX 2.4). `/clients` lists all of them for the
//! provider's people.

mod page;

use askama::Template;
use axum::{
    Json,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;
use upheld_desk::views::ClientLine;
use upheld_model::ClientId;

use crate::{Portal, access::Reader, nav, problem::Refusal, words};
use page::ClientPage;

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Path(client): Path<String>,
) -> Result<Response, Refusal> {
    let bare = client.strip_suffix(".json");
    let is_json = bare.is_some();
    let client: ClientId = bare.unwrap_or(&client).parse().map_err(|_| Refusal::NotFound { is_json })?;
    let overview = portal
        .desk
        .overview(reader.scope(), &client, portal.now())
        .await
        .map_err(|error| Refusal::from(error).for_reader(is_json))?;
    if is_json {
        return Ok(Json(json!({ "schema": "upheld.overview/1", "overview": overview })).into_response());
    }
    shown(&ClientPage::of(&overview, &reader))
}

#[derive(Template)]
#[template(path = "clients.html")]
struct ClientsPage {
    who: String,
    nav: Vec<nav::Place>,
    as_of: String,
    clients: Vec<ClientLine>,
}

/// Every client, for the provider's people.
pub(super) async fn list(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let now = portal.now();
    let clients = all(&portal, &reader).await.map_err(|no| no.for_reader(false))?;
    shown(&ClientsPage {
        who: reader.name().to_owned(),
        nav: nav::of(&reader, "/clients"),
        as_of: words::local(now, "UTC"),
        clients,
    })
}

pub(super) async fn list_json(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let clients = all(&portal, &reader).await?;
    Ok(Json(json!({ "schema": "upheld.clients/1", "clients": clients })).into_response())
}

/// A client's own people see themselves alone: the list is as if there were none.
async fn all(portal: &Portal, reader: &Reader) -> Result<Vec<ClientLine>, Refusal> {
    if reader.scope().client().is_some() {
        return Err(Refusal::NotFound { is_json: true });
    }
    Ok(portal.desk.clients(reader.scope(), portal.now()).await?)
}

/// A finished page.
pub(in crate::routes) fn shown(page: &impl Template) -> Result<Response, Refusal> {
    page.render()
        .map(|page| Html(page).into_response())
        .map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })
}
