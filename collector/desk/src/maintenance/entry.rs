//! What is entered and ended: the book's windows when a book is applied, people's by their own hand.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_agreement::{
    book::Book,
    maintenance::{LASTS_MAX_S, Upon, When, Window},
};
use upheld_model::{AssetId, CheckId, ClientId, SiteId};
use upheld_store::{ReadTx, StoreError, Tx, maintenance::MaintenanceRow};

use super::{Entered, over_at};
use crate::{Actor, Desk, DeskError, Scope, audit, case::text, clock, commands::words};

const BOOK: &str = "book";
const PERSON: &str = "person";

/// A window as a person enters it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWindow {
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// On which assets; with `checks` empty too, on the whole site.
    pub assets: Vec<AssetId>,
    /// On which single checks.
    pub checks: Vec<CheckId>,
    /// From when.
    pub from: Timestamp,
    /// For so many seconds.
    pub for_s: u64,
    /// What is done.
    pub reason: String,
}

/// Why a window was not entered or ended. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MaintenanceError {
    /// No such client or site, or not in scope.
    #[error("there is no site {client}/{site} in the book")]
    NoSuchSite {
        /// The client.
        client: ClientId,
        /// The site.
        site: SiteId,
    },
    /// The site has no such asset or check.
    #[error("{site} has no {what}; it has {there}")]
    NoSuchPart {
        /// The site.
        site: SiteId,
        /// What it lacks: `asset srv-9`, `check srv-1/net.tpc`.
        what: String,
        /// What it has.
        there: String,
    },
    /// No such window, or not in scope.
    #[error("there is no window {client}/M-{number}")]
    NoSuchWindow {
        /// The client.
        client: ClientId,
        /// The number.
        number: u64,
    },
    /// It lasts too long, or not at all.
    #[error("a window of work lasts from one second to 31 days, not {for_s} s")]
    Lasts {
        /// What was asked.
        for_s: u64,
    },
    /// Nobody says what is done.
    #[error("a window of work needs a reason: the client reads it")]
    NoReason,
    /// It is over, or somebody ended it before.
    #[error("M-{number} is over already")]
    Over {
        /// The number.
        number: u64,
    },
    /// The book's windows are ended in the book.
    #[error("M-{number} stands in the book: take it out of clients/{client}/sites/{site}.toml and apply the book")]
    OfTheBook {
        /// The number.
        number: u64,
        /// The client.
        client: ClientId,
        /// The site.
        site: SiteId,
    },
    /// Looking up or storing failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StoreError> for MaintenanceError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// A window as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// Whose.
    pub client: ClientId,
    /// `M-3`.
    pub window: String,
    /// Where.
    pub site: SiteId,
    /// On what.
    pub upon: Upon,
    /// When.
    pub when: When,
    /// What is done.
    pub reason: Option<String>,
    /// Who brought it: `book` or `person`.
    pub origin: String,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// By whom.
    pub entered_by: String,
    /// Whether work is known to go on.
    pub is_in_force: bool,
    /// The stretch that goes on or comes next, looked for a year ahead.
    pub next: Option<(Timestamp, Timestamp)>,
    /// When it was over, by itself or because somebody ended it.
    pub over_at: Option<Timestamp>,
    /// Who ended it.
    pub ended_by: Option<String>,
}

impl Desk {
    /// Enters a window. One that has begun already is entered all the same, and does not count for availability.
    pub async fn add_maintenance(
        &self,
        new: NewWindow,
        who: &Actor,
        now: Timestamp,
    ) -> Result<WindowView, MaintenanceError> {
        let now = clock::stored(now);
        let reason = words(&new.reason);
        if reason.is_empty() {
            return Err(MaintenanceError::NoReason);
        }
        if !(1..=LASTS_MAX_S).contains(&new.for_s) {
            return Err(MaintenanceError::Lasts { for_s: new.for_s });
        }
        let (who, shared) = (who.clone(), Arc::clone(&self.shared));
        let view = self
            .store
            .write("desk.add_maintenance", move |tx| {
                let book = shared.books.current(&*tx)?;
                let upon = upon(&book.book, &new)?;
                let when = When::Once { from: clock::stored(new.from), for_s: new.for_s };
                let window = Window { upon, when, reason: Some(reason) };
                let row = enter(tx, &new.client, &new.site, PERSON, &window, &who, now)?;
                let detail = json!({ "window": row.number, "site": new.site, "is": window });
                audit::note(tx, now, &who, Some(&new.client), "maintenance.entered", &detail)?;
                Ok::<_, MaintenanceError>(view(&*tx, &row, now)?)
            })
            .await?;
        self.shared.wake.all();
        Ok(view)
    }

    /// Ends a window that a person entered: it holds until this moment.
    pub async fn end_maintenance(
        &self,
        client: &ClientId,
        number: u64,
        who: &Actor,
        now: Timestamp,
    ) -> Result<WindowView, MaintenanceError> {
        let now = clock::stored(now);
        let (client, who) = (client.clone(), who.clone());
        let view = self
            .store
            .write("desk.end_maintenance", move |tx| {
                let none = || MaintenanceError::NoSuchWindow { client: client.clone(), number };
                let row = tx.maintenance(&client, number)?.ok_or_else(none)?;
                if row.origin == BOOK {
                    let site = row.site;
                    return Err(MaintenanceError::OfTheBook { number, client, site });
                }
                let by = who.id(tx)?;
                if !tx.end_maintenance(&client, number, now, &by)? {
                    return Err(MaintenanceError::Over { number });
                }
                audit::note(tx, now, &who, Some(&client), "maintenance.ended", &json!({ "window": number }))?;
                let row = tx.maintenance(&client, number)?.ok_or_else(none)?;
                Ok(view(&*tx, &row, now)?)
            })
            .await?;
        self.shared.wake.all();
        Ok(view)
    }

    /// The windows in scope, by client and number.
    pub async fn maintenance(&self, scope: &Scope, now: Timestamp) -> Result<Vec<WindowView>, DeskError> {
        let scope = scope.clone();
        self.store
            .read("desk.maintenance", move |tx| {
                tx.all_maintenance(scope.client())?.iter().map(|row| view(tx, row, now)).collect()
            })
            .await
    }
}

/// Enters the windows that a book has and its predecessor had not, and ends those that it has no more. Called in the
/// transaction that applies the book, and once more when a run begins: the same book again changes nothing.
pub(crate) fn follow_book(tx: &mut dyn Tx, book: &Book, who: &Actor, at: Timestamp) -> Result<(), DeskError> {
    for (client, entry) in &book.clients {
        let standing: Vec<MaintenanceRow> = tx.all_maintenance(Some(client))?;
        let mut standing: Vec<_> =
            standing.into_iter().filter(|row| row.origin == BOOK && row.ended_by.is_none()).collect();
        for site in entry.sites.values() {
            for window in site.maintenance.iter().map(|window| window.window(&site.zone)) {
                let body = text("maintenance window", &window)?;
                // The same text twice in one file is two windows that say the same: one is enough.
                let known = standing.iter().position(|row| row.site == site.id && row.body == body);
                match known {
                    Some(known) => drop(standing.remove(known)),
                    None => drop(enter(tx, client, &site.id, BOOK, &window, who, at)?),
                }
            }
        }
        let by = who.id(tx)?;
        for gone in standing {
            tx.end_maintenance(client, gone.number, at, &by)?;
        }
    }
    Ok(())
}

fn enter(
    tx: &mut dyn Tx,
    client: &ClientId,
    site: &SiteId,
    origin: &str,
    window: &Window,
    who: &Actor,
    now: Timestamp,
) -> Result<MaintenanceRow, DeskError> {
    let mut row = MaintenanceRow {
        client: client.clone(),
        number: 0,
        site: site.clone(),
        origin: origin.to_owned(),
        body: text("maintenance window", window)?,
        entered_at: now,
        entered_by: who.id(tx)?,
        over_at: over_at(window),
        ended_by: None,
    };
    row.number = tx.insert_maintenance(&row)?;
    Ok(row)
}

/// What the window is about, if all of it is there.
fn upon(book: &Book, new: &NewWindow) -> Result<Upon, MaintenanceError> {
    let no_site = || MaintenanceError::NoSuchSite { client: new.client.clone(), site: new.site.clone() };
    let site = book.site(&new.client, &new.site).ok_or_else(no_site)?;
    let lacks = |what: String, there: Vec<String>| {
        Err(MaintenanceError::NoSuchPart { site: new.site.clone(), what, there: there.join(", ") })
    };
    if let Some(asset) = new.assets.iter().find(|asset| !site.assets.contains_key(*asset)) {
        return lacks(format!("asset {asset}"), site.assets.keys().map(ToString::to_string).collect());
    }
    let checks = site.check_ids();
    if let Some(check) = new.checks.iter().find(|check| !checks.contains(check)) {
        return lacks(format!("check {check}"), checks.iter().map(ToString::to_string).collect());
    }
    if new.assets.is_empty() && new.checks.is_empty() {
        return Ok(Upon::Site);
    }
    Ok(Upon::Parts { assets: new.assets.clone(), checks: new.checks.clone() })
}

fn view(tx: &dyn ReadTx, row: &MaintenanceRow, now: Timestamp) -> Result<WindowView, DeskError> {
    let entered = Entered::read(row)?;
    let year = jiff::SignedDuration::from_hours(366 * 24);
    let ahead = entered.stretches(now, now.saturating_add(year).unwrap_or(Timestamp::MAX))?;
    Ok(WindowView {
        client: row.client.clone(),
        window: format!("M-{}", row.number),
        site: row.site.clone(),
        origin: row.origin.clone(),
        entered_at: row.entered_at,
        entered_by: entered.author(tx)?,
        is_in_force: ahead.iter().any(|stretch| stretch.holds_at(now)),
        next: ahead.first().map(|stretch| (stretch.from, stretch.to)),
        over_at: row.over_at.filter(|over| *over <= now),
        ended_by: row.ended_by.as_ref().map(|by| Actor::of(tx, by).map(|who| who.label())).transpose()?,
        upon: entered.window.upon,
        when: entered.window.when,
        reason: entered.window.reason,
    })
}
