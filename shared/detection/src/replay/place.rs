//! Which site a line is about.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AssetId, CheckId, SiteId};

use super::{
    Placed, ReplayError, Trace, Unknown, infer,
    trace::{Said, Series},
};
use crate::{
    incident::Stage,
    kind::CheckKind,
    plan::{Asset, Check, Site},
};

/// How many unknown names an error lists.
const NAMES_MAX: usize = 10;
/// The client of what no book has.
const NOBODY: &str = "inferred";

/// Puts every line of a trace at its site.
pub(super) fn place<'a>(trace: &'a Trace, sites: &[Site], unknown: Unknown) -> Result<Vec<Placed<'a>>, ReplayError> {
    let mut places = Places::new(sites, unknown);
    for series in trace.by_name() {
        places.series(series)?;
    }
    for said in &trace.said {
        places.said(said)?;
    }
    places.finish()
}

struct Places<'a> {
    placed: Vec<Placed<'a>>,
    by_asset: BTreeMap<AssetId, Vec<usize>>,
    by_site: BTreeMap<SiteId, Vec<usize>>,
    unknown: Unknown,
    names: BTreeSet<String>,
}

impl<'a> Places<'a> {
    fn new(sites: &[Site], unknown: Unknown) -> Self {
        let mut places = Self {
            placed: Vec::new(),
            by_asset: BTreeMap::new(),
            by_site: BTreeMap::new(),
            unknown,
            names: BTreeSet::new(),
        };
        for site in sites {
            places.add(site.clone());
        }
        places
    }

    fn add(&mut self, site: Site) -> usize {
        let at = self.placed.len();
        self.by_site.entry(site.site.clone()).or_default().push(at);
        for asset in site.assets.keys() {
            self.by_asset.entry(asset.clone()).or_default().push(at);
        }
        self.placed.push(Placed { site, series: BTreeMap::new(), said: Vec::new() });
        at
    }

    fn series(&mut self, series: &'a Series) -> Result<(), ReplayError> {
        let name = format!("{}/{}", series.asset, series.check);
        let Ok(check) = name.parse::<CheckId>() else {
            self.names.insert(name);
            return Ok(());
        };
        let Some(at) = self.site_of(&series.client, &series.site, Some(&check.asset), &name)? else { return Ok(()) };
        let site = &mut self.placed[at].site;
        if !site.checks.contains_key(&check) {
            let is_known = site.assets.contains_key(&check.asset);
            if self.unknown == Unknown::Refuse {
                self.names.insert(if is_known { format!("check {name}") } else { format!("asset {}", check.asset) });
                return Ok(());
            }
            let kind = CheckKind::new(series.kind.as_deref().unwrap_or(&series.check));
            if !is_known {
                self.by_asset.entry(check.asset.clone()).or_default().push(at);
            }
            site.checks.insert(check.clone(), Check { rule: kind.usual_rule(), kind, promised: Default::default() });
            let kinds =
                site.checks.iter().filter(|(known, _)| known.asset == check.asset).map(|(_, check)| &check.kind);
            let class = infer::class_of(check.asset.as_str(), kinds);
            let asset = site.assets.entry(check.asset.clone()).or_insert_with(|| Asset::new(class));
            if !is_known {
                asset.class = class;
            }
        }
        self.placed[at].series.entry(check).or_default().push(series);
        Ok(())
    }

    fn said(&mut self, said: &'a Said) -> Result<(), ReplayError> {
        let asset = said.asset.as_ref().and_then(|asset| asset.parse::<AssetId>().ok());
        let name = said.site.clone().or(said.asset.clone()).unwrap_or_else(|| "an event without a site".to_owned());
        if let Some(at) = self.site_of(&said.client, &said.site, asset.as_ref(), &name)? {
            self.placed[at].said.push(said);
        }
        Ok(())
    }

    /// The site of a line; `None` when that is noted as unknown.
    fn site_of(
        &mut self,
        client: &Option<String>,
        site: &Option<String>,
        asset: Option<&AssetId>,
        name: &str,
    ) -> Result<Option<usize>, ReplayError> {
        let named = site.as_ref().and_then(|site| site.parse::<SiteId>().ok());
        let candidates: Vec<usize> = match (&named, asset) {
            (Some(site), _) => self.by_site.get(site).cloned().unwrap_or_default(),
            (None, Some(asset)) => self.by_asset.get(asset).cloned().unwrap_or_default(),
            (None, None) if self.placed.len() == 1 => vec![0],
            (None, None) => Vec::new(),
        };
        let is_clients = |at: &&usize| {
            client.as_ref().is_none_or(|client| self.placed[**at].site.client.as_str() == client.as_str())
        };
        let candidates: Vec<usize> = candidates.iter().filter(is_clients).copied().collect();
        match (candidates.as_slice(), self.unknown) {
            ([one], _) => Ok(Some(*one)),
            ([], Unknown::Infer) => Ok(Some(self.inferred(named))),
            ([], Unknown::Refuse) => {
                self.names.insert(name.to_owned());
                Ok(None)
            }
            (several, _) => Err(ReplayError::Ambiguous {
                name: name.to_owned(),
                sites: several.iter().map(|at| full_name(&self.placed[*at].site)).collect(),
            }),
        }
    }

    /// The only site of the book, or one made up.
    fn inferred(&mut self, named: Option<SiteId>) -> usize {
        if let (None, [_]) = (&named, self.placed.as_slice()) {
            return 0;
        }
        // A constant of letters is every kind of id.
        let site = named.unwrap_or_else(|| NOBODY.parse().expect("letters are a site's name"));
        if let Some(at) = self.by_site.get(&site).and_then(|at| at.first()) {
            return *at;
        }
        self.add(Site {
            client: NOBODY.parse().expect("letters are a client's name"),
            site,
            zone: TimeZone::UTC,
            stage: Stage::Commissioned { since: Timestamp::MIN },
            assets: BTreeMap::new(),
            checks: BTreeMap::new(),
        })
    }

    fn finish(self) -> Result<Vec<Placed<'a>>, ReplayError> {
        if self.names.is_empty() {
            return Ok(self.placed);
        }
        let count = self.names.len();
        Err(ReplayError::Unknown { names: self.names.into_iter().take(NAMES_MAX).collect(), count })
    }
}

fn full_name(site: &Site) -> String {
    format!("{}/{}", site.client, site.site)
}
