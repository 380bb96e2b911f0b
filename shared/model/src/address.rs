//! What kind of place an IP address names: the one table behind "who may be connected to" of the agent (SECURITY 3)
//! and of the collector (SECURITY 31).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of place that an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// This host itself: 127.0.0.0/8, `::1`.
    Loopback,
    /// A site's own network: RFC 1918, RFC 4193.
    Private,
    /// A provider's network between a site and the internet, also used by overlays: 100.64.0.0/10 (RFC 6598).
    Shared,
    /// Anything on the internet.
    Public,
    /// Never connected to, whatever any file says; the text says what it is.
    Never(&'static str),
}

impl Place {
    /// The place of an address. An IPv4 address in the clothes of IPv6 (`::ffff:10.0.0.1`) is the IPv4 address; the
    /// other ways to write one inside IPv6 lead through translators that we cannot see, and are refused.
    ///
    /// ```
    /// use upheld_model::address::Place;
    /// assert_eq!(Place::of("::ffff:10.20.0.4".parse().unwrap()), Place::Private);
    /// assert_eq!(Place::of("169.254.169.254".parse().unwrap()), Place::Never("link-local or cloud metadata"));
    /// ```
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }
}

const LINK_LOCAL: Place = Place::Never("link-local or cloud metadata");
const METADATA: Place = Place::Never("cloud metadata");
const RESERVED: Place = Place::Never("reserved");
const TRANSLATED: Place = Place::Never("an IPv4 address behind a translator");

fn of_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        // Alibaba Cloud and Azure keep metadata outside the link-local range.
        [100, 100, 100, 200] | [168, 63, 129, 16] => METADATA,
        [0, ..] => Place::Never("unspecified"),
        [127, ..] => Place::Loopback,
        [169, 254, ..] => LINK_LOCAL,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Place::Private,
        [100, 64..=127, ..] => Place::Shared,
        // Oracle Cloud's old metadata address is in here.
        [192, 0, 0, _] => RESERVED,
        [224..=239, ..] => Place::Never("multicast"),
        [255, 255, 255, 255] => Place::Never("broadcast"),
        [240..=255, ..] => RESERVED,
        _ => Place::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Place {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Place::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        [0xff00..=0xffff, ..] => Place::Never("multicast"),
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        // Amazon's (fd00:ec2::254 and its neighbours) and Google's.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => METADATA,
        [0xfc00..=0xfdff, ..] => Place::Private,
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] => TRANSLATED,
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_place_and_the_first_and_last_of_a_range_agree() {
        let table = [
            (Place::Loopback, "127.0.0.0 127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1"),
            (Place::Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"),
            (Place::Private, "fc00:: fd12:3456::1 fdff:ffff::1 ::ffff:192.168.1.1 fd00:ec1::254 fd00:ec3::254"),
            (Place::Shared, "100.64.0.0 100.127.255.255 100.100.100.199 100.100.100.201"),
            (Place::Public, "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0"),
            (Place::Public, "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0"),
            (Place::Public, "192.0.1.0 192.0.2.1 223.255.255.255 2606:4700::1111 2001:db8::1 2001:4860:4860::8888"),
            (LINK_LOCAL, "169.254.0.0 169.254.169.254 169.254.255.255 fe80:: fe80::1 febf:ffff::1"),
            (LINK_LOCAL, "::ffff:169.254.169.254 ::ffff:a9fe:a9fe"),
            (METADATA, "100.100.100.200 168.63.129.16 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 ::ffff:100.100.100.200"),
            (Place::Never("unspecified"), "0.0.0.0 0.1.2.3 0.255.255.255 :: ::ffff:0.0.0.0"),
            (Place::Never("multicast"), "224.0.0.0 224.0.0.1 239.255.255.255 ff00:: ff02::1 ffff::1"),
            (Place::Never("broadcast"), "255.255.255.255 ::ffff:255.255.255.255"),
            (RESERVED, "192.0.0.0 192.0.0.192 240.0.0.0 255.255.255.254 fec0::1 100::1 4000::1 8000::1"),
            (TRANSLATED, "::127.0.0.1 ::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:a9fe:a9fe::1 2001:0:1::1"),
        ];
        for (place, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(Place::of(address.parse().unwrap()), place, "{address}");
            }
        }
    }
}
