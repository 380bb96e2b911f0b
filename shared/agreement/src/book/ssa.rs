//! `clients/<client>/ssa.toml`: the agreement and its amendments.
//!
//! An amendment says only what changes; everything else stays as it was. [`Agreement::versions`] holds each version
//! complete. Which one holds at an instant is [`Agreement::in_force`], and nothing else decides it (F1).

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{AssetId, SiteId};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    scalar::{Moment, PlainSeconds},
    source::{Located, Place},
};
use crate::{
    money::Price,
    terms::{AssetTerms, LongestDowntime, ManufacturerTerms},
    words::{BookName, OpenIncidents},
};

/// A client's agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// `SSA-2026-014`.
    pub number: String,
    /// How long an item may be disputed (F13).
    pub dispute_within_s: Option<PlainSeconds>,
    /// Its versions, each complete, in the order in which they take effect; at least one.
    pub versions: Vec<Version>,
    /// What it says about single assets.
    pub asset_terms: Vec<AssetEntry>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// One version of an agreement, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// From 1, in the order of the file.
    pub number: u32,
    /// From when it is in force.
    pub from: Timestamp,
    /// Until when at the latest, exclusive; the next version ends it earlier.
    pub until: Option<Timestamp>,
    /// When it was signed.
    pub signed: Option<Date>,
    /// What it is about.
    pub note: Option<String>,
    /// The plan.
    pub plan: Located<BookName>,
    /// The riders.
    pub riders: Vec<Located<BookName>>,
    /// The sites it covers.
    pub sites: Vec<Located<SiteId>>,
    /// Assets at these sites that it does not cover.
    pub not_covered: Vec<Located<AssetPath>>,
    /// The fee.
    pub fee: Option<Price>,
    /// What its taking effect does to open incidents. Kept: they stay pinned.
    pub open_incidents: OpenIncidents,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

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

impl Agreement {
    /// The versions in force at an instant: one, none, or, where a book was not checked, more.
    pub fn in_force(&self, at: Timestamp) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(move |version| version.from <= at && self.ends(version).is_none_or(|end| at < end))
    }

    /// When a version ceases to be in force: at its own end or when the next takes effect, whichever is first.
    pub fn ends(&self, version: &Version) -> Option<Timestamp> {
        let next = self.versions.iter().map(|other| other.from).filter(|&from| from > version.from).min();
        match (version.until, next) {
            (Some(until), Some(next)) => Some(until.min(next)),
            (until, next) => until.or(next),
        }
    }

    /// The terms of one asset.
    pub fn terms_of(&self, site: &SiteId, asset: &AssetId) -> Option<&AssetTerms> {
        let found = self.asset_terms.iter().find(|entry| entry.asset.site == *site && entry.asset.asset == *asset);
        found.map(|entry| &entry.terms)
    }
}

/// The agreement as its file says it, before its amendments are completed.
#[derive(Debug, Clone)]
pub(crate) struct AgreementFile {
    number: String,
    dispute_within_s: Option<PlainSeconds>,
    sites: Vec<Located<SiteId>>,
    not_covered: Vec<Located<AssetPath>>,
    fee: Option<Price>,
    versions: Vec<Amendment>,
    asset_terms: Vec<AssetEntry>,
    place: Place,
}

/// One version as it is written; what it does not say is `None`.
#[derive(Debug, Clone)]
struct Amendment {
    from: Located<Moment>,
    until: Option<Located<Moment>>,
    signed: Option<Date>,
    note: Option<String>,
    plan: Option<Located<BookName>>,
    riders: Option<Vec<Located<BookName>>>,
    sites: Option<Vec<Located<SiteId>>>,
    not_covered: Option<Vec<Located<AssetPath>>>,
    fee: Option<Price>,
    open_incidents: Option<OpenIncidents>,
    place: Place,
}

pub(crate) fn read(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<AgreementFile> {
    let place = reading.start_of_file();
    let mut fields = Fields::top(table, "an agreement", reading);
    let number = fields.required("number", reading);
    let sites = fields.list("sites", reading);
    let not_covered = fields.list("not_covered", reading);
    let fee = fields.optional("fee", reading);
    let dispute_within_s = fields.optional("dispute_within", reading);
    if fields.node("version").is_none() {
        fields.missing("version", reading);
    }
    let versions = fields.list("version", reading);
    let asset_terms = fields.list("asset_terms", reading);
    fields.finish(reading);
    Some(AgreementFile { number: number?, dispute_within_s, sites, not_covered, fee, versions, asset_terms, place })
}

impl AgreementFile {
    /// The agreement with every version complete; instants are taken in the provider's zone.
    pub(crate) fn complete(self, zone: &TimeZone, found: &mut Vec<Diagnostic>) -> Option<Agreement> {
        let mut versions: Vec<Version> = Vec::new();
        let mut before: Option<Place> = None;
        for (index, amendment) in self.versions.iter().enumerate() {
            let Some(version) = self.version(index, amendment, versions.last(), zone, found) else { continue };
            if let (Some(earlier), Some(place)) = (versions.last(), &before)
                && version.from <= earlier.from
            {
                let message = "this version does not take effect later than the one before it";
                found.push(
                    Diagnostic::new(Code::VersionOrder, &amendment.from.place, message)
                        .other(place, "the version before"),
                );
            }
            before = Some(amendment.from.place.clone());
            versions.push(version);
        }
        if versions.is_empty() {
            return None;
        }
        let agreement = Agreement {
            number: self.number,
            dispute_within_s: self.dispute_within_s,
            versions,
            asset_terms: self.asset_terms,
            place: self.place,
        };
        agreement.warn_of_gaps(zone, found);
        Some(agreement)
    }

    fn version(
        &self,
        index: usize,
        said: &Amendment,
        before: Option<&Version>,
        zone: &TimeZone,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Version> {
        let from = instant(&said.from, zone, Edge::From, found)?;
        let until = match &said.until {
            Some(until) => Some(instant(until, zone, Edge::Until, found)?),
            None => before.and_then(|version| version.until),
        };
        if let Some(until) = until
            && until <= from
        {
            let place = said.until.as_ref().map_or(&said.from.place, |until| &until.place);
            let empty = Diagnostic::new(Code::EmptyVersion, place, "the version ends before it takes effect");
            found.push(match said.until {
                Some(_) => empty,
                None => empty.help("`until` stays as the version before has it: write a new one"),
            });
        }
        let plan = said.plan.clone().or_else(|| before.map(|version| version.plan.clone()));
        let Some(plan) = plan else {
            if index == 0 {
                let missing = Diagnostic::new(Code::NoPlan, &said.place, "the first version names no plan");
                found.push(missing.help("write plan = \"gold\""));
            }
            return None;
        };
        let kept = |pick: fn(&Version) -> Vec<Located<SiteId>>| before.map(pick);
        Some(Version {
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            from,
            until,
            signed: said.signed,
            note: said.note.clone(),
            plan,
            riders: said.riders.clone().or_else(|| before.map(|version| version.riders.clone())).unwrap_or_default(),
            sites: said.sites.clone().or_else(|| kept(|version| version.sites.clone())).unwrap_or(self.sites.clone()),
            not_covered: said
                .not_covered
                .clone()
                .or_else(|| before.map(|version| version.not_covered.clone()))
                .unwrap_or(self.not_covered.clone()),
            fee: said.fee.or_else(|| before.and_then(|version| version.fee)).or(self.fee),
            open_incidents: said.open_incidents.unwrap_or(OpenIncidents::Pin),
            place: said.place.clone(),
        })
    }
}

impl Agreement {
    fn warn_of_gaps(&self, zone: &TimeZone, found: &mut Vec<Diagnostic>) {
        let day = |at: Timestamp| zone.to_datetime(at).date();
        for pair in self.versions.windows(2) {
            if let Some(until) = pair[0].until
                && until < pair[1].from
            {
                let message = format!("nothing is promised from {} until {}", day(until), day(pair[1].from));
                found.push(Diagnostic::new(Code::NotInForce, &pair[1].place, message));
            }
        }
    }
}

enum Edge {
    From,
    Until,
}

/// A bare date is 00:00 of it; as an end it includes its day.
fn instant(moment: &Located<Moment>, zone: &TimeZone, edge: Edge, found: &mut Vec<Diagnostic>) -> Option<Timestamp> {
    let date = match moment.value {
        Moment::Instant(at) => return Some(at),
        Moment::Date(date) => match edge {
            Edge::From => Some(date),
            Edge::Until => date.tomorrow().ok(),
        },
    };
    let midnight = date.and_then(|date| date.to_zoned(zone.clone()).ok()).map(|zoned| zoned.timestamp());
    if midnight.is_none() {
        found.push(Diagnostic::new(Code::OutOfBounds, &moment.place, "the date is outside the calendar"));
    }
    midnight
}

impl Read for Amendment {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a version", reading)?;
        let place = fields.place().clone();
        let from = fields.required("effective_from", reading);
        let until = fields.optional("until", reading);
        let signed = fields.optional("signed", reading);
        let note = fields.optional("note", reading);
        let plan = fields.optional("plan", reading);
        let riders = said_list(&mut fields, "riders", reading);
        let sites = said_list(&mut fields, "sites", reading);
        let not_covered = said_list(&mut fields, "not_covered", reading);
        let fee = fields.optional("fee", reading);
        let open_node = fields.node("open_incidents");
        let open_incidents = open_node.and_then(|node| OpenIncidents::read(node, reading));
        fields.finish(reading);
        if let (Some(node), Some(treatment)) = (open_node, open_incidents)
            && treatment != OpenIncidents::Pin
        {
            reading.keep("open_incidents other than pin", node);
        }
        let from = from?;
        Some(Self { from, until, signed, note, plan, riders, sites, not_covered, fee, open_incidents, place })
    }
}

/// A list that, unlike an empty one, is `None` when nothing is said.
fn said_list<T: Read>(fields: &mut Fields<'_, '_>, key: &'static str, reading: &mut Reading<'_>) -> Option<Vec<T>> {
    fields.node(key).map(|node| super::fields::one_or_many(node, reading))
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
        for (key, feature) in [
            ("longest_downtime", "longest downtime"),
            ("cost_of_downtime", "cost of downtime"),
            ("manufacturer", "manufacturers' agreements"),
        ] {
            if let Some(node) = fields.node(key) {
                reading.keep(feature, node);
            }
        }
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
        let share = fields.optional("share", reading);
        fields.finish(reading);
        let name = name?;
        let maker = name.value.clone();
        Some(Self { name, terms: ManufacturerTerms { maker, agreement, until, hand_over_after, share } })
    }
}
