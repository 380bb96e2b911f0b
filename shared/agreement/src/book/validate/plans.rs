//! Plans and riders: targets that contradict each other.

use super::Check;
use crate::{
    book::{CalendarFile, Code, Diagnostic, Located, Plan, TargetTerms},
    terms::{CoveredSeconds, Within},
    words::{Priority, Stage},
};

pub(super) fn validate(check: &mut Check<'_>) {
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
        if !check.has_mistakes(&plan.place.file) {
            response_before_resolution(&plan.targets, check);
            chains(&plan.targets, check);
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

/// E0212, for targets of one priority under one calendar; under two calendars hours cannot be compared.
fn response_before_resolution(targets: &[TargetTerms], check: &mut Check<'_>) {
    let stage = |wanted: Stage| targets.iter().filter(move |target| target.stage.value == wanted);
    for respond in stage(Stage::Respond) {
        let contradicted = stage(Stage::Resolve).find(|resolve| {
            resolve.calendar == respond.calendar
                && respond.shares_a_priority_with(resolve)
                && matches!((covered(respond), covered(resolve)), (Some(a), Some(b)) if a > b)
        });
        if let (Some(resolve), Some(CoveredSeconds(resolution_s))) = (contradicted, contradicted.and_then(covered)) {
            let message = "the response target is longer than the resolution target";
            let hours = crate::explain::duration(resolution_s);
            let contradiction = Diagnostic::new(Code::ResponseAfterResolution, &respond.within.place, message);
            check.report(
                contradiction
                    .label("this is later than the resolution")
                    .other(&resolve.within.place, format!("resolution is {hours} of covered time")),
            );
        }
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

fn covered(target: &TargetTerms) -> Option<CoveredSeconds> {
    match target.within.value {
        Within::Covered { seconds } => Some(seconds),
        Within::NextBusinessDay { .. } => None,
    }
}
