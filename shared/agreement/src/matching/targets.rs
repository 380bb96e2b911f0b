//! What is promised for a priority: the plan's targets, and those of the riders beside them.

use super::Candidate;
use crate::{
    book::{Book, Plan, TargetTerms},
    terms::{CoveredSeconds, Modified, Target, Why, Within},
    words::{BookName, Level, Manner, MeasuredFrom, Priority, SatisfiedBy, Stage},
};

/// The targets, and why these.
pub(super) fn targets(
    book: &Book,
    plan: &Plan,
    candidate: &Candidate<'_>,
    complexity: Option<Level>,
    priority: Priority,
) -> (Vec<Target>, Vec<Why>) {
    let plan_name = &candidate.version.plan.value;
    let (mut targets, mut why) = (Vec::new(), Vec::new());
    for terms in &plan.targets {
        let source = terms.source.clone();
        if !terms.holds_for(priority) {
            why.push(not_used(terms, &source, priority));
            continue;
        }
        let factors = factors(plan, plan_name, candidate, complexity, terms.stage.value);
        targets.push(pinned(terms, source, factors));
    }
    for rider in &candidate.version.riders {
        let Some(overrides) = book.riders.get(&rider.value).map(|rider| &rider.overrides) else { continue };
        for terms in overrides {
            let source = terms.source.clone();
            if !terms.holds_for(priority) {
                why.push(not_used(terms, &source, priority));
                continue;
            }
            // A rider is bought as it is written: the plan's factors do not lengthen it.
            let mut target = pinned(terms, source, Vec::new());
            inherit(&mut target, terms, &targets);
            targets.push(target);
        }
    }
    let used = targets.iter().map(|target| Why::because(in_words(target)).at(target.source.clone()));
    let why = used.collect::<Vec<_>>().into_iter().chain(why).collect();
    (targets, why)
}

fn not_used(terms: &TargetTerms, source: &str, priority: Priority) -> Why {
    Why::because(format!("not used: a target `{}` that does not hold for {priority}", terms.stage.value)).at(source)
}

fn pinned(terms: &TargetTerms, source: String, modified: Vec<Modified>) -> Target {
    let within = match terms.within.value {
        // One rounding at the end, down: exact factors never add up to more than they say.
        Within::Covered { seconds } => {
            let factor = modified.iter().fold(crate::ratio::Ratio::ONE, |product, by| product.times(by.factor));
            Within::Covered { seconds: CoveredSeconds(factor.of(seconds.0)) }
        }
        by @ Within::NextBusinessDay { .. } => by,
    };
    Target {
        stage: terms.stage.value,
        within,
        calendar: terms.calendar.value.clone(),
        manners: terms.manner.clone(),
        satisfied_by: terms.satisfied_by.unwrap_or(SatisfiedBy::Response),
        measured_from: terms.measured_from.unwrap_or(MeasuredFrom::Received),
        after: terms.after.as_ref().map(|after| after.value),
        warn_at: terms.warn_at.clone(),
        pause_for: terms.pause_for.clone(),
        longest_pause_s: terms.longest_pause_s.map(|seconds| seconds.0),
        grace_s: terms.grace_s.map_or(0, |seconds| seconds.0),
        modified,
        source,
    }
}

/// What a rider does not say stays as the plan has it: the manners, the warnings, what satisfies it and from where it is
/// measured. Pauses are not among them: a rider that allows none must not be stopped by the plan's.
fn inherit(target: &mut Target, terms: &TargetTerms, before: &[Target]) {
    let Some(overridden) = before.iter().find(|other| other.stage == target.stage) else { return };
    if terms.manner.is_empty() {
        target.manners = overridden.manners.clone();
    }
    if terms.warn_at.is_empty() {
        target.warn_at = overridden.warn_at.clone();
    }
    target.satisfied_by = terms.satisfied_by.unwrap_or(overridden.satisfied_by);
    target.measured_from = terms.measured_from.unwrap_or(overridden.measured_from);
}

/// The plan's factors for on-site and resolve; other stages have none.
fn factors(
    plan: &Plan,
    name: &BookName,
    candidate: &Candidate<'_>,
    complexity: Option<Level>,
    stage: Stage,
) -> Vec<Modified> {
    match stage {
        Stage::OnSite | Stage::Resolve => {}
        Stage::Acknowledge
        | Stage::Respond
        | Stage::Update
        | Stage::Workaround
        | Stage::VisitReport
        | Stage::RestoreTest => return Vec::new(),
    }
    let band = candidate.site.distance.as_ref().map(|band| band.value.as_str());
    let distance = plan.modifiers.distance.iter().find(|(known, _)| Some(known.as_str()) == band);
    let complexity = plan.modifiers.complexity.iter().find(|(level, _)| Some(*level) == complexity);
    let by_distance = distance.map(|(band, factor)| (format!("distance {band}"), factor.0));
    let by_complexity = complexity.map(|(level, factor)| (format!("complexity {level}"), factor.0));
    by_distance
        .into_iter()
        .chain(by_complexity)
        .filter(|(_, factor)| *factor != crate::ratio::Ratio::ONE)
        .map(|(by, factor)| Modified { by: format!("{by} ({name})"), factor })
        .collect()
}

/// A target as a reason: `respond within 4 h of business, by remote or phone`.
pub(crate) fn in_words(target: &Target) -> String {
    let word = if target.stage == Stage::Update { "every" } else { "within" };
    let within = match target.within {
        Within::Covered { seconds } => {
            format!("{word} {} of calendar `{}`", crate::explain::duration(seconds.0), target.calendar)
        }
        Within::NextBusinessDay { by, received_by } => {
            let cut_off = received_by.map(|at| format!(", received by {}", at.strftime("%H:%M"))).unwrap_or_default();
            format!("by {} on the next business day of calendar `{}`{cut_off}", by.strftime("%H:%M"), target.calendar)
        }
    };
    let manners: Vec<&str> = target.manners.iter().map(|manner: &Manner| manner.as_str()).collect();
    let manners = if manners.is_empty() { String::new() } else { format!(", by {}", manners.join(" or ")) };
    let factors: String =
        target.modified.iter().map(|by| format!(", × {} for {}", by.factor.as_decimal(), by.by)).collect();
    let satisfied = match target.satisfied_by {
        SatisfiedBy::Acknowledge => ", satisfied by an acknowledgement too",
        SatisfiedBy::Response => "",
    };
    let measured = match target.measured_from {
        MeasuredFrom::Received => String::new(),
        from @ (MeasuredFrom::Detected | MeasuredFrom::Reported) => format!(", measured from {from}"),
    };
    format!("{} {within}{manners}{factors}{satisfied}{measured}", target.stage)
}
