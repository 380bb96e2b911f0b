//! `secret set | list | remove`: what checks of a site need in order to log in, sealed to the site's agents (SECURITY 4).

use std::{
    fmt::Write as _,
    io::{IsTerminal, Read, stdin},
    str::FromStr,
};

use clap::Subcommand;
use serde_json::json;
use upheld_desk::sealed::{LackingWhy, SealedError, SealedView};
use upheld_model::{ClientId, SecretName, SiteId};
use upheld_sealing::VALUE_BYTES_MAX;
use zeroize::Zeroizing;

use super::{
    Context, typist,
    unbuilt::{Anything, not_built},
};
use crate::failure::{Exit, Failure};

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Set or change one: `northgate/plant-2/nvr-web`. Its value is read from the terminal unseen, or from standard input.
    Set {
        /// CLIENT/SITE/NAME, the name as the book has it.
        secret: SecretPath,
    },
    /// A site's: names, when each was set, who has it and who lacks it.
    List {
        /// CLIENT/SITE.
        site: SitePath,
    },
    /// Remove one from the site's agents.
    Remove {
        /// CLIENT/SITE/NAME.
        secret: SecretPath,
    },
    /// (not built yet) A key of the provider, kept offline, to which secrets are sealed too.
    RecoveryKey(Anything),
    /// (not built yet) Seal a site's secrets again to an agent that lacks them, with the offline key.
    Reseal(Anything),
}

/// `northgate/plant-2`.
#[derive(Debug, Clone)]
pub(super) struct SitePath {
    pub(super) client: ClientId,
    pub(super) site: SiteId,
}

/// `northgate/plant-2/nvr-web`.
#[derive(Debug, Clone)]
pub(super) struct SecretPath {
    place: SitePath,
    name: SecretName,
}

impl FromStr for SitePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (client, site) = text.split_once('/').ok_or("write CLIENT/SITE, such as northgate/plant-2")?;
        let client = client.parse().map_err(|error: upheld_model::ids::IdError| error.to_string())?;
        let site = site.parse().map_err(|error: upheld_model::ids::IdError| error.to_string())?;
        Ok(Self { client, site })
    }
}

impl FromStr for SecretPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, name) = text.rsplit_once('/').ok_or("write CLIENT/SITE/NAME, such as northgate/plant-2/nvr-web")?;
        let name = name.parse().map_err(|error: upheld_model::ids::IdError| error.to_string())?;
        Ok(Self {
            place: place.parse().map_err(|_| "write CLIENT/SITE/NAME, such as northgate/plant-2/nvr-web")?,
            name,
        })
    }
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Set { secret } => set(&secret, context),
        Command::List { site } => list(&site, context),
        Command::Remove { secret } => remove(&secret, context),
        Command::RecoveryKey(_) => Err(not_built("secret recovery-key")),
        Command::Reseal(_) => Err(not_built("secret reseal").todo(
            "an agent that lacks a secret has it once it is set again: upheld-collector secret set CLIENT/SITE/NAME",
        )),
    }
}

fn set(secret: &SecretPath, context: &Context) -> Result<Exit, Failure> {
    let SecretPath { place: SitePath { client, site }, name } = secret;
    let value = value(name)?;
    let set = context.with_desk(async |desk, now| desk.seal_secret(client, site, name, value, &typist(), now).await)?;
    let mut text = format!("{client}/{site}/{name} is sealed to {}. ", in_a_row(&set));
    text.push_str("It can be read on these hosts alone, and reaches each with its next report.");
    text.push_str(&lacking(&set));
    context.output.result(&text, || json!({ "schema": "upheld.secret/1", "secret": set }))?;
    Ok(Exit::Ok)
}

fn list(place: &SitePath, context: &Context) -> Result<Exit, Failure> {
    let SitePath { client, site } = place;
    let secrets = context.with_desk(async |desk, _| desk.sealed_secrets(client, site).await)?;
    let mut text = String::new();
    for one in &secrets {
        let when = one.set_at.strftime("%Y-%m-%d %H:%M UTC");
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "{:24} set {when} by {}, sealed to {}{}", one.name, one.set_by, in_a_row(one), lacking(one));
    }
    if secrets.is_empty() {
        text = format!(
            "No secret is sealed for {client}/{site}. Set one: upheld-collector secret set {client}/{site}/NAME"
        );
    } else {
        text.push_str(
            "One that was set on a host itself (upheld-agent secret set) goes before the sealed one of its name there.",
        );
    }
    context.output.result(&text, || json!({ "schema": "upheld.secrets/1", "secrets": secrets }))?;
    Ok(Exit::Ok)
}

fn remove(secret: &SecretPath, context: &Context) -> Result<Exit, Failure> {
    let SecretPath { place: SitePath { client, site }, name } = secret;
    context.with_desk(async |desk, now| desk.remove_secret(client, site, name, &typist(), now).await)?;
    let text = format!(
        "{client}/{site}/{name} is removed; each agent forgets it at its next report. A backup of this collector still has \
         the sealed form: change it at the device if it must not be used again."
    );
    context.output.result(&text, || json!({ "schema": "upheld.secret-remove/1", "site": site, "secret": name }))?;
    Ok(Exit::Ok)
}

fn in_a_row(secret: &SealedView) -> String {
    let agents: Vec<&str> = secret.sealed_to.iter().map(|agent| agent.as_str()).collect();
    if agents.is_empty() { "nobody".to_owned() } else { agents.join(", ") }
}

/// Who lacks it and what to do, a line each.
fn lacking(secret: &SealedView) -> String {
    let line = |one: &upheld_desk::sealed::Lacking| {
        let why = match one.why {
            LackingWhy::NoKey => "it has told no key yet; start it, or upgrade an older one, and set the secret again",
            LackingWhy::SetBefore => "it came after the secret was set; set it again to seal it to this host too",
        };
        format!("\n  lacks it: {} ({}): {why}", one.agent, one.host)
    };
    secret.lacking.iter().map(line).collect()
}

/// From the terminal, twice and without echo; from standard input where that is none, without its last line break. Never
/// from an argument, which every user of the host can read.
fn value(name: &SecretName) -> Result<Zeroizing<String>, Failure> {
    if stdin().is_terminal() {
        let ask = |prompt: String| {
            rpassword::prompt_password(prompt)
                .map(Zeroizing::new)
                .map_err(|error| Failure::new(Exit::Failed, "cannot read from the terminal").because(error.to_string()))
        };
        let first = ask(format!("Value of {name} (nothing is shown): "))?;
        let again = ask("The same once more: ".to_owned())?;
        return match *first == *again {
            true => Ok(first),
            false => Err(Failure::new(Exit::Failed, "the two differ: nothing was changed")),
        };
    }
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(VALUE_BYTES_MAX + 16));
    let room = u64::try_from(VALUE_BYTES_MAX + 3).unwrap_or(u64::MAX);
    stdin().lock().take(room).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Failed, "cannot read the secret from standard input").because(error.to_string())
    })?;
    let value = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
    Ok(Zeroizing::new(value.to_owned()))
}

impl From<SealedError> for Failure {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::Desk(error) => error.into(),
            SealedError::Value(_)
            | SealedError::TooMany { .. }
            | SealedError::Nobody { .. }
            | SealedError::NoSuchSecret { .. } => Self::of(Exit::Failed, &error),
        }
    }
}
