//! How Upheld's types lie in SQLite's columns, and what SQLite's errors mean to us.

use std::{fmt::Display, str::FromStr, sync::Arc};

use jiff::Timestamp;
use rusqlite::{
    ErrorCode,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};
use upheld_model::{Digest, RecordId};

use crate::StoreError;

/// An instant, in microseconds: jiff's whole range fits an SQLite integer so.
pub(crate) struct At(pub(crate) Timestamp);

impl ToSql for At {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// A text column that is parsed into one of our types.
pub(crate) struct Parsed<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> FromSql for Parsed<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|error: T::Err| FromSqlError::Other(error.to_string().into()))
    }
}

/// A digest, 32 bytes.
pub(crate) struct Sha(pub(crate) Digest);

impl FromSql for Sha {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(|bytes| Self(Digest(bytes)))
    }
}

/// A record's id, or a salt: 16 bytes.
pub(crate) struct Id16(pub(crate) RecordId);

impl FromSql for Id16 {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(|bytes| Self(RecordId(bytes)))
    }
}

/// A count or a random number of 64 bits: SQLite's integers are signed, the bits are kept.
pub(crate) struct Bits(pub(crate) u64);

impl ToSql for Bits {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Bits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|bits| Self(bits.cast_unsigned()))
    }
}

/// Names what the database said about the query or transaction `name`.
pub(crate) fn meaning(name: &'static str, error: rusqlite::Error) -> StoreError {
    if let rusqlite::Error::FromSqlConversionFailure(column, _, why) = &error {
        return StoreError::Damaged { name, column: *column, why: why.to_string() };
    }
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
