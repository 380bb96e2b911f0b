//! What each problem means and what to do: the pages that a problem's `type` names. Open to anybody, for who is refused may
//! not be signed in.

use askama::Template;
use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::client::shown;
use crate::problem::{
    Refusal,
    known::{self, Known},
};

#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemsPage {
    only: Option<&'static Known>,
    all: &'static [&'static Known],
}

pub(super) async fn list() -> Result<Response, Refusal> {
    shown(&ProblemsPage { only: None, all: known::ALL })
}

/// The same as data.
pub(super) async fn list_json() -> Json<Value> {
    Json(json!({ "schema": "upheld.problems/1", "problems": known::ALL }))
}

pub(super) async fn one(Path(name): Path<String>) -> Result<Response, Refusal> {
    let bare = name.strip_suffix(".json");
    let is_json = bare.is_some();
    let only = known::find(bare.unwrap_or(&name)).ok_or(Refusal::NotFound { is_json })?;
    if is_json {
        return Ok(Json(json!({ "schema": "upheld.problems/1", "problems": [only] })).into_response());
    }
    shown(&ProblemsPage { only: Some(only), all: &[] })
}
