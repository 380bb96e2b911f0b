//! What is done before anything breaks: visits, restore tests, reviews (TERMS 2). Kept.

use serde::Serialize;
use toml::de::DeValue;
use upheld_model::AssetClass;

use crate::book::{
    fields::{Fields, Node, Read, Reading, shown},
    scalar::PlainSeconds,
};

/// What is done before anything breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prevention {
    /// Visits.
    pub visits: Option<Visits>,
    /// How often a backup is restored and opened.
    pub restore_test: Option<Every>,
    /// How often the agreement is reviewed.
    pub review: Option<Every>,
    /// The age at which a small problem is put in front of a person.
    pub lingering_after_s: Option<PlainSeconds>,
}

/// Planned visits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visits {
    /// How often.
    pub every: Every,
    /// Which equipment is looked at.
    pub equipment: Vec<AssetClass>,
    /// In how many business days the report follows.
    pub report_within_business_days: Option<u32>,
}

/// A recurrence: `3 months`, `quarter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Every {
    /// How many units.
    pub count: u32,
    /// Of what.
    pub unit: EveryUnit,
}

upheld_model::vocabulary!(
    /// The unit of a recurrence.
    EveryUnit, "unit of recurrence", {
        /// Days.
        Day = "day",
        /// Weeks.
        Week = "week",
        /// Months.
        Month = "month",
        /// Quarters.
        Quarter = "quarter",
        /// Years.
        Year = "year",
    }
);

impl Every {
    /// Its longest length in days: a quarter is 92, so that nothing is overdue before any calendar says so.
    pub fn days_max(self) -> u32 {
        let days = match self.unit {
            EveryUnit::Day => 1,
            EveryUnit::Week => 7,
            EveryUnit::Month => 31,
            EveryUnit::Quarter => 92,
            EveryUnit::Year => 366,
        };
        self.count.saturating_mul(days)
    }
}

impl Read for Prevention {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "prevention", reading)?;
        let visits = fields.optional("visits", reading);
        let restore_test = fields.node("restore_test").and_then(|node| read_every_table(node, reading));
        let review = fields.node("review").and_then(|node| read_every_table(node, reading));
        let lingering_after_s = fields.optional("lingering_after", reading);
        fields.finish(reading);
        Some(Self { visits, restore_test, review, lingering_after_s })
    }
}

/// `{ every = "1 month" }`.
fn read_every_table(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Every> {
    let mut fields = Fields::of(node, "a recurrence", reading)?;
    let every = fields.required("every", reading);
    fields.finish(reading);
    every
}

impl Read for Visits {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "visits", reading)?;
        let every = fields.required("every", reading);
        let equipment = fields.list("equipment", reading);
        let report = fields.node("report_within");
        fields.finish(reading);
        let report_within_business_days = report.and_then(|node| read_business_days(node, reading));
        Some(Self { every: every?, equipment, report_within_business_days })
    }
}

fn read_business_days(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<u32> {
    let text = String::read(node, reading)?;
    let days = text.strip_suffix(" business days").or_else(|| text.strip_suffix(" business day"));
    let days = days.and_then(|number| number.parse().ok()).filter(|days| (1..=260).contains(days));
    if days.is_none() {
        reading
            .bad_value(node, format!("{:?} is not a number of business days: write \"2 business days\"", shown(&text)));
    }
    days
}

impl Read for Every {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            reading.wrong_type(value, "a recurrence, \"3 months\"");
            return None;
        };
        let (count, unit) = text.split_once(' ').unwrap_or(("1", text));
        let unit = unit.strip_suffix('s').unwrap_or(unit).parse().ok();
        let count = count.parse().ok().filter(|count| (1..=1000).contains(count));
        match (count, unit) {
            (Some(count), Some(unit)) => Some(Self { count, unit }),
            (None, _) | (_, None) => {
                reading.bad_value(
                    value,
                    format!("{:?} is not a recurrence: write \"3 months\" or \"quarter\"", shown(text)),
                );
                None
            }
        }
    }
}
