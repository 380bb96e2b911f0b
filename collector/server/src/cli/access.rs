//! `login-link` and `api-token`: who may look and act. Set-up is by the command line on the host only (SECURITY 30).

use clap::{Subcommand, ValueEnum};
use jiff::SignedDuration;
use serde_json::json;
use upheld_desk::{Rights, Scope};
use upheld_model::ClientId;

use super::{Context, typist};
use crate::{
    failure::{Exit, Failure},
    when,
};

/// For whom.
#[derive(Debug, clap::Args)]
pub(super) struct LinkArgs {
    /// The person's name as it will stand in ledger and audit.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; it is printed once.
    New(NewArgs),
    /// Revoke every token of a name.
    Revoke {
        /// The token's name.
        name: String,
    },
}

/// A token's name and bounds.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Its name, for lists and the audit.
    #[arg(long)]
    name: String,
    /// What it may do.
    #[arg(long, value_enum)]
    scope: ScopeWord,
    /// Only this client's incidents.
    #[arg(long)]
    client: Option<ClientId>,
    /// How long it works; until revoked when absent.
    #[arg(long, value_parser = when::span)]
    ttl: Option<SignedDuration>,
}

/// Rights as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeWord {
    /// Look.
    Read,
    /// Look, acknowledge, record responses.
    Respond,
}

pub(super) fn login_link(args: &LinkArgs, context: &Context) -> Result<Exit, Failure> {
    let url = context.data.config()?.listen.url();
    let person = args.name.clone().unwrap_or_else(|| "admin".to_owned());
    let secret = context.with_desk(async |desk, now| desk.new_login_link(&person, &typist(), now).await)?;
    let link = format!("{url}/in/{secret}");
    context.output.say("Works once, within 15 minutes.");
    context.output.result(&link, || json!({ "schema": "upheld.login-link/1", "link": link, "name": person }))?;
    Ok(Exit::Ok)
}

pub(super) fn token(command: TokenCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        TokenCommand::New(args) => new_token(args, context),
        TokenCommand::Revoke { name } => revoke(&name, context),
    }
}

fn new_token(args: NewArgs, context: &Context) -> Result<Exit, Failure> {
    let rights = match args.scope {
        ScopeWord::Read => Rights::Read,
        ScopeWord::Respond => Rights::Respond,
    };
    let scope = args.client.map_or(Scope::Provider, Scope::Client);
    let made = context
        .with_desk(async |desk, now| desk.new_api_token(&args.name, &scope, rights, args.ttl, &typist(), now).await)?;
    context.output.say("Shown once. Use it as: curl -H 'Authorization: Bearer TOKEN' …/api/v1/incidents");
    context.output.result(
        &made.token,
        || json!({ "schema": "upheld.api-token/1", "name": made.name, "token": made.token, "rights": rights }),
    )?;
    Ok(Exit::Ok)
}

fn revoke(name: &str, context: &Context) -> Result<Exit, Failure> {
    let count = context.with_desk(async |desk, now| desk.revoke_api_token(name, &typist(), now).await)?;
    if count == 0 {
        return Err(Failure::new(Exit::Failed, format!("there is no token named {name:?}")));
    }
    context.output.result(
        &format!("{count} revoked."),
        || json!({ "schema": "upheld.api-token-revoke/1", "name": name, "revoked": count }),
    )?;
    Ok(Exit::Ok)
}
