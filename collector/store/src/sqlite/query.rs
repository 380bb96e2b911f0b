//! A query: its name, its text, and the three ways to run it.

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::columns::Named;
use crate::StoreError;

/// One connection inside a transaction. The aggregates' traits are implemented on it, each beside its rows.
pub(crate) struct SqliteTx<'c>(pub(crate) &'c Connection);

/// A query. Its text starts with its name as a comment, so that a slow one is recognised in any log.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// A constant query whose text begins with its name.
macro_rules! query {
    ($name:literal, $sql:literal) => {
        $crate::sqlite::query::Query { name: $name, sql: concat!("/* ", $name, " */ ", $sql) }
    };
}
pub(crate) use query;

impl SqliteTx<'_> {
    /// Runs a query that changes rows; how many it changed.
    pub(crate) fn run(&self, query: &Query, params: impl Params) -> Result<usize, StoreError> {
        self.0.prepare_cached(query.sql).and_then(|mut statement| statement.execute(params)).named(query.name)
    }

    /// Runs a query that finds at most one row.
    pub(crate) fn one<T>(
        &self,
        query: &Query,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.0
            .prepare_cached(query.sql)
            .and_then(|mut statement| statement.query_row(params, read).optional())
            .named(query.name)
    }

    /// Runs a query that finds any number of rows.
    pub(crate) fn all<T>(
        &self,
        query: &Query,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.0
            .prepare_cached(query.sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect())
            .named(query.name)
    }
}
