//! The accounts that somebody keeps: a provider-admin everybody's, a client's owner those of his readers. A link to hand
//! over is shown once.

use askama::Template;
use axum::{
    Form, Json,
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use upheld_desk::{
    AccountError, Keeper, Reach, Role,
    accounts::{LinkKind, NewUser, PasswordLink, UserView},
    roles::Action,
};
use upheld_model::ClientId;

use super::{Head, in_words, places};
use crate::{Portal, access::Reader, problem::Refusal, words};

const HERE: &str = "/settings/users";

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    head: Head,
    users: Vec<Line>,
    roles: &'static [Role],
    clients: Vec<(String, String)>,
    keeps_all: bool,
    typed: Typed,
    link: Option<Link>,
    refused: Option<String>,
}

/// One account in words.
struct Line {
    id: String,
    seen: i64,
    name: String,
    login: String,
    role: Role,
    client: String,
    kind: String,
    look: &'static str,
    word: String,
    made: String,
    is_disabled: bool,
    has_password: bool,
    is_own: bool,
}

/// A link to hand over, shown once.
struct Link {
    address: String,
    whom: String,
    ends: String,
    is_invite: bool,
}

/// A form of this page. What a deed does not need is empty.
#[derive(Debug, Default, Deserialize)]
pub(in crate::routes) struct Typed {
    #[serde(default)]
    login: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    client: String,
    /// The account's last change as the page showed it, in microseconds.
    #[serde(default)]
    seen: String,
}

pub(in crate::routes) async fn page(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    show(&portal, &reader, Typed::default(), None, None).await
}

pub(in crate::routes) async fn json(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let users = portal.desk.users(&keeper(&reader).reach).await?;
    Ok(Json(json!({ "schema": "upheld.users/1", "as_of": portal.now(), "users": users })).into_response())
}

/// Makes an account and shows its invitation.
pub(in crate::routes) async fn add(
    State(portal): State<Portal>,
    reader: Reader,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let keeper = keeper(&reader);
    refuse_another(&portal, &reader, &typed.client, HERE).await?;
    let (role, client) = match wanted(&typed, &keeper.reach) {
        Ok(wanted) => wanted,
        Err(why) => return show(&portal, &reader, typed, None, Some(why.to_owned())).await,
    };
    let new = NewUser { login: typed.login.clone(), name: typed.name.clone(), role, client };
    match portal.desk.make_user(new, &keeper, portal.now()).await {
        Ok((_, link)) => show(&portal, &reader, Typed::default(), Some(link), None).await,
        Err(error) => {
            let why = in_words(error, portal.now())?;
            show(&portal, &reader, typed, None, Some(why)).await
        }
    }
}

/// One deed on one account, by its form.
pub(in crate::routes) async fn change(
    State(portal): State<Portal>,
    reader: Reader,
    Path((user, deed)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Refusal> {
    let (keeper, now) = (keeper(&reader), portal.now());
    let seen = typed.seen.parse::<i64>().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let desk = &portal.desk;
    refuse_another(&portal, &reader, &typed.client, HERE).await?;
    let done: Result<Option<PasswordLink>, AccountError> = match deed.as_str() {
        "invite" => desk.invite(&user, &keeper, now).await.map(Some),
        "reset" => desk.reset(&user, &keeper, now).await.map(Some),
        "disable" => desk.disable_user(&user, seen, &keeper, now).await.map(|_| None),
        "enable" => desk.enable_user(&user, seen, &keeper, now).await.map(|_| None),
        "end-sessions" => desk.end_sessions(&user, &keeper, now).await.map(|_| None),
        "role" => match wanted(&typed, &keeper.reach) {
            Ok(kind) => desk.set_role(&user, kind, seen, &keeper, now).await.map(|_| None),
            Err(why) => return show(&portal, &reader, Typed::default(), None, Some(why.to_owned())).await,
        },
        _no_deed => return Err(Refusal::NotFound { is_json: false }),
    };
    match done {
        Ok(None) => Ok(Redirect::to(HERE).into_response()),
        Ok(link) => show(&portal, &reader, Typed::default(), link, None).await,
        Err(AccountError::NoSuchUser(_)) => {
            // Another's account looks as one that is not there; that he asked for it is in the audit (SECURITY 35).
            if desk.is_account(&user).await.map_err(|error| Refusal::from(error).for_reader(false))? {
                deny(&portal, &reader, &format!("{HERE}/{user}/{deed}")).await?;
            }
            Err(Refusal::NotFound { is_json: false })
        }
        Err(error) => {
            let why = in_words(error, now)?;
            show(&portal, &reader, Typed::default(), None, Some(why)).await
        }
    }
}

/// `client-owner of northgate`.
pub(super) fn kind(role: Role, client: Option<&ClientId>) -> String {
    match client {
        Some(client) => format!("{role} of {client}"),
        None => role.to_string(),
    }
}

/// Whose accounts this reader keeps; the gate has let in only who keeps some.
fn keeper(reader: &Reader) -> Keeper {
    let reach = match reader.scope().client() {
        Some(own) => Reach::ReadersOf(own.clone()),
        None => Reach::All,
    };
    Keeper { actor: reader.0.actor.clone(), reach }
}

/// A client's owner who names another client learns nothing of him.
async fn refuse_another(portal: &Portal, reader: &Reader, client: &str, path: &str) -> Result<(), Refusal> {
    match client.parse::<ClientId>() {
        Ok(named) if !reader.scope().includes(&named) => {
            deny(portal, reader, path).await?;
            Err(Refusal::NotFound { is_json: false })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn deny(portal: &Portal, reader: &Reader, path: &str) -> Result<(), Refusal> {
    let noted = portal.desk.deny(&reader.0, path, portal.now()).await;
    noted.map_err(|error| Refusal::from(error).for_reader(false))
}

/// The role and client that a form asks for. A client's owner gives one kind of account only.
fn wanted(typed: &Typed, reach: &Reach) -> Result<(Role, Option<ClientId>), &'static str> {
    if let (Reach::ReadersOf(own), true) = (reach, typed.role.is_empty()) {
        return Ok((Role::ClientReader, Some(own.clone())));
    }
    let role: Role = typed.role.parse().map_err(|_| "Choose the role.")?;
    let client = match typed.client.as_str() {
        "" => None,
        client => Some(client.parse().map_err(|_| "Choose the client from the list.")?),
    };
    match (role.is_of_a_client(), &client) {
        (true, None) => Err("This role is of one client's person: choose the client."),
        (false, Some(_)) => Err("This role is of the provider's person: choose no client."),
        (true, Some(_)) | (false, None) => Ok((role, client)),
    }
}

async fn show(
    portal: &Portal,
    reader: &Reader,
    typed: Typed,
    link: Option<PasswordLink>,
    refused: Option<String>,
) -> Result<Response, Refusal> {
    let unanswered = |error| Refusal::from(error).for_reader(false);
    let known = places(portal, reader).await?;
    let zone = known.time_zone;
    let users = portal.desk.users(&keeper(reader).reach).await.map_err(unanswered)?;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let keeps_all = reader.may(Action::Users);
    let page = UsersPage {
        head: Head::of(reader, HERE),
        users: users.into_iter().map(|user| Line::of(user, reader, &zone)).collect(),
        roles: Role::ALL,
        clients: known.clients.into_iter().map(|client| (client.client.to_string(), client.name)).collect(),
        keeps_all,
        typed,
        link: link.map(|link| Link {
            address: format!("{}/password/{}", portal.url, link.secret),
            whom: format!("{} ({})", link.name, link.login),
            ends: words::local(link.expires_at, &zone),
            is_invite: link.kind == LinkKind::Invite,
        }),
        refused,
    };
    let page = page.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
    Ok((status, Html(page)).into_response())
}

impl Line {
    fn of(user: UserView, reader: &Reader, zone: &str) -> Self {
        let (look, word) = match (user.disabled_at, user.has_password) {
            (Some(at), _) => ("pause", format!("‖ disabled {}", words::local(at, zone))),
            (None, true) => ("ok", "✓ active".to_owned()),
            (None, false) => ("warn", "▲ no password chosen yet".to_owned()),
        };
        Self {
            seen: user.changed_at.as_microsecond(),
            kind: kind(user.role, user.client.as_ref()),
            client: user.client.map(|client| client.to_string()).unwrap_or_default(),
            made: format!("made {} by {}", words::local(user.created_at, zone), user.created_by),
            is_own: user.name == reader.name(),
            is_disabled: user.disabled_at.is_some(),
            has_password: user.has_password,
            id: user.id,
            name: user.name,
            login: user.login,
            role: user.role,
            look,
            word,
        }
    }
}
