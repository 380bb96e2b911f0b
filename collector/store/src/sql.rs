//! The seam between aggregates and databases: each query's text is written once, in the subset of SQL that SQLite and
//! PostgreSQL share, and a database is a [`Connection`].
//!
//! What the subset is: `?1` for the first parameter; `INSERT … ON CONFLICT` with its columns named, never `OR REPLACE`;
//! `RETURNING`; `CASE` for the greater of two; `(column = ?1 OR ?1 IS NULL)` in that order, so that the parameter has a
//! type; a table's name before a column that is counted up; truths as 0 and 1. `INDEXED BY name` is said to SQLite alone.

mod columns;
mod values;

use crate::StoreError;

pub(crate) use columns::{At, Bits, Id16, Parsed, Sha};
pub(crate) use values::{Column, Owned, Param, Params, Value, texts};

/// A query. Its text starts with its name as a comment, so that a slow one is recognised in any log.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    /// A change that another row may stand in the way of ([`StoreError::Exists`]), and after which the transaction goes
    /// on. An `INSERT` of values is that by itself.
    pub(crate) guarded: bool,
}

/// A constant query whose text begins with its name.
macro_rules! query {
    ($name:literal, $sql:literal) => {
        $crate::sql::Query { name: $name, sql: concat!("/* ", $name, " */ ", $sql), guarded: false }
    };
    (guarded: $name:literal, $sql:literal) => {
        $crate::sql::Query { name: $name, sql: concat!("/* ", $name, " */ ", $sql), guarded: true }
    };
}
pub(crate) use query;

/// The parameters of a query, of whatever types.
macro_rules! params {
    ($($param:expr),* $(,)?) => {
        &[$(&$param as &dyn $crate::sql::Param),*] as &[&dyn $crate::sql::Param]
    };
}
pub(crate) use params;

/// A query with its values.
pub(crate) type Asked<'a> = (&'static Query, Vec<Value<'a>>);

/// A connection inside a transaction.
pub(crate) trait Connection {
    /// Runs a query that changes rows; how many it changed.
    fn run(&self, query: &Query, values: &[Value<'_>]) -> Result<usize, StoreError>;
    /// Runs a query that changes rows once for each set of values; the first that fails ends it. A database that is
    /// asked over a line takes them as one statement where it can: no two of them may change the same row.
    fn run_all(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        sets.iter().try_for_each(|values| self.run(query, values).map(drop))
    }
    /// The same, where nobody waits for it: over a line it is said together with the next question or the commit. What
    /// stands in its way, or fails otherwise, undoes the transaction and is its caller's error, as though it had been seen
    /// at once ([`StoreError::Exists`]).
    fn later(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        self.run_all(query, sets)
    }
    /// What will be asked next in this transaction: over a line all of it is asked at once. Only reading, and only a
    /// hint: what is asked otherwise, or after the table was changed, is asked for itself.
    fn ahead(&self, _asks: &[Asked<'_>]) -> Result<(), StoreError> {
        Ok(())
    }
    /// For each set of values whether a query finds a row; one statement for all of them over a line.
    fn finds(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<Vec<bool>, StoreError> {
        let finds = |values: &Vec<Value<'_>>| {
            let mut found = false;
            self.each(query, values, 1, &mut |_| {
                found = true;
                Ok(())
            })?;
            Ok(found)
        };
        sets.iter().map(finds).collect()
    }
    /// What asks this database for the time, in microseconds.
    fn clock(&self) -> &'static Query;
    /// Runs a query and hands out its rows, at most `limit` of them.
    fn each(
        &self,
        query: &Query,
        values: &[Value<'_>],
        limit: usize,
        row: &mut dyn FnMut(&Row<'_>) -> Read<()>,
    ) -> Result<(), StoreError>;
}

/// A row of an answer, as its database holds it.
pub(crate) trait Cells {
    /// The value of a column, counted from 0.
    fn cell(&self, column: usize) -> Read<Value<'_>>;
}

/// A row of an answer.
pub(crate) struct Row<'a>(pub(crate) &'a dyn Cells);

impl Row<'_> {
    /// The value of a column, counted from 0.
    pub(crate) fn get<T: Column>(&self, column: usize) -> Read<T> {
        T::read(self.0.cell(column)?).map_err(|why| Misread { column, why })
    }
}

/// What is read from a row.
pub(crate) type Read<T> = Result<T, Misread>;

/// A value that is not what its column promises.
#[derive(Debug)]
pub(crate) struct Misread {
    pub(crate) column: usize,
    pub(crate) why: String,
}

impl Misread {
    /// The error of the query `name`.
    pub(crate) fn of(self, name: &'static str) -> StoreError {
        StoreError::Damaged { name, column: self.column, why: self.why }
    }
}

/// A transaction. The aggregates' traits are implemented on it, each beside its rows.
pub(crate) struct Sql<'c>(pub(crate) &'c dyn Connection);

impl Sql<'_> {
    /// Runs a query that changes rows; how many it changed.
    pub(crate) fn run(&self, query: &Query, params: impl Params) -> Result<usize, StoreError> {
        self.0.run(query, &params.values())
    }

    /// Runs a query that changes rows, sometime before the commit: nobody waits for what it changed
    /// ([`Connection::later`]).
    pub(crate) fn later(&self, query: &Query, params: impl Params) -> Result<(), StoreError> {
        self.0.later(query, &[params.values()])
    }

    /// Runs a query that finds at most one row.
    pub(crate) fn one<T>(
        &self,
        query: &Query,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Read<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.0.each(query, &params.values(), 1, &mut |row| {
            found = Some(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a query that finds any number of rows.
    pub(crate) fn all<T>(
        &self,
        query: &Query,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.0.each(query, &params.values(), usize::MAX, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}
