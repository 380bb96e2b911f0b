//! What work costs (TERMS 2, rates): by band and manner, with minimum, increment, travel and included hours.
//!
//! Work across a band boundary is split there. The minimum is that of the band in which an entry begins and is charged
//! at that band's price; the increment is that of the band in which it ends, and rounds the whole entry up once, so a
//! boundary never charges twice. Travel is charged once for each entry on site. Each line is rounded once, halves to
//! the even minor unit, and the bill is the sum of its lines. Included seconds are used up in the order of the entries.
//! It asks no clock: [`Tariff::quote`] takes now.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    bands::Bands,
    book::{Rate, RatePrice, Rounding},
    calendar::Calendar,
    clock::{Fact, FactKind, whole_second},
    money::{Currency, Money, Per, Price},
    words::Manner,
};

/// Work that was done for an incident. It is cut to whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Who did it.
    pub who: String,
    /// How.
    pub manner: Manner,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// An entry of work in an incident's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The number of its fact.
    pub fact: u64,
    /// Who entered it.
    pub entered_by: String,
    /// When.
    pub entered_at: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub work: Work,
    /// The entry in whose place it stands.
    pub corrects: Option<u64>,
    /// The entry that stands in its place; it is charged only while there is none.
    pub corrected_by: Option<u64>,
}

impl Entry {
    /// Whether it is charged: not corrected, and not itself the taking back of another.
    pub fn is_charged(&self) -> bool {
        self.corrected_by.is_none() && whole_second(self.work.from) < whole_second(self.work.to)
    }
}

/// The entries of work in a ledger, in the order of their numbers; what was corrected is still there.
pub fn entries(facts: &[Fact]) -> Vec<Entry> {
    let mut found: Vec<Entry> = facts
        .iter()
        .filter_map(|fact| {
            let FactKind::Worked { worker, manner, from, to, corrects, role: _ } = &fact.kind else { return None };
            Some(Entry {
                fact: fact.number,
                entered_by: fact.who.clone(),
                entered_at: fact.recorded_at,
                work: Work { who: worker.clone(), manner: *manner, from: *from, to: *to },
                corrects: *corrects,
                corrected_by: None,
            })
        })
        .collect();
    found.sort_by_key(|entry| entry.fact);
    let corrections: Vec<(u64, u64)> = found.iter().filter_map(|entry| Some((entry.corrects?, entry.fact))).collect();
    for (corrected, by) in corrections {
        let place = found.iter().position(|entry| entry.fact == corrected && by > corrected);
        let Some(entry) = place.map(|place| &mut found[place]) else { continue };
        // Of two corrections of one entry the later stands, in the place of both.
        if let Some(earlier) = entry.corrected_by.replace(by)
            && let Some(earlier) = found.iter_mut().find(|entry| entry.fact == earlier)
        {
            earlier.corrected_by = Some(by);
        }
    }
    found
}

/// The rates of a plan on the bands of its calendar.
#[derive(Debug, Clone)]
pub struct Tariff<'a> {
    /// When which band is.
    pub bands: &'a Bands,
    /// What work costs in them; the first that names band and manner is used.
    pub rates: &'a [Rate],
    /// The currency of the agreement.
    pub currency: Currency,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which entry, from 0.
    pub entry: usize,
    /// For what.
    pub what: LineFor,
    /// The band.
    pub band: String,
    /// How much.
    pub amount: Money,
}

/// What a line is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum LineFor {
    /// Time in one band.
    Time {
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
        /// How it was done.
        manner: Manner,
        /// Seconds worked.
        worked_s: u64,
        /// Seconds charged: with the rest of a minimum or an increment.
        charged_s: u64,
        /// Seconds of those that the included hours cover.
        included_s: u64,
        /// The price of an hour; `None` where the fee covers it.
        price: Option<Money>,
    },
    /// The way.
    Travel,
}

/// What some work costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Line by line, in the order of the entries.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
    /// Included seconds that are left.
    pub included_left_s: u64,
}

/// What it would cost to send somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// At once.
    pub now: Bill,
    /// When the calendar opens next, and what it costs then; `None` while it is open, and where it never opens again.
    pub at_next_opening: Option<(Timestamp, Bill)>,
}

/// Why work has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The plan has no price for it.
    #[error("the plan has no rate for `{manner}` in band `{band}`: write it in [[rate]]")]
    NoRate {
        /// The band.
        band: String,
        /// The manner.
        manner: Manner,
    },
    /// A price for something else than an hour, or travel that is not paid once.
    #[error("{price} is not the price of {needed}")]
    WrongPer {
        /// The price.
        price: Price,
        /// What is needed: `an hour`, `one journey`.
        needed: &'static str,
    },
    /// The entry has no second.
    #[error("entry {entry} ends at {to}, not after it begins at {from}")]
    NoTime {
        /// Which, from 0.
        entry: usize,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
}

/// A part of an entry in one band.
struct Part<'a> {
    from: Timestamp,
    to: Timestamp,
    rate: &'a Rate,
    band: &'a str,
    /// The price of an hour; `None` where the fee covers it.
    price: Option<Money>,
    charged_s: u64,
}

impl Tariff<'_> {
    /// What some entries of work cost, with so many included seconds.
    pub fn bill(&self, work: &[Work], included_s: u64) -> Result<Bill, RateError> {
        let (mut lines, mut included_left_s) = (Vec::new(), included_s);
        for (entry, work) in work.iter().enumerate() {
            let parts = self.parts(entry, work)?;
            if let (Manner::OnSite, Some(first)) = (work.manner, parts.first())
                && let Some(price) = first.rate.travel
            {
                let amount = paid(price, Per::Once, "one journey")?;
                lines.push(Line { entry, what: LineFor::Travel, band: first.band.to_owned(), amount });
            }
            for part in parts {
                let covered = if part.price.is_some() { part.charged_s.min(included_left_s) } else { 0 };
                included_left_s -= covered;
                lines.push(part.line(entry, work.manner, covered, self.currency));
            }
        }
        let minor = lines.iter().map(|line| line.amount.minor).fold(0, u64::saturating_add);
        Ok(Bill { lines, total: Money { minor, currency: self.currency }, included_left_s })
    }

    /// What so many seconds of work would cost from now on, and from the next opening of a calendar on.
    pub fn quote(
        &self,
        manner: Manner,
        seconds: u64,
        now: Timestamp,
        calendar: &Calendar,
        included_s: u64,
    ) -> Result<Quote, RateError> {
        let at = |from: Timestamp| {
            let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            let to = from.saturating_add(length).unwrap_or(Timestamp::MAX);
            self.bill(&[Work { who: "quote".to_owned(), manner, from, to }], included_s)
        };
        let opening = if calendar.is_open(now) { None } else { calendar.next_opening(now) };
        let at_next_opening = opening.map(|opening| Ok((opening, at(opening)?))).transpose()?;
        Ok(Quote { now: at(now)?, at_next_opening })
    }

    fn parts(&self, entry: usize, work: &Work) -> Result<Vec<Part<'_>>, RateError> {
        let (from, to) = (whole_second(work.from), whole_second(work.to));
        if to <= from {
            return Err(RateError::NoTime { entry, from: work.from, to: work.to });
        }
        let stretches = self.bands.stretches(from, to).into_iter();
        let mut parts = stretches
            .map(|stretch| {
                let (rate, price) = self.rate(stretch.band, work.manner)?;
                let worked_s = stretch.to.duration_since(stretch.from).as_secs().unsigned_abs();
                Ok(Part { from: stretch.from, to: stretch.to, rate, band: stretch.band, price, charged_s: worked_s })
            })
            .collect::<Result<Vec<_>, RateError>>()?;
        charge_minimum(&mut parts);
        charge_increment(&mut parts);
        Ok(parts)
    }

    fn rate(&self, band: &str, manner: Manner) -> Result<(&Rate, Option<Money>), RateError> {
        let priced = |rate: &&Rate| rate.band.iter().any(|named| named.value == band);
        let found = self.rates.iter().filter(priced).find_map(|rate| {
            let (_, price) = rate.prices.iter().find(|(priced, _)| *priced == manner)?;
            Some((rate, price))
        });
        let (rate, price) = found.ok_or_else(|| RateError::NoRate { band: band.to_owned(), manner })?;
        match price {
            RatePrice::Included => Ok((rate, None)),
            RatePrice::Costs(price) => Ok((rate, Some(paid(*price, Per::Hour, "an hour")?))),
        }
    }
}

impl Part<'_> {
    fn line(&self, entry: usize, manner: Manner, included_s: u64, currency: Currency) -> Line {
        let paid_s = u128::from(self.charged_s - included_s);
        let free = Money { minor: 0, currency };
        Line {
            entry,
            band: self.band.to_owned(),
            amount: self.price.map_or(free, |price| price.share(paid_s, 3600, Rounding::HalfEven)),
            what: LineFor::Time {
                from: self.from,
                to: self.to,
                manner,
                worked_s: self.to.duration_since(self.from).as_secs().unsigned_abs(),
                charged_s: self.charged_s,
                included_s,
                price: self.price,
            },
        }
    }
}

/// The least that an entry is charged, where its beginning costs anything.
fn charge_minimum(parts: &mut [Part<'_>]) {
    let total_s: u64 = parts.iter().map(|part| part.charged_s).sum();
    if let Some(first) = parts.first_mut().filter(|first| first.price.is_some()) {
        first.charged_s += first.rate.minimum_s.map_or(0, |minimum| minimum.0.saturating_sub(total_s));
    }
}

/// The whole entry in full steps, where its end costs anything.
fn charge_increment(parts: &mut [Part<'_>]) {
    let total_s: u64 = parts.iter().map(|part| part.charged_s).sum();
    if let Some(last) = parts.last_mut().filter(|last| last.price.is_some()) {
        let step_s = last.rate.increment_s.map_or(1, |step| step.0.max(1));
        last.charged_s += total_s.next_multiple_of(step_s) - total_s;
    }
}

fn paid(price: Price, per: Per, needed: &'static str) -> Result<Money, RateError> {
    if price.per == per { Ok(price.amount) } else { Err(RateError::WrongPer { price, needed }) }
}

#[cfg(test)]
mod tests;
