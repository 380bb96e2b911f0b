//! A proposal as lines of a site's file.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{ProposedAsset, ProposedEdge};
use crate::{
    check::{APCUPSD_PORT, NUT_PORT, ProbeSpec},
    snmp::{SNMP_PORT, SnmpAccess, SnmpLogin},
};

/// The asset as a site's file has it, with why as a comment. Edges of which nobody is sure are comments too.
pub fn asset_lines(asset: &ProposedAsset) -> Vec<String> {
    let mut lines = vec![format!("# {}", asset.seen), "[[asset]]".to_owned()];
    lines.push(format!("id = {}", quoted(asset.asset.as_str())));
    lines.push(format!("class = {}", quoted(asset.class.as_str())));
    for edge in &asset.edges {
        lines.push(match edge.why.is_sure() {
            true => format!("{}         # {}", edge_text(edge), edge.why),
            false => format!("# {}         # {}; if it is so, take the first mark away", edge_text(edge), edge.why),
        });
    }
    let checks = checks_text(&asset.checks, &mut BTreeSet::new());
    if checks.len() > 4 {
        lines.push("checks = [".to_owned());
        lines.extend(checks.into_iter().map(|check| format!("    {check},")));
        lines.push("]".to_owned());
    } else {
        lines.push(format!("checks = [{}]", checks.join(", ")));
    }
    lines
}

/// `powered_by = "ups-1"`.
pub fn edge_text(edge: &ProposedEdge) -> String {
    format!("{} = {}", edge.kind.as_str(), quoted(edge.to.as_str()))
}

/// Checks of one asset as the book writes them, each with a name of its own where its kind is one that is `used` already;
/// what they are called is added to it.
pub fn checks_text(checks: &[ProbeSpec], used: &mut BTreeSet<String>) -> Vec<String> {
    let one = |check: &ProbeSpec| {
        let kind = check.kind().to_owned();
        if used.insert(kind.clone()) {
            return written(check, None);
        }
        let by = if let ProbeSpec::NetTcp { port, .. } = check {
            port.to_string()
        } else if let ProbeSpec::Snmp(port) = check {
            plain(&port.port)
        } else if let ProbeSpec::UpsNut { ups, .. } = check {
            plain(ups)
        } else {
            String::new()
        };
        let first = if by.is_empty() { None } else { Some(format!("{kind}-{by}")) };
        let more = (2..).map(|number| format!("{kind}-{number}"));
        let name = first.into_iter().chain(more).find(|name| used.insert(name.clone())).unwrap_or(kind);
        written(check, Some(&name))
    };
    checks.iter().map(one).collect()
}

/// As a name may have it: letters, digits, dashes.
fn plain(text: &str) -> String {
    let dashed = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    dashed.take(24).collect::<String>().trim_matches('-').to_owned()
}

/// A check as the book writes it, of the kinds that are proposed; what is the default is left out.
pub fn check_text(check: &ProbeSpec) -> String {
    written(check, None)
}

fn written(check: &ProbeSpec, name: Option<&str>) -> String {
    let mut said = format!("{{ kind = {}", quoted(check.kind()));
    name.iter().for_each(|name| said += &format!(", name = {}", quoted(name)));
    let mut add = |key: &str, value: String| {
        // Writing to a text cannot fail.
        let _ = write!(said, ", {key} = {value}");
    };
    if let ProbeSpec::NetIcmp { target, .. }
    | ProbeSpec::NetTcp { target, .. }
    | ProbeSpec::UpsNut { target, .. }
    | ProbeSpec::UpsApcupsd { target, .. } = check
    {
        add("target", quoted(target));
    }
    // What is not said below has no parameters, or is never proposed ([`ProposedAsset::refused`]).
    if let ProbeSpec::NetIcmp { tcp_port: Some(port), .. } = check {
        add("tcp_port", port.to_string());
    } else if let ProbeSpec::NetTcp { port, .. } = check {
        add("port", port.to_string());
    } else if let ProbeSpec::UpsNut { port, ups, .. } = check {
        add_unless(*port, NUT_PORT, "port", &mut add);
        add("ups", quoted(ups));
    } else if let ProbeSpec::UpsApcupsd { port, .. } = check {
        add_unless(*port, APCUPSD_PORT, "port", &mut add);
    } else if let ProbeSpec::NetLink { interface, speed_mbps } = check {
        interface.iter().for_each(|port| add("interface", quoted(port)));
        speed_mbps.iter().for_each(|speed| add("speed_mbps", speed.to_string()));
    } else if let ProbeSpec::UpsSnmp(access) = check {
        access_text(access, &mut add);
    } else if let ProbeSpec::Snmp(port) = check {
        access_text(&port.access, &mut add);
        add("port", quoted(&port.port));
    }
    said + " }"
}

fn access_text(access: &SnmpAccess, add: &mut impl FnMut(&str, String)) {
    add("target", quoted(&access.target));
    add_unless(access.udp_port, SNMP_PORT, "udp_port", add);
    match &access.login {
        SnmpLogin::Community { community_secret } => {
            community_secret.iter().for_each(|name| add("community_secret", quoted(name.as_str())));
        }
        SnmpLogin::User { user, auth, auth_secret, privacy, privacy_secret } => {
            add("user", quoted(user));
            add("auth", quoted(auth.as_str()));
            add("auth_secret", quoted(auth_secret.as_str()));
            add("privacy", quoted(privacy.as_str()));
            add("privacy_secret", quoted(privacy_secret.as_str()));
        }
    }
}

fn add_unless(port: u16, usual: u16, key: &str, add: &mut impl FnMut(&str, String)) {
    if port != usual {
        add(key, port.to_string());
    }
}

/// A basic string of TOML (v1.0, Strings): nothing in it ends it, or its line.
fn quoted(text: &str) -> String {
    let mut said = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => said.extend(['\\', c]),
            c if crate::text::is_hostile(c) => {
                let _ = write!(said, "\\U{:08X}", u32::from(c));
            }
            c => said.push(c),
        }
    }
    said + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_checks_of_one_kind_have_a_name_each() {
        let tcp = |port| ProbeSpec::NetTcp { target: "10.0.0.1".to_owned(), port };
        let said = checks_text(&[tcp(554), tcp(8000), tcp(8000)], &mut BTreeSet::new());
        let names = ["kind = \"net.tcp\", target", "name = \"net.tcp-8000\"", "name = \"net.tcp-2\""];
        assert!(said.iter().zip(names).all(|(said, name)| said.contains(name)), "{said:?}");
    }

    #[test]
    fn a_check_says_what_is_not_usual_and_no_value_ends_its_text() {
        for (json, text) in [
            (r#"{"kind":"host"}"#, r#"{ kind = "host" }"#),
            (
                r#"{"kind":"net.tcp","target":"10.0.0.1","port":554}"#,
                r#"{ kind = "net.tcp", target = "10.0.0.1", port = 554 }"#,
            ),
            (
                r#"{"kind":"ups.nut","target":"10.0.0.1","ups":"u","port":3494}"#,
                r#"{ kind = "ups.nut", target = "10.0.0.1", port = 3494, ups = "u" }"#,
            ),
            (
                r#"{"kind":"ups.snmp","target":"10.0.0.9","login":{"version":"2c","community_secret":"upses"}}"#,
                r#"{ kind = "ups.snmp", target = "10.0.0.9", community_secret = "upses" }"#,
            ),
            (
                r#"{"kind":"snmp","access":{"target":"10.0.0.2"},"port":"a\"b\\c\u001b"}"#,
                r#"{ kind = "snmp", target = "10.0.0.2", port = "a\"b\\c\U0000001B" }"#,
            ),
        ] {
            assert_eq!(check_text(&serde_json::from_str(json).unwrap()), text);
        }
    }
}
