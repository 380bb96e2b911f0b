//! What work costs, and who is told as the time runs out (TERMS 2); the second is kept so far.

use serde::Serialize;

use crate::{
    book::{
        fields::{Fields, Node, Read, Reading, shown},
        scalar::PlainSeconds,
        source::Located,
    },
    money::Price,
    ratio::Ratio,
    words::{BookName, Manner},
};

/// What work costs in some bands of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// The calendar's bands.
    pub band: Vec<Located<String>>,
    /// The price of each manner of work that has one.
    pub prices: Vec<(Manner, RatePrice)>,
    /// The least that is charged.
    pub minimum_s: Option<PlainSeconds>,
    /// The step in which time is charged.
    pub increment_s: Option<PlainSeconds>,
    /// For the way.
    pub travel: Option<Price>,
}

/// `4h per month`: work that the fee covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IncludedHours(
    /// Seconds of each calendar month.
    pub u64,
);

impl Read for IncludedHours {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let seconds = text.strip_suffix(" per month").and_then(PlainSeconds::parse);
        if seconds.is_none() {
            reading.bad_value(value, format!("{:?} is not included work: write \"4h per month\"", shown(&text)));
        }
        seconds.map(|seconds| Self(seconds.0))
    }
}

/// The price of a manner of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatePrice {
    /// It is in the fee.
    Included,
    /// It costs this.
    Costs(Price),
}

impl Read for Rate {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a rate", reading)?;
        let band = fields.list("band", reading);
        if fields.node("band").is_none() {
            fields.missing("band", reading);
        }
        let prices = Manner::ALL
            .iter()
            .filter_map(|&manner| Some((manner, fields.optional(manner.as_str(), reading)?)))
            .collect();
        let minimum_s = fields.optional("minimum", reading);
        let increment_s = fields.optional("increment", reading);
        let travel = fields.optional("travel", reading);
        fields.finish(reading);
        Some(Self { band, prices, minimum_s, increment_s, travel })
    }
}

impl Read for RatePrice {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if value.get_ref().as_str() == Some("included") {
            return Some(Self::Included);
        }
        Price::read(value, reading).map(Self::Costs)
    }
}

/// Who is told as the time runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// In the order of the file.
    pub steps: Vec<Step>,
}

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// At which fraction of the target.
    pub at: Ratio,
    /// Which role; `manufacturer` is one like any other.
    pub to: BookName,
    /// Only for assets that a manufacturer's agreement covers.
    pub only_if_covered: bool,
}

impl Read for Escalation {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the escalation", reading)?;
        let steps = fields.list("steps", reading);
        fields.finish(reading);
        Some(Self { steps })
    }
}

impl Read for Step {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a step of the escalation", reading)?;
        let at = fields.required("at", reading);
        let to = fields.required("to", reading);
        let only_if = fields.node("only_if");
        fields.finish(reading);
        let only_if_covered = match only_if {
            None => false,
            Some(node) => {
                let text = String::read(node, reading)?;
                if text != "covered" {
                    reading.unknown_word(node, "condition", &shown(&text), &["covered"]);
                }
                true
            }
        };
        Some(Self { at: at?, to: to?, only_if_covered })
    }
}
