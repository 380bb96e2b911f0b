//! Sites: what hangs on what must be there, and not in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AssetId, CheckId, EdgeKind, ProbeSpec};

use super::Check;
use crate::book::{Asset, Code, Diagnostic, JobCheck, Located, Maintenance, Site, nearest::nearest};

pub(super) fn validate(check: &mut Check<'_>) {
    let book = check.book;
    for site in book.clients.values().flat_map(|client| client.sites.values()) {
        for asset in site.assets.values() {
            for edge in &asset.edges {
                known_asset(&edge.to, site, check);
            }
            if let Some(expected) = &asset.expected {
                check.reference("calendar", "calendars", expected);
            }
            asset.jobs.iter().for_each(|job| sees_files(job, asset, check));
        }
        circles(site, check);
        for window in &site.maintenance {
            endless(window, site, check);
        }
        for asset in site.maintenance.iter().flat_map(|window| &window.assets) {
            known_asset(asset, site, check);
        }
        for named in site.maintenance.iter().flat_map(|window| &window.checks) {
            known_check(named, site, check);
        }
    }
}

fn known_check(named: &Located<CheckId>, site: &Site, check: &mut Check<'_>) {
    let there: Vec<String> = site.check_ids().iter().map(ToString::to_string).collect();
    let name = named.value.to_string();
    if !there.contains(&name) {
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        check.no_such_thing("check", &name, &named.place, &there);
    }
}

/// Only a check that looks at files says when a run left one; and only of the same asset, so that both are one fault.
fn sees_files(job: &JobCheck, asset: &Asset, check: &mut Check<'_>) {
    let Some(seen_by) = &job.seen_by else { return };
    let looks = asset.checks.iter().filter(|check| matches!(check.probe, ProbeSpec::BackupFiles(_)));
    let there: Vec<&str> = looks.map(|check| check.id.name.as_str()).collect();
    if !there.contains(&seen_by.value.as_str()) {
        let message = format!("`{}` has no check of kind `backup.files` named `{}`", asset.id, seen_by.value);
        let missing = Diagnostic::new(Code::NoSuchThing, &seen_by.place, message);
        check.report(match nearest(seen_by.value.as_str(), there.iter().copied()) {
            Some(meant) => missing.help(format!("did you mean `{meant}`?")),
            None => missing.help("name the check of the same asset that looks at the files which the job leaves"),
        });
    }
}

fn known_asset(asset: &Located<AssetId>, site: &Site, check: &mut Check<'_>) {
    if !site.assets.contains_key(&asset.value) {
        let there: Vec<&str> = site.assets.keys().map(AssetId::as_str).collect();
        check.no_such_thing("asset", asset.as_str(), &asset.place, &there);
    }
}

/// The most assets of a circle that are named.
const SHOWN_MAX: usize = 10;

/// Reports each circle once, at the first of its assets by name, and the shortest way round.
fn circles(site: &Site, check: &mut Check<'_>) {
    for circle in knots(site) {
        let Some(first) = circle.first().and_then(|first| site.assets.get(*first)) else { continue };
        let mut round = way_round(first, &circle, site);
        if round.len() > SHOWN_MAX {
            round.splice(SHOWN_MAX / 2..round.len() - SHOWN_MAX / 2, ["…"]);
        }
        let message = format!("`{}` depends on itself in a circle: {}", first.id, round.join(" → "));
        check.report(Diagnostic::new(Code::Cycle, &first.place, message));
    }
}

/// The sets of assets that all depend on each other, each in the order of their names (Kosaraju's algorithm: what is
/// reached backwards from the last to be left is one set).
fn knots(site: &Site) -> Vec<BTreeSet<&AssetId>> {
    let mut left: Vec<&AssetId> = Vec::new();
    let mut seen: BTreeSet<&AssetId> = BTreeSet::new();
    let mut dependants: BTreeMap<&AssetId, Vec<&AssetId>> = BTreeMap::new();
    for asset in site.assets.values() {
        for cause in causes(asset) {
            dependants.entry(cause).or_default().push(&asset.id);
        }
        let mut path = vec![(&asset.id, false)];
        while let Some((id, is_left)) = path.pop() {
            if is_left {
                left.push(id);
            } else if seen.insert(id) {
                path.push((id, true));
                path.extend(site.assets.get(id).into_iter().flat_map(causes).map(|cause| (cause, false)));
            }
        }
    }
    let mut taken: BTreeSet<&AssetId> = BTreeSet::new();
    let mut knots = Vec::new();
    for id in left.into_iter().rev() {
        let (mut knot, mut ahead) = (BTreeSet::new(), vec![id]);
        while let Some(next) = ahead.pop() {
            if taken.insert(next) {
                knot.insert(next);
                ahead.extend(dependants.get(next).into_iter().flatten());
            }
        }
        let leads_to_itself =
            |id: &&AssetId| site.assets.get(*id).is_some_and(|asset| causes(asset).any(|to| to == *id));
        if knot.len() > 1 || knot.iter().any(leads_to_itself) {
            knots.push(knot);
        }
    }
    knots
}

/// The shortest way from an asset back to itself within its knot.
fn way_round<'a>(first: &'a Asset, knot: &BTreeSet<&'a AssetId>, site: &'a Site) -> Vec<&'a str> {
    let mut came_from: BTreeMap<&AssetId, &AssetId> = BTreeMap::new();
    let mut ahead = VecDeque::from([&first.id]);
    while let Some(next) = ahead.pop_front() {
        for cause in site.assets.get(next).into_iter().flat_map(causes).filter(|cause| knot.contains(cause)) {
            if !came_from.contains_key(cause) {
                came_from.insert(cause, next);
                ahead.push_back(cause);
            }
        }
    }
    let mut way = vec![first.id.as_str()];
    let mut back = came_from.get(&first.id).copied();
    while let Some(id) = back {
        way.push(id.as_str());
        back = if *id == first.id { None } else { came_from.get(id).copied() };
    }
    way.reverse();
    way
}

/// The edges along which a failure comes: a copy or a recording may well go both ways.
fn causes(asset: &Asset) -> impl Iterator<Item = &AssetId> {
    asset
        .edges
        .iter()
        .filter(|edge| match edge.kind {
            EdgeKind::PoweredBy | EdgeKind::ConnectedTo | EdgeKind::RoutedVia | EdgeKind::RunsOn => true,
            EdgeKind::RecordsTo | EdgeKind::BackedUpBy => false,
        })
        .map(|edge| &edge.to.value)
}

/// W0110: a window that begins again before it ends, all year.
fn endless(window: &Maintenance, site: &Site, check: &mut Check<'_>) {
    // Any year and a month show how it recurs.
    let from = Timestamp::UNIX_EPOCH;
    let to = from.saturating_add(SignedDuration::from_hours(400 * 24)).unwrap_or(from);
    let Ok(stretches) = window.window(&site.zone).when.stretches(from, to) else { return };
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return };
    // The day on which summer time ends has an hour more than a window of 24 hours.
    let has_gaps = stretches.windows(2).any(|pair| pair[1].0.duration_since(pair[0].1) > SignedDuration::from_hours(1));
    if !has_gaps && first.0 <= from && last.1 >= to {
        let whole = window.assets.first().map_or(&site.place, |asset| &asset.place);
        let message = format!(
            "a window of work at `{}` lasts {}, and then the next one has begun",
            site.id,
            crate::explain::duration(window.for_s.0)
        );
        check.report(Diagnostic::new(Code::AlwaysMaintenance, whole, message).help("shorten `for`"));
    }
}
