//! Tokens that cannot be used: what is answered, and what is written down.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::json;
use upheld_model::Digest;
use upheld_store::{ReadTx, Tx, site_tokens::SiteTokenRow, tokens::TokenRow};
use upheld_wire::v1::{Problem, codes};

use super::{Token, site_token};
use crate::{Actor, DeskError, audit, problem::problem};

/// Why a token cannot be used.
#[derive(Debug, Clone, Copy)]
enum Why {
    Unknown,
    Used,
    UsedUp,
    Ended,
    Revoked,
    Network,
}

/// A token that cannot be used.
pub(super) struct Refusal {
    why: Why,
    token: Option<Box<Token>>,
}

impl Token {
    /// The token of this hash, if a host at this address may use it now.
    pub(super) fn usable(
        tx: &dyn ReadTx,
        hash: &Digest,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Result<Self, Refusal>, DeskError> {
        if let Some(row) = tx.token(hash)? {
            let why = match &row {
                TokenRow { used: Some(_), .. } => Some(Why::Used),
                TokenRow { expires_at, .. } if *expires_at <= now => Some(Why::Ended),
                TokenRow { .. } => None,
            };
            return Ok(judged(Self::Host(row), why));
        }
        let Some(row) = tx.site_token(hash)? else { return Ok(Err(Refusal { why: Why::Unknown, token: None })) };
        let why = match &row {
            SiteTokenRow { revoked_at: Some(_), .. } => Some(Why::Revoked),
            SiteTokenRow { expires_at, .. } if *expires_at <= now => Some(Why::Ended),
            // Whoever is in another network is not told how far the token is used.
            _ if !site_token::includes(&site_token::networks_of(&row)?, address) => Some(Why::Network),
            SiteTokenRow { uses, uses_max, .. } if uses >= uses_max => Some(Why::UsedUp),
            SiteTokenRow { .. } => None,
        };
        Ok(judged(Self::Site(row), why))
    }
}

fn judged(token: Token, why: Option<Why>) -> Result<Token, Refusal> {
    match why {
        None => Ok(token),
        Some(why) => Err(Refusal { why, token: Some(Box::new(token)) }),
    }
}

impl Refusal {
    /// Somebody else was a moment faster.
    pub(super) fn used(token: Token) -> Self {
        let why = match token {
            Token::Host(_) => Why::Used,
            Token::Site(_) => Why::UsedUp,
        };
        Self { why, token: Some(Box::new(token)) }
    }

    /// Writes the refusal down and says what to answer.
    pub(super) fn record(self, tx: &mut dyn Tx, address: IpAddr, now: Timestamp) -> Result<Problem, DeskError> {
        let again = "make another with `upheld-collector agent token`";
        let (what, code, title, detail) = match self.why {
            Why::Unknown => (
                "token.unknown",
                codes::TOKEN_UNKNOWN,
                "this enrolment token was never given out",
                "copy the whole link, or make another with `upheld-collector agent token`",
            ),
            Why::Used => (
                "token.reused",
                codes::TOKEN_USED,
                "this enrolment token has been used",
                "a token takes in one host; make another with `upheld-collector agent token`",
            ),
            Why::UsedUp => {
                let title = "as many hosts as this enrolment token is for have used it";
                ("token.reused", codes::TOKEN_USED_UP, title, again)
            }
            Why::Ended => ("token.ended", codes::TOKEN_EXPIRED, "this enrolment token is older than its time", again),
            Why::Revoked => ("token.taken-back", codes::TOKEN_REVOKED, "this enrolment token was taken back", again),
            Why::Network => (
                "token.wrong-network",
                codes::TOKEN_NETWORK,
                "this enrolment token is not for the network that this host comes from",
                "enrol from the site's network, or ask for a link that names this one: upheld-collector agent token --from",
            ),
        };
        let mut known = json!({ "address": address });
        let mut client = None;
        match self.token.as_deref() {
            None => {}
            Some(Token::Host(row)) => {
                client = Some(row.client.clone());
                known["used_by"] = json!(row.used.as_ref().map(|(_, agent)| agent));
            }
            Some(Token::Site(row)) => {
                client = Some(row.client.clone());
                known["token"] = json!(site_token::name_of(&row.hash));
            }
        }
        audit::note(tx, now, &Actor::Collector, client.as_ref(), what, &known)?;
        Ok(problem(403, code, title, detail))
    }
}
