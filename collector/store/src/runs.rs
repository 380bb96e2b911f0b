//! The collector's own runs: when it was up, and so when it could not receive (TERMS F11).

use jiff::Timestamp;

use crate::{
    StoreError,
    sql::{At, Query, Read, Row, Sql, params, query},
};

/// One run of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow {
    /// Its number, from 1.
    pub run: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// Its last sign of life.
    pub last_alive: Timestamp,
    /// Whether it ended by request.
    pub is_over: bool,
}

/// Reading runs.
pub trait RunReads {
    /// The newest runs, newest first: back to the first that was begun at `since` or before, each that was alive later, and
    /// the one that was alive last before. Runs of several collectors lie over one another.
    fn runs_since(&self, since: Timestamp) -> Result<Vec<RunRow>, StoreError>;
}

/// Writing runs.
pub trait RunWrites {
    /// Begins a run; its number.
    fn begin_run(&mut self, at: Timestamp) -> Result<i64, StoreError>;
    /// Moves a run's last sign of life forward; never back.
    fn run_is_alive(&mut self, run: i64, at: Timestamp) -> Result<(), StoreError>;
    /// No run began or was alive after `now`: that was written by a clock that was wrong.
    fn runs_at_most(&mut self, now: Timestamp) -> Result<(), StoreError>;
    /// Ends a run.
    fn end_run(&mut self, run: i64, at: Timestamp) -> Result<(), StoreError>;
}

const SINCE: Query = query!(
    "runs.since",
    "SELECT run, started_at, last_alive, is_over FROM runs WHERE run >= \
     coalesce((SELECT run FROM runs WHERE started_at <= ?1 ORDER BY run DESC LIMIT 1), 0) OR last_alive >= ?1 \
     OR run = (SELECT run FROM runs WHERE last_alive < ?1 ORDER BY last_alive DESC LIMIT 1) ORDER BY run DESC LIMIT 1000"
);
const BEGIN: Query =
    query!("runs.begin", "INSERT INTO runs (started_at, last_alive, is_over) VALUES (?1, ?1, 0) RETURNING run");
const ALIVE: Query = query!(
    "runs.alive",
    "UPDATE runs SET last_alive = CASE WHEN last_alive > ?2 THEN last_alive ELSE ?2 END WHERE run = ?1 AND is_over = 0"
);
const AT_MOST: Query = query!(
    "runs.at_most",
    "UPDATE runs SET last_alive = ?1, started_at = CASE WHEN started_at > ?1 THEN ?1 ELSE started_at END WHERE last_alive > ?1"
);
const END: Query = query!(
    "runs.end",
    "UPDATE runs SET last_alive = CASE WHEN last_alive > ?2 THEN last_alive ELSE ?2 END, is_over = 1 WHERE run = ?1 AND is_over = 0"
);

fn run_row(row: &Row<'_>) -> Read<RunRow> {
    Ok(RunRow {
        run: row.get(0)?,
        started_at: row.get::<At>(1)?.0,
        last_alive: row.get::<At>(2)?.0,
        is_over: row.get(3)?,
    })
}

impl RunReads for Sql<'_> {
    fn runs_since(&self, since: Timestamp) -> Result<Vec<RunRow>, StoreError> {
        self.all(&SINCE, params![At(since)], run_row)
    }
}

impl RunWrites for Sql<'_> {
    fn begin_run(&mut self, at: Timestamp) -> Result<i64, StoreError> {
        let run = self.one(&BEGIN, params![At(at)], |row| row.get(0))?;
        run.ok_or(StoreError::Damaged { name: BEGIN.name, column: 0, why: "the database returned no run".to_owned() })
    }

    fn run_is_alive(&mut self, run: i64, at: Timestamp) -> Result<(), StoreError> {
        self.run(&ALIVE, params![run, At(at)]).map(drop)
    }

    fn runs_at_most(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.run(&AT_MOST, params![At(now)]).map(drop)
    }

    fn end_run(&mut self, run: i64, at: Timestamp) -> Result<(), StoreError> {
        self.run(&END, params![run, At(at)]).map(drop)
    }
}
