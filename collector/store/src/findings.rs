//! Findings: one bad interval of one check each. They always open and close, suppressed or not (DETECTION 1).

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest, FindingId, IncidentNumber, RecordId, SiteId};

use crate::{
    StoreError,
    sql::{At, Id16, Parsed, Query, Read, Row, Sha, Sql, params, query},
};

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// Its name.
    pub id: FindingId,
    /// Who found it.
    pub agent: AgentId,
    /// The record that said so.
    pub record_id: RecordId,
    /// That record's content.
    pub content_hash: Digest,
    /// When that record was committed: `received` of TERMS F11.
    pub received_at: Timestamp,
    /// The collector's clock minus the agent's at that upload, in milliseconds.
    pub offset_ms: i64,
    /// The finding as it was opened, JSON.
    pub opened: String,
    /// How it ended, JSON.
    pub ended: Option<String>,
    /// The incident that holds it.
    pub incident: Option<IncidentNumber>,
    /// Its begin in the collector's time; `None` in rows of a version that did not keep it.
    pub begun: Option<Begun>,
    /// Its end in the collector's time, known from its record or from what the agent said of the present.
    pub over: Option<Over>,
}

/// When a finding began, in the collector's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The last good sample before; `None` when there never was one.
    pub after: Option<Timestamp>,
    /// The first bad sample.
    pub by: Timestamp,
    /// The sample that confirmed it.
    pub detected: Timestamp,
}

/// When a finding was over, in the collector's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// The last bad sample, if that is known.
    pub after: Option<Timestamp>,
    /// The first good sample.
    pub by: Timestamp,
    /// The sample that confirmed the recovery.
    pub confirmed: Timestamp,
    /// When it was first known to be over.
    pub received: Timestamp,
}

/// Reading findings.
pub trait FindingReads {
    /// One finding.
    fn finding(&self, client: &ClientId, site: &SiteId, id: &FindingId) -> Result<Option<FindingRow>, StoreError>;
    /// The findings of a site that failed at any time in `[from, to)`, by their begin.
    fn findings_between(
        &self,
        client: &ClientId,
        site: &SiteId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<FindingRow>, StoreError>;
    /// The findings of a site that have not ended.
    fn open_findings(&self, client: &ClientId, site: &SiteId) -> Result<Vec<FindingRow>, StoreError>;
}

/// Writing findings.
pub trait FindingWrites {
    /// Adds a finding unless it is there; whether this call did it.
    fn insert_finding(&mut self, row: &FindingRow) -> Result<bool, StoreError>;
    /// Ends a finding that has not ended; whether this call did it. When it was first known to be over stays.
    fn end_finding(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        id: &FindingId,
        ended: &str,
        over: &Over,
    ) -> Result<bool, StoreError>;
    /// Says which incident holds a finding.
    fn assign_finding(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        id: &FindingId,
        incident: IncidentNumber,
    ) -> Result<(), StoreError>;
}

const GET: Query = query!(
    "findings.get",
    "SELECT client, site, asset || '/' || check_name, finding, agent, record_id, content_hash, received_at, offset_ms, \
     opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, end_confirmed_at, \
     end_received_at FROM findings \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND finding = ?5"
);
const OPEN: Query = query!(
    "findings.open_of_site",
    "SELECT client, site, asset || '/' || check_name, finding, agent, record_id, content_hash, received_at, offset_ms, \
     opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, end_confirmed_at, \
     end_received_at FROM findings INDEXED BY findings_open \
     WHERE client = ?1 AND site = ?2 AND ended IS NULL ORDER BY asset, check_name, finding"
);
// Three ways to touch a period: to begin in it, to end in or after it, not to have ended.
const BETWEEN: Query = query!(
    "findings.between",
    "SELECT client, site, asset || '/' || check_name, finding, agent, record_id, content_hash, received_at, offset_ms, \
     opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, end_confirmed_at, \
     end_received_at FROM findings INDEXED BY findings_by_begin \
     WHERE client = ?1 AND site = ?2 AND started_by >= ?3 AND started_by < ?4 \
     UNION \
     SELECT client, site, asset || '/' || check_name, finding, agent, record_id, content_hash, received_at, offset_ms, \
     opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, end_confirmed_at, \
     end_received_at FROM findings INDEXED BY findings_by_end \
     WHERE client = ?1 AND site = ?2 AND ended_by >= ?3 AND started_by < ?4 \
     UNION \
     SELECT client, site, asset || '/' || check_name, finding, agent, record_id, content_hash, received_at, offset_ms, \
     opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, end_confirmed_at, \
     end_received_at FROM findings INDEXED BY findings_open \
     WHERE client = ?1 AND site = ?2 AND ended IS NULL AND ended_by IS NULL AND started_by < ?4"
);
const INSERT: Query = query!(
    "findings.insert",
    "INSERT INTO findings (client, site, asset, check_name, finding, agent, record_id, content_hash, received_at, \
     offset_ms, opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by, \
     end_confirmed_at, end_received_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) \
     ON CONFLICT DO NOTHING"
);
const END: Query = query!(
    "findings.end",
    "UPDATE findings SET ended = ?6, ended_after = ?7, ended_by = ?8, end_confirmed_at = ?9, \
     end_received_at = coalesce(end_received_at, ?10) \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND finding = ?5 AND ended IS NULL"
);
const ASSIGN: Query = query!(
    "findings.assign",
    "UPDATE findings SET incident = ?6 \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND finding = ?5"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, OPEN, BETWEEN, END, ASSIGN];

fn finding_row(row: &Row<'_>) -> Read<FindingRow> {
    let check = row.get::<Parsed<_>>(2)?.0;
    let first_bad = upheld_model::ObservedAt(row.get::<Parsed<Timestamp>>(3)?.0);
    Ok(FindingRow {
        client: row.get::<Parsed<_>>(0)?.0,
        site: row.get::<Parsed<_>>(1)?.0,
        id: FindingId { check, first_bad },
        agent: row.get::<Parsed<_>>(4)?.0,
        record_id: row.get::<Id16>(5)?.0,
        content_hash: row.get::<Sha>(6)?.0,
        received_at: row.get::<At>(7)?.0,
        offset_ms: row.get(8)?,
        opened: row.get(9)?,
        ended: row.get(10)?,
        incident: row.get::<Option<u32>>(11)?.map(IncidentNumber),
        begun: begun(row)?,
        over: over(row)?,
    })
}

fn begun(row: &Row<'_>) -> Read<Option<Begun>> {
    let Some(At(detected)) = row.get::<Option<At>>(14)? else { return Ok(None) };
    let after = row.get::<Option<At>>(12)?.map(|at| at.0);
    Ok(Some(Begun { after, by: row.get::<At>(13)?.0, detected }))
}

fn over(row: &Row<'_>) -> Read<Option<Over>> {
    let Some(At(confirmed)) = row.get::<Option<At>>(17)? else { return Ok(None) };
    let after = row.get::<Option<At>>(15)?.map(|at| at.0);
    Ok(Some(Over { after, by: row.get::<At>(16)?.0, confirmed, received: row.get::<At>(18)?.0 }))
}

impl FindingReads for Sql<'_> {
    fn finding(&self, client: &ClientId, site: &SiteId, id: &FindingId) -> Result<Option<FindingRow>, StoreError> {
        let (asset, name) = (id.check.asset.as_str(), id.check.name.as_str());
        let params = params![client.as_str(), site.as_str(), asset, name, id.first_bad.to_string()];
        self.one(&GET, params, finding_row)
    }

    fn findings_between(
        &self,
        client: &ClientId,
        site: &SiteId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<FindingRow>, StoreError> {
        let mut found = self.all(&BETWEEN, params![client.as_str(), site.as_str(), At(from), At(to)], finding_row)?;
        found.sort_by(|a, b| (a.begun.map(|begun| begun.by), &a.id).cmp(&(b.begun.map(|begun| begun.by), &b.id)));
        Ok(found)
    }

    fn open_findings(&self, client: &ClientId, site: &SiteId) -> Result<Vec<FindingRow>, StoreError> {
        self.all(&OPEN, [client.as_str(), site.as_str()], finding_row)
    }
}

impl FindingWrites for Sql<'_> {
    fn insert_finding(&mut self, row: &FindingRow) -> Result<bool, StoreError> {
        let inserted = self.run(
            &INSERT,
            params![
                row.client.as_str(),
                row.site.as_str(),
                row.id.check.asset.as_str(),
                row.id.check.name.as_str(),
                row.id.first_bad.to_string(),
                row.agent.as_str(),
                row.record_id.0,
                row.content_hash.0,
                At(row.received_at),
                row.offset_ms,
                row.opened,
                row.ended,
                row.incident.map(|number| number.0),
                row.begun.and_then(|begun| begun.after).map(At),
                At(row.begun.map_or(row.received_at, |begun| begun.by)),
                row.begun.map(|begun| At(begun.detected)),
                row.over.and_then(|over| over.after).map(At),
                row.over.map(|over| At(over.by)),
                row.over.map(|over| At(over.confirmed)),
                row.over.map(|over| At(over.received))
            ],
        )?;
        Ok(inserted == 1)
    }

    fn end_finding(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        id: &FindingId,
        ended: &str,
        over: &Over,
    ) -> Result<bool, StoreError> {
        let (asset, name) = (id.check.asset.as_str(), id.check.name.as_str());
        let params = params![
            client.as_str(),
            site.as_str(),
            asset,
            name,
            id.first_bad.to_string(),
            ended,
            over.after.map(At),
            At(over.by),
            At(over.confirmed),
            At(over.received)
        ];
        Ok(self.run(&END, params)? == 1)
    }

    fn assign_finding(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        id: &FindingId,
        incident: IncidentNumber,
    ) -> Result<(), StoreError> {
        let (asset, name) = (id.check.asset.as_str(), id.check.name.as_str());
        let params = params![client.as_str(), site.as_str(), asset, name, id.first_bad.to_string(), incident.0];
        self.run(&ASSIGN, params).map(drop)
    }
}
