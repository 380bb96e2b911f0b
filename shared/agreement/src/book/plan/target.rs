//! One target of a plan or rider: a stage by a time.

use serde::Serialize;

use crate::{
    book::{
        code::Code,
        diagnostic::Diagnostic,
        fields::{Fields, Node, Read, Reading, one_or_many, shown},
        scalar::{PlainSeconds, wall_time},
        source::Located,
    },
    ratio::Ratio,
    terms::{After, CoveredSeconds, Within},
    words::{BookName, Manner, MeasuredFrom, PauseReason, Priority, SatisfiedBy, Stage},
};

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
    /// Where it is written: `plans/gold.toml target 1`.
    #[serde(skip)]
    pub source: String,
}

impl TargetTerms {
    /// Whether it holds for a priority.
    pub fn holds_for(&self, priority: Priority) -> bool {
        self.priority.is_empty() || self.priority.contains(&priority)
    }

    /// Whether there is a priority for which both hold.
    pub fn shares_a_priority_with(&self, other: &Self) -> bool {
        Priority::ALL.iter().any(|&priority| self.holds_for(priority) && other.holds_for(priority))
    }
}

impl Read for TargetTerms {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a target", reading)?;
        let stage = fields.required::<Located<Stage>>("stage", reading);
        let priority = fields.list("priority", reading);
        let recurs = stage.as_ref().is_some_and(|stage| stage.value == Stage::Update);
        let within = if recurs { read_every(&mut fields, reading) } else { read_within(&mut fields, reading) };
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
            source: String::new(),
        })
    }
}

/// `every = "2h"`: an update is due again and again.
fn read_every(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<Located<Within>> {
    let every: Located<CoveredSeconds> = fields.required("every", reading)?;
    if every.value.0 == 0 {
        reading.report(Diagnostic::new(Code::OutOfBounds, &every.place, "an update cannot be due all the time"));
        return None;
    }
    Some(Located { value: Within::Covered { seconds: every.value }, place: every.place })
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
