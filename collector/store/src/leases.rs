//! Who does which task, where several collectors serve one database: a row a task, taken and kept by the database's own
//! clock, with a number that grows each time it is taken.
//!
//! The number is the fence: whoever acts for a task has it checked in the transaction of each write
//! ([`Store::fenced`](crate::Store::fenced)). A collector that was frozen and wakes up writes nothing more.

use jiff::Timestamp;

use crate::{
    StoreError,
    sql::{At, Query, Read, Row, Sql, params, query},
};

/// One task and who has it, or had it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The task.
    pub task: String,
    /// The collector, by a name that no other one and no other run of it has.
    pub holder: String,
    /// Grows by one each time that it is taken.
    pub fence: i64,
    /// When this holder took it, by the database's clock.
    pub taken_at: Timestamp,
    /// Until when it is the holder's, by the database's clock.
    pub until: Timestamp,
}

/// One collector that serves the database, or did lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorRow {
    /// Its name as a holder.
    pub name: String,
    /// Where it listens, for people.
    pub address: String,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// Its last sign of life, by the database's clock.
    pub seen_at: Timestamp,
}

/// Reading leases.
pub trait LeaseReads {
    /// This moment by the database's clock, the one by which leases begin and end.
    fn database_now(&self) -> Result<Timestamp, StoreError>;
    /// All of them, by task.
    fn leases(&self) -> Result<Vec<LeaseRow>, StoreError>;
    /// Whether a task is still that of the holder to whom this fence was given.
    fn is_leased(&self, task: &str, fence: i64) -> Result<bool, StoreError>;
    /// The collectors that were seen at `since` or later, by name.
    fn collectors(&self, since: Timestamp) -> Result<Vec<CollectorRow>, StoreError>;
}

/// Writing leases.
pub trait LeaseWrites {
    /// Gives a task to a holder until then: one that nobody ever had (`was: None`), or whose lease with this fence is over
    /// by `now`. The fence, if it was given: greater than each before, and made of the time, so that it is no other's after
    /// a fail-over that lost the commit of the one before.
    fn take_lease(
        &mut self,
        task: &str,
        holder: &str,
        was: Option<i64>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError>;
    /// Prolongs a lease that is not over by `now`; whether it is still the one with this fence.
    fn keep_lease(&mut self, task: &str, fence: i64, now: Timestamp, until: Timestamp) -> Result<bool, StoreError>;
    /// Hands a task back: it may be taken from `now` on.
    fn end_lease(&mut self, task: &str, fence: i64, now: Timestamp) -> Result<(), StoreError>;
    /// Notes a sign of life, and forgets collectors that gave none since `forget`.
    fn note_collector(&mut self, row: &CollectorRow, forget: Timestamp) -> Result<(), StoreError>;
    /// A collector has stopped.
    fn remove_collector(&mut self, name: &str) -> Result<(), StoreError>;
}

const ALL: Query = query!("leases.all", "SELECT task, holder, fence, taken_at, until FROM leases ORDER BY task");
const UNTIL: Query = query!("leases.until", "SELECT until FROM leases WHERE task = ?1 AND fence = ?2");
const FIRST: Query = query!(
    "leases.first",
    "INSERT INTO leases (task, holder, fence, taken_at, until) VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO NOTHING \
     RETURNING fence"
);
const TAKE: Query = query!(
    "leases.take",
    "UPDATE leases SET holder = ?2, fence = CASE WHEN ?3 > leases.fence THEN ?3 ELSE leases.fence + 1 END, taken_at = ?3, \
     until = ?4 WHERE task = ?1 AND fence = ?5 AND until <= ?3 RETURNING fence"
);
const KEEP: Query = query!("leases.keep", "UPDATE leases SET until = ?4 WHERE task = ?1 AND fence = ?2 AND until > ?3");
const END: Query = query!("leases.end", "UPDATE leases SET until = ?3 WHERE task = ?1 AND fence = ?2 AND until > ?3");
const COLLECTORS: Query = query!(
    "collectors.since",
    "SELECT name, address, started_at, seen_at FROM collectors WHERE seen_at >= ?1 ORDER BY name LIMIT 1000"
);
const NOTE: Query = query!(
    "collectors.note",
    "INSERT INTO collectors (name, address, started_at, seen_at) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, address = excluded.address"
);
const FORGET: Query = query!("collectors.forget", "DELETE FROM collectors WHERE seen_at < ?1");
const REMOVE: Query = query!("collectors.remove", "DELETE FROM collectors WHERE name = ?1");

/// The queries that run often, for the test of their plans.
#[cfg(test)]
pub(crate) const HOT: &[Query] = &[UNTIL, TAKE, KEEP, END];

fn lease_row(row: &Row<'_>) -> Read<LeaseRow> {
    Ok(LeaseRow {
        task: row.get(0)?,
        holder: row.get(1)?,
        fence: row.get(2)?,
        taken_at: row.get::<At>(3)?.0,
        until: row.get::<At>(4)?.0,
    })
}

fn collector_row(row: &Row<'_>) -> Read<CollectorRow> {
    Ok(CollectorRow {
        name: row.get(0)?,
        address: row.get(1)?,
        started_at: row.get::<At>(2)?.0,
        seen_at: row.get::<At>(3)?.0,
    })
}

impl LeaseReads for Sql<'_> {
    fn database_now(&self) -> Result<Timestamp, StoreError> {
        let clock = self.0.clock();
        let now = self.one(clock, params![], |row| row.get::<At>(0))?;
        let why = "the database told no time".to_owned();
        now.map(|at| at.0).ok_or(StoreError::Damaged { name: clock.name, column: 0, why })
    }

    fn leases(&self) -> Result<Vec<LeaseRow>, StoreError> {
        self.all(&ALL, params![], lease_row)
    }

    fn is_leased(&self, task: &str, fence: i64) -> Result<bool, StoreError> {
        let until = self.one(&UNTIL, params![task, fence], |row| row.get::<At>(0))?;
        match until {
            None => Ok(false),
            Some(At(until)) => Ok(self.database_now()? < until),
        }
    }

    fn collectors(&self, since: Timestamp) -> Result<Vec<CollectorRow>, StoreError> {
        self.all(&COLLECTORS, params![At(since)], collector_row)
    }
}

impl LeaseWrites for Sql<'_> {
    fn take_lease(
        &mut self,
        task: &str,
        holder: &str,
        was: Option<i64>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        match was {
            None => self.one(&FIRST, params![task, holder, At(now), At(until)], |row| row.get(0)),
            Some(fence) => self.one(&TAKE, params![task, holder, At(now), At(until), fence], |row| row.get(0)),
        }
    }

    fn keep_lease(&mut self, task: &str, fence: i64, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&KEEP, params![task, fence, At(now), At(until)])? == 1)
    }

    fn end_lease(&mut self, task: &str, fence: i64, now: Timestamp) -> Result<(), StoreError> {
        self.run(&END, params![task, fence, At(now)]).map(drop)
    }

    fn note_collector(&mut self, row: &CollectorRow, forget: Timestamp) -> Result<(), StoreError> {
        let CollectorRow { name, address, started_at, seen_at } = row;
        self.run(&NOTE, params![name, address, At(*started_at), At(*seen_at)])?;
        self.run(&FORGET, params![At(forget)]).map(drop)
    }

    fn remove_collector(&mut self, name: &str) -> Result<(), StoreError> {
        self.run(&REMOVE, params![name]).map(drop)
    }
}
