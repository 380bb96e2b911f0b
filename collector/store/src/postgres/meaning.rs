//! What PostgreSQL's errors mean to us.

use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::{Error, error::SqlState};

use super::retry::Trouble;
use crate::StoreError;

/// Names what the database said about the query or transaction `name`.
pub(super) fn meaning(name: &'static str, error: Error) -> StoreError {
    let code = error.code().cloned();
    let source = Arc::new(error);
    match code {
        None if is_of_the_line(&source) => StoreError::Lost { name, source },
        None => StoreError::Database { name, source },
        Some(SqlState::UNIQUE_VIOLATION) => StoreError::Exists { name, what: what(&source) },
        Some(SqlState::LOCK_NOT_AVAILABLE) => StoreError::Locked,
        Some(SqlState::DISK_FULL) => StoreError::DiskFull,
        Some(SqlState::IN_FAILED_SQL_TRANSACTION) => StoreError::Undone { name },
        Some(code) => match trouble_of(&code) {
            Trouble::Lost => StoreError::Lost { name, source },
            Trouble::GaveWay => StoreError::Undone { name },
            Trouble::Other => StoreError::Database { name, source },
        },
    }
}

fn is_of_the_line(error: &Error) -> bool {
    error.is_closed() || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn what(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// [`meaning`], where a connection was asked for.
pub(super) fn meaning_of_pool(name: &'static str, error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => match trouble(&error) {
            Trouble::Lost => StoreError::Lost { name, source: Arc::new(error) },
            Trouble::GaveWay | Trouble::Other => meaning(name, error),
        },
        other @ (PoolError::Timeout(_)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(HookError::Message(_))) => StoreError::Lost { name, source: Arc::new(other) },
    }
}

/// [`trouble`], where a connection was asked for.
pub(super) fn trouble_of_pool(error: &PoolError) -> Trouble {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => trouble(error),
        PoolError::Timeout(_) => Trouble::Lost,
        PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_)) => {
            Trouble::Other
        }
    }
}

/// Whether the same try may go better. Without a word of the server's it is the connection that failed.
pub(super) fn trouble(error: &Error) -> Trouble {
    error.code().map_or(Trouble::Lost, trouble_of)
}

/// Whether it is the line that failed, or the server ended: not what was said, and not a value that cannot be said.
pub(super) fn is_lost(error: &Error) -> bool {
    match error.code() {
        Some(code) => trouble_of(code) == Trouble::Lost,
        None => is_of_the_line(error),
    }
}

fn trouble_of(code: &SqlState) -> Trouble {
    match code.code() {
        "40001" | "40P01" => Trouble::GaveWay,
        // Stopping, crashed, starting; too many connections; an administrator's bound on idle transactions.
        "57P01" | "57P02" | "57P03" | "53300" | "25P03" => Trouble::Lost,
        code if code.starts_with("08") => Trouble::Lost,
        _other => Trouble::Other,
    }
}
