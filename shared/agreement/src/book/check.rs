//! The checks of an asset: from the words of the site file to what an agent is sent.
//!
//! A check of a kind that no agent of this version can run is kept beside the others, with what it says
//! ([`UnbuiltCheck`]), and warned about: it is known, its state is unknown, and it is sent to nobody.

use std::collections::BTreeMap;

use toml::de::DeValue;
use upheld_model::{
    AssetId, CheckId, CheckName, CheckSpec, ProbeSpec,
    check::{ANCHORS_MAX, APCUPSD_PORT, FreshnessSpec, NUT_PORT, PathSpec, SpecError},
};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    provider::Anchor,
    scalar::PlainSeconds,
    source::{Located, Place},
};
use crate::ratio::Ratio;

mod auth;
mod eventlog;
mod job;
mod log;
mod net;
mod process;
mod snmp;
mod unbuilt;

pub use job::JobCheck;
pub use unbuilt::UnbuiltCheck;

/// Kinds of jobs that tell when they ran: an agent asks nothing, it is told.
pub const JOBS: &[&str] = &["backup.job", "job"];

/// Kinds of PROBES that no agent can run yet. A check of one of these is kept and judged by nobody: unknown, never up.
pub const NOT_BUILT: &[&str] = &[
    "cam.onvif",
    "cam.rtsp",
    "rec.retention",
    "acs.panel",
    "backup.restic",
    "backup.borg",
    "backup.log",
    "restore",
    "heartbeat",
];

/// The newest picture of a recorder may be this old, where the file does not say (PROBES, row 14).
const RECORDING_AGE_MAX_S: u64 = 120;

/// The checks of one asset.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// Those that agents run.
    pub(crate) built: Vec<CheckSpec>,
    /// Those that no agent can run yet.
    pub(crate) unbuilt: Vec<UnbuiltCheck>,
    /// Jobs that tell when they ran.
    pub(crate) jobs: Vec<JobCheck>,
}

/// One check as it was read.
enum Check {
    Built(CheckSpec),
    Unbuilt(UnbuiltCheck),
    Job(JobCheck),
}

/// Reads the list of an asset's checks.
pub(crate) fn read_all(asset: &AssetId, node: &Node<'_>, reading: &mut Reading<'_>) -> Checks {
    let mut checks = Checks::default();
    let DeValue::Array(items) = node.get_ref() else {
        reading.wrong_type(node, "an array of checks, [{ kind = \"host\" }]");
        return checks;
    };
    let mut seen: BTreeMap<CheckId, Place> = BTreeMap::new();
    for item in items.iter() {
        let Some(check) = read_one(asset, item, reading) else { continue };
        let place = reading.place(item);
        let id = check.id().clone();
        if let Some(first) = seen.get(&id) {
            reading.report(
                Diagnostic::new(Code::Twice, &place, format!("check `{id}` is there twice"))
                    .other(first, "the first one")
                    .help("give one of them a `name` of its own"),
            );
            continue;
        }
        seen.insert(id, place);
        match check {
            Check::Built(check) => checks.built.push(check),
            Check::Unbuilt(check) => checks.unbuilt.push(check),
            Check::Job(job) => checks.jobs.push(job),
        }
    }
    checks
}

impl Check {
    fn id(&self) -> &CheckId {
        match self {
            Self::Built(check) => &check.id,
            Self::Unbuilt(check) => &check.id,
            Self::Job(job) => &job.id,
        }
    }
}

fn read_one(asset: &AssetId, node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Check> {
    let mut fields = Fields::of(node, "a check", reading)?;
    let kind = fields.required::<Located<String>>("kind", reading)?;
    let name_node = fields.node("name");
    let name = name_node.and_then(|node| CheckName::read(node, reading));
    if name_node.is_some() && name.is_none() {
        return None;
    }
    if JOBS.contains(&kind.as_str()) {
        let name = name.or(kind.parse().ok())?;
        return job::read(CheckId { asset: asset.clone(), name }, kind.value, fields, reading).map(Check::Job);
    }
    let schedule = Schedule::read(&mut fields, reading);
    // Every kind is a name: the test of this file parses each of them.
    let id = |name: Option<CheckName>| Some(CheckId { asset: asset.clone(), name: name.or(kind.parse().ok())? });
    if NOT_BUILT.contains(&kind.as_str()) {
        return unbuilt::read(id(name)?, &kind, &schedule, fields, reading).map(Check::Unbuilt);
    }
    let Some(read_probe) = reader_of(&kind.value) else {
        if let Some(kind_node) = fields.node("kind") {
            let known: Vec<&str> = ProbeSpec::KINDS.iter().chain(JOBS).chain(NOT_BUILT).copied().collect();
            reading.unknown_word(kind_node, "check kind", &shown(&kind.value), &known);
        }
        return None;
    };
    let probe = read_probe(&mut fields, reading);
    if let DeValue::Table(table) = node.get_ref() {
        unbuilt::refuse_secrets(table, reading).into_iter().for_each(|key| fields.pass_over(key));
    }
    fields.finish(reading);
    let check = schedule.applied_to(CheckSpec::with_defaults(id(name)?, probe?));
    match check.validate() {
        Ok(()) => Some(Check::Built(check)),
        Err(refused) => {
            report_refused(&refused, node, reading);
            None
        }
    }
}

type ReadProbe = fn(&mut Fields<'_, '_>, &mut Reading<'_>) -> Option<ProbeSpec>;

fn reader_of(kind: &str) -> Option<ReadProbe> {
    match kind {
        "host" => Some(read_host),
        "net.icmp" => Some(read_icmp),
        "net.tcp" => Some(read_tcp),
        "net.http" => Some(read_http),
        "net.quality" => Some(net::read_quality),
        "net.dns" => Some(net::read_dns),
        "net.ntp" => Some(net::read_ntp),
        "net.tls" => Some(net::read_tls),
        "net.link" => Some(read_link),
        "net.path" => Some(read_path),
        "power.boot" => Some(|_, _| Some(ProbeSpec::PowerBoot {})),
        "ups.nut" => Some(read_nut),
        "ups.apcupsd" => Some(read_apcupsd),
        "ups.snmp" => Some(snmp::read_ups),
        "ups.battery" => {
            Some(|fields, reading| Some(ProbeSpec::UpsBattery { battery: fields.optional("battery", reading) }))
        }
        "snmp" => Some(snmp::read_port),
        "service" => Some(read_service),
        "exec.nagios" => Some(read_plugin),
        "process" => Some(process::read),
        "eventlog" => Some(eventlog::read),
        "log" => Some(log::read),
        "host.smart" => {
            Some(|fields, reading| Some(ProbeSpec::HostSmart { command: fields.required("command", reading)? }))
        }
        "rec.freshness" => Some(read_recording),
        "backup.files" => Some(read_backup),
        _ => None,
    }
}

/// What every check may say about when it runs and when it is believed.
struct Schedule {
    every: Option<PlainSeconds>,
    timeout: Option<PlainSeconds>,
    stale_after: Option<PlainSeconds>,
    fail_after: Option<u32>,
    recover_after: Option<u32>,
}

impl Schedule {
    fn read(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Self {
        Self {
            every: fields.optional("every", reading),
            timeout: fields.optional("timeout", reading),
            stale_after: fields.optional("stale_after", reading),
            fail_after: small(fields, "fail_after", reading),
            recover_after: small(fields, "recover_after", reading),
        }
    }

    fn applied_to(self, mut check: CheckSpec) -> CheckSpec {
        let ms = |seconds: PlainSeconds| seconds.0.saturating_mul(1000);
        check.every_ms = self.every.map_or(check.every_ms, ms);
        check.timeout_ms = self.timeout.map_or(check.timeout_ms, ms);
        check.fail_after = self.fail_after.unwrap_or(check.fail_after);
        check.recover_after = self.recover_after.unwrap_or(check.recover_after);
        let usual = check.probe.usual_stale_after_ms(check.every_ms, check.timeout_ms);
        check.stale_after_ms = self.stale_after.map_or(usual, ms);
        check
    }
}

/// A number that fits the field's type; the bounds proper are the model's.
fn small<T: TryFrom<u64>>(fields: &mut Fields<'_, '_>, key: &'static str, reading: &mut Reading<'_>) -> Option<T> {
    let number = fields.optional::<Located<u64>>(key, reading)?;
    let fitting = T::try_from(number.value).ok();
    if fitting.is_none() {
        reading.report(Diagnostic::new(Code::OutOfBounds, &number.place, format!("`{key}` is far too large")));
    }
    fitting
}

fn read_host(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let disk_bad: Option<Ratio> = fields.optional("disk_bad", reading);
    let disk_bad_percent = disk_bad.map_or(95, |share| u8::try_from(share.of(100)).unwrap_or(u8::MAX));
    Some(ProbeSpec::Host { disk_bad_percent })
}

fn read_icmp(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.required("target", reading);
    let tcp_port = small(fields, "tcp_port", reading);
    Some(ProbeSpec::NetIcmp { target: target?, tcp_port })
}

fn read_tcp(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.required("target", reading);
    let port = small(fields, "port", reading);
    if fields.node("port").is_none() {
        fields.missing("port", reading);
    }
    Some(ProbeSpec::NetTcp { target: target?, port: port? })
}

fn read_http(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let url = fields.required("url", reading);
    let status = small(fields, "status", reading);
    let (tls_warn_days, tls_bad_days) = net::certificate_days(fields, reading);
    let auth = match fields.node("auth") {
        // One that cannot be read has been reported, and a check must not run without it.
        Some(node) => Some(auth::read(node, reading)?),
        None => None,
    };
    Some(ProbeSpec::NetHttp { url: url?, status, tls_warn_days, tls_bad_days, auth })
}

fn read_link(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let interface = fields.optional("interface", reading);
    let speed_mbps = small(fields, "speed_mbps", reading);
    Some(ProbeSpec::NetLink { interface, speed_mbps })
}

fn read_path(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let hop = fields.optional("hop", reading);
    let anchors = fields.list_up_to::<Anchor>(ANCHORS_MAX, "anchors", reading);
    Some(ProbeSpec::NetPath(PathSpec { hop, anchors: anchors.into_iter().map(|anchor| anchor.0).collect() }))
}

fn read_nut(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.required("target", reading);
    let ups = fields.required("ups", reading);
    let port = small(fields, "port", reading).unwrap_or(NUT_PORT);
    if let Some(starttls) = fields.node("starttls") {
        let place = reading.place(starttls);
        reading.report(
            Diagnostic::new(Code::NotBuilt, &place, "NUT over TLS is known but not built yet")
                .label("the agent speaks to the server in plain text")
                .help("take `starttls` out, and let the agent ask on loopback or within the site's own network"),
        );
    }
    Some(ProbeSpec::UpsNut { target: target?, port, ups: ups? })
}

fn read_apcupsd(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.required("target", reading);
    let port = small(fields, "port", reading).unwrap_or(APCUPSD_PORT);
    Some(ProbeSpec::UpsApcupsd { target: target?, port })
}

/// A check that is called as a unit is (`name = "recorder.service"`) is about that unit.
fn read_service(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let called = fields.node("name").and_then(|node| CheckName::read(node, reading)).map(|name| name.to_string());
    let unit = fields.optional("unit", reading);
    let is_unit = |name: &String| [".service", ".timer", ".socket"].iter().any(|kind| name.ends_with(kind));
    Some(ProbeSpec::Service { unit: unit.or(called.filter(is_unit)) })
}

fn read_plugin(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    Some(ProbeSpec::ExecNagios { command: fields.required("command", reading)? })
}

fn read_recording(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let cameras = fields.node("cameras");
    let retention = fields.node("retention");
    if let Some(node) = cameras {
        reading.keep("number of cameras", node);
        u64::read(node, reading);
    }
    if let Some(node) = retention {
        reading.keep("retention of recordings", node);
        PlainSeconds::read(node, reading);
    }
    read_freshness(fields, Some(RECORDING_AGE_MAX_S), reading).map(ProbeSpec::RecFreshness)
}

fn read_backup(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    read_freshness(fields, None, reading).map(ProbeSpec::BackupFiles)
}

fn read_freshness(
    fields: &mut Fields<'_, '_>,
    usual_age_s: Option<u64>,
    reading: &mut Reading<'_>,
) -> Option<FreshnessSpec> {
    let path = fields.required("path", reading);
    let age_max = match usual_age_s {
        Some(usual) => fields.optional("age_max", reading).or(Some(PlainSeconds(usual))),
        None => fields.required("age_max", reading),
    };
    let bytes_min = fields.optional("bytes_min", reading).unwrap_or(1);
    let ends_with = fields.optional("ends_with", reading);
    Some(FreshnessSpec { path: path?, age_max_s: age_max?.0, bytes_min, ends_with })
}

/// What the model refuses, at the key it is about and in the units of the book.
fn report_refused(refused: &SpecError, node: &Node<'_>, reading: &mut Reading<'_>) {
    let field = match refused {
        SpecError::OutOfBounds { field, .. } | SpecError::Parameter { field, .. } => *field,
        SpecError::Twice { .. } | SpecError::TooMany { .. } => "",
    };
    let (key, unit) = book_key(field);
    let message = match refused {
        SpecError::OutOfBounds { value, min, max, .. } => {
            format!("`{key}` is {}, allowed is {} to {}", unit(*value), unit(*min), unit(*max))
        }
        SpecError::Parameter { .. } | SpecError::Twice { .. } | SpecError::TooMany { .. } => refused.to_string(),
    };
    let place = reading.place(node.get_ref().get(key).unwrap_or(node));
    reading.report(Diagnostic::new(Code::CheckRefused, &place, message));
}

/// How a number of the model is said in the units of the book.
type InWords = fn(u64) -> String;

/// The key of the book behind a field of the model, and how its numbers are said there.
fn book_key(field: &str) -> (&str, InWords) {
    let in_ms: InWords = |ms| match ms % 1000 {
        0 => crate::explain::duration(ms / 1000),
        _ => format!("{ms} ms"),
    };
    let suffixes: [(&str, InWords); 4] = [
        ("_ms", in_ms),
        ("_s", crate::explain::duration),
        ("_percent", |percent| format!("{percent}%")),
        ("_days", |days| format!("{days}d")),
    ];
    let known = suffixes.into_iter().find_map(|(suffix, unit)| Some((field.strip_suffix(suffix)?, unit)));
    known.unwrap_or((field, |number| number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_can_be_written_is_a_name_and_built_or_not() {
        for kind in ProbeSpec::KINDS {
            assert!(reader_of(kind).is_some(), "{kind}");
            assert!(kind.parse::<CheckName>().is_ok(), "{kind}");
            assert!(!NOT_BUILT.contains(kind), "{kind}");
        }
        for kind in NOT_BUILT.iter().chain(JOBS) {
            assert!(reader_of(kind).is_none(), "{kind}");
            assert!(kind.parse::<CheckName>().is_ok(), "{kind}");
        }
    }
}
