//! Sites: what hangs on what must be there, and not in a circle.

use upheld_model::{AssetId, CheckId, EdgeKind};

use super::Check;
use crate::book::{Asset, Code, Diagnostic, Located, Site};

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
            circle(asset, site, check);
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
    let unbuilt = site.unbuilt().map(|check| check.id.to_string());
    let there: Vec<String> = site.checks().into_iter().map(|check| check.id.to_string()).chain(unbuilt).collect();
    let name = named.value.to_string();
    if !there.contains(&name) {
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        check.no_such_thing("check", &name, &named.place, &there);
    }
}

fn known_asset(asset: &Located<AssetId>, site: &Site, check: &mut Check<'_>) {
    if !site.assets.contains_key(&asset.value) {
        let there: Vec<&str> = site.assets.keys().map(AssetId::as_str).collect();
        check.no_such_thing("asset", asset.as_str(), &asset.place, &there);
    }
}

/// Reports a circle at the first of its assets by name, once.
fn circle(asset: &Asset, site: &Site, check: &mut Check<'_>) {
    let mut reached: Vec<&AssetId> = Vec::new();
    let mut ahead: Vec<&AssetId> = causes(asset).collect();
    while let Some(next) = ahead.pop() {
        if !reached.contains(&next) {
            reached.push(next);
            ahead.extend(site.assets.get(next).into_iter().flat_map(causes));
        }
    }
    if reached.contains(&&asset.id) && !reached.iter().any(|other| **other < asset.id && leads_back(other, asset, site))
    {
        let message = format!("`{}` depends on itself in a circle", asset.id);
        check.report(Diagnostic::new(Code::Cycle, &asset.place, message));
    }
}

fn leads_back(from: &AssetId, to: &Asset, site: &Site) -> bool {
    let mut reached: Vec<&AssetId> = vec![from];
    let mut next = 0;
    while let Some(&asset) = reached.get(next) {
        for cause in site.assets.get(asset).into_iter().flat_map(causes) {
            if !reached.contains(&cause) {
                reached.push(cause);
            }
        }
        next += 1;
    }
    reached.contains(&&to.id)
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
