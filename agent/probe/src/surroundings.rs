//! What this host's network looks like from inside: default gateways and configured resolvers.
//!
//! Read from `/proc/net/route` and `/etc/resolv.conf`, on Windows from its adapters. On other systems nothing is known,
//! so that nothing is allowed by being known and `gateway` as a target cannot be probed. IPv6 gateways are link-local addresses, which
//! are never probed (SECURITY 3).

#[cfg(any(not(windows), test))]
use std::net::{IpAddr, Ipv4Addr};

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
pub(crate) use windows::{gateways, resolvers};

#[cfg(windows)]
mod windows {
    //! By `GetAdaptersAddresses`, which the crate `ipconfig` wraps.

    use std::net::IpAddr;

    use ipconfig::{Adapter, OperStatus, get_adapters};

    /// The default gateways of the adapters that are up, those of the lowest metric first.
    pub(crate) fn gateways() -> Vec<IpAddr> {
        let usable = |gateway: &IpAddr| gateway.is_ipv4() && !gateway.is_unspecified();
        adapters().iter().flat_map(Adapter::gateways).copied().filter(usable).collect()
    }

    /// The resolvers of the adapters that are up.
    pub(crate) fn resolvers() -> Vec<IpAddr> {
        adapters().iter().flat_map(Adapter::dns_servers).copied().collect()
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

#[cfg(any(not(windows), test))]
/// A default route that leads over a gateway.
struct Route {
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
fn default_routes(table: &str) -> Vec<Route> {
    let route = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(columns.get(at)?, 16).ok();
        let is_default = hex(1)? == 0 && hex(7)? == 0 && hex(3)? & 3 == 3;
        let gateway = IpAddr::V4(Ipv4Addr::from(hex(2)?.to_ne_bytes()));
        let (metric, interface) = (columns.get(6)?.parse().ok()?, (*columns.first()?).to_owned());
        is_default.then_some(Route { metric, interface, gateway })
    };
    let mut routes: Vec<Route> = table.lines().skip(1).filter_map(route).collect();
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
    fn finds_the_resolvers_and_nothing_else() {
        let text =
            "# nameserver 9.9.9.9\nsearch example.net\nnameserver 10.0.0.53\nnameserver fd00::53\nnameserver x\n";
        let found = parse_resolvers(text);
        assert_eq!(found, ["10.0.0.53".parse::<IpAddr>().unwrap(), "fd00::53".parse().unwrap()]);
    }
}
