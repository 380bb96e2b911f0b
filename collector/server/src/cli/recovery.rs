//! `recovery show | begin | accept`: what a restored collector may lack, and that a person has seen it.

use clap::Subcommand;
use serde_json::json;
use upheld_desk::{Actor, Recovery, Scope};
use upheld_web::words;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// What can be done in recovery.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Which facts may be missing, and what to do about it.
    Show,
    /// Say that the database was put back to an earlier moment by its own means (a snapshot, a dump, a base backup).
    Begin {
        /// From when on facts may be missing: the moment of what was put back.
        #[arg(long, value_name = "TIME")]
        from: String,
        /// Who says so.
        #[arg(long, value_name = "WHO")]
        by: String,
    },
    /// Go back to normal service: this person has seen what may be missing.
    Accept {
        /// Who has seen it.
        #[arg(long, value_name = "WHO")]
        by: String,
    },
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Show => show(context),
        Command::Begin { from, by } => begin(&from, &by, context),
        Command::Accept { by } => accept(&by, context),
    }
}

fn show(context: &Context) -> Result<Exit, Failure> {
    let (recovery, agents) = context
        .with_desk(async |desk, _| Ok::<_, Failure>((desk.recovery().await?, desk.agents(&Scope::Provider).await?)))?;
    let text = recovery.as_ref().map_or_else(not_waiting, |recovery| {
        let data = context.data_option();
        let hosts: String = agents
            .iter()
            .map(|agent| format!("    {} {} ({}/{}), {}\n", agent.agent, agent.host, agent.client, agent.site, agent.status.as_str()))
            .collect();
        format!(
            "{}\n\
             What people did in that time is not here: responses, pauses, notes, reports, books, agents enrolled or revoked.\n\
             \x20 1. Enter what you know of it: upheld-collector respond, pause, note … --at TIME{data}\n\
             \x20 2. Revoke again whoever was revoked: upheld-collector agent revoke ID{data}\n{hosts}\
             \x20 3. Hosts enrolled in that time are refused: enrol them again, each with a new link.\n\
             \x20 4. Look into the ticket system for tickets of that time.\n\
             \x20 5. upheld-collector recovery accept --by \"Ana Example\"{data}\n\
             Log-in links, sessions, enrolment tokens and API tokens of before are void: make new ones.",
            words::recovering(recovery)
        )
    });
    context.output.result(&text, || json!({ "schema": "upheld.recovery/1", "recovery": recovery }))?;
    Ok(Exit::Ok)
}

fn begin(from: &str, by: &str, context: &Context) -> Result<Exit, Failure> {
    let by = person(by, "--by")?;
    let (voided, recovery) = context.with_desk(async |desk, now| {
        let from = when::instant(from, &context.zone(desk).await?)?;
        if from > now {
            return Err(Failure::new(Exit::Usage, format!("--from {from:.0} is still to come"))
                .todo("name the moment of what was put back"));
        }
        Ok(desk.declare_recovery(from, &Actor::person(by), now).await?)
    })?;
    let text =
        format!("{}\nNext: upheld-collector recovery show{}", words::recovering(&recovery), context.data_option());
    context
        .output
        .result(&text, || json!({ "schema": "upheld.recovery/1", "recovery": recovery, "voided": voided }))?;
    Ok(Exit::Ok)
}

fn not_waiting() -> String {
    "This collector is not in recovery.".to_owned()
}

/// The name of whoever answers for a restore.
pub(super) fn person<'a>(name: &'a str, option: &str) -> Result<&'a str, Failure> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(
            Failure::new(Exit::Usage, format!("{option} is not a name")).todo(format!("{option} \"Ana Example\""))
        );
    }
    Ok(name)
}

fn accept(by: &str, context: &Context) -> Result<Exit, Failure> {
    let by = person(by, "--by")?;
    let accepted = context.with_desk(async |desk, now| desk.accept_recovery(&Actor::person(by), now).await)?;
    let text = accepted.as_ref().map_or_else(not_waiting, |Recovery { missing_from, missing_to, .. }| {
        format!(
            "Accepted by {by}: facts from {missing_from:.0} to {missing_to:.0} may be missing. Agents are heard again."
        )
    });
    context.output.result(&text, || json!({ "schema": "upheld.recovery/1", "accepted": accepted, "by": by }))?;
    Ok(Exit::Ok)
}
