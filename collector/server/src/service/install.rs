//! What a host fetches before it is an agent: the script of the install line and the packages that it asks for. Both
//! are public, and the same for everybody.

use std::path::PathBuf;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::packages::Packages;

/// The script. It is in the program, not in a file that somebody could replace.
const SCRIPT: &str = include_str!("../install.sh");

/// The routes, for the portal's door.
pub(super) fn routes(packages: Packages) -> Router {
    Router::new().route("/install.sh", get(script)).route("/install/{name}", get(package)).with_state(packages)
}

async fn script() -> Response {
    answer("text/x-shellscript; charset=utf-8", Body::from(SCRIPT))
}

async fn package(State(packages): State<Packages>, Path(name): Path<String>) -> Response {
    let Some(path) = packages.file(&name) else { return nothing() };
    match tokio::task::spawn_blocking(move || read(path)).await {
        Ok(Some(content)) => answer("application/octet-stream", Body::from(content)),
        Ok(None) | Err(_) => nothing(),
    }
}

fn read(path: PathBuf) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

fn nothing() -> Response {
    let text = "No such package here: upheld-collector package list\n";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn answer(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}
