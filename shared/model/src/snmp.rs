//! How an SNMP agent is reached and what it is shown: communities and passwords by the name of a secret only (SECURITY 4).

use serde::{Deserialize, Serialize};

use crate::ids::SecretName;

/// Where SNMP agents listen.
pub const SNMP_PORT: u16 = 161;

/// One SNMP agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnmpAccess {
    /// A host name or address.
    pub target: String,
    /// Its port, by UDP.
    #[serde(default = "default_port")]
    pub udp_port: u16,
    /// What it is shown.
    #[serde(default)]
    pub login: SnmpLogin,
}

fn default_port() -> u16 {
    SNMP_PORT
}

/// A port of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchPort {
    /// The switch.
    pub access: SnmpAccess,
    /// The port by its `ifName`, `ifDescr` or `ifIndex`.
    pub port: String,
    /// The speed that is meant, in Mbit/s; the best that was seen when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u32>,
    /// By which numbers it feeds (RFC 3621), `group.port`; found by the port's name when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poe_port: Option<String>,
}

impl SwitchPort {
    /// Group and port by which it feeds, where the check names them.
    pub fn poe_numbers(&self) -> Option<(u32, u32)> {
        let (group, port) = self.poe_port.as_ref()?.split_once('.')?;
        Some((group.parse().ok()?, port.parse().ok()?))
    }
}

/// What an SNMP agent is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version", deny_unknown_fields)]
pub enum SnmpLogin {
    /// SNMPv2c: a word in clear text.
    #[serde(rename = "2c")]
    Community {
        /// The secret that is the community; `public` where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        community_secret: Option<SecretName>,
    },
    /// SNMPv3 with authentication and privacy (authPriv).
    #[serde(rename = "3")]
    User {
        /// The user's name, which is no secret.
        user: String,
        /// How messages are authenticated.
        auth: SnmpAuth,
        /// The secret that is the password for it.
        auth_secret: SecretName,
        /// How messages are encrypted.
        privacy: SnmpPrivacy,
        /// The secret that is the password for it.
        privacy_secret: SecretName,
    },
}

impl SnmpLogin {
    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<&SecretName> {
        match self {
            Self::Community { community_secret } => community_secret.iter().collect(),
            Self::User { auth_secret, privacy_secret, .. } => vec![auth_secret, privacy_secret],
        }
    }
}

impl Default for SnmpLogin {
    fn default() -> Self {
        Self::Community { community_secret: None }
    }
}

/// A closed set of words, each with its name in the book and on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word that can be written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// What the word names.
            pub fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words!(
    /// How SNMPv3 messages are authenticated (RFC 3414, RFC 7860).
    SnmpAuth {
        /// HMAC-MD5-96.
        Md5 = "md5",
        /// HMAC-SHA-96, which most devices know.
        Sha1 = "sha",
        /// HMAC-SHA-224.
        Sha224 = "sha224",
        /// HMAC-SHA-256.
        Sha256 = "sha256",
        /// HMAC-SHA-384.
        Sha384 = "sha384",
        /// HMAC-SHA-512.
        Sha512 = "sha512",
    }
);

words!(
    /// How SNMPv3 messages are encrypted (RFC 3414, RFC 3826, and what manufacturers did beyond them).
    SnmpPrivacy {
        /// CBC-DES: weak, and all that some old devices know.
        Des = "des",
        /// AES-128, which most devices know.
        Aes128 = "aes",
        /// AES-192 with the key extension of net-snmp (Blumenthal).
        Aes192 = "aes192",
        /// AES-256 with the key extension of net-snmp (Blumenthal).
        Aes256 = "aes256",
        /// AES-192 with the key extension of Cisco (Reeder).
        Aes192Cisco = "aes192-cisco",
        /// AES-256 with the key extension of Cisco (Reeder).
        Aes256Cisco = "aes256-cisco",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_as_it_is_written() {
        for word in SnmpAuth::WORDS {
            assert_eq!(serde_json::to_value(SnmpAuth::named(word).unwrap()).unwrap(), *word);
        }
        for word in SnmpPrivacy::WORDS {
            assert_eq!(SnmpPrivacy::named(word).unwrap().as_str(), *word);
        }
    }

    #[test]
    fn an_access_holds_names_and_a_key_that_is_not_known_is_refused() {
        let text = r#"{"target":"10.0.0.9","udp_port":161,"login":{"version":"2c","community_secret":"sw"}}"#;
        let access: SnmpAccess = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&access).unwrap(), text);
        let least: SnmpAccess = serde_json::from_str(r#"{"target":"10.0.0.9"}"#).unwrap();
        assert_eq!((least.udp_port, least.login), (161, SnmpLogin::Community { community_secret: None }));
        let clear = r#"{"target":"a","login":{"version":"2c","community":"s3cret"}}"#;
        assert!(serde_json::from_str::<SnmpAccess>(clear).is_err());
    }
}
