//! The provider's book as it is applied (TERMS 1).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde_json::json;
use upheld_agreement::book::{Book, Code, Diagnostic, Refused, Rewritten, Site};
use upheld_detection::schedule::Schedule;
use upheld_model::{AgentId, ClientId, Digest, SiteId};
use upheld_store::{ReadTx, Tx, books::BookRow, facts::SiteKey};
use upheld_wire::v1::{AgentConfig, Relations};

mod accept;
mod history;
mod open;
mod planned;

pub use accept::{AcceptError, Acceptance};
pub use planned::{AgreementPlan, AmendedBy, BookPlan, ClockPlan, IncidentPlan, SitePlan, VersionVerb};

use crate::{Actor, Desk, DeskError, audit, clock, jobs, maintenance, plan};

/// The time between two heartbeats of an agent. Doubled, a silent site is noticed half a minute later; halved, 50,000
/// agents cost the collector twice as much.
pub const HEARTBEAT_MS: u64 = 30_000;

/// The book that is applied, parsed once and shared.
#[derive(Debug)]
pub struct CurrentBook {
    /// Counts applications from 1; also the version of every agent's configuration.
    pub version: u64,
    /// The hash of the book's meaning.
    pub hash: Digest,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// Its files, path within the book folder → text.
    pub files: BTreeMap<String, String>,
    /// What they say.
    pub book: Book,
    /// Its sites as detection sees them, and what their hours came to.
    pub(crate) sites: plan::Sites,
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
    /// The files cannot be read as a book; every error of every file.
    #[error("the book has {} errors: run `upheld-collector book check DIR`", .0.errors.len())]
    Refused(Refused),
    /// An agreement version that is or was in force reads otherwise than it was applied, or is gone (TERMS 1).
    #[error("{client}: {agreement} v{version} is or was in force and cannot be changed")]
    VersionChanged {
        /// The client.
        client: ClientId,
        /// The agreement's number.
        agreement: String,
        /// The version, from 1.
        version: u32,
        /// What it would promise otherwise, a line each.
        differences: Vec<String>,
    },
    /// A holiday that versions in force promise, or one of the past, is added or taken away.
    #[error(
        "calendar `{}` cannot {} {}: agreements in force count by it, and the day is promised or has passed",
        .0.calendar, if .0.is_new { "gain the holiday" } else { "lose or change the holiday" }, .0.date
    )]
    HolidayChanged(Rewritten),
    /// A client that the applied book has is missing (TERMS 1).
    #[error(
        "client {client} is missing from the folder; a client is never deleted: restore it and write `ended = DATE`"
    )]
    ClientMissing {
        /// The client.
        client: ClientId,
    },
    /// The store did not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl ApplyError {
    /// What stands beside the sentence: what would be promised otherwise.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::VersionChanged { differences, .. } => differences,
            Self::Refused(_) | Self::HolidayChanged(_) | Self::ClientMissing { .. } | Self::Desk(_) => &[],
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::VersionChanged { client, .. } => Some(format!(
                "restore its text (upheld-collector book export DIR writes the book in force) and add a [[version]] with \
                 its own effective_from to clients/{client}/ssa.toml"
            )),
            Self::HolidayChanged(Rewritten { calendar, .. }) => Some(format!(
                "restore it; to change it, write another calendar beside calendars/{calendar}.toml, a plan that counts by \
                 it, and a [[version]] with that plan. Holidays after the list's `valid_until` may be added freely"
            )),
            Self::Refused(_) | Self::ClientMissing { .. } | Self::Desk(_) => None,
        }
    }

    /// All of it as one text.
    fn in_full(&self) -> String {
        let lines = std::iter::once(self.to_string()).chain(self.reasons().iter().map(|reason| format!("  {reason}")));
        lines.chain(self.remedy().map(|remedy| format!("  do: {remedy}"))).collect::<Vec<_>>().join("\n")
    }
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
        let now = clock::stored(now);
        let book = read_files(&files).map_err(ApplyError::Refused)?;
        let (shared, who) = (Arc::clone(&self.shared), who.clone());
        self.store.write("desk.apply_book", move |tx| apply(tx, &shared.books, &files, &book, &who, now)).await
    }

    /// The book in force; the parse is kept until another is applied. `Err(NoBook)` before the first.
    pub async fn current_book(&self) -> Result<Arc<CurrentBook>, DeskError> {
        let shared = Arc::clone(&self.shared);
        self.store.read("desk.current_book", move |tx| shared.books.current(tx)).await
    }
}

impl CurrentBook {
    /// What an agent of this site should watch: all checks of the site.
    pub fn config_for(&self, agent: &AgentId, client: &ClientId, site: &SiteId) -> AgentConfig {
        let entry = self.book.site(client, site);
        let checks = entry.map(|site| site.checks()).unwrap_or_default();
        let relations = entry.map(|entry| self.relations(client, entry)).unwrap_or_default();
        let jobs = entry.into_iter().flat_map(Site::jobs).map(|job| job.id.clone()).collect();
        AgentConfig { version: self.version, agent: agent.clone(), heartbeat_ms: HEARTBEAT_MS, checks, relations, jobs }
    }

    /// What hangs on what at a site, by its typed edges, and what must not fail.
    fn relations(&self, client: &ClientId, site: &Site) -> Relations {
        let hanging = site.assets.values().filter(|asset| !asset.edges.is_empty());
        let parents =
            hanging.map(|asset| (asset.id.clone(), asset.edges.iter().map(|edge| edge.to.value.clone()).collect()));
        let critical = site.assets.keys().filter(|asset| self.book.is_critical(client, &site.id, asset));
        Relations { parents: parents.collect(), critical: critical.cloned().collect() }
    }
}

/// Reads a book as a collector needs it: what the book's own reader leaves to others is read here too, the schedules
/// of jobs.
pub fn read_files(files: &BTreeMap<String, String>) -> Result<Book, Refused> {
    let book = Book::read(files)?;
    let mut errors = Vec::new();
    for job in book.clients.values().flat_map(|client| client.sites.values()).flat_map(Site::jobs) {
        if let Err(error) = Schedule::read(&job.schedule) {
            errors.push(Diagnostic::new(Code::BadValue, &job.schedule.place, error.to_string()));
        }
    }
    if errors.is_empty() { Ok(book) } else { Err(Refused { errors, warnings: book.warnings().to_vec() }) }
}

/// The parse of the book in force, shared by all.
#[derive(Debug, Default)]
pub(crate) struct BookCache(Mutex<Option<Arc<CurrentBook>>>);

impl BookCache {
    /// Forgets what the past hours of a site came to: late readings changed them.
    pub(crate) fn forget_hours(&self, client: &ClientId, site: &SiteId) {
        if let Some(held) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            held.sites.cells.forget(client, site);
        }
    }

    /// The book in force as this transaction sees it.
    pub(crate) fn current(&self, tx: &dyn ReadTx) -> Result<Arc<CurrentBook>, DeskError> {
        let version = tx.book_version()?;
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.filter(|held| held.version == version) {
            return Ok(held);
        }
        let row = tx.book()?.ok_or(DeskError::NoBook)?;
        let read = Arc::new(read(row)?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok(read)
    }
}

fn read(row: BookRow) -> Result<CurrentBook, DeskError> {
    let BookRow { version, hash, files, applied_at, applied_by: _ } = row;
    let files = serde_json::from_str(&files).map_err(|error| DeskError::unreadable("book", &error))?;
    let book = Book::read(&files).map_err(|error| DeskError::unreadable("book", &error))?;
    Ok(CurrentBook { version, hash, applied_at, files, book, sites: plan::Sites::default() })
}

/// From `now` on every site is due to be judged.
pub(crate) fn put_all_due(tx: &mut dyn Tx, book: &Book, now: Timestamp) -> Result<(), DeskError> {
    for (client, entry) in &book.clients {
        for site in entry.sites.keys() {
            tx.put_site_due(SiteKey { client, site }, Some(now))?;
        }
    }
    Ok(())
}

/// Makes the files the book in force, within a transaction.
pub(crate) fn apply(
    tx: &mut dyn Tx,
    books: &BookCache,
    files: &BTreeMap<String, String>,
    book: &Book,
    who: &Actor,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let before = match books.current(&*tx) {
        Ok(before) => Some(before),
        Err(DeskError::NoBook) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(before) = &before {
        if before.files == *files {
            return Ok(Applied { version: before.version, hash: before.hash, changed: false });
        }
        if let Some(refusal) = history::refusals(&before.book, book, now).into_iter().next() {
            return Err(refusal);
        }
    }
    let (version, hash) = (before.map_or(0, |before| before.version) + 1, book.hash());
    let row = BookRow {
        version,
        hash,
        files: json!(files).to_string(),
        applied_at: now,
        applied_by: who.id(tx).map_err(ApplyError::Desk)?,
    };
    tx.insert_book(&row).map_err(DeskError::from)?;
    // What hangs on what, who is critical and which sites are commissioned may be another matter: judge them all.
    put_all_due(tx, book, now)?;
    maintenance::follow_book(tx, book, who, now)?;
    jobs::follow_book(tx, book, now)?;
    let current = CurrentBook {
        version,
        hash,
        applied_at: now,
        files: files.clone(),
        book: book.clone(),
        sites: plan::Sites::default(),
    };
    open::amend(tx, &current, who, now)?;
    audit::note(tx, now, who, None, "book.applied", &json!({ "version": version, "hash": hash }))?;
    Ok(Applied { version, hash, changed: true })
}

impl From<upheld_store::StoreError> for ApplyError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}
