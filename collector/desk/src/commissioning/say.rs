//! What was found on an asset, in sentences.

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{CheckId, IncidentKind};

use super::{AssetFound, FoundDegraded, FoundIncident, Stands};

/// A sentence for each thing that was found, the failing ones first.
pub(super) fn sentences(asset: &AssetFound, zone: &TimeZone) -> Vec<String> {
    let mut said: Vec<String> = asset.incidents.iter().map(|found| incident(found, zone)).collect();
    said.extend(asset.degraded.iter().map(|found| degraded(found, zone)));
    if !asset.unknown.is_empty() {
        said.push(unknown(&asset.unknown));
    }
    if asset.is_unwatched {
        said.push("No check of the book looks at it.".to_owned());
    }
    said
}

fn incident(found: &FoundIncident, zone: &TimeZone) -> String {
    let FoundIncident { incident, title, kind, stands, began, restored_at, opened_at } = found;
    let local = |at: Timestamp| local(at, zone);
    let verb = match kind {
        IncidentKind::Down | IncidentKind::Reported => "Failed",
        IncidentKind::Degraded | IncidentKind::Lingering => "Degraded",
        IncidentKind::Unstable => "Unstable",
        IncidentKind::AtRisk => "At risk",
        IncidentKind::Noncompliant => "Not as promised",
        IncidentKind::Silent => "Silent",
    };
    let still = match kind {
        IncidentKind::Down | IncidentKind::Reported => "Fails",
        IncidentKind::Degraded
        | IncidentKind::Lingering
        | IncidentKind::Unstable
        | IncidentKind::AtRisk
        | IncidentKind::Noncompliant
        | IncidentKind::Silent => verb,
    };
    let number = incident.number;
    match (stands, restored_at, opened_at) {
        (Stands::Opened, _, Some(at)) => {
            format!("{verb} from {}, opened {} as {number}: {title}.", local(*began), local(*at))
        }
        (Stands::Opened | Stands::Passed, Some(over), _) => {
            format!("{verb} from {} to {} ({number}): {title}.", local(*began), local(*over))
        }
        (Stands::Opened | Stands::Passed, None, _) => {
            format!("{verb} from {}, ended by a person ({number}): {title}.", local(*began))
        }
        (Stands::Failing, _, _) => format!("{still} since {} ({number}): {title}.", local(*began)),
    }
}

/// What warned, how long in all.
pub(crate) fn degraded(found: &FoundDegraded, zone: &TimeZone) -> String {
    let FoundDegraded { check, first, last, total_s } = found;
    let (first, last) = (local(*first, zone), local(*last, zone));
    format!("{} warned for {} in all between {first} and {last}.", check.name, span(*total_s))
}

fn unknown(checks: &[CheckId]) -> String {
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!(
        "{} {verb} unknown: no agent judges {} at present.",
        names.join(", "),
        if names.len() == 1 { "it" } else { "them" }
    )
}

/// `2026-11-17 14:55 CST`.
pub(crate) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// `40 s`, `22 min`, `26 h 10 m`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600.. => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}
