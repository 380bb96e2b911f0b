//! What this host's network looks like from inside: default gateways and configured resolvers.
//!
//! Read from `/proc/net/route` and `/etc/resolv.conf`, on Windows from its adapters. On other systems nothing is known,
//! so that nothing is allowed by being known and `gateway` as a target cannot be probed. IPv6 gateways are link-local addresses, which
//! are never probed (SECURITY 3).

#[cfg(all(target_os = "linux", any(test, feature = "fuzzing")))]
pub(crate) mod fuzzing;

use std::net::IpAddr;
use std::net::Ipv4Addr;

/// The default gateways, those of the lowest metric first.
#[cfg(not(windows))]
pub(crate) fn gateways() -> Vec<IpAddr> {
    std::fs::read_to_string("/proc/net/route").map(|table| parse_routes(&table)).unwrap_or_default()
}

/// The resolvers of `/etc/resolv.conf`.
#[cfg(not(windows))]
pub(crate) fn resolvers() -> Vec<IpAddr> {
    std::fs::read_to_string("/etc/resolv.conf").map(|text| parse_resolvers(&text)).unwrap_or_default()
}

#[cfg(windows)]
pub(crate) use windows::{default_interface, gateways, has_neighbour, resolvers, way_to};

#[cfg(windows)]
mod windows {
    //! By `GetAdaptersAddresses`, which the crate `ipconfig` wraps.

    use std::net::IpAddr;

    use ipconfig::{Adapter, OperStatus, get_adapters};

    use super::Hop;
    use crate::tables;

    /// The default gateways of the adapters that are up, those of the lowest metric first.
    pub(crate) fn gateways() -> Vec<IpAddr> {
        let usable = |gateway: &IpAddr| gateway.is_ipv4() && !gateway.is_unspecified();
        adapters().iter().flat_map(Adapter::gateways).copied().filter(usable).collect()
    }

    /// The resolvers of the adapters that are up.
    pub(crate) fn resolvers() -> Vec<IpAddr> {
        adapters().iter().flat_map(Adapter::dns_servers).copied().collect()
    }

    /// The interface of the default route of the lowest metric.
    pub(crate) fn default_interface() -> Option<String> {
        name_of(tables::default_way()?.index)
    }

    /// How Windows sends to an address; `None` where no route leads there, and for IPv6.
    pub(crate) fn way_to(address: IpAddr) -> Option<Hop> {
        let IpAddr::V4(address) = address.to_canonical() else { return None };
        let route = tables::way_to(address)?;
        Some(Hop { interface: name_of(route.index)?, gateway: route.gateway.map(IpAddr::V4) })
    }

    /// Whether the hardware address behind an address is known; `None` where nobody asked for it lately.
    pub(crate) fn has_neighbour(address: IpAddr, interface: &str) -> Option<bool> {
        let IpAddr::V4(address) = address.to_canonical() else { return None };
        let interfaces = tables::interfaces().ok()?;
        let index = interfaces.iter().find(|known| known.name == interface)?.index;
        tables::has_neighbour(address, index)
    }

    fn name_of(index: u32) -> Option<String> {
        tables::interfaces().ok()?.into_iter().find(|known| known.index == index).map(|known| known.name)
    }

    fn adapters() -> Vec<Adapter> {
        let mut adapters = get_adapters().unwrap_or_default();
        adapters.retain(|adapter| adapter.oper_status() == OperStatus::IfOperStatusUp);
        adapters.sort_by_key(Adapter::ipv4_metric);
        adapters
    }
}

/// The interface of the default route of the lowest metric.
#[cfg(target_os = "linux")]
pub(crate) fn default_interface() -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/route").ok()?;
    default_routes(&table).into_iter().next().map(|route| route.interface)
}

/// Not known elsewhere.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn default_interface() -> Option<String> {
    None
}

/// How the kernel sends to an address; `None` where no route leads there, for IPv6, and where it cannot be read.
#[cfg(target_os = "linux")]
pub(crate) fn way_to(address: IpAddr) -> Option<Hop> {
    parse_way(&std::fs::read_to_string("/proc/net/route").ok()?, address)
}

/// Not known elsewhere.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn way_to(_: IpAddr) -> Option<Hop> {
    None
}

/// Whether the hardware address behind an address is known; `None` where nobody asked for it lately, and where that
/// cannot be read.
#[cfg(target_os = "linux")]
pub(crate) fn has_neighbour(address: IpAddr, interface: &str) -> Option<bool> {
    parse_neighbour(&std::fs::read_to_string("/proc/net/arp").ok()?, address, interface)
}

/// Not known elsewhere.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn has_neighbour(_: IpAddr, _: &str) -> Option<bool> {
    None
}

/// The first step of the way to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The interface that it leaves by.
    pub(crate) interface: String,
    /// The router; `None` for an address of the interface's own network.
    pub(crate) gateway: Option<IpAddr>,
}

/// A route of Windows.
#[cfg(any(windows, test))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The network that it leads to, and the bits of its prefix.
    pub(crate) to: Ipv4Addr,
    pub(crate) length: u8,
    /// With that of its interface.
    pub(crate) metric: u32,
    /// Windows' number for the interface.
    pub(crate) index: u32,
    /// `None` for the interface's own network.
    pub(crate) gateway: Option<Ipv4Addr>,
}

/// The longest prefix wins, then the lowest metric.
#[cfg(any(windows, test))]
pub(crate) fn best(routes: &[Route], address: Ipv4Addr) -> Option<Route> {
    let leads = |route: &&Route| {
        let mask = u32::MAX.checked_shl(32 - u32::from(route.length.min(32))).unwrap_or(0);
        address.to_bits() & mask == route.to.to_bits() & mask
    };
    routes.iter().filter(leads).max_by_key(|route| (route.length, std::cmp::Reverse(route.metric))).cloned()
}

/// The longest prefix wins, then the lowest metric. Columns as in [`default_routes`]; flag 0x200 is "reject".
#[cfg(target_os = "linux")]
fn parse_way(table: &str, address: IpAddr) -> Option<Hop> {
    let IpAddr::V4(address) = address.to_canonical() else { return None };
    let address = u32::from_ne_bytes(address.octets());
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(columns.get(at)?, 16).ok();
        let (to, over, flags, mask) = (hex(1)?, hex(2)?, hex(3)?, hex(7)?);
        let metric: u32 = columns.get(6)?.parse().ok()?;
        let gateway = (flags & 2 == 2).then(|| IpAddr::V4(Ipv4Addr::from(over.to_ne_bytes())));
        let hop = Hop { interface: (*columns.first()?).to_owned(), gateway };
        (flags & 0x201 == 1 && address & mask == to).then_some((mask.count_ones(), std::cmp::Reverse(metric), hop))
    };
    let best = table.lines().skip(1).filter_map(route).max_by_key(|(length, metric, _)| (*length, *metric));
    best.map(|(_, _, hop)| hop)
}

/// Columns: IP address, HW type, Flags, HW address, Mask, Device. Flag 2 is "complete".
#[cfg(target_os = "linux")]
fn parse_neighbour(table: &str, address: IpAddr, interface: &str) -> Option<bool> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns.first()?.parse() == Ok(address) && columns.get(5) == Some(&interface);
        let flags = u32::from_str_radix(columns.get(2)?.trim_start_matches("0x"), 16).ok()?;
        is_it.then_some(flags & 2 == 2)
    })
}

#[cfg(any(not(windows), test))]
/// A default route that leads over a gateway.
struct DefaultRoute {
    metric: u32,
    interface: String,
    gateway: IpAddr,
}

#[cfg(any(not(windows), test))]
fn parse_routes(table: &str) -> Vec<IpAddr> {
    default_routes(table).into_iter().map(|route| route.gateway).collect()
}

#[cfg(any(not(windows), test))]
/// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …, addresses as the kernel's own words in
/// hexadecimal. Flags 1 is "up", 2 is "gateway". By metric.
fn default_routes(table: &str) -> Vec<DefaultRoute> {
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(columns.get(at)?, 16).ok();
        let is_default = hex(1)? == 0 && hex(7)? == 0 && hex(3)? & 3 == 3;
        let gateway = IpAddr::V4(Ipv4Addr::from(hex(2)?.to_ne_bytes()));
        let (metric, interface) = (columns.get(6)?.parse().ok()?, (*columns.first()?).to_owned());
        is_default.then_some(DefaultRoute { metric, interface, gateway })
    };
    let mut routes: Vec<DefaultRoute> = table.lines().skip(1).filter_map(route).collect();
    routes.sort_by_key(|route| route.metric);
    routes
}

#[cfg(any(not(windows), test))]
fn parse_resolvers(text: &str) -> Vec<IpAddr> {
    let resolver = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(resolver).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn finds_the_default_gateways_by_metric() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100140A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0000140A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0\n\
            tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n\
            tun0\t00000000\t0100000A\t0003\t0\t0\t50\t00000080\t0\t0\t0\n\
            torn line\n";
        assert_eq!(parse_routes(table), ["10.20.0.1".parse::<IpAddr>().unwrap(), "192.168.1.1".parse().unwrap()]);
    }

    #[test]
    #[cfg(all(target_endian = "little", target_os = "linux"))]
    fn an_address_is_reached_by_its_longest_route() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100140A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0000140A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0\n\
            lan2\t0000140A\t00000000\t0001\t0\t0\t200\t0000FFFF\t0\t0\t0\n\
            eth0\t00001E0A\t0200140A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let way = |to: &str| {
            let hop = parse_way(table, to.parse().unwrap())?;
            Some((hop.interface, hop.gateway.map(|gateway| gateway.to_string())))
        };
        assert_eq!(way("10.20.7.7"), Some(("eth0".to_owned(), None)), "its own network, by the lower metric");
        assert_eq!(way("10.30.7.7"), Some(("eth0".to_owned(), Some("10.20.0.2".to_owned()))));
        assert_eq!(way("192.0.2.1"), Some(("eth0".to_owned(), Some("10.20.0.1".to_owned()))));
        assert_eq!(way("2001:db8::1"), None);
    }

    #[test]
    fn windows_sends_by_the_longest_route_too() {
        let route = |to: &str, length, metric, index, gateway: Option<&str>| Route {
            to: to.parse().unwrap(),
            length,
            metric,
            index,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        };
        let routes = [
            route("0.0.0.0", 0, 35, 7, Some("10.20.0.1")),
            route("0.0.0.0", 0, 25, 8, Some("10.20.0.9")),
            route("10.20.0.0", 16, 291, 7, None),
            route("10.20.0.0", 16, 281, 8, None),
            route("10.30.0.0", 16, 500, 7, Some("10.20.0.2")),
            route("10.20.0.5", 32, 500, 1, None),
        ];
        let by = |to: &str| best(&routes, to.parse().unwrap()).map(|route| (route.index, route.gateway.is_some()));
        assert_eq!(by("192.0.2.1"), Some((8, true)));
        assert_eq!(by("10.20.7.7"), Some((8, false)));
        assert_eq!(by("10.30.7.7"), Some((7, true)));
        assert_eq!(by("10.20.0.5"), Some((1, false)));
        assert_eq!(best(&routes[2..], "192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_neighbour_is_known_unknown_or_was_never_asked_for() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
            10.20.0.1        0x1         0x2         66:2f:00:00:00:01     *        eth0\n\
            10.20.0.2        0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let known = |address: &str, interface| parse_neighbour(table, address.parse().unwrap(), interface);
        assert_eq!(known("10.20.0.1", "eth0"), Some(true));
        assert_eq!(known("10.20.0.2", "eth0"), Some(false));
        assert_eq!(known("10.20.0.1", "eth1"), None);
        assert_eq!(known("10.20.0.3", "eth0"), None);
    }

    #[test]
    fn finds_the_resolvers_and_nothing_else() {
        let text =
            "# nameserver 9.9.9.9\nsearch example.net\nnameserver 10.0.0.53\nnameserver fd00::53\nnameserver x\n";
        let found = parse_resolvers(text);
        assert_eq!(found, ["10.0.0.53".parse::<IpAddr>().unwrap(), "fd00::53".parse().unwrap()]);
    }
}
