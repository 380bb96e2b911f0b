//! Agreed windows of work: entered from the book when it is applied and by people on the command line, each with the
//! instant at which it was entered (EVIDENCE: a window that is entered after it began does not count).
//!
//! [`stretches`] is the one answer to "was there work": which stretches touch a period, on what, and whether each was
//! entered before it began. Measurement goes on inside a window; what it hides is the asker's matter. Nothing is
//! rewritten: a window that the book no longer has, or that a person ends, holds until that instant. Where to look
//! next: [`entry`] for what people and book enter, [`why`] for "is one in force now".

mod entry;
mod why;

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::maintenance::{Upon, When, Window};
use upheld_model::{AssetId, CheckId, ClientId, SiteId};
use upheld_store::{ReadTx, maintenance::MaintenanceRow};

use crate::{Actor, DeskError};

pub(crate) use entry::follow_book;
pub use entry::{MaintenanceError, NewWindow, WindowView};
pub use why::{WhyMaintenance, WhyWindow};

/// One stretch of agreed work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The window's number among the client's: `M-3`.
    pub number: u64,
    /// On what.
    pub upon: Upon,
    /// From when.
    pub from: Timestamp,
    /// Until when; where somebody ended the window, until then.
    pub to: Timestamp,
    /// When the window was entered; for one of the book, when the version that first had it was applied.
    pub entered_at: Timestamp,
}

impl Stretch {
    /// Whether it was entered before it began: only then it is agreed, and leaves availability.
    pub fn is_agreed(&self) -> bool {
        self.entered_at <= self.from
    }

    /// Whether work is known to go on at an instant: nobody knew of it before it was entered.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from.max(self.entered_at) <= at && at < self.to
    }
}

/// The stretches of a site's windows that touch `[from, to)`, by begin; ask `upon` which asset or check they concern.
pub fn stretches(
    tx: &dyn ReadTx,
    client: &ClientId,
    site: &SiteId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Stretch>, DeskError> {
    let mut stretches = Vec::new();
    for row in tx.maintenance_of_site(client, site, from)? {
        stretches.extend(Entered::read(&row)?.stretches(from, to)?);
    }
    stretches.sort_by_key(|stretch| (stretch.from, stretch.number));
    Ok(stretches)
}

/// The stretches of work on one asset that touch `[from, to)`, by begin: those of the site and of the asset, not those
/// of a single check of it.
pub fn stretches_of_asset(
    tx: &dyn ReadTx,
    client: &ClientId,
    site: &SiteId,
    asset: &AssetId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Stretch>, DeskError> {
    let all = stretches(tx, client, site, from, to)?;
    Ok(all.into_iter().filter(|stretch| stretch.upon.asset(asset)).collect())
}

/// Whether work on a check is known to go on at an instant, and by which window.
pub fn in_force(
    tx: &dyn ReadTx,
    client: &ClientId,
    site: &SiteId,
    check: &CheckId,
    at: Timestamp,
) -> Result<Option<Stretch>, DeskError> {
    let end = at.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(at);
    let all = stretches(tx, client, site, at, end)?;
    Ok(all.into_iter().find(|stretch| stretch.upon.check(check) && stretch.holds_at(at)))
}

/// A row and what it says.
struct Entered<'a> {
    row: &'a MaintenanceRow,
    window: Window,
}

impl<'a> Entered<'a> {
    fn read(row: &'a MaintenanceRow) -> Result<Self, DeskError> {
        let window =
            serde_json::from_str(&row.body).map_err(|error| DeskError::unreadable("maintenance window", &error))?;
        Ok(Self { row, window })
    }

    /// Its stretches in a period, cut where somebody ended it; one that was over before the window was entered is none.
    fn stretches(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Stretch>, DeskError> {
        let all = self.window.when.stretches(from, to);
        let all = all.map_err(|error| DeskError::unreadable("maintenance window", &error))?;
        let ended_at = self.row.ended_by.as_ref().and(self.row.over_at);
        let cut = all.into_iter().map(|(begin, end)| (begin, ended_at.map_or(end, |ended| end.min(ended))));
        let holding = cut.filter(|(begin, end)| begin < end && from < *end && self.row.entered_at < *end);
        Ok(holding
            .map(|(begin, end)| Stretch {
                number: self.row.number,
                upon: self.window.upon.clone(),
                from: begin,
                to: end,
                entered_at: self.row.entered_at,
            })
            .collect())
    }

    fn author(&self, tx: &dyn ReadTx) -> Result<String, DeskError> {
        Ok(Actor::of(tx, &self.row.entered_by)?.label())
    }
}

/// The end of a single window; a recurrence has none.
fn over_at(window: &Window) -> Option<Timestamp> {
    match &window.when {
        When::Once { from, for_s } => {
            let lasts = jiff::SignedDuration::from_secs(i64::try_from(*for_s).unwrap_or(i64::MAX));
            Some(from.saturating_add(lasts).unwrap_or(Timestamp::MAX))
        }
        When::Recurring { .. } => None,
    }
}
