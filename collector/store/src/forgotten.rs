//! Taking away a client's facts whose time is over (DELIVERY 4), and until when that was done.
//!
//! What is not over stays: open incidents with all that they rest on, open findings, the state in which each check was
//! before. Identities of epochs, agreements' acceptances and the audit never go.

use jiff::Timestamp;
use upheld_model::ClientId;

use crate::{
    StoreError,
    sql::{At, Query, Sql, params, query},
};

/// Reading until when facts are gone.
pub trait ForgottenReads {
    /// Before which instant a client's facts were taken away; `None` while none were.
    fn forgotten(&self, client: &ClientId) -> Result<Option<Timestamp>, StoreError>;
    /// When the first book was applied: nothing was judged before.
    fn first_book_at(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Taking facts away.
pub trait ForgottenWrites {
    /// Takes away what was over before an instant, and notes it; how many rows. What an agent sends of that time afterwards
    /// goes the next time.
    fn forget_facts(&mut self, client: &ClientId, before: Timestamp) -> Result<u64, StoreError>;
}

const GET: Query = query!("forgotten.get", "SELECT before_at FROM forgotten WHERE client = ?1");
const PUT: Query = query!(
    "forgotten.put",
    "INSERT INTO forgotten (client, before_at) VALUES (?1, ?2) \
     ON CONFLICT (client) DO UPDATE SET before_at = excluded.before_at WHERE forgotten.before_at < excluded.before_at"
);
const FIRST_BOOK: Query = query!("forgotten.first_book", "SELECT applied_at FROM books ORDER BY version LIMIT 1");

// What hangs on an incident goes before it.
const ATTEMPTS: Query = query!(
    "forgotten.attempts",
    "DELETE FROM attempts WHERE client = ?1 AND key IN (SELECT key FROM outbox WHERE client = ?1 AND number IN \
     (SELECT number FROM incidents WHERE client = ?1 AND over_at < ?2))"
);
const OUTBOX: Query = query!(
    "forgotten.outbox",
    "DELETE FROM outbox WHERE client = ?1 AND number IN \
     (SELECT number FROM incidents WHERE client = ?1 AND over_at < ?2)"
);
const LEDGER: Query = query!(
    "forgotten.ledger",
    "DELETE FROM ledger WHERE client = ?1 AND number IN \
     (SELECT number FROM incidents WHERE client = ?1 AND over_at < ?2)"
);
const CLOCKS: Query = query!(
    "forgotten.clocks",
    "DELETE FROM clocks WHERE client = ?1 AND number IN \
     (SELECT number FROM incidents WHERE client = ?1 AND over_at < ?2)"
);
const INCIDENTS: Query = query!("forgotten.incidents", "DELETE FROM incidents WHERE client = ?1 AND over_at < ?2");
// Messages that are no incident's, as a week's digest.
const OTHER_ATTEMPTS: Query = query!(
    "forgotten.other_attempts",
    "DELETE FROM attempts WHERE client = ?1 AND key IN (SELECT key FROM outbox WHERE client = ?1 AND number = 0 \
     AND created_at < ?2 AND next_attempt_at IS NULL)"
);
const OTHER_MESSAGES: Query = query!(
    "forgotten.other_messages",
    "DELETE FROM outbox WHERE client = ?1 AND number = 0 AND created_at < ?2 AND next_attempt_at IS NULL"
);
const FINDINGS: Query = query!(
    "forgotten.findings",
    "DELETE FROM findings WHERE client = ?1 AND ended_by < ?2 AND NOT EXISTS \
     (SELECT 1 FROM incidents i WHERE i.client = ?1 AND i.number = findings.incident)"
);
const CHANGES: Query = query!(
    "forgotten.changes",
    "DELETE FROM changes WHERE client = ?1 AND at < ?2 AND EXISTS \
     (SELECT 1 FROM changes later WHERE later.client = ?1 AND later.site = changes.site AND later.asset = changes.asset \
     AND later.check_name = changes.check_name AND later.at > changes.at AND later.at < ?2)"
);
const STRETCHES: Query = query!("forgotten.stretches", "DELETE FROM stretches WHERE client = ?1 AND to_at < ?2");
const SAID: Query = query!("forgotten.said", "DELETE FROM said WHERE client = ?1 AND at < ?2");
const UNHEARD: Query = query!("forgotten.unheard", "DELETE FROM unheard WHERE client = ?1 AND until < ?2");
const RUNS: Query = query!("forgotten.job_runs", "DELETE FROM job_runs WHERE client = ?1 AND at < ?2");
const EXPECTED: Query =
    query!("forgotten.expected_runs", "DELETE FROM expected_runs WHERE client = ?1 AND expected_at < ?2");
const JOBS: Query = query!("forgotten.jobs", "DELETE FROM jobs WHERE client = ?1 AND until < ?2");
const MAINTENANCE: Query =
    query!("forgotten.maintenance", "DELETE FROM maintenance WHERE client = ?1 AND over_at < ?2");
const RECORDS: Query = query!("forgotten.records", "DELETE FROM records WHERE client = ?1 AND received_at < ?2");
const DEAD_LETTERS: Query =
    query!("forgotten.dead_letters", "DELETE FROM dead_letters WHERE client = ?1 AND received_at < ?2");

/// In this order.
const STEPS: &[Query] = &[
    ATTEMPTS,
    OUTBOX,
    LEDGER,
    CLOCKS,
    INCIDENTS,
    OTHER_ATTEMPTS,
    OTHER_MESSAGES,
    FINDINGS,
    CHANGES,
    STRETCHES,
    SAID,
    UNHEARD,
    RUNS,
    EXPECTED,
    JOBS,
    MAINTENANCE,
    RECORDS,
    DEAD_LETTERS,
];

/// A client whose facts before 100 were taken away, and three incidents that keep their ledgers: one that was over at that
/// instant, one that is open, and another client's.
#[cfg(test)]
pub(crate) const A_YEAR_LATER: &str = "INSERT INTO forgotten (client, before_at) VALUES ('acme', 100); \
    INSERT INTO incidents (client, number, site, incident_key, dedup, state, opened_at, over_at, revision, body) VALUES \
    ('acme', 1, 's', '1', 'a', 'closed', 1, 100, 0, '{}'), ('acme', 2, 's', '2', 'b', 'open', 1, NULL, 0, '{}'), \
    ('other', 1, 's', '3', 'a', 'closed', 1, 50, 0, '{}'); \
    INSERT INTO ledger (client, number, ordinal, effective_at, recorded_at, kind, who, body) VALUES \
    ('acme', 1, 0, 1, 1, 'note', 'p', '{}'), ('acme', 2, 0, 1, 1, 'note', 'p', '{}'), ('other', 1, 0, 1, 1, 'note', 'p', '{}')";

/// What is read with each figure.
#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET];

impl ForgottenReads for Sql<'_> {
    fn forgotten(&self, client: &ClientId) -> Result<Option<Timestamp>, StoreError> {
        self.one(&GET, [client.as_str()], |row| Ok(row.get::<At>(0)?.0))
    }

    fn first_book_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.one(&FIRST_BOOK, params![], |row| Ok(row.get::<At>(0)?.0))
    }
}

impl ForgottenWrites for Sql<'_> {
    fn forget_facts(&mut self, client: &ClientId, before: Timestamp) -> Result<u64, StoreError> {
        // The ledger lets go of what was over before this (a trigger).
        self.run(&PUT, params![client.as_str(), At(before)])?;
        let mut rows = 0;
        for step in STEPS {
            rows += self.run(step, params![client.as_str(), At(before)])? as u64;
        }
        Ok(rows)
    }
}
