//! `book plan`: what an application would change, in words.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_agreement::book::changes::{FileChange, FileVerb};
use upheld_desk::book::{AgreementPlan, BookPlan, IncidentPlan, SitePlan, VersionVerb};

use super::{Context, Report, folder::BookFolder};
use crate::failure::{Exit, Failure};

pub(super) fn run(folder: &BookFolder, context: &Context) -> Result<Exit, Failure> {
    let report = Report::of(folder, context);
    if report.outcome().is_err() {
        context.output.result(&report.text(context), || report.document("upheld.book-plan/1"))?;
        return report.outcome().map(|()| Exit::Ok);
    }
    let files = folder.files.clone();
    let (plan, now) = context.with_desk(async |desk, now| desk.plan_book(files, now).await.map(|plan| (plan, now)))?;
    let zone = report.zone.clone();
    context.output.result(&text(&plan, now, &zone), || {
        let mut document = json!(plan);
        document["schema"] = json!("upheld.book-plan/1");
        document["warnings"] = json!(report.warnings.len());
        document
    })?;
    Ok(Exit::Ok)
}

fn text(plan: &BookPlan, now: Timestamp, zone: &TimeZone) -> String {
    let mut text = match plan.version {
        None => "No book is in force yet: all of this is new.\n".to_owned(),
        Some(version) if plan.files.is_empty() => {
            return format!("Nothing would change: book version {version} holds these files already.");
        }
        Some(version) => format!("Book version {version} is in force; this would be version {}.\n", version + 1),
    };
    section(&mut text, "Files", plan.files.iter().map(file_in_words));
    section(&mut text, "Agreements", plan.agreements.iter().map(|agreement| self::agreement(agreement, now, zone)));
    section(&mut text, "Open incidents", plan.incidents.iter().map(|one| incident(one, zone)));
    if plan.version.is_some() && plan.incidents.is_empty() {
        text.push_str("\nOpen incidents\n  each stays under the terms that were pinned to it\n");
    }
    section(&mut text, "Agents", plan.sites.iter().map(site));
    section(&mut text, "It would be REFUSED", plan.refusals.iter().map(|refusal| refusal.replace('\n', "\n  ")));
    text
}

fn section(text: &mut String, title: &str, entries: impl Iterator<Item = String>) {
    let mut is_first = true;
    for entry in entries {
        if is_first {
            let _ = writeln!(text, "\n{title}");
            is_first = false;
        }
        let _ = writeln!(text, "  {entry}");
    }
}

/// A file's changes, a line each below its name.
pub(super) fn file_in_words(change: &FileChange) -> String {
    let verb = match change.what {
        FileVerb::New => "new",
        FileVerb::Gone => "gone",
        FileVerb::Changed => "changed",
        FileVerb::Rewritten => "rewritten, says the same",
    };
    let mut said = format!("{}: {verb}", change.file);
    change.lines.iter().for_each(|line| said.push_str(&format!("\n      {line}")));
    said
}

fn agreement(plan: &AgreementPlan, now: Timestamp, zone: &TimeZone) -> String {
    let AgreementPlan { client, version, what, from, diff } = plan;
    let verb = match what {
        VersionVerb::New => "is new",
        VersionVerb::Changed => "is changed",
        VersionVerb::Gone => "is taken out",
    };
    let when = if *from <= now { "in force since" } else { "takes effect" };
    let mut said = format!("{client}: {version} {verb}, {when} {}", day(*from, zone));
    if let Some(diff) = diff {
        if *what == VersionVerb::New {
            said.push_str(&format!("; against {}:", diff.before));
        }
        diff.lines().iter().for_each(|line| said.push_str(&format!("\n      {line}")));
    }
    said
}

fn incident(plan: &IncidentPlan, zone: &TimeZone) -> String {
    let mut said = format!("{}, under {}", plan.incident, plan.version);
    if plan.amended_by.is_empty() {
        said.push_str(": no amendment acts on it any more");
    }
    for amendment in &plan.amended_by {
        said.push_str(&format!(
            ": {} acts on it from {} ({})",
            amendment.version,
            moment(amendment.from, zone),
            amendment.how
        ));
    }
    for clock in &plan.clocks {
        let due = |due: Option<Timestamp>| due.map_or_else(|| "no due".to_owned(), |due| moment(due, zone));
        said.push_str(&match (clock.due, clock.new_due) {
            (old, new) if old == new => format!("\n      {}: due as before, {}", clock.stage, due(old)),
            (old, new) => format!("\n      {}: due {} → {}", clock.stage, due(old), due(new)),
        });
    }
    said
}

fn site(plan: &SitePlan) -> String {
    let SitePlan { client, site, new, gone, changed } = plan;
    let each = [("start", new), ("end", gone), ("change", changed)];
    let each = each.iter().filter(|(_, checks)| !checks.is_empty());
    let said: Vec<String> =
        each.map(|(verb, checks)| format!("{} {verb} ({})", checks.len(), checks.join(", "))).collect();
    format!("{client}/{site}: of its checks {}", said.join(", "))
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %-d %b %Y %H:%M:%S %Z").to_string()
}
