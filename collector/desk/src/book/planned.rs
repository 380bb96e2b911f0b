//! What an application would change: for each file, agreement, open incident and site. Changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::book::{
    Book, VersionSummary,
    changes::{FileChange, changes},
    compare::{Side, VersionDiff, versions},
};
use upheld_model::{CheckSpec, ClientId, SiteId};

use super::{ApplyError, CurrentBook, history, open};
use crate::{Desk, DeskError, clock, plan};

pub use open::{AmendedBy, ClockPlan, IncidentPlan};

/// What an application would change.
#[derive(Debug, Clone, Serialize)]
pub struct BookPlan {
    /// The version that is in force; `None` before the first application.
    pub version: Option<u64>,
    /// The files that say something else.
    pub files: Vec<FileChange>,
    /// The agreements whose versions come, go or change.
    pub agreements: Vec<AgreementPlan>,
    /// The open incidents, and what becomes of their clocks.
    pub incidents: Vec<IncidentPlan>,
    /// The sites whose agents are sent other checks.
    pub sites: Vec<SitePlan>,
    /// Why it would be refused, in words; empty where it would not.
    pub refusals: Vec<String>,
}

/// What becomes of one version of an agreement.
#[derive(Debug, Clone, Serialize)]
pub struct AgreementPlan {
    /// Whose.
    pub client: ClientId,
    /// `SSA-2026-014 v2`.
    pub version: String,
    /// What happens to it.
    pub what: VersionVerb,
    /// When it takes effect.
    pub from: Timestamp,
    /// What is promised otherwise: than before, or than by the version before it. `None` for a first version.
    pub diff: Option<VersionDiff>,
}

/// What can happen to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionVerb {
    /// It is added.
    New,
    /// It says something else; it is not in force yet, or the application is refused.
    Changed,
    /// It is taken out.
    Gone,
}

/// What the agents of one site watch otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SitePlan {
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// Checks that are new.
    pub new: Vec<String>,
    /// Checks that end.
    pub gone: Vec<String>,
    /// Checks that ask something else.
    pub changed: Vec<String>,
}

impl Desk {
    /// What [`Desk::apply_book`] would do with these files at this moment.
    pub async fn plan_book(&self, files: BTreeMap<String, String>, now: Timestamp) -> Result<BookPlan, ApplyError> {
        let now = clock::stored(now);
        let book = super::read_files(&files).map_err(ApplyError::Refused)?;
        let shared = Arc::clone(&self.shared);
        self.store
            .read("desk.plan_book", move |tx| {
                let before = match shared.books.current(tx) {
                    Ok(before) => Some(before),
                    Err(DeskError::NoBook) => None,
                    Err(error) => return Err(error.into()),
                };
                let version = before.as_ref().map(|before| before.version);
                let after = CurrentBook {
                    version: version.unwrap_or(0) + 1,
                    hash: book.hash(),
                    applied_at: now,
                    files,
                    book,
                    sites: plan::Sites::default(),
                };
                let empty = BTreeMap::new();
                let incidents = open::plan(tx, &after, now)?;
                Ok(BookPlan {
                    version,
                    files: changes(before.as_ref().map_or(&empty, |before| &before.files), &after.files),
                    agreements: agreements(before.as_ref().map(|before| &before.book), &after.book),
                    incidents: incidents.into_iter().filter(IncidentPlan::is_touched).collect(),
                    sites: sites(before.as_ref().map(|before| &before.book), &after.book),
                    refusals: before
                        .iter()
                        .flat_map(|before| history::refusals(&before.book, &after.book, now))
                        .map(|refusal| refusal.in_full())
                        .collect(),
                })
            })
            .await
    }
}

impl IncidentPlan {
    /// Whether an amendment acts on it or a due moves.
    fn is_touched(&self) -> bool {
        !self.amended_by.is_empty() || self.clocks.iter().any(|clock| clock.due != clock.new_due)
    }
}

fn agreements(before: Option<&Book>, after: &Book) -> Vec<AgreementPlan> {
    let old = before.map(Book::versions).unwrap_or_default();
    let new = after.versions();
    let same = |a: &VersionSummary, b: &VersionSummary| (&a.client, a.version) == (&b.client, b.version);
    let mut plans = Vec::new();
    for version in &new {
        let was = old.iter().find(|old| same(old, version));
        let side = |book, number| Side { book, version: number };
        let diff = match (was, before) {
            (Some(was), _) if was.hash == version.hash => continue,
            (Some(_), Some(before)) => {
                versions(&version.client, side(before, version.version), side(after, version.version)).ok()
            }
            (_, _) if version.version > 1 => {
                versions(&version.client, side(after, version.version - 1), side(after, version.version)).ok()
            }
            (_, _) => None,
        };
        let what = if was.is_some() { VersionVerb::Changed } else { VersionVerb::New };
        // A version is new in hash where the one before it is: what it promises may be the same.
        if what == VersionVerb::New || diff.as_ref().is_none_or(|diff| !diff.is_empty()) {
            plans.push(AgreementPlan::of(version, what, diff));
        }
    }
    let gone = old.iter().filter(|old| !new.iter().any(|new| same(old, new)));
    plans.extend(gone.map(|old| AgreementPlan::of(old, VersionVerb::Gone, None)));
    plans
}

impl AgreementPlan {
    fn of(version: &VersionSummary, what: VersionVerb, diff: Option<VersionDiff>) -> Self {
        let VersionSummary { client, agreement, version, from, .. } = version;
        Self { client: client.clone(), version: format!("{agreement} v{version}"), what, from: *from, diff }
    }
}

fn sites(before: Option<&Book>, after: &Book) -> Vec<SitePlan> {
    let checks = |book: &Book| -> BTreeMap<(ClientId, SiteId), BTreeMap<String, CheckSpec>> {
        let sites =
            book.clients.iter().flat_map(|(client, entry)| entry.sites.values().map(move |site| (client, site)));
        sites
            .map(|(client, site)| {
                let checks = site.checks().into_iter().map(|check| (check.id.to_string(), check));
                ((client.clone(), site.id.clone()), checks.collect())
            })
            .collect()
    };
    let (old, new) = (before.map(checks).unwrap_or_default(), checks(after));
    let none = BTreeMap::new();
    let places: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    places
        .into_iter()
        .map(|place| {
            let (old, new) = (old.get(place).unwrap_or(&none), new.get(place).unwrap_or(&none));
            let only = |these: &BTreeMap<String, CheckSpec>, others: &BTreeMap<String, CheckSpec>| -> Vec<String> {
                these.keys().filter(|id| !others.contains_key(*id)).cloned().collect()
            };
            let changed = old.iter().filter(|(id, check)| new.get(*id).is_some_and(|new| new != *check));
            SitePlan {
                client: place.0.clone(),
                site: place.1.clone(),
                new: only(new, old),
                gone: only(old, new),
                changed: changed.map(|(id, _)| id.clone()).collect(),
            }
        })
        .filter(|plan| !(plan.new.is_empty() && plan.gone.is_empty() && plan.changed.is_empty()))
        .collect()
}
