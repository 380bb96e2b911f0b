//! Kinds of checks by name: which class an incident of theirs has, and when to believe them (DETECTION 5, PROBES).
//!
//! A trace may hold kinds that no agent of this version can run, so a kind here is a name that is read by its parts
//! (`cam.rtsp` is a camera's), not [`upheld_model::ProbeSpec`]. A kind that nobody knows tells about our own watching.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use upheld_model::{AssetClass, IncidentClass, ProbeSpec};

use crate::fold::FoldRule;

/// The kind of a check, such as `net.icmp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckKind(String);

impl CheckKind {
    /// The kind of this name.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it asks about.
    pub fn family(&self) -> Family {
        let (head, tail) = self.0.split_once('.').unwrap_or((&self.0, ""));
        match (head, tail) {
            ("ups" | "power", _) if tail != "boot" => Family::Power,
            ("net", "link") | ("snmp", _) => Family::Link,
            ("net", "ntp") | ("ntp" | "time", _) => Family::TimeSync,
            ("net", _) => Family::Network,
            ("cam", _) => Family::Camera,
            ("rec", _) => Family::Recording,
            ("acs", _) => Family::Access,
            ("backup" | "bk", _) => Family::Backup,
            ("restore", _) => Family::Restore,
            ("service" | "exec" | "process" | "svc" | "proc" | "heartbeat" | "hb" | "job", _) => Family::Service,
            ("host" | "power" | "log" | "eventlog", _) => Family::Host,
            ("env" | "environment", _) => Family::Environment,
            // An open list of names from outside: what is not known is not guessed.
            (_, _) => Family::Unknown,
        }
    }

    /// The class of an incident that a failure of this kind opens on such an asset.
    ///
    /// ```
    /// use upheld_detection::kind::CheckKind;
    /// use upheld_model::{AssetClass, IncidentClass};
    /// let ping = CheckKind::new("net.icmp");
    /// assert_eq!(ping.class_on(AssetClass::Switch), IncidentClass::NetworkLan);
    /// assert_eq!(ping.class_on(AssetClass::InternetLink), IncidentClass::NetworkWan);
    /// ```
    pub fn class_on(&self, asset: AssetClass) -> IncidentClass {
        match self.family() {
            Family::Power => IncidentClass::Power,
            Family::Link | Family::Network if asset == AssetClass::InternetLink => IncidentClass::NetworkWan,
            Family::Link | Family::Network => IncidentClass::NetworkLan,
            Family::Camera => IncidentClass::Camera,
            Family::Recording => IncidentClass::Recording,
            Family::Access => IncidentClass::Access,
            Family::Backup => IncidentClass::Backup,
            Family::Restore => IncidentClass::Restore,
            Family::Service => IncidentClass::Service,
            Family::Host => IncidentClass::Host,
            Family::TimeSync => IncidentClass::TimeSync,
            Family::Environment => IncidentClass::Environment,
            Family::Unknown => IncidentClass::Monitoring,
        }
    }

    /// When to believe a check of this kind whose book says nothing (the table of PROBES).
    pub fn usual_rule(&self) -> FoldRule {
        let (every_s, timeout_s, fail_after, recover_after) = match self.family() {
            Family::Power if self.0 == "ups.snmp" => (15, 2, 2, 2),
            Family::Power => (5, 2, 1, 1),
            Family::Network if self.0 == "net.icmp" => (10, 1, 3, 3),
            Family::Link => (60, 2, 3, 2),
            Family::Network if self.0 == "net.path" => (30, 2, 3, 2),
            Family::Network => (10, 5, 3, 2),
            Family::Camera => (120, 8, 3, 2),
            Family::Recording => (60, 10, 2, 2),
            Family::Access => (30, 3, 3, 2),
            Family::Service => (30, 2, 2, 2),
            Family::Host => (30, 5, 20, 2),
            Family::TimeSync => (900, 2, 3, 2),
            Family::Backup | Family::Restore => (3_600, 60, 1, 1),
            Family::Environment | Family::Unknown => (300, 30, 3, 2),
        };
        FoldRule { fail_after, recover_after, stale_after: Duration::from_secs(3 * every_s + timeout_s) }
    }
}

impl From<&ProbeSpec> for CheckKind {
    fn from(probe: &ProbeSpec) -> Self {
        Self::new(probe.kind())
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a kind of check asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A battery-backed power supply.
    Power,
    /// A port: carrier, errors, speed.
    Link,
    /// Anything else of the network.
    Network,
    /// A camera.
    Camera,
    /// Recording and its retention.
    Recording,
    /// A door controller.
    Access,
    /// A backup job.
    Backup,
    /// A restore test.
    Restore,
    /// A service or process.
    Service,
    /// A host as a whole.
    Host,
    /// A clock.
    TimeSync,
    /// Temperature, humidity, contacts.
    Environment,
    /// A kind of which nothing is known.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_catalogue_has_its_class() {
        for (kind, class) in [
            ("ups.nut", "power"),
            ("power.boot", "host"),
            ("net.link", "network-lan"),
            ("snmp", "network-lan"),
            ("net.http", "network-lan"),
            ("net.ntp", "time-sync"),
            ("ntp", "time-sync"),
            ("cam.rtsp", "camera"),
            ("rec.freshness", "recording"),
            ("acs.panel", "access"),
            ("backup.restic", "backup"),
            ("restore", "restore"),
            ("service", "service"),
            ("exec.nagios", "service"),
            ("process", "service"),
            ("eventlog", "host"),
            ("log", "host"),
            ("host.smart", "host"),
            ("host", "host"),
            ("what.ever", "monitoring"),
        ] {
            assert_eq!(CheckKind::new(kind).class_on(AssetClass::Server).as_str(), class, "{kind}");
        }
        assert_eq!(CheckKind::new("net.link").class_on(AssetClass::InternetLink), IncidentClass::NetworkWan);
    }

    #[test]
    fn what_the_model_probes_has_the_same_class_here() {
        let probe = ProbeSpec::NetTcp { target: "a".to_owned(), port: 1 };
        assert_eq!(CheckKind::from(&probe).class_on(AssetClass::Server), probe.class());
    }
}
