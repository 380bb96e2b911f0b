//! The ledger: what happened to an incident, appended and never changed (TERMS F7).

use jiff::Timestamp;
use upheld_model::{ClientId, IncidentNumber};

use crate::{
    StoreError,
    sql::{At, Query, Read, Row, Sql, params, query},
};

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its place, from 0, in the order of recording.
    pub ordinal: u32,
    /// When it took effect.
    pub effective_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What kind of fact.
    pub kind: String,
    /// Who said so (an id of [`crate::people`]).
    pub who: String,
    /// The fact, JSON.
    pub body: String,
}

/// Reading the ledger.
pub trait LedgerReads {
    /// An incident's facts in the order of recording.
    fn ledger(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<LedgerRow>, StoreError>;
}

/// Writing the ledger: appending, nothing else.
pub trait LedgerWrites {
    /// Appends a fact; its place is given by the store and `row.ordinal` is not looked at.
    fn append_fact(&mut self, client: &ClientId, number: IncidentNumber, row: &LedgerRow) -> Result<(), StoreError>;
}

const OF_INCIDENT: Query = query!(
    "ledger.of_incident",
    "SELECT ordinal, effective_at, recorded_at, kind, who, body FROM ledger WHERE client = ?1 AND number = ?2 \
     ORDER BY ordinal"
);
const APPEND: Query = query!(
    "ledger.append",
    "INSERT INTO ledger (client, number, ordinal, effective_at, recorded_at, kind, who, body) \
     SELECT ?1, ?2, coalesce(max(ordinal) + 1, 0), ?3, ?4, ?5, ?6, ?7 FROM ledger WHERE client = ?1 AND number = ?2"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OF_INCIDENT, APPEND];

fn ledger_row(row: &Row<'_>) -> Read<LedgerRow> {
    Ok(LedgerRow {
        ordinal: row.get(0)?,
        effective_at: row.get::<At>(1)?.0,
        recorded_at: row.get::<At>(2)?.0,
        kind: row.get(3)?,
        who: row.get(4)?,
        body: row.get(5)?,
    })
}

impl LedgerReads for Sql<'_> {
    fn ledger(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<LedgerRow>, StoreError> {
        self.all(&OF_INCIDENT, params![client.as_str(), number.0], ledger_row)
    }
}

impl LedgerWrites for Sql<'_> {
    fn append_fact(&mut self, client: &ClientId, number: IncidentNumber, row: &LedgerRow) -> Result<(), StoreError> {
        let LedgerRow { ordinal: _, effective_at, recorded_at, kind, who, body } = row;
        self.run(&APPEND, params![client.as_str(), number.0, At(*effective_at), At(*recorded_at), kind, who, body])
            .map(drop)
    }
}
