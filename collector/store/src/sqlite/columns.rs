//! Our values in SQLite's hands, and what SQLite's errors mean to us.

use std::sync::Arc;

use rusqlite::{
    ErrorCode,
    types::{ToSql, ToSqlOutput, ValueRef},
};

use crate::{
    StoreError,
    sql::{Cells, Misread, Read, Value},
};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, column: usize) -> Read<Value<'_>> {
        let misread = |why: String| Misread { column, why };
        match self.get_ref(column).map_err(|error| misread(error.to_string()))? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(value) => Ok(Value::Int(value)),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Value::Text).map_err(|error| misread(error.to_string()))
            }
            ValueRef::Blob(bytes) => Ok(Value::Blob(bytes)),
            ValueRef::Real(value) => Err(misread(format!("{value}, and no column of ours is a fraction"))),
        }
    }
}

/// Names what the database said about the query or transaction `name`.
pub(crate) fn meaning(name: &'static str, error: rusqlite::Error) -> StoreError {
    let extended = error.sqlite_error().map(|inner| inner.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked,
        Some(ErrorCode::DiskFull) => StoreError::DiskFull,
        Some(ErrorCode::ConstraintViolation)
            if matches!(
                extended,
                Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
            ) =>
        {
            StoreError::Exists { name, what: error.to_string() }
        }
        _other_of_sqlite => StoreError::Database { name, source: Arc::new(error) },
    }
}

/// Gives a query's result our errors.
pub(crate) trait Named<T> {
    /// `name` is the query's.
    fn named(self, name: &'static str) -> Result<T, StoreError>;
}

impl<T> Named<T> for rusqlite::Result<T> {
    fn named(self, name: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| meaning(name, error))
    }
}
