//! What is said of single assets: how much hangs on them, how long they may be down, who made them.

use jiff::civil::Date;
use serde::Serialize;
use upheld_model::{AssetClass, AssetId, SiteId};

use super::{Asked, hours, measure, say};
use crate::{
    terms::{AssetTerms, ManufacturerTerms},
    words::Level,
};

/// The terms of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetClaim {
    /// Where.
    pub site: SiteId,
    /// Which.
    pub asset: AssetId,
    /// Its terms.
    pub terms: AssetTerms,
    #[serde(skip)]
    site_name: String,
    #[serde(skip)]
    class: AssetClass,
    #[serde(skip)]
    maker: Option<Maker>,
}

/// What the book says of a manufacturer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Maker {
    name: String,
    respond: Option<String>,
    /// In which hours his desk answers: `around the clock`.
    hours: Option<String>,
}

pub(super) fn gather(asked: &Asked<'_>) -> Vec<AssetClaim> {
    let claim = |entry: &crate::book::AssetEntry| {
        let (site, asset) = (&entry.asset.site, &entry.asset.asset);
        let known = asked.sites().find(|known| known.id == *site)?;
        let class = known.assets.get(asset)?.class;
        if asked.version.not_covered.iter().any(|path| path.site == *site && path.asset == *asset) {
            return None;
        }
        let maker = entry.terms.manufacturer.as_ref().map(|terms| {
            let maker = asked.book.manufacturers.get(&terms.maker);
            Maker {
                name: maker.map_or_else(|| terms.maker.to_string(), |maker| maker.name.clone()),
                respond: maker.and_then(|maker| maker.promises.as_ref()?.respond.clone()),
                hours: maker
                    .and_then(|maker| Some(&maker.support.as_ref()?.hours.as_ref()?.value))
                    .map(|name| hours::in_hours(name, asked.book.calendars.get(name))),
            }
        });
        Some(AssetClaim {
            site: site.clone(),
            asset: asset.clone(),
            terms: entry.terms.clone(),
            site_name: known.name.clone(),
            class,
            maker,
        })
    };
    asked.agreement.asset_terms.iter().filter_map(claim).collect()
}

impl AssetClaim {
    pub(super) fn say(&self) -> String {
        let criticality = match self.terms.criticality {
            Some(Level::High) => " is critical",
            Some(Level::Medium) => " is of medium criticality",
            Some(Level::Low) => " is of low criticality",
            None => " has terms of its own",
        };
        let (asset, class, site) = (&self.asset, measure::noun(self.class), &self.site_name);
        let mut said = vec![format!("{asset} ({class}, {site}){criticality}.")];
        if let Some(limit) = self.terms.longest_downtime {
            said.push(format!("It is never down for more than {}.", measure::downtime(limit)));
        }
        if let Some(cost) = self.terms.cost_of_downtime {
            said.push(format!("Its downtime costs you {}, by your own account.", say::price(cost)));
        }
        if let (Some(terms), Some(maker)) = (&self.terms.manufacturer, &self.maker) {
            said.extend(manufacturer(terms, maker));
        }
        said.join(" ")
    }
}

fn manufacturer(terms: &ManufacturerTerms, maker: &Maker) -> Vec<String> {
    let name = &maker.name;
    let under = terms.agreement.as_ref().map(|number| format!(" under {number}")).unwrap_or_default();
    let until = terms.until.map(|until: Date| format!(" until {}", say::day(until))).unwrap_or_default();
    let mut said = vec![format!("{name} stands behind it{under}{until}.")];
    if let Some(share) = terms.hand_over_after {
        said.push(format!("We hand an incident over to them when {} of its time is used.", share.as_percent()));
    }
    if let Some(promise) = &maker.respond {
        let hours = maker.hours.as_ref().map(|hours| format!(" {hours}")).unwrap_or_default();
        let within = match promise.as_str() {
            "next business day" => "by the next business day".to_owned(),
            other => match crate::book::PlainSeconds::parse(other) {
                Some(seconds) => format!("within {}", say::time(seconds.0)),
                None => other.to_owned(),
            },
        };
        said.push(format!("Their own promise to us is to answer {within}{hours}; it does not change ours to you."));
    }
    if let Some(share) = terms.share {
        said.push(format!("They bear {} of what we then owe you.", share.as_percent()));
    }
    said
}
