//! Parts of a plan that are read and kept, and that this version does not act on.
//!
//! They are parsed to typed data all the same: a slip in a credit tier is found when it is written, not on the day
//! credits are built.

use serde::Serialize;
use toml::de::DeValue;
use upheld_model::AssetClass;

use crate::{
    book::{
        code::Code,
        diagnostic::Diagnostic,
        fields::{Fields, Node, Read, Reading, entries, shown},
        scalar::{PlainSeconds, read_words},
        source::Located,
    },
    money::{Money, Price},
    ratio::Ratio,
    terms::{DowntimePer, LongestDowntime},
    words::{BookName, Manner, Stage},
};

upheld_model::vocabulary!(
    /// Over what availability is measured.
    AvailabilityPer, "unit of availability", {
        /// Each asset.
        Asset = "asset",
        /// All assets of a class at a site.
        Class = "class",
        /// A whole site.
        Site = "site",
    }
);

upheld_model::vocabulary!(
    /// The window of an objective.
    Window, "window", {
        /// A calendar month.
        Month = "month",
        /// A quarter.
        Quarter = "quarter",
        /// A year.
        Year = "year",
    }
);

upheld_model::vocabulary!(
    /// Time that availability leaves out.
    Exclusion, "exclusion", {
        /// Agreed maintenance, with notice.
        Maintenance = "maintenance",
        /// What the client caused.
        Client = "client",
        /// The utility's power.
        Utility = "utility",
        /// The internet provider.
        Isp = "isp",
    }
);

upheld_model::vocabulary!(
    /// How a doubtful state counts in the formula (F8).
    CountsAs, "way to count", {
        /// In neither part of the fraction.
        Exclude = "exclude",
        /// As up.
        AsUp = "as_up",
        /// As down.
        AsDown = "as_down",
    }
);

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

read_words!(
    AvailabilityPer "unit of availability", Window "window", Exclusion "exclusion", CountsAs "way to count",
    Rounding "rounding"
);

/// The objective of availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Availability {
    /// The share of time that is promised.
    pub objective: Ratio,
    /// Measured over what.
    pub per: AvailabilityPer,
    /// Which classes of assets.
    pub class: Vec<AssetClass>,
    /// Inside which calendar.
    pub calendar: Located<BookName>,
    /// In which window.
    pub window: Window,
    /// What is left out.
    pub exclude: Vec<Exclusion>,
    /// The notice that maintenance needs.
    pub maintenance_notice_s: Option<PlainSeconds>,
    /// How unknown counts.
    pub unknown: CountsAs,
    /// More unknown than this and the figure is not proven.
    pub not_proven_above: Option<Ratio>,
    /// How degraded counts.
    pub degraded: CountsAs,
    /// What else makes a class down, in words.
    pub down_when: Vec<(AssetClass, String)>,
}

impl Read for Availability {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "availability", reading)?;
        let objective = fields.required::<Located<Ratio>>("objective", reading);
        let per = fields.optional("per", reading).unwrap_or(AvailabilityPer::Asset);
        let class = fields.list("class", reading);
        let calendar = fields.required("calendar", reading);
        let window = fields.optional("window", reading).unwrap_or(Window::Month);
        let exclude = fields.list("exclude", reading);
        let maintenance_notice_s = fields.optional("maintenance_notice", reading);
        let unknown = fields.optional("unknown", reading).unwrap_or(CountsAs::Exclude);
        let not_proven_above = fields.optional("not_proven_above", reading);
        let degraded = fields.optional("degraded", reading).unwrap_or(CountsAs::AsUp);
        let down_when = fields.node("down_when").map(|node| read_down_when(node, reading)).unwrap_or_default();
        fields.finish(reading);
        let objective = objective?;
        if objective.value > Ratio::ONE {
            reading.report(Diagnostic::new(Code::OutOfBounds, &objective.place, "nothing is up for more than 100 %"));
        }
        Some(Self {
            objective: objective.value,
            per,
            class,
            calendar: calendar?,
            window,
            exclude,
            maintenance_notice_s,
            unknown,
            not_proven_above,
            degraded,
            down_when,
        })
    }
}

fn read_down_when(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<(AssetClass, String)> {
    let mut found = Vec::new();
    for (key, value) in entries(node, "what makes a class down", reading) {
        match key.get_ref().parse::<AssetClass>() {
            Ok(class) => found.extend(String::read(value, reading).map(|text| (class, text))),
            Err(error) => {
                let place = reading.place(key);
                reading.report(Diagnostic::new(Code::UnknownWord, &place, error.to_string()));
            }
        }
    }
    found
}

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

/// What work costs in some bands of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// The calendar's bands.
    pub band: Vec<String>,
    /// The price of each manner of work that has one.
    pub prices: Vec<(Manner, RatePrice)>,
    /// The least that is charged.
    pub minimum_s: Option<PlainSeconds>,
    /// The step in which time is charged.
    pub increment_s: Option<PlainSeconds>,
    /// For the way.
    pub travel: Option<Price>,
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
