//! What goes when its time is over (DELIVERY 4): records of samples alone, then their identities, hours, forks.
//!
//! Facts stay for years ([`crate::forgotten`]). Each call takes away so little that no other transaction waits long, and says how much; whoever calls
//! goes on until it is less than he asked for.

use jiff::Timestamp;

use crate::{
    StoreError,
    facts::SiteKey,
    records::AgentKey,
    sql::{At, Query, Sql, params, query},
};

/// Taking away what is older than `before`, the oldest first.
pub trait RetentionWrites {
    /// About `limit` of an agent's records of samples alone; how many. Their identities stay.
    fn forget_samples(&mut self, key: AgentKey<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// About `limit` identities of records that are gone, by when they were received; how many.
    fn forget_identities(&mut self, key: AgentKey<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// An agent's forks; how many.
    fn forget_forks(&mut self, key: AgentKey<'_>, before: Timestamp) -> Result<u64, StoreError>;
    /// The sums of a site's hours that began before; how many.
    fn forget_hours(&mut self, key: SiteKey<'_>, before: Timestamp) -> Result<u64, StoreError>;
}

// What came in one upload goes together: that is why an instant is looked for, and not rows.
const SAMPLES_UNTIL: Query = query!(
    "retention.samples_until",
    "SELECT max(received_at) FROM (SELECT received_at FROM records \
     WHERE client = ?1 AND agent = ?2 AND is_fact = 0 AND received_at < ?3 ORDER BY received_at LIMIT ?4) AS oldest"
);
const KEEP_IDENTITIES: Query = query!(
    "retention.keep_identities",
    "INSERT INTO known_records (client, agent, record_id, content_hash, received_at) \
     SELECT client, agent, record_id, content_hash, received_at FROM records \
     WHERE client = ?1 AND agent = ?2 AND is_fact = 0 AND received_at <= ?3 ON CONFLICT DO NOTHING"
);
const SAMPLES: Query = query!(
    "retention.samples",
    "DELETE FROM records WHERE client = ?1 AND agent = ?2 AND is_fact = 0 AND received_at <= ?3"
);
const IDENTITIES_UNTIL: Query = query!(
    "retention.identities_until",
    "SELECT max(received_at) FROM (SELECT received_at FROM known_records \
     WHERE client = ?1 AND agent = ?2 AND received_at < ?3 ORDER BY received_at LIMIT ?4) AS oldest"
);
const IDENTITIES: Query =
    query!("retention.identities", "DELETE FROM known_records WHERE client = ?1 AND agent = ?2 AND received_at <= ?3");
const FORKS: Query = query!("retention.forks", "DELETE FROM forks WHERE client = ?1 AND agent = ?2 AND at < ?3");
const HOURS: Query = query!("retention.hours", "DELETE FROM hours WHERE client = ?1 AND site = ?2 AND from_at < ?3");

/// The queries that run often, for the test of their plans.
#[cfg(test)]
pub(crate) const HOT: &[Query] = &[SAMPLES_UNTIL, KEEP_IDENTITIES, SAMPLES, IDENTITIES_UNTIL, IDENTITIES, FORKS, HOURS];

impl Sql<'_> {
    fn until(
        &self,
        query: &Query,
        key: AgentKey<'_>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<Timestamp>, StoreError> {
        let params = params![key.client.as_str(), key.agent.as_str(), At(before), limit];
        Ok(self.one(query, params, |row| row.get::<Option<At>>(0))?.flatten().map(|at| at.0))
    }
}

impl RetentionWrites for Sql<'_> {
    fn forget_samples(&mut self, key: AgentKey<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let Some(until) = self.until(&SAMPLES_UNTIL, key, before, limit)? else { return Ok(0) };
        let params = params![key.client.as_str(), key.agent.as_str(), At(until)];
        self.run(&KEEP_IDENTITIES, params)?;
        Ok(self.run(&SAMPLES, params)? as u64)
    }

    fn forget_identities(&mut self, key: AgentKey<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let Some(until) = self.until(&IDENTITIES_UNTIL, key, before, limit)? else { return Ok(0) };
        let params = params![key.client.as_str(), key.agent.as_str(), At(until)];
        Ok(self.run(&IDENTITIES, params)? as u64)
    }

    fn forget_forks(&mut self, key: AgentKey<'_>, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.run(&FORKS, params![key.client.as_str(), key.agent.as_str(), At(before)])? as u64)
    }

    fn forget_hours(&mut self, key: SiteKey<'_>, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.run(&HOURS, params![key.client.as_str(), key.site.as_str(), At(before)])? as u64)
    }
}
