//! What work cost over a period: entry by entry, under the version in force when it began.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::ClientId;

use super::{Question, Stretch, Terms, Windows, WorkDone};
use crate::{
    bands::Bands,
    book::{Book, Plan, Rate},
    calendar::Calendar,
    money::{Currency, Money},
    rate::{Line, LineFor, Tariff, Work},
    terms::DowntimePer,
    words::Manner,
};

/// What work cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labour {
    /// Entry by entry, in the order in which the work began.
    pub rows: Vec<LabourRow>,
    /// By band and manner, in the order of their names; travel has no manner.
    pub by_band: Vec<BandSum>,
    /// The sum of what has a price.
    pub total: Money,
    /// The included hours of each month, where the plan gives any.
    pub included: Vec<Included>,
    /// How many entries have no price.
    pub not_priced: u64,
}

/// One entry of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabourRow {
    /// For which incident.
    pub incident: String,
    /// The number of its fact in the incident's ledger.
    pub fact: u64,
    /// What was done.
    #[serde(flatten)]
    pub work: Work,
    /// The version under which it is charged; `None` where none was in force.
    pub version: Option<u32>,
    /// What it costs, line by line.
    pub lines: Vec<Line>,
    /// Their sum; `None` where it has no price.
    pub amount: Option<Money>,
    /// Why it has no price.
    pub not_priced: Option<String>,
}

/// The work of one manner in one band.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BandSum {
    /// The band.
    pub band: String,
    /// The manner; `None` for travel.
    pub manner: Option<Manner>,
    /// Seconds worked.
    pub worked_s: u64,
    /// Seconds charged.
    pub charged_s: u64,
    /// What that costs.
    pub amount: Money,
}

/// Included hours of one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    /// The calendar month.
    pub month: Stretch,
    /// The version that gives them: the first one in force in the month.
    pub version: u32,
    /// Seconds that the fee covers.
    pub given_s: u64,
    /// Seconds of them that were used.
    pub used_s: u64,
    /// Seconds that are left.
    pub left_s: u64,
    /// Seconds charged beyond them.
    pub overage_s: u64,
}

/// A plan's rates, compiled.
#[derive(Debug)]
pub struct TariffOf<'a> {
    bands: Bands,
    /// The calendar that has the bands.
    pub calendar: Calendar,
    rates: &'a [Rate],
    currency: Currency,
}

/// Why a plan has no tariff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTariff {
    /// It has no rates.
    #[error("the plan `{plan}` has no [[rate]]")]
    NoRates {
        /// The plan's name.
        plan: String,
    },
    /// No calendar of the plan has the bands that the rates name.
    #[error("no calendar that the plan `{plan}` names has all bands of its rates")]
    NoBands {
        /// The plan's name.
        plan: String,
    },
}

impl TariffOf<'_> {
    /// The tariff, to be asked.
    pub fn tariff(&self) -> Tariff<'_> {
        Tariff { bands: &self.bands, rates: self.rates, currency: self.currency }
    }
}

/// The tariff of a plan: its rates on the bands of the first of its calendars that has them all.
pub fn tariff<'a>(book: &Book, plan: &'a Plan) -> Result<TariffOf<'a>, NoTariff> {
    if plan.rates.is_empty() {
        return Err(NoTariff::NoRates { plan: plan.name.clone() });
    }
    let named = plan.targets.iter().map(|target| &target.calendar.value);
    let named = named.chain(plan.availability.as_ref().map(|availability| &availability.calendar.value));
    let bands_of = |name: &crate::words::BookName| {
        let (file, def) = (book.calendar_files.get(name)?, book.calendars.get(name)?);
        let has = |band: &str| file.bands.iter().any(|known| known.name == band);
        let has_all = plan.rates.iter().flat_map(|rate| &rate.band).all(|band| has(&band.value));
        let (bands, calendar) = (Bands::compile(def, &file.bands).ok()?, Calendar::compile(def).ok()?);
        has_all.then_some((bands, calendar))
    };
    let found = named.into_iter().find_map(bands_of);
    let (bands, calendar) = found.ok_or_else(|| NoTariff::NoBands { plan: plan.name.clone() })?;
    Ok(TariffOf { bands, calendar, rates: &plan.rates, currency: book.provider.currency })
}

/// What the work of a period cost a client. Without an agreement nothing of it has a price, and each row says so.
pub fn labour(book: &Book, client: &ClientId, period: Stretch, work: &[WorkDone]) -> Labour {
    let question = Question { client, period, as_of: Timestamp::MAX, windows: Windows::Whole };
    let terms = Terms::of(book, question).ok();
    let included = terms.as_ref().map(included).unwrap_or_default();
    // Included hours are of whole months: work before the period, in its first month, has used some of them.
    let all = included.iter().map(|included| included.month).chain([period]);
    let (from, to) = all.fold((period.from, period.to), |(from, to), month| (from.min(month.from), to.max(month.to)));
    let mut here: Vec<&WorkDone> = work.iter().filter(|done| from <= done.work.from && done.work.from < to).collect();
    here.sort_by_key(|done| (done.work.from, done.work.to, done.incident.clone(), done.fact));
    let mut ledger = Months { book, terms: terms.as_ref(), tariffs: BTreeMap::new(), included };
    let mut rows: Vec<LabourRow> = here.into_iter().map(|done| ledger.charge(done)).collect();
    rows.retain(|row| period.holds(row.work.from));
    let currency = book.provider.currency;
    let minor = rows.iter().filter_map(|row| row.amount).map(|amount| amount.minor).fold(0, u64::saturating_add);
    Labour {
        by_band: by_band(&rows, currency),
        total: Money { minor, currency },
        included: ledger.included,
        not_priced: rows.iter().filter(|row| row.amount.is_none()).count() as u64,
        rows,
    }
}

/// The included hours of every month that the period touches, before any work: those of the first version in force in it.
fn included(terms: &Terms<'_>) -> Vec<Included> {
    let months = terms.windows(DowntimePer::Month, terms.question.period).into_iter();
    let given = months.filter_map(|month| {
        let (version, _) = terms.in_force(month).next()?;
        let given_s = terms.plan(version)?.included_hours?.0;
        Some(Included { month, version: version.number, given_s, used_s: 0, left_s: given_s, overage_s: 0 })
    });
    given.collect()
}

/// What is charged so far, with the included hours of each month.
struct Months<'a> {
    book: &'a Book,
    terms: Option<&'a Terms<'a>>,
    /// By version.
    tariffs: BTreeMap<u32, Result<TariffOf<'a>, NoTariff>>,
    included: Vec<Included>,
}

impl Months<'_> {
    fn charge(&mut self, done: &WorkDone) -> LabourRow {
        let mut row = LabourRow {
            incident: done.incident.clone(),
            fact: done.fact,
            work: done.work.clone(),
            version: None,
            lines: Vec::new(),
            amount: None,
            not_priced: None,
        };
        match self.price(&done.work, &mut row) {
            Ok(()) => {}
            Err(why) => row.not_priced = Some(why),
        }
        row
    }

    fn price(&mut self, work: &Work, row: &mut LabourRow) -> Result<(), String> {
        let none = "no version of an agreement was in force when it began";
        let terms = self.terms.ok_or(none)?;
        let version = terms.agreement.in_force(work.from).next().ok_or(none)?;
        row.version = Some(version.number);
        let plan = terms.plan(version).ok_or("the plan is missing")?;
        let of = self.tariffs.entry(version.number).or_insert_with(|| tariff(self.book, plan));
        let of = of.as_ref().map_err(ToString::to_string)?;
        let index = self.included.iter().position(|included| included.month.holds(work.from));
        let left_s = index.map_or(0, |index| self.included[index].left_s);
        let bill = of.tariff().bill(std::slice::from_ref(work), left_s).map_err(|error| error.to_string())?;
        if let Some(index) = index {
            let included = &mut self.included[index];
            included.used_s += left_s - bill.included_left_s;
            included.left_s = bill.included_left_s;
            included.overage_s += bill.lines.iter().map(charged_beyond).sum::<u64>();
        }
        row.amount = Some(bill.total);
        row.lines = bill.lines;
        Ok(())
    }
}

/// Seconds of a line that are paid for by the hour.
fn charged_beyond(line: &Line) -> u64 {
    match line.what {
        LineFor::Time { charged_s, included_s, price: Some(_), .. } => charged_s - included_s,
        LineFor::Time { price: None, .. } | LineFor::Travel => 0,
    }
}

fn by_band(rows: &[LabourRow], currency: Currency) -> Vec<BandSum> {
    let mut sums: Vec<BandSum> = Vec::new();
    for line in rows.iter().flat_map(|row| &row.lines) {
        let (manner, worked, charged) = match line.what {
            LineFor::Time { manner, worked_s, charged_s, .. } => (Some(manner), worked_s, charged_s),
            LineFor::Travel => (None, 0, 0),
        };
        let place = sums.iter().position(|sum| sum.band == line.band && sum.manner == manner);
        let place = place.unwrap_or_else(|| {
            let amount = Money { minor: 0, currency };
            sums.push(BandSum { band: line.band.clone(), manner, worked_s: 0, charged_s: 0, amount });
            sums.len() - 1
        });
        let sum = &mut sums[place];
        sum.worked_s += worked;
        sum.charged_s += charged;
        sum.amount.minor = sum.amount.minor.saturating_add(line.amount.minor);
    }
    sums.sort_by(|a, b| (&a.band, a.manner).cmp(&(&b.band, b.manner)));
    sums
}

/// The zone in which a client's agreement is read.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}
