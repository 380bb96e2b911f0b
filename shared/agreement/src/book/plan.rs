//! `plans/*.toml`: a plan is a named set of terms; a rider overrides parts of it.

use serde::Serialize;
use toml::{Spanned, de::DeTable};

use super::{
    fields::{Fields, Node, Read, Reading, entries},
    scalar::Factor,
    source::Place,
};
use crate::{
    money::Price,
    words::{BookName, Level, Priority},
};
use extend::Said;

pub(crate) mod extend;
mod kept;
mod target;

pub use kept::{
    Amount, Availability, AvailabilityPer, CountsAs, Credit, CreditLimits, CreditWhen, Escalation, Every, Exclusion,
    IncludedHours, Prevention, Rate, RatePrice, Rounding, Step, Window,
};
pub use target::TargetTerms;

/// The most targets of a plan or rider; eight stages for five priorities are forty.
const TARGETS_MAX: usize = 100;

/// What one file below `plans` is.
#[derive(Debug, Clone)]
pub(crate) enum PlanFile {
    Plan(Box<Said>),
    Rider(Rider),
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// `Gold`.
    pub name: String,
    /// Impact × urgency.
    pub matrix: Matrix,
    /// Its targets in the order of the file, those of the plan that it extends behind them.
    pub targets: Vec<TargetTerms>,
    /// Factors on the targets `on-site` and `resolve`.
    pub modifiers: Modifiers,
    /// The objective of availability.
    pub availability: Option<Availability>,
    /// What is owed.
    pub credits: Vec<Credit>,
    /// How credits are capped and rounded.
    pub credit_limits: Option<CreditLimits>,
    /// What work costs.
    pub rates: Vec<Rate>,
    /// Work that the fee covers each calendar month, before the rates charge any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_hours: Option<IncludedHours>,
    /// Who is told as the time runs out. Kept, beyond telling the provider's channels.
    pub escalation: Option<Escalation>,
    /// What is done before anything breaks. Kept.
    pub prevention: Option<Prevention>,
    /// The plans that it extends, the nearest first; what they say is in it.
    #[serde(skip)]
    pub extends: Vec<BookName>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// A rider: it overrides parts of a plan from the day it is bought until it is given up, and never lengthens a
/// target, because where two targets hold the earlier due counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rider {
    /// `Premium Response`.
    pub name: String,
    /// What it costs.
    pub price: Option<Price>,
    /// Its targets. One without priority covers its whole stage.
    pub overrides: Vec<TargetTerms>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// Impact × urgency → priority; the first index is impact, the second urgency, high first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Matrix([[Priority; 3]; 3]);

impl Matrix {
    /// The usual matrix, for a plan that gives none.
    pub const USUAL: Self = Self([
        [Priority::P1, Priority::P2, Priority::P3],
        [Priority::P2, Priority::P3, Priority::P4],
        [Priority::P3, Priority::P4, Priority::P5],
    ]);

    /// The priority of an incident.
    pub fn priority(&self, impact: Level, urgency: Level) -> Priority {
        let index = |level| match level {
            Level::High => 0,
            Level::Medium => 1,
            Level::Low => 2,
        };
        self.0[index(impact)][index(urgency)]
    }
}

/// Factors on a target's time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Modifiers {
    /// By the site's distance band, in the order of the file.
    pub distance: Vec<(String, Factor)>,
    /// By the complexity.
    pub complexity: Vec<(Level, Factor)>,
}

pub(crate) fn read(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<PlanFile> {
    let mut fields = Fields::top(table, "a plan", reading);
    let is_rider = fields.optional("rider", reading).unwrap_or(false);
    if is_rider {
        return read_rider(Fields::top(table, "a rider", reading), reading).map(PlanFile::Rider);
    }
    read_plan(fields, reading).map(|plan| PlanFile::Plan(Box::new(plan)))
}

fn read_rider(mut fields: Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<Rider> {
    let place = reading.start_of_file();
    let name = fields.required("name", reading);
    fields.node("rider");
    let price = fields.optional("price", reading);
    let overrides = targets(fields.list_up_to(TARGETS_MAX, "override", reading), "override", reading);
    fields.finish(reading);
    Some(Rider { name: name?, price, overrides, place })
}

fn read_plan(mut fields: Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<Said> {
    let place = reading.start_of_file();
    let name = fields.required("name", reading);
    let extends = fields.optional("extends", reading);
    let matrix = fields.optional("priority", reading);
    let targets = targets(fields.list_up_to(TARGETS_MAX, "target", reading), "target", reading);
    let modifiers = fields.optional("modifiers", reading);
    for (key, feature) in [("escalation", "escalation"), ("prevention", "prevention")] {
        if let Some(node) = fields.node(key) {
            reading.keep(feature, node);
        }
    }
    let availability = fields.optional("availability", reading);
    let credits = fields.list("credit", reading);
    let credit_limits = fields.optional("credit_limits", reading);
    let rates = fields.list("rate", reading);
    let included_hours = fields.optional("included_hours", reading);
    let escalation = fields.optional("escalation", reading);
    let prevention = fields.optional("prevention", reading);
    fields.finish(reading);
    let plan = Plan {
        name: name?,
        matrix: Matrix::USUAL,
        targets,
        modifiers: Modifiers::default(),
        availability,
        credits,
        credit_limits,
        rates,
        included_hours,
        escalation,
        prevention,
        extends: Vec::new(),
        place,
    };
    Some(Said { extends, matrix, modifiers, plan })
}

/// The targets with the places by which explanations name them: `plans/gold.toml target 1`.
fn targets(read: Vec<TargetTerms>, what: &str, reading: &Reading<'_>) -> Vec<TargetTerms> {
    let file = reading.start_of_file().file;
    let number = |(index, target)| TargetTerms { source: format!("{file} {what} {}", index + 1), ..target };
    read.into_iter().enumerate().map(number).collect()
}

impl Read for Matrix {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the priority matrix", reading)?;
        let [high, medium, low] = ["high", "medium", "low"].map(|impact| fields.required::<Row>(impact, reading));
        fields.finish(reading);
        Some(Self([high?.0, medium?.0, low?.0]))
    }
}

/// One impact's row of the matrix.
struct Row([Priority; 3]);

impl Read for Row {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a row of the priority matrix", reading)?;
        let [high, medium, low] = ["high", "medium", "low"].map(|urgency| fields.required(urgency, reading));
        fields.finish(reading);
        Some(Self([high?, medium?, low?]))
    }
}

impl Read for Modifiers {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the modifiers", reading)?;
        let distance = fields.node("distance").map(|node| read_bands(node, reading)).unwrap_or_default();
        let complexity = fields.node("complexity").map(|node| read_complexity(node, reading)).unwrap_or_default();
        fields.finish(reading);
        Some(Self { distance, complexity })
    }
}

fn read_bands(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<(String, Factor)> {
    let found = entries(node, "distance bands", reading);
    found
        .into_iter()
        .filter_map(|(key, value)| Some((key.get_ref().to_string(), Factor::read(value, reading)?)))
        .collect()
}

fn read_complexity(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<(Level, Factor)> {
    let Some(mut fields) = Fields::of(node, "factors by complexity", reading) else { return Vec::new() };
    let factors = Level::ALL
        .iter()
        .filter_map(|&level| Some((level, fields.optional::<Factor>(level.as_str(), reading)?)))
        .collect();
    fields.finish(reading);
    factors
}
