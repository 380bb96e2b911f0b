//! How a check reaches an SNMP agent: `target = "10.0.0.9", community_secret = "switches"` (SNMPv2c), or
//! `user = "upheld", auth_secret = "sw-auth", privacy_secret = "sw-privacy"` (SNMPv3).
//!
//! A book names secrets and never holds them (E0209).

use upheld_model::{
    ProbeSpec, SecretName,
    snmp::{SNMP_PORT, SnmpAccess, SnmpAuth, SnmpLogin, SnmpPrivacy, SwitchPort},
};

use crate::book::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    schema::Shape,
};

pub(super) fn read_ups(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    read_access(fields, reading).map(ProbeSpec::UpsSnmp)
}

pub(super) fn read_port(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let access = read_access(fields, reading);
    let port = fields.required("port", reading);
    let speed_mbps = super::small(fields, "speed_mbps", reading);
    let poe_port = fields.optional("poe_port", reading);
    Some(ProbeSpec::Snmp(SwitchPort { access: access?, port: port?, speed_mbps, poe_port }))
}

fn read_access(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<SnmpAccess> {
    let target = fields.required("target", reading);
    let udp_port = super::small(fields, "udp_port", reading).unwrap_or(SNMP_PORT);
    let login =
        if fields.node("user").is_some() { read_user(fields, reading) } else { read_community(fields, reading) };
    Some(SnmpAccess { target: target?, udp_port, login: login? })
}

/// Keys that mean something to a user only.
const OF_A_USER: &[&str] = &["auth", "auth_secret", "privacy", "privacy_secret"];

fn read_community(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<SnmpLogin> {
    let mut is_whole = true;
    for key in OF_A_USER {
        if let Some(node) = fields.node(key) {
            let place = reading.place(node);
            let refused =
                Diagnostic::new(Code::BadValue, &place, format!("`{key}` is of SNMPv3, which needs a `user`"));
            reading.report(refused.help("add user = \"NAME\", or take this out for SNMPv2c"));
            is_whole = false;
        }
    }
    let community_secret = match fields.node("community_secret") {
        // One that cannot be read has been reported, and a check must not run without it.
        Some(node) => Some(SecretName::read(node, reading)?),
        None => None,
    };
    is_whole.then_some(SnmpLogin::Community { community_secret })
}

fn read_user(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<SnmpLogin> {
    let user = fields.required("user", reading);
    let auth_secret = fields.required("auth_secret", reading);
    let privacy_secret = fields.required("privacy_secret", reading);
    let auth = word(fields, "auth", SnmpAuth::Sha1, reading);
    let privacy = word(fields, "privacy", SnmpPrivacy::Aes128, reading);
    if let Some(node) = fields.node("community_secret") {
        let place = reading.place(node);
        let refused = Diagnostic::new(Code::BadValue, &place, "`user` is of SNMPv3, `community_secret` of SNMPv2c");
        reading.report(refused.help("take one of them out"));
        return None;
    }
    let (auth, privacy) = (auth?, privacy?);
    Some(SnmpLogin::User { user: user?, auth, auth_secret: auth_secret?, privacy, privacy_secret: privacy_secret? })
}

/// The word of a key, or what is usual; `None` when it cannot be read.
fn word<T: Read>(fields: &mut Fields<'_, '_>, key: &'static str, usual: T, reading: &mut Reading<'_>) -> Option<T> {
    if fields.node(key).is_some() { fields.optional(key, reading) } else { Some(usual) }
}

macro_rules! words {
    ($($name:ident, $what:literal;)+) => {
        $(impl Read for $name {
            fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
                let word = String::read(value, reading)?;
                let known = $name::named(&word);
                if known.is_none() {
                    reading.unknown_word(value, $what, &shown(&word), $name::WORDS);
                }
                known
            }

            fn shape() -> Shape {
                Shape::Words($name::WORDS.to_vec())
            }
        })+
    };
}

words!(SnmpAuth, "way to authenticate"; SnmpPrivacy, "way to encrypt";);
