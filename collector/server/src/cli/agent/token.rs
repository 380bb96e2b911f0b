//! `agent token [CLIENT/SITE] | list | revoke`.

use std::fmt::Write as _;

use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::json;
use upheld_desk::{
    NewToken, Scope, SiteTokenTerms,
    enroll::{Network, RulePart, TOKEN_TTL_MAX, TokenView},
};
use upheld_model::{ClientId, SiteId};
use upheld_wire::v1::enroll::EnrollLink;

use super::super::{Context, typist};
use crate::{
    failure::{Exit, Failure},
    packages::{Packages, install_line},
    pki::Pki,
    when,
};

/// For whom, for how long.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The client and its site, as CLIENT/SITE.
    #[arg(value_parser = place, conflicts_with_all = ["client", "site"])]
    place: Option<(ClientId, SiteId)>,
    /// The client in the book.
    #[arg(long, requires = "site")]
    client: Option<ClientId>,
    /// The client's site.
    #[arg(long, requires = "client")]
    site: Option<SiteId>,
    /// How long the link of one host works, at most 24h (24h where nothing is said).
    #[arg(long, value_parser = when::span, conflicts_with = "site_token")]
    ttl: Option<SignedDuration>,
    /// A link for several hosts: each waits until somebody approves it, or the rule does.
    #[arg(long, requires = "from")]
    site_token: bool,
    /// How many hosts it lets in, at most 500.
    #[arg(long, requires = "site_token", default_value_t = 10)]
    uses: u32,
    /// How many days it works, at most 14.
    #[arg(long, requires = "site_token", default_value_t = 7)]
    days: u32,
    /// The network that its hosts come from, as this collector sees them; may be given several times.
    #[arg(long, requires = "site_token", value_name = "CIDR")]
    from: Vec<Network>,
    /// Approve a host without a person: net:CIDR or host:PATTERN (* for anything); each kind that is named must hold.
    #[arg(long, requires = "site_token", value_name = "RULE")]
    approve_rule: Vec<RulePart>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The links that can still be used, each by a name that is worth nothing to a stranger.
    List,
    /// Take a link back: nobody is let in by it any more. Whom it let in stays.
    Revoke {
        /// Its name, from `agent token list`.
        name: String,
    },
}

fn place(text: &str) -> Result<(ClientId, SiteId), String> {
    let wrong = || format!("{text:?} is not CLIENT/SITE, such as northgate/plant-2");
    let (client, site) = text.split_once('/').ok_or_else(wrong)?;
    Ok((client.parse().map_err(|_| wrong())?, site.parse().map_err(|_| wrong())?))
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Some(Command::List) => list(context),
        Some(Command::Revoke { name }) => revoke(&name, context),
        None => make(args, context),
    }
}

fn make(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Some((client, site)) = args.place.or_else(|| args.client.zip(args.site)) else {
        return Err(Failure::new(Exit::Usage, "for which site is the link?")
            .todo("upheld-collector agent token CLIENT/SITE")
            .todo("the sites of the book: upheld-collector book explain"));
    };
    let config = context.data.config()?;
    let pki = Pki::open(&context.data.pki(), &config.listen.public)?;
    let is_for_several = args.site_token;
    let terms = SiteTokenTerms {
        uses: args.uses,
        ttl: SignedDuration::from_hours(24 * i64::from(args.days)),
        networks: args.from,
        rule: args.approve_rule,
    };
    let ttl = args.ttl.unwrap_or(TOKEN_TTL_MAX);
    let (uses, is_ruled) = (terms.uses, !terms.rule.is_empty());
    let made: NewToken = context.with_desk(async |desk, now| match is_for_several {
        true => desk.new_site_token(&client, &site, terms, &typist(), now).await,
        false => desk.new_token(&client, &site, ttl, &typist(), now).await,
    })?;
    let link = EnrollLink {
        authority: config.listen.authority(),
        token: made.token,
        root_fingerprint: pki.root_fingerprint(),
        issued: made.issued_at,
    };
    let key = Packages::of(&context.data).key()?;
    let line = key.map(|key| install_line(&config.listen.url(), &pki, &link, &key));
    let until = made.expires_at.strftime("%Y-%m-%d %H:%M UTC");
    let how = "On a host that has the agent, in quotes: upheld-agent enroll '<link>'";
    context.output.say(&match (is_for_several, is_ruled) {
        (false, _) => format!("Works once, until {until}. {how}"),
        (true, false) => {
            format!("Works {uses} times, until {until}; each host waits: upheld-collector agent pending. {how}")
        }
        (true, true) => format!(
            "Works {uses} times, until {until}; whom the rule does not approve waits: upheld-collector agent pending. {how}"
        ),
    });
    if let Some(line) = &line {
        context.output.say(&format!("On a Debian host without it:\n{line}"));
    }
    context.output.result(&link.to_string(), || {
        json!({
            "schema": "upheld.agent-token/1",
            "link": link.to_string(),
            "install_line": line,
            "client": client,
            "site": site,
            "uses": if is_for_several { uses } else { 1 },
            "expires_at": made.expires_at,
        })
    })?;
    Ok(Exit::Ok)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let tokens = context.with_desk(async |desk, now| desk.open_tokens(&Scope::Provider, now).await)?;
    context.output.result(&table(&tokens), || json!({ "schema": "upheld.agent-tokens/1", "tokens": tokens }))?;
    Ok(Exit::Ok)
}

fn table(tokens: &[TokenView]) -> String {
    if tokens.is_empty() {
        return "No link can be used at the moment. Make one: upheld-collector agent token CLIENT/SITE".to_owned();
    }
    let mut text = format!("{:<20} {:<28} {:<9} {:<17} for\n", "name", "site", "used", "until, UTC");
    for token in tokens {
        let place = format!("{}/{}", token.client, token.site);
        let used = format!("{} of {}", token.uses, token.uses_max);
        let whom = match &token.rule {
            None => "one host".to_owned(),
            Some(rule) if rule.is_empty() => format!("{}; each waits", token.networks.join(", ")),
            Some(rule) => format!("{}; by itself: {}", token.networks.join(", "), rule.join(", ")),
        };
        let until = token.expires_at.strftime("%Y-%m-%d %H:%M");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<20} {place:<28} {used:<9} {until:<17} {whom}", token.name);
    }
    text
}

fn revoke(name: &str, context: &Context) -> Result<Exit, Failure> {
    let did = context.with_desk(async |desk, now| desk.revoke_token(name, &typist(), now).await)?;
    if !did {
        return Err(Failure::new(Exit::Failed, format!("no link is called {name} that could still be used"))
            .because("it was never made, is used up, has ended, or was taken back already")
            .todo("see those that can be used: upheld-collector agent token list"));
    }
    let text = format!("{name} lets nobody in any more. Hosts that came with it stay: upheld-collector agent pending");
    context
        .output
        .result(&text, || json!({ "schema": "upheld.agent-token-revoke/1", "name": name, "changed": did }))?;
    Ok(Exit::Ok)
}
