//! `agent pending | approve | refuse`.

use std::fmt::Write as _;

use serde_json::json;
use upheld_desk::{DecideError, Decided, Scope, WaitingHost};
use upheld_model::AgentId;

use super::super::{Context, typist};
use crate::failure::{Exit, Failure};

/// Which host.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The agent's id, from `agent pending`.
    id: AgentId,
    /// Which of several hosts that ask to be taken back as this agent.
    #[arg(long)]
    request: Option<String>,
}

pub(super) fn list(context: &Context) -> Result<Exit, Failure> {
    let waiting = context.with_desk(async |desk, _| desk.waiting_hosts(&Scope::Provider).await)?;
    context.output.result(&table(&waiting), || json!({ "schema": "upheld.agents-pending/1", "waiting": waiting }))?;
    Ok(Exit::Ok)
}

fn table(waiting: &[WaitingHost]) -> String {
    if waiting.is_empty() {
        return "No host waits.".to_owned();
    }
    let mut text = format!(
        "{:<20} {:<10} {:<28} {:<20} {:<18} {:<17} why\n",
        "agent", "request", "site", "host", "from", "since, UTC"
    );
    for host in waiting {
        let place = format!("{}/{}", host.client, host.site);
        let request = host.request.as_deref().unwrap_or("new");
        let since = host.asked_at.strftime("%Y-%m-%d %H:%M");
        let why = host.token.iter().fold(host.why.clone(), |why, token| format!("{why} {token}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {request:<10} {place:<28} {:<20} {:<18} {since:<17} {why}",
            host.agent, host.host, host.address
        );
    }
    text
}

pub(super) fn approve(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Args { id, request } = args;
    let did = context.with_desk(async |desk, now| desk.approve_agent(id, request.as_deref(), &typist(), now).await)?;
    let text = match did {
        Decided::New => format!("{id} reports from here on."),
        Decided::Returning => {
            format!("{id} is taken back when it asks next; every certificate that it had before is void.")
        }
        Decided::Nothing => format!("{id} is active already, and no host asks to be taken back as it."),
    };
    told(args, "approve", did, &text, context)
}

pub(super) fn refuse(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Args { id, request } = args;
    let did = context.with_desk(async |desk, now| desk.refuse_agent(id, request.as_deref(), &typist(), now).await)?;
    let text = match did {
        Decided::New => format!("{id} is refused, and revoked."),
        Decided::Returning => format!("The host that asked to be taken back as {id} is refused; the agent stays."),
        Decided::Nothing => {
            format!("No host waits as {id}. To take an agent's right to report: upheld-collector agent revoke {id}")
        }
    };
    told(args, "refuse", did, &text, context)
}

fn told(args: &Args, verb: &str, did: Decided, text: &str, context: &Context) -> Result<Exit, Failure> {
    let schema = format!("upheld.agent-{verb}/1");
    let changed = did != Decided::Nothing;
    context
        .output
        .result(text, || json!({ "schema": schema, "agent": args.id, "decided": did, "changed": changed }))?;
    Ok(Exit::Ok)
}

impl From<DecideError> for Failure {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Desk(error) => error.into(),
            DecideError::Several { .. } => {
                Self::new(Exit::Usage, error.to_string()).todo("compare them: upheld-collector agent pending")
            }
            DecideError::Revoked(_) | DecideError::NobodyAsks(_) | DecideError::NoSuchRequest { .. } => {
                Self::new(Exit::Failed, error.to_string())
            }
        }
    }
}
