//! What is owed when a promise is not kept (TERMS 2).

use serde::Serialize;

use crate::{
    book::{
        fields::{Fields, Node, Read, Reading, shown},
        scalar::{PlainSeconds, read_words},
    },
    money::Money,
    ratio::Ratio,
    terms::{DowntimePer, LongestDowntime},
    words::Stage,
};

/// One tier of what is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credit {
    /// When.
    pub when: CreditWhen,
    /// How much.
    pub amount: Amount,
}

/// What makes a credit owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditWhen {
    /// `availability < 99.5%`.
    AvailabilityBelow(Ratio),
    /// `downtime > 12h per event`.
    DowntimeAbove(LongestDowntime),
    /// `missed respond`.
    Missed(Stage),
}

/// A share of the fee, or a sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// `5% of fee`.
    OfFee(Ratio),
    /// `120.00`.
    Fixed(Money),
}

impl Read for Credit {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a credit", reading)?;
        let when = fields.required("when", reading);
        let amount = fields.required("amount", reading);
        fields.finish(reading);
        Some(Self { when: when?, amount: amount? })
    }
}

impl Read for CreditWhen {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let when = match words.as_slice() {
            ["availability", "<", share] => Ratio::percent(share).ok().map(Self::AvailabilityBelow),
            ["downtime", ">", rest @ ..] => longest_downtime(&rest.join(" ")).map(Self::DowntimeAbove),
            ["missed", stage] => stage.parse().ok().map(Self::Missed),
            _ => None,
        };
        if when.is_none() {
            reading.bad_value(
                value,
                format!(
                    "{:?} is not a reason for a credit: write \"availability < 99.5%\", \"downtime > 12h per event\" or \"missed respond\"",
                    shown(&text)
                ),
            );
        }
        when
    }
}

impl Read for Amount {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        match text.strip_suffix(" of fee") {
            Some(share) => {
                Ratio::percent(share).map_err(|error| reading.bad_value(value, error.to_string())).ok().map(Self::OfFee)
            }
            None => Money::read(value, reading).map(Self::Fixed),
        }
    }
}

/// `12h per event`.
impl Read for LongestDowntime {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let downtime = longest_downtime(&text);
        if downtime.is_none() {
            let known: Vec<&str> = DowntimePer::ALL.iter().map(|per| per.as_str()).collect();
            reading.bad_value(
                value,
                format!(
                    "{:?} is not a downtime: write \"12h per event\" (or per {})",
                    shown(&text),
                    known[1..].join(", ")
                ),
            );
        }
        downtime
    }
}

fn longest_downtime(text: &str) -> Option<LongestDowntime> {
    let (duration, per) = text.split_once(" per ")?;
    Some(LongestDowntime { seconds: PlainSeconds::parse(duration)?.0, per: per.parse().ok()? })
}

/// How credits are capped and rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreditLimits {
    /// At most this.
    pub cap: Option<Amount>,
    /// How halves of a minor unit are rounded.
    pub rounding: Rounding,
}

impl Read for CreditLimits {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the limits of credits", reading)?;
        let cap = fields.optional("cap", reading);
        let rounding = fields.optional("rounding", reading).unwrap_or(Rounding::HalfEven);
        fields.finish(reading);
        Some(Self { cap, rounding })
    }
}

upheld_model::vocabulary!(
    /// How a credit is rounded.
    Rounding, "rounding", {
        /// To the nearest, halves to the even one.
        HalfEven = "half-even",
        /// To the nearest, halves up.
        HalfUp = "half-up",
        /// Down.
        Down = "down",
    }
);

read_words!(Rounding "rounding");
