//! The sentence that says what happened.

use std::collections::BTreeSet;

use upheld_model::{AssetId, BootEnd, CheckId, Culprit};

use super::{
    Case,
    episode::Episode,
    item::Item,
    window::{How, Window, Windows},
};
use crate::{kind::Family, observe::Dip};

/// Of a supply's own words about a transfer, so much stands in a title.
const CAUSE_CHARS: usize = 60;

/// `ups-2: on battery for 3 s; 12 checks on 9 assets failed; did not come back: cam-7; critical: nvr-02`.
pub(super) fn title(case: &Case<'_>, windows: &Windows, episode: &Episode) -> String {
    let first = &episode.items[0];
    let what = match first.window {
        Some(at) => cause(&windows.all[at]),
        None => match culprit(case, first) {
            Some(culprit) => culprit.sentence().to_owned(),
            None => first.check.as_ref().map_or("fails".to_owned(), |check| failure(case, check)),
        },
    };
    let symptoms: BTreeSet<usize> = episode.items.iter().flat_map(|item| item.symptoms.iter().copied()).collect();
    let promoted: BTreeSet<&AssetId> =
        episode.items.iter().flat_map(|item| &item.promoted).map(|at| asset_of(case, *at)).collect();
    let assets: BTreeSet<&AssetId> = symptoms.iter().map(|at| asset_of(case, *at)).collect();
    let checks: BTreeSet<&CheckId> = symptoms.iter().map(|at| &case.findings[*at].id.check).collect();
    let mut parts = vec![format!("{}: {what}", episode.asset)];
    if !assets.is_empty() {
        parts.push(format!("{} on {} failed", counted(checks.len(), "check"), counted(assets.len(), "asset")));
    }
    let others: Vec<&AssetId> = promoted.into_iter().filter(|asset| **asset != episode.asset).collect();
    if !others.is_empty() {
        parts.push(format!("did not come back: {}", listed(&others)));
    }
    let is_critical = |asset: &&AssetId| case.asset(asset).is_some_and(|asset| asset.is_critical);
    let critical: Vec<&AssetId> = assets.into_iter().filter(is_critical).collect();
    if !critical.is_empty() {
        parts.push(format!("critical: {}", listed(&critical)));
    }
    parts.join("; ")
}

/// Whom the failures of an item blame, where one of them can say that.
pub(super) fn culprit(case: &Case<'_>, item: &Item) -> Option<Culprit> {
    item.findings.iter().find_map(|at| case.findings[*at].culprit)
}

fn asset_of<'a>(case: &Case<'a>, finding: usize) -> &'a AssetId {
    &case.findings[finding].id.check.asset
}

fn cause(window: &Window) -> String {
    let from = window.started.not_after;
    match (&window.how, window.clear) {
        (How::OnBattery, Some(clear)) => {
            // A stretch that one sample saw is told by its bounds.
            let seconds = from.duration_until(clear).as_secs().max(1);
            format!("on battery for {}{}", duration(seconds), window.dip.as_ref().map(how_deep).unwrap_or_default())
        }
        (How::OnBattery, None) => "on battery".to_owned(),
        (How::Transfer, _) => "went to battery".to_owned(),
        (How::Boot, _) => match window.ended {
            None | Some(BootEnd::Clean) => "restarted".to_owned(),
            Some(BootEnd::Crash) => "restarted after its kernel panicked".to_owned(),
            Some(BootEnd::Power) => "restarted after it lost its power".to_owned(),
            Some(BootEnd::Unclean) => "restarted after it ended without a word: power, a reset, or a freeze".to_owned(),
        },
        (How::LinkDrop, _) => "link went down".to_owned(),
        (How::Off, _) => "switched off as announced, and not back when it was expected to run".to_owned(),
        (How::Lost(_), _) => "does not answer".to_owned(),
    }
}

/// `, input down to 96 V (input voltage out of range)`.
fn how_deep(dip: &Dip) -> String {
    let lowest = dip.lowest_v.map(|volts| format!(", input down to {volts} V")).unwrap_or_default();
    // A device's own words, in a title: no more than fits beside the rest.
    let cause = dip.cause.as_ref().map(|cause| cause.as_str().chars().take(CAUSE_CHARS).collect::<String>());
    let cause = cause.filter(|cause| !cause.is_empty()).map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{lowest}{cause}")
}

fn failure(case: &Case<'_>, check: &CheckId) -> String {
    let Some(kind) = case.kind(check) else { return format!("check {} fails", check.name) };
    match kind.family() {
        Family::Power => "supply reports a fault".to_owned(),
        Family::Link => "link is down".to_owned(),
        Family::Network if kind.as_str() == "net.icmp" => "does not answer ping".to_owned(),
        Family::Network if kind.as_str() == "net.path" => "the way out of the site is broken".to_owned(),
        Family::Network => format!("{} does not answer", check.name),
        Family::Camera => "no picture".to_owned(),
        Family::Recording => "no new recording".to_owned(),
        Family::Access => "panel does not answer".to_owned(),
        Family::Backup => "backup failed".to_owned(),
        Family::Restore => "restore test failed".to_owned(),
        Family::Service => format!("service {} is down", check.name),
        Family::Host => "host reports a fault".to_owned(),
        Family::TimeSync => "clock is wrong".to_owned(),
        Family::Environment | Family::Unknown => format!("check {} fails", check.name),
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn listed(assets: &[&AssetId]) -> String {
    assets.iter().map(|asset| asset.as_str()).collect::<Vec<_>>().join(", ")
}

fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200.. => format!("{} h", seconds / 3_600),
    }
}
