//! A site's commissioning (DETECTION 3): what was found while it was set up, and what the provider makes of it.
//!
//! A site is being commissioned until `commissioned = DATE` of its file has come. Everything is measured and listed,
//! nothing is ticketed. [`Desk::as_found`] is the list, any time; [`Desk::open_as_found`] makes ordinary incidents of
//! what the provider ticks once commissioning has ended. Their clocks count from that moment: until then nothing was
//! promised (TERMS F11), and downtime is counted from the date as everywhere. Ending it opens nothing by itself.
//! Where to look next: [`open`] for the ticking, [`say`] for the sentences.

mod open;
pub(crate) mod say;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_agreement::book::Site;
use upheld_detection::{
    incident::{Incident, IncidentState},
    uptime::Span,
};
use upheld_model::{AssetClass, AssetId, CheckId, ClientId, IncidentKind, IncidentRef, SiteId};
use upheld_store::{ReadTx, agents::AgentStatus};

use crate::{Desk, DeskError, book::CurrentBook, case::read_incident, facts, plan, site};

pub use open::CommissionError;

/// After so long in commissioning the provider is reminded (DETECTION 3).
pub const REMINDED_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was found while a site was commissioned, as of an instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AsFound {
    /// Whose.
    pub client: ClientId,
    /// Which site.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The zone in which its times are read.
    pub time_zone: String,
    /// When the first agent was enrolled there; `None` while nothing watches it.
    pub since: Option<Timestamp>,
    /// From when on it is commissioned, as the book says; `None` while the site file has no date.
    pub commissioned: Option<Timestamp>,
    /// Whether that has come.
    pub is_over: bool,
    /// The instant of the report.
    pub as_of: Timestamp,
    /// What was found, by asset; assets with nothing to say are left out.
    pub assets: Vec<AssetFound>,
    /// How many assets have nothing to say.
    pub without_findings: usize,
}

/// What was found on one asset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssetFound {
    /// Which; `None` for what is about the site or its agents.
    pub asset: Option<AssetId>,
    /// What it is; `None` when the book has it no more.
    pub class: Option<AssetClass>,
    /// Failures, open ones and those that passed, and risks.
    pub incidents: Vec<FoundIncident>,
    /// Checks that warned.
    pub degraded: Vec<FoundDegraded>,
    /// Checks that nobody judges at the instant of the report.
    pub unknown: Vec<CheckId>,
    /// Whether no check of the book looks at it.
    pub is_unwatched: bool,
    /// The same in sentences.
    pub sentences: Vec<String>,
}

/// One incident that was listed as found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundIncident {
    /// Its reference.
    pub incident: IncidentRef,
    /// Its sentence.
    pub title: String,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// How it stands: `failing`, `passed`, or `opened` once the provider made an incident of it.
    pub stands: Stands,
    /// The fault began no later than this.
    pub began: Timestamp,
    /// When it worked again.
    pub restored_at: Option<Timestamp>,
    /// When the provider opened it.
    pub opened_at: Option<Timestamp>,
}

/// How something that was found stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// It still fails, and nobody deals with it.
    Failing,
    /// It worked again, or a person dismissed it.
    Passed,
    /// The provider made an ordinary incident of it.
    Opened,
}

/// A check that warned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundDegraded {
    /// Which.
    pub check: CheckId,
    /// When it warned first.
    pub first: Timestamp,
    /// When it warned last.
    pub last: Timestamp,
    /// For how long in all, in seconds.
    pub total_s: u64,
}

/// A site that has been in commissioning for long: nothing there is ticketed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommissioningReminder {
    /// Whose.
    pub client: ClientId,
    /// The client's name for people.
    pub client_name: String,
    /// Which site.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// Since when.
    pub since: Timestamp,
}

impl Desk {
    /// What was found while a site was commissioned; so far, where it still is.
    pub async fn as_found(&self, client: &ClientId, site: &SiteId, now: Timestamp) -> Result<AsFound, DeskError> {
        let (client, site, shared) = (client.clone(), site.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.as_found", move |tx| {
                let book = shared.books.current(tx)?;
                let entry = book.book.site(&client, &site);
                let entry = entry.ok_or_else(|| DeskError::NoSuchPlace(format!("{client}/{site}")))?;
                report(tx, &book, (&client, entry), now)
            })
            .await
    }
}

fn report(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    (client, entry): (&ClientId, &Site),
    now: Timestamp,
) -> Result<AsFound, DeskError> {
    let since = since(tx, client, &entry.id)?;
    let commissioned = entry.commissioned_at();
    let until = commissioned.map_or(now, |end| end.min(now));
    let mut found: BTreeMap<Option<AssetId>, AssetFound> = BTreeMap::new();
    for (id, asset) in &entry.assets {
        let is_unwatched =
            asset.checks.is_empty() && asset.jobs.is_empty() && !entry.unbuilt().any(|check| check.id.asset == *id);
        let class = Some(asset.class);
        found.insert(Some(id.clone()), AssetFound { class, is_unwatched, ..AssetFound::of(Some(id.clone())) });
    }
    for (reference, incident) in listed(tx, client, &entry.id)? {
        of(&mut found, incident.root.asset()).incidents.extend(FoundIncident::of(reference, &incident));
    }
    let begun = since.unwrap_or(until).min(until);
    if let Some(plan) = book.sites.plan(&book.book, client, &entry.id, now)? {
        for (check, spans) in facts::degraded(tx, &plan, Span { from: begun, to: until })? {
            of(&mut found, Some(&check.asset)).degraded.extend(FoundDegraded::of(&check, &spans));
        }
        for check in site::unknown_checks(tx, client, &entry.id, plan.checks.keys(), now)? {
            of(&mut found, Some(&check.asset)).unknown.push(check);
        }
    }
    let zone = plan::zone_of(entry);
    let mut assets: Vec<AssetFound> = found.into_values().collect();
    for asset in &mut assets {
        asset.incidents.sort_by_key(|found| (found.stands != Stands::Failing, found.began));
        asset.sentences = say::sentences(asset, &zone);
    }
    let all = assets.len();
    assets.retain(|asset| !asset.sentences.is_empty());
    Ok(AsFound {
        client: client.clone(),
        site: entry.id.clone(),
        site_name: entry.name.clone(),
        time_zone: entry.zone.clone(),
        since,
        commissioned,
        is_over: is_over(entry, now),
        as_of: now,
        without_findings: all - assets.len(),
        assets,
    })
}

/// What was found on an asset, which the book may have no more.
fn of<'a>(found: &'a mut BTreeMap<Option<AssetId>, AssetFound>, asset: Option<&AssetId>) -> &'a mut AssetFound {
    found.entry(asset.cloned()).or_insert_with(|| AssetFound::of(asset.cloned()))
}

/// Whether a site's commissioning has ended.
fn is_over(entry: &Site, now: Timestamp) -> bool {
    entry.commissioned_at().is_some_and(|end| end <= now)
}

/// Since when something could be found: when the first agent was enrolled there.
fn since(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<Option<Timestamp>, DeskError> {
    let agents = tx.agents(Some(client))?.into_iter().filter(|agent| agent.site == *site);
    Ok(agents.map(|agent| agent.enrolled_at).min())
}

/// Everything that was listed as found, whatever became of it; what passed before it was an incident is none.
fn listed(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<Vec<(IncidentRef, Incident)>, DeskError> {
    let mut listed = Vec::new();
    for row in tx.incidents_of_site(client, site, Timestamp::UNIX_EPOCH)? {
        let incident = read_incident(&row)?;
        if incident.was_found_in_commissioning() && incident.opened.is_some() {
            listed.push((IncidentRef { client: row.client, number: row.number }, incident));
        }
    }
    Ok(listed)
}

/// The sites that have been in commissioning for long, without a date at which it ends.
pub(crate) fn reminders(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    now: Timestamp,
) -> Result<Vec<CommissioningReminder>, DeskError> {
    let mut first: BTreeMap<(ClientId, SiteId), Timestamp> = BTreeMap::new();
    for agent in tx.agents(None)?.into_iter().filter(|agent| agent.status == AgentStatus::Active) {
        let held = first.entry((agent.client, agent.site)).or_insert(agent.enrolled_at);
        *held = agent.enrolled_at.min(*held);
    }
    let long = first.into_iter().filter(|(_, since)| now.duration_since(*since) >= REMINDED_AFTER);
    Ok(long
        .filter_map(|((client, site), since)| {
            let entry = book.book.client(&client)?;
            let place = entry.sites.get(&site).filter(|place| place.commissioned_at().is_none())?;
            let (client_name, site_name) = (entry.name.clone(), place.name.clone());
            Some(CommissioningReminder { client, client_name, site, site_name, since })
        })
        .collect())
}

impl AssetFound {
    fn of(asset: Option<AssetId>) -> Self {
        Self {
            asset,
            class: None,
            incidents: Vec::new(),
            degraded: Vec::new(),
            unknown: Vec::new(),
            is_unwatched: false,
            sentences: Vec::new(),
        }
    }
}

impl FoundIncident {
    /// `None` for what is part of another one.
    fn of(reference: IncidentRef, incident: &Incident) -> Option<Self> {
        let fails = match &incident.state {
            IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. } => true,
            IncidentState::Watching { .. }
            | IncidentState::Resolved { .. }
            | IncidentState::Closed { .. }
            | IncidentState::Dismissed { .. } => false,
            IncidentState::Candidate { .. } | IncidentState::Merged { .. } => return None,
        };
        let stands = match (incident.taken_on, fails) {
            (Some(_), _) => Stands::Opened,
            (None, true) => Stands::Failing,
            (None, false) => Stands::Passed,
        };
        Some(Self {
            incident: reference,
            title: incident.title.clone(),
            kind: incident.kind,
            stands,
            began: incident.started.not_after,
            restored_at: incident.restored,
            opened_at: incident.taken_on,
        })
    }
}

impl FoundDegraded {
    pub(crate) fn of(check: &CheckId, spans: &[Span]) -> Option<Self> {
        let (first, last) = (spans.iter().map(|span| span.from).min()?, spans.iter().map(|span| span.to).max()?);
        let total: i64 = spans.iter().map(|span| span.to.duration_since(span.from).as_secs().max(0)).sum();
        Some(Self { check: check.clone(), first, last, total_s: total.unsigned_abs() })
    }
}
