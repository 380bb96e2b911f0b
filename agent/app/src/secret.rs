//! `secret`: what probes need in order to log in, kept on this host (SECURITY 4).
//!
//! One that is set here lies in `secrets.json`, readable by the agent alone; one that the provider sealed lies in
//! `sealed.json` as it came and is opened in memory. One set here goes before a sealed one of the same name. No value is
//! ever printed; a name is no secret.

mod kept;
mod sealed;
mod typed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, SecretName};
use upheld_probe::{Secret, Secrets};
use upheld_wire::v1::AgentConfig;

use crate::{
    cli::{Common, SecretVerb},
    clocks,
    failure::{Code, Failure},
    output,
    state::{Identity, StateFolder},
    status::ask,
};
use kept::Kept;
pub(crate) use sealed::{Held, own_key};

/// The secrets that the checks of this host's configuration name.
pub(crate) fn wanted(state: &StateFolder) -> BTreeSet<SecretName> {
    users(state).into_keys().collect()
}

/// What the running agent is told when a secret has changed.
pub(crate) const CHANGED: &str = "secrets\n";

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It uses so many from here on.
    Taken(usize),
    /// It goes on with those before, and why.
    Refused(String),
}

/// `secret set | list | remove`.
pub(crate) fn secret(common: &Common, verb: &SecretVerb) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    match verb {
        SecretVerb::Set { name } => set(common, &state, name),
        SecretVerb::List => list(common, &state),
        SecretVerb::Remove { name } => remove(common, &state, name),
    }
}

/// All secrets of this host for its probes, and what is wrong with them, in words.
pub(crate) fn all(state: &StateFolder, identity: &Identity) -> (Secrets, Option<String>) {
    let mut secrets = Secrets::default();
    let mut wrong = Vec::new();
    match Held::read(state) {
        Ok(held) if held.is_empty() => {}
        Ok(held) => match own_key(state) {
            Ok(key) => held.open(identity, &key, &mut secrets),
            Err(failure) => wrong.push(failure.said().0),
        },
        Err(failure) => wrong.push(failure.said().0),
    }
    match kept::read(state) {
        Ok(kept) => {
            for (name, one) in &kept {
                secrets.insert(name.clone(), Secret::new(one.value.clone()));
            }
        }
        // One of these could be meant to go before a sealed one: none is used in its place.
        Err(failure) => {
            let why = failure.said().0;
            secrets = Secrets::unreadable(why.clone());
            wrong.push(why);
        }
    }
    (secrets, (!wrong.is_empty()).then(|| wrong.join("; ")))
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    schema: &'static str,
    secret: &'a SecretName,
    /// Whether a running agent uses the change; `null` where none runs.
    taken: Option<bool>,
}

fn set(common: &Common, state: &StateFolder, name: &SecretName) -> Result<(), Failure> {
    state.create()?;
    let value = typed::value(name)?;
    let was_there = kept::change(state, |secrets| {
        secrets.insert(name.clone(), Kept { value: value.to_string(), set_at: clocks::wall() }).is_some()
    })?;
    let mut said = vec![format!("The secret {name} is {}.", if was_there { "changed" } else { "set" })];
    let users = users(state);
    said.push(match users.get(name) {
        Some(checks) => format!("It is used by {}.", in_a_row(checks)),
        None => "No check of this host's configuration names it yet.".to_owned(),
    });
    if Held::read(state).is_ok_and(|held| held.names().any(|sealed| sealed == name)) {
        said.push("It goes before the one of that name that the provider sealed.".to_owned());
    }
    done(common, state, name, said)
}

fn remove(common: &Common, state: &StateFolder, name: &SecretName) -> Result<(), Failure> {
    let is_sealed = Held::read(state)?.names().any(|sealed| sealed == name);
    let names: Vec<String> = kept::read(state)?.keys().map(ToString::to_string).collect();
    if !kept::change(state, |secrets| secrets.remove(name).is_some())? {
        let failure = Failure::new(Code::Failed, format!("no secret {name} was set on this host"));
        return Err(match is_sealed {
            true => failure
                .why("the provider sealed the one of that name")
                .help(format!("ask the provider: upheld-collector secret remove CLIENT/SITE/{name}")),
            false if names.is_empty() => failure.help("upheld-agent secret list"),
            false => failure.help(format!("those that were: {}", names.join(", "))),
        });
    }
    let mut said = vec![format!("The secret {name} is removed from this host.")];
    if is_sealed {
        said.push("The one of that name that the provider sealed is used from here on.".to_owned());
    } else if let Some(checks) = users(state).get(name) {
        said.push(format!("Without it: {} (unknown: secret missing).", in_a_row(checks)));
    }
    done(common, state, name, said)
}

/// Tells the running agent, and says what was done.
fn done(common: &Common, state: &StateFolder, name: &SecretName, mut said: Vec<String>) -> Result<(), Failure> {
    let taken = match ask(state, CHANGED) {
        Ok(None) => None,
        Ok(Some(answer)) => match serde_json::from_str(&answer) {
            Ok(Answer::Taken(_)) => Some(Ok(())),
            Ok(Answer::Refused(why)) => Some(Err(why)),
            Err(_) => Some(Err("an older agent runs".to_owned())),
        },
        Err(error) => Some(Err(error.to_string())),
    };
    said.push(match &taken {
        None => "No agent runs here; it is used from its start on.".to_owned(),
        Some(Ok(())) => "The running agent uses it from the next run of each check on.".to_owned(),
        Some(Err(why)) => format!("The running agent did not take it ({why}); restart it: {}", crate::platform::START),
    });
    if common.json {
        let taken = taken.map(|taken| taken.is_ok());
        output::json(&Done { schema: "upheld.agent-secret/1", secret: name, taken })
    } else {
        output::lines(&said)
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    schema: &'static str,
    secrets: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: SecretName,
    /// Where the one in use comes from: `host`, `provider`; `null` where a check names one that is missing.
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_at: Option<Timestamp>,
    /// Whether the provider sealed one too, which the one of this host goes before.
    goes_before_sealed: bool,
    used_by: BTreeSet<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unusable: Option<String>,
}

fn list(common: &Common, state: &StateFolder) -> Result<(), Failure> {
    let (kept, held, mut users) = (kept::read(state)?, Held::read(state)?, users(state));
    let opened = state.identity()?.map(|identity| all(state, &identity).0).unwrap_or_default();
    let names: BTreeSet<SecretName> = kept.keys().chain(held.names()).chain(users.keys()).cloned().collect();
    let lines = names.into_iter().map(|name| {
        let (here, sealed) = (kept.get(&name), held.set_at(&name));
        Line {
            from: here.map(|_| "host").or(sealed.map(|_| "provider")),
            set_at: here.map(|one| one.set_at).or(sealed),
            goes_before_sealed: here.is_some() && sealed.is_some(),
            used_by: users.remove(&name).unwrap_or_default(),
            unusable: (here.is_none() && sealed.is_some()).then(|| opened.find(&name).err()).flatten(),
            name,
        }
    });
    let lines: Vec<Line> = lines.collect();
    if common.json {
        return output::json(&Listed { schema: "upheld.agent-secrets/1", secrets: lines });
    }
    if lines.is_empty() {
        return output::lines(&[
            "No secrets, and no check here names one. Set one: upheld-agent secret set NAME".to_owned()
        ]);
    }
    output::lines(&lines.iter().map(in_words).collect::<Vec<_>>())
}

fn in_words(line: &Line) -> String {
    let from = match (line.from, line.goes_before_sealed) {
        (Some("host"), true) => "set on this host, before the provider's",
        (Some("host"), false) => "set on this host",
        (Some(_), _) => "sealed by the provider",
        (None, _) => "MISSING",
    };
    let when = line.set_at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    let used = match line.used_by.is_empty() {
        true => "used by no check".to_owned(),
        false => format!("used by {}", in_a_row(&line.used_by)),
    };
    let todo = match (&line.unusable, line.from) {
        (Some(why), _) => format!(": {why}"),
        (None, None) => format!("; set it: upheld-agent secret set {}", line.name),
        (None, Some(_)) => String::new(),
    };
    format!("{:24} {from:40} {when:22} {used}{todo}", line.name)
}

/// The checks of this host's configuration by the secrets that they name.
fn users(state: &StateFolder) -> BTreeMap<SecretName, BTreeSet<CheckId>> {
    // A configuration that cannot be read is said elsewhere, and a secret may be set before there is one.
    used_by(&state.config().ok().flatten().map(|AgentConfig { checks, .. }| checks).unwrap_or_default())
}

fn used_by(checks: &[upheld_model::CheckSpec]) -> BTreeMap<SecretName, BTreeSet<CheckId>> {
    let mut users: BTreeMap<SecretName, BTreeSet<CheckId>> = BTreeMap::new();
    for check in checks {
        for name in check.probe.secrets() {
            users.entry(name.clone()).or_default().insert(check.id.clone());
        }
    }
    users
}

fn in_a_row(checks: &BTreeSet<CheckId>) -> String {
    checks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
