//! Agreed windows of work, as they were entered and ended. What a window says is text to the store.

use jiff::Timestamp;
use upheld_model::{ClientId, SiteId};

use crate::{
    StoreError,
    sql::{At, Bits, Parsed, Query, Read, Row, Sql, params, query},
};

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceRow {
    /// Whose.
    pub client: ClientId,
    /// Its number among that client's, from 1.
    pub number: u64,
    /// Where.
    pub site: SiteId,
    /// Who brought it: `book` or `person`.
    pub origin: String,
    /// The window, JSON.
    pub body: String,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub entered_by: String,
    /// From when on it holds no more: the end of a single window, or when somebody ended it; `None` for a recurrence
    /// that stands.
    pub over_at: Option<Timestamp>,
    /// Who ended it; `None` where nobody did.
    pub ended_by: Option<String>,
}

/// Reading windows.
pub trait MaintenanceReads {
    /// One window.
    fn maintenance(&self, client: &ClientId, number: u64) -> Result<Option<MaintenanceRow>, StoreError>;
    /// A site's windows that hold at `since` or later, by number.
    fn maintenance_of_site(
        &self,
        client: &ClientId,
        site: &SiteId,
        since: Timestamp,
    ) -> Result<Vec<MaintenanceRow>, StoreError>;
    /// All windows of one client, by number; of all clients when `None`.
    fn all_maintenance(&self, client: Option<&ClientId>) -> Result<Vec<MaintenanceRow>, StoreError>;
}

/// Writing windows.
pub trait MaintenanceWrites {
    /// Adds a window and gives it its number; `row.number` is not looked at.
    fn insert_maintenance(&mut self, row: &MaintenanceRow) -> Result<u64, StoreError>;
    /// Ends a window that holds after `at` and that nobody has ended; whether this call did it.
    fn end_maintenance(&mut self, client: &ClientId, number: u64, at: Timestamp, by: &str) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "maintenance.get",
    "SELECT client, number, site, origin, body, entered_at, entered_by, over_at, ended_by FROM maintenance \
     WHERE client = ?1 AND number = ?2"
);
const OF_SITE: Query = query!(
    "maintenance.of_site",
    "SELECT client, number, site, origin, body, entered_at, entered_by, over_at, ended_by FROM maintenance \
     WHERE client = ?1 AND site = ?2 AND over_at IS NULL \
     UNION ALL \
     SELECT client, number, site, origin, body, entered_at, entered_by, over_at, ended_by FROM maintenance \
     WHERE client = ?1 AND site = ?2 AND over_at > ?3 ORDER BY number"
);
const OF_CLIENT: Query = query!(
    "maintenance.of_client",
    "SELECT client, number, site, origin, body, entered_at, entered_by, over_at, ended_by FROM maintenance \
     WHERE client = ?1 ORDER BY number"
);
const ALL: Query = query!(
    "maintenance.all",
    "SELECT client, number, site, origin, body, entered_at, entered_by, over_at, ended_by FROM maintenance \
     ORDER BY client, number"
);
const INSERT: Query = query!(
    "maintenance.insert",
    "INSERT INTO maintenance (client, number, site, origin, body, entered_at, entered_by, over_at, ended_by) \
     SELECT ?1, coalesce(max(number) + 1, 1), ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM maintenance WHERE client = ?1 \
     RETURNING number"
);
const END: Query = query!(
    "maintenance.end",
    "UPDATE maintenance SET over_at = ?3, ended_by = ?4 WHERE client = ?1 AND number = ?2 AND ended_by IS NULL \
     AND (over_at IS NULL OR over_at > ?3)"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, OF_SITE, OF_CLIENT, END];

fn maintenance_row(row: &Row<'_>) -> Read<MaintenanceRow> {
    Ok(MaintenanceRow {
        client: row.get::<Parsed<_>>(0)?.0,
        number: row.get::<Bits>(1)?.0,
        site: row.get::<Parsed<_>>(2)?.0,
        origin: row.get(3)?,
        body: row.get(4)?,
        entered_at: row.get::<At>(5)?.0,
        entered_by: row.get(6)?,
        over_at: row.get::<Option<At>>(7)?.map(|at| at.0),
        ended_by: row.get(8)?,
    })
}

impl MaintenanceReads for Sql<'_> {
    fn maintenance(&self, client: &ClientId, number: u64) -> Result<Option<MaintenanceRow>, StoreError> {
        self.one(&GET, params![client.as_str(), Bits(number)], maintenance_row)
    }

    fn maintenance_of_site(
        &self,
        client: &ClientId,
        site: &SiteId,
        since: Timestamp,
    ) -> Result<Vec<MaintenanceRow>, StoreError> {
        self.all(&OF_SITE, params![client.as_str(), site.as_str(), At(since)], maintenance_row)
    }

    fn all_maintenance(&self, client: Option<&ClientId>) -> Result<Vec<MaintenanceRow>, StoreError> {
        match client {
            Some(client) => self.all(&OF_CLIENT, [client.as_str()], maintenance_row),
            None => self.all(&ALL, params![], maintenance_row),
        }
    }
}

impl MaintenanceWrites for Sql<'_> {
    fn insert_maintenance(&mut self, row: &MaintenanceRow) -> Result<u64, StoreError> {
        let MaintenanceRow { client, number: _, site, origin, body, entered_at, entered_by, over_at, ended_by } = row;
        let values = params![
            client.as_str(),
            site.as_str(),
            origin,
            body,
            At(*entered_at),
            entered_by,
            over_at.map(At),
            ended_by
        ];
        let number = self.one(&INSERT, values, |row| Ok(row.get::<Bits>(0)?.0))?;
        number.ok_or(StoreError::Damaged {
            name: INSERT.name,
            column: 0,
            why: "the database returned no number".to_owned(),
        })
    }

    fn end_maintenance(&mut self, client: &ClientId, number: u64, at: Timestamp, by: &str) -> Result<bool, StoreError> {
        Ok(self.run(&END, params![client.as_str(), Bits(number), At(at), by])? == 1)
    }
}
