//! What checks of names, clocks, certificates and the way out ask (PROBES 6, 8).

use std::{collections::BTreeSet, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{CheckSpec, SpecError, is_host};
use crate::vocabulary;

/// Where a resolver listens.
pub const DNS_PORT: u16 = 53;
/// The target that means the resolver with which this host is configured.
pub const RESOLVER: &str = "resolver";
/// Where a time server listens.
pub const NTP_PORT: u16 = 123;
/// Where most servers speak TLS.
pub const TLS_PORT: u16 = 443;
/// What stands before the fingerprint of a key, as curl writes it: SHA-256 of the public key as it stands in the
/// certificate, in base64.
pub const PIN_PREFIX: &str = "sha256//";
/// The most anchors of one `net.path` check.
pub const ANCHORS_MAX: usize = 2;
/// More addresses than this are not held against an answer.
const EXPECTED_MAX: usize = 32;

/// What lies on the way out of a site, beyond what the agent finds by itself (its port, the default gateway, the
/// resolvers, the collector).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSpec {
    /// The address of the internet provider's first router; found by an echo that lives for two hops when it is left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<String>,
    /// At most [`ANCHORS_MAX`] hosts far away, each `host:port`, that take a TCP connection: best of different operators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<String>,
}

impl PathSpec {
    /// The host and the port of an anchor; `None` where it is not `host:port`.
    ///
    /// ```
    /// use upheld_model::check::PathSpec;
    /// assert_eq!(PathSpec::anchor("[2001:db8::1]:443"), Some(("2001:db8::1", 443)));
    /// assert_eq!(PathSpec::anchor("anchor.example"), None);
    /// ```
    pub fn anchor(text: &str) -> Option<(&str, u16)> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => return None,
            None => host,
        };
        is_host(bare).then_some((bare, port))
    }
}

vocabulary!(
    /// What is looked up of a name.
    RecordKind, "kind of record", {
        /// An IPv4 address.
        A = "A",
        /// An IPv6 address.
        Aaaa = "AAAA",
    }
);

/// A name that is looked up at a resolver: the resolver is what is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsSpec {
    /// The resolver: a host name or address, `gateway`, or [`RESOLVER`] for the first one that this host is configured with.
    pub target: String,
    /// Its port.
    #[serde(default = "dns_port")]
    pub port: u16,
    /// The name, whole; a search list is never tried.
    pub look_up: String,
    /// What of it.
    pub record: RecordKind,
    /// The addresses that it must have, no more and no fewer; empty where any will do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expect: BTreeSet<IpAddr>,
    /// Addresses that must be among its own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contains: BTreeSet<IpAddr>,
}

fn dns_port() -> u16 {
    DNS_PORT
}

impl DnsSpec {
    /// What no collector may ask (SECURITY 2).
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        check.target(&self.target)?;
        check.bound("port", self.port.into(), 1, 65_535)?;
        self.name(check)?;
        check.bound("expect", self.expect.len() as u64, 0, EXPECTED_MAX as u64)?;
        check.bound("contains", self.contains.len() as u64, 0, EXPECTED_MAX as u64)?;
        for (field, addresses) in [("expect", &self.expect), ("contains", &self.contains)] {
            if let Some(other) = addresses.iter().find(|address| address.is_ipv4() != (self.record == RecordKind::A)) {
                let why = "is no address of this kind of record: A has IPv4 addresses, AAAA has IPv6 addresses";
                return Err(check.parameter(field, &other.to_string(), why));
            }
        }
        if self.expect.is_empty() || self.contains.is_empty() {
            return Ok(());
        }
        let why = "cannot stand beside `expect`, which is the whole set: keep one of both";
        Err(check.parameter("contains", &self.contains.iter().next().map(ToString::to_string).unwrap_or_default(), why))
    }

    /// A name that can be asked for: labels of at most 63 letters, digits, dashes and underscores.
    fn name(&self, check: &CheckSpec) -> Result<(), SpecError> {
        let name = self.look_up.strip_suffix('.').unwrap_or(&self.look_up);
        let fits = |label: &str| {
            let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
        };
        if name.len() <= 253 && name.split('.').all(fits) && name.parse::<IpAddr>().is_err() {
            return Ok(());
        }
        let why = "must be a name, such as nvr.example.net: labels of 1 to 63 letters, digits, dashes or underscores";
        Err(check.parameter("look_up", &self.look_up, why))
    }
}

/// This host's clock held against a time server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtpSpec {
    /// The time server: a host name or address, or `gateway`.
    pub target: String,
    /// Its port.
    #[serde(default = "ntp_port")]
    pub port: u16,
    /// The difference from which on the check warns.
    pub warn_ms: u32,
    /// The difference from which on it is bad.
    pub bad_ms: u32,
}

fn ntp_port() -> u16 {
    NTP_PORT
}

impl NtpSpec {
    /// What no collector may ask (SECURITY 2).
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        check.target(&self.target)?;
        check.bound("port", self.port.into(), 1, 65_535)?;
        check.bound("bad_ms", self.bad_ms.into(), 1, 86_400_000)?;
        check.bound("warn_ms", self.warn_ms.into(), 1, self.bad_ms.into())
    }
}

/// A server's certificates and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    /// The server: a host name or address, or `gateway`.
    pub target: String,
    /// Its port.
    #[serde(default = "tls_port")]
    pub port: u16,
    /// The name that is asked for, where it is not the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The key that it must have, as [`PIN_PREFIX`] and base64; without one the key that was seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Certificate days under which the check warns.
    pub tls_warn_days: u16,
    /// Certificate days under which the check is bad.
    pub tls_bad_days: u16,
}

fn tls_port() -> u16 {
    TLS_PORT
}

impl TlsSpec {
    /// What no collector may ask (SECURITY 2).
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        check.target(&self.target)?;
        check.bound("port", self.port.into(), 1, 65_535)?;
        check.bound("tls_warn_days", self.tls_warn_days.into(), self.tls_bad_days.into(), 3_650)?;
        if let Some(name) = &self.server_name
            && check.target(name).is_err()
        {
            return Err(check.parameter("server_name", name, "must be a host name or an address"));
        }
        match &self.pin {
            Some(pin) if !is_pin(pin) => {
                let why = "must be sha256// and the 44 characters of a SHA-256 in base64, as the check itself tells it";
                Err(check.parameter("pin", pin, why))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// 32 bytes in base64 are 43 characters and one `=`.
fn is_pin(pin: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    let digest = pin.strip_prefix(PIN_PREFIX).and_then(|digest| digest.strip_suffix('='));
    digest.is_some_and(|digest| digest.len() == 43 && digest.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use crate::ProbeSpec;

    use super::*;

    fn refused(change: impl FnOnce(&mut DnsSpec)) -> String {
        let mut spec = DnsSpec {
            target: RESOLVER.to_owned(),
            port: DNS_PORT,
            look_up: "nvr.example.net".to_owned(),
            record: RecordKind::A,
            expect: BTreeSet::new(),
            contains: BTreeSet::new(),
        };
        let check = |spec: &DnsSpec| CheckSpec::with_defaults("a/b".parse().unwrap(), ProbeSpec::NetDns(spec.clone()));
        check(&spec).validate().unwrap();
        change(&mut spec);
        check(&spec).validate().unwrap_err().to_string()
    }

    #[test]
    fn only_names_are_looked_up_and_only_addresses_of_their_kind_are_expected() {
        let long = "a".repeat(64);
        for bad in ["", ".", "a..b", "a b", "10.0.0.1", "büro.example", "x\n", &long, &"ab.".repeat(100)] {
            assert!(refused(|spec| bad.clone_into(&mut spec.look_up)).contains("look_up"), "{bad:?}");
        }
        assert!(
            refused(|spec| spec.expect = BTreeSet::from(["fd00::1".parse().unwrap()])).contains("expect \"fd00::1\"")
        );
        let address = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let both = |spec: &mut DnsSpec| (spec.expect, spec.contains) = (address.clone(), address.clone());
        assert!(refused(both).contains("keep one of both"));
        let many = (0..40).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert!(refused(|spec| spec.contains = many).contains("contains is 40, allowed is 0 to 32"));
    }

    #[test]
    fn bounds_of_clocks_and_pins_of_keys_are_held() {
        let ntp = |warn_ms, bad_ms| {
            let spec = NtpSpec { target: "gateway".to_owned(), port: NTP_PORT, warn_ms, bad_ms };
            CheckSpec::with_defaults("a/b".parse().unwrap(), ProbeSpec::NetNtp(spec)).validate()
        };
        ntp(1_000, 5_000).unwrap();
        assert!(ntp(6_000, 5_000).unwrap_err().to_string().contains("warn_ms is 6000, allowed is 1 to 5000"));
        assert!(ntp(0, 5_000).is_err() && ntp(1, 90_000_000).is_err());
        let tls = |pin: &str| {
            let spec = TlsSpec {
                target: "10.0.0.1".to_owned(),
                port: TLS_PORT,
                server_name: None,
                pin: Some(pin.to_owned()),
                tls_warn_days: 21,
                tls_bad_days: 7,
            };
            CheckSpec::with_defaults("a/b".parse().unwrap(), ProbeSpec::NetTls(spec)).validate()
        };
        tls(&format!("sha256//{}=", "a/+".repeat(14) + "A")).unwrap();
        for bad in ["", "sha256//", "sha1//AAAA", &format!("sha256//{}=", "\u{e4}".repeat(43)), &"A".repeat(44)] {
            assert!(tls(bad).unwrap_err().to_string().contains("sha256//"), "{bad}");
        }
    }
}
