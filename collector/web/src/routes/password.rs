//! Choosing a password by an invitation or a reset. Looking at the page uses nothing up.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use upheld_desk::{
    AccountError,
    accounts::{LinkFor, LinkKind, PASSWORD_CHARS_MIN},
};

use super::login;
use crate::{
    Portal,
    access::{Source, cookie, to_login},
    problem::Refusal,
    words,
};

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    token: &'a str,
    whom: Option<LinkFor>,
    until: String,
    chars_min: usize,
    refused: Option<String>,
}

/// The form. It is never printed: it has a password.
#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

pub(super) async fn page(State(portal): State<Portal>, Path(token): Path<String>) -> Result<Response, Refusal> {
    show(&portal, &token, None).await
}

pub(super) async fn choose(
    State(portal): State<Portal>,
    Source(from): Source,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let passwords = [typed.password.as_str(), typed.again.as_str()];
    let old = cookie::session_of(&headers);
    match portal.desk.choose_password(&token, passwords, from, old, portal.now()).await {
        Ok(secret) => Ok(login::enter(&secret, to_login::HOME)),
        Err(AccountError::LinkGone) => show(&portal, &token, None).await,
        Err(error @ (AccountError::Password(_) | AccountError::Busy | AccountError::Stale)) => {
            show(&portal, &token, Some(words::sentence(&error.to_string()))).await
        }
        Err(error) => Err(Refusal::from(error).for_reader(false)),
    }
}

async fn show(portal: &Portal, token: &str, refused: Option<String>) -> Result<Response, Refusal> {
    let unanswered = |error| Refusal::from(error).for_reader(false);
    let whom = portal.desk.password_link(token, portal.now()).await.map_err(unanswered)?;
    let status = match (&whom, &refused) {
        (None, _) => StatusCode::FORBIDDEN,
        (Some(_), Some(_)) => StatusCode::CONFLICT,
        (Some(_), None) => StatusCode::OK,
    };
    let until = whom.as_ref().map(|whom| words::local(whom.expires_at, "UTC")).unwrap_or_default();
    let page = PasswordPage { token, whom, until, chars_min: PASSWORD_CHARS_MIN, refused };
    let page = page.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
    Ok((status, Html(page)).into_response())
}

impl PasswordPage<'_> {
    fn is_invite(&self) -> bool {
        self.whom.as_ref().is_some_and(|whom| whom.kind == LinkKind::Invite)
    }
}
