//! The last certificate of each agent, and hosts that ask to be taken back (SECURITY 14, 15).

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest};

use crate::{
    StoreError,
    sql::{Asked, At, Parsed, Query, Read, Row, Sha, Sql, params, query, texts},
};

/// What is known of an agent's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// Whose host it is.
    pub client: ClientId,
    /// The agent.
    pub agent: AgentId,
    /// When the last one that was given out ends.
    pub ends: Timestamp,
    /// Certificates that begin before this instant are void, whatever their own end says.
    pub void_before: Option<Timestamp>,
    /// The root (fingerprint) under which the one that was shown last is made, as far as it was noted.
    pub root: Option<String>,
}

upheld_model::vocabulary! {
    /// What became of a host that asks to be taken back.
    ReturnState, "state of a return", {
        /// It waits for a person.
        Waiting = "waiting",
        /// A person approved it; it has not fetched its certificate yet.
        Approved = "approved",
        /// A person refused it.
        Refused = "refused",
        /// It has been given a certificate.
        Taken = "taken",
    }
}

/// One host that asks to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnRow {
    /// Whose host it says to be, by the agent's row.
    pub client: ClientId,
    /// The agent whose key it proved.
    pub agent: AgentId,
    /// SHA-256 of the public key of its certificate request: tells two hosts of one identity apart.
    pub key: Digest,
    /// The host's own name.
    pub host: String,
    /// Where it asked from.
    pub address: String,
    /// Why it was not taken back by itself, in words.
    pub why: String,
    /// What became of it.
    pub state: ReturnState,
    /// When it asked first.
    pub asked_at: Timestamp,
    /// When it asked last.
    pub last_asked: Timestamp,
    /// When it was decided, and by whom (an id of [`crate::people`]).
    pub decided: Option<(Timestamp, String)>,
}

/// Reading certificates and returns.
pub trait CertificateReads {
    /// What is known of an agent's certificates; `None` when none was noted.
    fn certificate(&self, client: &ClientId, agent: &AgentId) -> Result<Option<CertificateRow>, StoreError>;
    /// Those whose last one ends before `cutoff`, the first to end first.
    fn certificates_ending(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<CertificateRow>, StoreError>;
    /// Every host that asked to be taken back as this agent, the first to ask first.
    fn returns_of(&self, client: &ClientId, agent: &AgentId) -> Result<Vec<ReturnRow>, StoreError>;
    /// Hosts whose asking is in this state, the first to ask first.
    fn returns_in(&self, state: ReturnState, limit: u32) -> Result<Vec<ReturnRow>, StoreError>;
}

/// Writing certificates and returns.
pub trait CertificateWrites {
    /// Keeps what is known of an agent's certificates, in place of what was known before.
    fn put_certificate(&mut self, row: &CertificateRow) -> Result<(), StoreError>;
    /// No certificate that was given out may have ended before `at`: after a restore nobody knows.
    fn certificates_end_no_sooner(&mut self, at: Timestamp) -> Result<(), StoreError>;
    /// Keeps a return, in place of the same host's before.
    fn put_return(&mut self, row: &ReturnRow) -> Result<(), StoreError>;
    /// Forgets a return.
    fn delete_return(&mut self, client: &ClientId, agent: &AgentId, key: &Digest) -> Result<(), StoreError>;
}

const GET: Query = query!(
    "certificates.get",
    "SELECT client, agent, ends, void_before, root FROM certificates WHERE client = ?1 AND agent = ?2"
);
const ENDING: Query = query!(
    "certificates.ending",
    "SELECT client, agent, ends, void_before, root FROM certificates WHERE ends < ?1 ORDER BY ends LIMIT ?2"
);
const PUT: Query = query!(
    "certificates.put",
    "INSERT INTO certificates (client, agent, ends, void_before, root) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (client, agent) DO UPDATE SET ends = excluded.ends, void_before = excluded.void_before, root = excluded.root"
);
const NO_SOONER: Query = query!("certificates.no_sooner", "UPDATE certificates SET ends = ?1 WHERE ends < ?1");
const RETURNS_OF: Query = query!(
    "returns.of",
    "SELECT client, agent, key, host, address, why, state, asked_at, last_asked, decided_at, decided_by FROM returns \
     WHERE client = ?1 AND agent = ?2 ORDER BY asked_at"
);
const RETURNS_IN: Query = query!(
    "returns.in",
    "SELECT client, agent, key, host, address, why, state, asked_at, last_asked, decided_at, decided_by FROM returns \
     WHERE state = ?1 ORDER BY asked_at LIMIT ?2"
);
const PUT_RETURN: Query = query!(
    "returns.put",
    "INSERT INTO returns (client, agent, key, host, address, why, state, asked_at, last_asked, decided_at, \
     decided_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
     ON CONFLICT (client, agent, key) DO UPDATE SET host = excluded.host, address = excluded.address, why = excluded.why, \
     state = excluded.state, asked_at = excluded.asked_at, last_asked = excluded.last_asked, \
     decided_at = excluded.decided_at, decided_by = excluded.decided_by"
);
const DELETE_RETURN: Query =
    query!("returns.delete", "DELETE FROM returns WHERE client = ?1 AND agent = ?2 AND key = ?3");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, ENDING, RETURNS_OF, RETURNS_IN, DELETE_RETURN];

fn certificate_row(row: &Row<'_>) -> Read<CertificateRow> {
    Ok(CertificateRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agent: row.get::<Parsed<_>>(1)?.0,
        ends: row.get::<At>(2)?.0,
        void_before: row.get::<Option<At>>(3)?.map(|at| at.0),
        root: row.get(4)?,
    })
}

fn return_row(row: &Row<'_>) -> Read<ReturnRow> {
    let decided_at = row.get::<Option<At>>(9)?.map(|at| at.0);
    let decided_by = row.get::<Option<String>>(10)?;
    Ok(ReturnRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agent: row.get::<Parsed<_>>(1)?.0,
        key: row.get::<Sha>(2)?.0,
        host: row.get(3)?,
        address: row.get(4)?,
        why: row.get(5)?,
        state: row.get::<Parsed<_>>(6)?.0,
        asked_at: row.get::<At>(7)?.0,
        last_asked: row.get::<At>(8)?.0,
        decided: decided_at.zip(decided_by),
    })
}

/// [`CertificateReads::certificate`] as it is asked.
pub(crate) fn ask_certificate<'a>(client: &'a ClientId, agent: &'a AgentId) -> Asked<'a> {
    (&GET, texts([client.as_str(), agent.as_str()]))
}

impl CertificateReads for Sql<'_> {
    fn certificate(&self, client: &ClientId, agent: &AgentId) -> Result<Option<CertificateRow>, StoreError> {
        self.one(&GET, [client.as_str(), agent.as_str()], certificate_row)
    }

    fn certificates_ending(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<CertificateRow>, StoreError> {
        self.all(&ENDING, params![At(cutoff), limit], certificate_row)
    }

    fn returns_of(&self, client: &ClientId, agent: &AgentId) -> Result<Vec<ReturnRow>, StoreError> {
        self.all(&RETURNS_OF, [client.as_str(), agent.as_str()], return_row)
    }

    fn returns_in(&self, state: ReturnState, limit: u32) -> Result<Vec<ReturnRow>, StoreError> {
        self.all(&RETURNS_IN, params![state.as_str(), limit], return_row)
    }
}

impl CertificateWrites for Sql<'_> {
    fn put_certificate(&mut self, row: &CertificateRow) -> Result<(), StoreError> {
        let CertificateRow { client, agent, ends, void_before, root } = row;
        self.run(&PUT, params![client.as_str(), agent.as_str(), At(*ends), void_before.map(At), root]).map(drop)
    }

    fn certificates_end_no_sooner(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.run(&NO_SOONER, [At(at)]).map(drop)
    }

    fn put_return(&mut self, row: &ReturnRow) -> Result<(), StoreError> {
        let ReturnRow { client, agent, key, host, address, why, state, asked_at, last_asked, decided } = row;
        let (decided_at, decided_by) = decided.clone().unzip();
        self.run(
            &PUT_RETURN,
            params![
                client.as_str(),
                agent.as_str(),
                key.0,
                host,
                address,
                why,
                state.as_str(),
                At(*asked_at),
                At(*last_asked),
                decided_at.map(At),
                decided_by
            ],
        )
        .map(drop)
    }

    fn delete_return(&mut self, client: &ClientId, agent: &AgentId, key: &Digest) -> Result<(), StoreError> {
        self.run(&DELETE_RETURN, params![client.as_str(), agent.as_str(), key.0]).map(drop)
    }
}
