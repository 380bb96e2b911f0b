//! `clients/<client>/ssa.toml`: the agreement and its amendments.
//!
//! An amendment says only what changes; everything else stays as it was. [`Agreement::versions`] holds each version
//! complete. Which one holds at an instant is [`Agreement::in_force`], and nothing else decides it (F1).

use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{AssetId, SiteId};

use super::{
    fields::{Fields, Node, Read, Reading},
    scalar::{Moment, PlainSeconds},
    source::{Located, Place},
};
use crate::{
    money::Price,
    terms::AssetTerms,
    words::{BookName, OpenIncidents},
};

mod assets;
mod complete;

pub use assets::{AssetEntry, AssetPath};

/// The most versions of an agreement: an amendment a week for twenty years.
const VERSIONS_MAX: usize = 1_000;

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
    /// What its taking effect does to open incidents: acted on for those that were opened since the book has it.
    pub open_incidents: OpenIncidents,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
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
    let versions = fields.list_up_to(VERSIONS_MAX, "version", reading);
    let asset_terms = fields.list("asset_terms", reading);
    fields.finish(reading);
    Some(AgreementFile { number: number?, dispute_within_s, sites, not_covered, fee, versions, asset_terms, place })
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
        let open_incidents = fields.optional("open_incidents", reading);
        fields.finish(reading);
        let from = from?;
        Some(Self { from, until, signed, note, plan, riders, sites, not_covered, fee, open_incidents, place })
    }
}

/// A list that, unlike an empty one, is `None` when nothing is said.
fn said_list<T: Read>(fields: &mut Fields<'_, '_>, key: &'static str, reading: &mut Reading<'_>) -> Option<Vec<T>> {
    fields.node(key).map(|node| super::fields::one_or_many(node, reading))
}
