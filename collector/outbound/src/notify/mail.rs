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
    message::Mailbox,
    transport::smtp::{authentication::Credentials, client::TlsParameters, extension::ClientId},
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
    /// The sender's address, also with a name (`Example Integrators <upheld@…>`); its domain stands in each `Message-ID`.
    pub from: String,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<String>,
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
    /// The address for answers is none.
    #[error("the address for answers {reply_to:?} is not a mail address")]
    ReplyTo {
        /// As it was given.
        reply_to: String,
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
    sender: Sender,
    base: String,
    me: ClientId,
    timeout: Duration,
}

/// From whom mail comes.
#[derive(Debug, Clone)]
pub struct Sender {
    /// His address and name.
    pub from: Mailbox,
    /// Where answers go, if not there.
    pub reply_to: Option<Mailbox>,
}

impl Sender {
    /// A sender who has no name of his own is called so.
    const NAME: &str = "Upheld";

    /// Reads both.
    pub fn new(from: &str, reply_to: Option<&str>) -> Result<Self, MailError> {
        let mut sender: Mailbox = from.parse().map_err(|_| MailError::From { from: clean_line(from) })?;
        sender.name = Some(clean_line(sender.name.as_deref().unwrap_or(Self::NAME)));
        let reply_to = match reply_to {
            Some(text) => Some(text.parse().map_err(|_| MailError::ReplyTo { reply_to: clean_line(text) })?),
            None => None,
        };
        Ok(Self { from: sender, reply_to })
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Mail {
    /// Checks the configuration; sends nothing.
    pub fn new(config: MailConfig) -> Result<Self, MailError> {
        let MailConfig { host: name, port, tls, host_rule, root, login, from, reply_to, base, timeout } = config;
        let host = parse_host(&name).ok_or_else(|| MailError::Host { host: clean_line(&name) })?;
        let sender = Sender::new(&from, reply_to.as_deref())?;
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
        let me = client_id(&base);
        Ok(Self { host, port, rule: host_rule, tls, login, sender, base, me, timeout })
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
        let eml = match eml(delivery, &letter, &self.sender, &to, &self.base) {
            Ok(eml) => eml,
            Err(why) => return permanent(why),
        };
        let from = &self.sender.from.email;
        match Envelope::new(Some(from.clone()), vec![to]) {
            Ok(envelope) => self.hand_over(&envelope, &eml, &message::id(&delivery.key, from)).await,
            Err(error) => permanent(error.to_string()),
        }
    }
}

/// What we call ourselves to a mail server: the name under which our pages are, else this host's loopback address.
fn client_id(base: &str) -> ClientId {
    let host = url::Url::parse(base).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Domain(name)) => ClientId::Domain(name),
        Some(Host::Ipv4(address)) => ClientId::Ipv4(address),
        Some(Host::Ipv6(address)) => ClientId::Ipv6(address),
        None => ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST),
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
