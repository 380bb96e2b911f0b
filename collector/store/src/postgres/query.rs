//! Queries on a connection of PostgreSQL's: our values in its types, the shared text in its dialect.

use std::{cell::RefCell, sync::Arc};

use tokio_postgres::{
    Error, Row as PgRow, SimpleQueryMessage,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{
    joined::{Given, Joined},
    known::{Among, Answer, For, Known},
    line::{Line, Say, Told},
    many::{Column, Make, find_many, insert_many},
    texts::{Changes, Spoken, Texts},
    waiting::Change,
};
use crate::{
    StoreError,
    ahead::Foreseeing,
    sql::{Asked, Cells, Connection, Misread, Owned, Query, Read, Row, Value, query},
};

/// A connection inside a transaction, for a thread that may wait.
pub(super) struct Blocking {
    pub(super) line: Line,
    texts: Arc<Texts>,
    /// What was answered before it is asked.
    known: RefCell<Known>,
}

impl Blocking {
    pub(super) fn over(line: Line, texts: Arc<Texts>) -> Self {
        Self { line, texts, known: RefCell::default() }
    }

    /// Begins a transaction by these words, and asks in the same go what its jobs are going to ask. What that answered
    /// is kept; returned is what the words answered.
    pub(super) fn begin(
        &self,
        words: &str,
        foreseen: &[&Foreseeing],
    ) -> Result<Vec<SimpleQueryMessage>, (&'static str, Error)> {
        let asks = foreseen.iter().map(|(query, values)| (*query, values.iter().map(Owned::value).collect()));
        let asking = Asking::of(&self.texts, asks);
        let Some((joined, params)) = asking.statement(&self.line, &self.texts) else {
            return Ok(self.line.begin(words, None)?.0);
        };
        let say = Say::Joined { name: asking.name(), text: &joined.text, params: &params };
        let (begun, told) = self.line.begin(words, Some(&say))?;
        if let Some(told) = told {
            self.keep(&asking, &joined, told, For::Group);
        }
        Ok(begun)
    }

    /// A job begins or ends: what was answered ahead was for the one before.
    pub(super) fn forget_of_job(&self) {
        self.known.borrow_mut().forget_of_job();
    }

    /// Something was changed that no query of ours says.
    pub(super) fn forget_all(&self) {
        self.known.borrow_mut().forget_all();
    }

    fn keep(&self, asking: &Asking<'_>, joined: &Joined, told: Told, whose: For) {
        let mut known = self.known.borrow_mut();
        let mut rows: Vec<Vec<Vec<PgRow>>> =
            asking.0.iter().map(|question| question.sets.iter().map(|_| Vec::new()).collect()).collect();
        for row in told.rows {
            let at = |column| row.try_get::<_, i64>(column).ok().and_then(|number| usize::try_from(number).ok());
            let of =
                at(0).zip(at(1)).and_then(|(question, place)| rows.get_mut(question)?.get_mut(place.checked_sub(1)?));
            match of {
                Some(of) => of.push(row),
                // An answer to nothing that was asked: then none of it is believed.
                None => return,
            }
        }
        for ((question, rows), columns) in asking.0.iter().zip(rows).zip(&joined.columns) {
            for (values, rows) in question.sets.iter().zip(rows) {
                let of = values.iter().map(|value| Owned::from(*value)).collect();
                known.keep(question.sql, &question.spoken, of, whose, Answer { rows, columns: Arc::clone(columns) });
            }
        }
    }

    fn ask(&self, query: &Query, sets: &[Vec<Value<'_>>], make: Option<Make>) -> Result<Told, StoreError> {
        let spoken = self.texts.of(query.sql);
        let ask = Say::Ask { name: query.name, text: &spoken.text, sets, make };
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

/// Questions that are asked at one time, each with all sets of its values.
struct Asking<'v>(Vec<Question<'v>>);

struct Question<'v> {
    name: &'static str,
    sql: &'static str,
    spoken: Arc<Spoken>,
    sets: Vec<Vec<Value<'v>>>,
}

impl<'v> Asking<'v> {
    fn of(texts: &Texts, asks: impl Iterator<Item = Asked<'v>>) -> Self {
        let mut questions: Vec<Question<'v>> = Vec::new();
        for (Query { name, sql, .. }, values) in asks {
            match questions.iter_mut().find(|question| question.sql == *sql) {
                Some(question) if question.sets.contains(&values) => {}
                Some(question) => question.sets.push(values),
                None => questions.push(Question { name, sql, spoken: texts.of(sql), sets: vec![values] }),
            }
        }
        Self(questions)
    }

    fn name(&self) -> &'static str {
        self.0.first().map_or("store.ahead", |question| question.name)
    }

    /// What asks all of it, and its parameters; `None` where there is nothing to ask, or the server does not say how.
    fn statement(&self, line: &Line, texts: &Texts) -> Option<(Arc<Joined>, Vec<Given<'_, 'v>>)> {
        if self.0.is_empty() {
            return None;
        }
        for Question { spoken, .. } in &self.0 {
            if spoken.described().is_none() {
                spoken.describe(&line.describe(&spoken.text)?);
            }
        }
        let of = self.0.iter().map(|question| (question.sql, question.is_many())).collect();
        let joined = texts.joined(of, || {
            let questions = self.0.iter().map(|one| Some((&*one.spoken, one.spoken.described()?, one.is_many())));
            Some(Joined::of(&questions.collect::<Option<Vec<_>>>()?))
        })?;
        Some((joined, self.0.iter().flat_map(Question::given).collect()))
    }
}

impl<'v> Question<'v> {
    fn is_many(&self) -> bool {
        self.sets.len() > 1
    }

    fn given(&self) -> Vec<Given<'_, 'v>> {
        let Self { sets, .. } = self;
        match sets.as_slice() {
            [one] => one.iter().map(|value| Given::One(*value)).collect(),
            [first, ..] => (0..first.len()).map(|at| Given::Many(Column { sets, at })).collect(),
            [] => Vec::new(),
        }
    }
}

/// After rows of a query that were not inserted.
fn none_in_the_way(query: &Query, spoken: &Spoken) -> Result<(), StoreError> {
    if !spoken.text.ends_with(UNLESS_THERE) {
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
        let (spoken, sets) = (self.texts.of(query.sql), [values.to_vec()]);
        self.known.borrow_mut().change(&spoken, &sets);
        let told = self.ask(query, &sets, None)?;
        if told.changed == 0 {
            none_in_the_way(query, &spoken)?;
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
        let spoken = self.texts.of(query.sql);
        self.known.borrow_mut().change(&spoken, sets);
        let told = self.ask(query, sets, Some(insert_many))?;
        if usize::try_from(told.changed).is_ok_and(|changed| changed < sets.len()) {
            none_in_the_way(query, &spoken)?;
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
        let spoken = self.texts.of(query.sql);
        self.known.borrow_mut().change(&spoken, sets);
        let sets = sets.iter().map(|values| values.iter().map(|value| Owned::from(*value)).collect()).collect();
        // A row in the way ends its job, which nobody waits for either: so the server has to say it.
        self.line.waiting.borrow_mut().keep(Change { name: query.name, spoken, sets });
        Ok(())
    }

    fn ahead(&self, asks: &[Asked<'_>]) -> Result<(), StoreError> {
        let is_known = |(query, values): &&Asked<'_>| self.known.borrow().find(query.sql, values).is_some();
        let unknown = asks.iter().filter(|ask| !is_known(ask)).cloned();
        let asking = Asking::of(&self.texts, unknown);
        let Some((joined, params)) = asking.statement(&self.line, &self.texts) else { return Ok(()) };
        let say = Say::Joined { name: asking.name(), text: &joined.text, params: &params };
        let told = self.line.exchange(&[say]).map_err(|failed| failed.error)?;
        if let Some(told) = told.into_iter().next() {
            self.keep(&asking, &joined, told, For::Job);
        }
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
        let known = self.known.borrow().find(query.sql, values);
        if let Some(answer) = known {
            let rows = answer.rows.iter().map(|row| Among { row, columns: &answer.columns });
            for row in rows.take(limit) {
                read(&Row(&row)).map_err(|misread| misread.of(query.name))?;
            }
            return Ok(());
        }
        let sets = [values.to_vec()];
        let spoken = self.texts.of(query.sql);
        if spoken.changes != Changes::Nothing {
            self.known.borrow_mut().change(&spoken, &sets);
        }
        for row in self.ask(query, &sets, None)?.rows.iter().take(limit) {
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
pub(super) fn plainly(sql: &str) -> String {
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
