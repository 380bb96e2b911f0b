//! Names of people: the one table that has them. Ledger and audit hold the ids of this table (SECURITY 40), so that
//! erasing a name breaks no proof.

use rusqlite::params;

use crate::{
    StoreError,
    sqlite::query::{Query, SqliteTx, query},
};

/// Reading names.
pub trait PeopleReads {
    /// The name behind an id; `None` when there is none, or it was erased.
    fn name_of(&self, id: &str) -> Result<Option<String>, StoreError>;
    /// The id of a name.
    fn person(&self, name: &str) -> Result<Option<String>, StoreError>;
}

/// Writing names.
pub trait PeopleWrites {
    /// Gives a name an id that nobody has.
    fn insert_person(&mut self, id: &str, name: &str) -> Result<(), StoreError>;
}

const NAME: Query = query!("people.name", "SELECT name FROM people WHERE person = ?1");
const PERSON: Query = query!("people.by_name", "SELECT person FROM people WHERE name = ?1");
const INSERT: Query = query!("people.insert", "INSERT INTO people (person, name) VALUES (?1, ?2)");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[NAME, PERSON];

impl PeopleReads for SqliteTx<'_> {
    fn name_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.one(&NAME, [id], |row| row.get(0))
    }

    fn person(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.one(&PERSON, [name], |row| row.get(0))
    }
}

impl PeopleWrites for SqliteTx<'_> {
    fn insert_person(&mut self, id: &str, name: &str) -> Result<(), StoreError> {
        self.run(&INSERT, params![id, name]).map(drop)
    }
}
