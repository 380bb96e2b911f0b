//! Stretches of time, the windows of an agreement's dates, and what a stretch costs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Terms;
use crate::{
    book::{Rounding, Version, Window},
    downtime,
    money::{Money, Per},
    terms::DowntimePer,
};

/// From one instant up to, but not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Stretch {
    /// What two stretches share; `None` when that is nothing.
    pub fn cut(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }

    /// Whether an instant lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Its whole seconds.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.to.as_second() - self.from.as_second()).unwrap_or(0)
    }
}

impl Terms<'_> {
    /// The windows of the agreement's dates that a stretch touches.
    pub(super) fn windows(&self, per: DowntimePer, stretch: Stretch) -> Vec<Stretch> {
        let Some(months) = downtime::months(per) else { return Vec::new() };
        let begins = self.agreement.versions.first().map_or(stretch.from, |version| version.from);
        let found = downtime::periods(months, per, &self.zone, begins, stretch.from, stretch.to);
        found.into_iter().map(|(from, to)| Stretch { from, to }).collect()
    }

    /// The windows in which a version measures and credits, cut at the period where that is asked.
    pub(super) fn own_windows(&self, version: &Version, stretch: Stretch) -> Vec<Stretch> {
        let window = self.plan(version).and_then(|plan| plan.availability.as_ref()).map(|measured| measured.window);
        let per = match window {
            None | Some(Window::Month) => DowntimePer::Month,
            Some(Window::Quarter) => DowntimePer::Quarter,
            Some(Window::Year) => DowntimePer::AgreementYear,
        };
        let windows = self.windows(per, stretch).into_iter();
        match self.question.windows {
            super::Windows::Whole => windows.collect(),
            super::Windows::Cut => windows.filter_map(|window| window.cut(self.question.period)).collect(),
        }
    }

    /// Whether a window is over and ended in the period. One that is cut counts as far as it goes.
    pub(super) fn is_final(&self, window: Stretch) -> bool {
        let period = self.question.period;
        match self.question.windows {
            super::Windows::Whole => {
                window.to <= self.question.as_of && period.from < window.to && window.to <= period.to
            }
            super::Windows::Cut => period.from < window.to && window.to <= period.to,
        }
    }

    /// What a month of a version costs, riders included; `None` where it says no fee, or one that is paid otherwise.
    pub(super) fn monthly(&self, version: &Version) -> Option<Money> {
        let riders = version.riders.iter().filter_map(|rider| self.book.riders.get(&rider.value)?.price);
        let prices = version.fee.into_iter().chain(riders);
        let monthly = |price: crate::money::Price| match price.per {
            Per::Month => Some(price.amount),
            Per::Year => Some(price.amount.share(1, 12, Rounding::HalfEven)),
            Per::Once | Per::Hour => None,
        };
        super::sum(prices.map(monthly)).filter(|_| version.fee.is_some())
    }

    /// What a stretch costs at the price of a version: by the second of each calendar month, rounded from the month's
    /// beginning on, so that the parts of a month add up to the month.
    pub(super) fn fee(&self, version: &Version, stretch: Stretch) -> Option<Money> {
        let monthly = self.monthly(version)?;
        let months = self.windows(DowntimePer::Month, stretch);
        super::sum(months.into_iter().filter_map(|month| Some((month, month.cut(stretch)?))).map(|(month, part)| {
            let until = |at: Timestamp| {
                let passed = u128::from(Stretch { from: month.from, to: at }.seconds());
                monthly.share(passed, u128::from(month.seconds()), Rounding::HalfEven).minor
            };
            Some(Money { minor: until(part.to) - until(part.from), currency: monthly.currency })
        }))
    }
}
