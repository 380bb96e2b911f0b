//! Refusals: RFC 9457 problem details for scripts, a page for people. What cannot be told apart must not be: another
//! client's incident and one that does not exist are the same refusal (SECURITY 23).

use askama::Template;
use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse, Response},
};
use serde_json::json;
use upheld_desk::{CommandError, DeskError};

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Nobody we know.
    NotSignedIn { is_json: bool },
    /// A client's person who asks for what the provider decides.
    ProvidersOnly { is_json: bool },
    /// Something happened since the asker looked.
    Stale { why: String, is_json: bool },
    /// Known, but may only look.
    MayOnlyLook { is_json: bool },
    /// A changing request from somewhere else.
    ForeignOrigin { is_json: bool },
    /// No such thing, or not yours.
    NotFound { is_json: bool },
    /// The body or a parameter cannot be read.
    Unreadable { why: String, is_json: bool },
    /// The idempotency key stands for another request.
    KeyReused { is_json: bool },
    /// A rule of the desk forbids it.
    Forbidden { code: &'static str, why: String, is_json: bool },
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
            Self::ProvidersOnly { .. } => Self::ProvidersOnly { is_json },
            Self::Stale { why, .. } => Self::Stale { why, is_json },
            Self::ForeignOrigin { .. } => Self::ForeignOrigin { is_json },
            Self::NotFound { .. } => Self::NotFound { is_json },
            Self::Unreadable { why, .. } => Self::Unreadable { why, is_json },
            Self::KeyReused { .. } => Self::KeyReused { is_json },
            Self::Forbidden { code, why, .. } => Self::Forbidden { code, why, is_json },
            Self::Unavailable { why, .. } => Self::Unavailable { why, is_json },
        }
    }

    fn is_json(&self) -> bool {
        match self {
            Self::NotSignedIn { is_json }
            | Self::MayOnlyLook { is_json }
            | Self::ProvidersOnly { is_json }
            | Self::Stale { is_json, .. }
            | Self::ForeignOrigin { is_json }
            | Self::NotFound { is_json }
            | Self::Unreadable { is_json, .. }
            | Self::KeyReused { is_json }
            | Self::Forbidden { is_json, .. }
            | Self::Unavailable { is_json, .. } => *is_json,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn { .. } => StatusCode::UNAUTHORIZED,
            Self::MayOnlyLook { .. } | Self::ProvidersOnly { .. } | Self::ForeignOrigin { .. } => StatusCode::FORBIDDEN,
            Self::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Self::KeyReused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden { .. } => StatusCode::CONFLICT,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotSignedIn { .. } => "not-signed-in",
            Self::MayOnlyLook { .. } => "may-only-look",
            Self::ProvidersOnly { .. } => "providers-only",
            Self::Stale { .. } => "stale",
            Self::ForeignOrigin { .. } => "foreign-origin",
            Self::NotFound { .. } => "not-found",
            Self::Unreadable { .. } => "malformed",
            Self::KeyReused { .. } => "idempotency-key-reused",
            Self::Forbidden { code, .. } => code,
            Self::Unavailable { .. } => "unavailable",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NotSignedIn { .. } => "You are not signed in",
            Self::MayOnlyLook { .. } => "You may look, but not change this",
            Self::ProvidersOnly { .. } => "This is the provider's to do",
            Self::Stale { .. } => "It has changed since you looked",
            Self::ForeignOrigin { .. } => "This request did not come from our own pages",
            Self::NotFound { .. } => "There is nothing here",
            Self::Unreadable { .. } => "This request cannot be read",
            Self::KeyReused { .. } => "This key stands for another request",
            Self::Forbidden { .. } => "This cannot be done",
            Self::Unavailable { .. } => "The collector cannot answer at the moment",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::NotSignedIn { .. } => {
                "Ask for a link on the collector's host: upheld-collector login-link. Scripts send Authorization: Bearer TOKEN."
            }
            Self::MayOnlyLook { .. } => "Ask for a session or token whose rights are respond.",
            Self::ProvidersOnly { .. } => {
                "Your people report problems, write notes and dispute; what follows from it the provider does."
            }
            Self::ForeignOrigin { .. } => {
                "Open the portal and press the button there. Scripts use an API token in place of a cookie."
            }
            Self::NotFound { .. } => "It does not exist, or it is not yours to see.",
            Self::KeyReused { .. } => {
                "Another request of yours carried this Idempotency-Key within the last 24 h. Nothing was changed: take a new key."
            }
            Self::Unreadable { why, .. }
            | Self::Stale { why, .. }
            | Self::Forbidden { why, .. }
            | Self::Unavailable { why, .. } => why,
        }
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NoSuchIncident(_)
            | DeskError::NoSuchPlace(_)
            | DeskError::Ambiguous { .. }
            | DeskError::NoSuchAgent(_) => Self::NotFound { is_json: true },
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
                tracing::error!(error = %error, "the desk could not answer a request of the portal");
                Self::Unavailable {
                    why: "Nothing was changed. The collector's log says why; try again.".to_owned(),
                    is_json: true,
                }
            }
        }
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::Time { .. } => "time-not-possible",
            CommandError::NotAllowed { .. } => "not-allowed",
            CommandError::State { .. } => "wrong-state",
            CommandError::Missing { .. } => return Self::Unreadable { why: error.to_string(), is_json: true },
            CommandError::Stale { .. } => return Self::Stale { why: error.to_string(), is_json: true },
            CommandError::ProvidersOnly => return Self::ProvidersOnly { is_json: true },
            CommandError::KeyReused => return Self::KeyReused { is_json: true },
            CommandError::Desk(inner) => return inner.clone().into(),
        };
        Self::Forbidden { code, why: error.to_string(), is_json: true }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    title: &'a str,
    detail: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = if self.is_json() { self.as_problem() } else { self.as_page() };
        if matches!(self, Self::NotSignedIn { .. }) {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl Refusal {
    fn as_problem(&self) -> Response {
        let body = json!({
            "type": format!("urn:upheld:problem:{}", self.code()),
            "title": self.title(),
            "status": self.status().as_u16(),
            "detail": self.detail(),
            "code": self.code(),
        });
        let mut answer = (self.status(), axum::Json(body)).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer
    }

    fn as_page(&self) -> Response {
        match (RefusalPage { title: self.title(), detail: self.detail() }).render() {
            Ok(page) => (self.status(), Html(page)).into_response(),
            Err(_) => self.status().into_response(),
        }
    }
}
