//! The audit log: append-only, by trigger too (SECURITY 35).

use jiff::Timestamp;
use rusqlite::{Row, params};
use upheld_model::ClientId;

use crate::{
    StoreError,
    sqlite::{
        columns::{At, Parsed},
        query::{Query, SqliteTx, query},
    },
};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who (an id of [`crate::people`]).
    pub who: String,
    /// Whose data, where it is one client's.
    pub client: Option<ClientId>,
    /// What: `agent.revoked`, `token.reused`, …
    pub what: String,
    /// More, JSON.
    pub detail: String,
}

/// Reading the log.
pub trait AuditReads {
    /// The newest entries, newest first.
    fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
}

/// Writing the log: appending, nothing else.
pub trait AuditWrites {
    /// Appends an entry.
    fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError>;
}

const NEWEST: Query =
    query!("audit.newest", "SELECT at, who, client, what, detail FROM audit ORDER BY entry DESC LIMIT ?1");
const APPEND: Query =
    query!("audit.append", "INSERT INTO audit (at, who, client, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)");

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        at: row.get::<_, At>(0)?.0,
        who: row.get(1)?,
        client: row.get::<_, Option<Parsed<_>>>(2)?.map(|client| client.0),
        what: row.get(3)?,
        detail: row.get(4)?,
    })
}

impl AuditReads for SqliteTx<'_> {
    fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.all(&NEWEST, [limit], audit_row)
    }
}

impl AuditWrites for SqliteTx<'_> {
    fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        let AuditRow { at, who, client, what, detail } = row;
        self.run(&APPEND, params![At(*at), who, client.as_ref().map(ClientId::as_str), what, detail]).map(drop)
    }
}
