//! What a client gets for his fee, on one page: this month's account, the days behind it, and what is open (UX 2.4).
//! Every number is the statement's or comes from the same facts.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::Serialize;
use upheld_agreement::{
    account::{Account, NoAccount, Question, Stretch, Windows, account, needed},
    availability::AssetUptime,
    clock::FactKind,
};
use upheld_model::{AssetClass, AssetId, ClientId, IncidentRef, SiteId};
use upheld_store::ReadTx;

use super::{QueueRow, Scope, queue};
use crate::{
    Actor, Desk, DeskError,
    book::CurrentBook,
    case::{Case, promise::Promise},
    commands,
    figures::{happened, uptime_of_client},
};

/// How many days the bars go back: a quarter and the day that is not over.
pub const DAYS: i64 = 92;

/// One client's page as of an instant.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// As of when.
    pub as_of: Timestamp,
    /// Whose.
    pub client: ClientId,
    /// What people call him.
    pub client_name: String,
    /// The zone in which its days and times are read: the provider's, as on statements.
    pub time_zone: String,
    /// The calendar month that is counted.
    pub month: Stretch,
    /// The month's account so far; `None` where no version of an agreement is in force in it.
    pub account: Option<Account>,
    /// Why there is none.
    pub no_account: Option<String>,
    /// Each asset's days, the oldest first.
    pub systems: Vec<SystemDays>,
    /// What is open, by the time left.
    pub open: Vec<QueueRow>,
    /// The pauses of what is open that the client can still say are not so (F13).
    pub pauses: Vec<PauseToDispute>,
}

/// A pause that the client can dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseToDispute {
    /// Of which incident.
    pub incident: IncidentRef,
    /// Its title.
    pub title: String,
    /// The number of the fact.
    pub item: u64,
    /// The reason, by the agreement's name.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Who said so.
    pub by: String,
    /// What he wrote.
    pub note: Option<String>,
}

/// One asset's last days.
#[derive(Debug, Clone, Serialize)]
pub struct SystemDays {
    /// Where.
    pub site: SiteId,
    /// What people call that.
    pub site_name: String,
    /// Which.
    pub asset: AssetId,
    /// What it is.
    pub class: AssetClass,
    /// Each day, the oldest first; the last is not over.
    pub days: Vec<Day>,
}

/// One asset's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Which, in the page's zone.
    pub date: Date,
    /// Seconds in which it worked, in part or wholly.
    pub up_s: u64,
    /// Seconds in which it did not.
    pub down_s: u64,
    /// Seconds of which nobody knows.
    pub unknown_s: u64,
    /// Seconds of announced work upon it.
    pub work_s: u64,
}

/// A client in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientLine {
    /// Who.
    pub client: ClientId,
    /// What people call him.
    pub name: String,
    /// The plan in force, as he reads it.
    pub plan: Option<String>,
    /// How many sites he has.
    pub sites: usize,
    /// How many of his assets are watched.
    pub assets: usize,
    /// How many incidents are open.
    pub open: usize,
    /// How many of those have a clock that has run out.
    pub overdue: usize,
}

impl Desk {
    /// One client's page. Another client's is as one that does not exist.
    pub async fn overview(&self, scope: &Scope, client: &ClientId, now: Timestamp) -> Result<Overview, DeskError> {
        self.note_denied(scope, client, serde_json::json!(client), &Actor::Collector, now).await?;
        let (scope, client, shared) = (scope.clone(), client.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.overview", move |tx| {
                let book = shared.books.current(tx)?;
                let is_theirs = scope.includes(&client) && book.book.client(&client).is_some();
                if !is_theirs {
                    return Err(DeskError::NoSuchPlace(client.to_string()));
                }
                overview(tx, &book, &client, now)
            })
            .await
    }

    /// Every client in scope, those with something overdue first.
    pub async fn clients(&self, scope: &Scope, now: Timestamp) -> Result<Vec<ClientLine>, DeskError> {
        let (scope, shared) = (scope.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.clients", move |tx| {
                let book = shared.books.current(tx)?;
                let queue = queue::queue(tx, &book, &scope, now)?;
                let mut open: BTreeMap<&ClientId, (usize, usize)> = BTreeMap::new();
                for row in queue.rows.iter().filter(|row| !row.is_drill) {
                    let counts = open.entry(&row.incident.client).or_default();
                    counts.0 += 1;
                    counts.1 += usize::from(row.group == super::QueueGroup::Overdue);
                }
                let clients = book.book.clients.values().filter(|client| scope.includes(&client.id));
                let mut lines: Vec<ClientLine> = clients
                    .map(|client| {
                        let version = client.agreement.as_ref().and_then(|agreement| agreement.in_force(now).next());
                        let plan = version.and_then(|version| book.book.plans.get(&version.plan.value));
                        let assets = client.sites.values().flat_map(|site| site.assets.values());
                        let (open, overdue) = open.get(&client.id).copied().unwrap_or_default();
                        ClientLine {
                            client: client.id.clone(),
                            name: client.name.clone(),
                            plan: plan.map(|plan| plan.name.clone()),
                            sites: client.sites.len(),
                            assets: assets.filter(|asset| !asset.checks.is_empty()).count(),
                            open,
                            overdue,
                        }
                    })
                    .collect();
                lines.sort_by_key(|line| {
                    (std::cmp::Reverse(line.overdue), std::cmp::Reverse(line.open), line.name.clone())
                });
                Ok(lines)
            })
            .await
    }
}

fn overview(tx: &dyn ReadTx, book: &CurrentBook, client: &ClientId, now: Timestamp) -> Result<Overview, DeskError> {
    let known = book.book.client(client).ok_or_else(|| DeskError::NoSuchPlace(client.to_string()))?;
    let zone = TimeZone::get(&book.book.provider.zone).unwrap_or(TimeZone::UTC);
    let today = zone.to_datetime(now).date();
    let month = month_of(today, &zone, now);
    let question = Question { client, period: month, as_of: now, windows: Windows::Whole };
    let counted = needed(&book.book, question).map(|needed| happened(tx, book, client, needed, now));
    let counted = match counted {
        Ok(happened) => account(&book.book, question, &happened?),
        Err(why) => Err(why),
    };
    let (account, no_account) = match counted {
        Ok(account) => (Some(account), None),
        Err(why @ (NoAccount::NoAgreement { .. } | NoAccount::NotInForce { .. })) => (None, Some(why.to_string())),
        Err(why @ (NoAccount::NoPeriod { .. } | NoAccount::Damaged { .. })) => {
            return Err(DeskError::unreadable("agreement", &why));
        }
    };
    let first = today.saturating_sub((DAYS - 1).days());
    let midnights: Vec<(Date, Timestamp)> = (0..=DAYS)
        .map(|day| {
            let date = first.saturating_add(day.days());
            (date, date.to_zoned(zone.clone()).map_or(now, |zoned| zoned.timestamp()))
        })
        .collect();
    let quarter = Stretch { from: midnights.first().map_or(now, |(_, at)| *at), to: now };
    let systems = uptime_of_client(tx, book, client, quarter, now)?;
    Ok(Overview {
        as_of: now,
        client: client.clone(),
        client_name: known.name.clone(),
        time_zone: book.book.provider.zone.clone(),
        month,
        account,
        no_account,
        systems: systems
            .iter()
            .map(|system| SystemDays {
                site: system.site.clone(),
                site_name: known
                    .sites
                    .get(&system.site)
                    .map_or_else(|| system.site.to_string(), |site| site.name.clone()),
                asset: system.asset.clone(),
                class: system.class,
                days: midnights.windows(2).map(|pair| day(system, pair[0], pair[1].1.min(now))).collect(),
            })
            .collect(),
        open: queue::queue(tx, book, &Scope::Client(client.clone()), now)?
            .rows
            .into_iter()
            .filter(|row| !row.is_drill)
            .collect(),
        pauses: pauses(tx, client, now)?,
    })
}

/// The pauses of a client's open incidents that are neither disputed nor too old for it.
fn pauses(tx: &dyn ReadTx, client: &ClientId, now: Timestamp) -> Result<Vec<PauseToDispute>, DeskError> {
    let mut pauses = Vec::new();
    for row in tx.open_incidents(Some(client))? {
        let case = Case::open(tx, row)?;
        let Promise::Pinned(pinned) = &case.promise else { continue };
        let Some(within_s) = commands::standing(&case, pinned).dispute_within_s else { continue };
        for fact in commands::disputable(&case) {
            let age_s = now.duration_since(fact.recorded_at).as_secs().max(0).unsigned_abs();
            let FactKind::Paused { reason, note } = fact.kind else { continue };
            if age_s <= within_s {
                pauses.push(PauseToDispute {
                    incident: case.reference(),
                    title: case.incident.title.clone(),
                    item: fact.number,
                    reason: reason.to_string(),
                    since: fact.effective_at,
                    by: fact.who,
                    note,
                });
            }
        }
    }
    Ok(pauses)
}

fn month_of(today: Date, zone: &TimeZone, now: Timestamp) -> Stretch {
    let at = |date: Date| date.to_zoned(zone.clone()).map_or(now, |zoned| zoned.timestamp());
    let first = today.first_of_month();
    Stretch { from: at(first), to: at(first.saturating_add(1.month())) }
}

fn day(system: &AssetUptime, (date, from): (Date, Timestamp), to: Timestamp) -> Day {
    let sums = system.timeline.sums(from, to);
    let work = system.maintenance.iter().map(|work| {
        let (from, to) = (work.from.max(from), work.to.min(to));
        u64::try_from(from.duration_until(to).max(SignedDuration::ZERO).as_secs()).unwrap_or(0)
    });
    Day {
        date,
        up_s: sums.up_s + sums.degraded_s,
        down_s: sums.down_s,
        unknown_s: sums.unknown_s(),
        work_s: work.sum(),
    }
}
