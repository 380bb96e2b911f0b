//! `agent token | list | revoke`.

use std::fmt::Write as _;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_desk::{AgentView, Scope, agents::AgentStatus};
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_wire::v1::enroll::EnrollLink;

use super::{Context, typist, unbuilt};
use crate::{
    failure::{Exit, Failure},
    pki::Pki,
    when,
};

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a link that enrols one host of a client's site, once.
    Token(TokenArgs),
    /// The agents and when they last reported.
    List,
    /// Take an agent's right to report; it works at once, on open connections too.
    Revoke {
        /// The agent's id.
        id: AgentId,
    },
    /// (not built yet) Let a host of a site token in.
    #[command(hide = true)]
    Approve {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
}

/// For whom, for how long.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// The client in the book.
    #[arg(long)]
    client: ClientId,
    /// The client's site.
    #[arg(long)]
    site: SiteId,
    /// How long the link works, at most 24h.
    #[arg(long, default_value = "24h", value_parser = when::span)]
    ttl: SignedDuration,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Token(args) => token(&args, context),
        Command::List => list(context),
        Command::Revoke { id } => revoke(&id, context),
        Command::Approve { rest: _ } => Err(unbuilt::not_built("agent approve")),
    }
}

fn token(args: &TokenArgs, context: &Context) -> Result<Exit, Failure> {
    let config = context.data.config()?;
    let pki = Pki::open(&context.data.pki(), &config.listen.public)?;
    let made = context
        .with_desk(async |desk, now| desk.new_token(&args.client, &args.site, args.ttl, &typist(), now).await)?;
    let link = EnrollLink {
        authority: config.listen.authority(),
        token: made.token,
        root_fingerprint: pki.root_fingerprint(),
        issued: made.issued_at,
    };
    context.output.say(&format!(
        "Works once, until {}. On the host, in quotes: upheld-agent enroll '<link>'",
        made.expires_at.strftime("%Y-%m-%d %H:%M UTC")
    ));
    context.output.result(&link.to_string(), || {
        json!({
            "schema": "upheld.agent-token/1",
            "link": link.to_string(),
            "client": args.client,
            "site": args.site,
            "expires_at": made.expires_at,
        })
    })?;
    Ok(Exit::Ok)
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
