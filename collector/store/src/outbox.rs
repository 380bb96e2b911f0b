//! The outbox: messages written in the transaction of what they tell of, and every attempt to send them.

use jiff::Timestamp;
use upheld_model::{ClientId, IncidentNumber};

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
};

upheld_model::vocabulary! {
    /// Where a message stands.
    OutboxStatus, "outbox status", {
        /// To be sent.
        Pending = "pending",
        /// The receiver has it.
        Delivered = "delivered",
        /// Given up: a person must look.
        Failed = "failed",
        /// Not sent, by a decision; the last error says which.
        Dropped = "dropped",
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Whose.
    pub client: ClientId,
    /// Its key, from content: the same message written twice is one.
    pub key: String,
    /// About which incident.
    pub number: IncidentNumber,
    /// What it tells: `incident.opened`, …
    pub event: String,
    /// The channel of the book that carries it.
    pub channel: String,
    /// The body, JSON.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// Where it stands.
    pub status: OutboxStatus,
    /// When a worker may take it next; while one has it, the end of its lease. `None` when it is over.
    pub next_attempt_at: Option<Timestamp>,
    /// The worker that has it.
    pub lease_owner: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// The receiver's own name for it.
    pub reference: Option<String>,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// What the last attempt that failed said.
    pub last_error: Option<String>,
}

/// One attempt. Its intent is committed before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which, from 1.
    pub attempt: u32,
    /// By which worker.
    pub worker: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it ended; `None` when nobody knows.
    pub ended_at: Option<Timestamp>,
    /// What came of it, JSON; `None` when nobody knows.
    pub outcome: Option<String>,
}

/// How an attempt leaves its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Where the message stands.
    pub status: OutboxStatus,
    /// When it may be taken again.
    pub next_attempt_at: Option<Timestamp>,
    /// The receiver's name for it.
    pub reference: Option<String>,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// What went wrong.
    pub last_error: Option<String>,
}

/// Reading the outbox.
pub trait OutboxReads {
    /// One message.
    fn message(&self, client: &ClientId, key: &str) -> Result<Option<OutboxRow>, StoreError>;
    /// The messages about an incident, oldest first.
    fn messages_of(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<OutboxRow>, StoreError>;
    /// Messages that may be taken at `now`, the longest due first.
    fn messages_due(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;
    /// When the next message may be taken.
    fn next_message_at(&self) -> Result<Option<Timestamp>, StoreError>;
    /// The attempts of a message, oldest first.
    fn attempts(&self, client: &ClientId, key: &str) -> Result<Vec<AttemptRow>, StoreError>;
}

/// Writing the outbox.
pub trait OutboxWrites {
    /// Adds a message unless its key is there; whether this call did it.
    fn insert_message(&mut self, row: &OutboxRow) -> Result<bool, StoreError>;
    /// Replaces the body of a message that nobody has tried to send and nobody may take until after `leaving`. Whether
    /// that was so.
    fn amend_message(
        &mut self,
        client: &ClientId,
        key: &str,
        body: &str,
        leaving: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Takes a message that is due at `now` for `worker` until `until`; whether this call got it.
    fn lease_message(
        &mut self,
        client: &ClientId,
        key: &str,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that an attempt begins, and counts it on the message.
    fn begin_attempt(&mut self, client: &ClientId, key: &str, row: &AttemptRow) -> Result<(), StoreError>;
    /// Notes what came of an attempt.
    fn end_attempt(
        &mut self,
        client: &ClientId,
        key: &str,
        attempt: u32,
        at: Timestamp,
        outcome: &str,
    ) -> Result<(), StoreError>;
    /// Ends `worker`'s lease and says where the message stands; whether the lease was still his.
    fn settle_message(
        &mut self,
        client: &ClientId,
        key: &str,
        worker: &str,
        settled: &Settled,
    ) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "outbox.get",
    "SELECT client, key, number, event, channel, body, created_at, status, next_attempt_at, lease_owner, attempts, \
     reference, delivered_at, last_error FROM outbox WHERE client = ?1 AND key = ?2"
);
const OF_INCIDENT: Query = query!(
    "outbox.of_incident",
    "SELECT client, key, number, event, channel, body, created_at, status, next_attempt_at, lease_owner, attempts, \
     reference, delivered_at, last_error FROM outbox WHERE client = ?1 AND number = ?2 ORDER BY created_at, key"
);
const DUE: Query = query!(
    "outbox.due",
    "SELECT client, key, number, event, channel, body, created_at, status, next_attempt_at, lease_owner, attempts, \
     reference, delivered_at, last_error FROM outbox WHERE next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?2"
);
const NEXT: Query = query!(
    "outbox.next",
    "SELECT next_attempt_at FROM outbox WHERE next_attempt_at IS NOT NULL ORDER BY next_attempt_at LIMIT 1"
);
const INSERT: Query = query!(
    "outbox.insert",
    "INSERT INTO outbox (client, key, number, event, channel, body, created_at, status, next_attempt_at, lease_owner, \
     attempts, reference, delivered_at, last_error) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING"
);
const LEASE: Query = query!(
    "outbox.lease",
    "UPDATE outbox SET lease_owner = ?3, next_attempt_at = ?5 \
     WHERE client = ?1 AND key = ?2 AND status = 'pending' AND next_attempt_at <= ?4"
);
const AMEND: Query = query!(
    "outbox.amend",
    "UPDATE outbox SET body = ?3 WHERE client = ?1 AND key = ?2 AND status = 'pending' AND attempts = 0 \
     AND lease_owner IS NULL AND next_attempt_at > ?4"
);
const SETTLE: Query = query!(
    "outbox.settle",
    "UPDATE outbox SET lease_owner = NULL, status = ?4, next_attempt_at = ?5, reference = ?6, delivered_at = ?7, \
     last_error = ?8 WHERE client = ?1 AND key = ?2 AND lease_owner = ?3"
);
const COUNT_ATTEMPT: Query =
    query!("outbox.count_attempt", "UPDATE outbox SET attempts = ?3 WHERE client = ?1 AND key = ?2");
const ATTEMPTS: Query = query!(
    "attempts.of_message",
    "SELECT attempt, worker, started_at, ended_at, outcome FROM attempts WHERE client = ?1 AND key = ?2 ORDER BY attempt"
);
const BEGIN_ATTEMPT: Query = query!(
    "attempts.begin",
    "INSERT INTO attempts (client, key, attempt, worker, started_at, ended_at, outcome) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);
const END_ATTEMPT: Query = query!(
    "attempts.end",
    "UPDATE attempts SET ended_at = ?4, outcome = ?5 WHERE client = ?1 AND key = ?2 AND attempt = ?3"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] =
    &[GET, OF_INCIDENT, DUE, NEXT, LEASE, AMEND, SETTLE, COUNT_ATTEMPT, ATTEMPTS, END_ATTEMPT];

fn outbox_row(row: &Row<'_>) -> Read<OutboxRow> {
    Ok(OutboxRow {
        client: row.get::<Parsed<_>>(0)?.0,
        key: row.get(1)?,
        number: IncidentNumber(row.get(2)?),
        event: row.get(3)?,
        channel: row.get(4)?,
        body: row.get(5)?,
        created_at: row.get::<At>(6)?.0,
        status: row.get::<Parsed<_>>(7)?.0,
        next_attempt_at: row.get::<Option<At>>(8)?.map(|at| at.0),
        lease_owner: row.get(9)?,
        attempts: row.get(10)?,
        reference: row.get(11)?,
        delivered_at: row.get::<Option<At>>(12)?.map(|at| at.0),
        last_error: row.get(13)?,
    })
}

impl OutboxReads for Sql<'_> {
    fn message(&self, client: &ClientId, key: &str) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&GET, [client.as_str(), key], outbox_row)
    }

    fn messages_of(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<OutboxRow>, StoreError> {
        self.all(&OF_INCIDENT, params![client.as_str(), number.0], outbox_row)
    }

    fn messages_due(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.all(&DUE, params![At(now), limit], outbox_row)
    }

    fn next_message_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.one(&NEXT, params![], |row| Ok(row.get::<At>(0)?.0))
    }

    fn attempts(&self, client: &ClientId, key: &str) -> Result<Vec<AttemptRow>, StoreError> {
        self.all(&ATTEMPTS, [client.as_str(), key], |row| {
            Ok(AttemptRow {
                attempt: row.get(0)?,
                worker: row.get(1)?,
                started_at: row.get::<At>(2)?.0,
                ended_at: row.get::<Option<At>>(3)?.map(|at| at.0),
                outcome: row.get(4)?,
            })
        })
    }
}

impl OutboxWrites for Sql<'_> {
    fn insert_message(&mut self, row: &OutboxRow) -> Result<bool, StoreError> {
        let inserted = self.run(
            &INSERT,
            params![
                row.client.as_str(),
                row.key,
                row.number.0,
                row.event,
                row.channel,
                row.body,
                At(row.created_at),
                row.status.as_str(),
                row.next_attempt_at.map(At),
                row.lease_owner,
                row.attempts,
                row.reference,
                row.delivered_at.map(At),
                row.last_error
            ],
        )?;
        Ok(inserted == 1)
    }

    fn amend_message(
        &mut self,
        client: &ClientId,
        key: &str,
        body: &str,
        leaving: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.run(&AMEND, params![client.as_str(), key, body, At(leaving)])? == 1)
    }

    fn lease_message(
        &mut self,
        client: &ClientId,
        key: &str,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.run(&LEASE, params![client.as_str(), key, worker, At(now), At(until)])? == 1)
    }

    fn begin_attempt(&mut self, client: &ClientId, key: &str, row: &AttemptRow) -> Result<(), StoreError> {
        let AttemptRow { attempt, worker, started_at, ended_at, outcome } = row;
        let params = params![client.as_str(), key, attempt, worker, At(*started_at), ended_at.map(At), outcome];
        self.run(&BEGIN_ATTEMPT, params)?;
        self.run(&COUNT_ATTEMPT, params![client.as_str(), key, attempt]).map(drop)
    }

    fn end_attempt(
        &mut self,
        client: &ClientId,
        key: &str,
        attempt: u32,
        at: Timestamp,
        outcome: &str,
    ) -> Result<(), StoreError> {
        self.run(&END_ATTEMPT, params![client.as_str(), key, attempt, At(at), outcome]).map(drop)
    }

    fn settle_message(
        &mut self,
        client: &ClientId,
        key: &str,
        worker: &str,
        settled: &Settled,
    ) -> Result<bool, StoreError> {
        let Settled { status, next_attempt_at, reference, delivered_at, last_error } = settled;
        let params = params![
            client.as_str(),
            key,
            worker,
            status.as_str(),
            next_attempt_at.map(At),
            reference,
            delivered_at.map(At),
            last_error
        ];
        Ok(self.run(&SETTLE, params)? == 1)
    }
}
