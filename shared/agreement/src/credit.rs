//! What is owed when a promise was not kept: tiers, the cap, the rounding (TERMS 2).
//!
//! Tiers of one kind do not add up: for each figure, downtime and missed target the highest that applies is owed. Each
//! line is rounded once to the minor unit, and the credit is the sum of its lines, at most the cap. It computes with
//! integers and knows nothing of where the measures come from; what a client disputes is asked for twice by the caller,
//! once with each figure (F13).

use serde::{Deserialize, Serialize};

use crate::{
    availability::{Figure, Unit},
    book::{Amount, Credit, CreditLimits, CreditWhen, Rounding},
    downtime::{Downtime, over_s},
    money::{Currency, Money},
    words::Stage,
};

/// What a period of an agreement came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures {
    /// The fee of the period, where the agreement has one.
    pub fee: Option<Money>,
    /// Each figure of availability.
    pub availability: Vec<(Unit, Figure)>,
    /// Each downtime, by event and by period.
    pub downtime: Vec<Downtime>,
    /// Each target that was missed, with its incident.
    pub missed: Vec<Missed>,
}

/// A target that was missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The incident, as people call it.
    pub incident: String,
    /// Its stage.
    pub stage: Stage,
}

/// For what a credit is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Cause {
    /// Availability below its tier.
    Availability {
        /// Of what.
        unit: Unit,
        /// The figure.
        figure: Figure,
    },
    /// Downtime above its tier.
    Downtime {
        /// The downtime.
        downtime: Downtime,
        /// By how many seconds.
        over_s: u64,
    },
    /// A target that was missed.
    Missed(Missed),
}

/// One line of a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// For what.
    pub cause: Cause,
    /// How much.
    pub amount: Money,
    /// Which tier of the agreement, from 0.
    pub tier: usize,
}

/// What is owed for a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    /// Line by line.
    pub lines: Vec<Line>,
    /// Their sum.
    pub sum: Money,
    /// The cap, where the agreement has one.
    pub cap: Option<Money>,
    /// What is owed: the sum, at most the cap.
    pub owed: Money,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditError {
    /// A tier or the cap is a share of a fee that the agreement does not have.
    #[error("a credit is a share of the fee, and the agreement has none: write fee = \"1850.00/month\"")]
    NoFee,
}

/// What is owed by some tiers for what a period came to.
pub fn credit(
    tiers: &[Credit],
    limits: Option<&CreditLimits>,
    currency: Currency,
    measures: &Measures,
) -> Result<CreditNote, CreditError> {
    let rounding = limits.map_or(Rounding::HalfEven, |limits| limits.rounding);
    let worth = |amount: &Amount| in_money(amount, measures.fee, rounding);
    let amounts = tiers.iter().map(|tier| worth(&tier.amount)).collect::<Result<Vec<Money>, _>>()?;
    let mut lines = Vec::new();
    let mut owe = |cause: Cause, applies: &dyn Fn(&CreditWhen) -> bool| {
        let applying = tiers.iter().zip(&amounts).enumerate().filter(|(_, (tier, _))| applies(&tier.when));
        // Of two tiers of one worth the first is named.
        let highest = applying.max_by_key(|(index, (_, amount))| (amount.minor, std::cmp::Reverse(*index)));
        lines.extend(highest.map(|(tier, (_, &amount))| Line { cause, amount, tier }));
    };
    for (unit, figure) in &measures.availability {
        let cause = Cause::Availability { unit: unit.clone(), figure: *figure };
        owe(cause, &|when| match when {
            CreditWhen::AvailabilityBelow(share) => figure.is_below(*share),
            CreditWhen::DowntimeAbove(_) | CreditWhen::Missed(_) => false,
        });
    }
    for downtime in &measures.downtime {
        let limits = tiers.iter().filter_map(|tier| match tier.when {
            CreditWhen::DowntimeAbove(limit) => over_s(limit, downtime),
            CreditWhen::AvailabilityBelow(_) | CreditWhen::Missed(_) => None,
        });
        let cause = Cause::Downtime { downtime: *downtime, over_s: limits.max().unwrap_or(0) };
        owe(cause, &|when| match when {
            CreditWhen::DowntimeAbove(limit) => over_s(*limit, downtime).is_some(),
            CreditWhen::AvailabilityBelow(_) | CreditWhen::Missed(_) => false,
        });
    }
    for missed in &measures.missed {
        owe(Cause::Missed(missed.clone()), &|when| match when {
            CreditWhen::Missed(stage) => *stage == missed.stage,
            CreditWhen::AvailabilityBelow(_) | CreditWhen::DowntimeAbove(_) => false,
        });
    }
    let cap = limits.and_then(|limits| limits.cap.as_ref()).map(worth).transpose()?;
    let sum = Money { minor: lines.iter().map(|line| line.amount.minor).sum(), currency };
    let owed = cap.map_or(sum, |cap| Money { minor: sum.minor.min(cap.minor), currency });
    Ok(CreditNote { lines, sum, cap, owed })
}

fn in_money(amount: &Amount, fee: Option<Money>, rounding: Rounding) -> Result<Money, CreditError> {
    match amount {
        Amount::Fixed(money) => Ok(*money),
        Amount::OfFee(share) => {
            let (numerator, denominator) = share.parts();
            Ok(fee.ok_or(CreditError::NoFee)?.share(u128::from(numerator), u128::from(denominator), rounding))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ratio::Ratio,
        terms::{DowntimePer, LongestDowntime},
        uptime_cases::Uptime,
    };

    fn usd() -> Currency {
        Currency::parse("USD").unwrap()
    }

    fn dollars(text: &str) -> Money {
        Money::parse(text, usd()).unwrap()
    }

    fn percent(text: &str) -> Ratio {
        Ratio::percent(text).unwrap()
    }

    fn tiers() -> Vec<Credit> {
        let tier = |when, amount| Credit { when, amount };
        let below = |share: &str, of_fee: &str| {
            tier(CreditWhen::AvailabilityBelow(percent(share)), Amount::OfFee(percent(of_fee)))
        };
        let downtime = LongestDowntime { seconds: 12 * 3600, per: DowntimePer::Event };
        vec![
            below("99.5%", "5%"),
            below("99%", "10%"),
            tier(CreditWhen::DowntimeAbove(downtime), Amount::OfFee(percent("10%"))),
            tier(CreditWhen::Missed(Stage::Respond), Amount::Fixed(dollars("120.00"))),
        ]
    }

    fn up(up_s: u64, down_s: u64) -> (Unit, Figure) {
        let unit = Unit::Site { site: "plant-2".parse().unwrap() };
        (unit, Figure { uptime: Uptime { up_s, down_s, ..Uptime::default() }, ..Figure::default() })
    }

    fn down(hours: u64) -> Downtime {
        let from = "2026-11-01T00:00:00Z".parse().unwrap();
        let to = from + jiff::SignedDuration::from_hours(48);
        Downtime { from, to, per: DowntimePer::Event, seconds: hours * 3600 }
    }

    fn measures() -> Measures {
        Measures { fee: Some(dollars("1850.00")), ..Measures::default() }
    }

    fn note(limits: Option<CreditLimits>, measures: &Measures) -> (Vec<(usize, u64)>, u64) {
        let note = credit(&tiers(), limits.as_ref(), usd(), measures).unwrap();
        (note.lines.iter().map(|line| (line.tier, line.amount.minor)).collect(), note.owed.minor)
    }

    #[test]
    fn the_highest_tier_of_a_kind_is_owed_and_kinds_add_up() {
        for (availability, lines) in
            [(up(995, 5), vec![]), (up(9949, 51), vec![(0, 9_250)]), (up(98, 2), vec![(1, 18_500)]), (up(0, 0), vec![])]
        {
            assert_eq!(note(None, &Measures { availability: vec![availability], ..measures() }).0, lines);
        }
        let missed = Missed { incident: "INC-7".to_owned(), stage: Stage::Respond };
        let other = Missed { incident: "INC-8".to_owned(), stage: Stage::Resolve };
        let all = Measures {
            availability: vec![up(98, 2)],
            downtime: vec![down(12), down(13)],
            missed: vec![missed.clone(), missed, other],
            ..measures()
        };
        assert_eq!(note(None, &all), (vec![(1, 18_500), (2, 18_500), (3, 12_000), (3, 12_000)], 61_000));
        let limits = CreditLimits { cap: Some(Amount::OfFee(percent("25%"))), rounding: Rounding::HalfEven };
        assert_eq!(note(Some(limits), &all).1, 46_250);
    }

    #[test]
    fn halves_are_rounded_as_the_agreement_says() {
        let of = |fee: &str, rounding| {
            let measures = Measures { fee: Some(dollars(fee)), availability: vec![up(99, 1)], ..Measures::default() };
            note(Some(CreditLimits { cap: None, rounding }), &measures).1
        };
        // 5 % of 0.10 is half a cent, of 0.30 one and a half, of 0.31 a little more.
        let halves = ["0.10", "0.30", "0.31"];
        assert_eq!(halves.map(|fee| of(fee, Rounding::HalfEven)), [0, 2, 2]);
        assert_eq!(halves.map(|fee| of(fee, Rounding::HalfUp)), [1, 2, 2]);
        assert_eq!(halves.map(|fee| of(fee, Rounding::Down)), [0, 1, 1]);
    }

    #[test]
    fn a_share_of_no_fee_is_refused_by_name() {
        assert_eq!(credit(&tiers(), None, usd(), &Measures::default()), Err(CreditError::NoFee));
    }

    proptest! {
        #[test]
        fn less_availability_never_owes_less_and_the_cap_holds(
            fee in 0..10_000_000_u64,
            ups in proptest::collection::vec(0..1000_u64, 1..5),
            cap in 0..100_u64,
        ) {
            let limits = CreditLimits { cap: Ratio::new(cap, 100).map(Amount::OfFee), rounding: Rounding::HalfEven };
            let of = |less: u64| {
                let availability = ups.iter().map(|&u| up(u.saturating_sub(less), 1000 - u.saturating_sub(less)));
                let fee = Some(Money { minor: fee, currency: usd() });
                credit(&tiers(), Some(&limits), usd(), &Measures { fee, availability: availability.collect(), ..Measures::default() })
            };
            let (note, worse) = (of(0).unwrap(), of(3).unwrap());
            prop_assert!(note.owed <= worse.owed);
            prop_assert!(note.cap.is_some_and(|cap| note.owed <= cap) && note.owed <= note.sum);
            prop_assert_eq!(note.sum.minor, note.lines.iter().map(|line| line.amount.minor).sum::<u64>());
        }
    }
}
