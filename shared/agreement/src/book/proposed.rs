//! What a host proposes to watch, held against a site of the book: what of it is new, and how the site's file would read
//! with what a person takes of it.
//!
//! Nothing is added twice: a check that the site has under any name is no news; checks of an asset that the book has go to
//! that asset. The text is made of typed values ([`upheld_model::proposal`]); the file's own words, comments and order
//! stay. Whoever writes it reads the result with the book's own reader before it is anybody's.

mod edit;

use std::collections::{BTreeMap, BTreeSet};

use upheld_model::{
    AssetId, ProbeSpec,
    proposal::{ProposedAsset, ProposedEdge, asset_lines, check_text, checks_text, edge_text, far_address, is_same},
};

use super::{Asset, Site};

pub use edit::{CannotWrite, written};

/// One thing to take or to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An asset that the book does not have, with its checks and what it surely hangs on.
    Asset(ProposedAsset),
    /// Checks that an asset of the book does not have.
    Checks {
        /// The book's asset.
        asset: AssetId,
        /// As it was proposed, with the new checks alone.
        proposed: ProposedAsset,
    },
    /// What an asset may hang on: for a person to say.
    Edge {
        /// The asset, of the book or of the same proposal.
        asset: AssetId,
        /// On what.
        edge: ProposedEdge,
    },
}

impl Item {
    /// By what it is named on a command line and in a form: `camera-2`, `camera-2:routed_via:router`.
    pub fn name(&self) -> String {
        match self {
            Self::Asset(asset) => asset.asset.to_string(),
            Self::Checks { asset, .. } => asset.to_string(),
            Self::Edge { asset, edge } => format!("{asset}:{}:{}", edge.kind.as_str(), edge.to),
        }
    }

    /// Whether nobody but a person can know it: it is taken by name only.
    pub fn is_suggestion(&self) -> bool {
        matches!(self, Self::Edge { .. })
    }

    /// By what a decision about it is remembered: one key a check, so that a check that is found later is asked for alone.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Asset(proposed) | Self::Checks { proposed, .. } => {
                proposed.checks.iter().map(|check| check_key(&proposed.asset, check)).collect()
            }
            Self::Edge { asset, edge } => vec![edge_key(asset, edge)],
        }
    }

    /// Why it is proposed, in words.
    pub fn why(&self) -> String {
        match self {
            Self::Asset(proposed) => proposed.seen.to_string(),
            Self::Checks { proposed, .. } => {
                let kinds: BTreeSet<&str> = proposed.checks.iter().map(ProbeSpec::kind).collect();
                let kinds: Vec<&str> = kinds.into_iter().collect();
                format!("the book has it without {}; {}", kinds.join(", "), proposed.seen)
            }
            Self::Edge { edge, .. } => edge.why.to_string(),
        }
    }

    /// Its lines as they would be added.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Asset(asset) => {
                let sure = asset.edges.iter().filter(|edge| edge.why.is_sure()).cloned().collect();
                asset_lines(&ProposedAsset { edges: sure, ..asset.clone() })
            }
            Self::Checks { proposed, .. } => checks_text(&proposed.checks, &mut BTreeSet::new()),
            Self::Edge { edge, .. } => vec![edge_text(edge)],
        }
    }

    /// The same without the checks that `keep` refuses by their keys; `None` when nothing is left.
    pub fn narrowed(&self, keep: impl Fn(&str) -> bool) -> Option<Self> {
        let with = |proposed: &ProposedAsset| {
            let checks = proposed.checks.iter().filter(|check| keep(&check_key(&proposed.asset, check)));
            let checks: Vec<ProbeSpec> = checks.cloned().collect();
            (!checks.is_empty()).then(|| ProposedAsset { checks, ..proposed.clone() })
        };
        match self {
            Self::Asset(proposed) => with(proposed).map(Self::Asset),
            Self::Checks { asset, proposed } => {
                with(proposed).map(|proposed| Self::Checks { asset: asset.clone(), proposed })
            }
            Self::Edge { asset, edge } => keep(&edge_key(asset, edge)).then(|| self.clone()),
        }
    }
}

/// What asks an address is known by what it asks; what looks at a host itself, by whose it is as well.
fn check_key(asset: &AssetId, check: &ProbeSpec) -> String {
    match far_address(check) {
        Some(_) => check_text(check),
        None => format!("{asset} {}", check_text(check)),
    }
}

fn edge_key(asset: &AssetId, edge: &ProposedEdge) -> String {
    format!("{asset} {}", edge_text(edge))
}

/// A proposal beside a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// What is new, in the order in which it was proposed; suggestions behind it.
    pub items: Vec<Item>,
    /// How many of the proposed assets the book watches already.
    pub watched: usize,
}

/// Holds what hosts of a site propose against the site as the book has it.
pub fn look(site: &Site, proposed: &[ProposedAsset]) -> Looked {
    let mut looked = Looked::default();
    let mut known: Vec<ProbeSpec> = site.checks().into_iter().map(|check| check.probe).collect();
    let mut names: BTreeSet<AssetId> = site.assets.keys().cloned().collect();
    // What a proposed asset is called in the end, so that edges lead there.
    let mut called: BTreeMap<&AssetId, AssetId> = BTreeMap::new();
    let mut edges = Vec::new();
    for asset in proposed {
        let new: Vec<ProbeSpec> =
            asset.checks.iter().filter(|check| !known.iter().any(|one| is_same(one, check))).cloned().collect();
        let home = home(site, asset);
        let name = match home {
            Some(home) => home.id.clone(),
            None if new.is_empty() => asset.asset.clone(),
            None => match unused(&asset.asset, &names) {
                Some(name) => name,
                None => continue,
            },
        };
        if !called.contains_key(&asset.asset) {
            called.insert(&asset.asset, name.clone());
        }
        edges.push((home, name.clone(), &asset.edges));
        known.extend(new.iter().cloned());
        if new.is_empty() {
            looked.watched += 1;
            continue;
        }
        let whole = ProposedAsset { asset: name.clone(), edges: vec![], checks: new, ..asset.clone() };
        names.insert(name.clone());
        looked.items.push(match home {
            Some(_) => Item::Checks { asset: name, proposed: whole },
            None => Item::Asset(whole),
        });
    }
    for (home, name, proposed) in edges {
        for edge in proposed {
            let to = called.get(&edge.to).unwrap_or(&edge.to).clone();
            let is_said = home.is_some_and(|home| home.edges.iter().any(|known| known.kind == edge.kind));
            if is_said || to == name || !names.contains(&to) || !names.contains(&name) {
                continue;
            }
            let edge = ProposedEdge { to, ..edge.clone() };
            let with_asset = looked.items.iter_mut().find_map(|item| match item {
                Item::Asset(asset) if asset.asset == name && edge.why.is_sure() => Some(asset),
                Item::Asset(_) | Item::Checks { .. } | Item::Edge { .. } => None,
            });
            match with_asset {
                Some(asset) => asset.edges.push(edge),
                None => looked.items.push(Item::Edge { asset: name.clone(), edge }),
            }
        }
    }
    looked
}

/// The book's asset that it is: one that has a check of it, one of the same class that asks the same address, or one of
/// the same class and name.
fn home<'s>(site: &'s Site, proposed: &ProposedAsset) -> Option<&'s Asset> {
    let has = |asset: &&Asset, fits: &dyn Fn(&ProbeSpec, &ProbeSpec) -> bool| {
        asset.checks.iter().any(|known| proposed.checks.iter().any(|check| fits(&known.probe, check)))
    };
    let by_check = |asset: &&Asset| has(asset, &is_same);
    // A NUT server may know several supplies, at one address.
    let by_address = |asset: &&Asset| {
        asset.class == proposed.class
            && has(asset, &|known, check| {
                !matches!(check, ProbeSpec::UpsNut { .. })
                    && far_address(known).is_some_and(|address| far_address(check) == Some(address))
            })
    };
    let by_name = || site.assets.get(&proposed.asset).filter(|asset| asset.class == proposed.class);
    let assets = || site.assets.values();
    assets().find(by_check).or_else(|| assets().find(by_address)).or_else(by_name)
}

/// The name, or the first with a number behind it that nobody has.
fn unused(name: &AssetId, names: &BTreeSet<AssetId>) -> Option<AssetId> {
    if !names.contains(name) {
        return Some(name.clone());
    }
    (2..1_000).filter_map(|number| format!("{name}-{number}").parse().ok()).find(|name| !names.contains(name))
}

/// The change of one file as `git apply` takes it from the book's folder; empty when nothing changes.
pub fn patch(path: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let diff = similar::TextDiff::from_lines(before, after);
    let (old, new) = (format!("a/{path}"), format!("b/{path}"));
    diff.unified_diff().context_radius(3).header(&old, &new).to_string()
}

#[cfg(test)]
mod tests;
