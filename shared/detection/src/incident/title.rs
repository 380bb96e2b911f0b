//! The generated sentence that names an incident.

use upheld_model::{
    ProbeSpec,
    check::{EventLogSpec, LogSpec, ProcessSpec, RESOLVER},
    snmp::{SnmpAccess, SwitchPort},
};

use super::{Root, SiteView};

/// One sentence that says what does not work, e.g. `srv-1: TCP service on port 8080 does not answer`.
pub fn title(view: &SiteView, root: &Root) -> String {
    match root {
        Root::Check { check } => match view.checks.get(check) {
            Some(probe) => format!("{}: {}", check.asset, failure(probe)),
            None => format!("{}: check {} fails and is not configured any more", check.asset, check.name),
        },
        Root::Agent { agent, host: Some(host) } => format!("{}: agent {agent} on {host} is silent", view.site),
        Root::Agent { agent, host: None } => format!("{}: agent {agent} is silent", view.site),
        Root::Report { id: _, asset: Some(asset) } => format!("{asset}: reported by a person"),
        Root::Report { id: _, asset: None } => format!("{}: reported by a person", view.site),
        Root::Collector { trouble } => trouble.sentence().to_owned(),
        Root::Drill { agent, id: _ } => format!("{}: agent {agent} plays an outage", view.site),
    }
}

fn failure(probe: &ProbeSpec) -> String {
    match probe {
        ProbeSpec::Host { disk_bad_percent } => {
            format!("a file system is {disk_bad_percent} % full or fails, memory is short, or a RAID lacks a disk")
        }
        ProbeSpec::NetIcmp { target, tcp_port: _ } if target == "gateway" => {
            "the default gateway does not answer".to_owned()
        }
        ProbeSpec::NetIcmp { target, tcp_port: _ } => format!("{target} does not answer ping"),
        ProbeSpec::NetTcp { target: _, port } => format!("TCP service on port {port} does not answer"),
        ProbeSpec::NetHttp { url, .. } => format!("web service at {} does not answer as it should", authority(url)),
        ProbeSpec::NetQuality { target } => format!("half of the echoes to {} or more are lost", server(target)),
        ProbeSpec::NetDns(spec) => {
            format!("{} is not resolved as it should be by {}", spec.look_up, server(&spec.target))
        }
        ProbeSpec::NetNtp(spec) => format!("the host's clock differs from that of {}", server(&spec.target)),
        ProbeSpec::NetTls(spec) => {
            format!("certificate or key at {} port {} is not as it should be", server(&spec.target), spec.port)
        }
        ProbeSpec::NetLink { interface: Some(interface), .. } => format!("{interface} has no link"),
        ProbeSpec::NetLink { interface: None, .. } => "the port of its default route has no link".to_owned(),
        ProbeSpec::NetPath(_) => "the way out of the site is broken".to_owned(),
        ProbeSpec::PowerBoot {} => "when this host started cannot be told".to_owned(),
        ProbeSpec::UpsNut { ups, .. } => format!("power supply {ups} runs on battery, or its battery is low"),
        ProbeSpec::UpsApcupsd { target, .. } | ProbeSpec::UpsSnmp(SnmpAccess { target, .. }) => {
            format!("the power supply at {target} runs on battery, or its battery is low")
        }
        ProbeSpec::UpsBattery { battery } => {
            let name = battery.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            format!("the host runs on its battery{name}, or that is low")
        }
        ProbeSpec::Snmp(SwitchPort { access, port, .. }) => {
            format!("port {port} of the switch at {} has no link", access.target)
        }
        ProbeSpec::Service { unit: Some(unit) } => format!("service {unit} does not run as it should"),
        ProbeSpec::Service { unit: None } => "a service that starts with this host does not run".to_owned(),
        ProbeSpec::ExecNagios { command } => format!("the site's command {command} says critical"),
        ProbeSpec::Process(ProcessSpec { process, at_least: 0, .. }) => {
            format!("process {process} runs too often, or takes too much")
        }
        ProbeSpec::Process(ProcessSpec { process, .. }) => format!("process {process} does not run as it should"),
        ProbeSpec::EventLog(spec) => events(spec),
        ProbeSpec::Log(LogSpec { log, bad_after: 1, .. }) => format!("the log {log} has a line that must not be there"),
        ProbeSpec::Log(LogSpec { log, bad_after, within_s, .. }) => {
            let within = duration(*within_s);
            format!("the log {log} has {bad_after} or more lines within {within} that must not be there")
        }
        ProbeSpec::HostSmart { command } => format!("a disk fails, as the site's command {command} tells"),
        ProbeSpec::RecFreshness(spec) => format!("no new recording for more than {}", duration(spec.age_max_s)),
        ProbeSpec::BackupFiles(spec) => format!("no new backup for more than {}", duration(spec.age_max_s)),
        // No collector makes such a check, and no agent says that one failed.
        ProbeSpec::Later(later) => format!("{} is not as it should be", later.kind()),
    }
}

/// `event 153 of disk in its log System`.
fn events(spec: &EventLogSpec) -> String {
    let ids: Vec<String> = spec.ids.iter().map(ToString::to_string).collect();
    let what = match (ids.as_slice(), spec.level) {
        ([], None) => "events".to_owned(),
        ([], Some(level)) => format!("events that are {level} or graver"),
        ([id], _) => format!("event {id}"),
        (ids, _) => format!("events {}", ids.join(", ")),
    };
    let of = spec.provider.as_ref().map(|provider| format!(" of {provider}")).unwrap_or_default();
    let with = spec.contains.as_ref().map(|text| format!(" with \"{text}\"")).unwrap_or_default();
    let often = match spec.bad_after {
        0 | 1 => String::new(),
        often => format!(", {often} times within {}", duration(spec.within_s)),
    };
    format!("{what}{of}{with} in its log {}{often}", spec.channel)
}

/// A server by what the check calls it.
fn server(target: &str) -> &str {
    match target {
        RESOLVER => "the host's resolver",
        "gateway" => "the default gateway",
        named => named,
    }
}

/// `host:port`, without path, query and user, which may hold secrets.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host)
}

/// In the largest unit of which there are at least two.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::{
        check::{DNS_PORT, DnsSpec, FreshnessSpec, NtpSpec, PathSpec, RecordKind, TlsSpec},
        snmp::SnmpLogin,
    };

    use super::*;

    #[test]
    fn every_kind_of_check_has_its_sentence_and_none_tells_a_secret() {
        let icmp = |target: &str| ProbeSpec::NetIcmp { target: target.to_owned(), tcp_port: None };
        let url = "https://ana:pw@nvr.local:8443/login?token=s3cret".to_owned();
        let files = |age_max_s| FreshnessSpec { path: "/x".to_owned(), age_max_s, bytes_min: 1, ends_with: None };
        let log = |bad_after| {
            let spec = LogSpec::new("nginx-error".to_owned(), vec!["token=s3cret".to_owned()]);
            ProbeSpec::Log(LogSpec { bad_after, ..spec })
        };
        let process = |at_least| {
            ProbeSpec::Process(ProcessSpec {
                process: "nginx".to_owned(),
                argument: Some("--token=s3cret".to_owned()),
                user: None,
                at_least,
                at_most: Some(1),
                memory_max: None,
                cpu_max_percent: None,
            })
        };
        let dns = |target: &str| {
            ProbeSpec::NetDns(DnsSpec {
                target: target.to_owned(),
                port: DNS_PORT,
                look_up: "nvr.site.test".to_owned(),
                record: RecordKind::A,
                expect: [].into(),
                contains: [].into(),
            })
        };
        let eventlog = |more: &str| {
            let text = format!(r#"{{"channel":"System",{more}}}"#);
            ProbeSpec::EventLog(serde_json::from_str(&text).unwrap())
        };
        let ntp = NtpSpec { target: "gateway".to_owned(), port: 123, warn_ms: 1_000, bad_ms: 5_000 };
        let ntp = ProbeSpec::NetNtp(ntp);
        let tls = ProbeSpec::NetTls(TlsSpec {
            target: "nvr.local".to_owned(),
            port: 8443,
            server_name: None,
            pin: None,
            tls_warn_days: 21,
            tls_bad_days: 7,
        });
        for (probe, sentence) in [
            (
                ProbeSpec::Host { disk_bad_percent: 95 },
                "a file system is 95 % full or fails, memory is short, or a RAID lacks a disk",
            ),
            (icmp("gateway"), "the default gateway does not answer"),
            (icmp("10.0.0.9"), "10.0.0.9 does not answer ping"),
            (ProbeSpec::NetTcp { target: "x".to_owned(), port: 8080 }, "TCP service on port 8080 does not answer"),
            (
                ProbeSpec::NetHttp { url, status: None, tls_warn_days: 21, tls_bad_days: 7, auth: None },
                "web service at nvr.local:8443 does not answer as it should",
            ),
            (
                ProbeSpec::NetQuality { target: "gateway".to_owned() },
                "half of the echoes to the default gateway or more are lost",
            ),
            (dns(RESOLVER), "nvr.site.test is not resolved as it should be by the host's resolver"),
            (dns("10.0.0.53"), "nvr.site.test is not resolved as it should be by 10.0.0.53"),
            (ntp, "the host's clock differs from that of the default gateway"),
            (tls, "certificate or key at nvr.local port 8443 is not as it should be"),
            (ProbeSpec::NetLink { interface: Some("eth0".to_owned()), speed_mbps: None }, "eth0 has no link"),
            (ProbeSpec::NetPath(PathSpec::default()), "the way out of the site is broken"),
            (
                ProbeSpec::UpsNut { target: "x".to_owned(), port: 3493, ups: "ups1".to_owned() },
                "power supply ups1 runs on battery, or its battery is low",
            ),
            (
                ProbeSpec::UpsApcupsd { target: "10.0.0.5".to_owned(), port: 3551 },
                "the power supply at 10.0.0.5 runs on battery, or its battery is low",
            ),
            (
                ProbeSpec::UpsBattery { battery: Some("BAT0".to_owned()) },
                "the host runs on its battery BAT0, or that is low",
            ),
            (
                ProbeSpec::Snmp(SwitchPort {
                    access: SnmpAccess { target: "10.0.0.2".to_owned(), udp_port: 161, login: SnmpLogin::default() },
                    port: "7".to_owned(),
                    speed_mbps: None,
                    poe_port: None,
                }),
                "port 7 of the switch at 10.0.0.2 has no link",
            ),
            (
                ProbeSpec::Service { unit: Some("recorder.service".to_owned()) },
                "service recorder.service does not run as it should",
            ),
            (ProbeSpec::Service { unit: None }, "a service that starts with this host does not run"),
            (ProbeSpec::ExecNagios { command: "check_raid".to_owned() }, "the site's command check_raid says critical"),
            (log(1), "the log nginx-error has a line that must not be there"),
            (log(3), "the log nginx-error has 3 or more lines within 10 min that must not be there"),
            (process(1), "process nginx does not run as it should"),
            (process(0), "process nginx runs too often, or takes too much"),
            (eventlog(r#""provider":"disk","ids":[153]"#), "event 153 of disk in its log System"),
            (
                eventlog(r#""level":"error","contains":"VSS","bad_after":3"#),
                "events that are error or graver with \"VSS\" in its log System, 3 times within 60 min",
            ),
            (
                ProbeSpec::HostSmart { command: "smart_sda".to_owned() },
                "a disk fails, as the site's command smart_sda tells",
            ),
            (ProbeSpec::RecFreshness(files(119)), "no new recording for more than 119 s"),
            (ProbeSpec::RecFreshness(files(600)), "no new recording for more than 10 min"),
            (ProbeSpec::BackupFiles(files(93_600)), "no new backup for more than 26 h"),
            (ProbeSpec::BackupFiles(files(604_800)), "no new backup for more than 7 days"),
        ] {
            assert_eq!(failure(&probe), sentence);
        }
    }
}
