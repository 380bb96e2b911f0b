//! The `Authorization` header of a check that logs in, and where it may be sent (SECURITY 4).
//!
//! The value goes to this host itself, or over TLS to a server whose certificate a public authority vouches for, or where
//! the check says `trust = "network"`. A run follows no redirect, so it reaches nobody else. A header that holds it is
//! marked sensitive: what prints headers prints `Sensitive`.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use upheld_model::{
    UnknownReason,
    address::Place,
    check::{HttpAuth, HttpScheme, HttpTrust},
};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use crate::{ProbeResult, secret::Shelf};

/// What a run sends in order to log in.
pub(crate) struct Login {
    header: HeaderValue,
    trust: HttpTrust,
    /// What it is called where it is refused: the secret's name, never more.
    what: String,
}

impl Login {
    /// From the check and the secrets of this host. The error is the result of the run.
    pub(crate) fn of(auth: &HttpAuth, shelf: &Shelf) -> Result<Self, ProbeResult> {
        let secret = shelf.wanted(&auth.secret)?;
        let text = match &auth.scheme {
            HttpScheme::Basic { user } => {
                let both = Zeroizing::new(format!("{user}:{}", secret.expose()));
                let encoded = Zeroizing::new(STANDARD.encode(both.as_bytes()));
                Zeroizing::new(format!("Basic {}", *encoded))
            }
            HttpScheme::Bearer => Zeroizing::new(format!("Bearer {}", secret.expose())),
        };
        let what = match &auth.scheme {
            HttpScheme::Basic { user } => format!("the user {user} with the secret {}", auth.secret),
            HttpScheme::Bearer => format!("the token {}", auth.secret),
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| {
            let why = format!(
                "{what} cannot be sent: a token has no control character and no line break; set it anew: \
                upheld-agent secret set {}",
                auth.secret
            );
            ProbeResult::unknown(UnknownReason::Credentials, why)
        })?;
        header.set_sensitive(true);
        Ok(Self { header, trust: auth.trust, what })
    }

    /// The header, where it may be sent to `peer`; `certificate` is what that showed, over TLS. The error is the result of
    /// the run, which has sent nothing.
    pub(super) fn for_peer(&self, peer: IpAddr, certificate: Option<&Certificate>) -> Result<HeaderValue, ProbeResult> {
        let is_trusted = certificate.is_some_and(Certificate::is_vouched_for);
        if self.trust == HttpTrust::Network || Place::of(peer) == Place::Loopback || is_trusted {
            return Ok(self.header.clone());
        }
        let because = match certificate {
            Some(_) => format!("nobody vouches for the certificate of {peer}"),
            None => format!("{peer} is asked without TLS"),
        };
        let why = format!(
            "{} was not sent: {because}; where the site's network is trusted with it, write trust = \"network\" in auth",
            self.what
        );
        Err(ProbeResult::unknown(UnknownReason::Credentials, why))
    }

    /// The result where the page refuses it.
    pub(super) fn refused(&self, status: u16) -> ProbeResult {
        let why = format!("status {status}: the page refuses {}; set it anew, or correct the check", self.what);
        ProbeResult::unknown(UnknownReason::Credentials, why)
    }
}
