//! `discover`: what there is to watch here, as assets and checks for the provider's book. It works before the host is
//! enrolled, sends nothing to the collector, and writes nothing: a person reads it and decides.

mod proposal;

use std::{
    io::{IsTerminal, Write},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;
use upheld_model::ProbeSpec;
use upheld_probe::{
    Prober,
    discover::{DiscoverError, Network, PORTS, Seen},
};

use crate::{
    cli::Common,
    failure::{Code, Failure},
    output,
    settings::Settings,
    state::StateFolder,
    uplink,
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

/// Looks, and prints what it would propose.
pub(crate) async fn discover(common: &Common, networks: &[Network], propose: bool) -> Result<(), Failure> {
    if propose {
        return Err(Failure::new(Code::Missing, "`upheld-agent discover --propose` is not built in this version")
            .why("the collector of this version takes no proposals")
            .help("hand over what it prints: upheld-agent discover > proposal.toml"));
    }
    let state = StateFolder::new(&common.state);
    let identity = state.identity()?;
    let configured = if identity.is_some() { state.config()? } else { None };
    let allow = Settings::load(common, identity.as_ref())?.allow_list(common, identity.as_ref())?;
    let collector = match &identity {
        Some(identity) => uplink::addresses(&identity.collector).await,
        None => Vec::new(),
    };
    let seen = look(&Prober::new(allow, collector), networks).await?;
    let watched: Vec<Watched> = configured
        .into_iter()
        .flat_map(|config| config.checks)
        .map(|check| (check.id.to_string(), check.probe))
        .collect();
    let proposals = proposal::propose(&seen, &watched);
    if common.json {
        return output::json(&report(&seen, &proposals));
    }
    output::lines(&proposal::text(&seen, &proposals))
}

async fn look(prober: &Prober, networks: &[Network]) -> Result<Seen, Failure> {
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
    prober.discover(networks, told).await.map_err(|error| {
        let refused = Failure::new(Code::Failed, error.to_string());
        match error {
            DiscoverError::TooMany { .. } => refused.help("name a part of it, such as --network 10.40.0.0/24"),
        }
    })
}

fn report<'a>(seen: &'a Seen, proposals: &'a [Proposal]) -> Report<'a> {
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
    }
}

/// Whether two probes ask the same of the same: how it is judged may differ.
fn is_same(one: &ProbeSpec, other: &ProbeSpec) -> bool {
    match (one, other) {
        (ProbeSpec::Host { .. }, ProbeSpec::Host { .. }) | (ProbeSpec::NetLink { .. }, ProbeSpec::NetLink { .. }) => {
            true
        }
        (ProbeSpec::NetIcmp { target: one, .. }, ProbeSpec::NetIcmp { target: other, .. }) => one == other,
        (one, other) => one == other,
    }
}
