//! Plans and riders: targets that contradict each other.

use std::collections::BTreeSet;

use super::{Check, Dues};
use crate::{
    book::{CalendarFile, Code, Diagnostic, Located, Plan, TargetTerms},
    terms::{CoveredSeconds, Within},
    words::{Level, MeasuredFrom, Priority, Stage},
};

pub(super) fn validate<'a>(check: &mut Check<'a>, dues: &mut Dues<'a>) {
    let book = check.book;
    for plan in book.plans.values() {
        for target in &plan.targets {
            check.reference("calendar", "calendars", &target.calendar);
        }
        if let Some(availability) = &plan.availability {
            check.reference("calendar", "calendars", &availability.calendar);
        }
        bands_of_rates(plan, check);
        // A target that could not be read is missing here: what the others make of that is not a mistake of theirs.
        let bases = plan.extends.iter().map(|base| format!("plans/{base}.toml"));
        if bases.chain([plan.place.file.to_string()]).all(|file| !check.has_mistakes(&file)) {
            contradictions(&plan.targets, check, dues);
            chains(&plan.targets, check);
            priorities_without_promise(plan, check);
        }
    }
    for rider in book.riders.values() {
        for target in &rider.overrides {
            check.reference("calendar", "calendars", &target.calendar);
        }
    }
}

/// A rate for a band that no calendar of the plan has would never be charged. Nothing is said where a calendar could
/// not be read.
fn bands_of_rates(plan: &Plan, check: &mut Check<'_>) {
    let targets = plan.targets.iter().map(|target| &target.calendar);
    let named = targets.chain(plan.availability.as_ref().map(|availability| &availability.calendar));
    let files: Option<Vec<&CalendarFile>> =
        named.map(|calendar| check.book.calendar_files.get(&calendar.value)).collect();
    let Some(files) = files else { return };
    let there: Vec<&str> = files.iter().flat_map(|file| &file.bands).map(|band| band.name.as_str()).collect();
    let missing: Vec<&Located<String>> =
        plan.rates.iter().flat_map(|rate| &rate.band).filter(|band| !there.contains(&band.as_str())).collect();
    if files.iter().all(|file| !check.has_mistakes(&file.place.file)) {
        missing.into_iter().for_each(|band| check.no_such_thing("band", band.as_str(), &band.place, &there));
    }
}

/// E0212: what comes first is due after what comes later. Under one calendar the hours are compared; under two, the
/// dues at every start.
fn contradictions<'a>(targets: &'a [TargetTerms], check: &mut Check<'a>, dues: &mut Dues<'a>) {
    let stage =
        |wanted: Stage| targets.iter().filter(move |target| target.stage.value == wanted && target.after.is_none());
    for (first, first_word, then, then_word) in [
        (Stage::Acknowledge, "acknowledgement", Stage::Resolve, "resolution"),
        (Stage::Respond, "response", Stage::Resolve, "resolution"),
        (Stage::Workaround, "workaround", Stage::Resolve, "resolution"),
    ] {
        for earlier in stage(first) {
            let contradicted = stage(then).find(|later| is_always_later(earlier, later, dues));
            let Some(later) = contradicted else { continue };
            let message = format!("the {first_word} target is longer than the {then_word} target");
            let contradiction = Diagnostic::new(Code::ResponseAfterResolution, &earlier.within.place, message);
            check.report(
                contradiction
                    .label(format!("this is later than the {then_word}"))
                    .other(&later.within.place, format!("{then_word} is {}", by_when(later)))
                    .help(format!(
                        "let the {first_word} be due before the {then_word}, or give the {then_word} longer"
                    )),
            );
        }
    }
}

/// Whether `first` is due after `second` whenever both hold.
fn is_always_later<'a>(first: &'a TargetTerms, second: &'a TargetTerms, dues: &mut Dues<'a>) -> bool {
    let from = |target: &TargetTerms| target.measured_from.unwrap_or(MeasuredFrom::Received);
    if !first.shares_a_priority_with(second) || from(first) != from(second) {
        return false;
    }
    match (covered(first), covered(second)) {
        (Some(a), Some(b)) if first.calendar == second.calendar => a > b,
        (_, _) => match (dues.all(first), dues.all(second)) {
            (Some(first), Some(second)) => first.iter().zip(second.iter()).all(|(a, b)| a > b),
            (None, _) | (_, None) => false,
        },
    }
}

/// `16 h of covered time of calendar `business``, `12:00 of the next business day`.
pub(super) fn by_when(target: &TargetTerms) -> String {
    match target.within.value {
        Within::Covered { seconds: CoveredSeconds(seconds) } => {
            format!("{} of calendar `{}`", crate::explain::duration(seconds), target.calendar.value)
        }
        Within::NextBusinessDay { by, .. } => {
            format!("{} of the next business day of calendar `{}`", by.strftime("%H:%M"), target.calendar.value)
        }
    }
}

/// W0108: a priority that the matrix gives and no target holds for.
fn priorities_without_promise(plan: &Plan, check: &mut Check<'_>) {
    let given: BTreeSet<Priority> = Level::ALL
        .iter()
        .flat_map(|&impact| Level::ALL.iter().map(move |&urgency| plan.matrix.priority(impact, urgency)))
        .collect();
    let without = given.into_iter().filter(|&priority| !plan.targets.iter().any(|target| target.holds_for(priority)));
    let without: Vec<&str> = without.map(|priority| priority.as_str()).collect();
    if !without.is_empty() {
        let message = format!("plan \"{}\" promises nothing for {}", plan.name, without.join(" and "));
        let lacking = Diagnostic::new(Code::NothingPromised, &plan.place, message);
        check.report(lacking.help("add a target for it, or one without `priority`, which holds for all"));
    }
}

/// A target that waits for a response needs a response target for each of its priorities.
fn chains(targets: &[TargetTerms], check: &mut Check<'_>) {
    for target in targets {
        let Some(after) = &target.after else { continue };
        let lacks = Priority::ALL.iter().find(|&&priority| {
            let has_first = targets
                .iter()
                .any(|first| first.stage.value == after.stage && first.holds_for(priority) && first.after.is_none());
            target.holds_for(priority) && !has_first
        });
        if target.stage.value == after.stage {
            check.report(Diagnostic::new(Code::ChainLoop, &after.place, "the target waits for its own stage"));
        } else if let Some(priority) = lacks {
            let message = format!("the target waits for `{}`, which is not promised for {priority}", after.stage);
            check.report(Diagnostic::new(Code::ChainLoop, &after.place, message));
        }
    }
}

pub(super) fn covered(target: &TargetTerms) -> Option<CoveredSeconds> {
    match target.within.value {
        Within::Covered { seconds } => Some(seconds),
        Within::NextBusinessDay { .. } => None,
    }
}
