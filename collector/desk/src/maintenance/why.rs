//! "Is work agreed now, and why": every window of the site with its reason to hold or not.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_agreement::maintenance::Upon;
use upheld_model::{AssetId, CheckId, ClientId, SiteId};
use upheld_store::{ReadTx, maintenance::MaintenanceRow};

use super::{Entered, MaintenanceError, Stretch};
use crate::{Actor, Desk, DeskError, Scope};

/// How far ahead the next stretch is looked for.
const AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Whether work on an asset is agreed at an instant, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyMaintenance {
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// Which asset.
    pub asset: AssetId,
    /// Which check of it, where one was asked for.
    pub check: Option<CheckId>,
    /// The instant.
    pub at: Timestamp,
    /// The zone in which the sentences are said, the site's.
    pub time_zone: String,
    /// Whether a window is in force.
    pub is_in_force: bool,
    /// Every window of the site, those in force first.
    pub windows: Vec<WhyWindow>,
    /// The answer for a person.
    pub text: String,
}

/// One window, and why it holds or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyWindow {
    /// `M-3`.
    pub window: String,
    /// Whether it is in force.
    pub is_in_force: bool,
    /// Whether it leaves availability: it is in force, and was entered before it began.
    pub is_agreed: bool,
    /// `once`, or the recurrence.
    pub rule: String,
    /// On what.
    pub upon: Upon,
    /// What is done.
    pub reason: Option<String>,
    /// `book` or `person`.
    pub origin: String,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// By whom.
    pub entered_by: String,
    /// The stretch that goes on or comes next.
    pub stretch: Option<(Timestamp, Timestamp)>,
    /// Why, in a sentence.
    pub because: String,
}

impl Desk {
    /// Whether work on an asset (or on one check of it) is agreed at `at`, and why. A site or asset that the book does
    /// not have, or that is not in scope, is refused by name.
    pub async fn why_maintenance(
        &self,
        scope: &Scope,
        (client, site): (&ClientId, &SiteId),
        asset: &AssetId,
        check: Option<&CheckId>,
        at: Timestamp,
    ) -> Result<WhyMaintenance, MaintenanceError> {
        let (scope, shared, check) = (scope.clone(), Arc::clone(&self.shared), check.cloned());
        let (client, site, asset) = (client.clone(), site.clone(), asset.clone());
        self.store
            .read("desk.why_maintenance", move |tx| {
                let book = shared.books.current(tx)?;
                let no_site = || MaintenanceError::NoSuchSite { client: client.clone(), site: site.clone() };
                let entry = book.book.site(&client, &site).filter(|_| scope.includes(&client)).ok_or_else(no_site)?;
                if !entry.assets.contains_key(&asset) {
                    let there = entry.assets.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    return Err(MaintenanceError::NoSuchPart { site, what: format!("asset {asset}"), there });
                }
                let zone = TimeZone::get(&entry.zone).unwrap_or(TimeZone::UTC);
                let asked = Asked { asset: &asset, check: check.as_ref(), at, zone: &zone };
                let mut windows = Vec::new();
                for row in tx.all_maintenance(Some(&client))?.iter().filter(|row| row.site == site) {
                    windows.push(asked.why(tx, row)?);
                }
                windows.sort_by_key(|window| !window.is_in_force);
                let time_zone = entry.zone.clone();
                let mut why = WhyMaintenance {
                    is_in_force: windows.iter().any(|window| window.is_in_force),
                    text: String::new(),
                    client,
                    site,
                    check,
                    asset,
                    at,
                    time_zone,
                    windows,
                };
                why.text = text(&why, &zone);
                Ok(why)
            })
            .await
    }
}

/// What was asked.
struct Asked<'a> {
    asset: &'a AssetId,
    check: Option<&'a CheckId>,
    at: Timestamp,
    zone: &'a TimeZone,
}

impl Asked<'_> {
    fn why(&self, tx: &dyn ReadTx, row: &MaintenanceRow) -> Result<WhyWindow, DeskError> {
        let entered = Entered::read(row)?;
        let ended_by = row.ended_by.as_ref().map(|by| Actor::of(tx, by)).transpose()?.map(|who| who.label());
        let until = self.at.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let stretch = entered.stretches(self.at, until)?.into_iter().next();
        let concerns = match self.check {
            Some(check) => entered.window.upon.check(check),
            None => entered.window.upon.asset(self.asset),
        };
        let holds = concerns && stretch.as_ref().is_some_and(|stretch| stretch.holds_at(self.at));
        let agreed = holds && stretch.as_ref().is_some_and(Stretch::is_agreed);
        let because = match &stretch {
            _ if !concerns => self.about_something_else(&entered.window.upon),
            Some(stretch) if holds => self.holding(stretch),
            Some(stretch) if stretch.entered_at > self.at => {
                format!("it was entered afterwards, {}", self.local(stretch.entered_at))
            }
            Some(stretch) => format!("it comes next {} to {}", self.local(stretch.from), self.local(stretch.to)),
            None => self.over(row, ended_by.as_deref()),
        };
        Ok(WhyWindow {
            window: format!("M-{}", row.number),
            is_in_force: holds,
            is_agreed: agreed,
            rule: entered.window.when.rule(),
            origin: row.origin.clone(),
            entered_at: row.entered_at,
            entered_by: entered.author(tx)?,
            stretch: stretch.map(|stretch| (stretch.from, stretch.to)),
            upon: entered.window.upon,
            reason: entered.window.reason,
            because,
        })
    }

    fn about_something_else(&self, upon: &Upon) -> String {
        match self.check {
            Some(check) => format!("it is about {upon}, not about check {check}"),
            None => format!("it is about {upon}, not about {} as a whole", self.asset),
        }
    }

    fn holding(&self, stretch: &Stretch) -> String {
        let lasts = format!("it lasts from {} to {}", self.local(stretch.from), self.local(stretch.to));
        if stretch.is_agreed() {
            lasts
        } else {
            format!("{lasts}; it was entered after it had begun, so it does not count for availability")
        }
    }

    fn over(&self, row: &MaintenanceRow, ended_by: Option<&str>) -> String {
        match (row.over_at, ended_by) {
            (Some(at), Some(who)) if row.origin == "book" => {
                format!("it is not in the book any more since {} ({who})", self.local(at))
            }
            (Some(at), Some(who)) => format!("{who} ended it {}", self.local(at)),
            (Some(at), None) => format!("it was over {}", self.local(at)),
            (None, _) => "it does not recur within a year".to_owned(),
        }
    }

    fn local(&self, at: Timestamp) -> String {
        local(at, self.zone)
    }
}

/// The answer, then a line for each window.
fn text(why: &WhyMaintenance, zone: &TimeZone) -> String {
    let WhyMaintenance { client, site, asset, check, at, windows, .. } = why;
    let what = check.as_ref().map_or_else(|| asset.to_string(), |check| format!("check {check}"));
    let answer = if why.is_in_force { "Work is agreed on" } else { "No work is agreed on" };
    let mut text = format!("{answer} {client}/{site}/{what} at {}.\n", local(*at, zone));
    if windows.is_empty() {
        text.push_str("  The site has no windows of work, and never had.\n");
    }
    for window in windows {
        let WhyWindow { window: name, rule, reason, entered_at, entered_by, origin, because, is_in_force, .. } = window;
        let stands = if *is_in_force { "is in force" } else { "is not in force" };
        let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let from = if origin == "book" { "with the book" } else { "by hand" };
        let entered = local(*entered_at, zone);
        text.push_str(&format!("  {name} {stands}: {because}.\n"));
        text.push_str(&format!("      {rule}{reason}; entered {entered} by {entered_by}, {from}.\n"));
    }
    text
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}
