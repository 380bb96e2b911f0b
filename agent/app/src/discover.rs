//! `discover`: what there is to watch here, as assets and checks for the provider's book. It works before the host is
//! enrolled, sends nothing to the collector unless asked to (`--propose`), and writes nothing: a person reads it and
//! decides.

mod proposal;
mod propose;

use std::{
    io::{IsTerminal, Write},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use rustls::crypto::CryptoProvider;
use serde::Serialize;
use upheld_model::proposal::PORTS;
use upheld_probe::{
    Prober,
    discover::{Communities, DiscoverError, Look, Network, Seen},
};
use upheld_wire::v1::proposals::ProposalAnswer;

use crate::{
    cli::Common,
    failure::{Code, Failure},
    output, secret,
    settings::Settings,
    state::{Identity, StateFolder},
    uplink::{self, Reach},
};
use proposal::{Proposal, Watched};

/// How often a terminal is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    networks: Vec<String>,
    left_out: &'a [String],
    asked: usize,
    forbidden: usize,
    hosts: Vec<HostReport>,
    backup_tools: &'a [String],
    proposals: &'a [Proposal],
    /// What became of it at the collector; only with `--propose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<&'a ProposalAnswer>,
}

#[derive(Debug, Serialize)]
struct HostReport {
    address: IpAddr,
    ports: Vec<PortReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    supplies: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PortReport {
    port: u16,
    usually: &'static str,
}

/// What is asked for.
pub(crate) struct Wanted<'a> {
    /// The networks to look through; none: that of the port which leads to the gateway.
    pub(crate) networks: &'a [Network],
    /// With what SNMP agents are asked.
    pub(crate) communities: Communities,
    /// Whether it goes to the collector as a proposal.
    pub(crate) propose: bool,
    /// The cryptography of the line.
    pub(crate) provider: &'a Arc<CryptoProvider>,
}

/// Looks, and prints what it would propose.
pub(crate) async fn discover(common: &Common, wanted: Wanted<'_>) -> Result<(), Failure> {
    let Wanted { networks, communities, propose, provider } = wanted;
    let state = StateFolder::new(&common.state);
    let identity = state.identity()?;
    if propose && identity.is_none() {
        return Err(propose::not_enrolled());
    }
    let configured = if identity.is_some() { state.config()? } else { None };
    let settings = Settings::load(common, identity.as_ref())?;
    let allow = settings.allow_list(common, identity.as_ref())?;
    let collector = match &identity {
        Some(identity) => uplink::addresses(&settings.all_collectors(identity)).await,
        None => Vec::new(),
    };
    let prober = Prober::new(allow, collector);
    if !communities.secrets.is_empty() {
        give_secrets(&state, identity.as_ref(), &communities, &prober)?;
    }
    let seen = look(&prober, Look { networks, communities: &communities }).await?;
    let watched: Vec<Watched> = configured
        .into_iter()
        .flat_map(|config| config.checks)
        .map(|check| (check.id.to_string(), check.probe))
        .collect();
    let proposals = proposal::propose(&seen, &watched);
    let proposed = match identity.filter(|_| propose) {
        Some(identity) => {
            let reach = Reach::of(&identity, &settings, provider);
            Some(propose::send(&state, &reach, &proposals).await?)
        }
        None => None,
    };
    if common.json {
        return output::json(&report(&seen, &proposals, proposed.as_ref()));
    }
    let mut lines = proposal::text(&seen, &proposals);
    lines.extend(proposed.iter().flat_map(propose::said));
    output::lines(&lines)
}

/// Gives the prober this host's secrets; those that are asked for by name must be there.
fn give_secrets(
    state: &StateFolder,
    identity: Option<&Identity>,
    communities: &Communities,
    prober: &Prober,
) -> Result<(), Failure> {
    let Some(identity) = identity else {
        return Err(Failure::new(
            Code::NotEnrolled,
            "secrets are kept on hosts that are enrolled, and this one is not",
        )
        .help("upheld-agent enroll '<link>', or leave --snmp out"));
    };
    let (secrets, _) = secret::all(state, identity);
    for name in &communities.secrets {
        let cannot = |why| Failure::new(Code::Failed, why).help(format!("upheld-agent secret set {name}"));
        secrets.find(name).map_err(cannot)?;
    }
    prober.secrets_are(secrets);
    Ok(())
}

async fn look(prober: &Prober, wanted: Look<'_>) -> Result<Seen, Failure> {
    let shows = std::io::stderr().is_terminal();
    let last = std::cell::Cell::new(None::<std::time::Instant>);
    let told = |done: usize, total: usize| {
        let is_time = last.get().is_none_or(|last| last.elapsed() >= TOLD_EVERY) || done == total;
        if shows && is_time {
            last.set(Some(std::time::Instant::now()));
            // A closed stderr leaves nobody to tell.
            let _ = write!(std::io::stderr(), "\r{done} of {total} addresses{}", if done == total { "\n" } else { "" });
        }
    };
    prober.discover(wanted, told).await.map_err(|error| {
        let refused = Failure::new(Code::Failed, error.to_string());
        match error {
            DiscoverError::TooMany { .. } => refused.help("name a part of it, such as --network 10.40.0.0/24"),
        }
    })
}

fn report<'a>(seen: &'a Seen, proposals: &'a [Proposal], proposed: Option<&'a ProposalAnswer>) -> Report<'a> {
    let usually = |port: u16| PORTS.iter().find(|(known, _)| *known == port).map_or("", |(_, what)| *what);
    let hosts = seen.hosts.iter().map(|host| HostReport {
        address: host.address,
        ports: host.ports.iter().map(|port| PortReport { port: *port, usually: usually(*port) }).collect(),
        supplies: host.supplies.clone(),
    });
    Report {
        schema: "upheld.discover/1",
        networks: seen.networks.iter().map(ToString::to_string).collect(),
        left_out: &seen.left_out,
        asked: seen.asked,
        forbidden: seen.forbidden,
        hosts: hosts.collect(),
        backup_tools: &seen.own.backup_tools,
        proposals,
        proposed,
    }
}
