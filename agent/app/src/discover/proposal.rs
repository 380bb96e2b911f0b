//! From what was seen to assets and checks, as text that fits into a site's file.
//!
//! Few and quiet: a host that only answers an echo is named and not proposed, and the one edge of which we are sure is
//! that this host hangs on the supply whose server it runs. What is in the gateway's network may reach the world through
//! it: that is a suggestion, and a comment in the text. A wrong edge would blame the wrong device.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Serialize;
use upheld_model::{
    AssetClass, CheckSpec, DeviceText, EdgeKind, ProbeSpec,
    check::{APCUPSD_PORT, NUT_PORT},
    proposal::{EdgeWhy, ProposedAsset, ProposedEdge, Seen as Why, asset_lines, far_address, is_same, services},
    snmp::{SNMP_PORT, SnmpAccess, SwitchPort},
};
use upheld_probe::discover::{Answering, Camera, Managed, ManagedKind, Network, Seen};

/// A configured check: its name, and what it asks.
pub(super) type Watched = (String, ProbeSpec);

/// One asset that could be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proposal {
    #[serde(flatten)]
    pub(super) asset: ProposedAsset,
    /// What was seen, for the person who decides.
    pub(super) why: String,
    /// The check of this agent that watches all of it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) watched_by: Option<String>,
}

/// What listens on a port, and what that makes of its host: the first that fits.
const KNOWN: &[(u16, AssetClass, &str)] = &[
    (7563, AssetClass::Recorder, "recorder"),
    (8000, AssetClass::Recorder, "recorder"),
    (37_777, AssetClass::Recorder, "recorder"),
    (554, AssetClass::Camera, "camera"),
    (8007, AssetClass::Server, "backup-server"),
    (1433, AssetClass::Server, "database"),
    (5432, AssetClass::Server, "database"),
];

/// An asset whose name is not yet known to be the only one.
struct Draft {
    name: String,
    class: AssetClass,
    why: Why,
    /// The draft whose server it runs, by its place in the list.
    powered_by: Option<String>,
    checks: Vec<ProbeSpec>,
}

/// The assets, this host first, then its gateway, supplies, and who else was recognised, by address.
pub(super) fn propose(seen: &Seen, watched: &[Watched]) -> Vec<Proposal> {
    let mut drafts = vec![this_host(seen)];
    if let Some(address) = seen.own.gateway {
        drafts.push(Draft {
            name: ROUTER.to_owned(),
            class: AssetClass::Gateway,
            why: Why::WayOut { address },
            powered_by: None,
            checks: vec![ProbeSpec::NetIcmp { target: "gateway".to_owned(), tcp_port: None }],
        });
    }
    drafts.extend(seen.hosts.iter().flat_map(supplies));
    drafts.extend(seen.hosts.iter().filter(|host| !host.address.is_loopback()).filter_map(recognised));
    let mut used = BTreeSet::new();
    let mut all = Vec::new();
    for Draft { name, class, why, powered_by, checks } in drafts {
        let Some(asset) = unused(&name, &mut used) else { continue };
        let edges = powered_by.and_then(|to| to.parse().ok()).map(|to| ProposedEdge {
            kind: EdgeKind::PoweredBy,
            to,
            why: EdgeWhy::RunsItsServer,
        });
        let mut asset = ProposedAsset { asset, class, seen: why, edges: edges.into_iter().collect(), checks };
        asset.edges.extend(through_the_gateway(&asset, seen));
        let by = |check: &ProbeSpec| watched.iter().find(|(_, known)| is_same(known, check)).map(|(name, _)| name);
        let is_watched = asset.checks.iter().all(|check| by(check).is_some());
        let watched_by = if is_watched { asset.checks.first().and_then(by).cloned() } else { None };
        all.push(Proposal { why: asset.seen.to_string(), asset, watched_by });
    }
    all
}

/// What the gateway is called.
const ROUTER: &str = "router";

/// The name, or the first with a number behind it that nobody has yet.
fn unused(name: &str, used: &mut BTreeSet<String>) -> Option<upheld_model::AssetId> {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !used.contains(name))?;
    used.insert(free.clone());
    free.parse().ok()
}

/// What is in the gateway's network may reach the world through it.
fn through_the_gateway(asset: &ProposedAsset, seen: &Seen) -> Option<ProposedEdge> {
    let gateway = seen.own.gateway?;
    let network = seen.networks.iter().find(|network| network.contains(gateway))?;
    // What feeds the site may stand in it; its world is the mains.
    let is_beside = !matches!(asset.seen, Why::WayOut { .. }) && asset.class != AssetClass::Ups;
    let is_there = is_beside
        && (matches!(asset.seen, Why::ThisHost { .. })
            || asset.checks.iter().filter_map(far_address).any(|address| network.contains(address)));
    let why = EdgeWhy::SameNetwork { network: network.first(), prefix: network.prefix(), gateway };
    is_there.then(|| Some(ProposedEdge { kind: EdgeKind::RoutedVia, to: ROUTER.parse().ok()?, why }))?
}

fn this_host(seen: &Seen) -> Draft {
    let mut checks = vec![ProbeSpec::Host { disk_bad_percent: 95 }];
    if seen.own.interface.is_some() {
        checks.push(ProbeSpec::NetLink { interface: None, speed_mbps: None });
    }
    let own = seen.hosts.iter().find(|host| host.address.is_loopback());
    let own_supply = own.and_then(|host| supplies(host).into_iter().next());
    Draft {
        name: Some(slug(&seen.own.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "this-host".to_owned()),
        class: AssetClass::Server,
        why: Why::ThisHost { interface: seen.own.interface.as_deref().map(DeviceText::new) },
        powered_by: own_supply.map(|supply| supply.name),
        checks,
    }
}

fn supplies(host: &Answering) -> Vec<Draft> {
    let target = host.address.to_string();
    let of = |name: &String| Draft {
        name: supply_id(name),
        class: AssetClass::Ups,
        why: Why::NutServer { address: host.address },
        powered_by: None,
        checks: vec![ProbeSpec::UpsNut { target: target.clone(), port: NUT_PORT, ups: name.clone() }],
    };
    // apcupsd has one supply, which it calls nothing that is of use.
    let apcupsd = host.ports.contains(&APCUPSD_PORT).then(|| Draft {
        name: "ups-apcupsd".to_owned(),
        class: AssetClass::Ups,
        why: Why::Apcupsd { address: host.address },
        powered_by: None,
        checks: vec![ProbeSpec::UpsApcupsd { target: target.clone(), port: APCUPSD_PORT }],
    });
    // A server may call a supply anything; what no check could name is not proposed.
    let by_nut = host.supplies.iter().map(of).filter(|draft| draft.checks.iter().all(can_be_asked));
    by_nut.chain(apcupsd).chain(managed(host)).collect()
}

/// What a device is that tells by SNMP: a supply, or a switch whose ports with a link are watched.
fn managed(host: &Answering) -> Option<Draft> {
    let Managed { login, name, description, kind } = host.managed.as_ref()?;
    let access = SnmpAccess { target: host.address.to_string(), udp_port: SNMP_PORT, login: login.clone() };
    let word = name.as_ref().map(|name| slug(name.as_str())).filter(|word| !word.is_empty());
    let (class, word, checks) = match kind {
        ManagedKind::Supply => {
            let name = supply_id(word.as_deref().unwrap_or(&slug(&host.address.to_string())));
            (AssetClass::Ups, name, vec![ProbeSpec::UpsSnmp(access)])
        }
        ManagedKind::Switch { ports } => {
            let name = word.unwrap_or_else(|| named("switch", host.address));
            let port = |port: &String| {
                let access = access.clone();
                ProbeSpec::Snmp(SwitchPort { access, port: port.clone(), speed_mbps: None, poe_port: None })
            };
            let reached = ProbeSpec::NetIcmp { target: host.address.to_string(), tcp_port: None };
            let ports = ports.iter().map(port).filter(can_be_asked);
            (AssetClass::Switch, name, std::iter::once(reached).chain(ports).collect())
        }
        ManagedKind::Other => return None,
    };
    let why = Why::Snmp { address: host.address, name: name.clone(), description: description.clone() };
    Some(Draft { name: word, class, why, powered_by: None, checks })
}

fn can_be_asked(probe: &ProbeSpec) -> bool {
    "any/check".parse().is_ok_and(|id| CheckSpec::with_defaults(id, probe.clone()).validate().is_ok())
}

fn recognised(host: &Answering) -> Option<Draft> {
    let known = KNOWN.iter().find(|(port, _, _)| host.ports.contains(port));
    let (target, ports) = (host.address.to_string(), host.ports.clone());
    let tcp = known.map(|(port, _, _)| ProbeSpec::NetTcp { target: target.clone(), port: *port });
    let (class, word) = match (known, &host.camera) {
        (Some((_, class, word)), _) => (*class, *word),
        (None, Some(_)) => (AssetClass::Camera, "camera"),
        (None, None) => return None,
    };
    let (why, checks) = match &host.camera {
        // It is there, whether it shows anything or not.
        Some(Camera { name, hardware }) => {
            let echo = ProbeSpec::NetIcmp { target, tcp_port: None };
            let why = Why::Onvif { name: name.clone(), hardware: hardware.clone(), ports };
            (why, std::iter::once(echo).chain(tcp).collect())
        }
        None => (Why::Serves { ports }, tcp.into_iter().collect()),
    };
    Some(Draft { name: named(word, host.address), class, why, powered_by: None, checks })
}

/// `camera-10-40-0-21`.
fn named(word: &str, address: IpAddr) -> String {
    format!("{word}-{}", slug(&address.to_string()))
}

fn supply_id(name: &str) -> String {
    let name = slug(name);
    if name.starts_with("ups") { name } else { format!("ups-{name}") }
}

/// Small letters, digits and single dashes, as names in the book are; 40 characters at most, so that a number fits behind.
fn slug(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let parts: String = plain.collect();
    let joined = parts.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    joined.chars().take(40).collect::<String>().trim_matches('-').to_owned()
}

/// What can be put into a site's file as it stands; everything that is not is a comment.
pub(super) fn text(seen: &Seen, proposals: &[Proposal]) -> Vec<String> {
    let mut lines = vec![format!("# {}", looked_at(seen))];
    let (watched, new): (Vec<_>, Vec<_>) = proposals.iter().partition(|proposal| proposal.watched_by.is_some());
    for proposal in &watched {
        let by = proposal.watched_by.as_deref().unwrap_or_default();
        lines.push(format!("# Watched already, as {by}: {}", proposal.why));
    }
    for host in seen.hosts.iter().filter(|host| !is_proposed(host, seen)) {
        let mut serves = if host.ports.is_empty() { "it answers an echo".to_owned() } else { services(&host.ports) };
        if let Some(Managed { name, description, .. }) = &host.managed {
            let why = Why::Snmp { address: host.address, name: name.clone(), description: description.clone() };
            serves = format!("{serves}; {why}");
        }
        lines.push(format!("# Also there, and not proposed: {} ({serves})", host.address));
    }
    lines.extend(seen.left_out.iter().map(|why| format!("# Not looked at: {why}")));
    if !seen.own.backup_tools.is_empty() {
        let tools = seen.own.backup_tools.join(", ");
        lines.push(format!(
            "# This host makes backups with {tools}: name each as a job with its schedule, and end its script with: upheld-agent ran JOB --status $?"
        ));
    }
    if new.iter().any(|proposal| matches!(proposal.asset.seen, Why::Onvif { .. })) {
        lines.push(
            "# Of cameras only echo and video port are watched: what they show (cam.onvif, cam.rtsp) no agent of this version looks at.".to_owned(),
        );
    }
    if new.is_empty() {
        lines.push("# Nothing new to watch.".to_owned());
        return lines;
    }
    lines.push(
        "# For clients/CLIENT/sites/SITE.toml. Give each its name and class, and say what hangs on what.".to_owned(),
    );
    for proposal in new {
        lines.push(String::new());
        lines.extend(asset_lines(&proposal.asset));
    }
    lines
}

fn is_proposed(host: &Answering, seen: &Seen) -> bool {
    let is_gateway = Some(host.address) == seen.own.gateway;
    host.address.is_loopback() || is_gateway || !supplies(host).is_empty() || recognised(host).is_some()
}

fn looked_at(seen: &Seen) -> String {
    let networks = match seen.networks.as_slice() {
        [] => "this host alone".to_owned(),
        networks => {
            let said = |network: &Network| match network.is_swept() {
                true => network.to_string(),
                false => format!("whom this host knows of {network}"),
            };
            networks.iter().map(said).collect::<Vec<_>>().join(", ")
        }
    };
    let others = seen.hosts.iter().filter(|host| !host.address.is_loopback()).count();
    let forbidden = match seen.forbidden {
        0 => String::new(),
        n => format!("; allow.toml forbids {n} more"),
    };
    format!("Looked through {networks}: {} addresses, {others} answered{forbidden}.", seen.asked)
}

#[cfg(test)]
mod tests {
    use upheld_probe::discover::Own;

    use super::*;

    fn host(address: &str, ports: &[u16], supplies: &[&str]) -> Answering {
        Answering {
            address: address.parse().unwrap(),
            ports: ports.iter().copied().collect(),
            supplies: supplies.iter().map(|&name| name.to_owned()).collect(),
            camera: None,
            managed: None,
        }
    }

    fn seen() -> Seen {
        Seen {
            own: Own {
                name: "SRV_1.example".to_owned(),
                gateway: "10.40.0.1".parse().ok(),
                resolvers: vec![],
                interface: Some("eth0".to_owned()),
                backup_tools: vec!["restic".to_owned()],
            },
            networks: vec!["10.40.0.0/24".parse().unwrap()],
            left_out: vec!["172.17.0.0/16 on docker0: it does not lead to the gateway".to_owned()],
            asked: 254,
            forbidden: 1,
            hosts: vec![
                host("10.40.0.1", &[53, 80], &[]),
                host("10.40.0.9", &[], &[]),
                host("10.40.0.12", &[80, 554, 8000], &[]),
                host("10.40.0.21", &[554], &[]),
                host("10.40.0.30", &[22, 3551], &[]),
                host("10.40.0.31", &[22], &[]),
                host("127.0.0.1", &[3493], &["ups1", "Cellar"]),
            ],
        }
    }

    #[test]
    fn what_was_seen_becomes_text_for_a_sites_file() {
        insta::assert_snapshot!(text(&seen(), &propose(&seen(), &[])).join("\n"));
    }

    #[test]
    fn what_is_watched_is_not_proposed_again() {
        let watched = [
            ("srv-1/host".to_owned(), ProbeSpec::Host { disk_bad_percent: 80 }),
            ("srv-1/net.link".to_owned(), ProbeSpec::NetLink { interface: Some("eth0".to_owned()), speed_mbps: None }),
            ("cam-1/net.tcp".to_owned(), ProbeSpec::NetTcp { target: "10.40.0.21".to_owned(), port: 554 }),
        ];
        let all = propose(&seen(), &watched);
        let by = |asset: &str| all.iter().find(|one| one.asset.asset.as_str() == asset).unwrap().watched_by.as_deref();
        assert_eq!(by("srv-1-example"), Some("srv-1/host"));
        assert_eq!(by("camera-10-40-0-21"), Some("cam-1/net.tcp"));
        assert_eq!(by("recorder-10-40-0-12"), None);
    }

    #[test]
    fn a_server_that_calls_its_supplies_names_puts_none_of_them_into_the_file() {
        let hostile = ["a b", "x\"\n[[asset]]", "\u{1b}[2J", "", &"u".repeat(10_000)];
        let seen = Seen { hosts: vec![host("10.40.0.5", &[3493], &hostile)], ..seen() };
        let text = text(&seen, &propose(&seen, &[])).join("\n");
        assert!(!text.contains("class = \"ups\"") && !text.contains('\u{1b}') && text.len() < 2_000, "{text}");
    }

    #[test]
    fn names_are_the_books_and_each_is_another() {
        let twice =
            Seen { hosts: vec![host("10.40.0.5", &[], &["ups1"]), host("10.40.0.6", &[], &["ups1"])], ..seen() };
        let names: Vec<String> = propose(&twice, &[]).into_iter().map(|one| one.asset.asset.to_string()).collect();
        assert_eq!(names, ["srv-1-example", "router", "ups1", "ups1-2"]);
        for hostile in ["", "…", "--", "a\u{202e}b", "\u{1b}[31mred", &"x".repeat(300)] {
            let all = propose(&Seen { own: Own { name: hostile.to_owned(), ..seen().own }, ..seen() }, &[]);
            assert!(matches!(all[0].asset.seen, Why::ThisHost { .. }), "{hostile:?}: {all:?}");
        }
    }
}
