//! Restores that may lack facts, and what a collector must forget after one (DELIVERY 4, "recovery").

use jiff::Timestamp;

use crate::{
    StoreError,
    sql::{Asked, At, Query, Read, Row, Sql, params, query},
};

/// The worker in whose name a try is noted that may have been made before commits were lost.
pub const BEFORE_THE_LOSS: &str = "before the loss";
/// The same where the fault is dated after the loss, by a clock that may be wrong.
pub const MAYBE_BEFORE_THE_LOSS: &str = "before the loss, if the clock is wrong";

/// A restore, or another way to lose commits, and the gap that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreRow {
    /// When the backup was restored.
    pub restored_at: Timestamp,
    /// Facts from this instant on may be missing.
    pub missing_from: Timestamp,
    /// Up to this one.
    pub missing_to: Timestamp,
}

/// Reading restores.
pub trait RestoreReads {
    /// The restore that waits for a person; `None` in normal service.
    fn open_restore(&self) -> Result<Option<RestoreRow>, StoreError>;
    /// The latest gap of all, whether a person had to accept it or not.
    fn last_gap(&self) -> Result<Option<RestoreRow>, StoreError>;
}

/// Writing restores.
pub trait RestoreWrites {
    /// Notes a restore that waits for a person.
    fn insert_restore(&mut self, row: &RestoreRow) -> Result<(), StoreError>;
    /// Notes a gap that waits for nobody, since what is missing comes again.
    fn insert_gap(&mut self, row: &RestoreRow, by: &str) -> Result<(), StoreError>;
    /// Accepts every gap that waits; whether there was one. Open clocks become due to be looked at.
    fn accept_restores(&mut self, at: Timestamp, by: &str) -> Result<bool, StoreError>;
    /// Ends what a later fact may have used up or taken back: enrolment tokens, links that log in or let a password be
    /// chosen, sessions, API tokens.
    /// How many there were of each, in that order.
    fn void_credentials(&mut self, at: Timestamp) -> Result<[usize; 4], StoreError>;
    /// Marks each message that still waits as begun by a try whose end nobody saw, so that whoever takes it asks the
    /// receiver before he sends.
    fn doubt_waiting_messages(&mut self, at: Timestamp) -> Result<usize, StoreError>;
    /// Has each message that still waits looked at again by `at`: a clock that was wrong may have put it off for years.
    fn wake_waiting_messages(&mut self, at: Timestamp) -> Result<usize, StoreError>;
}

const OPEN: Query = query!(
    "restores.open",
    "SELECT max(restored_at), min(missing_from), max(missing_to) FROM restores WHERE accepted_at IS NULL \
     HAVING count(*) > 0"
);
const LAST: Query = query!(
    "restores.last",
    "SELECT restored_at, missing_from, missing_to FROM restores WHERE restore = (SELECT max(restore) FROM restores)"
);
const INSERT_GAP: Query = query!(
    "restores.insert_gap",
    "INSERT INTO restores (restored_at, missing_from, missing_to, accepted_at, accepted_by) VALUES (?1, ?2, ?3, ?1, ?4)"
);
const INSERT: Query =
    query!("restores.insert", "INSERT INTO restores (restored_at, missing_from, missing_to) VALUES (?1, ?2, ?3)");
const ACCEPT: Query =
    query!("restores.accept", "UPDATE restores SET accepted_at = ?1, accepted_by = ?2 WHERE accepted_at IS NULL");
const LOOK_AGAIN: Query = query!(
    "restores.look_again",
    "UPDATE clocks SET next_deadline = ?1 WHERE state IN ('scheduled', 'running', 'paused')"
);
const VOID_TOKENS: Query =
    query!("restores.void_tokens", "UPDATE tokens SET expires_at = ?1 WHERE used_at IS NULL AND expires_at > ?1");
const VOID_SITE_TOKENS: Query = query!(
    "restores.void_site_tokens",
    "UPDATE site_tokens SET revoked_at = ?1 WHERE revoked_at IS NULL AND expires_at > ?1 AND uses < uses_max"
);
const VOID_LINKS: Query =
    query!("restores.void_links", "UPDATE login_links SET expires_at = ?1 WHERE used_at IS NULL AND expires_at > ?1");
const VOID_PASSWORD_LINKS: Query = query!(
    "restores.void_password_links",
    "UPDATE password_links SET expires_at = ?1 WHERE used_at IS NULL AND expires_at > ?1"
);
const VOID_SESSIONS: Query =
    query!("restores.void_sessions", "UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL");
const VOID_API_TOKENS: Query =
    query!("restores.void_api_tokens", "UPDATE api_tokens SET revoked_at = ?1 WHERE revoked_at IS NULL");
const DOUBT: Query = query!(
    "restores.doubt",
    "INSERT INTO attempts (client, key, attempt, worker, started_at) SELECT o.client, o.key, \
     coalesce((SELECT max(attempt) FROM attempts a WHERE a.client = o.client AND a.key = o.key), 0) + 1, \
     'before the loss', ?1 FROM outbox o WHERE o.next_attempt_at IS NOT NULL"
);
const WAKE: Query = query!("restores.wake", "UPDATE outbox SET next_attempt_at = ?1 WHERE next_attempt_at > ?1");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OPEN, LAST];

fn restore_row(row: &Row<'_>) -> Read<RestoreRow> {
    Ok(RestoreRow {
        restored_at: row.get::<At>(0)?.0,
        missing_from: row.get::<At>(1)?.0,
        missing_to: row.get::<At>(2)?.0,
    })
}

/// [`RestoreReads::open_restore`] as it is asked.
pub(crate) fn ask_open() -> Asked<'static> {
    (&OPEN, Vec::new())
}

impl RestoreReads for Sql<'_> {
    fn open_restore(&self) -> Result<Option<RestoreRow>, StoreError> {
        self.one(&OPEN, params![], restore_row)
    }

    fn last_gap(&self) -> Result<Option<RestoreRow>, StoreError> {
        self.one(&LAST, params![], restore_row)
    }
}

impl RestoreWrites for Sql<'_> {
    fn insert_restore(&mut self, row: &RestoreRow) -> Result<(), StoreError> {
        let RestoreRow { restored_at, missing_from, missing_to } = row;
        self.run(&INSERT, params![At(*restored_at), At(*missing_from), At(*missing_to)]).map(drop)
    }

    fn insert_gap(&mut self, row: &RestoreRow, by: &str) -> Result<(), StoreError> {
        let RestoreRow { restored_at, missing_from, missing_to } = row;
        self.run(&INSERT_GAP, params![At(*restored_at), At(*missing_from), At(*missing_to), by]).map(drop)
    }

    fn accept_restores(&mut self, at: Timestamp, by: &str) -> Result<bool, StoreError> {
        let was_open = self.run(&ACCEPT, params![At(at), by])? > 0;
        if was_open {
            // By any clock, also by one that is set right after this.
            self.run(&LOOK_AGAIN, [At(Timestamp::UNIX_EPOCH)])?;
        }
        Ok(was_open)
    }

    fn void_credentials(&mut self, at: Timestamp) -> Result<[usize; 4], StoreError> {
        Ok([
            self.run(&VOID_TOKENS, [At(at)])? + self.run(&VOID_SITE_TOKENS, [At(at)])?,
            self.run(&VOID_LINKS, [At(at)])? + self.run(&VOID_PASSWORD_LINKS, [At(at)])?,
            self.run(&VOID_SESSIONS, [At(at)])?,
            self.run(&VOID_API_TOKENS, [At(at)])?,
        ])
    }

    fn doubt_waiting_messages(&mut self, at: Timestamp) -> Result<usize, StoreError> {
        self.run(&DOUBT, [At(at)])
    }

    fn wake_waiting_messages(&mut self, at: Timestamp) -> Result<usize, StoreError> {
        self.run(&WAKE, [At(at)])
    }
}
