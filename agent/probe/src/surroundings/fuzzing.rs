//! Any text as the kernel's tables of ways, and as `resolv.conf`.

use std::net::IpAddr;

use super::{default_routes, parse_neighbour, parse_resolvers, parse_routes, parse_way};

/// Each of them read, and asked about some addresses.
pub(crate) fn tables(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(parse_routes(&text).len(), default_routes(&text).len());
    assert!(parse_resolvers(&text).len() <= text.lines().count());
    for address in ["10.20.0.1", "192.0.2.1", "255.255.255.255", "0.0.0.0", "fd00::1"] {
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        let way = parse_way(&text, address);
        assert!(way.is_none_or(|way| text.contains(&way.interface)));
        let _ = parse_neighbour(&text, address, "eth0");
    }
}
