//! Versions of agreements that clients have accepted: who, when, and the hash that he was shown. Never changed.

use jiff::Timestamp;
use upheld_model::{ClientId, Digest};

use crate::{
    StoreError,
    sql::{At, Bits, Parsed, Query, Read, Row, Sha, Sql, params, query},
};

/// One acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptanceRow {
    /// Whose agreement.
    pub client: ClientId,
    /// Its number.
    pub agreement: String,
    /// Which version, from 1.
    pub version: u32,
    /// The hash of what was accepted.
    pub hash: Digest,
    /// Who accepted (an id of [`crate::people`]).
    pub accepted_by: String,
    /// When.
    pub accepted_at: Timestamp,
    /// Who wrote it down (an id of [`crate::people`]).
    pub entered_by: String,
}

/// Reading acceptances.
pub trait AcceptanceReads {
    /// A client's, by agreement, version and time.
    fn acceptances(&self, client: &ClientId) -> Result<Vec<AcceptanceRow>, StoreError>;
}

/// Writing acceptances.
pub trait AcceptanceWrites {
    /// Adds one; a version accepted by the same hash before is [`StoreError::Exists`].
    fn insert_acceptance(&mut self, row: &AcceptanceRow) -> Result<(), StoreError>;
}

const OF_CLIENT: Query = query!(
    "acceptances.of_client",
    "SELECT client, agreement, version, hash, accepted_by, accepted_at, entered_by FROM acceptances \
     WHERE client = ?1 ORDER BY agreement, version, accepted_at"
);
const INSERT: Query = query!(
    "acceptances.insert",
    "INSERT INTO acceptances (client, agreement, version, hash, accepted_by, accepted_at, entered_by) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OF_CLIENT];

fn acceptance(row: &Row<'_>) -> Read<AcceptanceRow> {
    Ok(AcceptanceRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agreement: row.get(1)?,
        version: u32::try_from(row.get::<Bits>(2)?.0).unwrap_or(u32::MAX),
        hash: row.get::<Sha>(3)?.0,
        accepted_by: row.get(4)?,
        accepted_at: row.get::<At>(5)?.0,
        entered_by: row.get(6)?,
    })
}

impl AcceptanceReads for Sql<'_> {
    fn acceptances(&self, client: &ClientId) -> Result<Vec<AcceptanceRow>, StoreError> {
        self.all(&OF_CLIENT, [client.as_str()], acceptance)
    }
}

impl AcceptanceWrites for Sql<'_> {
    fn insert_acceptance(&mut self, row: &AcceptanceRow) -> Result<(), StoreError> {
        let AcceptanceRow { client, agreement, version, hash, accepted_by, accepted_at, entered_by } = row;
        let version = Bits(u64::from(*version));
        let values = params![client.as_str(), agreement, version, hash.0, accepted_by, At(*accepted_at), entered_by];
        self.run(&INSERT, values).map(drop)
    }
}
