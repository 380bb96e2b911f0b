//! What hosts propose to watch, and what a person makes of it.
//!
//! The agreements are the provider's files, kept in his own git: nothing is written there. What a person takes of a
//! proposal is remembered and becomes a patch of the site's file, until the book in force has it. Where the book is the
//! starter one, a folder beside the data that nobody else keeps ([`BookBeside`]), taking writes the file there and applies the
//! book, with all that an application checks. What was dismissed is asked for no more.
//!
//! A proposal is data: what an agent sent is held against the closed set of what `discover` proposes, and every text is
//! made here of typed values ([`upheld_model::proposal`]).

mod decide;
mod take_in;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::book::{
    Files, Site,
    proposed::{CannotWrite, Item, look, patch, written},
};
use upheld_model::{AgentId, AssetId, ClientId, SiteId, proposal::ProposedAsset};
use upheld_store::{
    ReadTx,
    proposals::{DecisionRow, ProposalRow},
};

use crate::{Actor, ApplyError, CurrentBook, Desk, DeskError, Scope};

pub use decide::{Taken, Way};

/// The folder beside the data in which a collector's own starter book lies.
pub trait BookBeside: Send + Sync {
    /// Where, as a person names it.
    fn shown(&self) -> String;
    /// Its files; `None` where there is no such folder, or somebody keeps it by git.
    fn files(&self) -> Result<Option<Files>, String>;
    /// Puts a text in the place of a file of it.
    fn write(&self, path: &str, text: &str) -> Result<(), String>;
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// The desk could not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// Nothing of that name is proposed.
    #[error("nothing called `{name}` is proposed for {place}; there is: {}", if known.is_empty() { "nothing" } else { known })]
    NoSuchItem {
        /// The name.
        name: String,
        /// `client/site`.
        place: String,
        /// What is proposed.
        known: String,
    },
    /// Nothing waits for a decision.
    #[error("nothing that is proposed for {0} waits for a decision")]
    Nothing(String),
    /// The site's file cannot be written.
    #[error(transparent)]
    Cannot(#[from] CannotWrite),
    /// The book with it would be refused.
    #[error("the book would be refused with it: {0}; add it by hand")]
    Refused(String),
    /// The book with it is refused where it is applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The folder beside the data cannot be read or written.
    #[error("{folder}: {why}; nothing was changed")]
    Beside {
        /// The folder.
        folder: String,
        /// What went wrong.
        why: String,
    },
}

impl From<upheld_store::StoreError> for ProposalError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// How a thing that is proposed stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// For a person to decide.
    Waiting,
    /// A person took it; the book in force does not have it yet.
    Taken {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A person dismissed it.
    Dismissed {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// One thing that is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemView {
    /// By what it is taken or dismissed.
    pub name: String,
    /// Why it is proposed.
    pub why: String,
    /// Its lines, as the site's file would have them.
    pub lines: Vec<String>,
    /// Whether it is taken by name only: nobody but a person can know what hangs on what.
    pub is_suggestion: bool,
    /// How it stands.
    pub standing: Standing,
}

/// Who proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// The agent.
    pub agent: AgentId,
    /// Its host's name.
    pub host: String,
    /// When it sent the last one.
    pub sent_at: Timestamp,
}

/// All that is proposed for a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposalView {
    /// The client.
    pub client: ClientId,
    /// The site.
    pub site: SiteId,
    /// The site's file within the book.
    pub path: String,
    /// Who proposed, by agent.
    pub senders: Vec<Sender>,
    /// What is proposed and not in the book in force.
    pub items: Vec<ItemView>,
    /// How many of the proposed assets the book watches already.
    pub watched: usize,
    /// What waits and what was taken, without suggestions that nobody took, as a patch of the site's file.
    pub patch: String,
    /// What was taken and is not in the book yet, as a patch of the site's file; empty when nothing was.
    pub taken_patch: String,
    /// What taking comes to here.
    pub way: Way,
}

/// A site with proposals, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposalLine {
    /// The client.
    pub client: ClientId,
    /// The site.
    pub site: SiteId,
    /// When the last one came.
    pub sent_at: Timestamp,
    /// Things that wait for a person, suggestions left out.
    pub waiting: usize,
    /// Things that were taken and are not in the book yet.
    pub taken: usize,
    /// Things that were dismissed.
    pub dismissed: usize,
}

impl ProposalView {
    /// What was taken and is not in the book yet as a file for `git apply`, which passes over lines before a patch.
    pub fn taken_patch_with_head(&self) -> String {
        let Self { client, site, path, taken_patch, .. } = self;
        let what =
            if taken_patch.is_empty() { "nothing waits for the book" } else { "git apply FILE, in the book's folder" };
        format!("What was taken of proposals for {client}/{site}, {path}: {what}.\n\n{taken_patch}")
    }
}

impl Desk {
    /// Where the collector's own book lies, for all clones of this desk. Without it taking makes a patch.
    pub fn keeps_book_in(&self, beside: std::sync::Arc<dyn BookBeside>) {
        // Told once, when the data folder is opened.
        let _ = self.shared.beside.set(beside);
    }

    /// Sites for which something is proposed that the book in force does not have.
    pub async fn proposals(&self, scope: &Scope) -> Result<Vec<ProposalLine>, DeskError> {
        let (desk, scope) = (self.clone(), scope.clone());
        self.store
            .read("desk.proposals", move |tx| {
                let current = match desk.shared.books.current(tx) {
                    Ok(current) => current,
                    Err(DeskError::NoBook) => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                };
                let mut by_site: BTreeMap<(ClientId, SiteId), Vec<ProposalRow>> = BTreeMap::new();
                for row in tx.proposals(None)?.into_iter().filter(|row| scope.includes(&row.client)) {
                    by_site.entry((row.client.clone(), row.site.clone())).or_default().push(row);
                }
                let mut lines = Vec::new();
                for ((client, site), rows) in by_site {
                    // A site that the book has no more is nobody's to decide.
                    let Some(known) = current.book.site(&client, &site) else { continue };
                    let beside = Beside::of(known, &rows, tx.proposal_decisions(&client, &site)?)?;
                    let items = beside.items(tx)?;
                    let Counts { waiting, taken, dismissed } = Counts::of(&items);
                    lines.push(ProposalLine {
                        sent_at: rows.iter().map(|row| row.sent_at).max().unwrap_or_default(),
                        waiting,
                        taken,
                        dismissed,
                        client,
                        site,
                    });
                }
                Ok(lines)
            })
            .await
    }

    /// All that is proposed for a site, beside the book in force.
    pub async fn proposal(&self, scope: &Scope, client: &ClientId, site: &SiteId) -> Result<ProposalView, DeskError> {
        let (desk, scope, client, site) = (self.clone(), scope.clone(), client.clone(), site.clone());
        self.store
            .read("desk.proposal", move |tx| {
                let place = Place { client: &client, site: &site };
                if !scope.includes(&client) {
                    return Err(DeskError::NoSuchPlace(place.to_string()));
                }
                let current = desk.shared.books.current(tx)?;
                view(tx, &current, place, desk.way(&current))
            })
            .await
    }
}

/// How many things stand how, suggestions left out.
#[derive(Default)]
struct Counts {
    waiting: usize,
    taken: usize,
    dismissed: usize,
}

impl Counts {
    fn of(items: &[ItemView]) -> Self {
        let mut counts = Self::default();
        for item in items.iter().filter(|item| !item.is_suggestion) {
            *match item.standing {
                Standing::Waiting => &mut counts.waiting,
                Standing::Taken { .. } => &mut counts.taken,
                Standing::Dismissed { .. } => &mut counts.dismissed,
            } += 1;
        }
        counts
    }
}

/// A site by its names.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    client: &'a ClientId,
    site: &'a SiteId,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.client, self.site)
    }
}

impl Place<'_> {
    fn path(self) -> String {
        format!("clients/{}/sites/{}.toml", self.client, self.site)
    }

    fn of(self, current: &CurrentBook) -> Result<(&Site, &str), DeskError> {
        let site = current.book.site(self.client, self.site);
        let text = current.files.get(&self.path()).map(String::as_str);
        site.zip(text).ok_or_else(|| DeskError::NoSuchPlace(self.to_string()))
    }
}

/// What is proposed, held against a site and against what was decided.
struct Beside {
    items: Vec<Item>,
    watched: usize,
    decided: BTreeMap<String, DecisionRow>,
}

impl Beside {
    fn of(site: &Site, rows: &[ProposalRow], decided: Vec<DecisionRow>) -> Result<Self, DeskError> {
        let mut assets: Vec<ProposedAsset> = Vec::new();
        for row in rows {
            let read: Vec<ProposedAsset> =
                serde_json::from_str(&row.assets).map_err(|error| DeskError::unreadable("proposal", &error))?;
            assets.extend(read);
        }
        let looked = look(site, &assets);
        let decided = decided.into_iter().map(|row| (row.item.clone(), row)).collect();
        let mut beside = Self { items: looked.items, watched: looked.watched, decided };
        // Nothing hangs on what was dismissed, and it hangs on nothing.
        let mut gone: BTreeSet<AssetId> = BTreeSet::new();
        for item in &beside.items {
            if let Item::Asset(asset) = item
                && item.keys().iter().all(|key| beside.is_taken(key) == Some(false))
            {
                gone.insert(asset.asset.clone());
            }
        }
        beside.items.retain(|item| match item {
            Item::Edge { asset, edge } => !gone.contains(asset) && !gone.contains(&edge.to),
            Item::Asset(_) | Item::Checks { .. } => true,
        });
        Ok(beside)
    }

    fn is_taken(&self, key: &str) -> Option<bool> {
        self.decided.get(key).map(|row| row.is_taken)
    }

    /// The items with those of their checks of which this holds: decided how, `None` for not yet.
    fn standing(&self, fits: impl Fn(Option<bool>) -> bool) -> Vec<Item> {
        self.items.iter().filter_map(|item| item.narrowed(|key| fits(self.is_taken(key)))).collect()
    }

    fn items(&self, tx: &dyn ReadTx) -> Result<Vec<ItemView>, DeskError> {
        let mut views = Vec::new();
        for standing in [None, Some(true), Some(false)] {
            for item in self.standing(|decided| decided == standing) {
                let standing = match item.keys().first().and_then(|key| self.decided.get(key)) {
                    None => Standing::Waiting,
                    Some(DecisionRow { is_taken, decided_at, decided_by, .. }) => {
                        let (by, at) = (Actor::of(tx, decided_by)?.label(), *decided_at);
                        if *is_taken { Standing::Taken { by, at } } else { Standing::Dismissed { by, at } }
                    }
                };
                views.push(ItemView {
                    name: item.name(),
                    why: item.why(),
                    lines: item.lines(),
                    is_suggestion: item.is_suggestion(),
                    standing,
                });
            }
        }
        Ok(views)
    }

    /// The site's file with the checks of these keys. A suggestion whose other end is left out is left out too.
    fn file_with(&self, text: &str, site: &Site, keys: &BTreeSet<String>) -> Result<String, CannotWrite> {
        let mut taken: Vec<Item> =
            self.items.iter().filter_map(|item| item.narrowed(|key| keys.contains(key))).collect();
        loop {
            match written(text, site, &taken) {
                Err(CannotWrite::Needs { item, .. }) => taken.retain(|one| one.name() != item),
                other => return other,
            }
        }
    }

    fn keys(&self, fits: impl Fn(&Item, Option<bool>) -> bool) -> BTreeSet<String> {
        let of = |item: &Item| item.keys().into_iter().filter(|key| fits(item, self.is_taken(key))).collect::<Vec<_>>();
        self.items.iter().flat_map(of).collect()
    }
}

fn view(tx: &dyn ReadTx, current: &CurrentBook, place: Place<'_>, way: Way) -> Result<ProposalView, DeskError> {
    let (site, text) = place.of(current)?;
    let rows = tx.proposals(Some((place.client, place.site)))?;
    let beside = Beside::of(site, &rows, tx.proposal_decisions(place.client, place.site)?)?;
    let path = place.path();
    let patched = |keys: &BTreeSet<String>| match beside.file_with(text, site, keys) {
        Ok(after) => patch(&path, text, &after),
        // Said where somebody takes it.
        Err(_) => String::new(),
    };
    let taken_patch = patched(&beside.keys(|_, taken| taken == Some(true)));
    let open = beside.keys(|item, taken| taken == Some(true) || (taken.is_none() && !item.is_suggestion()));
    let mut senders = Vec::new();
    for ProposalRow { agent, sent_at, .. } in &rows {
        let host = tx.agent(agent)?.map(|row| row.host).unwrap_or_default();
        senders.push(Sender { agent: agent.clone(), host, sent_at: *sent_at });
    }
    Ok(ProposalView {
        client: place.client.clone(),
        site: place.site.clone(),
        patch: patched(&open),
        taken_patch,
        items: beside.items(tx)?,
        watched: beside.watched,
        path,
        senders,
        way,
    })
}
