//! What was said beside samples: starts, and shutdowns that were announced (DETECTION 3).

use std::time::Duration;

use jiff::Timestamp;
use upheld_model::{AssetId, Outcome};

use super::{
    Placed,
    line::EventWord,
    trace::{BootSeen, Said},
};
use crate::{
    facts::{Boot, Off},
    observe::{Reading, usual_gap},
    plan::{minus, plus},
};

/// Samples this far apart mean that nobody took any.
const AWAY: Duration = Duration::from_secs(120);

/// What a site's agents said.
pub(super) struct Spoken {
    pub(super) boots: Vec<Boot>,
    pub(super) off: Vec<Off>,
}

pub(super) fn spoken(at: &Placed<'_>) -> Spoken {
    let mut said = at.said.clone();
    said.sort();
    said.dedup();
    let mut boots: Vec<(Boot, bool)> = said
        .iter()
        .filter(|said| said.word == EventWord::Boot)
        .filter_map(|said| Some((boot(at, said)?, is_requested(said))))
        .collect();
    boots.extend(seen(at));
    boots.sort_by(|(a, was), (b, is)| (&a.asset, a.at, !was, a.received).cmp(&(&b.asset, b.at, !is, b.received)));
    boots.dedup_by(|(later, _), (first, _)| first.is_told_again_by(later));
    let mut off: Vec<Off> = said
        .iter()
        .filter(|said| said.word == EventWord::LastGasp && is_requested(said))
        .filter_map(|said| Some(switched_off(at, asset_of(at, said)?, said.at, &boots)))
        .collect();
    let announced =
        |boot: &Boot, off: &[Off]| off.iter().any(|off| off.asset == boot.asset && off.until == Some(boot.at));
    let requested = boots.iter().filter(|(boot, is_requested)| *is_requested && !announced(boot, &off));
    let unannounced: Vec<Off> = requested.map(|(boot, _)| away_before(at, boot)).collect();
    off.extend(unannounced);
    off.sort_by(|a, b| (&a.asset, a.from).cmp(&(&b.asset, b.from)));
    let boots = boots.into_iter().map(|(boot, _)| boot).filter(|boot| !announced(boot, &off)).collect();
    Spoken { boots, off }
}

fn is_requested(said: &Said) -> bool {
    said.reason.as_deref().is_some_and(|reason| reason.to_ascii_lowercase().contains("request"))
}

/// The asset of an event: named, or the one that has the agent's name, or the only one that is watched as an agent's own
/// host.
fn asset_of(at: &Placed<'_>, said: &Said) -> Option<AssetId> {
    let known = |name: &str| name.parse().ok().filter(|asset| at.site.assets.contains_key(asset));
    match (&said.asset, &said.agent) {
        (Some(asset), _) => known(asset),
        (None, agent) => agent.as_deref().and_then(known).or_else(|| only_host(at)),
    }
}

fn only_host(at: &Placed<'_>) -> Option<AssetId> {
    let mut hosts = at.site.checks.iter().filter(|(_, check)| check.kind.as_str() == "host");
    match (hosts.next(), hosts.next()) {
        (Some((check, _)), None) => Some(check.asset.clone()),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

fn boot(at: &Placed<'_>, said: &Said) -> Option<Boot> {
    Some(Boot { asset: asset_of(at, said)?, at: said.at, received: said.received, after: None, ended: None })
}

/// Starts that a host's own samples tell: another boot id than before.
fn seen(at: &Placed<'_>) -> Vec<(Boot, bool)> {
    let mut found = Vec::new();
    for (check, series) in &at.series {
        let mut ids: Vec<&BootSeen> = series.iter().flat_map(|series| &series.boots).collect();
        ids.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        for pair in ids.windows(2).filter(|pair| pair[0].id != pair[1].id) {
            let up = pair[1].uptime_s.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
            let began = minus(pair[1].at, up.unwrap_or_default()).max(pair[0].at);
            let (after, ended) = (Some(pair[0].at), pair[1].ended);
            let boot = Boot { asset: check.asset.clone(), at: began, received: pair[1].received, after, ended };
            found.push((boot, false));
        }
    }
    found
}

/// Off until it starts, or until its checks are good again after they were not.
fn switched_off(at: &Placed<'_>, asset: AssetId, from: Timestamp, boots: &[(Boot, bool)]) -> Off {
    let started = boots.iter().map(|(boot, _)| boot).filter(|boot| boot.asset == asset && boot.at >= from);
    let started = started.map(|boot| boot.at).min();
    let back = of_asset(at, &asset).filter_map(|readings| back_after(&readings, from)).min();
    Off { asset, from, until: [started, back].into_iter().flatten().min() }
}

/// The readings of each check of an asset, in order.
fn of_asset<'a>(at: &'a Placed<'_>, asset: &'a AssetId) -> impl Iterator<Item = Vec<&'a Reading>> {
    at.series.iter().filter(move |(check, _)| check.asset == *asset).map(|(_, series)| {
        let mut readings: Vec<&Reading> = series.iter().flat_map(|series| &series.readings).collect();
        readings.sort_by_key(|reading| reading.at);
        readings
    })
}

fn is_good(reading: &Reading) -> bool {
    matches!(reading.outcome, Outcome::Ok | Outcome::Warn)
}

fn back_after(readings: &[&Reading], from: Timestamp) -> Option<Timestamp> {
    let usual = usual_gap(readings.iter().map(|reading| reading.at)).saturating_mul(3).max(AWAY);
    let begin = readings.partition_point(|reading| reading.at < from);
    let (mut was_away, mut last) = (false, from);
    for reading in &readings[begin..] {
        was_away |= plus(last, usual) < reading.at;
        if was_away && is_good(reading) {
            return Some(reading.at);
        }
        was_away |= !is_good(reading);
        last = reading.at;
    }
    None
}

/// A start that says it was requested: it was off since its last good sample before.
fn away_before(at: &Placed<'_>, boot: &Boot) -> Off {
    let last_good = |readings: Vec<&Reading>| {
        readings.iter().rev().find(|reading| reading.at < boot.at && is_good(reading)).map(|reading| reading.at)
    };
    let last = of_asset(at, &boot.asset).filter_map(last_good).max();
    Off { asset: boot.asset.clone(), from: last.unwrap_or(boot.at), until: Some(boot.at) }
}
