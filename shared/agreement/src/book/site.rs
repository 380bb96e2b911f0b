//! `clients/<client>/sites/<site>.toml`: what stands at a site, what hangs on what, and how it is watched.

use std::collections::BTreeMap;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{AssetClass, AssetId, CheckSpec, EdgeKind, SiteId};

use super::{
    check::{self, Checks, UnbuiltCheck},
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading},
    provider::Zone,
    scalar::PlainSeconds,
    source::{Located, Place},
};
use crate::words::BookName;

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The file's name.
    pub id: SiteId,
    /// What people call it.
    pub name: String,
    /// Its IANA zone.
    pub zone: String,
    /// Its distance band; a plan's factors hang on it.
    pub distance: Option<Located<String>>,
    /// The day from which faults are ticketed and clocks run; before it everything is only measured (DETECTION 3).
    pub commissioned: Option<Date>,
    /// How to get in.
    pub access: Option<String>,
    /// Its assets.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Agreed windows of work. Kept.
    pub maintenance: Vec<Maintenance>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// Something at a site that can break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// Its name.
    pub id: AssetId,
    /// What it is.
    pub class: AssetClass,
    /// What it hangs on, in the order of the vocabulary.
    pub edges: Vec<Edge>,
    /// The calendar of the hours in which it is expected to run. Kept.
    pub expected: Option<Located<BookName>>,
    /// When it was installed.
    pub installed: Option<Date>,
    /// The last day of its warranty.
    pub warranty_until: Option<Date>,
    /// Where its documentation is.
    pub documentation: Option<String>,
    /// How it is watched.
    pub checks: Vec<CheckSpec>,
    /// How it is meant to be watched, by kinds that no agent can run yet: their state is unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unbuilt: Vec<UnbuiltCheck>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Of which kind.
    pub kind: EdgeKind,
    /// On which asset of the same site.
    pub to: Located<AssetId>,
}

/// An agreed window of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Maintenance {
    /// On which assets; on all, when empty.
    pub assets: Vec<Located<AssetId>>,
    /// On which days (RFC 5545).
    pub rrule: String,
    /// From which wall time of the site.
    pub from: Time,
    /// For how long.
    pub for_s: PlainSeconds,
}

impl Site {
    /// The instant from which faults are ticketed: 00:00 of the day in the site's zone. `None` while the site is
    /// being commissioned.
    pub fn commissioned_at(&self) -> Option<Timestamp> {
        let zone = TimeZone::get(&self.zone).ok()?;
        Some(self.commissioned?.to_zoned(zone).ok()?.timestamp())
    }

    /// Every check of every asset that an agent can run.
    pub fn checks(&self) -> Vec<CheckSpec> {
        self.assets.values().flat_map(|asset| asset.checks.iter().cloned()).collect()
    }

    /// Every check of every asset that no agent can run yet: unknown, never up and never down.
    pub fn unbuilt(&self) -> impl Iterator<Item = &UnbuiltCheck> {
        self.assets.values().flat_map(|asset| &asset.unbuilt)
    }
}

pub(crate) fn read(id: SiteId, table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<Site> {
    let place = reading.start_of_file();
    let mut fields = Fields::top(table, "a site", reading);
    let name = fields.required("name", reading);
    let zone = fields.required::<Zone>("time_zone", reading);
    let distance = fields.optional("distance", reading);
    let commissioned = fields.optional("commissioned", reading);
    let access = fields.optional("access", reading);
    let listed: Vec<Located<Asset>> = fields.list("asset", reading);
    if let Some(node) = fields.node("maintenance") {
        reading.keep("maintenance windows", node);
    }
    let maintenance = fields.list("maintenance", reading);
    fields.finish(reading);
    let assets = unique(listed, reading);
    Some(Site { id, name: name?, zone: zone?.0, distance, commissioned, access, assets, maintenance, place })
}

fn unique(listed: Vec<Located<Asset>>, reading: &mut Reading<'_>) -> BTreeMap<AssetId, Asset> {
    let mut assets: BTreeMap<AssetId, Asset> = BTreeMap::new();
    for Located { value: asset, place } in listed {
        if let Some(first) = assets.get(&asset.id) {
            let message = format!("asset `{}` is there twice", asset.id);
            reading.report(Diagnostic::new(Code::Twice, &place, message).other(&first.place, "the first one"));
        } else {
            assets.insert(asset.id.clone(), asset);
        }
    }
    assets
}

impl Read for Asset {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "an asset", reading)?;
        let place = fields.place().clone();
        let id = fields.required::<AssetId>("id", reading);
        let class = fields.required("class", reading);
        let edges = EdgeKind::ALL.iter().flat_map(|&kind| read_edges(kind, &mut fields, reading)).collect();
        let expected_node = fields.node("expected");
        if let Some(node) = expected_node {
            reading.keep("expected hours of assets", node);
        }
        let expected = expected_node.and_then(|node| Located::read(node, reading));
        let installed = fields.optional("installed", reading);
        let warranty_until = fields.optional("warranty_until", reading);
        let documentation = fields.optional("documentation", reading);
        let checks_node = fields.node("checks");
        fields.finish(reading);
        let (id, class) = (id?, class?);
        let checks = checks_node.map(|node| check::read_all(&id, node, reading)).unwrap_or_default();
        let Checks { built: checks, unbuilt } = checks;
        Some(Self { id, class, edges, expected, installed, warranty_until, documentation, checks, unbuilt, place })
    }
}

fn read_edges(kind: EdgeKind, fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Vec<Edge> {
    let to: Vec<Located<AssetId>> = fields.list(kind.as_str(), reading);
    to.into_iter().map(|to| Edge { kind, to }).collect()
}

impl Read for Maintenance {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a maintenance window", reading)?;
        let assets = fields.list("assets", reading);
        let rrule = fields.required("rrule", reading);
        let from = fields.required("from", reading);
        let for_s = fields.required("for", reading);
        fields.finish(reading);
        Some(Self { assets, rrule: rrule?, from: from?, for_s: for_s? })
    }
}
