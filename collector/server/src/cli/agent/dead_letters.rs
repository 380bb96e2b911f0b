//! `agent dead-letters`: what agents sent and nobody could read.

use std::fmt::Write as _;

use serde_json::json;
use upheld_desk::{DeadLetter, Scope};
use upheld_model::{AgentId, DeviceText};

use super::super::Context;
use crate::failure::{Exit, Failure};

/// Characters of a body on a terminal; the whole one is in `--json`.
const SHOWN: usize = 120;

/// Whose.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The agent's id; all agents when absent.
    id: Option<AgentId>,
}

pub(super) fn list(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let letters = context.with_desk(async |desk, _| desk.dead_letters(&Scope::Provider, args.id.as_ref()).await)?;
    context
        .output
        .result(text(&letters).trim_end(), || json!({ "schema": "upheld.dead-letters/1", "dead_letters": letters }))?;
    Ok(Exit::Ok)
}

fn text(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "No dead letters: every record that came could be read.".to_owned();
    }
    let mut text = String::new();
    for letter in letters {
        let DeadLetter { client, site, agent, host, version, epoch, seq, received_at, reason, body } = letter;
        let version = if version.is_empty() { "unknown" } else { version };
        let at = received_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let body: String = DeviceText::new(body).as_str().chars().take(SHOWN).collect();
        let reason = DeviceText::new(reason);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{agent} ({host}, {client}/{site}, version {version})\n  record {seq} of epoch {epoch}, received {at}\n  \
             why: {reason}\n  begins: {body}\n"
        );
    }
    text.push_str(
        "What followed each of them was taken. A newer agent may say what this collector cannot read: update the collector.\n\
         The whole bodies: upheld-collector agent dead-letters --json\n",
    );
    text
}
