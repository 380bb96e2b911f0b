//! Where the port is bound and how it is named from outside.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The port and its public names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// What is bound.
    pub(crate) address: SocketAddr,
    /// Host names and addresses by which agents and people come; at least one, the first stands in links.
    pub(crate) public: Vec<String>,
    /// The port in links.
    pub(crate) public_port: u16,
}

impl Listen {
    /// Checks what a file or a command line says.
    pub(crate) fn check(address: &str, public: Vec<String>, public_port: Option<u16>) -> Result<Self, String> {
        let address: SocketAddr = address
            .parse()
            .map_err(|_| format!("listen {address:?} is not an address with a port: write \"0.0.0.0:7443\""))?;
        if public.is_empty() {
            return Err("public is empty: agents need at least one name or address to come to".to_owned());
        }
        if let Some(wrong) = public.iter().find(|name| !is_host(name)) {
            return Err(format!(
                "public {wrong:?} is not a plain host name or address: write \"collector.example\" or \"192.0.2.7\""
            ));
        }
        Ok(Self { address, public, public_port: public_port.unwrap_or(address.port()) })
    }

    /// `host` or `host:port`, as it stands in links.
    pub(crate) fn authority(&self) -> String {
        let name = &self.public[0];
        let host = if name.contains(':') { format!("[{name}]") } else { name.clone() };
        if self.public_port == 443 { host } else { format!("{host}:{}", self.public_port) }
    }

    /// The portal's address, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.authority())
    }
}

/// The most collectors that an agent is told of.
const COLLECTORS_MAX: usize = 16;

/// Checks where agents find each collector: `host` or `host:port`.
pub(super) fn collectors(all: Vec<String>) -> Result<Vec<String>, String> {
    if let Some(wrong) = all.iter().find(|text| !is_place(text)) {
        let write = "write collectors = [\"a.example:7443\", \"b.example:7443\"]";
        return Err(format!("collectors {wrong:?} is not a host, or a host and a port: {write}"));
    }
    match all.len() {
        0..=COLLECTORS_MAX => Ok(all),
        many => Err(format!("collectors names {many}; an agent is told of {COLLECTORS_MAX} at most")),
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn is_place(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return is_whole && address.parse::<Ipv6Addr>().is_ok();
    }
    match text.split_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(text),
    }
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_and_perhaps_a_port() {
        let check = |text: &str| collectors(vec![text.to_owned()]);
        for good in ["a.example", "a.example:7443", "a.example:443", "192.0.2.7:7443", "[2001:db8::1]:7443"] {
            assert_eq!(check(good), Ok(vec![good.to_owned()]));
        }
        for bad in
            ["", "https://a.example", "a.example/", "a b", "u@a.example", "a.example:x", "a?b", "a#b", "2001:db8::1"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(collectors(vec!["a".to_owned(); 17]).is_err());
    }

    #[test]
    fn links_name_the_port_unless_it_is_the_usual_one() {
        let listen = |public: &str, port| Listen::check("0.0.0.0:7443", vec![public.into()], port).unwrap().url();
        assert_eq!(listen("collector.example", None), "https://collector.example:7443");
        assert_eq!(listen("collector.example", Some(443)), "https://collector.example");
        assert_eq!(listen("2001:db8::1", None), "https://[2001:db8::1]:7443");
    }
}
