//! A plan that extends another: everything that it does not say stays as the other has it (TERMS 2, plans).
//!
//! A target takes the place of the other plan's for its stage and its priorities, one without priority for the whole
//! stage; credits, rates and every other part are taken whole. What is extended may itself extend; a circle is refused
//! by name. Nothing is merged at run time: the plans of a [`crate::book::Book`] are complete.

use std::collections::{BTreeMap, BTreeSet};

use super::{Matrix, Modifiers, Plan, PlanFile, TargetTerms};
use crate::{
    book::{code::Code, diagnostic::Diagnostic, nearest::nearest, source::Located},
    words::{BookName, Priority},
};

/// The files below `plans` as they were read.
pub(crate) type PlanFiles = BTreeMap<BookName, PlanFile>;

/// A plan as its file says it: what is `None` or empty stays as the extended plan has it.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) extends: Option<Located<BookName>>,
    pub(crate) matrix: Option<Matrix>,
    pub(crate) modifiers: Option<Modifiers>,
    /// The rest of it; its matrix and modifiers are the usual ones.
    pub(crate) plan: Plan,
}

/// The longest way from a plan to the one that extends nothing. A person loses the thread long before.
const CHAIN_MAX: usize = 16;

/// Every plan complete. One that extends what is not there, a rider or itself is left out, and reported; `unread` are
/// the files that were reported before.
pub(crate) fn complete(
    files: &PlanFiles,
    unread: &BTreeSet<BookName>,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<BookName, Plan> {
    let mut plans = BTreeMap::new();
    let mut refused: BTreeSet<&BookName> = unread.iter().collect();
    for name in files.keys() {
        let Some(chain) = chain(name, files, &plans, &mut refused, found) else { continue };
        // From the plan that extends nothing, or that is complete already, down to this one.
        for (name, said) in chain.into_iter().rev() {
            let base = said.extends.as_ref().and_then(|base| plans.get(&base.value));
            let bases = said.extends.iter().map(|base| base.value.clone());
            let extends = bases.chain(base.into_iter().flat_map(|base| base.extends.clone())).collect();
            let plan = Plan { extends, ..said.clone().over(base) };
            plans.insert(name.clone(), plan);
        }
    }
    plans
}

/// The plan and those that it extends, as far as they are not complete yet.
fn chain<'a>(
    name: &'a BookName,
    files: &'a PlanFiles,
    complete: &BTreeMap<BookName, Plan>,
    refused: &mut BTreeSet<&'a BookName>,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<(&'a BookName, &'a Said)>> {
    let mut chain: Vec<(&BookName, &Said)> = Vec::new();
    let mut next = name;
    while !complete.contains_key(next) {
        match files.get(next) {
            Some(PlanFile::Plan(said)) if !refused.contains(next) => {
                if let Some(from) = chain.iter().position(|(known, _)| *known == next) {
                    report_circle(&chain[from..], found);
                } else if chain.len() == CHAIN_MAX {
                    report_too_long(chain[0].1, found);
                } else {
                    chain.push((next, said));
                    match &said.extends {
                        Some(base) => next = &base.value,
                        None => break,
                    }
                    continue;
                }
            }
            Some(PlanFile::Plan(_)) => {}
            Some(PlanFile::Rider(_)) | None if refused.contains(next) => {}
            Some(PlanFile::Rider(_)) | None => {
                // A rider at the start of the chain is no plan to complete; further on, who extends it is wrong.
                if let Some((_, extending)) = chain.last() {
                    report_no_plan(extending, next, files, found);
                }
            }
        }
        refused.extend(chain.iter().map(|(name, _)| *name));
        return None;
    }
    Some(chain)
}

fn report_too_long(first: &Said, found: &mut Vec<Diagnostic>) {
    let Some(base) = &first.extends else { return };
    let message = format!("the plan extends others through more than {CHAIN_MAX} plans");
    found.push(Diagnostic::new(Code::OutOfBounds, &base.place, message).help("extend one that says more itself"));
}

fn report_no_plan(extending: &Said, base: &BookName, files: &PlanFiles, found: &mut Vec<Diagnostic>) {
    let Some(place) = extending.extends.as_ref().map(|base| &base.place) else { return };
    let missing = if files.contains_key(base) {
        let message = format!("`{base}` is a rider, and a plan extends a plan");
        Diagnostic::new(Code::NoSuchThing, place, message).help("name the rider in the agreement's `riders`")
    } else {
        let plans: Vec<&str> =
            files.iter().filter(|(_, file)| matches!(file, PlanFile::Plan(_))).map(|(name, _)| name.as_str()).collect();
        let missing = Diagnostic::new(Code::NoSuchThing, place, format!("there is no plan `{base}`"));
        match nearest(base.as_str(), plans.iter().copied()) {
            Some(meant) => missing.help(format!("did you mean `{meant}`?")),
            None => missing.help(format!("there are {}", plans.join(", "))),
        }
    };
    found.push(missing);
}

/// Reports a circle once, with every plan in it.
fn report_circle(circle: &[(&BookName, &Said)], found: &mut Vec<Diagnostic>) {
    let names: Vec<String> = circle.iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = match names.as_slice() {
        [one] => format!("plan {one} extends itself"),
        _ => format!("plans {} extend each other in a circle", names.join(", ")),
    };
    let places: Vec<_> = circle.iter().filter_map(|(_, said)| said.extends.as_ref()).collect();
    let Some((first, others)) = places.split_first() else { return };
    let mut refused = Diagnostic::new(Code::PlanCircle, &first.place, message);
    for other in others {
        refused = refused.other(&other.place, "and this");
    }
    found.push(refused.help("one of them says everything itself: take its `extends` out"));
}

impl Said {
    /// The plan with everything that it does not say as `base` has it.
    fn over(self, base: Option<&Plan>) -> Plan {
        let Self { extends: _, matrix, modifiers, plan } = self;
        let Some(base) = base else {
            return Plan { matrix: matrix.unwrap_or(Matrix::USUAL), modifiers: modifiers.unwrap_or_default(), ..plan };
        };
        let kept = base.targets.iter().filter_map(|target| left_by(target, &plan.targets));
        let kept: Vec<TargetTerms> = kept.collect();
        Plan {
            name: plan.name,
            matrix: matrix.unwrap_or(base.matrix),
            targets: plan.targets.into_iter().chain(kept).collect(),
            modifiers: modifiers.unwrap_or_else(|| base.modifiers.clone()),
            availability: plan.availability.or_else(|| base.availability.clone()),
            credits: said_or(plan.credits, &base.credits),
            credit_limits: plan.credit_limits.or_else(|| base.credit_limits.clone()),
            included_hours: plan.included_hours.or(base.included_hours),
            rates: said_or(plan.rates, &base.rates),
            escalation: plan.escalation.or_else(|| base.escalation.clone()),
            prevention: plan.prevention.or_else(|| base.prevention.clone()),
            extends: plan.extends,
            place: plan.place,
        }
    }
}

fn said_or<T: Clone>(said: Vec<T>, base: &[T]) -> Vec<T> {
    if said.is_empty() { base.to_vec() } else { said }
}

/// What is left of a target when others take the place of their stage and priorities.
fn left_by(target: &TargetTerms, others: &[TargetTerms]) -> Option<TargetTerms> {
    let takes = |priority: Priority| {
        others.iter().any(|other| other.stage.value == target.stage.value && other.holds_for(priority))
    };
    let held = Priority::ALL.iter().copied().filter(|&priority| target.holds_for(priority));
    let left: Vec<Priority> = held.clone().filter(|&priority| !takes(priority)).collect();
    if left.len() == held.count() {
        return Some(target.clone());
    }
    (!left.is_empty()).then(|| TargetTerms { priority: left, ..target.clone() })
}
