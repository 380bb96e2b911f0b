//! From what was seen to assets and checks, as text that fits into a site's file.
//!
//! Few and quiet: a host that only answers an echo is named and not proposed, and no edge is proposed but that this host
//! hangs on the supply whose server it runs. A wrong edge would blame the wrong device.

use std::collections::BTreeSet;

use serde::Serialize;
use upheld_model::{
    CheckSpec, ProbeSpec,
    check::{APCUPSD_PORT, NUT_PORT},
    vocabulary::AssetClass,
};
use upheld_probe::discover::{Answering, PORTS, Seen};

use super::is_same;

/// A configured check: its name, and what it asks.
pub(super) type Watched = (String, ProbeSpec);

/// One asset that could be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proposal {
    asset: String,
    class: AssetClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    powered_by: Option<String>,
    checks: Vec<ProbeSpec>,
    /// What was seen, for the person who decides.
    why: String,
    /// The check of this agent that watches all of it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    watched_by: Option<String>,
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

/// The assets, this host first, then its gateway, supplies, and who else was recognised, by address.
pub(super) fn propose(seen: &Seen, watched: &[Watched]) -> Vec<Proposal> {
    let mut all = vec![this_host(seen)];
    if seen.own.gateway.is_some() {
        all.push(Proposal {
            asset: "router".to_owned(),
            class: AssetClass::Gateway,
            powered_by: None,
            checks: vec![ProbeSpec::NetIcmp { target: "gateway".to_owned(), tcp_port: None }],
            why: seen.own.gateway.map(|address| format!("the way out, at {address}")).unwrap_or_default(),
            watched_by: None,
        });
    }
    all.extend(seen.hosts.iter().flat_map(supplies));
    all.extend(seen.hosts.iter().filter(|host| !host.address.is_loopback()).filter_map(recognised));
    let mut used = BTreeSet::new();
    for proposal in &mut all {
        let base = proposal.asset.clone();
        let mut next = 2;
        while !used.insert(proposal.asset.clone()) {
            proposal.asset = format!("{base}-{next}");
            next += 1;
        }
        let by = |check: &ProbeSpec| watched.iter().find(|(_, known)| is_same(known, check)).map(|(name, _)| name);
        if proposal.checks.iter().all(|check| by(check).is_some()) {
            proposal.watched_by = proposal.checks.first().and_then(by).cloned();
        }
    }
    all
}

fn this_host(seen: &Seen) -> Proposal {
    let mut checks = vec![ProbeSpec::Host { disk_bad_percent: 95 }];
    if seen.own.interface.is_some() {
        checks.push(ProbeSpec::NetLink { interface: None, speed_mbps: None });
    }
    let own = seen.hosts.iter().find(|host| host.address.is_loopback());
    let own_supply = own.and_then(|host| supplies(host).into_iter().next());
    Proposal {
        asset: Some(slug(&seen.own.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "this-host".to_owned()),
        class: AssetClass::Server,
        powered_by: own_supply.map(|supply| supply.asset),
        checks,
        why: match &seen.own.interface {
            Some(interface) => format!("this host, on the network by {interface}"),
            None => "this host".to_owned(),
        },
        watched_by: None,
    }
}

fn supplies(host: &Answering) -> Vec<Proposal> {
    let target = host.address.to_string();
    let of = |name: &String| Proposal {
        asset: supply_id(name),
        class: AssetClass::Ups,
        powered_by: None,
        checks: vec![ProbeSpec::UpsNut { target: target.clone(), port: NUT_PORT, ups: name.clone() }],
        why: format!("the NUT server at {target} knows it"),
        watched_by: None,
    };
    // apcupsd has one supply, which it calls nothing that is of use.
    let apcupsd = host.ports.contains(&APCUPSD_PORT).then(|| Proposal {
        asset: "ups-apcupsd".to_owned(),
        class: AssetClass::Ups,
        powered_by: None,
        checks: vec![ProbeSpec::UpsApcupsd { target: target.clone(), port: APCUPSD_PORT }],
        why: format!("apcupsd at {target}"),
        watched_by: None,
    });
    // A server may call a supply anything; what no check could name is not proposed.
    host.supplies.iter().map(of).filter(|proposal| proposal.checks.iter().all(can_be_asked)).chain(apcupsd).collect()
}

fn can_be_asked(probe: &ProbeSpec) -> bool {
    "any/check".parse().is_ok_and(|id| CheckSpec::with_defaults(id, probe.clone()).validate().is_ok())
}

fn recognised(host: &Answering) -> Option<Proposal> {
    let (port, class, word) = KNOWN.iter().find(|(port, _, _)| host.ports.contains(port))?;
    let target = host.address.to_string();
    Some(Proposal {
        asset: format!("{word}-{}", slug(&target)),
        class: *class,
        powered_by: None,
        checks: vec![ProbeSpec::NetTcp { target, port: *port }],
        why: if *class == AssetClass::Camera {
            format!("{}: a camera, or a recorder", services(host))
        } else {
            services(host)
        },
        watched_by: None,
    })
}

fn supply_id(name: &str) -> String {
    let name = slug(name);
    if name.starts_with("ups") { name } else { format!("ups-{name}") }
}

/// What listens there, in words.
fn services(host: &Answering) -> String {
    let words = PORTS.iter().filter(|(port, _)| host.ports.contains(port));
    words.map(|(port, what)| format!("{what} on {port}")).collect::<Vec<_>>().join(", ")
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
        let serves = if host.ports.is_empty() { "it answers an echo".to_owned() } else { services(host) };
        lines.push(format!("# Also there, and not proposed: {} ({serves})", host.address));
    }
    lines.extend(seen.left_out.iter().map(|why| format!("# Not looked at: {why}")));
    if !seen.own.backup_tools.is_empty() {
        let tools = seen.own.backup_tools.join(", ");
        lines.push(format!(
            "# This host makes backups with {tools}: name each as a job with its schedule, and end its script with: upheld-agent ran JOB --status $?"
        ));
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
        lines.push(format!("# {}", proposal.why));
        lines.push("[[asset]]".to_owned());
        lines.push(format!("id = {:?}", proposal.asset));
        lines.push(format!("class = {:?}", proposal.class.as_str()));
        lines.extend(
            proposal.powered_by.iter().map(|ups| format!("powered_by = {ups:?}         # it runs the supply's server")),
        );
        let checks: Vec<String> = proposal.checks.iter().map(inline).collect();
        lines.push(format!("checks = [{}]", checks.join(", ")));
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
        networks => networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let others = seen.hosts.iter().filter(|host| !host.address.is_loopback()).count();
    let forbidden = match seen.forbidden {
        0 => String::new(),
        n => format!("; allow.toml forbids {n} more"),
    };
    format!("Looked through {networks}: {} addresses, {others} answered{forbidden}.", seen.asked)
}

/// A check as the book writes it; what is the default is left out.
fn inline(check: &ProbeSpec) -> String {
    let mut said = vec![format!("kind = {:?}", check.kind())];
    if let ProbeSpec::NetIcmp { target, .. }
    | ProbeSpec::NetTcp { target, .. }
    | ProbeSpec::UpsNut { target, .. }
    | ProbeSpec::UpsApcupsd { target, .. } = check
    {
        said.push(format!("target = {target:?}"));
    }
    if let ProbeSpec::NetTcp { port, .. } = check {
        said.push(format!("port = {port}"));
    }
    if let ProbeSpec::UpsNut { ups, .. } = check {
        said.push(format!("ups = {ups:?}"));
    }
    format!("{{ {} }}", said.join(", "))
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
        let by = |asset: &str| all.iter().find(|one| one.asset == asset).unwrap().watched_by.as_deref();
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
        let names: Vec<String> = propose(&twice, &[]).into_iter().map(|one| one.asset).collect();
        assert_eq!(names, ["srv-1-example", "router", "ups1", "ups1-2"]);
        for hostile in ["", "…", "--", "a\u{202e}b", "\u{1b}[31mred", &"x".repeat(300)] {
            let name =
                propose(&Seen { own: Own { name: hostile.to_owned(), ..seen().own }, ..seen() }, &[])[0].asset.clone();
            assert!(name.parse::<upheld_model::AssetId>().is_ok(), "{hostile:?} became {name:?}");
        }
    }
}
