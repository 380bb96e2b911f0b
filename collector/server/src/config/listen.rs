//! Where the port is bound and how it is named from outside.

use std::net::{IpAddr, SocketAddr};

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
    fn links_name_the_port_unless_it_is_the_usual_one() {
        let listen = |public: &str, port| Listen::check("0.0.0.0:7443", vec![public.into()], port).unwrap().url();
        assert_eq!(listen("collector.example", None), "https://collector.example:7443");
        assert_eq!(listen("collector.example", Some(443)), "https://collector.example");
        assert_eq!(listen("2001:db8::1", None), "https://[2001:db8::1]:7443");
    }
}
