//! How a check logs in: by the name of a secret, never by its value (SECURITY 4).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{address::Place, ids::SecretName};

/// How `net.http` logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpAuth {
    /// What is sent.
    pub scheme: HttpScheme,
    /// The secret of the site that holds the password or token.
    pub secret: SecretName,
    /// Over what it may be sent.
    #[serde(default, skip_serializing_if = "HttpTrust::is_certificate")]
    pub trust: HttpTrust,
}

/// The scheme of an `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HttpScheme {
    /// User and password (RFC 7617).
    Basic {
        /// The user's name; no secret.
        user: String,
    },
    /// A token (RFC 6750).
    Bearer,
}

/// Over what a secret may be sent to a host other than this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpTrust {
    /// TLS with a certificate that a public authority vouches for, for the host's name.
    #[default]
    Certificate,
    /// Anything: who can listen or stand between on the site's network may have it. The explicit word for plain HTTP and for
    /// devices that signed their own certificate.
    Network,
}

impl HttpTrust {
    fn is_certificate(&self) -> bool {
        *self == Self::Certificate
    }
}

impl HttpAuth {
    /// What is wrong with it for a check of `url`, if anything.
    pub(super) fn refused_for(&self, url: &str) -> Option<&'static str> {
        if let HttpScheme::Basic { user } = &self.scheme
            && (user.is_empty() || user.len() > 255 || user.chars().any(|c| c == ':' || c.is_control()))
        {
            return Some("a user has 1 to 255 bytes, no colon and no control character");
        }
        let is_plain = url.starts_with("http://");
        (is_plain && self.trust == HttpTrust::Certificate && !may_be_loopback(url)).then_some(
            "a secret is sent over https:// or on this host alone; where everybody on the site's network may read it, \
             write trust = \"network\" beside it",
        )
    }
}

/// Whether the address may name this host itself; the agent looks again at the address that it connects to.
fn may_be_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| Place::of(address) == Place::Loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, trust: HttpTrust) -> HttpAuth {
        HttpAuth { scheme: HttpScheme::Basic { user: user.to_owned() }, secret: "nvr-web".parse().unwrap(), trust }
    }

    #[test]
    fn a_secret_goes_over_tls_or_stays_on_this_host_or_an_explicit_word_says_otherwise() {
        let strict = basic("viewer", HttpTrust::Certificate);
        for url in ["https://nvr/", "http://127.0.0.1:80/", "http://[::1]/x", "http://localhost/", "http://127.9.9.9"] {
            assert_eq!(strict.refused_for(url), None, "{url}");
        }
        for url in ["http://nvr/", "http://10.0.0.1/", "http://127.0.0.1.example/", "http://localhost.example/"] {
            assert!(strict.refused_for(url).unwrap().contains("trust = \"network\""), "{url}");
            assert_eq!(basic("viewer", HttpTrust::Network).refused_for(url), None, "{url}");
        }
    }

    #[test]
    fn a_user_that_would_say_more_is_refused() {
        for user in ["", "a:b", "a\r\nx: y", &"x".repeat(256)] {
            assert!(basic(user, HttpTrust::Network).refused_for("https://nvr/").is_some(), "{user:?}");
        }
    }

    #[test]
    fn what_is_sent_to_agents_names_the_secret_and_refuses_what_it_does_not_know() {
        let auth = basic("viewer", HttpTrust::Certificate);
        let text = serde_json::to_string(&auth).unwrap();
        assert_eq!(text, r#"{"scheme":{"basic":{"user":"viewer"}},"secret":"nvr-web"}"#);
        assert_eq!(serde_json::from_str::<HttpAuth>(&text).unwrap(), auth);
        for bad in [
            r#"{"scheme":"digest","secret":"a"}"#,
            r#"{"scheme":"bearer","secret":"../a"}"#,
            r#"{"scheme":"bearer","secret":"a","value":"x"}"#,
        ] {
            assert!(serde_json::from_str::<HttpAuth>(bad).is_err(), "{bad}");
        }
    }
}
