//! The audit log: append-only, by trigger too (SECURITY 35).

use jiff::Timestamp;
use upheld_model::ClientId;

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
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

/// Which entries are asked for. What is `None` narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditAsked {
    /// Of one client's data.
    pub client: Option<ClientId>,
    /// By whom (an id of [`crate::people`]).
    pub who: Option<String>,
    /// Of one kind.
    pub what: Option<String>,
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this one.
    pub to: Option<Timestamp>,
    /// Older than this entry.
    pub before: Option<i64>,
}

/// Reading the log.
pub trait AuditReads {
    /// The newest entries, newest first.
    fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
    /// The newest entries that were asked for, each with its number, newest first.
    fn audit_page(&self, asked: &AuditAsked, limit: u32) -> Result<Vec<(i64, AuditRow)>, StoreError>;
    /// Every kind of entry that is there, by name.
    fn audit_kinds(&self) -> Result<Vec<String>, StoreError>;
}

/// Writing the log: appending, nothing else.
pub trait AuditWrites {
    /// Appends an entry.
    fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError>;
}

const NEWEST: Query =
    query!("audit.newest", "SELECT at, who, client, what, detail FROM audit ORDER BY entry DESC LIMIT ?1");
macro_rules! page {
    ($name:literal, $first:literal) => {
        Query {
            guarded: false,
            name: $name,
            sql: concat!(
                "/* ",
                $name,
                " */ SELECT at, who, client, what, detail, entry FROM audit WHERE ",
                $first,
                "(client = ?1 OR ?1 IS NULL) AND (who = ?2 OR ?2 IS NULL) AND (what = ?3 OR ?3 IS NULL) \
             AND (at >= ?4 OR ?4 IS NULL) AND (at < ?5 OR ?5 IS NULL) AND entry < ?6 ORDER BY entry DESC LIMIT ?7"
            ),
        }
    };
}
// One query for each index that can carry it: an index is only used for what is always asked.
const PAGE: Query = page!("audit.page", "");
const PAGE_OF_CLIENT: Query = page!("audit.page_of_client", "client = ?1 AND ");
const PAGE_BY_WHO: Query = page!("audit.page_by_who", "who = ?2 AND ");
const PAGE_OF_KIND: Query = page!("audit.page_of_kind", "what = ?3 AND ");
// From kind to kind by the index, not through all entries.
const KINDS: Query = query!(
    "audit.kinds",
    "WITH RECURSIVE kinds (what) AS (SELECT min(what) FROM audit \
     UNION ALL SELECT (SELECT min(what) FROM audit WHERE what > kinds.what) FROM kinds WHERE kinds.what IS NOT NULL) \
     SELECT what FROM kinds WHERE what IS NOT NULL"
);
const APPEND: Query =
    query!("audit.append", "INSERT INTO audit (at, who, client, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[PAGE_OF_CLIENT, PAGE_BY_WHO, PAGE_OF_KIND];

fn audit_row(row: &Row<'_>) -> Read<AuditRow> {
    Ok(AuditRow {
        at: row.get::<At>(0)?.0,
        who: row.get(1)?,
        client: row.get::<Option<Parsed<_>>>(2)?.map(|client| client.0),
        what: row.get(3)?,
        detail: row.get(4)?,
    })
}

impl AuditReads for Sql<'_> {
    fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.all(&NEWEST, [limit], audit_row)
    }

    fn audit_page(&self, asked: &AuditAsked, limit: u32) -> Result<Vec<(i64, AuditRow)>, StoreError> {
        let AuditAsked { client, who, what, from, to, before } = asked;
        let query = match (who, what, client) {
            (Some(_), _, _) => &PAGE_BY_WHO,
            (None, Some(_), _) => &PAGE_OF_KIND,
            (None, None, Some(_)) => &PAGE_OF_CLIENT,
            (None, None, None) => &PAGE,
        };
        let params = params![
            client.as_ref().map(ClientId::as_str),
            who,
            what,
            from.map(At),
            to.map(At),
            before.unwrap_or(i64::MAX),
            limit
        ];
        self.all(query, params, |row| Ok((row.get(5)?, audit_row(row)?)))
    }

    fn audit_kinds(&self) -> Result<Vec<String>, StoreError> {
        self.all(&KINDS, params![], |row| row.get(0))
    }
}

impl AuditWrites for Sql<'_> {
    fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        let AuditRow { at, who, client, what, detail } = row;
        self.run(&APPEND, params![At(*at), who, client.as_ref().map(ClientId::as_str), what, detail]).map(drop)
    }
}
