//! `agent token | list | pending | approve | refuse | revoke | dead-letters`.

mod dead_letters;
mod token;
mod waiting;

use std::fmt::Write as _;

use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_desk::{AgentView, Scope, agents::AgentStatus};
use upheld_model::AgentId;

use super::{Context, typist};
use crate::failure::{Exit, Failure};

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a link that enrols one host of a client's site, once; or, with --site-token, several that each wait.
    Token(token::Args),
    /// The agents and when they last reported.
    List,
    /// Take an agent's right to report; it works at once, on open connections too.
    Revoke {
        /// The agent's id.
        id: AgentId,
    },
    /// Hosts that wait: new ones of a site token, and those that come back where another may have their identity.
    Pending,
    /// Let a host in that waits.
    Approve(waiting::Args),
    /// Refuse a host that waits, for good.
    Refuse(waiting::Args),
    /// Records that agents sent and that could not be read, each with why.
    DeadLetters(dead_letters::Args),
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Token(args) => token::run(args, context),
        Command::List => list(context),
        Command::Revoke { id } => revoke(&id, context),
        Command::Pending => waiting::list(context),
        Command::Approve(args) => waiting::approve(&args, context),
        Command::Refuse(args) => waiting::refuse(&args, context),
        Command::DeadLetters(args) => dead_letters::list(&args, context),
    }
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let (agents, now) =
        context.with_desk(async |desk, now| desk.agents(&Scope::Provider).await.map(|agents| (agents, now)))?;
    context.output.result(&table(&agents, now), || json!({ "schema": "upheld.agents/1", "agents": agents }))?;
    Ok(Exit::Ok)
}

fn table(agents: &[AgentView], now: Timestamp) -> String {
    if agents.is_empty() {
        return "No agents. Make a link for the first: upheld-collector agent token --client C --site S".to_owned();
    }
    let mut text =
        format!("{:<20} {:<12} {:<28} {:<20} {:<14} said\n", "agent", "status", "site", "host", "last report");
    for agent in agents {
        let status = match agent.status {
            AgentStatus::Active => "active",
            AgentStatus::Revoked => "revoked",
            AgentStatus::Quarantined => "quarantined",
            AgentStatus::Pending => "pending",
        };
        let site = format!("{}/{}", agent.client, agent.site);
        let said = if agent.waiting > 0 { format!("{} waiting", agent.waiting) } else { agent.ailments.join("; ") };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {status:<12} {site:<28} {:<20} {:<14} {said}",
            agent.agent,
            agent.host,
            last_report(agent.last_seen, now)
        );
    }
    text
}

fn last_report(last: Option<Timestamp>, now: Timestamp) -> String {
    let Some(last) = last else { return "never".to_owned() };
    let seconds = now.duration_since(last).as_secs().max(0);
    if seconds < 86_400 {
        format!("{} ago", upheld_web::words::two_units(seconds.unsigned_abs()))
    } else {
        last.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d UTC").to_string()
    }
}

fn revoke(id: &AgentId, context: &Context) -> Result<Exit, Failure> {
    let did = context.with_desk(async |desk, now| desk.revoke_agent(id, &typist(), now).await)?;
    let text = if did { format!("{id} is revoked.") } else { format!("{id} was revoked already.") };
    context.output.result(&text, || json!({ "schema": "upheld.agent-revoke/1", "agent": id, "changed": did }))?;
    Ok(Exit::Ok)
}
