//! `queue`: open incidents as the portal lists them, once.

use std::fmt::Write as _;

use serde_json::json;
use upheld_desk::{Queue, QueueRow, Scope, said::ClockSaid};
use upheld_web::words;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// As of when.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Compute as of this time.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let queue = context.with_desk(async |desk, now| {
        let at = match &args.at {
            Some(text) => when::instant(text, &context.zone(desk).await?)?,
            None => now,
        };
        Ok::<_, Failure>(desk.queue(&Scope::Provider, at).await?)
    })?;
    context.output.result(&text(&queue), || json!({ "schema": "upheld.queue/1", "queue": queue }))?;
    Ok(Exit::Ok)
}

fn text(queue: &Queue) -> String {
    let mut text: String = words::reminders(queue).into_iter().map(|line| format!("{line}\n")).collect();
    if queue.rows.is_empty() {
        text.push_str(&words::nothing_runs(queue));
        return text;
    }
    let mut group = None;
    for row in &queue.rows {
        if group != Some(row.group) {
            group = Some(row.group);
            let count = queue.rows.iter().filter(|other| other.group == row.group).count();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} ({count})", words::group(row.group));
        }
        write_row(&mut text, row);
    }
    text
}

fn write_row(text: &mut String, row: &QueueRow) {
    let none = ClockSaid { countdown: "-".to_owned(), ..ClockSaid::default() };
    let ClockSaid { stage, countdown: left, standing: due, .. } = row.clock.as_ref().map_or(&none, |clock| &clock.said);
    let place = row.asset.as_ref().map_or_else(|| row.site.to_string(), |asset| format!("{}, {asset}", row.site_name));
    let owner = row.owner.as_deref().unwrap_or("unassigned");
    let priority = row.priority.as_deref().unwrap_or("-");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {left:>10} {stage:<15} {:<22} {priority:<3} {}", row.incident.to_string(), row.title);
    let _ = writeln!(
        text,
        "  {:>10} {:<15} {}, {place}, {owner}{}{due}",
        "",
        "",
        row.client_name,
        if due.is_empty() { "" } else { ", " }
    );
}
