//! How a host becomes an agent (SECURITY 11, 12).

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_evidence::{PublicKey, Signature, from_hex, verify_enrolment};
use upheld_model::{AgentId, ClientId, Digest, SiteId};
use upheld_store::{
    StoreError, Tx,
    agents::{AgentRow, AgentStatus},
    tokens::TokenRow,
};
use upheld_wire::v1::{
    PROTOCOL, Problem, codes,
    enroll::{EnrollAnswer, EnrollRequest},
};

use crate::{
    Actor, Desk, DeskError, audit, clock,
    problem::{problem, unavailable},
    random,
};

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
    #[error("a token may live for 1 s to 24 h, not {0:#}")]
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
        if ttl < SignedDuration::from_secs(1) || ttl > TOKEN_TTL_MAX {
            return Err(TokenError::Ttl(ttl));
        }
        let book = self.current_book().await?;
        if book.book.client(client).is_none() {
            return Err(TokenError::NoSuchClient(client.clone()));
        }
        if book.book.site(client, site).is_none() {
            return Err(TokenError::NoSuchSite { client: client.clone(), site: site.clone() });
        }
        let now = clock::stored(now);
        let expires_at = now.saturating_add(ttl).unwrap_or(now);
        let token = random::secret()?;
        let (client, site, who, hash) = (client.clone(), site.clone(), who.clone(), random::hash(&token));
        self.store
            .write("desk.new_token", move |tx| {
                let created_by = who.id(tx)?;
                audit::note(tx, now, &who, Some(&client), "token.made", &json!({ "site": site, "ends": expires_at }))?;
                let row = TokenRow { hash, client, site, created_at: now, created_by, expires_at, used: None };
                tx.insert_token(&row).map_err(DeskError::from)
            })
            .await?;
        Ok(NewToken { token, issued_at: now, expires_at })
    }

    /// Takes a host in: checks the token and the proof of the signing key, gives an id, has `issue` make the
    /// certificate for it (from the request's CSR; an `Err` text becomes a 400 problem), then uses the token and
    /// writes the agent's row in one transaction. Of many uses of one token at once exactly one succeeds; each other
    /// is a 403 problem and an audit entry.
    pub async fn enroll<F>(&self, request: EnrollRequest, now: Timestamp, issue: F) -> Result<EnrollAnswer, Problem>
    where
        F: FnOnce(&AgentId, &EnrollRequest) -> Result<Certificate, String> + Send,
    {
        let now = clock::stored(now);
        let signing_key = read_key(&request)?;
        let hash = random::hash(&request.token);
        // A look before the work: whoever has no token cannot make the authority sign.
        let token = self
            .write_or_problem("desk.enroll_look", move |tx| match usable(tx.token(&hash)?, now) {
                Ok(token) => Ok(Ok(token)),
                Err(refusal) => refusal.record(tx, now).map(Err),
            })
            .await??;
        let agent: AgentId = random::id("a-")
            .and_then(|id| id.parse().map_err(|error| DeskError::unreadable("new agent id", &error)))
            .map_err(|error| unavailable(&error))?;
        let certificate = issue(&agent, &request).map_err(|why| malformed(&why))?;
        let row = AgentRow {
            client: token.client.clone(),
            agent: agent.clone(),
            site: token.site.clone(),
            host: request.host.chars().take(255).collect(),
            status: AgentStatus::Active,
            signing_key,
            enrolled_at: now,
            status_at: now,
            first_seen: None,
        };
        self.write_or_problem("desk.enroll", move |tx| take_in(tx, &hash, &row, now)).await??;
        self.welcome(agent, token, certificate, now).await.map_err(|error| unavailable(&error))
    }

    async fn welcome(
        &self,
        agent: AgentId,
        token: TokenRow,
        certificate: Certificate,
        now: Timestamp,
    ) -> Result<EnrollAnswer, DeskError> {
        let book = self.current_book().await?;
        let TokenRow { client, site, .. } = token;
        let client_name = book.book.client(&client).map_or_else(|| client.to_string(), |entry| entry.name.clone());
        let site_name = book.book.site(&client, &site).map_or_else(|| site.to_string(), |entry| entry.name.clone());
        Ok(EnrollAnswer {
            config: book.config_for(&agent, &client, &site),
            client_name,
            site_name,
            provider_name: book.book.provider.name.clone(),
            agent,
            client,
            site,
            chain_pem: certificate.chain_pem,
            roots_pem: certificate.roots_pem,
            collector_time: now,
        })
    }

    async fn write_or_problem<T, F>(&self, name: &'static str, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Tx) -> Result<T, DeskError> + Send + 'static,
    {
        self.store.write(name, work).await.map_err(|error| unavailable(&error))
    }
}

/// Uses the token and writes the agent, or neither. `Ok(Err)` is a refusal whose audit entry is kept.
fn take_in(tx: &mut dyn Tx, hash: &Digest, row: &AgentRow, now: Timestamp) -> Result<Result<(), Problem>, DeskError> {
    if !tx.use_token(hash, &row.agent, now)? {
        // Between the look and here somebody else used it, or its time ended.
        return match usable(tx.token(hash)?, now) {
            Ok(token) => Refusal::of(Unusable::Used, token).record(tx, now).map(Err),
            Err(refusal) => refusal.record(tx, now).map(Err),
        };
    }
    tx.insert_agent(row)?;
    let who = Actor::Agent(row.agent.to_string());
    let detail = json!({ "agent": row.agent, "site": row.site, "host": row.host });
    audit::note(tx, now, &who, Some(&row.client), "agent.enrolled", &detail)?;
    Ok(Ok(()))
}

/// The key that the request proves to hold.
fn read_key(request: &EnrollRequest) -> Result<[u8; 32], Problem> {
    if request.protocol != PROTOCOL {
        return Err(malformed(&format!("protocol {} is not spoken here; this is {PROTOCOL}", request.protocol)));
    }
    let key: PublicKey = request.signing_key.parse().map_err(|_| malformed("signing_key is not an Ed25519 key"))?;
    let proof: Signature =
        request.signing_proof.parse().map_err(|_| malformed("signing_proof is not an Ed25519 signature"))?;
    verify_enrolment(&key, &request.token, &request.csr_pem, &proof)
        .map_err(|_| malformed("signing_proof does not prove the key that signing_key names"))?;
    from_hex(&request.signing_key).map_err(|_| malformed("signing_key is not 64 hexadecimal digits"))
}

enum Unusable {
    Unknown,
    Used,
    Ended,
}

struct Refusal {
    why: Unusable,
    token: Option<Box<TokenRow>>,
}

fn usable(token: Option<TokenRow>, now: Timestamp) -> Result<TokenRow, Refusal> {
    match token {
        None => Err(Refusal { why: Unusable::Unknown, token: None }),
        Some(token) if token.used.is_some() => Err(Refusal::of(Unusable::Used, token)),
        Some(token) if token.expires_at <= now => Err(Refusal::of(Unusable::Ended, token)),
        Some(token) => Ok(token),
    }
}

impl Refusal {
    fn of(why: Unusable, token: TokenRow) -> Self {
        Self { why, token: Some(Box::new(token)) }
    }

    /// Writes the refusal down and says what to answer.
    fn record(self, tx: &mut dyn Tx, now: Timestamp) -> Result<Problem, DeskError> {
        let (what, code, title, detail) = match self.why {
            Unusable::Unknown => (
                "token.unknown",
                codes::TOKEN_UNKNOWN,
                "this enrolment token was never given out",
                "copy the whole link, or make another with `upheld-collector agent token`",
            ),
            Unusable::Used => (
                "token.reused",
                codes::TOKEN_USED,
                "this enrolment token has been used",
                "a token takes in one host; make another with `upheld-collector agent token`",
            ),
            Unusable::Ended => (
                "token.ended",
                codes::TOKEN_EXPIRED,
                "this enrolment token is older than its time",
                "make another with `upheld-collector agent token`",
            ),
        };
        let client = self.token.as_ref().map(|token| &token.client);
        let used_by = self.token.as_ref().and_then(|token| token.used.as_ref()).map(|(_, agent)| agent);
        audit::note(tx, now, &Actor::Collector, client, what, &json!({ "used_by": used_by }))?;
        Ok(problem(403, code, title, detail))
    }
}

fn malformed(why: &str) -> Problem {
    problem(400, codes::MALFORMED, "this enrolment request cannot be accepted", why)
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}
