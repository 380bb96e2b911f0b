//! What leaves this host, in words: for the person who enrolls it and for `status --sends`.

use std::collections::BTreeMap;

use upheld_model::{
    CheckSpec, ProbeSpec,
    check::EventLogSpec,
    snmp::{SnmpAccess, SnmpLogin},
};
use upheld_wire::v1::AgentConfig;

/// `3 services, this host's load and disks`.
pub(crate) fn summary(config: &AgentConfig) -> String {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for check in &config.checks {
        *counts.entry(subject(&check.probe)).or_default() += 1;
    }
    if counts.is_empty() {
        return "only that it is alive (no checks are configured yet)".to_owned();
    }
    let parts: Vec<String> = counts.iter().map(|(subject, count)| format!("{subject} ({count})")).collect();
    format!("results of {} checks: {}", config.checks.len(), parts.join(", "))
}

/// One line for each check: what is asked, where, how often, and what of the answer is sent.
pub(crate) fn lines(config: &AgentConfig) -> Vec<(String, String)> {
    let jobs = config.jobs.iter().map(|job| {
        (
            job.to_string(),
            "what it tells by `upheld-agent ran` or over HTTP: that it ran, when it began, whether it failed, the end of what \
             it sends along"
                .to_owned(),
        )
    });
    config.checks.iter().map(|check| (check.id.to_string(), describe(check))).chain(jobs).collect()
}

/// What is sent besides the checks' results.
pub(crate) const ALWAYS: &[&str] = &[
    "this host's name and the agent's version, once at enrolment",
    "the agent's clocks, boot id and version, the state of each check, and what ails the agent, with each report",
    "when the agent started, stopped, was suspended, had its clock set, or took a configuration",
];

/// What is never sent.
pub(crate) const NEVER: &str = "never: pictures, sound, the content of files but for the lines of logs above, secrets, command lines, what other \
     programs do beyond that";

fn subject(probe: &ProbeSpec) -> &'static str {
    match probe {
        ProbeSpec::Host { .. } => "this host's load, memory and disks",
        ProbeSpec::NetIcmp { .. } => "network echoes",
        ProbeSpec::NetTcp { .. } => "services by TCP",
        ProbeSpec::NetHttp { .. } => "web services",
        ProbeSpec::NetQuality { .. } => "rounds of network echoes",
        ProbeSpec::NetDns(_) => "names at resolvers",
        ProbeSpec::NetNtp(_) => "this host's clock beside time servers'",
        ProbeSpec::NetTls(_) => "certificates and keys",
        ProbeSpec::NetLink { .. } => "this host's network ports",
        ProbeSpec::UpsNut { .. } | ProbeSpec::UpsApcupsd { .. } | ProbeSpec::UpsSnmp(_) => "power supplies",
        ProbeSpec::UpsBattery { .. } => "this host's batteries",
        ProbeSpec::Snmp(_) => "ports of switches",
        ProbeSpec::Service { .. } => "this host's services",
        ProbeSpec::ExecNagios { .. } => "commands of this site's own",
        ProbeSpec::Process(_) => "this host's processes",
        ProbeSpec::EventLog(_) => "events of this host's logs",
        ProbeSpec::Log(_) => "lines of this host's logs",
        ProbeSpec::HostSmart { .. } => "health of this host's disks",
        ProbeSpec::NetPath(_) => "the way out of this site",
        ProbeSpec::PowerBoot {} => "this host's starts",
        ProbeSpec::RecFreshness(_) => "ages of recordings",
        ProbeSpec::BackupFiles(_) => "ages of backups",
        ProbeSpec::Later(_) => "not run by this version",
    }
}

/// `10.0.0.9:161 with the secret switches`.
fn snmp(access: &SnmpAccess) -> String {
    let SnmpAccess { target, udp_port, login } = access;
    let with = match login {
        SnmpLogin::Community { community_secret: None } => "with the community public".to_owned(),
        SnmpLogin::Community { community_secret: Some(name) } => format!("with the secret {name}"),
        SnmpLogin::User { user, auth_secret, privacy_secret, .. } => {
            format!("as {user} with the secrets {auth_secret} and {privacy_secret}")
        }
    };
    format!("{target}:{udp_port} {with}")
}

/// ` of disk, number 7, 51, at least warning, with "bad block"`.
fn event_words(spec: &EventLogSpec) -> String {
    let ids: Vec<String> = spec.ids.iter().map(ToString::to_string).collect();
    let words = [
        spec.provider.as_ref().map(|provider| format!(" of {provider}")),
        (!ids.is_empty()).then(|| format!(", number {}", ids.join(", "))),
        spec.level.map(|level| format!(", at least {level}")),
        spec.contains.as_ref().map(|text| format!(", with {text:?}")),
    ];
    words.into_iter().flatten().collect()
}

fn describe(check: &CheckSpec) -> String {
    let every = crate::words::duration(check.every());
    let (asked, sent) = match &check.probe {
        ProbeSpec::Host { .. } => {
            ("this host".to_owned(), "load, memory, how full each file system is, uptime, RAID, temperatures")
        }
        ProbeSpec::NetIcmp { target, .. } => (format!("echo of {target}"), "whether it answers, round-trip time"),
        ProbeSpec::NetTcp { target, port } => {
            (format!("TCP {target}:{port}"), "whether it connects, time, the system's error")
        }
        ProbeSpec::NetHttp { url, auth, .. } => {
            let secret = auth.as_ref().map(|auth| format!(", logging in there with the secret {}", auth.secret));
            let asked = format!("GET {url}{}", secret.unwrap_or_default());
            (asked, "status, times, days left of the certificate; no body")
        }
        ProbeSpec::NetQuality { target } => {
            (format!("twenty echoes of {target}"), "how many are lost, round-trip times and how they vary")
        }
        ProbeSpec::NetDns(spec) => (
            format!("{} of {} at {}", spec.record, spec.look_up, spec.target),
            "its addresses, the resolver's answer and time",
        ),
        ProbeSpec::NetNtp(spec) => (
            format!("the time of NTP {}:{}", spec.target, spec.port),
            "how far this host's clock is off, the server's stratum and delays",
        ),
        ProbeSpec::NetTls(spec) => (
            format!("TLS {}:{}", spec.target, spec.port),
            "days left of the certificates, whether they are trusted and named so, the key's fingerprint",
        ),
        ProbeSpec::NetLink { interface, .. } => (
            format!("the port {}", interface.as_deref().unwrap_or("of the default route")),
            "whether it is up, speed, duplex, drops and errors as the kernel counts them",
        ),
        ProbeSpec::NetPath(path) => {
            let hop = path.hop.as_deref().unwrap_or("the first router beyond it (an echo that lives for two hops)");
            let anchors: Vec<String> = path.anchors.iter().map(|anchor| format!("TCP {anchor}")).collect();
            let anchors = if anchors.is_empty() { String::new() } else { format!(", {}", anchors.join(", ")) };
            (
                format!(
                    "this host's port, echo of the gateway, of two neighbours that are watched anyway and of {hop}, one \
                     question to the resolver (the root's name servers), TCP to the collector{anchors}"
                ),
                "which of these answer, and times; addresses of those asked",
            )
        }
        ProbeSpec::PowerBoot {} => (
            "this host's last start".to_owned(),
            "boot id, uptime, whether it ended before that as asked, by a panic, on battery or without a word",
        ),
        ProbeSpec::UpsNut { target, port, ups } => {
            (format!("NUT {target}:{port}, supply {ups}"), "status, voltages, charge, load, temperature, model, alarm")
        }
        ProbeSpec::UpsApcupsd { target, port } => (
            format!("apcupsd {target}:{port}"),
            "status, voltages, charge, load, temperature, model, transfers and when the last one was",
        ),
        ProbeSpec::UpsSnmp(access) => (
            format!("SNMP {}, the supply's tables", snmp(access)),
            "status, voltages, charge, load, temperature, model, alarms, how often its input was bad",
        ),
        ProbeSpec::UpsBattery { battery } => (
            format!("this host's battery {}", battery.as_deref().unwrap_or("(the only one)")),
            "whether it is in use, charge, voltage, temperature, model, how much it still holds",
        ),
        ProbeSpec::Snmp(port) => (
            format!("SNMP {}, port {}", snmp(&port.access), port.port),
            "whether it is up and gives power, speed, duplex, drops, errors, its description",
        ),
        ProbeSpec::Service { unit: Some(unit) } => {
            (format!("the service {unit}"), "its state, how it ended last, how often it restarted")
        }
        ProbeSpec::Service { unit: None } => (
            "all services that start with this host".to_owned(),
            "how many there are, the names of those that do not run",
        ),
        ProbeSpec::ExecNagios { command } => (
            format!("the command {command}, if this site's allow.toml spells it out"),
            "its exit status, the beginning of what it prints, what it measured",
        ),
        ProbeSpec::Process(spec) => (
            format!("the processes called {}", spec.process),
            "how many run, their numbers, since when, memory and processor time; no command line",
        ),
        ProbeSpec::EventLog(spec) => (
            format!("events of the log {}{}", spec.channel, event_words(spec)),
            "how many there were lately, the text of the first three",
        ),
        ProbeSpec::Log(spec) => (
            format!(
                "the log {}, if this site's allow.toml names it, for lines that match {}",
                spec.log,
                spec.patterns.join(" or ")
            ),
            "how many lines match, and the beginning of the first three",
        ),
        ProbeSpec::HostSmart { command } => (
            format!("the command {command}, if this site's allow.toml spells it out"),
            "a disk's model, counts of bad sectors and errors (under its serial number), temperature, self-tests",
        ),
        ProbeSpec::RecFreshness(spec) | ProbeSpec::BackupFiles(spec) => {
            (format!("the newest file beneath {}", spec.path), "its age and size, how many there are; no content")
        }
        ProbeSpec::Later(later) => return format!("nothing is asked or sent: {}", later.words()),
    };
    format!("every {every}: {asked} → {sent}")
}
