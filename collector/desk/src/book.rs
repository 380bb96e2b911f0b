//! The provider's book as it is applied (TERMS 1).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use upheld_model::Digest;

use crate::{Actor, Desk, DeskError};

/// The book that is applied, parsed once and shared.
#[derive(Debug)]
pub struct CurrentBook {
    /// Counts applications from 1; also the version of every agent's configuration.
    pub version: u64,
    /// The hash of its files.
    pub hash: Digest,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// Its files, path within the book folder → text.
    pub files: BTreeMap<String, String>,
}

/// What an application changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version that is in force.
    pub version: u64,
    /// Its hash.
    pub hash: Digest,
    /// False when the same files were applied already.
    pub changed: bool,
}

/// Why a book was not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An agreement version that is or was in force reads otherwise than it was applied (TERMS 1).
    #[error(
        "{client}: the version of {number} effective from {effective_from} is or was in force and cannot be changed; \
         restore its text and add a [[version]] that follows it"
    )]
    VersionChanged {
        /// The client.
        client: String,
        /// The agreement's number.
        number: String,
        /// The version.
        effective_from: String,
    },
    /// The store did not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Desk {
    /// Makes the files the book in force: reads them, refuses what history forbids, stores them with their hash,
    /// all in one transaction with an audit entry. The same files again change nothing.
    pub async fn apply_book(
        &self,
        files: BTreeMap<String, String>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<Applied, ApplyError> {
        let _ = (files, who, now);
        Err(DeskError::NotBuilt("apply_book").into())
    }

    /// The book in force; the parse is kept until another is applied. `Err(NoBook)` before the first.
    pub async fn current_book(&self) -> Result<Arc<CurrentBook>, DeskError> {
        Err(DeskError::NotBuilt("current_book"))
    }
}
