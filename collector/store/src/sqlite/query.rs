//! Queries on a connection of SQLite's: prepared once, then looked up by their text.

use rusqlite::params_from_iter;

use super::columns::Named;
use crate::{
    StoreError,
    sql::{Connection, Query, Read, Row, Value, query},
};

/// To the millisecond, which is what SQLite tells.
const CLOCK: Query = query!("clock", "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000");

impl Connection for rusqlite::Connection {
    fn clock(&self) -> &'static Query {
        &CLOCK
    }

    fn run(&self, query: &Query, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.prepare_cached(query.sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)))
            .named(query.name)
    }

    fn each(
        &self,
        query: &Query,
        values: &[Value<'_>],
        limit: usize,
        read: &mut dyn FnMut(&Row<'_>) -> Read<()>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare_cached(query.sql).named(query.name)?;
        let mut rows = statement.query(params_from_iter(values)).named(query.name)?;
        for _ in 0..limit {
            let Some(row) = rows.next().named(query.name)? else { break };
            read(&Row(row)).map_err(|misread| misread.of(query.name))?;
        }
        Ok(())
    }
}
