//! The networks that a host is in, and the addresses of a network.

use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr};

use sysinfo::{IpNetwork, Networks};
use upheld_model::address::Place;

use super::ADDRESSES_MAX;
use crate::allow::Subnet;
#[cfg(target_os = "linux")]
use crate::surroundings;

/// A network to look through, written as `10.40.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Subnet);

impl Network {
    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.0.ends()[0]
    }

    /// How many bits of an address name it.
    pub fn prefix(&self) -> u8 {
        self.0.prefix()
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(address)
    }

    /// Whether its addresses can be gone through; else those of it that this host knows as neighbours are looked at.
    pub fn is_swept(&self) -> bool {
        self.first().is_ipv4() || self.hosts_count() <= ADDRESSES_MAX as u64
    }

    /// How many hosts it can have; the most that can be counted where there are more.
    pub(super) fn hosts_count(&self) -> u64 {
        match self.0.ends() {
            [IpAddr::V4(first), IpAddr::V4(last)] => match u64::from(last.to_bits() - first.to_bits()) + 1 {
                few @ 0..=2 => few,
                many => many - 2,
            },
            [IpAddr::V6(first), IpAddr::V6(last)] => {
                u64::try_from(last.to_bits() - first.to_bits()).unwrap_or(u64::MAX).saturating_add(1)
            }
            // Both ends are of one family.
            [IpAddr::V4(_), IpAddr::V6(_)] | [IpAddr::V6(_), IpAddr::V4(_)] => u64::MAX,
        }
    }

    /// The addresses that hosts can have: in IPv4 without the network's own and the one of all hosts (RFC 1122,
    /// 3.2.1.3), but of two addresses or one all (RFC 3021).
    pub(super) fn hosts(&self) -> Box<dyn Iterator<Item = IpAddr> + Send> {
        match self.0.ends() {
            [IpAddr::V4(first), IpAddr::V4(last)] => {
                let (first, last) = (first.to_bits(), last.to_bits());
                let is_small = last - first < 2;
                let (first, last) = if is_small { (first, last) } else { (first + 1, last - 1) };
                Box::new((first..=last).map(|bits| IpAddr::V4(bits.into())))
            }
            [IpAddr::V6(first), IpAddr::V6(last)] => {
                Box::new((first.to_bits()..=last.to_bits()).map(|bits| IpAddr::V6(bits.into())))
            }
            [IpAddr::V4(_), IpAddr::V6(_)] | [IpAddr::V6(_), IpAddr::V4(_)] => Box::new(std::iter::empty()),
        }
    }

    fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix.into())?).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix.into())?).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        format!("{first}/{prefix}").parse().ok()
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The port over which this host reaches its gateway.
#[cfg(target_os = "linux")]
pub(super) fn interface() -> Option<String> {
    surroundings::default_interface()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn interface() -> Option<String> {
    None
}

/// This host's ports by name, with their networks; none where the system does not tell.
fn ports() -> Vec<(String, Vec<IpNetwork>)> {
    let Ok(ports) = Networks::new_with_refreshed_list() else { return Vec::new() };
    ports.iter().map(|(name, port)| (name.to_string_lossy().into_owned(), port.ip_networks().to_vec())).collect()
}

/// This host's own addresses.
pub(super) fn own_addresses() -> BTreeSet<IpAddr> {
    ports().iter().flat_map(|(_, networks)| networks.iter().map(|network| network.addr)).collect()
}

/// The networks of the port that leads to the gateway, and why others are left out. Where the port is not known, the
/// networks that hold the gateway are its.
pub(super) fn of_this_host(interface: Option<&str>, gateway: Option<IpAddr>) -> (Vec<Network>, Vec<String>) {
    let known = ports().into_iter().flat_map(|(name, networks)| {
        // Link-local addresses are never asked (SECURITY 3).
        let is_askable = |network: &IpNetwork| !matches!(Place::of(network.addr), Place::Loopback | Place::Never(_));
        let networks = networks.into_iter().filter(is_askable);
        networks.filter_map(move |network| Some((name.clone(), Network::around(network.addr, network.prefix)?)))
    });
    choose(known, interface, gateway)
}

fn choose(
    known: impl Iterator<Item = (String, Network)>,
    interface: Option<&str>,
    gateway: Option<IpAddr>,
) -> (Vec<Network>, Vec<String>) {
    let (mut chosen, mut left_out): (Vec<Network>, Vec<String>) = (Vec::new(), Vec::new());
    let mut taken = 0_u64;
    // Whichever the system names first: a look twice says the same.
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|(_, network)| (network.first(), network.prefix()));
    for (port, network) in known {
        let leads_out = match (interface, gateway) {
            (Some(interface), _) => port == interface,
            (None, Some(gateway)) => network.0.contains(gateway),
            (None, None) => false,
        };
        let count = if network.is_swept() { network.hosts_count() } else { 0 };
        let fits = taken.saturating_add(count) <= ADDRESSES_MAX as u64;
        if leads_out && fits {
            if !chosen.contains(&network) {
                taken += count;
                chosen.push(network);
            }
        } else if leads_out {
            left_out.push(format!("{network} on {port}: {count} addresses are too many; name a part: --network"));
        } else {
            left_out.push(format!(
                "{network} on {port}: it does not lead to the gateway; if it is meant: --network {network}"
            ));
        }
    }
    left_out.sort();
    (chosen, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_that_hosts_can_have() {
        for (text, hosts) in [
            ("10.40.0.0/30", vec!["10.40.0.1", "10.40.0.2"]),
            ("10.40.0.4/31", vec!["10.40.0.4", "10.40.0.5"]),
            ("10.40.0.7/32", vec!["10.40.0.7"]),
            ("fd00::4/127", vec!["fd00::4", "fd00::5"]),
        ] {
            let has: Vec<String> = network(text).hosts().map(|address| address.to_string()).collect();
            assert_eq!(
                (has, network(text).hosts_count()),
                (hosts.iter().map(|&a| a.to_owned()).collect(), hosts.len() as u64),
                "{text}"
            );
        }
        assert_eq!(network("10.40.0.0/22").hosts_count(), 1_022);
        assert_eq!(network("0.0.0.0/0").hosts_count(), (1 << 32) - 2);
        assert_eq!(network("::/0").hosts_count(), u64::MAX);
    }

    #[test]
    fn the_network_towards_the_gateway_is_looked_through_and_the_others_are_named() {
        let known = [("eth0", "10.40.0.0/24"), ("docker0", "172.17.0.0/16"), ("eth1", "192.168.7.0/24")];
        let known = || known.map(|(port, text)| (port.to_owned(), network(text))).into_iter();
        let (chosen, left_out) = choose(known(), Some("eth0"), None);
        assert_eq!(chosen, [network("10.40.0.0/24")]);
        assert_eq!(left_out.len(), 2);
        assert!(left_out[1].ends_with("if it is meant: --network 192.168.7.0/24"), "{left_out:?}");
        let (chosen, _) = choose(known(), None, "192.168.7.1".parse().ok());
        assert_eq!(chosen, [network("192.168.7.0/24")]);
        let (chosen, left_out) = choose(known(), Some("docker0"), None);
        assert!(
            chosen.is_empty() && left_out.iter().any(|why| why.contains("65534 addresses are too many")),
            "{left_out:?}"
        );
    }
}
