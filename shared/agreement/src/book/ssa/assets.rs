//! What an agreement says about single assets.

use serde::Serialize;
use upheld_model::{AssetId, SiteId};

use crate::{
    book::{
        fields::{Fields, Node, Read, Reading, shown},
        source::Located,
    },
    terms::{AssetTerms, LongestDowntime, ManufacturerTerms},
    words::BookName,
};

/// `site/asset`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AssetPath {
    /// The site.
    pub site: SiteId,
    /// The asset there.
    pub asset: AssetId,
}

/// Terms of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetEntry {
    /// Which.
    pub asset: Located<AssetPath>,
    /// Its terms.
    pub terms: AssetTerms,
    /// Where the manufacturer is named.
    pub maker: Option<Located<BookName>>,
}

impl Read for AssetPath {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let path = text.split_once('/').and_then(|(site, asset)| Some((site.parse().ok()?, asset.parse().ok()?)));
        if path.is_none() {
            reading.bad_value(value, format!("{:?} is not an asset: write \"plant-2/nvr-02\"", shown(&text)));
        }
        path.map(|(site, asset)| Self { site, asset })
    }
}

impl Read for AssetEntry {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the terms of an asset", reading)?;
        let asset = fields.required("asset", reading);
        let criticality = fields.optional("criticality", reading);
        let longest_downtime = fields.optional::<LongestDowntime>("longest_downtime", reading);
        let cost_of_downtime = fields.optional("cost_of_downtime", reading);
        let manufacturer = fields.optional::<Maker>("manufacturer", reading);
        fields.finish(reading);
        let maker = manufacturer.as_ref().map(|found| found.name.clone());
        let manufacturer = manufacturer.map(|found| found.terms);
        Some(Self {
            asset: asset?,
            terms: AssetTerms { criticality, longest_downtime, cost_of_downtime, manufacturer },
            maker,
        })
    }
}

struct Maker {
    name: Located<BookName>,
    terms: ManufacturerTerms,
}

impl Read for Maker {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a manufacturer's agreement", reading)?;
        let name = fields.required::<Located<BookName>>("maker", reading);
        let agreement = fields.optional("agreement", reading);
        let until = fields.optional("until", reading);
        let hand_over_after = fields.optional("hand_over_after", reading);
        if let Some(node) = fields.node("share") {
            reading.keep("the manufacturer's share", node);
        }
        let share = fields.optional("share", reading);
        fields.finish(reading);
        let name = name?;
        let maker = name.value.clone();
        Some(Self { name, terms: ManufacturerTerms { maker, agreement, until, hand_over_after, share } })
    }
}
