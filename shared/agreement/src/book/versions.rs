//! Versions of agreements by name and hash: a version that is or was in force is never changed, only followed.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_model::{ClientId, Digest};

use super::{Agreement, AssetEntry, Book, Catalogue, Client, Plan, Rider, Version, announced, scalar::PlainSeconds};
use crate::{calendar::CalendarDef, canonical, words::BookName};

/// One version of one agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionSummary {
    /// Whose.
    pub client: ClientId,
    /// The agreement's number.
    pub agreement: String,
    /// Which version, from 1.
    pub version: u32,
    /// From when it is in force.
    pub from: Timestamp,
    /// Until when, exclusive; `None` while nothing ends it.
    pub until: Option<Timestamp>,
    /// The hash of its canonical form, which holds everything that it promises and the hash of the version before. Of
    /// its calendars it holds the dated holidays of the year in which it takes effect and before; later ones are announced.
    pub hash: Digest,
}

/// What is hashed: everything that the version promises, looked up.
#[derive(Serialize)]
struct Form<'a> {
    client: &'a ClientId,
    agreement: &'a str,
    version: &'a Version,
    dispute_within_s: Option<PlainSeconds>,
    asset_terms: &'a [AssetEntry],
    plan: Option<&'a Plan>,
    riders: BTreeMap<&'a BookName, &'a Rider>,
    calendars: BTreeMap<&'a BookName, CalendarDef>,
    catalogue: &'a Catalogue,
    previous: Option<Digest>,
}

impl Book {
    /// Every version of every agreement, with its hash.
    pub fn versions(&self) -> Vec<VersionSummary> {
        self.clients.values().flat_map(|client| self.versions_of(client)).collect()
    }

    /// The versions of one client's agreement, in order.
    pub(crate) fn versions_of(&self, client: &Client) -> Vec<VersionSummary> {
        let Some(agreement) = &client.agreement else { return Vec::new() };
        let mut summaries: Vec<VersionSummary> = Vec::new();
        for version in &agreement.versions {
            let previous = summaries.last().map(|summary| summary.hash);
            summaries.push(VersionSummary {
                client: client.id.clone(),
                agreement: agreement.number.clone(),
                version: version.number,
                from: version.from,
                until: agreement.ends(version),
                hash: canonical::digest(&self.form(client, agreement, version, previous)),
            });
        }
        summaries
    }

    fn form<'a>(
        &'a self,
        client: &'a Client,
        agreement: &'a Agreement,
        version: &'a Version,
        previous: Option<Digest>,
    ) -> Form<'a> {
        let plan = self.plans.get(&version.plan.value);
        let riders: BTreeMap<_, _> =
            version.riders.iter().filter_map(|rider| self.riders.get_key_value(&rider.value)).collect();
        let named = announced::calendars_of(self, version);
        let calendars = named.iter().filter_map(|name| self.calendars.get_key_value(name));
        let zone = TimeZone::get(&self.provider.zone).unwrap_or(TimeZone::UTC);
        Form {
            client: &client.id,
            agreement: &agreement.number,
            version,
            dispute_within_s: agreement.dispute_within_s,
            asset_terms: &agreement.asset_terms,
            calendars: announced::as_hashed(calendars, version, &zone),
            plan,
            riders,
            catalogue: &self.catalogue,
            previous,
        }
    }
}
