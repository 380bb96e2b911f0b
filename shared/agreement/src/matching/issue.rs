//! What an incident is and how much hangs on it: the catalogue's entry, the impact, the priority.

use upheld_model::AssetClass;

use super::{Asked, Candidate, MatchQuery};
use crate::{
    book::{Book, IssueEntry, Plan},
    terms::{Input, Inputs, Issue, SetBy, Why},
    words::{Level, Priority},
};

/// The answer with its reasons.
pub(super) struct Judged {
    pub(super) issue: Issue,
    pub(super) impact: Level,
    pub(super) priority: Priority,
    pub(super) inputs: Inputs,
    pub(super) why: Vec<Why>,
}

pub(super) fn judge(book: &Book, plan: &Plan, candidate: &Candidate<'_>, query: &MatchQuery, asked: &Asked) -> Judged {
    let (mut issue, mut why_issue) = first_match(book, candidate, query);
    let (mut impact, mut why_impact) = impact(book, candidate, query);
    let catalogue = why_issue.source.clone().unwrap_or_else(|| "catalogue.toml".to_owned());
    let by_book = |source: &str| SetBy::Book { source: source.to_owned() };
    let (mut by_impact, mut by_urgency) =
        (by_book(why_impact.source.as_deref().unwrap_or("book")), by_book(&catalogue));
    let mut by_complexity = by_book(&catalogue);
    if let Some((set, who)) = &asked.impact {
        why_impact = why_set("impact", *set, impact, who).with(vec![why_impact]);
        (impact, by_impact) = (*set, person(who));
    }
    if let Some((set, who)) = &asked.urgency {
        why_issue = why_set("urgency", *set, issue.urgency, who).with(vec![why_issue]);
        (issue.urgency, by_urgency) = (*set, person(who));
    }
    if let Some((set, who)) = &asked.complexity {
        (issue.complexity, by_complexity) = (Some(*set), person(who));
    }
    let matrix = format!("plans/{}.toml priority", candidate.version.plan.value);
    let by_matrix = plan.matrix.priority(impact, issue.urgency);
    let what = format!("priority {by_matrix}: impact {impact}, urgency {}", issue.urgency);
    let mut why = Why::because(what).at(matrix.clone()).with(vec![why_impact, why_issue]);
    let (mut priority, mut by_priority) = (by_matrix, SetBy::Book { source: matrix });
    if let Some((set, who)) = &asked.priority {
        why = why_set("priority", *set, by_matrix, who).with(vec![why]);
        (priority, by_priority) = (*set, person(who));
    }
    let distance = candidate.site.distance.as_ref().map(|band| Input {
        value: band.value.clone(),
        by: SetBy::Book { source: format!("clients/{}/sites/{}.toml distance", query.client, query.site) },
    });
    let inputs = Inputs {
        impact: Input { value: impact, by: by_impact },
        urgency: Input { value: issue.urgency, by: by_urgency },
        priority: Input { value: priority, by: by_priority },
        complexity: issue.complexity.map(|value| Input { value, by: by_complexity }),
        distance,
    };
    Judged { issue, impact, priority, inputs, why: vec![why] }
}

fn person(who: &str) -> SetBy {
    SetBy::Person { who: who.to_owned() }
}

fn why_set(what: &str, set: impl std::fmt::Display, found: impl std::fmt::Display, who: &str) -> Why {
    Why::because(format!("{what} {set}: set by {who}; the book gives {found}"))
}

/// The first entry that fits. `book check` requires one that matches everything, so the fallback is for books that
/// were never checked: it is as pressing as the matrix goes, because too much is promised rather than too little.
fn first_match(book: &Book, candidate: &Candidate<'_>, query: &MatchQuery) -> (Issue, Why) {
    let class = class(candidate);
    let fits = |issue: &&IssueEntry| issue.matches.fits(query.class, query.kind, query.check.as_ref(), class);
    let Some(entry) = book.catalogue.issues.iter().find(fits) else {
        let issue = Issue {
            id: "none".to_owned(),
            name: "Not in the catalogue".to_owned(),
            category: crate::words::Category::Hardware,
            urgency: Level::High,
            complexity: None,
            manner: None,
            class: query.class,
            kind: query.kind,
        };
        return (issue, Why::because("urgency high: no entry of the catalogue matches"));
    };
    let issue = Issue {
        id: entry.id.value.clone(),
        name: entry.name.clone(),
        category: entry.category,
        urgency: entry.urgency,
        complexity: entry.complexity,
        manner: entry.manner,
        class: query.class,
        kind: query.kind,
    };
    let what = format!(
        "urgency {}: {} \"{}\" is the first entry that matches class {}, kind {}, asset class {class}",
        issue.urgency, issue.id, issue.name, query.class, query.kind
    );
    (issue, Why::because(what).at(format!("catalogue.toml {}", entry.id.value)))
}

/// What the catalogue is asked for; a site as a whole is of no class.
fn class(candidate: &Candidate<'_>) -> AssetClass {
    candidate.asset.map_or(AssetClass::Other, |asset| asset.class)
}

/// High for a critical asset or a quarter of its kind at the site, medium for one asset, else low.
fn impact(book: &Book, candidate: &Candidate<'_>, query: &MatchQuery) -> (Level, Why) {
    let (client, site) = (&query.client, &query.site);
    let Some(asset) = &query.asset else {
        return (Level::Low, Why::because("impact low: it is about no asset in particular"));
    };
    if book.is_critical(client, site, asset) {
        let why = Why::because(format!("impact high: `{asset}` is of high criticality"));
        return (Level::High, why.at(format!("clients/{client}/ssa.toml asset_terms")));
    }
    if query.affected.critical_symptom {
        return (Level::High, Why::because("impact high: an asset of high criticality is affected"));
    }
    let class = class(candidate);
    let listed = candidate.site.assets.values().filter(|other| other.class == class).count();
    let total = query.affected.of_kind_total.unwrap_or(u32::try_from(listed).unwrap_or(u32::MAX)).max(1);
    let affected = query.affected.of_kind.min(total);
    let source = format!("clients/{client}/sites/{site}.toml");
    if affected >= 1 && u64::from(affected) * 4 >= u64::from(total) {
        let why = format!("impact high: {affected} of {total} of class {class} at the site, a quarter or more");
        return (Level::High, Why::because(why).at(source));
    }
    if affected >= 1 {
        let why = format!("impact medium: {affected} of {total} of class {class} at the site");
        return (Level::Medium, Why::because(why).at(source));
    }
    (Level::Low, Why::because("impact low: no asset of the site is affected").at(source))
}
