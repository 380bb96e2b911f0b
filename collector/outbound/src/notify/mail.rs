//! Messages by mail (SECURITY 31): one try is one SMTP conversation over a connection of its own, to an address that was
//! judged after the name was resolved, under TLS from the first byte or from STARTTLS on; never less than configured.
//!
//! Until the content is begun the message certainly has not arrived. From then until the server's answer nobody can tell:
//! that is [`Outcome::Unclear`], and mail has no look-up. The next try therefore sends again, and a mail may arrive twice;
//! both have the same `Message-ID`, which derives from the delivery's key, by which mail systems and people know it.

mod letter;
mod message;
mod smtp;

pub use letter::{Letter, Listed, Rendered, Section, clean_line};
pub use message::eml;

use std::time::Duration;

use lettre::{
    Address,
    address::Envelope,
    transport::smtp::{authentication::Credentials, client::TlsParameters},
};
use url::Host;

pub use super::destination::HostRule;
use crate::{Delivery, Outcome};

/// Where mail is handed in, and as whom.
#[derive(Clone)]
pub struct MailConfig {
    /// The server's name or address.
    pub host: String,
    /// Its port: 587 with STARTTLS and 465 with TLS from the first byte are usual.
    pub port: u16,
    /// How the way to it is kept private.
    pub tls: Tls,
    /// Whether an administrator allowed this very host to be private (SECURITY 31).
    pub host_rule: HostRule,
    /// A further root, in PEM, for a server whose certificate a private authority signed.
    pub root: Option<Vec<u8>>,
    /// Who logs in; `None` for a server that takes mail from this host without.
    pub login: Option<Login>,
    /// The sender's address; its domain stands in each `Message-ID`.
    pub from: String,
    /// Where the collector's pages are, `https://collector.example`; links begin with it.
    pub base: String,
    /// The longest one try may take.
    pub timeout: Duration,
}

/// A user of the mail server.
#[derive(Clone)]
pub struct Login {
    /// His name.
    pub user: String,
    /// His password.
    pub password: String,
}

/// How the way to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It begins plain and must become TLS before anything is said; a server that does not offer that gets nothing.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// None: to this host itself only, and only when an administrator allowed it.
    None,
}

/// Why a mail server is refused before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The host is none.
    #[error("the mail server {host:?} is no name and no address of a host")]
    Host {
        /// As it was given.
        host: String,
    },
    /// The sender is no address.
    #[error("the sender {from:?} is not a mail address")]
    From {
        /// As it was given.
        from: String,
    },
    /// No TLS, and nobody allowed that.
    #[error(
        "the mail server {host} must use TLS (\"starttls\" or \"implicit\"); mail goes in plain text to this host itself \
         only, and only when an administrator allowed it as a private host"
    )]
    Plain {
        /// The host.
        host: String,
    },
    /// TLS cannot be set up.
    #[error("TLS for the mail server {host} cannot be set up: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What the library said.
        why: String,
    },
}

/// Hands mail to one server.
#[derive(Clone)]
pub struct Mail {
    host: Host<String>,
    port: u16,
    rule: HostRule,
    tls: Option<(Tls, TlsParameters)>,
    login: Option<Credentials>,
    from: Address,
    base: String,
    timeout: Duration,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Mail {
    /// Checks the configuration; sends nothing.
    pub fn new(config: MailConfig) -> Result<Self, MailError> {
        let MailConfig { host: name, port, tls, host_rule, root, login, from, base, timeout } = config;
        let host = parse_host(&name).ok_or_else(|| MailError::Host { host: clean_line(&name) })?;
        let from = from.parse().map_err(|_| MailError::From { from: clean_line(&from) })?;
        let tls = match (tls, host_rule) {
            (Tls::StartTls | Tls::Implicit, _) => {
                let parameters = smtp::tls(&host, root.as_deref())
                    .map_err(|error| MailError::Tls { host: name, why: smtp::in_words(&error) })?;
                Some((tls, parameters))
            }
            (Tls::None, HostRule::PrivateAllowed) => None,
            (Tls::None, HostRule::Public) => return Err(MailError::Plain { host: name }),
        };
        let login = login.map(|Login { user, password }| Credentials::new(user, password));
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { host, port, rule: host_rule, tls, login, from, base, timeout })
    }

    /// One try: the letter that the delivery's body holds, to one person or desk. Ends within the configured timeout.
    pub async fn send(&self, delivery: &Delivery, to: &str) -> Outcome {
        let permanent = |why: String| Outcome::Permanent { why };
        let Ok(to) = to.parse::<Address>() else {
            return permanent(format!("{:?} is not a mail address", clean_line(to)));
        };
        let letter = match Letter::of_body(&delivery.body) {
            Ok(letter) => letter,
            Err(error) => return permanent(format!("the stored message cannot be read: {error}")),
        };
        let eml = match eml(delivery, &letter, &self.from, &to, &self.base) {
            Ok(eml) => eml,
            Err(why) => return permanent(why),
        };
        match Envelope::new(Some(self.from.clone()), vec![to]) {
            Ok(envelope) => self.hand_over(&envelope, &eml, &message::id(&delivery.key, &self.from)).await,
            Err(error) => permanent(error.to_string()),
        }
    }
}

/// An address in brackets or bare, or a name.
fn parse_host(name: &str) -> Option<Host<String>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Some(match address {
            std::net::IpAddr::V4(address) => Host::Ipv4(address),
            std::net::IpAddr::V6(address) => Host::Ipv6(address),
        });
    }
    Host::parse(name).ok()
}

#[cfg(test)]
mod tests;
