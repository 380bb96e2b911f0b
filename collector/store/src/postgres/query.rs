//! Queries on a connection of PostgreSQL's: our values in its types, the shared text in its dialect.

use std::cell::RefCell;

use tokio_postgres::{
    Row as PgRow,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    line::{Line, Say, Told},
    many::{Make, find_many, insert_many},
    waiting::{Change, Owned},
};
use crate::{
    StoreError,
    sql::{Asked, Cells, Connection, Misread, Query, Read, Row, Value, query},
};

/// A connection inside a transaction, for a thread that may wait.
pub(super) struct Blocking {
    pub(super) line: Line,
    /// What was answered before it is asked.
    ahead: RefCell<Vec<Ahead>>,
}

struct Ahead {
    sql: &'static str,
    values: Vec<Owned>,
    rows: Vec<PgRow>,
}

impl Blocking {
    pub(super) fn over(line: Line) -> Self {
        Self { line, ahead: RefCell::default() }
    }

    /// A job begins or ends: what was answered ahead was for the one before.
    pub(super) fn forget_all(&self) {
        self.ahead.borrow_mut().clear();
    }

    /// What was answered ahead of a table that is about to change is not true any more.
    fn forget(&self, change: &Query) {
        let mut ahead = self.ahead.borrow_mut();
        match changed_table(change.sql) {
            Some(table) => ahead.retain(|known| !names_table(known.sql, table)),
            None => ahead.clear(),
        }
    }

    fn ask(&self, query: &Query, sets: &[Vec<Value<'_>>], make: Option<Make>) -> Result<Told, StoreError> {
        let text = spoken(query.sql);
        let ask = Say::Ask { name: query.name, text: &text, sets, make };
        if !query.guarded {
            let told = self.line.exchange(&[ask]).map_err(|failed| failed.error)?;
            return told.into_iter().next().ok_or(StoreError::Undone { name: query.name });
        }
        match self.line.exchange(&[
            Say::Words("store.guard", "SAVEPOINT guard"),
            ask,
            Say::Words("store.guard", "RELEASE guard"),
        ]) {
            Ok(told) => told.into_iter().nth(1).ok_or(StoreError::Undone { name: query.name }),
            Err(failed) => {
                // What it says stands, whether or not the transaction does.
                drop(self.line.mend("ROLLBACK TO guard; RELEASE guard"));
                Err(failed.error)
            }
        }
    }
}

/// The table that a change names.
fn changed_table(sql: &str) -> Option<&str> {
    let mut words = sql.split([' ', '(']);
    words.find(|word| matches!(*word, "INTO" | "UPDATE" | "FROM"))?;
    words.next()
}

fn names_table(sql: &str, table: &str) -> bool {
    sql.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).any(|word| word == table)
}

/// After rows of `query` that were not inserted.
fn none_in_the_way(query: &Query) -> Result<(), StoreError> {
    if !spoken(query.sql).ends_with(UNLESS_THERE) {
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
        self.forget(query);
        let told = self.ask(query, &[values.to_vec()], None)?;
        if told.changed == 0 {
            none_in_the_way(query)?;
        }
        Ok(usize::try_from(told.changed).unwrap_or(usize::MAX))
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
        self.forget(query);
        let told = self.ask(query, sets, Some(insert_many))?;
        if usize::try_from(told.changed).is_ok_and(|changed| changed < sets.len()) {
            none_in_the_way(query)?;
        }
        Ok(())
    }

    fn later(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        if sets.is_empty() {
            return Ok(());
        }
        if query.guarded || self.line.spoiled().is_some() || !self.line.waiting.borrow().has_room() {
            return self.run_all(query, sets);
        }
        self.forget(query);
        let sets: Vec<Vec<Owned>> =
            sets.iter().map(|values| values.iter().map(|value| Owned::from(*value)).collect()).collect();
        let make = (sets.len() > 1).then_some(insert_many as Make);
        // A row in the way ends its job, which nobody waits for either: so the server has to say it.
        let change = Change { name: query.name, text: plainly(query.sql), sets, make };
        self.line.waiting.borrow_mut().keep(change);
        Ok(())
    }

    fn ahead(&self, asks: &[Asked<'_>]) -> Result<(), StoreError> {
        let texts: Vec<String> = asks.iter().map(|(query, _)| spoken(query.sql)).collect();
        let sets: Vec<[Vec<Value<'_>>; 1]> = asks.iter().map(|(_, values)| [values.clone()]).collect();
        let each = asks.iter().zip(&texts).zip(&sets);
        let asked: Vec<Say<'_>> =
            each.map(|((ask, text), sets)| Say::Ask { name: ask.0.name, text, sets, make: None }).collect();
        let told = self.line.exchange(&asked).map_err(|failed| failed.error)?;
        let known = asks.iter().zip(told).map(|((query, values), Told { rows, .. })| Ahead {
            sql: query.sql,
            values: values.iter().map(|value| Owned::from(*value)).collect(),
            rows,
        });
        self.ahead.borrow_mut().extend(known);
        Ok(())
    }

    fn finds(&self, query: &Query, sets: &[Vec<Value<'_>>]) -> Result<Vec<bool>, StoreError> {
        match sets {
            [] => return Ok(Vec::new()),
            [one] => {
                let mut found = false;
                self.each(query, one, 1, &mut |_| {
                    found = true;
                    Ok(())
                })?;
                return Ok(vec![found]);
            }
            [_, _, ..] => {}
        }
        let told = self.ask(query, sets, Some(find_many))?;
        let found: Read<Vec<bool>> = told.rows.iter().map(|row| Ok(Row(row).get::<i64>(0)? != 0)).collect();
        found.map_err(|misread| misread.of(query.name))
    }

    fn each(
        &self,
        query: &Query,
        values: &[Value<'_>],
        limit: usize,
        read: &mut dyn FnMut(&Row<'_>) -> Read<()>,
    ) -> Result<(), StoreError> {
        let is_it =
            |known: &Ahead| known.sql == query.sql && known.values.iter().map(Owned::value).eq(values.iter().copied());
        let known = self.ahead.borrow().iter().position(is_it);
        let rows = match known {
            Some(at) => self.ahead.borrow_mut().swap_remove(at).rows,
            None => {
                if changed_by(query) {
                    self.forget(query);
                }
                self.ask(query, &[values.to_vec()], None)?.rows
            }
        };
        for row in rows.iter().take(limit) {
            read(&Row(row)).map_err(|misread| misread.of(query.name))?;
        }
        Ok(())
    }
}

/// Whether a query that answers with rows changes some too (`RETURNING`).
fn changed_by(query: &Query) -> bool {
    query.sql.contains(" RETURNING ")
}

/// Why a value is not what its place takes.
pub(super) type Refused = Box<dyn std::error::Error + Sync + Send>;

/// A row in the way would end the whole transaction, so an `INSERT` of values steps back from it and says so.
const UNLESS_THERE: &str = " ON CONFLICT DO NOTHING /* unless it is there */";

/// The shared text as PostgreSQL reads it: `$1` for `?1`, no hint of which index to use, and [`UNLESS_THERE`].
pub(crate) fn spoken(sql: &str) -> String {
    let mut said = plainly(sql);
    if sql.contains("INSERT INTO")
        && sql.contains(" VALUES ")
        && !sql.contains("ON CONFLICT")
        && !sql.contains("RETURNING")
    {
        said.push_str(UNLESS_THERE);
    }
    said
}

/// The same without [`UNLESS_THERE`]: a row in the way is an error of the server's.
fn plainly(sql: &str) -> String {
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
