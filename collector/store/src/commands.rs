//! Commands that were given under a key of their giver's, so that a repetition is recognised (UX 3.4).

use jiff::Timestamp;
use upheld_model::Digest;

use crate::{
    StoreError,
    sql::{At, Query, Sha, Sql, params, query},
};

/// Reading keys.
pub trait CommandReads {
    /// What was asked under this key by whom, if it was noted at `since` or later.
    fn command(&self, who: &str, key: &str, since: Timestamp) -> Result<Option<Digest>, StoreError>;
    /// What the clock of lived time shows, by which keys are noted and forgotten; `None` before it was first set.
    fn lived(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Writing keys.
pub trait CommandWrites {
    /// Notes what is asked under a key, in place of what was noted under it long ago.
    fn put_command(&mut self, who: &str, key: &str, asked: &Digest, at: Timestamp) -> Result<(), StoreError>;
    /// Forgets keys that were noted before an instant; how many.
    fn forget_commands(&mut self, before: Timestamp) -> Result<u64, StoreError>;
    /// Sets the clock of lived time.
    fn set_lived(&mut self, at: Timestamp) -> Result<(), StoreError>;
}

const GET: Query = query!("commands.get", "SELECT asked FROM commands WHERE who = ?1 AND key = ?2 AND at >= ?3");
const PUT: Query = query!(
    "commands.put",
    "INSERT INTO commands (who, key, at, asked) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (who, key) DO UPDATE SET at = excluded.at, asked = excluded.asked"
);
const FORGET: Query = query!("commands.forget", "DELETE FROM commands WHERE at < ?1 AND who <> ''");
/// The clock stands among the keys, as nobody's and without one.
const LIVED: Query = query!("commands.lived", "SELECT at FROM commands WHERE who = '' AND key = ''");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, FORGET, LIVED];

impl CommandReads for Sql<'_> {
    fn command(&self, who: &str, key: &str, since: Timestamp) -> Result<Option<Digest>, StoreError> {
        self.one(&GET, params![who, key, At(since)], |row| Ok(row.get::<Sha>(0)?.0))
    }

    fn lived(&self) -> Result<Option<Timestamp>, StoreError> {
        self.one(&LIVED, params![], |row| Ok(row.get::<At>(0)?.0))
    }
}

impl CommandWrites for Sql<'_> {
    fn put_command(&mut self, who: &str, key: &str, asked: &Digest, at: Timestamp) -> Result<(), StoreError> {
        self.run(&PUT, params![who, key, At(at), asked.0]).map(drop)
    }

    fn forget_commands(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.run(&FORGET, params![At(before)]).map(|count| count as u64)
    }

    fn set_lived(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.put_command("", "", &Digest::ZERO, at)
    }
}
