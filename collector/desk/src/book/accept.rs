//! A version accepted by the client: who, when, and the hash that he was shown (TERMS 2).

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_model::{ClientId, Digest};
use upheld_store::{ReadTx, StoreError, acceptances::AcceptanceRow};

use crate::{Actor, Desk, DeskError, audit, clock};

/// The longest name of who accepted, in characters.
const NAME_MAX: usize = 120;

/// One acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    /// The agreement's number.
    pub agreement: String,
    /// Which version.
    pub version: u32,
    /// The hash of what was accepted.
    pub hash: Digest,
    /// Who accepted.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why a version was not accepted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The book in force has no such version.
    #[error("{client} has no version {version} in the book in force; it has {known}")]
    NoSuchVersion {
        /// The client.
        client: ClientId,
        /// The version that was asked for.
        version: u32,
        /// Those that there are.
        known: String,
    },
    /// The hash is not that of the version: something else was read than what is in force.
    #[error("{agreement} v{version} has another hash: what was accepted is not what is in the book in force")]
    OtherHash {
        /// The agreement's number.
        agreement: String,
        /// The version.
        version: u32,
        /// Its hash.
        right: Digest,
    },
    /// It was accepted before.
    #[error("{agreement} v{version} was accepted by {by} at {at}")]
    Already {
        /// The agreement's number.
        agreement: String,
        /// The version.
        version: u32,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Nobody, or more than a name.
    #[error("a name has 1 to {NAME_MAX} characters")]
    Name,
    /// The store did not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StoreError> for AcceptError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

impl Desk {
    /// Writes down that `by`, at the client's, accepts a version of the book in force by its hash. Any version may be
    /// accepted, one that is not in force yet too; none is accepted twice.
    pub async fn accept_version(
        &self,
        client: &ClientId,
        version: u32,
        hash: Digest,
        by: &str,
        who: &Actor,
        now: Timestamp,
    ) -> Result<Acceptance, AcceptError> {
        let now = clock::stored(now);
        let by = by.trim().to_owned();
        if by.is_empty() || by.chars().count() > NAME_MAX {
            return Err(AcceptError::Name);
        }
        let (shared, client, who) = (Arc::clone(&self.shared), client.clone(), who.clone());
        self.store
            .write("desk.accept_version", move |tx| {
                let book = shared.books.current(&*tx)?;
                let versions = book.book.versions().into_iter().filter(|summary| summary.client == client);
                let versions: Vec<_> = versions.collect();
                let Some(summary) = versions.iter().find(|summary| summary.version == version) else {
                    let known: Vec<String> = versions.iter().map(|summary| summary.version.to_string()).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    return Err(AcceptError::NoSuchVersion { client, version, known });
                };
                let agreement = summary.agreement.clone();
                if summary.hash != hash {
                    return Err(AcceptError::OtherHash { agreement, version, right: summary.hash });
                }
                let before = accepted(&*tx, &client)?;
                if let Some(first) = before.into_iter().find(|first| (first.version, first.hash) == (version, hash)) {
                    return Err(AcceptError::Already { agreement, version, by: first.by, at: first.at });
                }
                let row = AcceptanceRow {
                    client: client.clone(),
                    agreement: agreement.clone(),
                    version,
                    hash,
                    accepted_by: Actor::person(by.as_str()).id(tx)?,
                    accepted_at: now,
                    entered_by: who.id(tx)?,
                };
                tx.insert_acceptance(&row)?;
                let detail = json!({ "agreement": agreement, "version": version, "hash": hash, "by": row.accepted_by });
                audit::note(tx, now, &who, Some(&client), "agreement.accepted", &detail)?;
                Ok(Acceptance { agreement, version, hash, by, at: now })
            })
            .await
    }

    /// What a client has accepted, oldest version first. A version counts as accepted while its hash is the accepted one.
    pub async fn acceptances(&self, client: &ClientId) -> Result<Vec<Acceptance>, DeskError> {
        let client = client.clone();
        self.store.read("desk.acceptances", move |tx| accepted(tx, &client)).await
    }
}

fn accepted(tx: &dyn ReadTx, client: &ClientId) -> Result<Vec<Acceptance>, DeskError> {
    let mut found = Vec::new();
    for row in tx.acceptances(client)? {
        let AcceptanceRow { agreement, version, hash, accepted_by, accepted_at, client: _, entered_by: _ } = row;
        let by = Actor::of(tx, &accepted_by)?.label();
        found.push(Acceptance { agreement, version, hash, by, at: accepted_at });
    }
    Ok(found)
}
