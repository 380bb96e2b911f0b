//! Who hangs on whom: what a cause on one asset can bring down (DETECTION 4).
//!
//! The first step away from a cause must be by an edge that carries it (a power supply's failure goes to what is
//! powered by it); from there it goes on by any edge, since what has no power neither switches nor hosts. Circles end
//! where they meet themselves.

use std::collections::{BTreeMap, BTreeSet};

use upheld_model::{AssetId, EdgeKind, IncidentClass};

use crate::plan::Site;

/// How a cause spreads from its asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flow {
    /// No power.
    Power,
    /// No network.
    Network,
    /// A host that is down or restarts.
    Host,
}

impl Flow {
    /// Whether the first edge away from the cause carries it to a failure of this class.
    fn takes(self, edge: EdgeKind) -> bool {
        match (self, edge) {
            (Self::Power, EdgeKind::PoweredBy)
            // A switch feeds cameras through the port they hang on.
            | (Self::Network, EdgeKind::ConnectedTo | EdgeKind::RoutedVia | EdgeKind::PoweredBy)
            | (Self::Host, EdgeKind::RunsOn | EdgeKind::RoutedVia | EdgeKind::RecordsTo | EdgeKind::BackedUpBy) => true,
            (Self::Power, EdgeKind::ConnectedTo | EdgeKind::RoutedVia | EdgeKind::RunsOn)
            | (Self::Power | Self::Network, EdgeKind::RecordsTo | EdgeKind::BackedUpBy)
            | (Self::Network, EdgeKind::RunsOn)
            | (Self::Host, EdgeKind::PoweredBy | EdgeKind::ConnectedTo) => false,
        }
    }
}

/// What an edge lets through: who records elsewhere loses its recording with the recorder, not its picture.
fn concerns(edge: EdgeKind, class: IncidentClass) -> bool {
    match edge {
        EdgeKind::PoweredBy | EdgeKind::ConnectedTo | EdgeKind::RoutedVia | EdgeKind::RunsOn => true,
        EdgeKind::RecordsTo => class == IncidentClass::Recording,
        EdgeKind::BackedUpBy => class == IncidentClass::Backup || class == IncidentClass::Restore,
    }
}

/// The edges of a site, read from above.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    below: BTreeMap<AssetId, Vec<(EdgeKind, AssetId)>>,
}

impl Topology {
    /// The topology of a site.
    pub fn of(site: &Site) -> Self {
        let mut below: BTreeMap<AssetId, Vec<(EdgeKind, AssetId)>> = BTreeMap::new();
        for (asset, entry) in &site.assets {
            for (kind, upstream) in &entry.edges {
                below.entry(upstream.clone()).or_default().push((*kind, asset.clone()));
            }
        }
        Self { below }
    }

    /// Every asset that a cause on `from` reaches, each with the classes of failures that it explains there.
    pub fn reached(&self, from: &AssetId, flow: Flow) -> Reach {
        let mut reach = Reach::default();
        let mut open: Vec<(&AssetId, Through)> = Vec::new();
        for (edge, asset) in self.steps(from).filter(|(edge, _)| flow.takes(*edge)) {
            open.push((asset, Through::default().by(edge)));
        }
        while let Some((asset, through)) = open.pop() {
            if asset == from || !reach.add(asset, through) {
                continue;
            }
            open.extend(self.steps(asset).map(|(edge, next)| (next, through.by(edge))));
        }
        reach
    }

    /// Every asset that hangs on `from` in any way.
    pub fn below(&self, from: &AssetId) -> BTreeSet<AssetId> {
        let (mut found, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(asset) = open.pop() {
            for (_, next) in self.steps(asset) {
                if next != from && found.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        found
    }

    fn steps(&self, asset: &AssetId) -> impl Iterator<Item = (EdgeKind, &AssetId)> {
        self.below.get(asset).into_iter().flatten().map(|(edge, next)| (*edge, next))
    }
}

/// What a way lets through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Through {
    only_recording: bool,
    only_backup: bool,
}

impl Through {
    fn by(self, edge: EdgeKind) -> Self {
        Self {
            only_recording: self.only_recording || edge == EdgeKind::RecordsTo,
            only_backup: self.only_backup || edge == EdgeKind::BackedUpBy,
        }
    }

    fn lets(self, class: IncidentClass) -> bool {
        (!self.only_recording || concerns(EdgeKind::RecordsTo, class))
            && (!self.only_backup || concerns(EdgeKind::BackedUpBy, class))
    }
}

/// The assets that a cause reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach(BTreeMap<AssetId, BTreeSet<Through>>);

impl Reach {
    /// Whether the cause explains a failure of this class there.
    pub fn explains(&self, asset: &AssetId, class: IncidentClass) -> bool {
        self.0.get(asset).is_some_and(|ways| ways.iter().any(|way| way.lets(class)))
    }

    /// Every asset in it.
    pub fn assets(&self) -> impl Iterator<Item = &AssetId> {
        self.0.keys()
    }

    fn add(&mut self, asset: &AssetId, way: Through) -> bool {
        self.0.entry(asset.clone()).or_default().insert(way)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use upheld_model::AssetClass;

    use super::*;
    use crate::{incident::Stage, plan::Asset};

    #[test]
    fn power_goes_to_what_it_feeds_and_on_from_there() {
        let topology = Topology::of(&site(&[
            ("ups", None),
            ("sw", Some((EdgeKind::PoweredBy, "ups"))),
            ("cam", Some((EdgeKind::ConnectedTo, "sw"))),
            ("elsewhere", None),
        ]));
        let reach = topology.reached(&id("ups"), Flow::Power);
        assert!(reach.explains(&id("sw"), IncidentClass::NetworkLan));
        assert!(reach.explains(&id("cam"), IncidentClass::Camera));
        assert!(!reach.explains(&id("elsewhere"), IncidentClass::Host));
        assert!(!reach.explains(&id("ups"), IncidentClass::Power), "nothing is its own symptom");
    }

    #[test]
    fn a_switch_is_no_cause_of_what_is_only_recorded_behind_it() {
        let topology = Topology::of(&site(&[("rec", None), ("cam", Some((EdgeKind::RecordsTo, "rec")))]));
        let reach = topology.reached(&id("rec"), Flow::Host);
        assert!(reach.explains(&id("cam"), IncidentClass::Recording));
        assert!(!reach.explains(&id("cam"), IncidentClass::Camera), "the picture does not come from the recorder");
        assert_eq!(topology.reached(&id("rec"), Flow::Network), Reach::default());
    }

    #[test]
    fn a_circle_ends() {
        let topology = Topology::of(&site(&[
            ("a", Some((EdgeKind::ConnectedTo, "b"))),
            ("b", Some((EdgeKind::ConnectedTo, "a"))),
        ]));
        assert!(topology.reached(&id("a"), Flow::Network).explains(&id("b"), IncidentClass::Host));
        assert_eq!(topology.below(&id("a")), [id("b")].into());
    }

    fn id(text: &str) -> AssetId {
        text.parse().unwrap()
    }

    fn site(assets: &[(&str, Option<(EdgeKind, &str)>)]) -> Site {
        let asset = |edge: &Option<(EdgeKind, &str)>| Asset {
            edges: edge.iter().map(|(kind, to)| (*kind, id(to))).collect(),
            ..Asset::new(AssetClass::Other)
        };
        Site {
            client: "northgate".parse().unwrap(),
            site: "plant-2".parse().unwrap(),
            zone: TimeZone::UTC,
            stage: Stage::Commissioning,
            assets: assets.iter().map(|(name, edge)| (id(name), asset(edge))).collect(),
            checks: BTreeMap::new(),
        }
    }
}
