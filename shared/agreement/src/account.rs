//! What an agreement came to over a period: did the client get what he pays for (TERMS 2, F8, F9, F13).
//!
//! [`account`] takes a book, a client, a period and what happened, and gives every figure with the version it was
//! counted under: the fee, targets kept and missed, availability, downtime, credits, labour. Statement, report and
//! what-if ask here and nowhere else (F9). It reads nothing, knows no time but `as_of`, and gives the same account
//! whatever the order in which the facts are handed over.
//!
//! Where the page leaves a choice:
//! - Several versions in one period: each stretch of time is counted under its own version, and the fee is pro rata by
//!   the second, rounded so that the parts of a month add up to the month.
//! - A target belongs to the version pinned to its incident, and to the period in which it was decided: a breach at
//!   its due (F6), else when it was satisfied or ended.
//! - A credit falls into the window (month, quarter, agreement year) in which its cause ended, and is owed in the
//!   period in which that window ends; the cap is one of each window. A share of the fee is of that window's: for
//!   availability of the stretch that was measured, for downtime and missed targets of the whole window at the price of
//!   the version that promised.
//! - Downtime of an event counts under the version in force when it began; downtime of a month, quarter or agreement
//!   year under the one in force when that ended.
//! - Work is charged by the version in force when it began; included hours are of a calendar month.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::{AssetClass, AssetId, ClientId, SiteId};

use crate::{
    availability::{AssetUptime, Measured, Sums, Unit, Verdict},
    book::{Agreement, Book, Client, CountsAs, Plan, Version},
    downtime::Downtime,
    money::{Currency, Money},
    outcome::{Kept, Outcome},
    rate::Work,
    ratio::Ratio,
    terms::LongestDowntime,
    words::Stage,
};

mod credits;
mod labour;
mod periods;
mod time;
mod why;
mod words;

pub use credits::{CreditLine, CreditWindow, Credits};
pub use labour::{Included, Labour, LabourRow, NoTariff, TariffOf, labour, tariff};
pub use periods::Stretch;

/// What happened at one client's, whichever book is asked about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Happened {
    /// Each asset's time.
    pub assets: Vec<AssetUptime>,
    /// Each incident's promises.
    pub targets: Vec<IncidentTargets>,
    /// Work that was done.
    pub work: Vec<WorkDone>,
}

/// How the promises of one incident came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentTargets {
    /// As people call it.
    pub incident: String,
    /// The version that promised, from 1.
    pub version: u32,
    /// One for each stage.
    pub outcomes: Vec<Outcome>,
    /// The same without what the client disputes; `None` while nothing is disputed.
    pub if_disputes_hold: Option<Vec<Outcome>>,
}

/// Work for an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkDone {
    /// As people call it.
    pub incident: String,
    /// The number of its fact in the incident's ledger.
    pub fact: u64,
    /// What was done.
    pub work: Work,
}

/// How windows that reach beyond the period are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// They are counted whole, and owed in the period in which they end: a statement.
    Whole,
    /// They are cut at the period and owed in it: what-if, whose two columns are cut alike.
    Cut,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Whose agreement.
    pub client: &'a ClientId,
    /// Over which period.
    pub period: Stretch,
    /// What is known as of when; what lies after it is not counted.
    pub as_of: Timestamp,
    /// What becomes of windows that reach beyond the period.
    pub windows: Windows,
}

/// The account of one agreement over one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub client: ClientId,
    /// What people call him.
    pub client_name: String,
    /// The agreement's number.
    pub agreement: String,
    /// In which money.
    pub currency: Currency,
    /// The zone in which its dates are read.
    pub zone: String,
    /// Over which period.
    pub period: Stretch,
    /// As of when.
    pub as_of: Timestamp,
    /// The versions in force within the period, each with its time and its fee.
    pub versions: Vec<VersionPart>,
    /// The fee of the period; `None` where a version says none, or not one of a month or year.
    pub fee: Option<Money>,
    /// Every promise that was decided in the period, and those that are open at its end.
    pub targets: Vec<TargetRow>,
    /// Every figure of availability.
    pub availability: Vec<AvailabilityRow>,
    /// Every downtime that has a limit.
    pub downtime: Vec<DowntimeRow>,
    /// Every covered asset's time; the parts of each sum to the period.
    pub time: Vec<AssetTime>,
    /// What is owed.
    pub credits: Credits,
    /// What work cost.
    pub labour: Labour,
}

/// A version's part of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPart {
    /// From 1.
    pub version: u32,
    /// The plan's name as the client reads it.
    pub plan: String,
    /// The riders' names.
    pub riders: Vec<String>,
    /// When, within the period.
    pub time: Stretch,
    /// What a month costs, riders included.
    pub monthly: Option<Money>,
    /// What this part costs.
    pub fee: Option<Money>,
}

/// One promise of one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRow {
    /// As people call it.
    pub incident: String,
    /// Which promise.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The version that promised.
    pub version: u32,
    /// How it came out if the client is right about what he disputes (F13); `None` while nothing is disputed.
    pub if_disputes_hold: Option<Kept>,
}

/// One figure of availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityRow {
    /// Of what.
    pub unit: Unit,
    /// The version under which it was counted.
    pub version: u32,
    /// The window of the objective.
    pub window: Stretch,
    /// The stretch that was measured: the window, as far as the version was in force and the time has passed.
    pub measured_over: Stretch,
    /// Whether the window is over and ended in this period: only then is a credit owed.
    pub is_final: bool,
    /// What is promised.
    pub objective: Ratio,
    /// The seconds.
    pub measured: Measured,
    /// How many of the window's counted seconds may be down before the objective cannot be kept: of those that were counted
    /// and those of coverage that are still to come.
    #[serde(default)]
    pub allowed_down_s: u64,
    /// What the figure says.
    pub verdict: Verdict,
    /// What it would say if the client is right about what he disputes.
    pub verdict_if_disputes_hold: Option<Verdict>,
    /// How unknown counts in the formula (F8).
    pub unknown: CountsAs,
    /// How degraded counts.
    pub degraded: CountsAs,
    /// More unknown than this proves nothing.
    pub not_proven_above: Option<Ratio>,
}

/// One downtime beside its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DowntimeRow {
    /// Where.
    pub site: SiteId,
    /// Which asset.
    pub asset: AssetId,
    /// The version under which it is judged.
    pub version: u32,
    /// The longest that is promised.
    pub limit: LongestDowntime,
    /// Where the limit is written: `asset_terms`, or `credit 2` of the plan.
    pub source: String,
    /// How long it was.
    pub downtime: Downtime,
    /// By how many seconds the limit was passed.
    pub over_s: Option<u64>,
    /// The seconds if the client is right about what he disputes; `None` while nothing is disputed.
    pub seconds_if_disputes_hold: Option<u64>,
    /// Whether it is over and ended in this period: only then is a credit owed.
    pub is_final: bool,
}

/// One asset's time within the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetTime {
    /// Where.
    pub site: SiteId,
    /// Which.
    pub asset: AssetId,
    /// What it is.
    pub class: AssetClass,
    /// The seconds; what has not passed yet is left out.
    #[serde(flatten)]
    pub sums: Sums,
    /// When it was down.
    pub down: Vec<Stretch>,
    /// What its downtime cost the client, where the agreement says what an hour costs him.
    pub cost_of_downtime: Option<Money>,
}

/// Why there is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// The client is not in the book, or has no agreement.
    #[error("`{client}` has no agreement")]
    NoAgreement {
        /// The client.
        client: ClientId,
    },
    /// No version is in force within the period.
    #[error("no version of {agreement} is in force from {from} until {to}")]
    NotInForce {
        /// The agreement.
        agreement: String,
        /// The period's beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// The period ends before it begins, or has no length.
    #[error("the period ends at {to}, not after it begins at {from}")]
    NoPeriod {
        /// The period's beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// A part of the book cannot be used that `book check` would have refused.
    #[error("the book cannot be used: {why}; run `upheld-collector book check DIR`")]
    Damaged {
        /// Why not.
        why: String,
    },
}

/// The account of a client's agreement over a period.
pub fn account(book: &Book, question: Question<'_>, happened: &Happened) -> Result<Account, NoAccount> {
    let terms = Terms::of(book, question)?;
    let versions = terms.parts();
    let availability = time::availability(&terms, happened)?;
    let downtime = time::downtime(&terms, happened);
    let targets = terms.targets(happened);
    let credits = credits::credits(&terms, happened, &availability, &downtime, &targets);
    let fee = sum(versions.iter().map(|part| part.fee));
    Ok(Account {
        client: terms.client.id.clone(),
        client_name: terms.client.name.clone(),
        agreement: terms.agreement.number.clone(),
        currency: book.provider.currency,
        zone: book.provider.zone.clone(),
        period: question.period,
        as_of: question.as_of,
        versions,
        fee,
        targets,
        availability,
        downtime,
        time: time::of_assets(&terms, happened),
        credits,
        labour: labour(book, question.client, question.period, &happened.work),
    })
}

/// The stretch of facts that an account of this period needs: windows are counted whole, and an event may have begun
/// before them.
pub fn needed(book: &Book, question: Question<'_>) -> Result<Stretch, NoAccount> {
    let terms = Terms::of(book, question)?;
    let year = terms.windows(crate::terms::DowntimePer::AgreementYear, question.period);
    let quarter = terms.windows(crate::terms::DowntimePer::Quarter, question.period);
    let all = || year.iter().chain(&quarter).chain([&question.period]);
    let from = all().map(|window| window.from).min().unwrap_or(question.period.from);
    let to = all().map(|window| window.to).max().unwrap_or(question.period.to);
    // The longest event that is still counted whole across the edge of a year.
    let from = from.saturating_sub(jiff::SignedDuration::from_hours(24 * 92)).unwrap_or(from);
    Ok(Stretch { from, to: to.min(question.as_of).max(from) })
}

/// The parts of the book that hold for one question.
struct Terms<'a> {
    book: &'a Book,
    client: &'a Client,
    agreement: &'a Agreement,
    question: Question<'a>,
    zone: TimeZone,
}

impl<'a> Terms<'a> {
    fn of(book: &'a Book, question: Question<'a>) -> Result<Self, NoAccount> {
        let Stretch { from, to } = question.period;
        if to <= from {
            return Err(NoAccount::NoPeriod { from, to });
        }
        let none = || NoAccount::NoAgreement { client: question.client.clone() };
        let client = book.client(question.client).ok_or_else(none)?;
        let agreement = client.agreement.as_ref().ok_or_else(none)?;
        let damaged = |error: jiff::Error| NoAccount::Damaged { why: error.to_string() };
        let zone = TimeZone::get(&book.provider.zone).map_err(damaged)?;
        let terms = Self { book, client, agreement, question, zone };
        if terms.in_force(question.period).next().is_none() {
            let agreement = agreement.number.clone();
            return Err(NoAccount::NotInForce { agreement, from, to });
        }
        Ok(terms)
    }

    /// The versions in force within a stretch, each with its part of it.
    fn in_force(&self, stretch: Stretch) -> impl Iterator<Item = (&'a Version, Stretch)> {
        let ended = self.client.ended.and_then(|date| date.to_zoned(self.zone.clone()).ok()).map(|at| at.timestamp());
        let agreement = self.agreement;
        agreement.versions.iter().filter_map(move |version| {
            let ends = [agreement.ends(version), ended].into_iter().flatten().min().unwrap_or(Timestamp::MAX);
            Some((version, stretch.cut(Stretch { from: version.from, to: ends })?))
        })
    }

    /// The version of a number.
    fn version(&self, number: u32) -> Option<&'a Version> {
        self.agreement.versions.iter().find(|version| version.number == number)
    }

    fn plan(&self, version: &Version) -> Option<&'a Plan> {
        self.book.plans.get(&version.plan.value)
    }

    /// Whether a version covers an asset.
    fn covers(&self, version: &Version, site: &SiteId, asset: &AssetId) -> bool {
        let is_named = version.sites.iter().any(|named| named.value == *site);
        let is_left_out = version.not_covered.iter().any(|path| path.site == *site && path.asset == *asset);
        is_named && !is_left_out
    }

    fn parts(&self) -> Vec<VersionPart> {
        let part = |(version, time): (&Version, Stretch)| {
            let riders = version.riders.iter().map(|rider| {
                self.book.riders.get(&rider.value).map_or_else(|| rider.value.to_string(), |known| known.name.clone())
            });
            VersionPart {
                version: version.number,
                plan: self.plan(version).map_or_else(|| version.plan.value.to_string(), |plan| plan.name.clone()),
                riders: riders.collect(),
                time,
                monthly: self.monthly(version),
                fee: self.fee(version, time),
            }
        };
        self.in_force(self.question.period).map(part).collect()
    }

    fn targets(&self, happened: &Happened) -> Vec<TargetRow> {
        let Question { period, as_of, .. } = self.question;
        let mut rows: Vec<TargetRow> = Vec::new();
        for incident in &happened.targets {
            for outcome in &incident.outcomes {
                let is_here = match outcome.decided_at {
                    Some(at) => period.holds(at),
                    None => period.holds(as_of) || (as_of == period.to),
                };
                let disputed = incident.if_disputes_hold.as_ref().and_then(|outcomes| {
                    let mut same = outcomes.iter().filter(|other| other.stage == outcome.stage);
                    let last = same.clone().next_back();
                    same.find(|other| other.round == outcome.round).or(last).map(|other| other.kept)
                });
                if is_here {
                    rows.push(TargetRow {
                        incident: incident.incident.clone(),
                        outcome: *outcome,
                        version: incident.version,
                        if_disputes_hold: disputed,
                    });
                }
            }
        }
        rows.sort_by(|a, b| {
            let key = |row: &TargetRow| (row.outcome.stage, row.outcome.decided_at, row.incident.clone());
            key(a).cmp(&key(b))
        });
        rows
    }
}

/// A sum of money; `None` where a part is not known, or does not fit.
fn sum(parts: impl Iterator<Item = Option<Money>>) -> Option<Money> {
    let mut sum: Option<Money> = None;
    for part in parts {
        let part = part?;
        let minor = sum.map_or(0, |sum| sum.minor).checked_add(part.minor)?;
        sum = Some(Money { minor, currency: part.currency });
    }
    sum
}

impl Account {
    /// How often each stage came out how.
    pub fn kept(&self) -> BTreeMap<Stage, BTreeMap<Kept, u64>> {
        let mut kept: BTreeMap<Stage, BTreeMap<Kept, u64>> = BTreeMap::new();
        for row in &self.targets {
            *kept.entry(row.outcome.stage).or_default().entry(row.outcome.kept).or_default() += 1;
        }
        kept
    }
}
