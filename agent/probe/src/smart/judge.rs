//! From a disk's report to an outcome, with what it counted before.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_model::{Counter, Outcome, UnknownReason};

use super::{ByCheck, report::Report};
use crate::{ProbeResult, words};

/// What is remembered of disks.
pub(crate) type SmartMemory = ByCheck;

/// Growth is looked at over so long: a disk that gave up a sector a week ago and none since has settled.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A report that is older was left behind by a timer that does not run any more: most run once a day.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_hours(26);
/// A clock that goes ahead by more than this makes a report of the future.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Where the maker says nothing: most are good for 60 to 70 degrees.
const HOT_C: f64 = 60.0;
/// An SSD at this share of the writing that it was made for is worth an order; it goes on beyond 100.
const USED_PERCENT: u32 = 90;
/// Looks of which the counts are kept: two a day.
const STEPS_MAX: usize = 16;
const STEP: SignedDuration = SignedDuration::from_hours(12);

/// ATA attributes that count, by the name under which they are sent, and in words.
const ATTRIBUTES: &[(u32, &str, &str)] = &[
    (5, "reallocated_sectors", "reallocated sector"),
    (187, "reported_uncorrectable", "uncorrectable error"),
    (197, "pending_sectors", "sector that waits to be reallocated"),
    (198, "offline_uncorrectable", "sector that cannot be read"),
];
/// What is there now and not only ever was: one that is mended counts down again.
const PRESENT: &[&str] = &["pending_sectors", "offline_uncorrectable"];
const MEDIA_ERRORS: (&str, &str) = ("media_errors", "media error");

/// What is remembered of one disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    serial: String,
    /// Counts by name, at looks of the last week, the oldest first.
    steps: Vec<(Timestamp, BTreeMap<String, u64>)>,
}

/// Judges a report.
pub(super) fn judge(report: &Report, disk: &mut Disk, now: Timestamp) -> ProbeResult {
    if let Some(unknown) = cannot(report, now) {
        return unknown;
    }
    let counts = counts(report);
    let serial = report.serial_number.clone().unwrap_or_default();
    let grown = disk.grown(&serial, &counts, now);
    let mut grave = Vec::new();
    let mut slight = Vec::new();
    failing(report, &mut grave);
    for (name, what) in names() {
        let count = counts.get(name).copied().unwrap_or(0);
        match grown.get(name) {
            Some((more, since)) => {
                slight.push(format!("{} more since {}", number(*more, what), words::date(*since)));
            }
            None if count > 0 && PRESENT.contains(&name) => slight.push(number(count, what)),
            None => {}
        }
    }
    warnings(report, &mut slight);
    let outcome = match (grave.is_empty(), slight.is_empty()) {
        (false, _) => Outcome::Bad,
        (true, false) => Outcome::Warn,
        (true, true) => Outcome::Ok,
    };
    grave.append(&mut slight);
    if grave.is_empty() {
        grave.push("healthy".to_owned());
        let settled = names().filter_map(|(name, what)| Some(number(*counts.get(name).filter(|n| **n > 0)?, what)));
        let settled: Vec<String> = settled.collect();
        if !settled.is_empty() {
            grave.push(format!("{}, and no more within a week", settled.join(", ")));
        }
    }
    let name = report.model_name.as_deref().or(report.device.name.as_deref()).unwrap_or("the disk");
    let result = ProbeResult::new(outcome).evidence(format!("{name}: {}", grave.join(", ")));
    measured(result, report, &serial, counts)
}

/// Why a report says nothing of the disk now.
fn cannot(report: &Report, now: Timestamp) -> Option<ProbeResult> {
    let said = report.smartctl.messages.iter().map(|message| message.string.as_str()).collect::<Vec<_>>().join("; ");
    let unknown = |reason, why: String| Some(ProbeResult::unknown(reason, why));
    if report.has(0) || report.has(1) {
        let what = if report.has(0) {
            "smartctl could not make sense of its command"
        } else {
            "smartctl could not open the disk"
        };
        let hint = "asking a disk needs root: let a timer of root write the report, and `cat` be the command";
        return unknown(UnknownReason::CannotProbe, format!("{what} ({said}); {hint}"));
    }
    let tells = report.smart_status.is_some()
        || report.nvme_smart_health_information_log.is_some()
        || !report.ata_smart_attributes.table.is_empty();
    if !tells {
        let said = if said.is_empty() { "is it `smartctl --json=c -a /dev/…`?".to_owned() } else { said };
        return unknown(UnknownReason::CannotProbe, format!("the report tells nothing of a disk's health: {said}"));
    }
    let made = report.local_time.as_ref().and_then(|time| Timestamp::from_second(time.time_t).ok())?;
    let age = now.duration_since(made);
    if age > REPORT_AGE_MAX || age < -AHEAD_MAX {
        let why = format!("the report was made at {made}: does the timer that writes it run?");
        return unknown(UnknownReason::Stale, why);
    }
    None
}

/// What speaks of a disk that fails now.
fn failing(report: &Report, grave: &mut Vec<String>) {
    // smartctl(8): bit 3, the disk says that it is failing; bit 4, prefail attributes are at their threshold.
    if report.has(3) || report.smart_status.as_ref().is_some_and(|status| !status.passed) {
        grave.push("the disk itself says that it is failing: copy it and have it changed".to_owned());
    }
    let at_threshold = report.ata_smart_attributes.table.iter().filter(|attribute| attribute.when_failed == "now");
    let names: Vec<&str> = at_threshold.map(|attribute| attribute.name.as_str()).collect();
    if report.has(4) || !names.is_empty() {
        let names = if names.is_empty() { "an attribute".to_owned() } else { names.join(" and ") };
        grave.push(format!("{names} reached the maker's threshold"));
    }
    let warning = report.nvme_smart_health_information_log.as_ref().map_or(0, |health| health.critical_warning);
    for (bit, words) in [
        (0, "its spare capacity is below the maker's threshold"),
        (2, "its reliability is degraded by errors"),
        (3, "it can only be read any more"),
    ] {
        if warning & (1 << bit) != 0 {
            grave.push(words.to_owned());
        }
    }
    if let Some((words, hour)) = report.failed_test() {
        let when = hour.map(|hour| format!(" at its hour {hour}")).unwrap_or_default();
        grave.push(format!("its last self-test failed{when}: {words}"));
    }
}

/// What is worth an order or a look.
fn warnings(report: &Report, slight: &mut Vec<String>) {
    if let Some(health) = &report.nvme_smart_health_information_log {
        for (bit, words) in
            [(1, "it is too hot or too cold, as it says"), (4, "what it keeps over a loss of power has failed")]
        {
            if health.critical_warning & (1 << bit) != 0 {
                slight.push(words.to_owned());
            }
        }
        if let Some(used) = health.percentage_used.filter(|used| *used >= USED_PERCENT) {
            slight.push(format!("{used} % of the writing that it was made for is used"));
        }
    }
    let limit = report.temperature.op_limit_max.unwrap_or(HOT_C);
    if let Some(hot) = report.temperature.current.filter(|current| *current >= limit) {
        slight.push(format!("{hot} °C"));
    }
}

fn measured(mut result: ProbeResult, report: &Report, serial: &str, counts: BTreeMap<String, u64>) -> ProbeResult {
    if let Some(current) = report.temperature.current {
        result = result.value("temperature_c", current);
    }
    if let Some(hours) = report.power_on_time.hours {
        result = result.value("power_on_h", hours);
    }
    if let Some(used) = report.nvme_smart_health_information_log.as_ref().and_then(|health| health.percentage_used) {
        result = result.value("used_percent", f64::from(used));
    }
    for (name, text) in [("model", report.model_name.as_deref()), ("disk", report.device.name.as_deref())] {
        if let Some(text) = text {
            result = result.value(name, text);
        }
    }
    // The disk counts since it was made: another one has another serial number.
    counts.into_iter().fold(result, |result, (name, count)| {
        let is_count = !PRESENT.contains(&name.as_str());
        let result = if is_count { result } else { result.value(name.clone(), count as f64) };
        if is_count { result.counter(&name, Counter(serial.into(), count)) } else { result }
    })
}

fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    ATTRIBUTES.iter().map(|(_, name, what)| (*name, *what)).chain([MEDIA_ERRORS])
}

/// The raw values hold a count in their lowest 32 bits; some makers keep others above it.
fn counts(report: &Report) -> BTreeMap<String, u64> {
    let ata =
        ATTRIBUTES.iter().filter_map(|(id, name, _)| Some(((*name).to_owned(), report.attribute(*id)? & 0xffff_ffff)));
    let nvme = report.nvme_smart_health_information_log.as_ref().and_then(|health| health.media_errors);
    ata.chain(nvme.map(|errors| (MEDIA_ERRORS.0.to_owned(), errors))).collect()
}

impl Disk {
    /// By how much each count grew within a week, and since when that is known. Another disk begins anew.
    fn grown(
        &mut self,
        serial: &str,
        counts: &BTreeMap<String, u64>,
        now: Timestamp,
    ) -> BTreeMap<String, (u64, Timestamp)> {
        if self.serial != serial {
            *self = Self { serial: serial.to_owned(), steps: Vec::new() };
        }
        // A clock that was set back leaves steps of the future: they are as good as none.
        self.steps.retain(|(at, _)| *at <= now && now.duration_since(*at) <= WEEK);
        let mut grown = BTreeMap::new();
        for (name, count) in counts {
            let known = self.steps.iter().filter_map(|(at, counts)| Some((*at, *counts.get(name)?)));
            // The least of the week: what is mended counts down, and up again.
            let least = known.min_by_key(|(_, before)| *before);
            if let Some((since, before)) = least.filter(|(_, before)| before < count) {
                grown.insert(name.clone(), (count - before, since));
            }
        }
        let is_due = self.steps.last().is_none_or(|(at, _)| now.duration_since(*at) >= STEP);
        if is_due {
            self.steps.push((now, counts.clone()));
            let excess = self.steps.len().saturating_sub(STEPS_MAX);
            self.steps.drain(..excess);
        }
        grown
    }
}

fn number(count: u64, what: &str) -> String {
    match what.split_once(' ') {
        _ if count == 1 => format!("1 {what}"),
        // "sectors that cannot be read", "reallocated sectors".
        Some(("sector", rest)) => format!("{count} sectors {}", rest.replacen("waits", "wait", 1)),
        Some(_) | None => format!("{count} {what}s"),
    }
}
