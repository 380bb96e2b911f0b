//! How pressing an incident is: the matrix, what impact is, and the issues by name.

use super::{Asked, say};
use crate::{
    book::{IssueEntry, IssueMatch},
    words::{Category, Level, Manner, Priority},
};
use serde::Serialize;

/// For what a priority stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriorityClaim {
    /// The priority.
    pub priority: Priority,
    /// The impacts and urgencies that give it.
    pub of: Vec<(Level, Level)>,
}

/// An entry of the catalogue; the first that fits an incident is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueClaim {
    /// `HW-07`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// How pressing.
    pub urgency: Level,
    /// Hardware, software or a request.
    pub category: Category,
    /// How hard it is.
    pub complexity: Option<Level>,
    /// How it is usually handled.
    pub manner: Option<Manner>,
    /// How long the work usually takes, in seconds.
    pub service_time_s: Option<u64>,
    /// What it fits.
    pub matches: IssueMatch,
}

pub(super) fn priorities(asked: &Asked<'_>) -> Vec<PriorityClaim> {
    let cells = Level::ALL.iter().flat_map(|&impact| Level::ALL.iter().map(move |&urgency| (impact, urgency)));
    let cells: Vec<(Level, Level)> = cells.collect();
    let of = |priority: Priority| {
        let gives = |&&(impact, urgency): &&(Level, Level)| asked.plan.matrix.priority(impact, urgency) == priority;
        PriorityClaim { priority, of: cells.iter().filter(gives).copied().collect() }
    };
    Priority::ALL.iter().map(|&priority| of(priority)).filter(|claim| !claim.of.is_empty()).collect()
}

pub(super) fn issues(asked: &Asked<'_>) -> Vec<IssueClaim> {
    let claim = |issue: &IssueEntry| IssueClaim {
        id: issue.id.value.clone(),
        name: issue.name.clone(),
        urgency: issue.urgency,
        category: issue.category,
        complexity: issue.complexity,
        manner: issue.manner,
        service_time_s: issue.service_time_s.map(|seconds| seconds.0),
        matches: issue.matches.clone(),
    };
    asked.book.catalogue.issues.iter().map(claim).collect()
}

/// What impact is. The matcher's own rule, the same for every agreement.
pub(super) const IMPACT: &str = "The impact is high if a critical asset is affected or a quarter or more of its kind \
    at the site, medium if it is one asset, else low. Impact and urgency give the priority:";

impl PriorityClaim {
    pub(super) fn say(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        for &impact in Level::ALL {
            let urgencies: Vec<&str> =
                self.of.iter().filter(|(of, _)| *of == impact).map(|(_, urgency)| urgency.as_str()).collect();
            if !urgencies.is_empty() {
                said.push(format!("{impact} impact with {} urgency", say::list(&urgencies, "or")));
            }
        }
        format!("{} is {}.", self.priority, say::list(&said, "or"))
    }
}

impl IssueClaim {
    /// `HW-07 Recorder storage failure (recording, on a recorder): high urgency, hardware of high complexity.`
    pub(super) fn say(&self) -> String {
        let mut what = format!("{} urgency, {}", self.urgency, self.category);
        if let Some(complexity) = self.complexity {
            what += &format!(" of {complexity} complexity");
        }
        if let Some(manner) = self.manner {
            what += &format!(", usually {}", say::manner(manner));
        }
        if let Some(seconds) = self.service_time_s {
            what += &format!(", usually {} of work", say::time(seconds));
        }
        format!("{} {} ({}): {what}.", self.id, self.name, fits(&self.matches))
    }
}

fn fits(matches: &IssueMatch) -> String {
    if matches.is_catch_all() {
        return "everything else".to_owned();
    }
    let words = |words: Vec<String>| (!words.is_empty()).then(|| say::list(&words, "or"));
    let class = words(matches.class.iter().map(|class| say::unhyphened(class.as_str())).collect());
    let kind = words(matches.kind.iter().map(|kind| say::unhyphened(kind.as_str())).collect());
    let check = words(matches.check.iter().map(ToString::to_string).collect());
    let asset = words(matches.asset.iter().map(|&class| super::measure::a(class)).collect());
    let (check, asset) = (check.map(|check| format!("found by {check}")), asset.map(|asset| format!("on {asset}")));
    [class, kind, check, asset].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
