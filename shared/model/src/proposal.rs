//! What a host proposes to watch: assets and checks as data, and how each is written in a site's file.
//!
//! An agent makes them of what it saw (`discover`); a collector holds what was sent against [`ProposedAsset::refused`]. The
//! text of a site's file is made here alone, from typed values: no word of a host or a device gets into it but as a
//! comment, as [`DeviceText`]. What a collector does not know of a newer agent's reasons is [`Seen::Later`].

mod text;

use std::{collections::BTreeSet, fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    address::Place,
    check::{CheckSpec, ProbeSpec},
    ids::AssetId,
    text::DeviceText,
    vocabulary::{AssetClass, EdgeKind},
};

pub use text::{asset_lines, check_text, checks_text, edge_text};

/// The most assets of one proposal: one look takes 1,024 addresses, and few of them are worth a check.
pub const ASSETS_MAX: usize = 250;
/// The most checks of one asset.
pub const CHECKS_MAX: usize = 60;
/// The most edges of one asset.
const EDGES_MAX: usize = 6;

/// The ports that are tried, with what usually listens there. Those of IANA's register where it names one; the recorders'
/// are their makers' defaults.
pub const PORTS: &[(u16, &str)] = &[
    (22, "SSH"),
    (53, "DNS"),
    (80, "web page"),
    (443, "web page (TLS)"),
    (445, "file shares"),
    (554, "video (RTSP)"),
    (1433, "SQL Server"),
    (3389, "remote desktop"),
    (3493, "power supplies (NUT)"),
    (3551, "power supply (apcupsd)"),
    (5432, "PostgreSQL"),
    (7563, "Milestone recording server"),
    (8000, "Hikvision device"),
    (8007, "Proxmox Backup Server"),
    (9100, "printer"),
    (37_777, "Dahua device"),
];

/// One asset that could be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedAsset {
    /// A name for it.
    pub asset: AssetId,
    /// What it seems to be.
    pub class: AssetClass,
    /// What was seen, for the person who decides.
    pub seen: Seen,
    /// What it may hang on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<ProposedEdge>,
    /// How it could be watched.
    pub checks: Vec<ProbeSpec>,
}

/// What an asset may hang on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedEdge {
    /// In which way.
    pub kind: EdgeKind,
    /// On which asset of the same proposal, or of the book.
    pub to: AssetId,
    /// Why it is thought so.
    pub why: EdgeWhy,
}

/// Why an asset is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum Seen {
    /// The host itself.
    ThisHost {
        /// The port over which it reaches the gateway.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interface: Option<DeviceText>,
    },
    /// The default gateway.
    WayOut {
        /// Where.
        address: IpAddr,
    },
    /// A NUT server knows it.
    NutServer {
        /// Where.
        address: IpAddr,
    },
    /// apcupsd tells of it.
    Apcupsd {
        /// Where.
        address: IpAddr,
    },
    /// By what listens there.
    Serves {
        /// Those of [`PORTS`] that took a connection.
        ports: BTreeSet<u16>,
    },
    /// It says by ONVIF that it sends video.
    Onvif {
        /// What it calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<DeviceText>,
        /// Its model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hardware: Option<DeviceText>,
        /// Those of [`PORTS`] that took a connection.
        ports: BTreeSet<u16>,
    },
    /// It tells by SNMP.
    Snmp {
        /// Where.
        address: IpAddr,
        /// What it calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<DeviceText>,
        /// What its maker calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<DeviceText>,
    },
    /// What this version does not know.
    #[serde(other)]
    Later,
}

/// Why an asset is thought to hang on another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum EdgeWhy {
    /// It runs the server of that supply, which is what such a server is for.
    RunsItsServer,
    /// It is in the gateway's network: likely, and no more.
    SameNetwork {
        /// The network's first address.
        network: IpAddr,
        /// Its prefix, in bits.
        prefix: u8,
        /// The gateway.
        gateway: IpAddr,
    },
    /// A person said so.
    #[serde(skip)]
    Said,
    /// What this version does not know.
    #[serde(other)]
    Later,
}

impl EdgeWhy {
    /// Whether it is taken with the asset; else a person takes it by name, since a wrong edge blames the wrong device.
    pub fn is_sure(&self) -> bool {
        match self {
            Self::RunsItsServer | Self::Said => true,
            Self::SameNetwork { .. } | Self::Later => false,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisHost { interface: Some(port) } => write!(f, "this host, on the network by {port}"),
            Self::ThisHost { interface: None } => f.write_str("this host"),
            Self::WayOut { address } => write!(f, "the way out, at {address}"),
            Self::NutServer { address } => write!(f, "the NUT server at {address} knows it"),
            Self::Apcupsd { address } => write!(f, "apcupsd at {address}"),
            Self::Serves { ports } if ports.contains(&554) && !is_recorders(ports) => {
                write!(f, "{}: a camera, or a recorder", services(ports))
            }
            Self::Serves { ports } => f.write_str(&services(ports)),
            Self::Onvif { name, hardware, ports } => {
                f.write_str("it says by ONVIF that it sends video")?;
                said(f, name.as_ref(), hardware.as_ref())?;
                if ports.is_empty() { Ok(()) } else { write!(f, ", {}", services(ports)) }
            }
            Self::Snmp { address, name, description } => {
                write!(f, "SNMP at {address}")?;
                said(f, name.as_ref(), description.as_ref())
            }
            Self::Later => f.write_str("seen by an agent that is newer than this collector"),
        }
    }
}

impl fmt::Display for EdgeWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunsItsServer => f.write_str("it runs the supply's server"),
            Self::SameNetwork { network, prefix, gateway } => {
                write!(f, "same network {network}/{prefix}, gateway {gateway}")
            }
            Self::Said => f.write_str("as was said when it was taken"),
            Self::Later => f.write_str("for a reason that this collector does not know"),
        }
    }
}

/// What a device says of itself, behind what was seen.
fn said(f: &mut fmt::Formatter<'_>, name: Option<&DeviceText>, model: Option<&DeviceText>) -> fmt::Result {
    match (name, model) {
        (Some(name), Some(model)) => write!(f, ", as {name} ({model})"),
        (Some(word), None) | (None, Some(word)) => write!(f, ", as {word}"),
        (None, None) => Ok(()),
    }
}

/// Whether a recorder's own port is among them.
fn is_recorders(ports: &BTreeSet<u16>) -> bool {
    [7563, 8000, 37_777].iter().any(|port| ports.contains(port))
}

/// What listens there, in words.
pub fn services(ports: &BTreeSet<u16>) -> String {
    let words = PORTS.iter().filter(|(port, _)| ports.contains(port));
    words.map(|(port, what)| format!("{what} on {port}")).collect::<Vec<_>>().join(", ")
}

impl ProposedAsset {
    /// Why it is not taken; `None` when it may be shown to a person. Only what `discover` proposes is: kinds that ask one
    /// address, by its number.
    pub fn refused(&self) -> Option<String> {
        if self.checks.is_empty() {
            return Some("it has no check".to_owned());
        }
        if self.checks.len() > CHECKS_MAX || self.edges.len() > EDGES_MAX {
            return Some(format!("it has more than {CHECKS_MAX} checks or {EDGES_MAX} edges"));
        }
        self.checks.iter().find_map(refused)
    }
}

/// Why a check is not taken from a proposal.
fn refused(probe: &ProbeSpec) -> Option<String> {
    let is_own = matches!(probe, ProbeSpec::Host { .. } | ProbeSpec::NetLink { .. })
        || matches!(probe, ProbeSpec::NetIcmp { target, .. } if target == "gateway");
    let target = target(probe);
    if !is_own && (target.is_none() || matches!(probe, ProbeSpec::NetQuality { .. })) {
        return Some("a check of a kind that is not proposed".to_owned());
    }
    if let Some(target) = target.filter(|_| !is_own) {
        match target.parse::<IpAddr>().map(Place::of) {
            Ok(Place::Never(what)) => return Some(format!("a check of an address that is never asked ({what})")),
            Ok(Place::Loopback | Place::Private | Place::Shared | Place::Public) => {}
            Err(_) => return Some("a check of something that is no address".to_owned()),
        }
    }
    let id = "any/check".parse().ok()?;
    CheckSpec::with_defaults(id, probe.clone()).validate().err().map(|_| "a check that no agent takes".to_owned())
}

/// Whether two probes ask the same of the same: how it is judged may differ.
pub fn is_same(one: &ProbeSpec, other: &ProbeSpec) -> bool {
    match (one, other) {
        (ProbeSpec::Host { .. }, ProbeSpec::Host { .. }) | (ProbeSpec::NetLink { .. }, ProbeSpec::NetLink { .. }) => {
            true
        }
        (ProbeSpec::NetIcmp { target: one, .. }, ProbeSpec::NetIcmp { target: other, .. }) => one == other,
        (ProbeSpec::UpsSnmp(one), ProbeSpec::UpsSnmp(other)) => one.target == other.target,
        (ProbeSpec::Snmp(one), ProbeSpec::Snmp(other)) => {
            one.access.target == other.access.target && one.port == other.port
        }
        (one, other) => one == other,
    }
}

/// What a check asks, where it is one that asks an address.
fn target(probe: &ProbeSpec) -> Option<&String> {
    if let ProbeSpec::NetIcmp { target, .. }
    | ProbeSpec::NetTcp { target, .. }
    | ProbeSpec::NetQuality { target }
    | ProbeSpec::UpsNut { target, .. }
    | ProbeSpec::UpsApcupsd { target, .. } = probe
    {
        Some(target)
    } else if let ProbeSpec::UpsSnmp(access) = probe {
        Some(&access.target)
    } else if let ProbeSpec::Snmp(port) = probe {
        Some(&port.access.target)
    } else {
        None
    }
}

/// The address that a check asks, where it is not this host's own.
pub fn far_address(probe: &ProbeSpec) -> Option<IpAddr> {
    target(probe)?.parse().ok().filter(|address: &IpAddr| !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(json: serde_json::Value) -> ProposedAsset {
        serde_json::from_value(json).unwrap()
    }

    fn with(check: serde_json::Value) -> ProposedAsset {
        asset(
            serde_json::json!({ "asset": "a", "class": "camera", "seen": { "as": "serves", "ports": [554] }, "checks": [check] }),
        )
    }

    #[test]
    fn only_what_discover_proposes_is_taken() {
        for (check, why) in [
            (serde_json::json!({ "kind": "exec.nagios", "command": "check_raid" }), "not proposed"),
            (serde_json::json!({ "kind": "rec.freshness", "path": "/etc", "age_max_s": 9 }), "not proposed"),
            (serde_json::json!({ "kind": "of.tomorrow" }), "not proposed"),
            (serde_json::json!({ "kind": "net.tcp", "target": "evil.example", "port": 80 }), "no address"),
            (serde_json::json!({ "kind": "net.tcp", "target": "169.254.169.254", "port": 80 }), "never asked"),
            (serde_json::json!({ "kind": "net.tcp", "target": "10.0.0.1", "port": 0 }), "no agent takes"),
            (serde_json::json!({ "kind": "ups.nut", "target": "10.0.0.1", "ups": "a\"\n[[asset]]" }), "no agent takes"),
            (serde_json::json!({ "kind": "net.link", "interface": "../x" }), "no agent takes"),
        ] {
            let refused = with(check.clone()).refused();
            assert!(refused.as_ref().is_some_and(|said| said.contains(why)), "{check}: {refused:?}");
        }
        let good = serde_json::json!({ "kind": "net.tcp", "target": "10.0.0.1", "port": 554 });
        assert_eq!(with(good).refused(), None);
        let none =
            asset(serde_json::json!({ "asset": "a", "class": "ups", "seen": { "as": "this-host" }, "checks": [] }));
        assert!(none.refused().is_some());
    }

    #[test]
    fn a_reason_of_tomorrow_is_read_and_said_as_such() {
        let later = asset(serde_json::json!({
            "asset": "a", "class": "ups", "checks": [{ "kind": "host" }],
            "seen": { "as": "heard-by-radio", "channel": 7 },
            "edges": [{ "kind": "powered_by", "to": "b", "why": { "as": "colour", "of": "blue" } }],
        }));
        assert!(later.seen == Seen::Later && !later.edges[0].why.is_sure(), "{later:?}");
    }
}
