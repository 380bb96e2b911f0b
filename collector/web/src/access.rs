//! Who is asking: a person with a session cookie, or a script with an API token (SECURITY 25, 26, 28).

pub(crate) mod cookie;
pub(crate) mod gate;
pub(crate) mod origin;
pub(crate) mod to_login;

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use upheld_desk::{Actor, DeskError, Scope, SignedIn, roles::Action};

use crate::{
    Portal, Remote,
    problem::{Refusal, wants_json},
};

/// Whoever asks, as the gate of his route has let him in; as an extractor it refuses who is nobody.
#[derive(Debug, Clone)]
pub(crate) struct Reader(pub(crate) SignedIn);

impl Reader {
    pub(crate) fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Whether he may do this; a page offers nothing else.
    pub(crate) fn may(&self, action: Action) -> bool {
        self.0.may(action)
    }

    /// The name for the page's corner.
    pub(crate) fn name(&self) -> &str {
        match &self.0.actor {
            Actor::Person(name) | Actor::Token(name) | Actor::Agent(name) => name,
            Actor::Collector => "Upheld",
        }
    }
}

impl FromRequestParts<Portal> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Refusal> {
        // The gate has asked already; only a route for anybody has none.
        if let Some(signed_in) = parts.extensions.get::<SignedIn>() {
            return Ok(Self(signed_in.clone()));
        }
        let is_json = wants_json(parts.uri.path(), &parts.headers);
        match identify(portal, &parts.headers).await {
            Ok(Some(signed_in)) => Ok(Self(signed_in)),
            Ok(None) => Err(Refusal::NotSignedIn { is_json }),
            Err(error) => Err(Refusal::from(error).for_reader(is_json)),
        }
    }
}

/// The secret of the session that asks; of a script with a token there is none.
pub(crate) struct Session(pub(crate) String);

impl FromRequestParts<Portal> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _portal: &Portal) -> Result<Self, Refusal> {
        let is_json = wants_json(parts.uri.path(), &parts.headers);
        let secret = cookie::session_of(&parts.headers).map(|secret| Self(secret.to_owned()));
        secret.ok_or(Refusal::NotSignedIn { is_json })
    }
}

/// The address from which a request came; unspecified where no door has said it.
pub(crate) struct Source(pub(crate) IpAddr);

impl FromRequestParts<Portal> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _portal: &Portal) -> Result<Self, Infallible> {
        let remote = parts.extensions.get::<Remote>();
        Ok(Self(remote.map_or(IpAddr::from([0, 0, 0, 0]), |remote| remote.0.ip())))
    }
}

/// The bearer token speaks first: a request that carries one is a script's, whatever cookies come with it.
pub(crate) async fn identify(portal: &Portal, headers: &HeaderMap) -> Result<Option<SignedIn>, DeskError> {
    let now = portal.now();
    if let Some(credentials) = headers.get(AUTHORIZATION) {
        let Some(token) = credentials.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")) else {
            return Ok(None);
        };
        return portal.desk.api_token(token.trim(), now).await;
    }
    match cookie::session_of(headers) {
        Some(secret) => portal.desk.session(secret, now).await,
        None => Ok(None),
    }
}
