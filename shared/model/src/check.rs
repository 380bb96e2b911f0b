//! A configured check: data from the collector, a closed set of probe kinds with bounded parameters (SECURITY 2).
//!
//! What a probe may *reach* is not decided here but at the agent, by `allow.toml` and fixed rules. What this version
//! cannot read is kept and never run ([`LaterProbe`]).

mod auth;
mod eventlog;
mod later;
mod log;
mod net;
mod probe;
mod process;

pub use auth::{HttpAuth, HttpScheme, HttpTrust};
pub use eventlog::{EVENT_IDS_MAX, EventLevel, EventLogSpec};
pub use later::LaterProbe;
pub use log::{LogSeverity, LogSpec, PATTERNS_MAX, compiled, pattern_refused};
pub use net::{
    ANCHORS_MAX, DNS_PORT, DnsSpec, NTP_PORT, NtpSpec, PIN_PREFIX, PathSpec, RESOLVER, RecordKind, TLS_PORT, TlsSpec,
};
pub use probe::{FreshnessSpec, ProbeSpec};
pub use process::ProcessSpec;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ids::CheckId,
    snmp::{SnmpAccess, SnmpLogin},
};

/// The most checks one agent takes.
pub const CHECKS_MAX: usize = 2_000;
/// Where a NUT server listens.
pub const NUT_PORT: u16 = 3493;
/// Where apcupsd listens.
pub const APCUPSD_PORT: u16 = 3551;

/// One check: what to ask, how often, and when to believe it. Durations are in milliseconds.
///
/// A key that is added here is one that an older agent may pass over; what it must not pass over belongs to the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// The check's name within its site.
    pub id: CheckId,
    /// What to ask.
    pub probe: ProbeSpec,
    /// The time between two runs while all is well.
    pub every_ms: u64,
    /// The longest one run may take.
    pub timeout_ms: u64,
    /// Consecutive bad samples that confirm a failure.
    pub fail_after: u32,
    /// Consecutive good samples that confirm a recovery.
    pub recover_after: u32,
    /// Silence of the check after which its state is unknown.
    pub stale_after_ms: u64,
}

/// Why a check from the collector is refused. The message names the check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A number is outside its bounds.
    #[error("check {check}: {field} is {value}, allowed is {min} to {max}")]
    OutOfBounds {
        /// The check.
        check: CheckId,
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A text parameter cannot mean anything.
    #[error("check {check}: {field} {value:?}: {why}")]
    Parameter {
        /// The check.
        check: CheckId,
        /// The field.
        field: &'static str,
        /// Its value, cut at 80 characters.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two checks have one name.
    #[error("check {check} is configured twice")]
    Twice {
        /// The check.
        check: CheckId,
    },
    /// More checks than an agent takes.
    #[error("{count} checks configured, at most {CHECKS_MAX} are allowed")]
    TooMany {
        /// How many there were.
        count: usize,
    },
}

impl CheckSpec {
    /// A check with the schedule that is usual for its kind (the table of PROBES).
    pub fn with_defaults(id: CheckId, probe: ProbeSpec) -> Self {
        let (every_s, timeout_s, fail_after, recover_after) = match &probe {
            ProbeSpec::Host { .. } => (30, 5, 20, 2),
            ProbeSpec::NetIcmp { .. } => (10, 1, 3, 3),
            // Two seconds: a target that swallows packets is confirmed within the 15 s that liveness promises.
            ProbeSpec::NetTcp { .. } => (10, 2, 3, 2),
            ProbeSpec::NetHttp { .. } => (10, 10, 3, 2),
            // A second of sending, a second for the last one.
            ProbeSpec::NetQuality { .. } => (60, 3, 3, 3),
            ProbeSpec::NetDns(_) => (60, 2, 3, 2),
            ProbeSpec::NetNtp(_) => (900, 2, 3, 2),
            // A certificate that was renewed ends its incident within the hour.
            ProbeSpec::NetTls(_) => (3_600, 5, 3, 1),
            // The kernel counts each drop, however short; down for a minute it is a failure and no drop any more.
            ProbeSpec::NetLink { .. } => (10, 2, 6, 2),
            // Asked each 5 s while it is not ok, and at once when another check begins to fail.
            ProbeSpec::NetPath(_) => (30, 2, 3, 2),
            ProbeSpec::PowerBoot {} => (60, 2, 2, 2),
            // A dip of 1.2 s is seen. For how long a supply may run on battery the probe knows; two in a row, since some
            // devices say "low" for a moment at each transfer.
            ProbeSpec::UpsNut { .. } => (1, 2, 2, 2),
            // It counts itself what happens between two looks.
            ProbeSpec::UpsApcupsd { .. } => (5, 3, 2, 2),
            // Each question is put twice, two seconds apart: UDP loses some.
            ProbeSpec::UpsSnmp(_) => (15, 5, 2, 2),
            // The kernel counts no transfers: what is shorter is not seen.
            ProbeSpec::UpsBattery { .. } => (5, 3, 2, 2),
            // Down for a minute, as at a port of the host itself: what is shorter is a drop, and is counted.
            ProbeSpec::Snmp(_) => (30, 5, 3, 2),
            ProbeSpec::Service { .. } => (30, 5, 2, 2),
            ProbeSpec::ExecNagios { .. } => (300, 30, 3, 1),
            ProbeSpec::Process(_) => (30, 5, 2, 2),
            // An event has happened: to look again makes it no surer.
            ProbeSpec::EventLog(_) => (30, 10, 1, 1),
            // How many lines, within how long, and how long it must be quiet: the check says that itself.
            ProbeSpec::Log(_) => (30, 5, 1, 1),
            // A disk's counts move slowly, and a timer of the site may write its report once a day.
            ProbeSpec::HostSmart { .. } => (1_800, 30, 2, 1),
            ProbeSpec::RecFreshness(_) | ProbeSpec::BackupFiles(_) => (60, 10, 2, 2),
            ProbeSpec::Later(_) => (300, 1, 3, 2),
        };
        let (every_ms, timeout_ms) = (every_s * 1000, timeout_s * 1000);
        let stale_after_ms = probe.usual_stale_after_ms(every_ms, timeout_ms);
        Self { id, probe, every_ms, timeout_ms, fail_after, recover_after, stale_after_ms }
    }

    /// The time between two runs.
    pub fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }

    /// The longest one run may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Refuses what no collector may ask (SECURITY 2): the agent calls this on everything it is sent.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.bound("every_ms", self.every_ms, 1_000, 86_400_000)?;
        self.bound("timeout_ms", self.timeout_ms, 100, 60_000)?;
        self.bound("fail_after", u64::from(self.fail_after), 1, 100)?;
        self.bound("recover_after", u64::from(self.recover_after), 1, 100)?;
        self.bound("stale_after_ms", self.stale_after_ms, self.every_ms, 7 * 86_400_000)?;
        match &self.probe {
            ProbeSpec::Host { disk_bad_percent } => self.bound("disk_bad_percent", (*disk_bad_percent).into(), 1, 100),
            ProbeSpec::NetIcmp { target, tcp_port } => {
                self.target(target)?;
                tcp_port.map_or(Ok(()), |port| self.bound("tcp_port", port.into(), 1, 65_535))
            }
            ProbeSpec::NetTcp { target, port } => {
                self.target(target)?;
                self.bound("port", (*port).into(), 1, 65_535)
            }
            ProbeSpec::NetHttp { url, status, tls_warn_days, tls_bad_days, auth } => {
                if !(url.starts_with("http://") || url.starts_with("https://")) || url.len() > 2_000 {
                    return Err(self.parameter("url", url, "must start with http:// or https://, at most 2000 bytes"));
                }
                if let Some(why) = auth.as_ref().and_then(|auth| auth.refused_for(url)) {
                    return Err(self.parameter("auth", url, why));
                }
                if let Some(status) = status {
                    self.bound("status", (*status).into(), 100, 599)?;
                }
                self.bound("tls_warn_days", (*tls_warn_days).into(), u64::from(*tls_bad_days), 3_650)
            }
            ProbeSpec::NetQuality { target } => {
                self.bound("timeout_ms", self.timeout_ms, 2_500, 60_000)?;
                self.target(target)
            }
            ProbeSpec::NetDns(spec) => spec.validate(self),
            ProbeSpec::NetNtp(spec) => spec.validate(self),
            ProbeSpec::NetTls(spec) => spec.validate(self),
            ProbeSpec::NetLink { interface, speed_mbps } => {
                if let Some(interface) = interface {
                    self.interface(interface)?;
                }
                speed_mbps.map_or(Ok(()), |speed| self.bound("speed_mbps", speed.into(), 1, 1_600_000))
            }
            ProbeSpec::NetPath(path) => self.path(path),
            ProbeSpec::PowerBoot {} => Ok(()),
            ProbeSpec::UpsNut { target, port, ups } => {
                self.target(target)?;
                self.bound("port", (*port).into(), 1, 65_535)?;
                self.ups(ups)
            }
            ProbeSpec::UpsApcupsd { target, port } => {
                self.target(target)?;
                self.bound("port", (*port).into(), 1, 65_535)
            }
            ProbeSpec::UpsSnmp(access) => self.snmp(access),
            ProbeSpec::UpsBattery { battery } => battery.as_deref().map_or(Ok(()), |battery| self.battery(battery)),
            ProbeSpec::Snmp(port) => {
                self.snmp(&port.access)?;
                if !(1..=255).contains(&port.port.len()) || port.port.chars().any(char::is_control) {
                    return Err(self.parameter("port", &port.port, "must be a port's name or number, such as Gi0/7"));
                }
                if let (Some(text), None) = (&port.poe_port, port.poe_numbers()) {
                    return Err(self.parameter("poe_port", text, "must be the group and the port, such as 1.7"));
                }
                port.speed_mbps.map_or(Ok(()), |speed| self.bound("speed_mbps", speed.into(), 1, 1_600_000))
            }
            ProbeSpec::Service { unit } => unit.as_deref().map_or(Ok(()), |unit| self.unit(unit)),
            ProbeSpec::ExecNagios { command } => {
                // A program is dearer than a question.
                self.bound("every_ms", self.every_ms, 10_000, 86_400_000)?;
                self.command(command)
            }
            ProbeSpec::Process(spec) => spec.validate(self),
            ProbeSpec::EventLog(spec) => spec.validate(self),
            ProbeSpec::Log(spec) => spec.validate(self),
            ProbeSpec::HostSmart { command } => {
                self.bound("every_ms", self.every_ms, 60_000, 86_400_000)?;
                self.command(command)
            }
            ProbeSpec::RecFreshness(spec) | ProbeSpec::BackupFiles(spec) => {
                if !(spec.path.starts_with('/') || spec.path.as_bytes().get(1) == Some(&b':'))
                    || spec.path.len() > 1_000
                {
                    return Err(self.parameter("path", &spec.path, "must be absolute, at most 1000 bytes"));
                }
                self.bound("age_max_s", spec.age_max_s, 1, 400 * 86_400)
            }
            ProbeSpec::Later(later) => self.later_kind(later.kind()),
        }
    }

    /// A word that can be shown, whatever it means.
    fn later_kind(&self, kind: &str) -> Result<(), SpecError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if (1..=64).contains(&kind.len()) && kind.bytes().all(fits) {
            Ok(())
        } else {
            Err(self.parameter("kind", kind, "must be 1 to 64 letters, digits, dots, dashes or underscores"))
        }
    }

    fn target(&self, target: &str) -> Result<(), SpecError> {
        if is_host(target) {
            Ok(())
        } else {
            Err(self.parameter("target", target, "must be a host name or an address"))
        }
    }

    fn snmp(&self, access: &SnmpAccess) -> Result<(), SpecError> {
        self.target(&access.target)?;
        self.bound("udp_port", access.udp_port.into(), 1, 65_535)?;
        match &access.login {
            SnmpLogin::User { user, .. } if !(1..=32).contains(&user.len()) || user.chars().any(char::is_control) => {
                Err(self.parameter("user", user, "must have 1 to 32 bytes (RFC 3414)"))
            }
            SnmpLogin::User { .. } | SnmpLogin::Community { .. } => Ok(()),
        }
    }

    fn path(&self, path: &PathSpec) -> Result<(), SpecError> {
        if let Some(hop) = path.hop.as_ref().filter(|hop| hop.parse::<IpAddr>().is_err()) {
            return Err(self.parameter("hop", hop, "must be an address: a name needs a way out to be looked up"));
        }
        if let Some(anchor) = path.anchors.iter().find(|anchor| PathSpec::anchor(anchor).is_none()) {
            return Err(self.parameter("anchors", anchor, "must be a host and a port, such as anchor.example:443"));
        }
        self.bound("anchors", path.anchors.len() as u64, 0, ANCHORS_MAX as u64)
    }

    /// A name that is one word of NUT's protocol, so that it can say nothing else there.
    fn ups(&self, ups: &str) -> Result<(), SpecError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if (1..=64).contains(&ups.len()) && ups.bytes().all(fits) {
            Ok(())
        } else {
            Err(self.parameter("ups", ups, "must be 1 to 64 letters, digits, dots, dashes or underscores"))
        }
    }

    /// A name that is one folder of /sys/class/power_supply, and none above it.
    fn battery(&self, battery: &str) -> Result<(), SpecError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b':');
        let is_dots = matches!(battery, "." | "..");
        if (1..=64).contains(&battery.len()) && battery.bytes().all(fits) && !is_dots {
            Ok(())
        } else {
            Err(self.parameter("battery", battery, "must be a battery of the agent's host, such as BAT0"))
        }
    }

    /// A name and nothing more: no path, no argument.
    fn command(&self, command: &str) -> Result<(), SpecError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if (1..=64).contains(&command.len()) && command.bytes().all(fits) {
            Ok(())
        } else {
            let why = "must be the name of a command in the site's own allow.toml, without path and arguments";
            Err(self.parameter("command", command, why))
        }
    }

    /// A unit's name (systemd.unit(5)), or that of a Windows service; no pattern that would mean several.
    fn unit(&self, unit: &str) -> Result<(), SpecError> {
        let fits = |c: u8| (c.is_ascii_graphic() || c == b' ') && !matches!(c, b'/' | b'*' | b'?' | b'[' | b']');
        if (1..=255).contains(&unit.len()) && unit.bytes().all(fits) {
            Ok(())
        } else {
            Err(self.parameter("unit", unit, "must be the name of one service, such as recorder.service"))
        }
    }

    /// A name that is one folder of /sys/class/net, and none above it; on Windows what its owner calls it.
    fn interface(&self, interface: &str) -> Result<(), SpecError> {
        let fits = |c: char| !c.is_control() && !matches!(c, '/' | ':' | '\\');
        let is_odd = matches!(interface, "." | "..") || interface.trim() != interface;
        if (1..=128).contains(&interface.len()) && interface.chars().all(fits) && !is_odd {
            Ok(())
        } else {
            let why = "must be an interface of the agent's host, such as eth0 or Ethernet 2";
            Err(self.parameter("interface", interface, why))
        }
    }

    fn bound(&self, field: &'static str, value: u64, min: u64, max: u64) -> Result<(), SpecError> {
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(SpecError::OutOfBounds { check: self.id.clone(), field, value, min, max })
        }
    }

    fn parameter(&self, field: &'static str, value: &str, why: &'static str) -> SpecError {
        SpecError::Parameter { check: self.id.clone(), field, value: value.chars().take(80).collect(), why }
    }
}

/// Whether a text may be a host name or an address.
fn is_host(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'_' | b'%');
    (1..=253).contains(&text.len()) && text.bytes().all(fits)
}

/// Refuses a whole configuration: too many checks, one name twice, or any check that is refused by itself.
pub fn validate_all(checks: &[CheckSpec]) -> Result<(), SpecError> {
    if checks.len() > CHECKS_MAX {
        return Err(SpecError::TooMany { count: checks.len() });
    }
    let mut seen = BTreeMap::new();
    for check in checks {
        check.validate()?;
        if seen.insert(&check.id, ()).is_some() {
            return Err(SpecError::Twice { check: check.id.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(target: &str) -> CheckSpec {
        let probe = ProbeSpec::NetTcp { target: target.to_owned(), port: 80 };
        CheckSpec::with_defaults("srv-1/net.tcp".parse().unwrap(), probe)
    }

    #[test]
    fn defaults_of_every_kind_are_within_the_bounds() {
        let every = [
            r#"{"kind":"host"}"#,
            r#"{"kind":"net.icmp","target":"gateway"}"#,
            r#"{"kind":"net.quality","target":"gateway"}"#,
            r#"{"kind":"net.tcp","target":"10.0.0.1","port":22}"#,
            r#"{"kind":"net.http","url":"https://x/"}"#,
            r#"{"kind":"net.dns","target":"resolver","look_up":"a.example","record":"A"}"#,
            r#"{"kind":"net.ntp","target":"gateway","warn_ms":1000,"bad_ms":5000}"#,
            r#"{"kind":"net.tls","target":"10.0.0.1","tls_warn_days":21,"tls_bad_days":7}"#,
            r#"{"kind":"net.path"}"#,
            r#"{"kind":"net.link","interface":"eth0"}"#,
            r#"{"kind":"ups.nut","target":"127.0.0.1","ups":"ups1"}"#,
            r#"{"kind":"ups.apcupsd","target":"127.0.0.1"}"#,
            r#"{"kind":"ups.snmp","target":"10.0.0.9"}"#,
            r#"{"kind":"ups.battery"}"#,
            r#"{"kind":"snmp","access":{"target":"10.0.0.2"},"port":"Gi0/7"}"#,
            r#"{"kind":"power.boot"}"#,
            r#"{"kind":"service","unit":"recorder.service"}"#,
            r#"{"kind":"exec.nagios","command":"check_raid"}"#,
            r#"{"kind":"process","process":"nginx"}"#,
            r#"{"kind":"eventlog","channel":"System","level":"error"}"#,
            r#"{"kind":"log","log":"nginx-error","match":["error"]}"#,
            r#"{"kind":"host.smart","command":"smart_sda"}"#,
            r#"{"kind":"rec.freshness","path":"/srv/rec","age_max_s":120}"#,
            r#"{"kind":"backup.files","path":"/srv/bak","age_max_s":120}"#,
        ];
        let mut seen = Vec::new();
        for text in every {
            let probe: ProbeSpec = serde_json::from_str(text).unwrap();
            assert!(!matches!(probe, ProbeSpec::Later(_)), "{text}: {probe:?}");
            seen.push(probe.kind().to_owned());
            CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().unwrap();
        }
        assert_eq!(seen, ProbeSpec::KINDS, "each kind, in the order of the list");
    }

    #[test]
    fn a_check_that_would_hammer_a_device_is_refused() {
        let refused = CheckSpec { every_ms: 10, ..tcp("10.0.0.1") }.validate().unwrap_err();
        assert_eq!(refused.to_string(), "check srv-1/net.tcp: every_ms is 10, allowed is 1000 to 86400000");
    }

    #[test]
    fn a_target_that_is_no_host_is_refused() {
        for bad in ["", "a b", "$(id)", "-o;x", "http://x"] {
            let outcome = tcp(bad).validate();
            assert!(outcome.is_err() || bad == "-o", "{bad:?}");
        }
    }

    #[test]
    fn a_supply_or_port_whose_name_would_say_more_is_refused() {
        let ups = |ups: &str| ProbeSpec::UpsNut { target: "10.0.0.1".into(), port: NUT_PORT, ups: ups.into() };
        let link = |interface: &str| ProbeSpec::NetLink { interface: Some(interface.into()), speed_mbps: None };
        for probe in ["", "ups1 x", "ups1\nFSD ups1", "\"ups1\""].map(ups) {
            assert!(CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().is_err());
        }
        for probe in ["", "*.service", "a/b", "a\nb"].map(|unit| ProbeSpec::Service { unit: Some(unit.into()) }) {
            assert!(CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().is_err());
        }
        for probe in
            ["", "/bin/sh", "check_raid -w 1", "a;b"].map(|name| ProbeSpec::ExecNagios { command: name.into() })
        {
            assert!(CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().is_err());
        }
        for probe in ["", "..", "../BAT0", "a b"].map(|name| ProbeSpec::UpsBattery { battery: Some(name.into()) }) {
            assert!(CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().is_err());
        }
        for probe in ["", "..", "../../etc", " a", "a\nb", &"long".repeat(40)].map(link) {
            assert!(CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().is_err());
        }
        for probe in ["eth0", "Ethernet 2", "LAN-Verbindung"].map(link) {
            CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().unwrap();
        }
    }

    #[test]
    fn a_way_out_has_two_anchors_with_ports_and_a_first_router_with_an_address() {
        let path = |hop: Option<&str>, anchors: &[&str]| {
            let anchors = anchors.iter().map(|&anchor| anchor.to_owned()).collect();
            let probe = ProbeSpec::NetPath(PathSpec { hop: hop.map(str::to_owned), anchors });
            CheckSpec::with_defaults("line/net.path".parse().unwrap(), probe).validate()
        };
        path(Some("203.0.113.1"), &["192.0.2.1:443", "[2001:db8::1]:853"]).unwrap();
        for (hop, anchors, what) in [
            (Some("router.isp.example"), &[][..], "hop \"router.isp.example\": must be an address"),
            (None, &["192.0.2.1"][..], "anchors \"192.0.2.1\": must be a host and a port"),
            (None, &["a b:443"][..], "must be a host and a port"),
            (None, &["2001:db8::1:443"][..], "must be a host and a port"),
            (None, &["a:1", "b:1", "c:1"][..], "anchors is 3, allowed is 0 to 2"),
        ] {
            let refused = path(hop, anchors).unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(matches!(validate_all(&[tcp("a"), tcp("b")]), Err(SpecError::Twice { .. })));
    }
}
