//! How a host becomes an agent (SECURITY 11, 12), comes back ([`returns`]), and waits for a person ([`waiting`]).

mod refusal;
pub mod returns;
pub mod site_token;
pub mod waiting;

use std::{collections::BTreeSet, net::IpAddr};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_evidence::{PublicKey, Signature, from_hex, verify_enrolment};
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{
    StoreError, Tx,
    agents::{AgentRow, AgentStatus},
    certificates::CertificateRow,
    site_tokens::{ArrivalRow, SiteTokenRow},
    tokens::TokenRow,
};
use upheld_wire::v1::{
    AgentConfig, PROTOCOL, Problem, Relations, codes,
    enroll::{EnrollAnswer, EnrollRequest},
};

use crate::{
    Actor, Desk, DeskError, audit, clock,
    problem::{problem, unavailable},
    random,
};
use refusal::Refusal;

pub use returns::Asking;
pub use site_token::{Network, RulePart, SiteTokenTerms, TokenView};
pub use waiting::{DecideError, Decided, WaitingHost, WaitsAs};

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
    /// None, or more hosts than [`site_token::USES_MAX`].
    #[error("a site token may be for 1 to 500 hosts, not {0}")]
    Uses(u32),
    /// The time is zero, negative or beyond [`site_token::SITE_TOKEN_TTL_MAX`].
    #[error("a site token may live for 1 s to 14 days, not {0:#}")]
    SiteTtl(SignedDuration),
    /// No network, or too many of them or of the rule's parts.
    #[error("a site token names the networks that its hosts come from, 1 to {0}: --from 10.20.0.0/16")]
    Networks(usize),
    /// Too many are open.
    #[error("{0} site tokens are open already: see `upheld-collector agent token list`, take back what is not needed")]
    TooMany(usize),
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
    /// When it was issued, in whole seconds, as the certificate itself says.
    pub issued_at: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
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
        self.place_of_book(client, site).await?;
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

    /// Refuses a client or site that the book does not have.
    async fn place_of_book(&self, client: &ClientId, site: &SiteId) -> Result<(), TokenError> {
        let book = self.current_book().await?;
        if book.book.client(client).is_none() {
            return Err(TokenError::NoSuchClient(client.clone()));
        }
        if book.book.site(client, site).is_none() {
            return Err(TokenError::NoSuchSite { client: client.clone(), site: site.clone() });
        }
        Ok(())
    }

    /// Takes a host in that asks from `address`: checks the token and the proof of the signing key, gives an id, has
    /// `issue` make the certificate for it (from the request's CSR; an `Err` text becomes a 400 problem), then uses the
    /// token and writes the agent's row in one transaction. Of many uses of the last use of a token exactly one succeeds;
    /// each other is a 403 problem and an audit entry. A host of a site token waits for a person unless the token's rule
    /// approves it: it is told so, and nothing of what it should watch.
    pub async fn enroll<F>(
        &self,
        request: EnrollRequest,
        address: IpAddr,
        now: Timestamp,
        issue: F,
    ) -> Result<EnrollAnswer, Problem>
    where
        F: FnOnce(&AgentId, &EnrollRequest) -> Result<Certificate, String> + Send,
    {
        let now = clock::stored(now);
        let signing_key = read_key(&request)?;
        let hash = random::hash(&request.token);
        let address = address.to_canonical();
        // A look before the work: whoever has no token cannot make the authority sign.
        let token = self
            .write_or_problem("desk.enroll_look", move |tx| match Token::usable(tx, &hash, address, now)? {
                Ok(token) => Ok(Ok(token)),
                Err(refusal) => refusal.record(tx, address, now).map(Err),
            })
            .await??;
        let agent: AgentId = random::id("a-")
            .and_then(|id| id.parse().map_err(|error| DeskError::unreadable("new agent id", &error)))
            .map_err(|error| unavailable(&error))?;
        let certificate = issue(&agent, &request).map_err(|why| malformed(&why))?;
        let (client, site) = token.place();
        let host: String = request.host.chars().take(255).collect();
        let status = token.status_of(&host, address).map_err(|error| unavailable(&error))?;
        let row = AgentRow {
            client: client.clone(),
            agent: agent.clone(),
            site: site.clone(),
            host,
            status,
            signing_key,
            enrolled_at: now,
            status_at: now,
            first_seen: None,
        };
        let arriving = Arriving { token: token.clone(), row, address, ends: certificate.ends, now };
        self.write_or_problem("desk.enroll", move |tx| arriving.take_in(tx)).await??;
        self.welcome(agent, &token, certificate, status, now).await.map_err(|error| unavailable(&error))
    }

    async fn welcome(
        &self,
        agent: AgentId,
        token: &Token,
        certificate: Certificate,
        status: AgentStatus,
        now: Timestamp,
    ) -> Result<EnrollAnswer, DeskError> {
        let book = self.current_book().await?;
        let (client, site) = token.place();
        let (client, site) = (client.clone(), site.clone());
        let is_pending = status == AgentStatus::Pending;
        let config = match is_pending {
            false => book.config_for(&agent, &client, &site),
            // Whoever has nothing but the token learns nothing of the site's network.
            true => AgentConfig { checks: Vec::new(), ..empty(book.config_for(&agent, &client, &site)) },
        };
        let client_name = book.book.client(&client).map_or_else(|| client.to_string(), |entry| entry.name.clone());
        let site_name = book.book.site(&client, &site).map_or_else(|| site.to_string(), |entry| entry.name.clone());
        Ok(EnrollAnswer {
            config,
            pending: is_pending,
            client_name,
            site_name,
            provider_name: book.book.provider.name.clone(),
            agent,
            client,
            site,
            chain_pem: certificate.chain_pem,
            roots_pem: certificate.roots_pem,
            collector_time: now,
            // Where they are is the server's to say.
            collectors: Vec::new(),
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

/// What remains of a configuration for a host that waits: how often to speak.
fn empty(config: AgentConfig) -> AgentConfig {
    AgentConfig { version: 0, relations: Relations::default(), jobs: BTreeSet::new(), ..config }
}

/// A token that can be used.
#[derive(Clone)]
enum Token {
    Host(TokenRow),
    Site(SiteTokenRow),
}

impl Token {
    fn place(&self) -> (&ClientId, &SiteId) {
        match self {
            Self::Host(TokenRow { client, site, .. }) | Self::Site(SiteTokenRow { client, site, .. }) => (client, site),
        }
    }

    /// Whether a host that comes with it may report at once.
    fn status_of(&self, host: &str, address: IpAddr) -> Result<AgentStatus, DeskError> {
        Ok(match self {
            Self::Host(_) => AgentStatus::Active,
            Self::Site(row) if site_token::approves(&site_token::rule_of(row)?, host, address) => AgentStatus::Active,
            Self::Site(_) => AgentStatus::Pending,
        })
    }
}

/// A host that is being taken in.
struct Arriving {
    token: Token,
    row: AgentRow,
    address: IpAddr,
    ends: Timestamp,
    now: Timestamp,
}

impl Arriving {
    /// Uses the token and writes the agent, or neither. `Ok(Err)` is a refusal whose audit entry is kept.
    fn take_in(&self, tx: &mut dyn Tx) -> Result<Result<(), Problem>, DeskError> {
        let AgentRow { client, agent, site, host, status, .. } = &self.row;
        let (hash, is_used) = match &self.token {
            Token::Host(token) => (token.hash, tx.use_token(&token.hash, agent, self.now)?),
            Token::Site(token) => (token.hash, tx.use_site_token(&token.hash, self.now)?),
        };
        if !is_used {
            // Between the look and here somebody else used it, or its time ended.
            let refusal = match Token::usable(tx, &hash, self.address, self.now)? {
                Ok(token) => Refusal::used(token),
                Err(refusal) => refusal,
            };
            return refusal.record(tx, self.address, self.now).map(Err);
        }
        tx.insert_agent(&self.row)?;
        let (void_before, root) = (None, None);
        let certificate =
            CertificateRow { client: client.clone(), agent: agent.clone(), ends: self.ends, void_before, root };
        tx.put_certificate(&certificate)?;
        let who = Actor::Agent(agent.to_string());
        let mut detail = json!({ "agent": agent, "site": site, "host": host, "address": self.address });
        if let Token::Site(token) = &self.token {
            detail["token"] = json!(site_token::name_of(&token.hash));
            detail["waits"] = json!(*status == AgentStatus::Pending);
            let decided = match status {
                AgentStatus::Pending => None,
                AgentStatus::Active | AgentStatus::Revoked | AgentStatus::Quarantined => {
                    Some((self.now, Actor::Collector.id(tx)?))
                }
            };
            let (client, agent, address) = (client.clone(), agent.clone(), self.address.to_string());
            let row = ArrivalRow { client, agent, token: token.hash, address, asked_at: self.now, decided };
            tx.insert_arrival(&row)?;
        }
        audit::note(tx, self.now, &who, Some(client), "agent.enrolled", &detail)?;
        Ok(Ok(()))
    }
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

fn malformed(why: &str) -> Problem {
    problem(400, codes::MALFORMED, "this enrolment request cannot be accepted", why)
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}
