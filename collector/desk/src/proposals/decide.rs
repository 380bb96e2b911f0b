//! Taking and dismissing what is proposed.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_agreement::book::{
    Book, Files,
    proposed::{CannotWrite, Item, patch, written},
};
use upheld_model::{ClientId, SiteId};
use upheld_store::{Tx, proposals::DecisionRow};

use super::{Beside, BookBeside, Place, ProposalError};
use crate::{
    Actor, CurrentBook, Desk, DeskError, audit,
    book::{apply, read_files},
    clock,
};

/// What taking comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Way {
    /// The site's file in the folder beside the data is written, and the book applied.
    Applied {
        /// The folder.
        folder: String,
    },
    /// A patch, for the provider's own files.
    Patch {
        /// Why the collector writes no file.
        why: String,
    },
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The things, by name.
    pub items: Vec<String>,
    /// What the book in force lacked of all that was taken, as a patch of the site's file.
    pub patch: String,
    /// What it came to.
    pub way: Way,
    /// The version of the book that has it; `None` where it is a patch.
    pub version: Option<u64>,
}

/// What somebody decides of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'a> {
    /// All that waits, without suggestions.
    Waiting,
    /// These.
    These(&'a [String]),
}

impl Desk {
    /// Takes what is named, all that waits without suggestions when nothing is; what was dismissed can be taken by name.
    pub async fn take_proposed(
        &self,
        client: &ClientId,
        site: &SiteId,
        names: &[String],
        who: &Actor,
        now: Timestamp,
    ) -> Result<Taken, ProposalError> {
        let now = clock::stored(now);
        let (desk, client, site, names) = (self.clone(), client.clone(), site.clone(), names.to_vec());
        // Read, checked and parsed beside the writer, which has others to serve.
        let ready = self.store.read("desk.ready_proposed", move |tx| ready(&desk, tx, client, site, &names)).await?;
        let (desk, who) = (self.clone(), who.clone());
        self.store.write("desk.take_proposed", move |tx| ready.carry_out(&desk, tx, &who, now)).await
    }

    /// Dismisses what is named, all that waits when nothing is: nobody is asked for it again. How many things it was.
    pub async fn dismiss_proposed(
        &self,
        client: &ClientId,
        site: &SiteId,
        names: &[String],
        who: &Actor,
        now: Timestamp,
    ) -> Result<Vec<String>, ProposalError> {
        let now = clock::stored(now);
        let (desk, client, site, names, who) =
            (self.clone(), client.clone(), site.clone(), names.to_vec(), who.clone());
        self.store
            .write("desk.dismiss_proposed", move |tx| {
                let current = desk.shared.books.current(&*tx)?;
                let place = Place { client: &client, site: &site };
                let (known, _) = place.of(&current)?;
                let rows = tx.proposals(Some((&client, &site)))?;
                let beside = Beside::of(known, &rows, tx.proposal_decisions(&client, &site)?)?;
                let named = if names.is_empty() { Named::Waiting } else { Named::These(&names) };
                let items = named.of(&beside, place, |taken| taken != Some(false))?;
                let names = note(tx, place, &items, false, &who, now)?;
                let detail = json!({ "site": site, "items": names });
                audit::note(tx, now, &who, Some(&client), "proposal.dismissed", &detail)?;
                Ok(names)
            })
            .await
    }

    /// What taking comes to with this book in force.
    pub(super) fn way(&self, current: &CurrentBook) -> Way {
        let elsewhere = |why: &str| Way::Patch { why: why.to_owned() };
        let Some(beside) = self.shared.beside.get() else { return elsewhere(ELSEWHERE) };
        match beside.files() {
            Ok(Some(files)) if files == current.files => Way::Applied { folder: beside.shown() },
            Ok(Some(_)) => Way::Patch {
                why: format!("{0} has edits that are not in force: upheld-collector book apply {0}", beside.shown()),
            },
            Ok(None) => elsewhere(ELSEWHERE),
            Err(why) => Way::Patch { why: format!("{}: {why}", beside.shown()) },
        }
    }
}

const ELSEWHERE: &str = "the agreements are kept in files of your own; the collector does not write into them";

impl Named<'_> {
    /// The items with those of their checks that `fits` lets through by how they were decided.
    fn of(
        self,
        beside: &Beside,
        place: Place<'_>,
        fits: impl Fn(Option<bool>) -> bool,
    ) -> Result<Vec<Item>, ProposalError> {
        let items = match self {
            Self::Waiting => {
                let waiting = beside.standing(|taken| taken.is_none()).into_iter();
                waiting.filter(|item| !item.is_suggestion()).collect()
            }
            Self::These(names) => {
                let able = beside.standing(fits);
                if let Some(name) = names.iter().find(|name| !able.iter().any(|item| item.name() == **name)) {
                    let known = able.iter().map(Item::name).collect::<Vec<_>>().join(", ");
                    let name = name.chars().take(120).collect();
                    return Err(ProposalError::NoSuchItem { name, place: place.to_string(), known });
                }
                able.into_iter().filter(|item| names.contains(&item.name())).collect::<Vec<_>>()
            }
        };
        if items.is_empty() { Err(ProposalError::Nothing(place.to_string())) } else { Ok(items) }
    }
}

/// A decision to take, checked against the book of one moment.
struct Ready {
    client: ClientId,
    site: SiteId,
    items: Vec<Item>,
    /// The book that it was checked against.
    current: Arc<CurrentBook>,
    path: String,
    after: String,
    /// The book with it.
    files: Files,
    book: Book,
    way: Way,
}

fn ready(
    desk: &Desk,
    tx: &dyn upheld_store::ReadTx,
    client: ClientId,
    site: SiteId,
    names: &[String],
) -> Result<Ready, ProposalError> {
    let current = desk.shared.books.current(tx)?;
    let place = Place { client: &client, site: &site };
    let (known, text) = place.of(&current)?;
    let rows = tx.proposals(Some((&client, &site)))?;
    let beside = Beside::of(known, &rows, tx.proposal_decisions(&client, &site)?)?;
    let named = if names.is_empty() { Named::Waiting } else { Named::These(names) };
    let items = named.of(&beside, place, |taken| taken != Some(true))?;
    let mut keys = beside.keys(|_, taken| taken == Some(true));
    keys.extend(items.iter().flat_map(Item::keys));
    // With all that was taken before; what is named now must be possible itself.
    let all: Vec<Item> = beside.items.iter().filter_map(|item| item.narrowed(|key| keys.contains(key))).collect();
    let asked: BTreeSet<String> = items.iter().map(Item::name).collect();
    let after = match written(text, known, &all) {
        Err(CannotWrite::Needs { item, .. }) if !asked.contains(&item) => beside.file_with(text, known, &keys)?,
        other => other?,
    };
    let (path, way) = (place.path(), desk.way(&current));
    let mut files = current.files.clone();
    files.insert(path.clone(), after.clone());
    let book = read_files(&files).map_err(|refused| ProposalError::Refused(refused.to_string()))?;
    Ok(Ready { client, site, items, current, path, after, files, book, way })
}

impl Ready {
    fn carry_out(self, desk: &Desk, tx: &mut dyn Tx, who: &Actor, now: Timestamp) -> Result<Taken, ProposalError> {
        let Self { client, site, items, current, path, after, files, book, way } = self;
        if tx.book_version()? != current.version {
            return Err(DeskError::Overtaken("the book").into());
        }
        let place = Place { client: &client, site: &site };
        let names = note(tx, place, &items, true, who, now)?;
        let mut version = None;
        if let Way::Applied { folder } = &way {
            version = Some(apply(tx, &desk.shared.books, &files, &book, who, now)?.version);
            // Last: where the file cannot be written, nothing of this is committed.
            let wrote = desk.shared.beside.get().map(|beside: &Arc<dyn BookBeside>| beside.write(&path, &after));
            wrote.transpose().map_err(|why| ProposalError::Beside { folder: folder.clone(), why })?;
        }
        let detail = json!({ "site": site, "items": names, "applied": version });
        audit::note(tx, now, who, Some(&client), "proposal.taken", &detail)?;
        let before = current.files.get(&path).map(String::as_str).unwrap_or_default();
        Ok(Taken { items: names, patch: patch(&path, before, &after), way, version })
    }
}

/// Remembers what was decided, check by check; the names of the things.
fn note(
    tx: &mut dyn Tx,
    place: Place<'_>,
    items: &[Item],
    is_taken: bool,
    who: &Actor,
    now: Timestamp,
) -> Result<Vec<String>, ProposalError> {
    let decided_by = who.id(tx)?;
    for item in items.iter().flat_map(Item::keys) {
        let row = DecisionRow { item, is_taken, decided_at: now, decided_by: decided_by.clone() };
        tx.put_proposal_decision(place.client, place.site, &row)?;
    }
    Ok(items.iter().map(Item::name).collect::<BTreeSet<_>>().into_iter().collect())
}
