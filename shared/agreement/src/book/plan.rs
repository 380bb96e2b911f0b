//! `plans/*.toml`: a plan is a named set of terms; a rider overrides parts of it.

use serde::Serialize;
use toml::{Spanned, de::DeTable};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, entries, one_or_many, shown},
    scalar::{Factor, PlainSeconds, wall_time},
    source::{Located, Place},
};
use crate::{
    money::Price,
    ratio::Ratio,
    terms::{After, CoveredSeconds, Within},
    words::{BookName, Level, Manner, MeasuredFrom, PauseReason, Priority, SatisfiedBy, Stage},
};

mod kept;

pub use kept::{
    Amount, Availability, Credit, CreditLimits, CreditWhen, Escalation, Every, Prevention, Rate, RatePrice, Step,
};

/// What one file below `plans` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanFile {
    Plan(Box<Plan>),
    Rider(Rider),
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// `Gold`.
    pub name: String,
    /// Impact × urgency.
    pub matrix: Matrix,
    /// Its targets in the order of the file.
    pub targets: Vec<TargetTerms>,
    /// Factors on the targets `on-site` and `resolve`.
    pub modifiers: Modifiers,
    /// The objective of availability. Kept.
    pub availability: Option<Availability>,
    /// What is owed. Kept.
    pub credits: Vec<Credit>,
    /// How credits are capped and rounded. Kept.
    pub credit_limits: Option<CreditLimits>,
    /// What work costs. Kept.
    pub rates: Vec<Rate>,
    /// Who is told as the time runs out. Kept, beyond telling the provider's channels.
    pub escalation: Option<Escalation>,
    /// What is done before anything breaks. Kept.
    pub prevention: Option<Prevention>,
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

/// A target as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetTerms {
    /// What is promised.
    pub stage: Located<Stage>,
    /// For which priorities; for all, when empty.
    pub priority: Vec<Priority>,
    /// By when.
    pub within: Located<Within>,
    /// Counted under which calendar.
    pub calendar: Located<BookName>,
    /// The manners of response that satisfy it. A rider without any keeps those of the plan.
    pub manner: Vec<Manner>,
    /// What satisfies a `respond` target.
    pub satisfied_by: Option<SatisfiedBy>,
    /// From where it is measured.
    pub measured_from: Option<MeasuredFrom>,
    /// The stage that must go unresolved first.
    pub after: Option<Located<After>>,
    /// When to warn. A rider without any keeps those of the plan.
    pub warn_at: Vec<Ratio>,
    /// For which reasons it may stand still.
    pub pause_for: Vec<PauseReason>,
    /// The longest that one pause may last.
    pub longest_pause_s: Option<PlainSeconds>,
    /// What a tightening change must leave (F3).
    pub grace_s: Option<PlainSeconds>,
}

impl TargetTerms {
    /// Whether it holds for a priority.
    pub fn holds_for(&self, priority: Priority) -> bool {
        self.priority.is_empty() || self.priority.contains(&priority)
    }
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
    let overrides = fields.list("override", reading);
    fields.finish(reading);
    Some(Rider { name: name?, price, overrides, place })
}

fn read_plan(mut fields: Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<Plan> {
    let place = reading.start_of_file();
    let name = fields.required("name", reading);
    let matrix = fields.optional("priority", reading).unwrap_or(Matrix::USUAL);
    let targets = fields.list("target", reading);
    let modifiers = fields.optional("modifiers", reading).unwrap_or_default();
    for (key, feature) in [
        ("availability", "availability"),
        ("credit", "credits"),
        ("credit_limits", "credits"),
        ("rate", "rates"),
        ("escalation", "escalation"),
        ("prevention", "prevention"),
    ] {
        if let Some(node) = fields.node(key) {
            reading.keep(feature, node);
        }
    }
    let availability = fields.optional("availability", reading);
    let credits = fields.list("credit", reading);
    let credit_limits = fields.optional("credit_limits", reading);
    let rates = fields.list("rate", reading);
    let escalation = fields.optional("escalation", reading);
    let prevention = fields.optional("prevention", reading);
    fields.finish(reading);
    Some(Plan {
        name: name?,
        matrix,
        targets,
        modifiers,
        availability,
        credits,
        credit_limits,
        rates,
        escalation,
        prevention,
        place,
    })
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

impl Read for TargetTerms {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a target", reading)?;
        let stage = fields.required::<Located<Stage>>("stage", reading);
        if let Some(stage) = &stage {
            refuse_unbuilt(stage, reading);
        }
        let priority = fields.list("priority", reading);
        let within = read_within(&mut fields, reading);
        let calendar = fields.required("calendar", reading);
        let manner = fields.list("manner", reading);
        let satisfied_by = fields.optional("satisfied_by", reading);
        let measured_from = fields.optional("measured_from", reading);
        let after = fields.optional("after", reading);
        let mut warn_at: Vec<Ratio> =
            fields.node("warn_at").map(|node| read_fractions(node, reading)).unwrap_or_default();
        warn_at.sort();
        warn_at.dedup();
        let pause_for = fields.list("pause_for", reading);
        let longest_pause_s = fields.optional("longest_pause", reading);
        let grace_s = fields.optional("grace", reading);
        fields.finish(reading);
        Some(Self {
            stage: stage?,
            priority,
            within: within?,
            calendar: calendar?,
            manner,
            satisfied_by,
            measured_from,
            after,
            warn_at,
            pause_for,
            longest_pause_s,
            grace_s,
        })
    }
}

/// Stages that no clock watches yet: to accept one would promise what nobody keeps.
fn refuse_unbuilt(stage: &Located<Stage>, reading: &mut Reading<'_>) {
    match stage.value {
        Stage::Acknowledge | Stage::Respond | Stage::OnSite | Stage::Workaround | Stage::Resolve => {}
        Stage::Update | Stage::VisitReport | Stage::RestoreTest => {
            let message = format!("target stage `{}` is known but not built yet", stage.value);
            reading.report(Diagnostic::new(Code::NotBuilt, &stage.place, message));
        }
    }
}

/// `within = "4h"`, or `by = "12:00 next business day"` with `received_by = "16:00"`.
fn read_within(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<Located<Within>> {
    let within = fields.node("within");
    let by = fields.node("by");
    let received_by = fields.node("received_by");
    match (within, by) {
        (Some(within), None) => {
            if let Some(cut_off) = received_by {
                let place = reading.place(cut_off);
                reading.report(Diagnostic::new(
                    Code::BadValue,
                    &place,
                    "`received_by` goes with `by`, not with `within`",
                ));
            }
            let seconds = Located::<CoveredSeconds>::read(within, reading)?;
            Some(Located { value: Within::Covered { seconds: seconds.value }, place: seconds.place })
        }
        (None, Some(by)) => {
            let received_by = received_by.and_then(|node| jiff::civil::Time::read(node, reading));
            let place = reading.place(by);
            let text = String::read(by, reading)?;
            let time = text.strip_suffix(" next business day").and_then(wall_time);
            if time.is_none() {
                reading.bad_value(
                    by,
                    format!(
                        "{:?} is not a wall time of a business day: write \"12:00 next business day\"",
                        shown(&text)
                    ),
                );
            }
            Some(Located { value: Within::NextBusinessDay { by: time?, received_by }, place })
        }
        (Some(_), Some(by)) => {
            let place = reading.place(by);
            reading.report(
                Diagnostic::new(Code::BadValue, &place, "a target has `within` or `by`, not both")
                    .help("write two targets: the earlier due counts"),
            );
            None
        }
        (None, None) => {
            fields.missing("within", reading);
            None
        }
    }
}

fn read_fractions(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<Ratio> {
    let found: Vec<Located<Ratio>> = one_or_many(node, reading);
    for fraction in &found {
        if fraction.value > Ratio::ONE || fraction.of(1_000_000) == 0 {
            let message = "a warning is above 0 % and at most 100 % of its target";
            reading.report(Diagnostic::new(Code::OutOfBounds, &fraction.place, message));
        }
    }
    found.into_iter().map(|fraction| fraction.value).collect()
}

impl Read for After {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "what comes first", reading)?;
        let stage = fields.required::<Located<Stage>>("stage", reading);
        let unresolved_for = fields.required("unresolved_for", reading);
        fields.finish(reading);
        let stage = stage?;
        if stage.value != Stage::Respond {
            let message = format!("a target that waits for `{}` is known but not built yet", stage.value);
            reading.report(Diagnostic::new(Code::NotBuilt, &stage.place, message).help("it may wait for `respond`"));
        }
        Some(Self { stage: stage.value, unresolved_for: unresolved_for? })
    }
}
