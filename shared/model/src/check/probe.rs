//! What a check asks: the closed set of probe kinds, with what each is given.

use serde::{Deserialize, Serialize};

use super::{
    APCUPSD_PORT, DnsSpec, EventLogSpec, HttpAuth, LaterProbe, LogSpec, NUT_PORT, NtpSpec, PathSpec, ProcessSpec,
    TlsSpec,
};
use crate::{
    ids::SecretName,
    snmp::{SnmpAccess, SwitchPort},
    vocabulary::IncidentClass,
};

/// A closed set: adding a kind here makes every `match` that must know it fail to compile.
///
/// The derived reader is strict; what it refuses is [`ProbeSpec::Later`] (`later.rs` has the reader and the writer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", deny_unknown_fields)]
pub enum ProbeSpec {
    /// This host's processor, memory, disks, uptime.
    #[serde(rename = "host")]
    Host {
        /// A file system at least this full is bad, in percent.
        #[serde(default = "default_disk_bad_percent")]
        disk_bad_percent: u8,
    },
    /// One echo for liveness.
    #[serde(rename = "net.icmp")]
    NetIcmp {
        /// A host name or address, or `gateway` for the default gateway.
        target: String,
        /// A TCP port whose connect time stands in where ICMP is not permitted; without one the check is unknown
        /// (cannot probe) then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tcp_port: Option<u16>,
    },
    /// A TCP connection.
    #[serde(rename = "net.tcp")]
    NetTcp {
        /// A host name or address.
        target: String,
        /// The port.
        port: u16,
    },
    /// An HTTP or HTTPS request, with the days that the certificate has left.
    #[serde(rename = "net.http")]
    NetHttp {
        /// An `http://` or `https://` address without credentials.
        url: String,
        /// The status that is good; by default any from 200 to 399.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Certificate days under which the check warns.
        #[serde(default = "default_tls_warn_days")]
        tls_warn_days: u16,
        /// Certificate days under which the check is bad.
        #[serde(default = "default_tls_bad_days")]
        tls_bad_days: u16,
        /// How it logs in; not at all by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auth: Option<HttpAuth>,
    },
    /// Rounds of echoes: how many are lost, and how long they take.
    #[serde(rename = "net.quality")]
    NetQuality {
        /// A host name or address, or `gateway` for the default gateway.
        target: String,
    },
    /// A name looked up at a resolver.
    #[serde(rename = "net.dns")]
    NetDns(DnsSpec),
    /// A time server's clock beside this host's.
    #[serde(rename = "net.ntp")]
    NetNtp(NtpSpec),
    /// A server's certificates and its key.
    #[serde(rename = "net.tls")]
    NetTls(TlsSpec),
    /// A port of this host: carrier and its drops as the kernel counts them, speed, duplex, errors.
    #[serde(rename = "net.link")]
    NetLink {
        /// The interface, such as `eth0` or `Ethernet 2`; that of the default route when it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interface: Option<String>,
        /// The speed that is meant, in Mbit/s; the best that was seen when it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        speed_mbps: Option<u32>,
    },
    /// The way out of the site, step by step: where it ends names who is to blame.
    #[serde(rename = "net.path")]
    NetPath(PathSpec),
    /// How this host ended before it started.
    #[serde(rename = "power.boot")]
    PowerBoot {},
    /// A power supply with a battery, as its NUT server tells.
    #[serde(rename = "ups.nut")]
    UpsNut {
        /// The server: a host name or address.
        target: String,
        /// Its port.
        #[serde(default = "default_nut_port")]
        port: u16,
        /// The supply's name at the server.
        ups: String,
    },
    /// A power supply with a battery, as apcupsd tells.
    #[serde(rename = "ups.apcupsd")]
    UpsApcupsd {
        /// The host on which apcupsd runs: a name or an address.
        target: String,
        /// The port of its network information server.
        #[serde(default = "default_apcupsd_port")]
        port: u16,
    },
    /// A power supply with a battery, as its network card tells by SNMP.
    #[serde(rename = "ups.snmp")]
    UpsSnmp(SnmpAccess),
    /// A battery that this host's own kernel sees.
    #[serde(rename = "ups.battery")]
    UpsBattery {
        /// Its name there, such as `BAT0`; the only one when it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        battery: Option<String>,
    },
    /// A port of a switch, as the switch tells by SNMP.
    #[serde(rename = "snmp")]
    Snmp(SwitchPort),
    /// A service of this host, as its service manager tells.
    #[serde(rename = "service")]
    Service {
        /// The unit, such as `recorder.service`, or the name of a Windows service; all that are to start with the host
        /// when it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    /// A monitoring plugin: a program that the site's own file spells out under this name (SECURITY 1).
    #[serde(rename = "exec.nagios")]
    ExecNagios {
        /// The name, such as `check_raid`; program and arguments stand at the site.
        command: String,
    },
    /// Processes of this host by name: how many run, since when, what they use.
    #[serde(rename = "process")]
    Process(ProcessSpec),
    /// Events of a log of Windows.
    #[serde(rename = "eventlog")]
    EventLog(EventLogSpec),
    /// Lines of a log of this host that match; which log it is the site's own file says.
    #[serde(rename = "log")]
    Log(LogSpec),
    /// What a disk says of its health: a program that the site's own file spells out under this name and that prints what
    /// `smartctl --json` does.
    #[serde(rename = "host.smart")]
    HostSmart {
        /// The name, such as `smart_sda`; program and arguments stand at the site.
        command: String,
    },
    /// The newest file of a recorder's folder: age, size, growth.
    #[serde(rename = "rec.freshness")]
    RecFreshness(FreshnessSpec),
    /// The newest file of a backup folder: age, size, growth.
    #[serde(rename = "backup.files")]
    BackupFiles(FreshnessSpec),
    /// What this version cannot read: unknown, and never run.
    #[serde(skip)]
    Later(LaterProbe),
}

/// What makes the newest file of a folder fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessSpec {
    /// The folder, absolute.
    pub path: String,
    /// The newest file must be at most this old, in seconds.
    pub age_max_s: u64,
    /// The newest file must have at least this many bytes (a recorder with a frozen camera keeps a 48-byte header).
    #[serde(default = "default_bytes_min")]
    pub bytes_min: u64,
    /// Only files whose name ends so count, for example `.mp4`; all files by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<String>,
}

fn default_disk_bad_percent() -> u8 {
    95
}

fn default_tls_warn_days() -> u16 {
    21
}

fn default_tls_bad_days() -> u16 {
    7
}

fn default_bytes_min() -> u64 {
    1
}

fn default_nut_port() -> u16 {
    NUT_PORT
}

fn default_apcupsd_port() -> u16 {
    APCUPSD_PORT
}

impl ProbeSpec {
    /// The kinds that this version probes.
    pub const KINDS: &'static [&'static str] = &[
        "host",
        "net.icmp",
        "net.quality",
        "net.tcp",
        "net.http",
        "net.dns",
        "net.ntp",
        "net.tls",
        "net.path",
        "net.link",
        "ups.nut",
        "ups.apcupsd",
        "ups.snmp",
        "ups.battery",
        "snmp",
        "power.boot",
        "service",
        "exec.nagios",
        "process",
        "eventlog",
        "log",
        "host.smart",
        "rec.freshness",
        "backup.files",
    ];

    /// The kind's name as it stands in the book.
    pub fn kind(&self) -> &str {
        match self {
            Self::Host { .. } => "host",
            Self::NetIcmp { .. } => "net.icmp",
            Self::NetTcp { .. } => "net.tcp",
            Self::NetHttp { .. } => "net.http",
            Self::NetQuality { .. } => "net.quality",
            Self::NetDns(_) => "net.dns",
            Self::NetNtp(_) => "net.ntp",
            Self::NetTls(_) => "net.tls",
            Self::NetLink { .. } => "net.link",
            Self::NetPath(_) => "net.path",
            Self::PowerBoot {} => "power.boot",
            Self::UpsNut { .. } => "ups.nut",
            Self::UpsApcupsd { .. } => "ups.apcupsd",
            Self::UpsSnmp(_) => "ups.snmp",
            Self::UpsBattery { .. } => "ups.battery",
            Self::Snmp(_) => "snmp",
            Self::Service { .. } => "service",
            Self::ExecNagios { .. } => "exec.nagios",
            Self::Process(_) => "process",
            Self::EventLog(_) => "eventlog",
            Self::Log(_) => "log",
            Self::HostSmart { .. } => "host.smart",
            Self::RecFreshness(_) => "rec.freshness",
            Self::BackupFiles(_) => "backup.files",
            Self::Later(later) => later.kind(),
        }
    }

    /// The secrets that the probe needs, by name.
    pub fn secrets(&self) -> Vec<&SecretName> {
        match self {
            Self::NetHttp { auth, .. } => auth.iter().map(|auth| &auth.secret).collect(),
            Self::UpsSnmp(access) => access.login.secrets(),
            Self::Snmp(port) => port.access.login.secrets(),
            Self::Host { .. }
            | Self::NetIcmp { .. }
            | Self::NetQuality { .. }
            | Self::NetTcp { .. }
            | Self::NetDns(_)
            | Self::NetNtp(_)
            | Self::NetTls(_)
            | Self::NetPath(_)
            | Self::NetLink { .. }
            | Self::UpsNut { .. }
            | Self::UpsApcupsd { .. }
            | Self::UpsBattery { .. }
            | Self::Service { .. }
            | Self::ExecNagios { .. }
            | Self::Process(_)
            | Self::EventLog(_)
            | Self::Log(_)
            | Self::HostSmart { .. }
            | Self::RecFreshness(_)
            | Self::BackupFiles(_)
            | Self::PowerBoot {}
            | Self::Later(_) => Vec::new(),
        }
    }

    /// The class of an incident that a failure of this kind opens, on an asset that is not an internet link
    /// (DETECTION 5).
    pub fn class(&self) -> IncidentClass {
        match self {
            Self::Host { .. } | Self::PowerBoot {} | Self::EventLog(_) => IncidentClass::Host,
            Self::HostSmart { .. } => IncidentClass::Host,
            Self::NetIcmp { .. } | Self::NetTcp { .. } | Self::NetHttp { .. } | Self::NetLink { .. } => {
                IncidentClass::NetworkLan
            }
            Self::Snmp(_) => IncidentClass::NetworkLan,
            Self::UpsNut { .. } | Self::UpsApcupsd { .. } | Self::UpsSnmp(_) => IncidentClass::Power,
            Self::UpsBattery { .. } => IncidentClass::Power,
            Self::NetQuality { .. } | Self::NetDns(_) | Self::NetTls(_) => IncidentClass::NetworkLan,
            Self::NetNtp(_) => IncidentClass::TimeSync,
            Self::Service { .. } | Self::ExecNagios { .. } => IncidentClass::Service,
            Self::Process(_) => IncidentClass::Service,
            Self::Log(_) => IncidentClass::Host,
            // Where nobody is named; see [`crate::Culprit::class`].
            Self::NetPath(_) => IncidentClass::NetworkLan,
            Self::RecFreshness(_) => IncidentClass::Recording,
            Self::BackupFiles(_) => IncidentClass::Backup,
            Self::Later(_) => IncidentClass::Monitoring,
        }
    }

    /// For how long the last sample is believed where nobody says: three intervals and one run. A supply that is asked
    /// each second is no less known when its server is slow for a few (PROBES 1).
    pub fn usual_stale_after_ms(&self, every_ms: u64, timeout_ms: u64) -> u64 {
        let least = if self.class() == IncidentClass::Power { 15_000 } else { 0 };
        every_ms.saturating_mul(3).saturating_add(timeout_ms).max(least)
    }
}
