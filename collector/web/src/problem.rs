//! Refusals: RFC 9457 problem details for scripts, a page for people. What cannot be told apart must not be: another
//! client's incident and one that does not exist are the same refusal (SECURITY 23).

use askama::Template;
use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse, Response},
};
use serde::Serialize;
use upheld_desk::{
    AccountError, Actor, CommandError, DeskError, IncidentView, SignedIn,
    roles::{Action, allowed, may},
};
use utoipa::ToSchema;

pub(crate) mod known;

use crate::words::sentence;
use known::Known;

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Nobody we know.
    NotSignedIn { is_json: bool },
    /// Known, but not in a role that may do this.
    MayNot { why: String, is_json: bool },
    /// Something happened since the asker looked.
    Stale { why: String, current: Option<Box<IncidentView>>, is_json: bool },
    /// Known, but may only look.
    MayOnlyLook { is_json: bool },
    /// A changing request from somewhere else.
    ForeignOrigin { is_json: bool },
    /// No such thing, or not yours.
    NotFound { is_json: bool },
    /// The address does not take this method.
    WrongMethod { is_json: bool },
    /// The body or a parameter cannot be read.
    Unreadable { why: String, errors: Vec<FieldError>, is_json: bool },
    /// The body is too large.
    TooLarge { is_json: bool },
    /// The idempotency key stands for another request.
    KeyReused { is_json: bool },
    /// A rule of the desk forbids it.
    Forbidden { known: &'static Known, why: String, errors: Vec<FieldError>, is_json: bool },
    /// The store did not answer.
    Unavailable { why: String, is_json: bool },
}

/// Whether the asker reads JSON: by the address, or by what he says he accepts.
pub(crate) fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    is_document(path) || headers.contains_key(AUTHORIZATION) || (accepts.contains("json") && !accepts.contains("html"))
}

/// Whether an address is that of data, whoever asks: what is not there is said in the same words to everybody.
pub(crate) fn is_document(path: &str) -> bool {
    path.starts_with("/api/") || path.ends_with(".json")
}

impl Refusal {
    /// The same for another kind of reader.
    pub(crate) fn for_reader(self, is_json: bool) -> Self {
        match self {
            Self::NotSignedIn { .. } => Self::NotSignedIn { is_json },
            Self::MayOnlyLook { .. } => Self::MayOnlyLook { is_json },
            Self::MayNot { why, .. } => Self::MayNot { why, is_json },
            Self::Stale { why, current, .. } => Self::Stale { why, current, is_json },
            Self::ForeignOrigin { .. } => Self::ForeignOrigin { is_json },
            Self::NotFound { .. } => Self::NotFound { is_json },
            Self::WrongMethod { .. } => Self::WrongMethod { is_json },
            Self::Unreadable { why, errors, .. } => Self::Unreadable { why, errors, is_json },
            Self::TooLarge { .. } => Self::TooLarge { is_json },
            Self::KeyReused { .. } => Self::KeyReused { is_json },
            Self::Forbidden { known, why, errors, .. } => Self::Forbidden { known, why, errors, is_json },
            Self::Unavailable { why, .. } => Self::Unavailable { why, is_json },
        }
    }

    /// His role may not; those that may are named.
    pub(crate) fn may_not(who: &SignedIn, action: Action) -> Self {
        let others: Vec<_> = allowed(action).iter().map(|role| role.as_str()).collect();
        let why = match &who.actor {
            Actor::Token(_) if may(who.role, action) => {
                format!("A token may not {action}: that is for people, in the portal.")
            }
            Actor::Token(_) | Actor::Person(_) | Actor::Agent(_) | Actor::Collector => {
                format!("A {} may not {action}; {} may.", who.role, others.join(", "))
            }
        };
        Self::MayNot { why, is_json: true }
    }

    fn is_json(&self) -> bool {
        match self {
            Self::NotSignedIn { is_json }
            | Self::MayOnlyLook { is_json }
            | Self::MayNot { is_json, .. }
            | Self::Stale { is_json, .. }
            | Self::ForeignOrigin { is_json }
            | Self::NotFound { is_json }
            | Self::WrongMethod { is_json }
            | Self::TooLarge { is_json }
            | Self::Unreadable { is_json, .. }
            | Self::KeyReused { is_json }
            | Self::Forbidden { is_json, .. }
            | Self::Unavailable { is_json, .. } => *is_json,
        }
    }

    /// Its entry among the problems that have a page.
    fn known(&self) -> &'static Known {
        match self {
            Self::NotSignedIn { .. } => &known::NOT_SIGNED_IN,
            Self::MayOnlyLook { .. } => &known::MAY_ONLY_LOOK,
            Self::MayNot { .. } => &known::MAY_NOT,
            Self::Stale { .. } => &known::STALE,
            Self::ForeignOrigin { .. } => &known::FOREIGN_ORIGIN,
            Self::NotFound { .. } => &known::NOT_FOUND,
            Self::WrongMethod { .. } => &known::WRONG_METHOD,
            Self::Unreadable { .. } => &known::MALFORMED,
            Self::TooLarge { .. } => &known::TOO_LARGE,
            Self::KeyReused { .. } => &known::KEY_REUSED,
            Self::Forbidden { known, .. } => known,
            Self::Unavailable { .. } => &known::UNAVAILABLE,
        }
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.known().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A parameter of the address that cannot be read.
    pub(crate) fn parameter(name: &str, why: impl Into<String>, is_json: bool) -> Self {
        let why = why.into();
        let error = FieldError { parameter: Some(name.to_owned()), ..FieldError::new(&why) };
        Self::Unreadable { why: format!("the parameter {name}: {why}"), errors: vec![error], is_json }
    }

    /// A header that cannot be read.
    pub(crate) fn header(name: &str, why: &str) -> Self {
        let error = FieldError { header: Some(name.to_owned()), ..FieldError::new(why) };
        Self::Unreadable { why: format!("{name}: {why}"), errors: vec![error], is_json: true }
    }

    /// A place in the body that cannot be read; `pointer` is a JSON pointer, empty for the whole.
    pub(crate) fn body(pointer: String, why: String) -> Self {
        let place = if pointer.is_empty() { String::new() } else { format!(" at {pointer}") };
        let error = FieldError { pointer: Some(pointer), ..FieldError::new(&why) };
        Self::Unreadable { why: format!("the body{place}: {why}"), errors: vec![error], is_json: true }
    }

    fn detail(&self) -> String {
        match self {
            Self::Unreadable { why, .. }
            | Self::MayNot { why, .. }
            | Self::Stale { why, .. }
            | Self::Forbidden { why, .. }
            | Self::Unavailable { why, .. } => why.clone(),
            Self::NotFound { .. } => "It does not exist, or it is not yours to see.".to_owned(),
            Self::NotSignedIn { .. }
            | Self::MayOnlyLook { .. }
            | Self::ForeignOrigin { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge { .. }
            | Self::KeyReused { .. } => format!("{} {}", self.known().means, self.known().remedy),
        }
    }
}

/// Where a request has a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer into the body: `/manner`; empty for the body as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) pointer: Option<String>,
    /// A parameter of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) parameter: Option<String>,
    /// A header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) header: Option<String>,
    /// What is wrong there.
    pub(crate) detail: String,
}

impl FieldError {
    fn new(detail: &str) -> Self {
        Self { detail: detail.to_owned(), ..Self::default() }
    }

    /// In a field of the body, where the word names one.
    fn field(name: &str, detail: &str) -> Vec<Self> {
        let is_field = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_field { vec![Self { pointer: Some(format!("/{name}")), ..Self::new(detail) }] } else { Vec::new() }
    }
}

/// A refusal as a script reads it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The address of the page that says what it means and what to do: `/problems/stale`. Stable.
    #[serde(rename = "type")]
    kind: String,
    /// In short.
    title: &'static str,
    /// The answer's status.
    status: u16,
    /// What happened here.
    detail: String,
    /// The last part of `type`.
    code: &'static str,
    /// Where the request has faults; absent when it is not about a place in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The incident as it stands, where the command lost to what happened since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    current: Option<Box<IncidentView>>,
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NoSuchIncident(_)
            | DeskError::NoSuchPlace(_)
            | DeskError::Ambiguous { .. }
            | DeskError::NoSuchAgent(_) => Self::NotFound { is_json: true },
            DeskError::Forgotten { .. } => {
                Self::Unreadable { why: sentence(&error.to_string()), errors: Vec::new(), is_json: true }
            }
            DeskError::NoBook => Self::Unavailable {
                why: "There is no book of agreements yet. On the collector's host: upheld-collector book apply DIR"
                    .to_owned(),
                is_json: true,
            },
            DeskError::Store(_)
            | DeskError::Unreadable { .. }
            | DeskError::Plan(_)
            | DeskError::Overtaken(_)
            | DeskError::Recovering { .. }
            | DeskError::Random(_) => {
                if error.is_transient() {
                    tracing::warn!(error = %error, "the desk could not answer a request of the portal");
                } else {
                    tracing::error!(error = %error, "the desk could not answer a request of the portal");
                }
                Self::Unavailable {
                    why: "Nothing was changed. The collector's log says why; try again.".to_owned(),
                    is_json: true,
                }
            }
        }
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        if let AccountError::Desk(error) = error {
            return error.into();
        }
        // Another's account and one that does not exist are the same refusal (SECURITY 23).
        if matches!(error, AccountError::NoSuchUser(_)) {
            return Self::NotFound { is_json: true };
        }
        Self::Unreadable { why: format!("{}.", sentence(&error.to_string())), errors: Vec::new(), is_json: true }
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let why = error.to_string();
        let (known, errors) = match error {
            CommandError::Time { .. } => (&known::TIME_NOT_POSSIBLE, Vec::new()),
            CommandError::NotAllowed { what, .. } => (&known::NOT_ALLOWED, FieldError::field(what, &why)),
            CommandError::State { .. } => (&known::WRONG_STATE, Vec::new()),
            CommandError::Missing { field, .. } => {
                return Self::Unreadable { errors: FieldError::field(field, &why), why, is_json: true };
            }
            CommandError::Stale { .. } => return Self::Stale { why, current: None, is_json: true },
            CommandError::Role { .. } => {
                return Self::MayNot { why: format!("{}.", sentence(&why)), is_json: true };
            }
            CommandError::KeyReused => return Self::KeyReused { is_json: true },
            CommandError::Desk(inner) => return inner.into(),
        };
        Self::Forbidden { known, why, errors, is_json: true }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    title: &'a str,
    detail: &'a str,
    name: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let is_unknown = matches!(self, Self::NotSignedIn { .. });
        let mut answer = if self.is_json() { self.into_problem() } else { self.as_page() };
        if is_unknown {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl Refusal {
    fn into_problem(self) -> Response {
        let (known, status, detail) = (self.known(), self.status(), self.detail());
        let (errors, current) = match self {
            Self::Unreadable { errors, .. } | Self::Forbidden { errors, .. } => (errors, None),
            Self::Stale { current, .. } => (Vec::new(), current),
            Self::NotSignedIn { .. }
            | Self::MayNot { .. }
            | Self::MayOnlyLook { .. }
            | Self::ForeignOrigin { .. }
            | Self::NotFound { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge { .. }
            | Self::KeyReused { .. }
            | Self::Unavailable { .. } => (Vec::new(), None),
        };
        let revision = current.as_ref().map(|view| view.revision);
        let problem = Problem {
            kind: format!("/problems/{}", known.name),
            title: known.title,
            status: status.as_u16(),
            detail,
            code: known.name,
            errors,
            current,
        };
        let mut answer = (status, axum::Json(problem)).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(tag) = revision.and_then(|revision| HeaderValue::from_str(&format!("\"{revision}\"")).ok()) {
            answer.headers_mut().insert(ETAG, tag);
        }
        answer
    }

    fn as_page(&self) -> Response {
        let (known, detail) = (self.known(), self.detail());
        match (RefusalPage { title: known.title, detail: &detail, name: known.name }).render() {
            Ok(page) => (self.status(), Html(page)).into_response(),
            Err(_) => self.status().into_response(),
        }
    }
}
