//! The provider's book as it was applied, each time whole.

use jiff::Timestamp;
use upheld_model::Digest;

use crate::{
    StoreError,
    sql::{Asked, At, Bits, Query, Read, Row, Sha, Sql, params, query},
};

/// One application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRow {
    /// Counts applications, from 1.
    pub version: u64,
    /// The hash of the files.
    pub hash: Digest,
    /// The files, a JSON object of path → text.
    pub files: String,
    /// When.
    pub applied_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub applied_by: String,
}

/// Reading books.
pub trait BookReads {
    /// The book in force.
    fn book(&self) -> Result<Option<BookRow>, StoreError>;
    /// The version in force; 0 before the first.
    fn book_version(&self) -> Result<u64, StoreError>;
}

/// Writing books.
pub trait BookWrites {
    /// Adds the next one; a version that is taken is [`StoreError::Exists`].
    fn insert_book(&mut self, row: &BookRow) -> Result<(), StoreError>;
}

const CURRENT: Query = query!(
    "books.current",
    "SELECT version, hash, files, applied_at, applied_by FROM books ORDER BY version DESC LIMIT 1"
);
const VERSION: Query = query!("books.version", "SELECT version FROM books ORDER BY version DESC LIMIT 1");
const INSERT: Query = query!(
    "books.insert",
    "INSERT INTO books (version, hash, files, applied_at, applied_by) VALUES (?1, ?2, ?3, ?4, ?5)"
);

fn book_row(row: &Row<'_>) -> Read<BookRow> {
    Ok(BookRow {
        version: row.get::<Bits>(0)?.0,
        hash: row.get::<Sha>(1)?.0,
        files: row.get(2)?,
        applied_at: row.get::<At>(3)?.0,
        applied_by: row.get(4)?,
    })
}

/// [`BookReads::book_version`] as it is asked.
pub(crate) fn ask_version() -> Asked<'static> {
    (&VERSION, Vec::new())
}

impl BookReads for Sql<'_> {
    fn book(&self) -> Result<Option<BookRow>, StoreError> {
        self.one(&CURRENT, params![], book_row)
    }

    fn book_version(&self) -> Result<u64, StoreError> {
        Ok(self.one(&VERSION, params![], |row| Ok(row.get::<Bits>(0)?.0))?.unwrap_or(0))
    }
}

impl BookWrites for Sql<'_> {
    fn insert_book(&mut self, row: &BookRow) -> Result<(), StoreError> {
        let BookRow { version, hash, files, applied_at, applied_by } = row;
        self.run(&INSERT, params![Bits(*version), hash.0, files, At(*applied_at), applied_by]).map(drop)
    }
}
