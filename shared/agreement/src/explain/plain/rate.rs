//! What work costs, by band and manner.

use serde::Serialize;

use super::{Asked, say};
use crate::{
    book::{Rate, RatePrice},
    money::Price,
    words::{BookName, Manner},
};

/// What work costs in some bands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateClaim {
    /// The calendar that has the bands.
    pub calendar: BookName,
    /// In which bands.
    pub bands: Vec<String>,
    /// What each manner costs there; a manner without a price is not among them.
    pub manners: Vec<MannerRate>,
}

/// What work of one manner costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MannerRate {
    /// How it is done.
    pub manner: Manner,
    /// What it costs.
    pub price: RatePrice,
    /// The least that is charged, in seconds.
    pub minimum_s: u64,
    /// The step in which time is charged, in seconds.
    pub increment_s: u64,
    /// For the way to the site, once.
    pub travel: Option<Price>,
}

/// Work that the fee covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IncludedClaim {
    /// So many seconds in each calendar month.
    pub seconds: u64,
}

pub(super) fn included(asked: &Asked<'_>) -> Option<IncludedClaim> {
    asked.plan.included_hours.filter(|hours| hours.0 > 0).map(|hours| IncludedClaim { seconds: hours.0 })
}

/// One claim for bands in which everything costs the same, in the order of the bands.
pub(super) fn gather(asked: &Asked<'_>) -> Vec<RateClaim> {
    let Some((calendar, bands)) = asked.tariff_calendar() else { return Vec::new() };
    let mut claims: Vec<RateClaim> = Vec::new();
    for band in bands {
        let manners: Vec<MannerRate> =
            Manner::ALL.iter().filter_map(|&manner| of(&asked.plan.rates, &band.name, manner)).collect();
        if manners.is_empty() {
            continue;
        }
        match claims.iter_mut().find(|claim| claim.manners == manners) {
            Some(claim) => claim.bands.push(band.name.clone()),
            None => claims.push(RateClaim { calendar: calendar.clone(), bands: vec![band.name.clone()], manners }),
        }
    }
    claims
}

/// The first rate that names the band and has a price for the manner, as the tariff takes it.
fn of(rates: &[Rate], band: &str, manner: Manner) -> Option<MannerRate> {
    rates.iter().filter(|rate| rate.band.iter().any(|named| named.value == band)).find_map(|rate| {
        let (_, price) = rate.prices.iter().find(|(priced, _)| *priced == manner)?;
        Some(MannerRate {
            manner,
            price: price.clone(),
            minimum_s: rate.minimum_s.map_or(0, |seconds| seconds.0),
            increment_s: rate.increment_s.map_or(1, |seconds| seconds.0.max(1)),
            travel: rate.travel.filter(|_| manner == Manner::OnSite),
        })
    })
}

impl IncludedClaim {
    pub(super) fn say(&self) -> String {
        format!(
            "Of work that costs, the first {} of each calendar month are in the fee; the way is not.",
            say::time(self.seconds)
        )
    }
}

impl RateClaim {
    pub(super) fn say(&self) -> String {
        let bands: Vec<String> = self.bands.iter().map(|band| format!("\"{band}\"")).collect();
        let each: Vec<String> = self.manners.iter().map(MannerRate::say).collect();
        let mut said = vec![format!("Work in {} costs: {}.", say::list(&bands, "and"), each.join("; "))];
        let charged = self.manners.iter().filter(|rate| !rate.is_included());
        let mut steps: Vec<String> = charged.filter_map(MannerRate::steps).collect();
        steps.dedup();
        said.extend(steps.into_iter().map(|steps| format!("{steps}.")));
        let missing: Vec<&str> = Manner::ALL
            .iter()
            .filter(|manner| self.manners.iter().all(|rate| rate.manner != **manner))
            .map(|&manner| say::manner(manner))
            .collect();
        if !missing.is_empty() {
            said.push(format!("No price is agreed there for work {}.", say::list(&missing, "or")));
        }
        said.join(" ")
    }
}

impl MannerRate {
    fn is_included(&self) -> bool {
        match self.price {
            RatePrice::Included => true,
            RatePrice::Costs(_) => false,
        }
    }

    /// `on site USD 210 an hour and USD 95 for the way`.
    fn say(&self) -> String {
        let travel = self.travel.map(|travel| format!(" and {} for the way", say::price(travel))).unwrap_or_default();
        let price = match &self.price {
            RatePrice::Included => "nothing beyond the fee".to_owned(),
            RatePrice::Costs(price) => say::price(*price),
        };
        format!("{} {price}{travel}", say::manner(self.manner))
    }

    /// `What is charged is 1 hour at least, in steps of 15 minutes`.
    fn steps(&self) -> Option<String> {
        let least = format!("{} at least", say::time(self.minimum_s));
        let steps = format!("in steps of {}", say::time(self.increment_s));
        match (self.minimum_s, self.increment_s) {
            (0, 1) => None,
            (0, _) => Some(format!("Time is charged {steps}")),
            (_, 1) => Some(format!("Of time that costs, {least} is charged")),
            (_, _) => Some(format!("Of time that costs, {least} is charged, {steps}")),
        }
    }
}
