//! `user add | list | disable | enable | role | invite | reset | sessions end`: accounts, kept on the host (SECURITY 30).

use std::fmt::Write as _;

use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use upheld_desk::{
    AccountError, Keeper, Reach, Role,
    accounts::{LinkKind, NewUser, PasswordLink, UserView},
};
use upheld_model::ClientId;

use super::{Context, typist};
use crate::failure::{Exit, Failure};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account and print the link by which its person chooses a password.
    Add(AddArgs),
    /// The accounts.
    List {
        /// Only this client's people.
        #[arg(long)]
        client: Option<ClientId>,
    },
    /// Let an account be used no more; its sessions end at once.
    Disable(Whom),
    /// Let a disabled account be used again.
    Enable(Whom),
    /// Give an account another role; its sessions end at once.
    Role(RoleArgs),
    /// Print another link for a person who has chosen no password yet; earlier ones are void.
    Invite(Whom),
    /// Print a link by which a person chooses another password; earlier ones are void.
    Reset(Whom),
    /// The sessions of an account.
    #[command(subcommand)]
    Sessions(Sessions),
}

/// Which account.
#[derive(Debug, clap::Args)]
pub(super) struct Whom {
    /// The log-in name, or the person's name.
    user: String,
}

/// A new account.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// What the person logs in with: best the address of mail. Upper and lower case are one name.
    login: String,
    /// The person's name as ledger, pages and tickets show it; the log-in name when absent.
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// What the person may do.
    #[arg(long, value_parser = role())]
    role: Role,
    /// Whose person it is: for client-owner and client-reader, and for no other role.
    #[arg(long)]
    client: Option<ClientId>,
}

/// Another role.
#[derive(Debug, clap::Args)]
pub(super) struct RoleArgs {
    #[command(flatten)]
    whom: Whom,
    /// What the person may do from now on.
    #[arg(value_parser = role())]
    role: Role,
    /// Whose person it is: for client-owner and client-reader, and for no other role.
    #[arg(long)]
    client: Option<ClientId>,
}

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// End every session of an account; its person may log in again.
    End(Whom),
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.as_str())).try_map(|word| word.parse::<Role>())
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Add(args) => add(args, context),
        Command::List { client } => list(client.as_ref(), context),
        Command::Disable(whom) => changed(context, "disabled", async |desk, keeper, now| {
            desk.disable_user(&whom.user, None, keeper, now).await
        }),
        Command::Enable(whom) => {
            changed(context, "enabled", async |desk, keeper, now| desk.enable_user(&whom.user, None, keeper, now).await)
        }
        Command::Role(RoleArgs { whom, role, client }) => changed(context, "role", async |desk, keeper, now| {
            desk.set_role(&whom.user, (role, client), None, keeper, now).await
        }),
        Command::Invite(whom) => link(LinkKind::Invite, &whom.user, context),
        Command::Reset(whom) => link(LinkKind::Reset, &whom.user, context),
        Command::Sessions(Sessions::End(whom)) => end_sessions(&whom.user, context),
    }
}

fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let AddArgs { login, name, role, client } = args;
    let url = context.data.config()?.listen.url();
    let new = NewUser { login, name, role, client };
    let (user, link) = context.with_desk(async |desk, now| desk.make_user(new, &host(), now).await)?;
    let shown = address(&url, &link);
    context.output.say(&format!(
        "{} ({}) is {}. Hand over this link; it works once, until {}:",
        user.login,
        user.name,
        kind(&user),
        until(&link)
    ));
    context.output.result(
        &shown,
        || json!({ "schema": "upheld.user/1", "user": user, "link": shown, "expires_at": link.expires_at }),
    )?;
    Ok(Exit::Ok)
}

fn list(client: Option<&ClientId>, context: &Context) -> Result<Exit, Failure> {
    let mut users = context.with_desk(async |desk, _| desk.users(&Reach::All).await)?;
    users.retain(|user| client.is_none() || user.client.as_ref() == client);
    context.output.result(&table(&users), || json!({ "schema": "upheld.users/1", "users": users }))?;
    Ok(Exit::Ok)
}

fn changed(
    context: &Context,
    what: &str,
    work: impl AsyncFnOnce(&upheld_desk::Desk, &Keeper, Timestamp) -> Result<UserView, AccountError>,
) -> Result<Exit, Failure> {
    let user = context.with_desk(async |desk, now| work(desk, &host(), now).await)?;
    let text = match what {
        "role" => format!("{} is {}.", user.login, kind(&user)),
        what => format!("{} is {what}.", user.login),
    };
    context.output.result(&text, || json!({ "schema": "upheld.user/1", "user": user }))?;
    Ok(Exit::Ok)
}

fn link(kind: LinkKind, user: &str, context: &Context) -> Result<Exit, Failure> {
    let url = context.data.config()?.listen.url();
    let link = context.with_desk(async |desk, now| match kind {
        LinkKind::Invite => desk.invite(user, &host(), now).await,
        LinkKind::Reset => desk.reset(user, &host(), now).await,
    })?;
    let shown = address(&url, &link);
    context.output.say(&format!("For {} ({}). Works once, until {}.", link.login, link.name, until(&link)));
    context.output.result(&shown, || {
        json!({
            "schema": "upheld.password-link/1", "kind": link.kind, "login": link.login, "link": shown,
            "expires_at": link.expires_at,
        })
    })?;
    Ok(Exit::Ok)
}

fn end_sessions(user: &str, context: &Context) -> Result<Exit, Failure> {
    let ended = context.with_desk(async |desk, now| desk.end_sessions(user, &host(), now).await)?;
    let text = match ended {
        0 => "There was no session.".to_owned(),
        1 => "1 session ended.".to_owned(),
        count => format!("{count} sessions ended."),
    };
    context
        .output
        .result(&text, || -> Value { json!({ "schema": "upheld.sessions-end/1", "user": user, "ended": ended }) })?;
    Ok(Exit::Ok)
}

/// Whoever types on the host keeps everybody's accounts.
fn host() -> Keeper {
    Keeper { actor: typist(), reach: Reach::All }
}

fn address(url: &str, link: &PasswordLink) -> String {
    format!("{url}/password/{}", link.secret)
}

fn until(link: &PasswordLink) -> String {
    link.expires_at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `client-owner of northgate`.
fn kind(user: &UserView) -> String {
    match &user.client {
        Some(client) => format!("{} of {client}", user.role),
        None => user.role.to_string(),
    }
}

fn table(users: &[UserView]) -> String {
    if users.is_empty() {
        return "No accounts. Make the first: upheld-collector user add NAME --role provider-admin".to_owned();
    }
    let mut text = format!("{:<32} {:<24} {:<28} state\n", "log-in name", "name", "role");
    for user in users {
        let state = match (user.disabled_at, user.has_password) {
            (Some(at), _) => format!("disabled {}", at.strftime("%Y-%m-%d %H:%M UTC")),
            (None, true) => "active".to_owned(),
            (None, false) => "no password chosen yet".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<32} {:<24} {:<28} {state}", user.login, user.name, kind(user));
    }
    text
}
