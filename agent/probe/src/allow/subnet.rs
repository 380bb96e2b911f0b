//! A network in the notation `10.20.0.0/16`.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network: all addresses that share the first `prefix` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    first: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// The network's first and last address.
    pub(crate) fn ends(&self) -> [IpAddr; 2] {
        let last = match self.first {
            IpAddr::V4(first) => IpAddr::V4((first.to_bits() | !mask_v4(self.prefix)).into()),
            IpAddr::V6(first) => IpAddr::V6((first.to_bits() | !mask_v6(self.prefix)).into()),
        };
        [self.first, last]
    }

    /// How many bits name the network.
    pub(crate) fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the address is in the network.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => address.to_bits() & mask_v4(self.prefix) == first.to_bits(),
            (IpAddr::V6(first), IpAddr::V6(address)) => address.to_bits() & mask_v6(self.prefix) == first.to_bits(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Subnet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').ok_or("write a subnet, such as \"10.20.0.0/16\"")?;
        let first: IpAddr = address.parse().map_err(|_| "the part before the / is no address")?;
        let prefix: u8 = prefix.parse().map_err(|_| "the part after the / is no number of bits")?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let subnet = Self { first, prefix };
        if prefix > bits {
            Err("the part after the / is more bits than the address has")
        } else if subnet.contains(first) {
            Ok(subnet)
        } else {
            Err("the address has bits beyond the prefix; write the subnet's first address")
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_first_and_last_address_and_not_their_neighbours() {
        let subnet: Subnet = "10.20.0.0/16".parse().unwrap();
        let [first, last] = subnet.ends();
        assert_eq!((first.to_string(), last.to_string()), ("10.20.0.0".into(), "10.20.255.255".into()));
        for (address, inside) in [
            ("10.20.0.0", true),
            ("10.20.255.255", true),
            ("::ffff:10.20.1.1", true),
            ("10.19.255.255", false),
            ("10.21.0.0", false),
            ("fd00::1", false),
        ] {
            assert_eq!(subnet.contains(address.parse().unwrap()), inside, "{address}");
        }
        let everything: Subnet = "::/0".parse().unwrap();
        assert!(everything.contains("ffff::1".parse().unwrap()));
        let one: Subnet = "fd12::4/128".parse().unwrap();
        assert!(one.contains("fd12::4".parse().unwrap()) && !one.contains("fd12::5".parse().unwrap()));
    }

    #[test]
    fn a_text_that_is_no_subnet_is_refused() {
        for bad in ["10.20.0.0", "10.20.0.0/33", "10.20.0.1/16", "x/8", "10.0.0.0/-1", "::/129", "/"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }
}
