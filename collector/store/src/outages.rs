//! The collector's own troubles while it ran: when its line was out, its data door refused, its clock was in doubt
//! (DETECTION 4.6). What the troubles are called is the desk's.

use jiff::Timestamp;

use crate::{
    StoreError,
    sql::{At, Query, Read, Row, Sql, params, query},
};

/// One stretch of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageRow {
    /// What was wrong.
    pub trouble: String,
    /// When all was well for the last time.
    pub since: Timestamp,
    /// From when on all was well again; `None` while it is not.
    pub until: Option<Timestamp>,
}

/// Reading troubles.
pub trait OutageReads {
    /// Those that lasted at `since` or later, in the order in which they began.
    fn own_outages(&self, since: Timestamp) -> Result<Vec<OutageRow>, StoreError>;
    /// Since when a trouble lasts; `None` when it does not.
    fn own_outage_open(&self, trouble: &str) -> Result<Option<Timestamp>, StoreError>;
}

/// Writing troubles.
pub trait OutageWrites {
    /// A trouble begins; one that lasts already goes on.
    fn begin_own_outage(&mut self, trouble: &str, since: Timestamp) -> Result<(), StoreError>;
    /// The one that lasts is over.
    fn end_own_outage(&mut self, trouble: &str, until: Timestamp) -> Result<(), StoreError>;
}

const SINCE: Query = query!(
    "own_outages.since",
    "SELECT trouble, since, until FROM own_outages WHERE until >= ?1 \
     UNION ALL SELECT trouble, since, until FROM own_outages INDEXED BY own_outages_one_open WHERE until IS NULL \
     ORDER BY since LIMIT 1000"
);
const OPEN: Query = query!("own_outages.open", "SELECT since FROM own_outages WHERE trouble = ?1 AND until IS NULL");
const BEGIN: Query = query!(
    "own_outages.begin",
    "INSERT INTO own_outages (trouble, since) SELECT ?1, ?2 WHERE NOT EXISTS \
     (SELECT 1 FROM own_outages WHERE trouble = ?1 AND (until IS NULL OR since = ?2))"
);
const END: Query = query!(
    "own_outages.end",
    "UPDATE own_outages SET until = CASE WHEN since > ?2 THEN since ELSE ?2 END WHERE trouble = ?1 AND until IS NULL"
);

/// The queries that run often, for the test of their plans.
#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OPEN, END];

fn outage_row(row: &Row<'_>) -> Read<OutageRow> {
    Ok(OutageRow { trouble: row.get(0)?, since: row.get::<At>(1)?.0, until: row.get::<Option<At>>(2)?.map(|at| at.0) })
}

impl OutageReads for Sql<'_> {
    fn own_outages(&self, since: Timestamp) -> Result<Vec<OutageRow>, StoreError> {
        self.all(&SINCE, params![At(since)], outage_row)
    }

    fn own_outage_open(&self, trouble: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.one(&OPEN, params![trouble], |row| row.get::<At>(0))?.map(|at| at.0))
    }
}

impl OutageWrites for Sql<'_> {
    fn begin_own_outage(&mut self, trouble: &str, since: Timestamp) -> Result<(), StoreError> {
        self.run(&BEGIN, params![trouble, At(since)]).map(drop)
    }

    fn end_own_outage(&mut self, trouble: &str, until: Timestamp) -> Result<(), StoreError> {
        self.run(&END, params![trouble, At(until)]).map(drop)
    }
}
