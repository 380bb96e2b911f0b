//! What is done before anything breaks, and who is told while something is broken.

use serde::Serialize;

use super::{Asked, measure, say};
use crate::book::{Escalation, Every, Prevention};

/// Who is told as the time runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EscalationClaim {
    /// The plan's terms.
    pub terms: Escalation,
}

/// Visits, restore tests, reviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreventionClaim {
    /// The plan's terms.
    pub terms: Prevention,
}

pub(super) fn escalation(asked: &Asked<'_>) -> Option<EscalationClaim> {
    asked.plan.escalation.clone().filter(|terms| !terms.steps.is_empty()).map(|terms| EscalationClaim { terms })
}

pub(super) fn prevention(asked: &Asked<'_>) -> Option<PreventionClaim> {
    asked.plan.prevention.clone().map(|terms| PreventionClaim { terms })
}

impl EscalationClaim {
    pub(super) fn say(&self) -> String {
        let steps: Vec<String> = self
            .terms
            .steps
            .iter()
            .map(|step| {
                let whom = say::unhyphened(step.to.as_str());
                let only = if step.only_if_covered { " of an asset whose manufacturer stands behind it" } else { "" };
                format!("at {} the {whom}{only}", step.at.as_percent())
            })
            .collect();
        format!("As the time of a promise runs out we tell {}.", say::list(&steps, "and"))
    }
}

impl PreventionClaim {
    pub(super) fn say(&self) -> Vec<String> {
        let Prevention { visits, restore_test, review, lingering_after_s, .. } = &self.terms;
        let mut said = Vec::new();
        if let Some(visits) = visits {
            let equipment: Vec<String> = visits.equipment.iter().map(|&class| measure::noun(class)).collect();
            let at = match equipment.is_empty() {
                true => String::new(),
                false => format!(" and look at every {}", say::list(&equipment, "and")),
            };
            let report = visits
                .report_within_business_days
                .map(|days| format!("; you have our report within {}", say::many(u64::from(days), "business day")))
                .unwrap_or_default();
            said.push(format!("We visit each site every {}{at}{report}.", every(visits.every)));
        }
        if let Some(often) = restore_test {
            said.push(format!("We restore a backup and open it every {}.", every(*often)));
        }
        if let Some(often) = review {
            said.push(format!("We review this agreement with you every {}.", every(*often)));
        }
        if let Some(age) = lingering_after_s {
            said.push(format!(
                "A small problem that is open for {}, or keeps coming back for so long, is put in front of a person.",
                say::long_time(age.0)
            ));
        }
        said
    }
}

/// `month`, `3 months`.
fn every(often: Every) -> String {
    match often.count {
        1 => often.unit.to_string(),
        count => say::many(u64::from(count), often.unit.as_str()),
    }
}
