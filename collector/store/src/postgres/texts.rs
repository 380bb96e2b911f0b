//! Each query as PostgreSQL is told it, and what its text says of it: worked out once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio_postgres::{Statement, types::Type};

use super::{
    joined::Joined,
    query::{plainly, spoken},
};

/// A query, worked out.
pub(super) struct Spoken {
    /// As it is asked: an `INSERT` of values steps back from a row in the way.
    pub(super) text: String,
    /// The same where such a row is to be an error.
    pub(super) plain: String,
    /// What it changes.
    pub(super) changes: Changes,
    /// Which of its values is the agent whose rows alone it reads or changes.
    pub(super) agent: Option<usize>,
    /// Of which rows a statement for many sets of its values may change each but once.
    pub(super) conflict: Conflict,
    words: BTreeSet<&'static str>,
    described: OnceLock<Described>,
}

/// What a query changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Nothing,
    Table(&'static str),
    /// Its text does not say it plainly.
    Anything,
}

/// Which rows an `INSERT` puts something in the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conflict {
    /// None.
    Never,
    /// Those of the same key, which these values are.
    By(Vec<usize>),
    /// Its text does not say it plainly.
    Unknown,
}

/// A statement as the server describes it.
#[derive(Clone)]
pub(super) struct Described {
    /// The types of its values.
    pub(super) params: Vec<Type>,
    /// The types of its columns.
    pub(super) columns: Vec<Type>,
}

impl Spoken {
    fn new(sql: &'static str) -> Self {
        Self {
            text: spoken(sql),
            plain: plainly(sql),
            changes: changes(sql),
            agent: agent(sql),
            conflict: conflict(sql),
            words: words(sql).collect(),
            described: OnceLock::new(),
        }
    }

    /// Whether it names a table.
    pub(super) fn names(&self, table: &str) -> bool {
        self.words.contains(table)
    }

    /// What is known of its types.
    pub(super) fn described(&self) -> Option<&Described> {
        self.described.get()
    }

    /// The server's word for them; the first one stays, all say the same.
    pub(super) fn describe(&self, statement: &Statement) -> &Described {
        self.described.get_or_init(|| Described {
            params: statement.params().to_vec(),
            columns: statement.columns().iter().map(|column| column.type_().clone()).collect(),
        })
    }
}

/// What a query's text does, after the comment with its name.
fn changes(sql: &'static str) -> Changes {
    let said = sql.split_once("*/ ").map_or(sql, |(_, said)| said);
    let mut words = said.split([' ', '(']);
    match (words.next(), words.next(), words.next()) {
        (Some("SELECT"), ..) => Changes::Nothing,
        (Some("UPDATE"), Some(table), _) | (Some("INSERT"), Some("INTO"), Some(table)) => Changes::Table(table),
        (Some("DELETE"), Some("FROM"), Some(table)) => Changes::Table(table),
        _ => Changes::Anything,
    }
}

/// Which value an `INSERT` of values gives to a column.
fn inserted(sql: &str, column: &str) -> Option<usize> {
    let (columns, rest) = sql.split_once("INSERT INTO ")?.1.split_once(" (")?.1.split_once(')')?;
    let values = rest.strip_prefix(" VALUES (")?.split_once(')')?.0;
    let at = columns.split(", ").position(|named| named == column)?;
    numbered(values.split(", ").nth(at)?)
}

/// Which value a parameter is.
fn numbered(word: &str) -> Option<usize> {
    word.strip_prefix('?')?.parse::<usize>().ok()?.checked_sub(1)
}

/// Which value is the agent that an `INSERT` of values gives a row to, or that every part of another statement, each of
/// one table, demands. `None` where the text does not say so plainly.
fn agent(sql: &str) -> Option<usize> {
    if sql.contains("INSERT INTO ") {
        return inserted(sql, "agent");
    }
    let of_one_table = |from: &str| from.split(' ').nth(1) == Some("WHERE");
    if sql.contains(" OR ") || !sql.split(" FROM ").skip(1).all(of_one_table) {
        return None;
    }
    let mut demanded = None;
    for conditions in sql.split(" WHERE ").skip(1) {
        let after = conditions.strip_prefix("agent = ").or_else(|| Some(conditions.split_once(" AND agent = ")?.1))?;
        let found = numbered(after.split([' ', ')']).next()?)?;
        if *demanded.get_or_insert(found) != found {
            return None;
        }
    }
    demanded
}

fn conflict(sql: &str) -> Conflict {
    if !sql.contains(" DO UPDATE ") {
        return Conflict::Never;
    }
    let key = || {
        let columns = sql.split_once(" ON CONFLICT (")?.1.split_once(')')?.0;
        columns.split(", ").map(|column| inserted(sql, column)).collect::<Option<Vec<_>>>()
    };
    key().map_or(Conflict::Unknown, Conflict::By)
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).filter(|word| !word.is_empty())
}

/// What a joined statement is made of: its questions, and whether each is asked for many sets of values.
type Of = Vec<(&'static str, bool)>;

/// All texts of a store, by what they are made of.
#[derive(Default)]
pub(super) struct Texts {
    spoken: Mutex<HashMap<&'static str, Arc<Spoken>>>,
    joined: Mutex<HashMap<Of, Arc<Joined>>>,
}

impl Texts {
    /// A query of ours.
    pub(super) fn of(&self, sql: &'static str) -> Arc<Spoken> {
        let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(spoken.entry(sql).or_insert_with(|| Arc::new(Spoken::new(sql))))
    }

    /// The statement for these questions, each of one set of values or of many.
    pub(super) fn joined(&self, of: Of, make: impl FnOnce() -> Option<Joined>) -> Option<Arc<Joined>> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = joined.get(&of) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(make()?);
        joined.insert(of, Arc::clone(&made));
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_it_changes_and_of_whom() {
        for (sql, of, whose) in [
            (
                "/* a */ INSERT INTO heads (client, agent, len) VALUES (?1, ?3, ?2) ON CONFLICT (client) DO NOTHING",
                Changes::Table("heads"),
                Some(2),
            ),
            ("/* a */ INSERT INTO heads (client, agent) SELECT ?1, ?2", Changes::Table("heads"), None),
            ("/* a */ INSERT INTO heads (client, agent) VALUES (?1, 'all')", Changes::Table("heads"), None),
            (
                "/* a */ UPDATE agent_now SET last_seen = ?3 WHERE client = ?1 AND agent = ?2",
                Changes::Table("agent_now"),
                Some(1),
            ),
            ("/* a */ UPDATE agent_now SET last_seen = ?1 WHERE last_seen > ?1", Changes::Table("agent_now"), None),
            ("/* a */ DELETE FROM heads WHERE agent = ?1 OR len = 0", Changes::Table("heads"), None),
            (
                "/* a */ SELECT 1 FROM a WHERE agent = ?2 UNION ALL SELECT 1 FROM b WHERE x = ?1 AND agent = ?2 LIMIT 1",
                Changes::Nothing,
                Some(1),
            ),
            (
                "/* a */ SELECT 1 FROM a WHERE agent = ?2 UNION ALL SELECT 1 FROM b WHERE agent = ?1",
                Changes::Nothing,
                None,
            ),
            ("/* a */ SELECT 1 FROM a WHERE agent = ?2 UNION ALL SELECT 1 FROM b", Changes::Nothing, None),
            ("/* a */ SELECT 1 FROM a CROSS JOIN b WHERE agent = ?2", Changes::Nothing, None),
            ("/* a */ WITH gone AS (SELECT 1) DELETE FROM heads", Changes::Anything, None),
        ] {
            assert_eq!((changes(sql), agent(sql)), (of, whose), "{sql}");
        }
    }

    #[test]
    fn a_text_says_in_whose_place_it_puts_a_row() {
        let into =
            |values: &str, rest: &str| conflict(&format!("/* a */ INSERT INTO t (a, b, c) VALUES ({values}){rest}"));
        assert_eq!(into("?1, ?2, ?3", " ON CONFLICT (c, a) DO UPDATE SET b = excluded.b"), Conflict::By(vec![2, 0]));
        assert_eq!(into("?1, ?2, 7", " ON CONFLICT (c) DO UPDATE SET b = excluded.b"), Conflict::Unknown);
        assert_eq!(into("?1, ?2, ?3", " ON CONFLICT (c) DO NOTHING"), Conflict::Never);
        assert_eq!(into("?1, ?2, ?3", ""), Conflict::Never);
    }
}
