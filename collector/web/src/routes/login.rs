//! Logging in by name and password, or by a link that works once; logging out. No script is needed.
//!
//! A link's GET shows a button and changes nothing, so that a mail scanner or a preview that opens the link does not use
//! it up; the POST of that button does.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{RETRY_AFTER, SET_COOKIE},
    },
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use upheld_desk::{
    AccountError,
    accounts::{LOGIN_CHARS_MAX, LogIn},
};

use crate::{
    Portal,
    access::{Source, cookie, to_login},
    problem::Refusal,
    words,
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    login: &'a str,
    to: &'a str,
    refused: Option<String>,
}

#[derive(Template)]
#[template(path = "login-link.html")]
struct LinkPage<'a> {
    token: &'a str,
    is_refused: bool,
}

/// Where to go afterwards.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    to: String,
}

/// The form. It is never printed: it has a password.
#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    to: String,
}

/// The form for name and password.
pub(super) async fn page(Query(asked): Query<Asked>) -> Response {
    show(StatusCode::OK, &LoginPage { login: "", to: to_login::own(&asked.to), refused: None })
}

/// Tries them.
pub(super) async fn log_in(
    State(portal): State<Portal>,
    Source(from): Source,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let (now, to) = (portal.now(), to_login::own(&typed.to));
    let tried = portal.desk.log_in(&typed.login, &typed.password, from, cookie::session_of(&headers), now).await;
    // What was typed comes back to whoever typed it, as far as it can be a name.
    let login: String = typed.login.chars().take(LOGIN_CHARS_MAX).collect();
    let again = |status, why| show(status, &LoginPage { login: &login, to, refused: Some(why) });
    match tried {
        Ok(LogIn::In(secret)) => Ok(enter(&secret, to)),
        Ok(LogIn::Refused) => {
            let why = "This name and password do not belong together, or the account may not be used.".to_owned();
            Ok(again(StatusCode::FORBIDDEN, why))
        }
        Ok(LogIn::Wait(until)) => Ok(retry_after(again(StatusCode::TOO_MANY_REQUESTS, wait(until, now)), until, now)),
        Err(AccountError::Busy) => {
            let why = "Too many people log in at this moment. Try again in some seconds.".to_owned();
            Ok(again(StatusCode::SERVICE_UNAVAILABLE, why))
        }
        Err(error) => Err(Refusal::from(error).for_reader(false)),
    }
}

/// The page with a link's button. It is the same for every token: a guess learns nothing.
pub(super) async fn ask(Path(token): Path<String>) -> Response {
    show(StatusCode::OK, &LinkPage { token: &token, is_refused: false })
}

/// Uses a link up and begins a session with a new id; the one that the browser had ends.
pub(super) async fn use_link(
    State(portal): State<Portal>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Refusal> {
    let signed_in = portal.desk.sign_in(&token, portal.now()).await;
    let Some(secret) = signed_in.map_err(|error| Refusal::from(error).for_reader(false))? else {
        return Ok(show(StatusCode::FORBIDDEN, &LinkPage { token: "used", is_refused: true }));
    };
    end(&portal, &headers).await?;
    Ok(enter(&secret, to_login::HOME))
}

/// Ends the session, on the server first.
pub(super) async fn leave(State(portal): State<Portal>, headers: HeaderMap) -> Result<Response, Refusal> {
    end(&portal, &headers).await?;
    let mut answer = Redirect::to("/login").into_response();
    answer.headers_mut().insert(SET_COOKIE, cookie::clear());
    Ok(answer)
}

/// On with a new session.
pub(super) fn enter(secret: &str, to: &str) -> Response {
    let mut answer = Redirect::to(to).into_response();
    match cookie::set(secret) {
        Some(cookie) => {
            answer.headers_mut().insert(SET_COOKIE, cookie);
            answer
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// How long to wait, in words; the time of day belongs to the reader's zone, which nobody knows here.
pub(super) fn wait(until: Timestamp, now: Timestamp) -> String {
    format!("Too many tries failed. Try again in {}.", words::two_units(seconds(until, now)))
}

fn retry_after(mut answer: Response, until: Timestamp, now: Timestamp) -> Response {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(until, now)));
    answer
}

/// Whole seconds, at least one: who comes back then may try.
fn seconds(until: Timestamp, now: Timestamp) -> u64 {
    let left = until.duration_since(now).as_millis().max(1).unsigned_abs().div_ceil(1_000);
    u64::try_from(left).unwrap_or(u64::MAX)
}

async fn end(portal: &Portal, headers: &HeaderMap) -> Result<(), Refusal> {
    match cookie::session_of(headers) {
        Some(secret) => {
            let ended = portal.desk.sign_out(secret, portal.now()).await;
            ended.map_err(|error| Refusal::from(error).for_reader(false))
        }
        None => Ok(()),
    }
}

fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
