//! One's own API tokens: made for a time, with rights at most one's own, and taken back.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::SignedDuration;
use serde::Deserialize;
use upheld_desk::{ApiToken, Rights};

use super::{Head, in_words, zone};
use crate::{
    Portal,
    access::{Reader, Session},
    problem::Refusal,
    words,
};

const HERE: &str = "/settings/tokens";
/// How long a token may be wanted for, in days.
const DAYS: &[i64] = &[7, 30, 90, 365];

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    head: Head,
    tokens: Vec<Line>,
    days: &'static [i64],
    made: Option<ApiToken>,
    refused: Option<String>,
}

/// One token in words.
struct Line {
    id: String,
    name: String,
    may: &'static str,
    made: String,
    ends: String,
}

/// A token that is wanted.
#[derive(Debug, Deserialize)]
pub(in crate::routes) struct Wanted {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rights: String,
    #[serde(default)]
    days: String,
}

/// Which token to take back.
#[derive(Debug, Deserialize)]
pub(in crate::routes) struct Revoked {
    #[serde(default)]
    token: String,
}

pub(in crate::routes) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
) -> Result<Response, Refusal> {
    show(&portal, &reader, &session, None, None).await
}

pub(in crate::routes) async fn make(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let days = wanted.days.parse::<i64>().ok().filter(|days| DAYS.contains(days));
    let (Ok(rights), Some(days)) = (wanted.rights.parse::<Rights>(), days) else {
        let why = "Choose what it may do and how long it works.".to_owned();
        return show(&portal, &reader, &session, None, Some(why)).await;
    };
    let ttl = SignedDuration::from_hours(24 * days);
    match portal.desk.new_own_token(&session, &wanted.name, rights, ttl, now).await {
        Ok(made) => show(&portal, &reader, &session, Some(made), None).await,
        Err(error) => {
            let why = in_words(error, now)?;
            show(&portal, &reader, &session, None, Some(why)).await
        }
    }
}

/// Takes one back. One that is not there, or not one's own, changes nothing: twice is once.
pub(in crate::routes) async fn revoke(
    State(portal): State<Portal>,
    reader: Reader,
    Session(session): Session,
    Form(revoked): Form<Revoked>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    match portal.desk.revoke_own_token(&session, &revoked.token, now).await {
        Ok(_) => Ok(Redirect::to(HERE).into_response()),
        Err(error) => {
            let why = in_words(error, now)?;
            show(&portal, &reader, &session, None, Some(why)).await
        }
    }
}

async fn show(
    portal: &Portal,
    reader: &Reader,
    session: &str,
    made: Option<ApiToken>,
    refused: Option<String>,
) -> Result<Response, Refusal> {
    let tokens = portal.desk.own_tokens(session, portal.now()).await;
    let tokens = tokens.map_err(|error| Refusal::from(error).for_reader(false))?;
    let zone = zone(portal, reader).await?;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let line = |token: upheld_desk::accounts::OwnToken| Line {
        id: token.id,
        name: token.name,
        may: match token.rights {
            Rights::Read => "looks",
            Rights::Respond => "looks, and does what you may do",
        },
        made: words::local(token.created_at, &zone),
        ends: token.expires_at.map_or_else(|| "never".to_owned(), |end| words::local(end, &zone)),
    };
    let page = TokensPage {
        head: Head::of(reader, HERE),
        tokens: tokens.into_iter().map(line).collect(),
        days: DAYS,
        made,
        refused,
    };
    let page = page.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
    Ok((status, Html(page)).into_response())
}
