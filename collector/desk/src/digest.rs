//! The digest: what needs somebody's eye in a period and pages nobody (DETECTION 3, 4.8).
//!
//! Incidents that were over when they arrived, that are `unstable`, `at-risk`, `noncompliant` or `lingering`, and what
//! warned without an incident. Read as of an instant, for one client or all; nothing is sent from here. Sites that the
//! book has no more are left out.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_agreement::book::Site;
use upheld_detection::{
    incident::{Handling, Incident},
    uptime::Span,
};
use upheld_model::{AssetId, ClientId, IncidentKind, IncidentRef, SiteId};
use upheld_store::ReadTx;

use crate::{
    Desk, DeskError, Scope,
    book::CurrentBook,
    case::read_incident,
    commissioning::{FoundDegraded, say},
    facts, plan,
};

/// What needs somebody's eye.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Digest {
    /// From when on.
    pub since: Timestamp,
    /// Until when.
    pub as_of: Timestamp,
    /// By client and site; those with nothing to say are left out.
    pub sites: Vec<SiteDigest>,
}

/// One site's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteDigest {
    /// Whose.
    pub client: ClientId,
    /// The client's name for people.
    pub client_name: String,
    /// Which site.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The zone in which its times are read.
    pub time_zone: String,
    /// Incidents, the oldest first.
    pub incidents: Vec<DigestIncident>,
    /// Assets that warned, the longest first.
    pub degraded: Vec<DegradedAsset>,
    /// The same in sentences.
    pub sentences: Vec<String>,
}

/// One incident on the digest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DigestIncident {
    /// Its reference.
    pub incident: IncidentRef,
    /// Why it stands here.
    pub why: Why,
    /// Its sentence.
    pub title: String,
    /// Its root asset.
    pub asset: Option<AssetId>,
    /// Its state.
    pub state: String,
    /// It began no later than this.
    pub began: Timestamp,
    /// When it was over.
    pub restored_at: Option<Timestamp>,
}

/// Why an incident stands on the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was over when it arrived.
    Retroactive,
    /// It comes again and again.
    Unstable,
    /// It will fail.
    AtRisk,
    /// It is not as was promised.
    Noncompliant,
    /// It has been a little wrong for long.
    Lingering,
}

/// One asset that warned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DegradedAsset {
    /// Which.
    pub asset: AssetId,
    /// By which checks, and for how long within the period.
    pub checks: Vec<FoundDegraded>,
}

impl Desk {
    /// The digest of everything since an instant, for one client or, where the scope allows, all.
    pub async fn digest(
        &self,
        scope: &Scope,
        client: Option<&ClientId>,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Digest, DeskError> {
        let (scope, client, shared) = (scope.clone(), client.cloned(), Arc::clone(&self.shared));
        self.store
            .read("desk.digest", move |tx| {
                let book = shared.books.current(tx)?;
                let is_asked = |id: &ClientId| scope.includes(id) && client.as_ref().is_none_or(|only| only == id);
                if let Some(only) = client.as_ref().filter(|only| !is_asked(only) || book.book.client(only).is_none()) {
                    return Err(DeskError::NoSuchPlace(only.to_string()));
                }
                let mut sites = Vec::new();
                for (id, entry) in book.book.clients.iter().filter(|(id, _)| is_asked(id)) {
                    for site in entry.sites.values() {
                        let period = Span { from: since, to: now };
                        sites.push(of_site(tx, &book, (id, &entry.name), site, period)?);
                    }
                }
                sites.retain(|site| !site.sentences.is_empty());
                Ok(Digest { since, as_of: now, sites })
            })
            .await
    }
}

fn of_site(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    (client, client_name): (&ClientId, &str),
    entry: &Site,
    period: Span,
) -> Result<SiteDigest, DeskError> {
    let mut incidents = Vec::new();
    for row in tx.incidents_of_site(client, &entry.id, period.from)? {
        let incident = read_incident(&row)?;
        let reference = IncidentRef { client: row.client, number: row.number };
        incidents.extend(DigestIncident::of(reference, &incident).filter(|one| one.began < period.to));
    }
    incidents.sort_by_key(|incident| incident.began);
    let mut degraded: BTreeMap<AssetId, Vec<FoundDegraded>> = BTreeMap::new();
    if let Some(plan) = book.sites.plan(&book.book, client, &entry.id, period.to)? {
        for (check, spans) in facts::degraded(tx, &plan, period)? {
            degraded.entry(check.asset.clone()).or_default().extend(FoundDegraded::of(&check, &spans));
        }
    }
    let mut degraded: Vec<_> = degraded.into_iter().map(|(asset, checks)| DegradedAsset { asset, checks }).collect();
    degraded.sort_by_key(|asset| std::cmp::Reverse(asset.checks.iter().map(|check| check.total_s).max()));
    let zone = plan::zone_of(entry);
    let mut sentences: Vec<String> = incidents.iter().map(|incident| sentence(incident, &zone)).collect();
    sentences.extend(degraded.iter().flat_map(|asset| {
        asset.checks.iter().map(|check| format!("{}: {}", asset.asset, say::degraded(check, &zone)))
    }));
    Ok(SiteDigest {
        client: client.clone(),
        client_name: client_name.to_owned(),
        site: entry.id.clone(),
        site_name: entry.name.clone(),
        time_zone: entry.zone.clone(),
        incidents,
        degraded,
        sentences,
    })
}

impl DigestIncident {
    /// `None` for what people are told of otherwise, or that is listed as found.
    fn of(reference: IncidentRef, incident: &Incident) -> Option<Self> {
        let why = match (incident.kind, incident.handling) {
            (_, Handling::AsFound) => return None,
            (IncidentKind::Unstable, _) => Why::Unstable,
            (IncidentKind::AtRisk, _) => Why::AtRisk,
            (IncidentKind::Noncompliant, _) => Why::Noncompliant,
            (IncidentKind::Lingering, _) => Why::Lingering,
            (
                IncidentKind::Down | IncidentKind::Degraded | IncidentKind::Silent | IncidentKind::Reported,
                Handling::Retroactive,
            ) => Why::Retroactive,
            (
                IncidentKind::Down | IncidentKind::Degraded | IncidentKind::Silent | IncidentKind::Reported,
                Handling::Desk | Handling::Cause,
            ) => return None,
        };
        incident.opened?;
        Some(Self {
            incident: reference,
            why,
            title: incident.title.clone(),
            asset: incident.root.asset().cloned(),
            state: incident.state.word().to_owned(),
            began: incident.started.not_after,
            restored_at: incident.restored,
        })
    }
}

fn sentence(incident: &DigestIncident, zone: &TimeZone) -> String {
    let DigestIncident { incident, why, title, state, began, restored_at, .. } = incident;
    let word = match why {
        Why::Retroactive => "Over when it was told",
        Why::Unstable => "Unstable",
        Why::AtRisk => "At risk",
        Why::Noncompliant => "Not as promised",
        Why::Lingering => "Lingering",
    };
    let when = match restored_at {
        Some(over) => format!("from {} to {}", say::local(*began, zone), say::local(*over, zone)),
        None => format!("since {}", say::local(*began, zone)),
    };
    format!("{word} {when} ({}, {state}): {title}.", incident.number)
}
