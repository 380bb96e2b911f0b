//! Queries on a connection of PostgreSQL's: our values in its types, the shared text in its dialect.

use std::cell::RefCell;

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_postgres::{
    Error, Row as PgRow,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    many::{Column, find_many, insert_many},
    meaning::meaning,
};
use crate::{
    StoreError,
    sql::{Cells, Connection, Misread, Query, Read, Row, Value, query},
};

/// A connection inside a transaction, for a thread that may wait.
pub(super) struct Blocking {
    pub(super) client: Object,
    io: Handle,
    /// Said to the server just before the next query, in the same packet: a savepoint costs no wait of its own.
    before: RefCell<Option<&'static str>>,
}

impl Blocking {
    pub(super) fn over(client: Object, io: Handle) -> Self {
        Self { client, io, before: RefCell::new(None) }
    }

    /// Says `text` before the next query; `None` takes back what was to be said.
    pub(super) fn before_the_next(&self, text: Option<&'static str>) -> Option<&'static str> {
        self.before.replace(text)
    }

    /// Says `text` and waits for the answer.
    pub(super) fn say(&self, text: &str) -> Result<(), Error> {
        self.io.block_on(self.client.batch_execute(text))
    }

    /// Ends whatever transaction stands. A connection that does not answer is closed and not lent again.
    pub(super) fn end(self, text: &str) {
        if self.say(text).is_err() {
            drop(Object::take(self.client));
        }
    }

    fn ask(&self, query: &Query, values: &[Value<'_>]) -> Result<(Vec<PgRow>, u64), StoreError> {
        if !query.guarded {
            return self.try_ask(query, values);
        }
        if let Some(text) = self.before_the_next(None) {
            self.say(text).map_err(|error| meaning(query.name, error))?;
        }
        self.before_the_next(Some("SAVEPOINT guard"));
        let answer = self.try_ask(query, values);
        let end = if answer.is_ok() { "RELEASE guard" } else { "ROLLBACK TO guard; RELEASE guard" };
        match self.say(end) {
            Err(error) if answer.is_ok() => Err(meaning(query.name, error)),
            Ok(()) | Err(_) => answer,
        }
    }

    fn try_ask(&self, query: &Query, values: &[Value<'_>]) -> Result<(Vec<PgRow>, u64), StoreError> {
        self.ask_all(query, &[values]).map(|mut told| told.pop().unwrap_or_default())
    }

    /// Asks for all sets of values with one statement, whose text `many` makes of the one for a single set; `None` where there
    /// is no such statement, and nothing was asked.
    fn ask_once(
        &self,
        query: &Query,
        sets: &[Vec<Value<'_>>],
        many: impl FnOnce(&str, &[Type]) -> Option<String>,
    ) -> Result<Option<(Vec<PgRow>, u64)>, StoreError> {
        let text = spoken(query.sql);
        let columns: Vec<Column<'_, '_>> =
            (0..sets.first().map_or(0, Vec::len)).map(|at| Column { sets, at }).collect();
        let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
        let asked: Result<_, Error> = self.io.block_on(async {
            // What the server makes of a single set's parameters says what the arrays hold.
            let single = self.client.prepare_cached(&text).await?;
            let Some(many) = many(&text, single.params()) else { return Ok(None) };
            let first = async {
                match self.before.take() {
                    Some(text) => self.client.batch_execute(text).await,
                    None => Ok(()),
                }
            };
            let then = async {
                let statement = self.client.prepare_cached(&many).await?;
                if statement.columns().is_empty() {
                    Ok((Vec::new(), self.client.execute(&statement, &params).await?))
                } else {
                    Ok((self.client.query(&statement, &params).await?, 0))
                }
            };
            let (first, then) = tokio::join!(biased; first, then);
            first.and(then).map(Some)
        });
        asked.map_err(|error| meaning(query.name, error))
    }

    /// Asks for each set of values: all of it is sent at once, and answered in this order.
    fn ask_all<'v, V: AsRef<[Value<'v>]>>(
        &self,
        query: &Query,
        sets: &[V],
    ) -> Result<Vec<(Vec<PgRow>, u64)>, StoreError> {
        let before = self.before.take();
        let text = spoken(query.sql);
        let asked = self.io.block_on(async {
            let first = async {
                match before {
                    Some(text) => self.client.batch_execute(text).await,
                    None => Ok(()),
                }
            };
            let then = async {
                let statement = self.client.prepare_cached(&text).await?;
                let ask = async |values: &V| {
                    let params: Vec<&(dyn ToSql + Sync)> = values.as_ref().iter().map(|value| value as _).collect();
                    if statement.columns().is_empty() {
                        Ok((Vec::new(), self.client.execute(&statement, &params).await?))
                    } else {
                        Ok((self.client.query(&statement, &params).await?, 0))
                    }
                };
                // Each is heard to its end; after the first that failed the others only say that it did.
                join_all(sets.iter().map(ask)).await.into_iter().collect()
            };
            let (first, then) = tokio::join!(biased; first, then);
            first.and(then)
        });
        let told: Vec<(Vec<PgRow>, u64)> = asked.map_err(|error| meaning(query.name, error))?;
        if told.iter().any(|(_, changed)| *changed == 0) {
            none_in_the_way(query, &text)?;
        }
        Ok(told)
    }
}

/// After rows of `query` that were not inserted.
fn none_in_the_way(query: &Query, spoken: &str) -> Result<(), StoreError> {
    if !spoken.ends_with(UNLESS_THERE) {
        return Ok(());
    }
    Err(StoreError::Exists { name: query.name, what: "a row of its key is there".to_owned() })
}

/// The moment itself, not that of the transaction's begin.
pub(super) const CLOCK: Query = query!("clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");

impl Connection for Blocking {
    fn clock(&self) -> &'static Query {
        &CLOCK
    }

    fn run(&self, query: &Query, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.ask(query, values).map(|(_, changed)| usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn run_all(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        if query.guarded {
            return sets.iter().try_for_each(|values| self.run(query, values).map(drop));
        }
        match sets {
            [] => return Ok(()),
            [one] => return self.run(query, one).map(drop),
            [_, _, ..] => {}
        }
        match self.ask_once(query, sets, insert_many)? {
            Some((_, changed)) if usize::try_from(changed).is_ok_and(|changed| changed < sets.len()) => {
                none_in_the_way(query, &spoken(query.sql))
            }
            Some(_) => Ok(()),
            None => self.ask_all(query, sets).map(drop),
        }
    }

    fn finds(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<Vec<bool>, StoreError> {
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        let told = self.ask_once(query, sets, |one, types| Some(find_many(one, types)))?;
        let told = told.map(|(rows, _)| rows).unwrap_or_default();
        let found: Read<Vec<bool>> = told.iter().map(|row| Ok(Row(row).get::<i64>(0)? != 0)).collect();
        found.map_err(|misread| misread.of(query.name))
    }

    fn each(
        &self,
        query: &Query,
        values: &[Value<'_>],
        limit: usize,
        read: &mut dyn FnMut(&Row<'_>) -> Read<()>,
    ) -> Result<(), StoreError> {
        for row in self.ask(query, values)?.0.iter().take(limit) {
            read(&Row(row)).map_err(|misread| misread.of(query.name))?;
        }
        Ok(())
    }
}

/// Why a value is not what its place takes.
pub(super) type Refused = Box<dyn std::error::Error + Sync + Send>;

/// A row in the way would end the whole transaction, so an `INSERT` of values steps back from it and says so.
const UNLESS_THERE: &str = " ON CONFLICT DO NOTHING /* unless it is there */";

/// The shared text as PostgreSQL reads it: `$1` for `?1`, no hint of which index to use, and [`UNLESS_THERE`].
pub(crate) fn spoken(sql: &str) -> String {
    let mut said = String::with_capacity(sql.len());
    let mut words = sql.split(' ');
    while let Some(word) = words.next() {
        if word == "INDEXED" {
            // "BY" and the index's name.
            words.nth(1);
            continue;
        }
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(&word.replace('?', "$"));
    }
    if sql.contains("INSERT INTO")
        && sql.contains(" VALUES ")
        && !sql.contains("ON CONFLICT")
        && !sql.contains("RETURNING")
    {
        said.push_str(UNLESS_THERE);
    }
    said
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        match *self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Value::Int(value) if *ty == Type::INT4 => i32::try_from(value)?.to_sql(ty, out),
            Value::Text(value) if *ty == Type::TEXT => value.to_sql(ty, out),
            Value::Blob(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            Value::Int(_) | Value::Text(_) | Value::Blob(_) => Err(format!("{self:?} where {ty} belongs").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

struct Cell<'a>(Value<'a>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Refused> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::TEXT => Value::Text(<&str>::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw),
            _ => return Err(format!("{ty}, and no column of ours is that").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Refused> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Cells for PgRow {
    fn cell(&self, column: usize) -> Read<Value<'_>> {
        let cell: Result<Cell<'_>, _> = self.try_get(column);
        cell.map(|cell| cell.0).map_err(|error| Misread { column, why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_text_is_said_in_postgresqls_words() {
        assert_eq!(
            spoken("SELECT a FROM t INDEXED BY t_by_a WHERE a = ?1 AND b > ?12"),
            "SELECT a FROM t WHERE a = $1 AND b > $12"
        );
        assert!(
            spoken("INSERT INTO t (a) VALUES (?1)").starts_with("INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING")
        );
        for sql in
            ["INSERT INTO t (a) SELECT 1 WHERE NOT EXISTS (SELECT 1)", "INSERT INTO t (a) VALUES (1) RETURNING a"]
        {
            assert_eq!(spoken(sql), sql);
        }
    }
}
