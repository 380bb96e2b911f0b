//! Agents: who may deliver, and what each said last.

use jiff::Timestamp;
use upheld_model::{AgentId, BootId, ClientId, Mono, SiteId};

use crate::{
    StoreError,
    sql::{Asked, At, Bits, Param as _, Parsed, Query, Read, Row, Sql, params, query, texts},
};

upheld_model::vocabulary! {
    /// Whether an agent may deliver.
    AgentStatus, "agent status", {
        /// It may.
        Active = "active",
        /// A person revoked it.
        Revoked = "revoked",
        /// It came with a site token and waits for a person or a rule.
        Pending = "pending",
        /// Two hosts use its identity; waits for a person.
        Quarantined = "quarantined",
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// Whose host it is.
    pub client: ClientId,
    /// Its id.
    pub agent: AgentId,
    /// Where it stands.
    pub site: SiteId,
    /// The host's own name, as it said at enrolment.
    pub host: String,
    /// Whether it may deliver.
    pub status: AgentStatus,
    /// Its Ed25519 key for evidence, public part.
    pub signing_key: [u8; 32],
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When its status last changed.
    pub status_at: Timestamp,
    /// When its first request was taken.
    pub first_seen: Option<Timestamp>,
}

/// What an agent said of the present in its last request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentNowRow {
    /// Whose host it is.
    pub client: ClientId,
    /// Its id.
    pub agent: AgentId,
    /// When the request was received.
    pub last_seen: Timestamp,
    /// The agent's wall clock as it sent.
    pub wall: Timestamp,
    /// The agent's monotonic clock as it sent.
    pub mono: Mono,
    /// Its boot.
    pub boot: BootId,
    /// The collector's clock minus the agent's, in milliseconds.
    pub offset_ms: i64,
    /// Its version.
    pub version: String,
    /// The configuration version it runs.
    pub config_version: u64,
    /// Records that wait at the agent.
    pub waiting: u64,
    /// When the oldest of them was written, by the agent's clock.
    pub oldest_waiting: Option<Timestamp>,
    /// Every check's state, JSON.
    pub checks: String,
    /// What ails it, a JSON array of sentences.
    pub ailments: String,
}

/// A sign of life of an agent that said nothing new of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRow {
    /// Whose host it is.
    pub client: ClientId,
    /// Its id.
    pub agent: AgentId,
    /// When the request was received.
    pub last_seen: Timestamp,
    /// The agent's wall clock as it sent.
    pub wall: Timestamp,
    /// The agent's monotonic clock as it sent.
    pub mono: Mono,
    /// The collector's clock minus the agent's, in milliseconds.
    pub offset_ms: i64,
}

/// Reading agents.
pub trait AgentReads {
    /// The agent of this id, whoever's it is: for the door, which knows only a certificate.
    fn agent(&self, agent: &AgentId) -> Result<Option<AgentRow>, StoreError>;
    /// One client's agents by id; all clients' when `None`.
    fn agents(&self, client: Option<&ClientId>) -> Result<Vec<AgentRow>, StoreError>;
    /// What an agent said last; `None` before its first request.
    fn agent_now(&self, client: &ClientId, agent: &AgentId) -> Result<Option<AgentNowRow>, StoreError>;
    /// Active agents that were last seen before `cutoff`, longest silent first, each with when that was.
    fn agents_unseen_since(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<(AgentRow, Timestamp)>, StoreError>;
    /// Active agents that were enrolled before `cutoff` and never seen, longest enrolled first.
    fn agents_unheard_since(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<AgentRow>, StoreError>;
    /// When any agent was last seen.
    fn last_seen_of_any(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Writing agents.
pub trait AgentWrites {
    /// Adds an agent; an id that is taken is [`StoreError::Exists`].
    fn insert_agent(&mut self, row: &AgentRow) -> Result<(), StoreError>;
    /// Changes the status from one to another; whether this call did it.
    fn change_agent_status(
        &mut self,
        agent: &AgentId,
        from: AgentStatus,
        to: AgentStatus,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Lets a pending agent in, from when on it counts as enrolled; whether this call did it.
    fn admit_agent(&mut self, agent: &AgentId, at: Timestamp) -> Result<bool, StoreError>;
    /// Notes an agent's first request; later ones change nothing.
    fn note_first_seen(&mut self, client: &ClientId, agent: &AgentId, at: Timestamp) -> Result<(), StoreError>;
    /// Keeps what an agent said of the present, in place of what it said before.
    fn put_agent_now(&mut self, row: &AgentNowRow) -> Result<(), StoreError>;
    /// Notes signs of life of agents of whom a present is kept. One that is older than what is kept changes nothing: the
    /// agent was heard since, perhaps by another collector.
    fn note_seen(&mut self, rows: &[SeenRow]) -> Result<(), StoreError>;
    /// Agents that were heard after `now`, by a clock that was wrong then, were heard at `now`.
    fn last_seen_at_most(&mut self, now: Timestamp) -> Result<(), StoreError>;
}

const AGENT: Query = query!(
    "agents.by_id",
    "SELECT client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen FROM agents WHERE agent = ?1"
);
const AGENTS_OF_CLIENT: Query = query!(
    "agents.of_client",
    "SELECT client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen FROM agents WHERE client = ?1 \
     ORDER BY agent"
);
const AGENTS_ALL: Query = query!(
    "agents.all",
    "SELECT client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen FROM agents ORDER BY client, agent"
);
const INSERT: Query = query!(
    "agents.insert",
    "INSERT INTO agents (client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
);
const CHANGE_STATUS: Query =
    query!("agents.change_status", "UPDATE agents SET status = ?3, status_at = ?4 WHERE agent = ?1 AND status = ?2");
const ADMIT: Query = query!(
    "agents.admit",
    "UPDATE agents SET status = 'active', status_at = ?2, enrolled_at = ?2 WHERE agent = ?1 AND status = 'pending'"
);
const NOW: Query = query!(
    "agent_now.get",
    "SELECT client, agent, last_seen, wall, mono, boot, offset_ms, version, config_version, waiting, oldest_waiting, \
     checks, ailments FROM agent_now WHERE client = ?1 AND agent = ?2"
);
const UNSEEN: Query = query!(
    "agent_now.unseen_since",
    "SELECT a.client, a.agent, a.site, a.host, a.status, a.signing_key, a.enrolled_at, a.status_at, a.first_seen, \
     n.last_seen FROM agent_now n CROSS JOIN agents a WHERE a.client = n.client AND a.agent = n.agent \
     AND n.last_seen < ?1 AND a.status = 'active' ORDER BY n.last_seen LIMIT ?2"
);
const UNHEARD: Query = query!(
    "agents.unheard_since",
    "SELECT client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen FROM agents \
     WHERE first_seen IS NULL AND enrolled_at < ?1 AND status = 'active' ORDER BY enrolled_at LIMIT ?2"
);
const FIRST_SEEN: Query = query!(
    "agents.first_seen",
    "UPDATE agents SET first_seen = ?3 WHERE client = ?1 AND agent = ?2 AND first_seen IS NULL"
);
const LAST_SEEN: Query =
    query!("agent_now.last_seen_of_any", "SELECT last_seen FROM agent_now ORDER BY last_seen DESC LIMIT 1");
const AT_MOST: Query = query!("agent_now.at_most", "UPDATE agent_now SET last_seen = ?1 WHERE last_seen > ?1");
const PUT_NOW: Query = query!(
    "agent_now.put",
    "INSERT INTO agent_now (client, agent, last_seen, wall, mono, boot, offset_ms, version, config_version, \
     waiting, oldest_waiting, checks, ailments) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
     ON CONFLICT (client, agent) DO UPDATE SET last_seen = excluded.last_seen, wall = excluded.wall, mono = excluded.mono, \
     boot = excluded.boot, offset_ms = excluded.offset_ms, version = excluded.version, \
     config_version = excluded.config_version, waiting = excluded.waiting, oldest_waiting = excluded.oldest_waiting, \
     checks = excluded.checks, ailments = excluded.ailments"
);

const SEEN: Query = query!(
    "agent_now.seen",
    "UPDATE agent_now SET last_seen = ?3, wall = ?4, mono = ?5, offset_ms = ?6 \
     WHERE client = ?1 AND agent = ?2 AND last_seen < ?3"
);

/// The queries that run often, for the test of their plans.
#[cfg(test)]
pub(crate) const HOT: &[Query] =
    &[AGENT, AGENTS_OF_CLIENT, CHANGE_STATUS, ADMIT, NOW, UNSEEN, UNHEARD, FIRST_SEEN, LAST_SEEN, AT_MOST, SEEN];

fn agent_row(row: &Row<'_>) -> Read<AgentRow> {
    Ok(AgentRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agent: row.get::<Parsed<_>>(1)?.0,
        site: row.get::<Parsed<_>>(2)?.0,
        host: row.get(3)?,
        status: row.get::<Parsed<_>>(4)?.0,
        signing_key: row.get(5)?,
        enrolled_at: row.get::<At>(6)?.0,
        status_at: row.get::<At>(7)?.0,
        first_seen: row.get::<Option<At>>(8)?.map(|at| at.0),
    })
}

fn now_row(row: &Row<'_>) -> Read<AgentNowRow> {
    Ok(AgentNowRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agent: row.get::<Parsed<_>>(1)?.0,
        last_seen: row.get::<At>(2)?.0,
        wall: row.get::<At>(3)?.0,
        mono: Mono(row.get::<Bits>(4)?.0),
        boot: row.get::<Parsed<_>>(5)?.0,
        offset_ms: row.get(6)?,
        version: row.get(7)?,
        config_version: row.get::<Bits>(8)?.0,
        waiting: row.get::<Bits>(9)?.0,
        oldest_waiting: row.get::<Option<At>>(10)?.map(|at| at.0),
        checks: row.get(11)?,
        ailments: row.get(12)?,
    })
}

/// [`AgentReads::agent`] as it is asked.
pub(crate) fn ask_agent(agent: &AgentId) -> Asked<'_> {
    (&AGENT, texts([agent.as_str()]))
}

/// [`AgentReads::agent_now`] as it is asked.
pub(crate) fn ask_now<'a>(client: &'a ClientId, agent: &'a AgentId) -> Asked<'a> {
    (&NOW, texts([client.as_str(), agent.as_str()]))
}

impl AgentReads for Sql<'_> {
    fn agent(&self, agent: &AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.one(&AGENT, [agent.as_str()], agent_row)
    }

    fn agents(&self, client: Option<&ClientId>) -> Result<Vec<AgentRow>, StoreError> {
        match client {
            Some(client) => self.all(&AGENTS_OF_CLIENT, [client.as_str()], agent_row),
            None => self.all(&AGENTS_ALL, params![], agent_row),
        }
    }

    fn agent_now(&self, client: &ClientId, agent: &AgentId) -> Result<Option<AgentNowRow>, StoreError> {
        self.one(&NOW, [client.as_str(), agent.as_str()], now_row)
    }

    fn agents_unseen_since(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<(AgentRow, Timestamp)>, StoreError> {
        self.all(&UNSEEN, params![At(cutoff), limit], |row| Ok((agent_row(row)?, row.get::<At>(9)?.0)))
    }

    fn agents_unheard_since(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<AgentRow>, StoreError> {
        self.all(&UNHEARD, params![At(cutoff), limit], agent_row)
    }

    fn last_seen_of_any(&self) -> Result<Option<Timestamp>, StoreError> {
        self.one(&LAST_SEEN, params![], |row| Ok(row.get::<At>(0)?.0))
    }
}

impl AgentWrites for Sql<'_> {
    fn insert_agent(&mut self, row: &AgentRow) -> Result<(), StoreError> {
        let AgentRow { client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen } = row;
        self.run(
            &INSERT,
            params![
                client.as_str(),
                agent.as_str(),
                site.as_str(),
                host,
                status.as_str(),
                signing_key,
                At(*enrolled_at),
                At(*status_at),
                first_seen.map(At)
            ],
        )
        .map(drop)
    }

    fn change_agent_status(
        &mut self,
        agent: &AgentId,
        from: AgentStatus,
        to: AgentStatus,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = self.run(&CHANGE_STATUS, params![agent.as_str(), from.as_str(), to.as_str(), At(at)])?;
        Ok(changed == 1)
    }

    fn admit_agent(&mut self, agent: &AgentId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&ADMIT, params![agent.as_str(), At(at)])? == 1)
    }

    fn note_first_seen(&mut self, client: &ClientId, agent: &AgentId, at: Timestamp) -> Result<(), StoreError> {
        self.later(&FIRST_SEEN, params![client.as_str(), agent.as_str(), At(at)])
    }

    fn note_seen(&mut self, rows: &[SeenRow]) -> Result<(), StoreError> {
        let numbers: Vec<_> = rows.iter().map(|row| (At(row.last_seen), At(row.wall), Bits(row.mono.0))).collect();
        let sets: Vec<_> = rows
            .iter()
            .zip(&numbers)
            .map(|(row, (last_seen, wall, mono))| {
                vec![
                    row.client.as_str().value(),
                    row.agent.as_str().value(),
                    last_seen.value(),
                    wall.value(),
                    mono.value(),
                    row.offset_ms.value(),
                ]
            })
            .collect();
        self.0.later(&SEEN, &sets)
    }

    fn last_seen_at_most(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.run(&AT_MOST, params![At(now)]).map(drop)
    }

    fn put_agent_now(&mut self, row: &AgentNowRow) -> Result<(), StoreError> {
        self.later(
            &PUT_NOW,
            params![
                row.client.as_str(),
                row.agent.as_str(),
                At(row.last_seen),
                At(row.wall),
                Bits(row.mono.0),
                row.boot.as_str(),
                row.offset_ms,
                row.version,
                Bits(row.config_version),
                Bits(row.waiting),
                row.oldest_waiting.map(At),
                row.checks,
                row.ailments
            ],
        )
    }
}
