//! Names of people: the one table that has them. Ledger and audit hold the ids of this table (SECURITY 40), so that
//! erasing a name breaks no proof.

use crate::{
    StoreError,
    sql::{Query, Sql, params, query},
};

/// Reading names.
pub trait PeopleReads {
    /// The name behind an id; `None` when there is none, or it was erased.
    fn name_of(&self, id: &str) -> Result<Option<String>, StoreError>;
    /// The id of a name.
    fn person(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// What a person logs in with, folded; `None` without an account.
    fn login_of(&self, id: &str) -> Result<Option<String>, StoreError>;
    /// The id behind a folded log-in name.
    fn person_of_login(&self, login: &str) -> Result<Option<String>, StoreError>;
}

/// Writing names.
pub trait PeopleWrites {
    /// Gives a name an id that nobody has.
    fn insert_person(&mut self, id: &str, name: &str) -> Result<(), StoreError>;
    /// Gives a person a log-in name that nobody else has; folded by the caller, so that one spelling is one name.
    fn set_login(&mut self, id: &str, login: &str) -> Result<(), StoreError>;
}

const NAME: Query = query!("people.name", "SELECT name FROM people WHERE person = ?1");
const PERSON: Query = query!("people.by_name", "SELECT person FROM people WHERE name = ?1");
const LOGIN: Query = query!("people.login", "SELECT login FROM people WHERE person = ?1");
const BY_LOGIN: Query = query!("people.by_login", "SELECT person FROM people WHERE login = ?1");
const SET_LOGIN: Query = query!(guarded: "people.set_login", "UPDATE people SET login = ?2 WHERE person = ?1");
const INSERT: Query = query!("people.insert", "INSERT INTO people (person, name) VALUES (?1, ?2)");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[NAME, PERSON, LOGIN, BY_LOGIN, SET_LOGIN];

impl PeopleReads for Sql<'_> {
    fn name_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.one(&NAME, [id], |row| row.get(0))
    }

    fn person(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.one(&PERSON, [name], |row| row.get(0))
    }

    fn login_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.one(&LOGIN, [id], |row| row.get(0)).map(Option::flatten)
    }

    fn person_of_login(&self, login: &str) -> Result<Option<String>, StoreError> {
        self.one(&BY_LOGIN, [login], |row| row.get(0))
    }
}

impl PeopleWrites for Sql<'_> {
    fn insert_person(&mut self, id: &str, name: &str) -> Result<(), StoreError> {
        self.run(&INSERT, params![id, name]).map(drop)
    }

    fn set_login(&mut self, id: &str, login: &str) -> Result<(), StoreError> {
        self.run(&SET_LOGIN, params![id, login]).map(drop)
    }
}
