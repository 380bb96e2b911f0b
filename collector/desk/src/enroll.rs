//! How a host becomes an agent (SECURITY 11, 12).

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_wire::v1::{
    Problem,
    enroll::{EnrollAnswer, EnrollRequest},
};

use crate::{Actor, Desk, DeskError};

/// The longest that a host token lives.
pub const TOKEN_TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A host token, shown once; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// 43 base64url characters: 256 bits from the kernel's generator.
    pub token: String,
    /// When it was made: the link's issue time.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewToken(REDACTED until {})", self.expires_at)
    }
}

/// Why no token was made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The book knows no such client.
    #[error("the book has no client {0}: see `upheld-collector book check`")]
    NoSuchClient(ClientId),
    /// The client has no such site.
    #[error("client {client} has no site {site}: see `upheld-collector book check`")]
    NoSuchSite {
        /// The client.
        client: ClientId,
        /// The site.
        site: SiteId,
    },
    /// The time is zero, negative or beyond [`TOKEN_TTL_MAX`].
    #[error("a token may live for 1 s to 24 h, not {0}")]
    Ttl(SignedDuration),
    /// No book, or the store did not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

/// What the server's certificate authority made for an agent id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The agent's certificate and the intermediate, PEM.
    pub chain_pem: String,
    /// The provider's roots, PEM.
    pub roots_pem: String,
}

impl Desk {
    /// Makes a host token: one use, at most 24 h, bound to client and site.
    pub async fn new_token(
        &self,
        client: &ClientId,
        site: &SiteId,
        ttl: SignedDuration,
        who: &Actor,
        now: Timestamp,
    ) -> Result<NewToken, TokenError> {
        let _ = (client, site, ttl, who, now);
        Err(DeskError::NotBuilt("new_token").into())
    }

    /// Takes a host in: checks the token and the proof of the signing key, gives an id, has `issue` make the
    /// certificate for it (from the request's CSR; an `Err` text becomes a 400 problem), then uses the token and
    /// writes the agent's row in one transaction. Of many uses of one token at once exactly one succeeds; each other
    /// is a 403 problem and an audit entry.
    pub async fn enroll<F>(&self, request: EnrollRequest, now: Timestamp, issue: F) -> Result<EnrollAnswer, Problem>
    where
        F: FnOnce(&AgentId, &EnrollRequest) -> Result<Certificate, String> + Send,
    {
        let _ = (request, now, issue);
        Err(crate::deliver::unavailable(&DeskError::NotBuilt("enroll")))
    }
}
