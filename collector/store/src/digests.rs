//! When the next digest of each client, and of the provider, is due. One row for each who is told; that a week was told is
//! the row's move to the next due, in the transaction that writes the messages.

use jiff::Timestamp;
use upheld_model::ClientId;

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
};

/// One due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRow {
    /// Whose week; the provider's is that of the collector's own client.
    pub client: ClientId,
    /// When it is told next.
    pub due_at: Timestamp,
}

/// Reading dues.
pub trait DigestReads {
    /// All of them, by client.
    fn digests(&self) -> Result<Vec<DigestRow>, StoreError>;
}

/// Writing dues.
pub trait DigestWrites {
    /// Moves a due from what it was (`None`: there was none) to `due_at`; whether it still was that.
    fn move_digest(&mut self, client: &ClientId, was: Option<Timestamp>, due_at: Timestamp)
    -> Result<bool, StoreError>;
    /// Nobody is told of this week any more.
    fn remove_digest(&mut self, client: &ClientId) -> Result<(), StoreError>;
}

const ALL: Query = query!("digests.all", "SELECT client, due_at FROM digests ORDER BY client");
const INSERT: Query =
    query!("digests.insert", "INSERT INTO digests (client, due_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
const MOVE: Query = query!("digests.move", "UPDATE digests SET due_at = ?3 WHERE client = ?1 AND due_at = ?2");
const REMOVE: Query = query!("digests.remove", "DELETE FROM digests WHERE client = ?1");

/// The queries that run often, for the test of their plans.
#[cfg(test)]
pub(crate) const HOT: &[Query] = &[MOVE, REMOVE];

fn digest_row(row: &Row<'_>) -> Read<DigestRow> {
    Ok(DigestRow { client: row.get::<Parsed<ClientId>>(0)?.0, due_at: row.get::<At>(1)?.0 })
}

impl DigestReads for Sql<'_> {
    fn digests(&self) -> Result<Vec<DigestRow>, StoreError> {
        self.all(&ALL, params![], digest_row)
    }
}

impl DigestWrites for Sql<'_> {
    fn move_digest(
        &mut self,
        client: &ClientId,
        was: Option<Timestamp>,
        due_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let moved = match was {
            None => self.run(&INSERT, params![client.as_str(), At(due_at)])?,
            Some(was) => self.run(&MOVE, params![client.as_str(), At(was), At(due_at)])?,
        };
        Ok(moved == 1)
    }

    fn remove_digest(&mut self, client: &ClientId) -> Result<(), StoreError> {
        self.run(&REMOVE, params![client.as_str()]).map(drop)
    }
}
