//! Who answers SNMP, and what he is: a supply with a battery, a switch with its ports, or neither.
//!
//! Nobody is asked unless a person names what to show: a community is a password in clear text, and one that the site has for
//! its switch is not for whoever else is in the network. Only hosts that answered otherwise are asked, once each.

use std::{net::IpAddr, time::Duration};

use upheld_model::{
    DeviceText, SecretName,
    snmp::{SNMP_PORT, SnmpAccess, SnmpLogin},
};

use crate::{
    Prober,
    deadline::Deadline,
    snmp::{Oid, Table, Value, text},
};

/// How long one device may take: each question is put twice.
const PATIENCE: Duration = Duration::from_secs(4);
/// The most ports of one switch: those of a large one that does not stand in a rack of its own.
const PORTS_MAX: usize = 52;

const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
const DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 1];
const NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 5];
/// `upsBatteryStatus` (RFC 1628) and `upsBasicBatteryStatus` (PowerNet).
const BATTERIES: [&[u32]; 2] = [&[1, 3, 6, 1, 2, 1, 33, 1, 2, 1], &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 1, 1]];
/// `dot1dBaseNumPorts` (RFC 4188): whoever has it is a bridge.
const BRIDGE_PORTS: &[u32] = &[1, 3, 6, 1, 2, 1, 17, 1, 2];
const IF_TYPE: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 3];
const IF_UP: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 8];
const IF_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];
/// `ethernetCsmacd`: a port with a socket.
const ETHERNET: i64 = 6;

/// What a device tells by SNMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// With what it was asked.
    pub login: SnmpLogin,
    /// Its name.
    pub name: Option<DeviceText>,
    /// What its maker calls it.
    pub description: Option<DeviceText>,
    /// What it is.
    pub kind: ManagedKind,
}

/// What a device is, by the tables that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagedKind {
    /// A supply with a battery.
    Supply,
    /// A switch, with the ports that have a link now.
    Switch {
        /// By name, in its own order.
        ports: Vec<String>,
    },
    /// Neither.
    Other,
}

/// What is shown to devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Communities {
    /// Secrets of this host that are communities.
    pub secrets: Vec<SecretName>,
    /// The community `public`, which devices are delivered with.
    pub public: bool,
}

impl Communities {
    fn logins(&self) -> impl Iterator<Item = SnmpLogin> {
        let named = self.secrets.iter().map(|name| Some(name.clone()));
        let public = self.public.then_some(None);
        named.chain(public).map(|community_secret| SnmpLogin::Community { community_secret })
    }
}

impl Prober {
    /// Asks a host with each of these until it answers one.
    pub(super) async fn managed(&self, address: IpAddr, communities: &Communities) -> Option<Managed> {
        for login in communities.logins() {
            if let Some(managed) = self.managed_by(address, login).await {
                return Some(managed);
            }
        }
        None
    }

    async fn managed_by(&self, address: IpAddr, login: SnmpLogin) -> Option<Managed> {
        let access = SnmpAccess { target: address.to_string(), udp_port: SNMP_PORT, login: login.clone() };
        let inner = &self.inner;
        let asked =
            inner.sessions.with(&inner.targets, &inner.secrets, &access, Deadline::after(PATIENCE)).await.ok()?;
        let scalar = |base: &[u32]| Oid::of(base, &[0]);
        let wanted =
            [scalar(DESCRIPTION), scalar(NAME), scalar(BATTERIES[0]), scalar(BATTERIES[1]), scalar(BRIDGE_PORTS)];
        let table = asked.get(&wanted).await.ok()?;
        // Whoever has no system group is no SNMP agent that we know anything of.
        table.rows(SYSTEM).next()?;
        let said = |base: &[u32]| {
            table.text(base, &[0]).map(|said| DeviceText::new(&said.chars().take(80).collect::<String>()))
        };
        let kind = if BATTERIES.iter().any(|base| table.number(base, &[0]).is_some()) {
            ManagedKind::Supply
        } else if table.number(BRIDGE_PORTS, &[0]).is_some_and(|ports| ports > 1) {
            let mut ports = Table::default();
            for base in [IF_TYPE, IF_UP, IF_NAME] {
                ports.extend(asked.walk(base).await.ok()?);
            }
            ManagedKind::Switch { ports: linked(&ports) }
        } else {
            ManagedKind::Other
        };
        Some(Managed { login, name: said(NAME), description: said(DESCRIPTION), kind })
    }
}

/// The ports with a socket that have a link, by name.
fn linked(table: &Table) -> Vec<String> {
    let is_linked =
        |index: &[u32]| table.number(IF_TYPE, index) == Some(ETHERNET) && table.number(IF_UP, index) == Some(1);
    let named = table.rows(IF_NAME).filter(|(index, _)| is_linked(index));
    let names = named.filter_map(|(_, value)| match value {
        Value::Octets(octets) => text(octets),
        Value::Integer(_) | Value::Count(_) | Value::Oid(_) => None,
    });
    names.take(PORTS_MAX).collect()
}
