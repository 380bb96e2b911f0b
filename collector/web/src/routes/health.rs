//! For whoever watches the watcher: `/healthz` for load balancers and people, `/metrics` for Prometheus.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::AUTHORIZATION, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::json;
use upheld_desk::DeskError;

use crate::{
    Portal, Remote,
    access::Reader,
    problem::{Refusal, wants_json},
};

/// 200 when the store answers, 503 when it does not; open to anybody, so it names nothing.
pub(super) async fn health(State(portal): State<Portal>) -> Response {
    let store = match portal.desk.current_book().await {
        Ok(_) | Err(DeskError::NoBook) => "ok",
        Err(_) => "unreachable",
    };
    let status = if store == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = json!({
        "schema": "upheld.health/1",
        "store": store,
        "as_of": portal.now(),
    });
    (status, axum::Json(document)).into_response()
}

/// From this machine, or with a token or session of the provider.
pub(super) async fn metrics(
    State(portal): State<Portal>,
    remote: Option<Extension<Remote>>,
    headers: HeaderMap,
    uri: Uri,
    reader: Result<Reader, Refusal>,
) -> Result<Response, Refusal> {
    let is_local = remote.is_some_and(|Extension(Remote(address))| address.ip().to_canonical().is_loopback());
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    if !is_local || is_forwarded || headers.contains_key(AUTHORIZATION) {
        let reader = reader?;
        if *reader.scope() != upheld_desk::Scope::Provider {
            return Err(Refusal::NotFound { is_json: wants_json(uri.path(), &headers) });
        }
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (portal.metrics)()).into_response())
}
