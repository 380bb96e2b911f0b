//! The agreement as a whole: where it holds, what it costs, what may be disputed, what comes next, what is kept.

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{AssetId, SiteId};

use super::{Asked, say};
use crate::{
    book::{Agreement, Version},
    money::Price,
    words::OpenIncidents,
};

/// Where the version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoversClaim {
    /// The sites.
    pub sites: Vec<SiteId>,
    /// The assets there that it leaves out.
    pub not_covered: Vec<(SiteId, AssetId)>,
    #[serde(skip)]
    said: String,
}

/// What the version costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeeClaim {
    /// The fee.
    pub fee: Price,
    /// The riders' prices by their names.
    pub riders: Vec<(String, Price)>,
}

/// How long something may be disputed (F13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisputeClaim {
    /// For so many seconds.
    pub within_s: u64,
}

/// A version that will follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FollowsClaim {
    /// Its number.
    pub version: u32,
    /// From when it is in force.
    pub from: Timestamp,
    /// What it does to incidents that are open then.
    pub open_incidents: OpenIncidents,
    #[serde(skip)]
    said: String,
}

/// What this version of Upheld keeps and shows, and does not act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptClaim {
    /// In a word or two each.
    pub features: Vec<&'static str>,
}

pub(super) fn covers(asked: &Asked<'_>) -> CoversClaim {
    let sites: Vec<SiteId> = asked.sites().map(|site| site.id.clone()).collect();
    let names: Vec<String> = asked.sites().map(|site| asked.site_in_words(&site.id)).collect();
    let not_covered: Vec<(SiteId, AssetId)> =
        asked.version.not_covered.iter().map(|path| (path.site.clone(), path.asset.clone())).collect();
    let left_out: Vec<String> = not_covered
        .iter()
        .map(|(site, asset)| {
            format!("{asset} at {}", asked.client.sites.get(site).map_or(site.as_str(), |site| &site.name))
        })
        .collect();
    let but = match left_out.is_empty() {
        true => String::new(),
        false => format!(", but not {}", say::list(&left_out, "nor")),
    };
    let what = match names.is_empty() {
        true => "no site".to_owned(),
        false => format!("the equipment listed for {}{but}", say::list(&names, "and")),
    };
    CoversClaim { sites, not_covered, said: format!("We cover {what}.") }
}

pub(super) fn fee(asked: &Asked<'_>) -> Option<FeeClaim> {
    let riders = asked.version.riders.iter().filter_map(|rider| asked.book.riders.get(&rider.value));
    let riders = riders.filter_map(|rider| Some((rider.name.clone(), rider.price?))).collect();
    Some(FeeClaim { fee: asked.version.fee?, riders })
}

pub(super) fn dispute(asked: &Asked<'_>) -> Option<DisputeClaim> {
    asked.agreement.dispute_within_s.map(|seconds| DisputeClaim { within_s: seconds.0 })
}

/// The next version after the one that is explained, in the words of what it changes.
pub(super) fn follows(asked: &Asked<'_>) -> Option<FollowsClaim> {
    let next = next(asked.agreement, asked.version)?;
    let zone = &asked.zone;
    let mut said = vec![format!("From {} version {} holds", say::day_of(next.from, zone), next.number)];
    if let Some(note) = &next.note {
        said.push(format!(" ({note})"));
    }
    let changes = changes(asked, next);
    if !changes.is_empty() {
        said.push(format!(": {}", say::list(&changes, "and")));
    }
    said.push(format!(". {}", open_incidents(next.open_incidents)));
    Some(FollowsClaim {
        version: next.number,
        from: next.from,
        open_incidents: next.open_incidents,
        said: said.concat(),
    })
}

pub(super) fn next<'a>(agreement: &'a Agreement, version: &Version) -> Option<&'a Version> {
    agreement.versions.iter().filter(|other| other.from > version.from).min_by_key(|other| other.from)
}

fn changes(asked: &Asked<'_>, next: &Version) -> Vec<String> {
    let now = asked.version;
    let rider = |name: &crate::words::BookName| {
        asked.book.riders.get(name).map_or_else(|| name.to_string(), |known| known.name.clone())
    };
    let mut said = Vec::new();
    if next.plan != now.plan {
        let plan = asked.book.plans.get(&next.plan.value).map_or(next.plan.value.as_str(), |plan| &plan.name);
        said.push(format!("the plan is {plan}"));
    }
    let named = |version: &Version| version.riders.iter().map(|rider| rider.value.clone()).collect::<Vec<_>>();
    let (before, after) = (named(now), named(next));
    said.extend(after.iter().filter(|name| !before.contains(name)).map(|name| format!("{} is added", rider(name))));
    said.extend(before.iter().filter(|name| !after.contains(name)).map(|name| format!("{} ends", rider(name))));
    let sites = |version: &Version| version.sites.iter().map(|site| site.value.clone()).collect::<Vec<_>>();
    if sites(next) != sites(now) {
        let names: Vec<String> = sites(next).iter().map(|site| asked.site_in_words(site)).collect();
        said.push(format!("the sites are {}", say::list(&names, "and")));
    }
    if let Some(fee) = next.fee.filter(|fee| Some(*fee) != now.fee) {
        said.push(format!("the fee is {}", say::price(fee)));
    }
    said
}

fn open_incidents(treatment: OpenIncidents) -> &'static str {
    match treatment {
        OpenIncidents::Pin => "Incidents that are open then keep the terms under which they were opened.",
        OpenIncidents::CarryElapsed => {
            "Incidents that are open then go on under its terms: what has counted of their time stays counted."
        }
        OpenIncidents::Prorate => {
            "Incidents that are open then go on under its terms with the share of the time that they had left."
        }
        OpenIncidents::RestartFromChange => "Incidents that are open then begin again under its terms on that day.",
        OpenIncidents::RestartFromStart => {
            "Incidents that are open then are counted under its terms from their beginning, but never late by that alone."
        }
    }
}

/// What the book keeps in the files that this version is made of.
pub(super) fn kept(asked: &Asked<'_>) -> Option<KeptClaim> {
    let own = asked.files();
    let mut features: Vec<&'static str> = asked
        .book
        .not_acted_on()
        .iter()
        .filter(|kept| own.iter().any(|file| **file == *kept.place.file))
        .map(|kept| kept.feature)
        .collect();
    features.sort_unstable();
    features.dedup();
    (!features.is_empty()).then_some(KeptClaim { features })
}

impl CoversClaim {
    pub(super) fn say(&self) -> String {
        self.said.clone()
    }
}

impl FeeClaim {
    pub(super) fn say(&self) -> String {
        let riders: Vec<String> =
            self.riders.iter().map(|(name, price)| format!("{} for {name}", say::price(*price))).collect();
        let and = if riders.is_empty() { String::new() } else { format!(", and {}", say::list(&riders, "and")) };
        format!("You pay us {}{and}.", say::price(self.fee))
    }
}

impl DisputeClaim {
    pub(super) fn say(&self) -> String {
        format!(
            "You may dispute a pause, a cause that leaves time out, or a resolution for {}. What is disputed is shown \
             as that and counted both ways until it is settled.",
            say::long_time(self.within_s)
        )
    }
}

impl FollowsClaim {
    pub(super) fn say(&self) -> String {
        self.said.clone()
    }
}

impl KeptClaim {
    pub(super) fn say(&self) -> String {
        format!(
            "Upheld, the program that watches this agreement, keeps and shows some of these terms and does not act on \
             them in this version, so people do: {}.",
            say::list(&self.features, "and")
        )
    }
}
