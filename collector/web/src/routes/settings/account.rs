//! One's own account: the password and the sessions.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{StatusCode, header::SET_COOKIE},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use upheld_desk::accounts::{PASSWORD_CHARS_MIN, UserView};

use super::{Head, in_words, zone};
use crate::{
    Portal,
    access::{Reader, Session, Source, cookie},
    problem::Refusal,
    words,
};

const HERE: &str = "/settings/account";

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    head: Head,
    user: UserView,
    kind: String,
    sessions: Vec<Line>,
    others: usize,
    chars_min: usize,
    refused: Option<String>,
    is_changed: bool,
}

/// One session in words.
struct Line {
    id: String,
    begun: String,
    used: String,
    is_this: bool,
}

/// The form. It is never printed: it has passwords.
#[derive(Deserialize)]
pub(in crate::routes) struct Passwords {
    #[serde(default)]
    present: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// Which session to end; empty for all others.
#[derive(Debug, Deserialize)]
pub(in crate::routes) struct Ended {
    #[serde(default)]
    only: String,
}

pub(in crate::routes) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
) -> Result<Response, Refusal> {
    show(&portal, &reader, &session, None, false).await
}

/// Changes the password: the session goes on under a new id, all others end.
pub(in crate::routes) async fn password(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
    Source(from): Source,
    Form(typed): Form<Passwords>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let pair = [typed.password.as_str(), typed.again.as_str()];
    match portal.desk.change_password(&session, &typed.present, pair, from, now).await {
        Ok(fresh) => {
            let mut answer = show(&portal, &reader, &fresh, None, true).await?;
            let cookie = cookie::set(&fresh).ok_or(Refusal::NotSignedIn { is_json: false })?;
            answer.headers_mut().insert(SET_COOKIE, cookie);
            Ok(answer)
        }
        Err(error) => {
            let why = in_words(error, now)?;
            show(&portal, &reader, &session, Some(why), false).await
        }
    }
}

pub(in crate::routes) async fn end(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
    Form(ended): Form<Ended>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let only = Some(ended.only.as_str()).filter(|only| !only.is_empty());
    match portal.desk.end_own_sessions(&session, only, now).await {
        // One that has ended meanwhile is not in the list: twice is once.
        Ok(_) => Ok(Redirect::to(HERE).into_response()),
        Err(error) => {
            let why = in_words(error, now)?;
            show(&portal, &reader, &session, Some(why), false).await
        }
    }
}

async fn show(
    portal: &Portal,
    reader: &Reader,
    session: &str,
    refused: Option<String>,
    is_changed: bool,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let unanswered = |error| Refusal::from(error).for_reader(false);
    let user = portal.desk.own_account(session, now).await.map_err(unanswered)?;
    let user = user.ok_or(Refusal::NotSignedIn { is_json: false })?;
    let zone = zone(portal, reader).await?;
    let sessions = portal.desk.own_sessions(session, now).await.map_err(unanswered)?;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = AccountPage {
        head: Head::of(reader, HERE),
        kind: super::users::kind(user.role, user.client.as_ref()),
        user,
        others: sessions.iter().filter(|session| !session.is_this).count(),
        sessions: sessions
            .into_iter()
            .map(|session| Line {
                id: session.id,
                begun: words::local(session.begun_at, &zone),
                used: words::local(session.last_used_at, &zone),
                is_this: session.is_this,
            })
            .collect(),
        chars_min: PASSWORD_CHARS_MIN,
        refused,
        is_changed,
    };
    let page = page.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
    Ok((status, Html(page)).into_response())
}
