//! Incidents: at most one open per dedup key, numbered per client.

use jiff::Timestamp;
use upheld_model::{ClientId, Digest, IncidentNumber, IncidentRef, SiteId};

use crate::{
    StoreError,
    sql::{At, Bits, Parsed, Query, Read, Row, Sha, Sql, params, query},
};

/// One incident. What it says is text to the store; the columns beside it are what is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Whose.
    pub client: ClientId,
    /// Its number among that client's.
    pub number: IncidentNumber,
    /// Where.
    pub site: SiteId,
    /// `H(client, asset, check, opening cause)`: unique for ever (DELIVERY 3).
    pub incident_key: Digest,
    /// Unique among open incidents; no time, severity or text in it.
    pub dedup: String,
    /// Its state's word.
    pub state: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was over; `None` while it is open and occupies its dedup key.
    pub over_at: Option<Timestamp>,
    /// When something falls due by itself, for example the end of its watch.
    pub next_deadline: Option<Timestamp>,
    /// Counts changes: the compare of compare-and-set.
    pub revision: u64,
    /// The incident itself, JSON.
    pub body: String,
    /// Its pinned terms, JSON.
    pub terms: Option<String>,
    /// Why it has none, JSON.
    pub refusal: Option<String>,
}

/// Reading incidents.
pub trait IncidentReads {
    /// One incident.
    fn incident(&self, client: &ClientId, number: IncidentNumber) -> Result<Option<IncidentRow>, StoreError>;
    /// The incident of this key, open or not.
    fn incident_by_key(&self, client: &ClientId, key: &Digest) -> Result<Option<IncidentRow>, StoreError>;
    /// The open incident of this dedup key.
    fn open_incident(&self, client: &ClientId, dedup: &str) -> Result<Option<IncidentRow>, StoreError>;
    /// A site's open incidents, and those that were over at `since` or later.
    fn incidents_of_site(
        &self,
        client: &ClientId,
        site: &SiteId,
        since: Timestamp,
    ) -> Result<Vec<IncidentRow>, StoreError>;
    /// One client's open incidents by number; all clients' when `None`.
    fn open_incidents(&self, client: Option<&ClientId>) -> Result<Vec<IncidentRow>, StoreError>;
    /// One client's newest incidents, open or not; all clients' when `None`.
    fn newest_incidents(&self, client: Option<&ClientId>, limit: u32) -> Result<Vec<IncidentRow>, StoreError>;
    /// The incidents that come after this one in [`IncidentReads::newest_incidents`], so that a list is read page by page.
    fn older_incidents(
        &self,
        client: Option<&ClientId>,
        than: &IncidentRef,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, StoreError>;
    /// One client's incidents behind a number, open or not, ascending: all of them, page by page.
    fn incidents_behind(
        &self,
        client: &ClientId,
        behind: IncidentNumber,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, StoreError>;
    /// The incidents of this number among all clients, for a person who left the client out.
    fn incidents_numbered(&self, number: IncidentNumber) -> Result<Vec<IncidentRow>, StoreError>;
    /// Incidents whose deadline is `now` or earlier, the oldest deadline first.
    fn incidents_due(&self, now: Timestamp, limit: u32) -> Result<Vec<IncidentRow>, StoreError>;
    /// How many of a client's incidents opened at `since` or later and were matched to its terms, drills not counted.
    fn openings_since(&self, client: &ClientId, since: Timestamp) -> Result<u64, StoreError>;
}

/// Writing incidents.
pub trait IncidentWrites {
    /// Takes the client's next number. A transaction that is undone gives it back.
    fn next_number(&mut self, client: &ClientId) -> Result<IncidentNumber, StoreError>;
    /// Adds an incident. Its key, or an open one of its dedup key, being there is [`StoreError::Exists`].
    fn insert_incident(&mut self, row: &IncidentRow) -> Result<(), StoreError>;
    /// Puts `row` in place of revision `row.revision` and counts the revision up; whether this call did it.
    fn update_incident(&mut self, row: &IncidentRow) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "incidents.get",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND number = ?2"
);
const BY_KEY: Query = query!(
    "incidents.by_key",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND incident_key = ?2"
);
const OPEN_BY_DEDUP: Query = query!(
    "incidents.open_by_dedup",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND dedup = ?2 AND over_at IS NULL"
);
const OF_SITE: Query = query!(
    "incidents.of_site",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND site = ?2 AND over_at IS NULL \
     UNION ALL \
     SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND site = ?2 AND over_at >= ?3 ORDER BY over_at NULLS FIRST, number"
);
const OPEN_OF_CLIENT: Query = query!(
    "incidents.open_of_client",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND over_at IS NULL ORDER BY number"
);
const OPEN_ALL: Query = query!(
    "incidents.open_all",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents INDEXED BY incidents_open WHERE over_at IS NULL ORDER BY client, number"
);
const NEWEST_OF_CLIENT: Query = query!(
    "incidents.newest_of_client",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 ORDER BY number DESC LIMIT ?2"
);
const OLDER_OF_CLIENT: Query = query!(
    "incidents.older_of_client",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
);
const OLDER_ALL: Query = query!(
    "incidents.older_all",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE (opened_at, rowid) < \
     (SELECT opened_at, rowid FROM incidents WHERE client = ?1 AND number = ?2) ORDER BY opened_at DESC, rowid DESC LIMIT ?3"
);
const BEHIND: Query = query!(
    "incidents.behind",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE client = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
);
const NEWEST_ALL: Query = query!(
    "incidents.newest_all",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents ORDER BY opened_at DESC, rowid DESC LIMIT ?1"
);
const NUMBERED: Query = query!(
    "incidents.numbered",
    "SELECT i.client, i.number, i.site, i.incident_key, i.dedup, i.state, i.opened_at, i.over_at, i.next_deadline, \
     i.revision, i.body, i.terms, i.refusal FROM numbers n \
     CROSS JOIN incidents i WHERE i.client = n.client AND i.number = ?1 ORDER BY i.client"
);
const DUE: Query = query!(
    "incidents.due",
    "SELECT client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision, body, terms, \
     refusal FROM incidents WHERE next_deadline <= ?1 ORDER BY next_deadline LIMIT ?2"
);
const OPENINGS: Query = query!(
    "incidents.openings_since",
    "SELECT count(*) FROM incidents INDEXED BY incidents_by_opening WHERE opened_at >= ?2 AND client = ?1 \
     AND (terms IS NOT NULL OR refusal IS NOT NULL) AND dedup NOT LIKE ?1 || '/' || site || '/drill/%'"
);
const NEXT_NUMBER: Query = query!(
    "numbers.next",
    "INSERT INTO numbers (client, next) VALUES (?1, 2) ON CONFLICT (client) DO UPDATE SET next = numbers.next + 1 \
     RETURNING numbers.next - 1"
);
const INSERT: Query = query!(
    "incidents.insert",
    "INSERT INTO incidents (client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, \
     revision, body, terms, refusal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
);
const UPDATE: Query = query!(
    guarded: "incidents.update",
    "UPDATE incidents SET over_at = ?4, state = ?5, next_deadline = ?6, revision = revision + 1, body = ?7, terms = ?8, \
     refusal = ?9, dedup = ?10, opened_at = ?11 WHERE client = ?1 AND number = ?2 AND revision = ?3"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[
    GET,
    BY_KEY,
    OPEN_BY_DEDUP,
    OF_SITE,
    OPEN_OF_CLIENT,
    NEWEST_OF_CLIENT,
    NEWEST_ALL,
    OLDER_OF_CLIENT,
    OLDER_ALL,
    BEHIND,
    DUE,
    OPENINGS,
    UPDATE,
];

fn incident_row(row: &Row<'_>) -> Read<IncidentRow> {
    Ok(IncidentRow {
        client: row.get::<Parsed<_>>(0)?.0,
        number: IncidentNumber(row.get(1)?),
        site: row.get::<Parsed<_>>(2)?.0,
        incident_key: row.get::<Sha>(3)?.0,
        dedup: row.get(4)?,
        state: row.get(5)?,
        opened_at: row.get::<At>(6)?.0,
        over_at: row.get::<Option<At>>(7)?.map(|at| at.0),
        next_deadline: row.get::<Option<At>>(8)?.map(|at| at.0),
        revision: row.get::<Bits>(9)?.0,
        body: row.get(10)?,
        terms: row.get(11)?,
        refusal: row.get(12)?,
    })
}

impl IncidentReads for Sql<'_> {
    fn incident(&self, client: &ClientId, number: IncidentNumber) -> Result<Option<IncidentRow>, StoreError> {
        self.one(&GET, params![client.as_str(), number.0], incident_row)
    }

    fn incident_by_key(&self, client: &ClientId, key: &Digest) -> Result<Option<IncidentRow>, StoreError> {
        self.one(&BY_KEY, params![client.as_str(), key.0], incident_row)
    }

    fn open_incident(&self, client: &ClientId, dedup: &str) -> Result<Option<IncidentRow>, StoreError> {
        self.one(&OPEN_BY_DEDUP, [client.as_str(), dedup], incident_row)
    }

    fn incidents_of_site(
        &self,
        client: &ClientId,
        site: &SiteId,
        since: Timestamp,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        self.all(&OF_SITE, params![client.as_str(), site.as_str(), At(since)], incident_row)
    }

    fn open_incidents(&self, client: Option<&ClientId>) -> Result<Vec<IncidentRow>, StoreError> {
        match client {
            Some(client) => self.all(&OPEN_OF_CLIENT, [client.as_str()], incident_row),
            None => self.all(&OPEN_ALL, params![], incident_row),
        }
    }

    fn newest_incidents(&self, client: Option<&ClientId>, limit: u32) -> Result<Vec<IncidentRow>, StoreError> {
        match client {
            Some(client) => self.all(&NEWEST_OF_CLIENT, params![client.as_str(), limit], incident_row),
            None => self.all(&NEWEST_ALL, [limit], incident_row),
        }
    }

    fn older_incidents(
        &self,
        client: Option<&ClientId>,
        than: &IncidentRef,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        match client {
            // A list of one client's has no place for another's.
            Some(client) if *client != than.client => Ok(Vec::new()),
            Some(client) => self.all(&OLDER_OF_CLIENT, params![client.as_str(), than.number.0, limit], incident_row),
            None => self.all(&OLDER_ALL, params![than.client.as_str(), than.number.0, limit], incident_row),
        }
    }

    fn incidents_behind(
        &self,
        client: &ClientId,
        behind: IncidentNumber,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        self.all(&BEHIND, params![client.as_str(), behind.0, limit], incident_row)
    }

    fn incidents_numbered(&self, number: IncidentNumber) -> Result<Vec<IncidentRow>, StoreError> {
        self.all(&NUMBERED, [number.0], incident_row)
    }

    fn incidents_due(&self, now: Timestamp, limit: u32) -> Result<Vec<IncidentRow>, StoreError> {
        self.all(&DUE, params![At(now), limit], incident_row)
    }

    fn openings_since(&self, client: &ClientId, since: Timestamp) -> Result<u64, StoreError> {
        let count = self.one(&OPENINGS, params![client.as_str(), At(since)], |row| row.get::<i64>(0))?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}

impl IncidentWrites for Sql<'_> {
    fn next_number(&mut self, client: &ClientId) -> Result<IncidentNumber, StoreError> {
        let number = self.one(&NEXT_NUMBER, [client.as_str()], |row| row.get(0))?;
        number.map(IncidentNumber).ok_or(StoreError::Damaged {
            name: NEXT_NUMBER.name,
            column: 0,
            why: "the database returned no number".to_owned(),
        })
    }

    fn insert_incident(&mut self, row: &IncidentRow) -> Result<(), StoreError> {
        self.run(
            &INSERT,
            params![
                row.client.as_str(),
                row.number.0,
                row.site.as_str(),
                row.incident_key.0,
                row.dedup,
                row.state,
                At(row.opened_at),
                row.over_at.map(At),
                row.next_deadline.map(At),
                Bits(row.revision),
                row.body,
                row.terms,
                row.refusal
            ],
        )
        .map(drop)
    }

    fn update_incident(&mut self, row: &IncidentRow) -> Result<bool, StoreError> {
        let changed = self.run(
            &UPDATE,
            params![
                row.client.as_str(),
                row.number.0,
                Bits(row.revision),
                row.over_at.map(At),
                row.state,
                row.next_deadline.map(At),
                row.body,
                row.terms,
                row.refusal,
                row.dedup,
                At(row.opened_at)
            ],
        )?;
        Ok(changed == 1)
    }
}
