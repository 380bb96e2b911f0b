//! Whether a receiver's host may be connected to (SECURITY 31).
//!
//! The name is resolved once and each address judged; the connection goes to these addresses, whatever the name says
//! a moment later. One address that may not be is enough to refuse them all: a public receiver has no private ones.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use upheld_model::address::Place;
use url::{Host, Url};

use crate::Outcome;

/// Which addresses the receiver's host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRule {
    /// Public addresses only.
    Public,
    /// Private and loopback addresses too; link-local and cloud metadata never.
    PrivateAllowed,
}

/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 8;

/// Why nothing was connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The address is one that may not be connected to.
    NotAllowed { host: String, address: IpAddr, why: &'static str },
    /// The name has no address for the moment.
    Resolver { host: String, why: String },
    /// This host cannot.
    Local { why: String },
}

impl Refusal {
    /// A forbidden address waits for a person; the rest mends itself.
    pub(crate) fn into_outcome(self) -> Outcome {
        let why = self.to_string();
        match self {
            Self::NotAllowed { .. } => Outcome::Permanent { why },
            Self::Resolver { .. } | Self::Local { .. } => Outcome::Retry { why, not_before: None },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { host, address, why } => write!(f, "{host} is {address}, which is {why}"),
            Self::Resolver { host, why } => write!(f, "the name {host} cannot be resolved: {why}"),
            Self::Local { why } => write!(f, "this host cannot send: {why}"),
        }
    }
}

/// The addresses of the receiver's host, all of which may be connected to; never empty. What `is_plain`, without TLS,
/// goes to this host itself only.
pub(crate) async fn judged(
    host: &Host<String>,
    port: u16,
    rule: HostRule,
    is_plain: bool,
    within: Duration,
) -> Result<Vec<SocketAddr>, Refusal> {
    let found = match host {
        Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        Host::Domain(name) => resolve(name, port, within).await?,
    };
    for address in &found {
        let address = address.ip().to_canonical();
        permitted(address, rule, is_plain).map_err(|why| Refusal::NotAllowed {
            host: host.to_string(),
            address,
            why,
        })?;
    }
    Ok(found)
}

/// The same for the host of an address; `http` is without TLS.
pub(crate) async fn judged_url(url: &Url, rule: HostRule, within: Duration) -> Result<Vec<SocketAddr>, Refusal> {
    let Some(host) = url.host() else {
        let host = url.host_str().unwrap_or("a host without a name").to_owned();
        return Err(Refusal::Resolver { host, why: "the address names no host".to_owned() });
    };
    judged(&host.to_owned(), url.port_or_known_default().unwrap_or(443), rule, url.scheme() == "http", within).await
}

async fn resolve(name: &str, port: u16, within: Duration) -> Result<Vec<SocketAddr>, Refusal> {
    let unresolved = |why: String| Refusal::Resolver { host: name.to_owned(), why };
    match tokio::time::timeout(within, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.take(ADDRESSES_MAX).collect();
            if addresses.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(unresolved(error.to_string())),
        Err(_) => Err(unresolved("the resolver did not answer in time".to_owned())),
    }
}

fn permitted(address: IpAddr, rule: HostRule, is_plain: bool) -> Result<(), &'static str> {
    match (Place::of(address), rule) {
        (Place::Never(what), _) => Err(what),
        (Place::Loopback, HostRule::PrivateAllowed) => Ok(()),
        (Place::Private | Place::Shared | Place::Public, _) if is_plain => {
            Err("not this host itself: only TLS goes further")
        }
        (Place::Private | Place::Shared, HostRule::PrivateAllowed) | (Place::Public, _) => Ok(()),
        (Place::Loopback, HostRule::Public) => Err("this host itself; an administrator may allow it as a private host"),
        (Place::Private | Place::Shared, HostRule::Public) => {
            Err("a private address; an administrator may allow it as a private host")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judge(url: &str, rule: HostRule) -> Result<usize, String> {
        let url: Url = url.parse().unwrap();
        let (host, port) = (url.host().unwrap().to_owned(), url.port_or_known_default().unwrap());
        let judged = judged(&host, port, rule, url.scheme() == "http", Duration::from_secs(10)).await;
        judged.map(|addresses| addresses.len()).map_err(|refusal| refusal.to_string())
    }

    #[tokio::test]
    async fn security_31_only_public_addresses_unless_the_host_was_allowed() {
        for (url, public, allowed) in [
            ("https://9.9.9.9/", true, true),
            ("https://[2606:4700::1111]/", true, true),
            ("https://10.0.0.1/", false, true),
            ("https://192.168.1.1:8443/", false, true),
            ("https://[fd12::1]/", false, true),
            ("https://100.64.0.1/", false, true),
            ("https://127.0.0.1/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::ffff:127.0.0.1]/", false, true),
            ("https://localhost/", false, true),
            ("https://2130706433/", false, true),
            ("http://127.0.0.1:8080/", false, true),
            ("http://9.9.9.9/", false, false),
            ("http://10.0.0.1/", false, false),
            ("https://169.254.169.254/latest/", false, false),
            ("https://[fe80::1]/", false, false),
            ("https://[fd00:ec2::254]/", false, false),
            ("https://100.100.100.200/", false, false),
            ("https://0.0.0.0/", false, false),
            ("https://255.255.255.255/", false, false),
            ("https://[64:ff9b::a00:1]/", false, false),
        ] {
            assert_eq!(judge(url, HostRule::Public).await.is_ok(), public, "{url} public");
            assert_eq!(judge(url, HostRule::PrivateAllowed).await.is_ok(), allowed, "{url} allowed");
        }
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_tried_again_and_a_forbidden_one_waits_for_a_person() {
        let unresolved =
            judged(&Host::Domain("hook.invalid".to_owned()), 443, HostRule::Public, false, Duration::from_secs(20))
                .await;
        assert!(matches!(unresolved.unwrap_err().into_outcome(), Outcome::Retry { .. }));
        let private =
            judged(&Host::Ipv4([10, 0, 0, 1].into()), 443, HostRule::Public, false, Duration::from_secs(1)).await;
        let Outcome::Permanent { why } = private.unwrap_err().into_outcome() else { panic!() };
        assert_eq!(
            why,
            "10.0.0.1 is 10.0.0.1, which is a private address; an administrator may allow it as a private host"
        );
    }
}
