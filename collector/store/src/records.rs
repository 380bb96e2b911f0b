//! Records as agents delivered them, how much of each journal is held, and what could not be read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest, Epoch, RecordId, Seq};

use crate::{
    StoreError,
    sql::{Asked, At, Bits, Id16, Param as _, Query, Read, Row, Sha, Sql, Value, params, query, texts},
};

/// Whose records: every call about records names the client (SECURITY 23).
#[derive(Debug, Clone, Copy)]
pub struct AgentKey<'a> {
    /// Whose host it is.
    pub client: &'a ClientId,
    /// The agent.
    pub agent: &'a AgentId,
}

/// What a record is recognised by: its id and the hash of its content.
pub type RecordName = (RecordId, Digest);

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The journal's life.
    pub epoch: Epoch,
    /// The place in it.
    pub seq: Seq,
    /// Its name for ever.
    pub record_id: RecordId,
    /// The hash of salt and body.
    pub content_hash: Digest,
    /// The chain after it.
    pub chain: Digest,
    /// The salt.
    pub salt: RecordId,
    /// The agent's signature of the chain.
    pub sig: Option<String>,
    /// In an epoch's first record: the epoch before, JSON.
    pub previous: Option<String>,
    /// When the collector took it.
    pub received_at: Timestamp,
    /// The collector's clock minus the agent's at that upload, in milliseconds.
    pub offset_ms: i64,
    /// The bytes that were hashed; `null` when the agent had given the body up for room.
    pub body: String,
    /// Whether it tells of more than samples: such a record stays for years ([`crate::forgotten`]).
    pub is_fact: bool,
}

/// How much is held of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRow {
    /// The epoch.
    pub epoch: Epoch,
    /// Its number of records.
    pub len: u64,
    /// The chain after the last.
    pub chain: Digest,
    /// The order in which this agent's epochs began, from 0.
    pub ordinal: u64,
}

/// A record that advances the chain but could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// The epoch.
    pub epoch: Epoch,
    /// The place in it.
    pub seq: Seq,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Why it could not be read.
    pub reason: String,
    /// Its bytes.
    pub body: String,
}

/// Reading records.
pub trait RecordReads {
    /// What is held of every epoch of an agent, in the order in which they began.
    fn heads(&self, key: AgentKey<'_>) -> Result<Vec<HeadRow>, StoreError>;
    /// Which of these contents were taken before, in whatever epoch, and its row or at least its identity is here.
    fn known_records(&self, key: AgentKey<'_>, names: &[RecordName]) -> Result<BTreeSet<RecordName>, StoreError>;
    /// Records of one epoch from a place on, at most `limit`. A place is left out when its content is held under an
    /// earlier epoch.
    fn records(&self, key: AgentKey<'_>, epoch: Epoch, from: Seq, limit: u32) -> Result<Vec<RecordRow>, StoreError>;
    /// How many records are held of an agent: each content once.
    fn count_records(&self, key: AgentKey<'_>) -> Result<u64, StoreError>;
    /// What could not be read of an agent, in order of place.
    fn dead_letters(&self, key: AgentKey<'_>) -> Result<Vec<DeadLetterRow>, StoreError>;
    /// The forks that an agent showed since an instant.
    fn forks_since(&self, key: AgentKey<'_>, since: Timestamp) -> Result<Vec<Digest>, StoreError>;
}

/// Writing records.
pub trait RecordWrites {
    /// Adds records; a place that is taken is [`StoreError::Exists`], said here or as the transaction's own error, and undoes
    /// the transaction.
    fn insert_records(&mut self, key: AgentKey<'_>, rows: &[RecordRow]) -> Result<(), StoreError>;
    /// Sets what is held of an epoch.
    fn put_head(&mut self, key: AgentKey<'_>, head: &HeadRow, begun_at: Timestamp) -> Result<(), StoreError>;
    /// Keeps a record that could not be read.
    fn insert_dead_letter(&mut self, key: AgentKey<'_>, row: &DeadLetterRow) -> Result<(), StoreError>;
    /// Notes a fork; the same one twice is one.
    fn note_fork(&mut self, key: AgentKey<'_>, fork: &Digest, at: Timestamp) -> Result<(), StoreError>;
}

const HEADS: Query = query!(
    "heads.of_agent",
    "SELECT epoch, len, chain, ordinal FROM heads WHERE client = ?1 AND agent = ?2 ORDER BY ordinal"
);
const KNOWN: Query = query!(
    "records.is_known",
    "SELECT 1 FROM records WHERE client = ?1 AND agent = ?2 AND record_id = ?3 AND content_hash = ?4 UNION ALL \
     SELECT 1 FROM known_records WHERE client = ?1 AND agent = ?2 AND record_id = ?3 AND content_hash = ?4 LIMIT 1"
);
const RANGE: Query = query!(
    "records.range",
    "SELECT epoch, seq, record_id, content_hash, chain, salt, sig, previous, received_at, offset_ms, body, is_fact \
     FROM records \
     WHERE client = ?1 AND agent = ?2 AND epoch = ?3 AND seq >= ?4 ORDER BY seq LIMIT ?5"
);
const COUNT: Query = query!("records.count", "SELECT count(*) FROM records WHERE client = ?1 AND agent = ?2");
const INSERT: Query = query!(
    "records.insert",
    "INSERT INTO records (client, agent, epoch, seq, record_id, content_hash, chain, salt, sig, previous, received_at, \
     offset_ms, body, is_fact) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
);
const PUT_HEAD: Query = query!(
    "heads.put",
    "INSERT INTO heads (client, agent, epoch, len, chain, begun_at, ordinal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT (client, agent, epoch) DO UPDATE SET len = excluded.len, chain = excluded.chain"
);
const DEAD: Query = query!(
    "dead_letters.of_agent",
    "SELECT epoch, seq, received_at, reason, body FROM dead_letters WHERE client = ?1 AND agent = ?2 ORDER BY epoch, seq"
);
const INSERT_DEAD: Query = query!(
    "dead_letters.insert",
    "INSERT INTO dead_letters (client, agent, epoch, seq, received_at, reason, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);
const NOTE_FORK: Query =
    query!("forks.note", "INSERT INTO forks (client, agent, fork, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING");
const FORKS_SINCE: Query =
    query!("forks.since", "SELECT fork FROM forks WHERE client = ?1 AND agent = ?2 AND at >= ?3 ORDER BY fork");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[HEADS, KNOWN, RANGE, PUT_HEAD, FORKS_SINCE];

fn record_row(row: &Row<'_>) -> Read<RecordRow> {
    Ok(RecordRow {
        epoch: Epoch(row.get::<Bits>(0)?.0),
        seq: Seq(row.get::<Bits>(1)?.0),
        record_id: row.get::<Id16>(2)?.0,
        content_hash: row.get::<Sha>(3)?.0,
        chain: row.get::<Sha>(4)?.0,
        salt: row.get::<Id16>(5)?.0,
        sig: row.get(6)?,
        previous: row.get(7)?,
        received_at: row.get::<At>(8)?.0,
        offset_ms: row.get(9)?,
        body: row.get(10)?,
        is_fact: row.get::<i64>(11)? != 0,
    })
}

/// [`RecordReads::heads`] as it is asked.
pub(crate) fn ask_heads(key: AgentKey<'_>) -> Asked<'_> {
    (&HEADS, texts([key.client.as_str(), key.agent.as_str()]))
}

/// [`RecordReads::known_records`] as it is asked of one.
pub(crate) fn ask_known<'a>(key: AgentKey<'a>, (record, content): &'a RecordName) -> Asked<'a> {
    (&KNOWN, known_values(key, record, content))
}

fn known_values<'a>(key: AgentKey<'a>, record: &'a RecordId, content: &'a Digest) -> Vec<Value<'a>> {
    vec![key.client.as_str().value(), key.agent.as_str().value(), record.0.value(), content.0.value()]
}

impl RecordReads for Sql<'_> {
    fn heads(&self, key: AgentKey<'_>) -> Result<Vec<HeadRow>, StoreError> {
        self.all(&HEADS, [key.client.as_str(), key.agent.as_str()], |row| {
            Ok(HeadRow {
                epoch: Epoch(row.get::<Bits>(0)?.0),
                len: row.get::<Bits>(1)?.0,
                chain: row.get::<Sha>(2)?.0,
                ordinal: row.get::<Bits>(3)?.0,
            })
        })
    }

    fn known_records(&self, key: AgentKey<'_>, names: &[RecordName]) -> Result<BTreeSet<RecordName>, StoreError> {
        let sets: Vec<_> = names.iter().map(|(record, content)| known_values(key, record, content)).collect();
        let found = self.0.finds(&KNOWN, &sets)?;
        Ok(names.iter().zip(found).filter(|(_, is_known)| *is_known).map(|(name, _)| *name).collect())
    }

    fn records(&self, key: AgentKey<'_>, epoch: Epoch, from: Seq, limit: u32) -> Result<Vec<RecordRow>, StoreError> {
        let params = params![key.client.as_str(), key.agent.as_str(), Bits(epoch.0), Bits(from.0), limit];
        self.all(&RANGE, params, record_row)
    }

    fn count_records(&self, key: AgentKey<'_>) -> Result<u64, StoreError> {
        let count = self.one(&COUNT, [key.client.as_str(), key.agent.as_str()], |row| Ok(row.get::<Bits>(0)?.0))?;
        Ok(count.unwrap_or(0))
    }

    fn dead_letters(&self, key: AgentKey<'_>) -> Result<Vec<DeadLetterRow>, StoreError> {
        self.all(&DEAD, [key.client.as_str(), key.agent.as_str()], |row| {
            Ok(DeadLetterRow {
                epoch: Epoch(row.get::<Bits>(0)?.0),
                seq: Seq(row.get::<Bits>(1)?.0),
                received_at: row.get::<At>(2)?.0,
                reason: row.get(3)?,
                body: row.get(4)?,
            })
        })
    }

    fn forks_since(&self, key: AgentKey<'_>, since: Timestamp) -> Result<Vec<Digest>, StoreError> {
        let params = params![key.client.as_str(), key.agent.as_str(), At(since)];
        self.all(&FORKS_SINCE, params, |row| Ok(row.get::<Sha>(0)?.0))
    }
}

impl RecordWrites for Sql<'_> {
    fn insert_records(&mut self, key: AgentKey<'_>, rows: &[RecordRow]) -> Result<(), StoreError> {
        let numbers: Vec<_> =
            rows.iter().map(|row| (Bits(row.epoch.0), Bits(row.seq.0), At(row.received_at))).collect();
        let sets: Vec<_> = rows
            .iter()
            .zip(&numbers)
            .map(|(row, (epoch, seq, received_at))| {
                vec![
                    key.client.as_str().value(),
                    key.agent.as_str().value(),
                    epoch.value(),
                    seq.value(),
                    row.record_id.0.value(),
                    row.content_hash.0.value(),
                    row.chain.0.value(),
                    row.salt.0.value(),
                    row.sig.value(),
                    row.previous.value(),
                    received_at.value(),
                    row.offset_ms.value(),
                    row.body.as_str().value(),
                    Value::Int(row.is_fact.into()),
                ]
            })
            .collect();
        self.0.later(&INSERT, &sets)
    }

    fn put_head(&mut self, key: AgentKey<'_>, head: &HeadRow, begun_at: Timestamp) -> Result<(), StoreError> {
        let HeadRow { epoch, len, chain, ordinal } = head;
        self.later(
            &PUT_HEAD,
            params![
                key.client.as_str(),
                key.agent.as_str(),
                Bits(epoch.0),
                Bits(*len),
                chain.0,
                At(begun_at),
                Bits(*ordinal)
            ],
        )
    }

    fn insert_dead_letter(&mut self, key: AgentKey<'_>, row: &DeadLetterRow) -> Result<(), StoreError> {
        let DeadLetterRow { epoch, seq, received_at, reason, body } = row;
        self.run(
            &INSERT_DEAD,
            params![
                key.client.as_str(),
                key.agent.as_str(),
                Bits(epoch.0),
                Bits(seq.0),
                At(*received_at),
                reason,
                body
            ],
        )
        .map(drop)
    }

    fn note_fork(&mut self, key: AgentKey<'_>, fork: &Digest, at: Timestamp) -> Result<(), StoreError> {
        self.run(&NOTE_FORK, params![key.client.as_str(), key.agent.as_str(), fork.0, At(at)]).map(drop)
    }
}
