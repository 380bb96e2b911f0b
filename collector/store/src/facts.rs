//! Facts beside findings, on which judgements rest: states, stretches of samples that say the same, sums by the hour,
//! what agents said, and when they were not heard. In the collector's time; written once, never thinned (DELIVERY 4).
//!
//! The text columns are the desk's: `state` of [`ChangeRow`], `seen` of [`StretchRow`] and the bodies are not read here.

use jiff::Timestamp;
use upheld_model::{AgentId, CheckId, ClientId, SiteId};

use crate::{
    StoreError,
    sql::{Asked, At, Param as _, Parsed, Query, Row, Sql, params, query, texts},
};

/// Whose facts: every call names the client (SECURITY 23).
#[derive(Debug, Clone, Copy)]
pub struct SiteKey<'a> {
    /// Whose site it is.
    pub client: &'a ClientId,
    /// Which.
    pub site: &'a SiteId,
}

/// A change of a check's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Of which check.
    pub check: CheckId,
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub agent: AgentId,
    /// When that was received.
    pub received_at: Timestamp,
    /// The new state, JSON.
    pub state: String,
}

/// A stretch of samples of one check that say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StretchRow {
    /// Of which check.
    pub check: CheckId,
    /// Its first sample.
    pub from: Timestamp,
    /// Its last one.
    pub to: Timestamp,
    /// Who took them.
    pub agent: AgentId,
    /// When the first one was received.
    pub received_at: Timestamp,
    /// What they say, JSON.
    pub seen: String,
}

/// Sums of one agent's samples in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourRow {
    /// When the hour began.
    pub from: Timestamp,
    /// Whose samples.
    pub agent: AgentId,
    /// The sums, JSON.
    pub body: String,
}

/// Something that an agent said beside its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub agent: AgentId,
    /// Its word: `started`, `stopping`, `gap`, `boot`.
    pub kind: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// All of it, JSON.
    pub body: String,
}

/// A stretch in which an agent was not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnheardRow {
    /// Which.
    pub agent: AgentId,
    /// Since it was last heard.
    pub since: Timestamp,
    /// When it was heard again.
    pub until: Timestamp,
}

/// Reading facts. Periods are `[from, to)`.
pub trait FactReads {
    /// How often past hours of a site changed.
    fn late_hours(&self, key: SiteKey<'_>) -> Result<i64, StoreError>;
    /// The changes of a check's state in a period, and those of the latest instant before it.
    fn changes(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ChangeRow>, StoreError>;
    /// The stretches of a site that touch a period.
    fn stretches(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<StretchRow>, StoreError>;
    /// Where the fold of an agent's samples stands; under the collector's reserved client what it keeps of its own clock.
    fn kept_now(&self, key: SiteKey<'_>, agent: &AgentId) -> Result<Option<String>, StoreError>;
    /// Where the fold of each agent's samples stands.
    fn kept_of_site(&self, key: SiteKey<'_>) -> Result<Vec<(AgentId, String)>, StoreError>;
    /// One hour of one agent.
    fn hour(&self, key: SiteKey<'_>, agent: &AgentId, from: Timestamp) -> Result<Option<String>, StoreError>;
    /// The hours that begin in a period.
    fn hours(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<HourRow>, StoreError>;
    /// What was said in a period, by time.
    fn said(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<SaidRow>, StoreError>;
    /// The stretches that touch a period in which agents were not heard.
    fn unheard(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<UnheardRow>, StoreError>;
    /// The sites that are to be judged again at `now` or earlier, the longest due first.
    fn sites_due(&self, now: Timestamp, limit: u32) -> Result<Vec<(ClientId, SiteId)>, StoreError>;
}

/// Writing facts. What is there already stays as it is, so that a fact received twice is one.
pub trait FactWrites {
    /// Past hours of a site change in this transaction.
    fn note_late_hours(&mut self, key: SiteKey<'_>) -> Result<(), StoreError>;
    /// Notes a change of state; of two at one instant the later one in the journal counts.
    fn put_change(&mut self, key: SiteKey<'_>, row: &ChangeRow) -> Result<(), StoreError>;
    /// Keeps stretches that are over; one that is there stays as it is.
    fn insert_stretches(&mut self, key: SiteKey<'_>, rows: &[StretchRow]) -> Result<(), StoreError>;
    /// Keeps where the fold of an agent's samples stands, in place of where it stood.
    fn put_kept_now(&mut self, key: SiteKey<'_>, agent: &AgentId, body: &str) -> Result<(), StoreError>;
    /// Keeps an hour's sums, in place of what they were.
    fn put_hour(&mut self, key: SiteKey<'_>, row: &HourRow) -> Result<(), StoreError>;
    /// Notes what an agent said.
    fn insert_said(&mut self, key: SiteKey<'_>, row: &SaidRow) -> Result<(), StoreError>;
    /// Notes that an agent was not heard.
    fn insert_unheard(&mut self, key: SiteKey<'_>, row: &UnheardRow) -> Result<(), StoreError>;
    /// Says when a site must be judged again; never when `None`.
    fn put_site_due(&mut self, key: SiteKey<'_>, due_at: Option<Timestamp>) -> Result<(), StoreError>;
}

const CHANGES: Query = query!(
    "changes.of_check",
    "SELECT at, agent, received_at, state FROM changes \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND at < ?6 AND at >= coalesce(\
     (SELECT max(at) FROM changes WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND at < ?5), ?5) \
     ORDER BY at, agent"
);
const PUT_CHANGE: Query = query!(
    "changes.put",
    "INSERT INTO changes (client, site, asset, check_name, at, agent, received_at, state) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
     ON CONFLICT (client, site, asset, check_name, at, agent) DO UPDATE SET state = excluded.state"
);
const STRETCHES: Query = query!(
    "stretches.of_site",
    "SELECT asset || '/' || check_name, from_at, to_at, agent, received_at, seen FROM stretches INDEXED BY stretches_by_end \
     WHERE client = ?1 AND site = ?2 AND to_at >= ?3 AND from_at < ?4 \
     ORDER BY to_at, asset, check_name, from_at, agent"
);
const INSERT_STRETCH: Query = query!(
    "stretches.insert",
    "INSERT INTO stretches (client, site, asset, check_name, from_at, agent, to_at, received_at, seen) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"
);
const KEPT: Query = query!("kept_now.get", "SELECT body FROM kept_now WHERE client = ?1 AND site = ?2 AND agent = ?3");
const KEPT_OF_SITE: Query =
    query!("kept_now.of_site", "SELECT agent, body FROM kept_now WHERE client = ?1 AND site = ?2 ORDER BY agent");
const PUT_KEPT: Query = query!(
    "kept_now.put",
    "INSERT INTO kept_now (client, site, agent, body) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (client, site, agent) DO UPDATE SET body = excluded.body"
);
const HOUR: Query =
    query!("hours.get", "SELECT body FROM hours WHERE client = ?1 AND site = ?2 AND from_at = ?4 AND agent = ?3");
const HOURS: Query = query!(
    "hours.of_site",
    "SELECT from_at, agent, body FROM hours WHERE client = ?1 AND site = ?2 AND from_at >= ?3 AND from_at < ?4 \
     ORDER BY from_at, agent"
);
const PUT_HOUR: Query = query!(
    "hours.put",
    "INSERT INTO hours (client, site, from_at, agent, body) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (client, site, from_at, agent) DO UPDATE SET body = excluded.body"
);
const SAID: Query = query!(
    "said.of_site",
    "SELECT at, agent, kind, received_at, body FROM said WHERE client = ?1 AND site = ?2 AND at >= ?3 AND at < ?4 \
     ORDER BY at, agent, kind"
);
const INSERT_SAID: Query = query!(
    "said.insert",
    "INSERT INTO said (client, site, at, agent, kind, received_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT DO NOTHING"
);
const UNHEARD: Query = query!(
    "unheard.of_site",
    "SELECT agent, since, until FROM unheard INDEXED BY unheard_by_end \
     WHERE client = ?1 AND site = ?2 AND until > ?3 AND since < ?4 ORDER BY until, since, agent"
);
const INSERT_UNHEARD: Query = query!(
    "unheard.insert",
    "INSERT INTO unheard (client, site, since, agent, until) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING"
);
const DUE: Query =
    query!("sites_due.due", "SELECT client, site FROM sites_due WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2");
const PUT_DUE: Query = query!(
    "sites_due.put",
    "INSERT INTO sites_due (client, site, due_at) VALUES (?1, ?2, ?3) \
     ON CONFLICT (client, site) DO UPDATE SET due_at = excluded.due_at"
);
const NEVER_DUE: Query = query!("sites_due.never", "DELETE FROM sites_due WHERE client = ?1 AND site = ?2");

const LATE_HOURS: Query = query!("late_hours.of_site", "SELECT times FROM late_hours WHERE client = ?1 AND site = ?2");
const NOTE_LATE_HOURS: Query = query!(
    "late_hours.note",
    "INSERT INTO late_hours (client, site, times) VALUES (?1, ?2, 1) \
     ON CONFLICT (client, site) DO UPDATE SET times = late_hours.times + 1"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[
    CHANGES,
    STRETCHES,
    KEPT,
    KEPT_OF_SITE,
    PUT_KEPT,
    HOUR,
    HOURS,
    PUT_HOUR,
    SAID,
    UNHEARD,
    DUE,
    NEVER_DUE,
    LATE_HOURS,
];

/// [`FactReads::kept_now`] as it is asked.
pub(crate) fn ask_kept_now<'a>(key: SiteKey<'a>, agent: &'a AgentId) -> Asked<'a> {
    (&KEPT, texts([key.client.as_str(), key.site.as_str(), agent.as_str()]))
}

impl FactReads for Sql<'_> {
    fn late_hours(&self, key: SiteKey<'_>) -> Result<i64, StoreError> {
        Ok(self.one(&LATE_HOURS, [key.client.as_str(), key.site.as_str()], |row| row.get(0))?.unwrap_or(0))
    }

    fn changes(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ChangeRow>, StoreError> {
        let (asset, name) = (check.asset.as_str(), check.name.as_str());
        let params = params![key.client.as_str(), key.site.as_str(), asset, name, At(from), At(to)];
        self.all(&CHANGES, params, |row| {
            Ok(ChangeRow {
                check: check.clone(),
                at: row.get::<At>(0)?.0,
                agent: row.get::<Parsed<_>>(1)?.0,
                received_at: row.get::<At>(2)?.0,
                state: row.get(3)?,
            })
        })
    }

    fn stretches(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<StretchRow>, StoreError> {
        self.all(&STRETCHES, params![key.client.as_str(), key.site.as_str(), At(from), At(to)], |row| {
            Ok(StretchRow {
                check: row.get::<Parsed<_>>(0)?.0,
                from: row.get::<At>(1)?.0,
                to: row.get::<At>(2)?.0,
                agent: row.get::<Parsed<_>>(3)?.0,
                received_at: row.get::<At>(4)?.0,
                seen: row.get(5)?,
            })
        })
    }

    fn kept_now(&self, key: SiteKey<'_>, agent: &AgentId) -> Result<Option<String>, StoreError> {
        self.one(&KEPT, [key.client.as_str(), key.site.as_str(), agent.as_str()], |row| row.get(0))
    }

    fn kept_of_site(&self, key: SiteKey<'_>) -> Result<Vec<(AgentId, String)>, StoreError> {
        self.all(&KEPT_OF_SITE, [key.client.as_str(), key.site.as_str()], |row| {
            Ok((row.get::<Parsed<_>>(0)?.0, row.get(1)?))
        })
    }

    fn hour(&self, key: SiteKey<'_>, agent: &AgentId, from: Timestamp) -> Result<Option<String>, StoreError> {
        let params = params![key.client.as_str(), key.site.as_str(), agent.as_str(), At(from)];
        self.one(&HOUR, params, |row| row.get(0))
    }

    fn hours(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<HourRow>, StoreError> {
        self.all(&HOURS, params![key.client.as_str(), key.site.as_str(), At(from), At(to)], |row: &Row<'_>| {
            Ok(HourRow { from: row.get::<At>(0)?.0, agent: row.get::<Parsed<_>>(1)?.0, body: row.get(2)? })
        })
    }

    fn said(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<SaidRow>, StoreError> {
        self.all(&SAID, params![key.client.as_str(), key.site.as_str(), At(from), At(to)], |row| {
            Ok(SaidRow {
                at: row.get::<At>(0)?.0,
                agent: row.get::<Parsed<_>>(1)?.0,
                kind: row.get(2)?,
                received_at: row.get::<At>(3)?.0,
                body: row.get(4)?,
            })
        })
    }

    fn unheard(&self, key: SiteKey<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<UnheardRow>, StoreError> {
        self.all(&UNHEARD, params![key.client.as_str(), key.site.as_str(), At(from), At(to)], |row| {
            Ok(UnheardRow { agent: row.get::<Parsed<_>>(0)?.0, since: row.get::<At>(1)?.0, until: row.get::<At>(2)?.0 })
        })
    }

    fn sites_due(&self, now: Timestamp, limit: u32) -> Result<Vec<(ClientId, SiteId)>, StoreError> {
        self.all(&DUE, params![At(now), limit], |row| Ok((row.get::<Parsed<_>>(0)?.0, row.get::<Parsed<_>>(1)?.0)))
    }
}

impl FactWrites for Sql<'_> {
    fn note_late_hours(&mut self, key: SiteKey<'_>) -> Result<(), StoreError> {
        self.later(&NOTE_LATE_HOURS, [key.client.as_str(), key.site.as_str()])
    }

    fn put_change(&mut self, key: SiteKey<'_>, row: &ChangeRow) -> Result<(), StoreError> {
        let ChangeRow { check, at, agent, received_at, state } = row;
        let (asset, name) = (check.asset.as_str(), check.name.as_str());
        let (client, site) = (key.client.as_str(), key.site.as_str());
        let params = params![client, site, asset, name, At(*at), agent.as_str(), At(*received_at), state];
        self.later(&PUT_CHANGE, params)
    }

    fn insert_stretches(&mut self, key: SiteKey<'_>, rows: &[StretchRow]) -> Result<(), StoreError> {
        let instants: Vec<_> = rows.iter().map(|row| [At(row.from), At(row.to), At(row.received_at)]).collect();
        let sets: Vec<_> = rows
            .iter()
            .zip(&instants)
            .map(|(row, [from, to, received_at])| {
                vec![
                    key.client.as_str().value(),
                    key.site.as_str().value(),
                    row.check.asset.as_str().value(),
                    row.check.name.as_str().value(),
                    from.value(),
                    row.agent.as_str().value(),
                    to.value(),
                    received_at.value(),
                    row.seen.as_str().value(),
                ]
            })
            .collect();
        self.0.later(&INSERT_STRETCH, &sets)
    }

    fn put_kept_now(&mut self, key: SiteKey<'_>, agent: &AgentId, body: &str) -> Result<(), StoreError> {
        self.later(&PUT_KEPT, [key.client.as_str(), key.site.as_str(), agent.as_str(), body])
    }

    fn put_hour(&mut self, key: SiteKey<'_>, row: &HourRow) -> Result<(), StoreError> {
        let HourRow { from, agent, body } = row;
        let params = params![key.client.as_str(), key.site.as_str(), At(*from), agent.as_str(), body];
        self.later(&PUT_HOUR, params)
    }

    fn insert_said(&mut self, key: SiteKey<'_>, row: &SaidRow) -> Result<(), StoreError> {
        let SaidRow { at, agent, kind, received_at, body } = row;
        let (client, site) = (key.client.as_str(), key.site.as_str());
        let params = params![client, site, At(*at), agent.as_str(), kind, At(*received_at), body];
        self.later(&INSERT_SAID, params)
    }

    fn insert_unheard(&mut self, key: SiteKey<'_>, row: &UnheardRow) -> Result<(), StoreError> {
        let UnheardRow { agent, since, until } = row;
        let params = params![key.client.as_str(), key.site.as_str(), At(*since), agent.as_str(), At(*until)];
        self.later(&INSERT_UNHEARD, params)
    }

    fn put_site_due(&mut self, key: SiteKey<'_>, due_at: Option<Timestamp>) -> Result<(), StoreError> {
        let (client, site) = (key.client.as_str(), key.site.as_str());
        match due_at {
            Some(due_at) => self.later(&PUT_DUE, params![client, site, At(due_at)]),
            None => self.later(&NEVER_DUE, [client, site]),
        }
    }
}
