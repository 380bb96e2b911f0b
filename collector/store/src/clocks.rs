//! Clocks as last computed: an index over the ledger, so that what falls due is found without replaying all.

use jiff::Timestamp;
use upheld_model::{ClientId, IncidentNumber};

use crate::{
    StoreError,
    sql::{At, Bits, Parsed, Query, Read, Row, Sql, params, query},
};

/// One clock of one incident. It can be thrown away and computed again, all but `announced`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockRow {
    /// Whose.
    pub client: ClientId,
    /// Of which incident.
    pub number: IncidentNumber,
    /// Its name within the incident.
    pub clock: String,
    /// Its state's word.
    pub state: String,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// When something of it falls due by itself: a warning, the breach, the end of a pause.
    pub next_deadline: Option<Timestamp>,
    /// Counts changes: the compare of compare-and-set.
    pub revision: u64,
    /// What is promised, JSON.
    pub target: String,
    /// What has been announced, JSON.
    pub announced: String,
}

/// Reading clocks.
pub trait ClockReads {
    /// An incident's clocks by name.
    fn clocks(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<ClockRow>, StoreError>;
    /// Clocks whose deadline is `now` or earlier, the oldest deadline first.
    fn clocks_due(&self, now: Timestamp, limit: u32) -> Result<Vec<ClockRow>, StoreError>;
    /// The earliest deadline of all clocks.
    fn next_clock_deadline(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Writing clocks.
pub trait ClockWrites {
    /// Adds a clock.
    fn insert_clock(&mut self, row: &ClockRow) -> Result<(), StoreError>;
    /// Puts `row` in place of revision `row.revision` and counts the revision up; whether this call did it.
    fn update_clock(&mut self, row: &ClockRow) -> Result<bool, StoreError>;
}

const OF_INCIDENT: Query = query!(
    "clocks.of_incident",
    "SELECT client, number, clock, state, due, next_deadline, revision, target, announced FROM clocks \
     WHERE client = ?1 AND number = ?2 ORDER BY clock"
);
const DUE: Query = query!(
    "clocks.due",
    "SELECT client, number, clock, state, due, next_deadline, revision, target, announced FROM clocks \
     WHERE next_deadline <= ?1 ORDER BY next_deadline LIMIT ?2"
);
const NEXT: Query = query!(
    "clocks.next_deadline",
    "SELECT next_deadline FROM clocks WHERE next_deadline IS NOT NULL ORDER BY next_deadline LIMIT 1"
);
const INSERT: Query = query!(
    "clocks.insert",
    "INSERT INTO clocks (client, number, clock, state, due, next_deadline, revision, target, announced) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
);
const UPDATE: Query = query!(
    "clocks.update",
    "UPDATE clocks SET state = ?5, due = ?6, next_deadline = ?7, revision = revision + 1, target = ?8, announced = ?9 \
     WHERE client = ?1 AND number = ?2 AND clock = ?3 AND revision = ?4"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OF_INCIDENT, DUE, NEXT, UPDATE];

fn clock_row(row: &Row<'_>) -> Read<ClockRow> {
    Ok(ClockRow {
        client: row.get::<Parsed<_>>(0)?.0,
        number: IncidentNumber(row.get(1)?),
        clock: row.get(2)?,
        state: row.get(3)?,
        due: row.get::<Option<At>>(4)?.map(|at| at.0),
        next_deadline: row.get::<Option<At>>(5)?.map(|at| at.0),
        revision: row.get::<Bits>(6)?.0,
        target: row.get(7)?,
        announced: row.get(8)?,
    })
}

impl ClockReads for Sql<'_> {
    fn clocks(&self, client: &ClientId, number: IncidentNumber) -> Result<Vec<ClockRow>, StoreError> {
        self.all(&OF_INCIDENT, params![client.as_str(), number.0], clock_row)
    }

    fn clocks_due(&self, now: Timestamp, limit: u32) -> Result<Vec<ClockRow>, StoreError> {
        self.all(&DUE, params![At(now), limit], clock_row)
    }

    fn next_clock_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.one(&NEXT, params![], |row| Ok(row.get::<At>(0)?.0))
    }
}

impl ClockWrites for Sql<'_> {
    fn insert_clock(&mut self, row: &ClockRow) -> Result<(), StoreError> {
        let ClockRow { client, number, clock, state, due, next_deadline, revision, target, announced } = row;
        self.run(
            &INSERT,
            params![
                client.as_str(),
                number.0,
                clock,
                state,
                due.map(At),
                next_deadline.map(At),
                Bits(*revision),
                target,
                announced
            ],
        )
        .map(drop)
    }

    fn update_clock(&mut self, row: &ClockRow) -> Result<bool, StoreError> {
        let ClockRow { client, number, clock, state, due, next_deadline, revision, target, announced } = row;
        let changed = self.run(
            &UPDATE,
            params![
                client.as_str(),
                number.0,
                clock,
                Bits(*revision),
                state,
                due.map(At),
                next_deadline.map(At),
                target,
                announced
            ],
        )?;
        Ok(changed == 1)
    }
}
