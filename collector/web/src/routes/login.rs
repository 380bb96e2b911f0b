//! A link that logs in once. The GET shows a button and changes nothing, so that a mail scanner or a preview that
//! opens the link does not use it up; the POST of that button does.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    response::{Html, IntoResponse, Redirect, Response},
};

use crate::{Portal, access::cookie, problem::Refusal};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    token: &'a str,
    is_refused: bool,
}

/// The page with the button. It is the same for every token: a guess learns nothing.
pub(super) async fn ask(Path(token): Path<String>) -> Response {
    show(&token, false)
}

/// Uses the link up and begins a session with a new id.
pub(super) async fn enter(State(portal): State<Portal>, Path(token): Path<String>) -> Result<Response, Refusal> {
    let secret =
        portal.desk.sign_in(&token, portal.now()).await.map_err(|error| Refusal::from(error).for_reader(false))?;
    let Some(cookie) = secret.as_deref().and_then(cookie::set) else {
        return Ok((StatusCode::FORBIDDEN, show("used", true)).into_response());
    };
    let mut answer = Redirect::to("/").into_response();
    answer.headers_mut().insert(SET_COOKIE, cookie);
    Ok(answer)
}

/// Ends the session, on the server first.
pub(super) async fn leave(State(portal): State<Portal>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(secret) = cookie::session_of(&headers) {
        portal.desk.sign_out(secret, portal.now()).await.map_err(|error| Refusal::from(error).for_reader(false))?;
    }
    let mut answer = Redirect::to("/queue").into_response();
    answer.headers_mut().insert(SET_COOKIE, cookie::clear());
    Ok(answer)
}

fn show(token: &str, is_refused: bool) -> Response {
    let page = LoginPage { token, is_refused };
    let Ok(page) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    Html(page).into_response()
}
