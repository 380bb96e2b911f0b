//! `work`: who worked for an incident, when and how. Entries are facts: a correction stands beside what it corrects.

use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_agreement::rate::Entry;
use upheld_desk::{Scope, WorkEntry};

use super::{Context, people::MannerWord, typist};
use crate::{
    failure::{Exit, Failure},
    when,
};

/// What can be done with entries of work.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Enter work for an incident, or correct an entry.
    Add(AddArgs),
    /// The entries of an incident, with what was corrected.
    List {
        /// `INC-7`, or `client/INC-7`.
        incident: String,
    },
}

/// An entry.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// Who worked.
    #[arg(long, value_name = "NAME")]
    who: String,
    /// How.
    #[arg(long, value_enum)]
    manner: MannerWord,
    /// From when.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Until when; the same time as --from, with --corrects, takes that entry back.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// The number of the entry in whose place this one stands.
    #[arg(long, value_name = "NUMBER")]
    corrects: Option<u64>,
    /// A note for the timeline.
    #[arg(long)]
    note: Option<String>,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Add(args) => add(args, context),
        Command::List { incident } => list(&incident, context),
    }
}

fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let (incident, entries, zone) = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let (from, to) = (when::instant(&args.from, &zone)?, when::instant(&args.to, &zone)?);
        let incident = desk.find_incident(&Scope::Provider, &args.incident).await?;
        let manner = args.manner.manner();
        let work = WorkEntry { worker: args.who, manner, from, to, corrects: args.corrects, note: args.note };
        desk.add_work(&Scope::Provider, &incident, work, &typist(), now).await?;
        let entries = desk.work_of(&Scope::Provider, &incident).await?;
        Ok::<_, Failure>((incident, entries, zone))
    })?;
    let entry = entries.last().ok_or_else(|| Failure::new(Exit::Failed, "the entry is not there"))?;
    let text = format!("{incident}: entered as {}.", line(entry, &zone));
    context.output.result(&text, || json!({ "schema": "upheld.work/1", "incident": incident, "entries": entries }))?;
    Ok(Exit::Ok)
}

fn list(incident: &str, context: &Context) -> Result<Exit, Failure> {
    let (incident, entries, zone) = context.with_desk(async |desk, _| {
        let zone = context.zone(desk).await?;
        let incident = desk.find_incident(&Scope::Provider, incident).await?;
        let entries = desk.work_of(&Scope::Provider, &incident).await?;
        Ok::<_, Failure>((incident, entries, zone))
    })?;
    let mut text = match entries.len() {
        0 => format!("{incident}: no work was entered. Enter it: upheld-collector work add {incident} --who NAME …\n"),
        _ => format!("{incident}\n"),
    };
    entries.iter().for_each(|entry| text.push_str(&format!("  {}\n", line(entry, &zone))));
    context.output.result(&text, || json!({ "schema": "upheld.work/1", "incident": incident, "entries": entries }))?;
    Ok(Exit::Ok)
}

/// `5  ben on-site 2026-11-16 10:00 to 12:00 CST, by ana at …, corrected by 7`.
fn line(entry: &Entry, zone: &TimeZone) -> String {
    let at = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let work = &entry.work;
    let time = if work.from == work.to {
        "nothing".to_owned()
    } else {
        format!("{} {} {} to {}", work.who, work.manner, at(work.from), at(work.to))
    };
    let corrects = entry.corrects.map(|number| format!(", in place of {number}")).unwrap_or_default();
    let corrected = entry.corrected_by.map(|number| format!(", corrected by {number}")).unwrap_or_default();
    format!("{}  {time} (entered by {} at {}){corrects}{corrected}", entry.fact, entry.entered_by, at(entry.entered_at))
}
