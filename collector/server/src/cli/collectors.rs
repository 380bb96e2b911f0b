//! `collectors`: who serves this database, and who of them does what.

use std::fmt::Write as _;

use serde_json::json;
use upheld_desk::tasks::{Servers, Serving};

use super::Context;
use crate::failure::{Exit, Failure};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let is_file = context.data.config()?.database.is_none();
    let servers = context.with_desk(async |desk, _| desk.servers().await)?;
    let text = if is_file { ALONE.to_owned() } else { text(&servers) };
    context.output.result(text.trim_end(), || json!({ "schema": "upheld.collectors/1", "servers": servers }))?;
    Ok(Exit::Ok)
}

const ALONE: &str =
    "The facts are in a file, which one collector serves alone. Several need a PostgreSQL: docs/postgresql.md.";

fn text(servers: &Servers) -> String {
    if servers.collectors.is_empty() {
        return "No collector has served this database within a day: upheld-collector serve".to_owned();
    }
    let mut text = String::new();
    for Serving { name, started_at, seen_at, is_away, tasks, .. } in &servers.collectors {
        // Writing to a String cannot fail.
        let _ = match is_away {
            true => writeln!(text, "{name}  away since {seen_at:.0}: stopped, frozen, or cut off from the database"),
            false => writeln!(text, "{name}  serves since {started_at:.0}"),
        };
        let does = if tasks.is_empty() { "stands by".to_owned() } else { format!("does {}", tasks.join(", ")) };
        let _ = writeln!(text, "  {does}");
    }
    if !servers.free.is_empty() {
        let _ = writeln!(text, "Nobody does at this moment: {}", servers.free.join(", "));
    }
    text
}
