//! What pages, the API and the command line show of incidents and clocks. Every number in a view comes from the
//! ledger, replayed at the instant that was asked for.

mod clock;
mod dispute;
mod incident;
mod moment;
mod offers;
mod overview;
mod places;
mod queue;
pub(crate) mod schema;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use upheld_agreement::explain::Explanation;
use upheld_model::{
    AssetId, Cause, CheckId, ClientId, IncidentClass, IncidentKind, IncidentNumber, IncidentRef, SiteId,
};
use upheld_store::{ReadTx, Tx, incidents::IncidentRow};
use utoipa::ToSchema;

use crate::{
    Actor, Desk, DeskError, SignedIn, audit,
    case::Case,
    commissioning::CommissioningReminder,
    figures::{cost_sentence, owed_if_missed},
    said::ClockSaid,
};

pub use dispute::DisputeView;
pub(crate) use incident::{clock_views, incident_view, minutes};
pub(crate) use moment::Moments;
pub use offers::Offers;
pub use overview::{ClientLine, DAYS, Day, Overview, PauseToDispute, SystemDays};
pub use places::{ClientPlaces, Places, SitePlace};

/// How much of an address is written into the audit log.
const ADDRESS_CHARS_MAX: usize = 300;

/// Whose incidents a reader may see (SECURITY 23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The provider's people: every client.
    Provider,
    /// One client's people.
    Client(ClientId),
}

impl Scope {
    /// The one client; `None` for all.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Provider => None,
            Self::Client(client) => Some(client),
        }
    }

    /// Whether this client's rows may be seen.
    pub fn includes(&self, client: &ClientId) -> bool {
        self.client().is_none_or(|own| own == client)
    }
}

/// One clock at one instant (TERMS 5).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ClockView {
    /// The stage: `acknowledge`, `respond`, `on-site`, `resolve`, …
    pub stage: String,
    /// The manners that satisfy it; empty when any does.
    pub manner: Vec<String>,
    /// `scheduled`, `running`, `paused`, `met`, `met-late`, `cancelled`.
    pub state: String,
    /// Whether seconds count at this instant: a running clock outside coverage does not (F5).
    pub is_counting: bool,
    /// Where the clock starts; `None` while it waits for another stage.
    pub started_at: Option<Timestamp>,
    /// Seconds counted so far.
    pub counted_s: u64,
    /// Counted seconds that are promised.
    pub target_s: u64,
    /// Counted seconds left; 0 once due, `None` when it has no due.
    pub remaining_s: Option<u64>,
    /// The share of the target that is used, in thousandths; above 1000 when overdue.
    pub used_permille: u64,
    /// When it is due; `None` while paused without end, before it began, or never.
    pub due: Option<Timestamp>,
    /// The zone in which the due is to be read, the agreement's.
    pub time_zone: String,
    /// The due in that zone, for people: `2026-11-17 14:55:00 CST`.
    pub due_local: Option<String>,
    /// When it was missed: the due instant, never our waking (F6).
    pub breached_at: Option<Timestamp>,
    /// When it was satisfied.
    pub satisfied_at: Option<Timestamp>,
    /// How, in words: `phone with plant manager`.
    pub satisfied_by: Option<String>,
    /// Why it stands, while it is paused.
    pub pause: Option<PauseSaid>,
    /// When it counts again, while it runs outside hours.
    pub counts_again: Option<Timestamp>,
    /// Where the target that governs is written.
    pub source: String,
    /// All of it in words.
    pub said: ClockSaid,
}

/// A pause that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PauseSaid {
    /// Since when.
    pub since: Timestamp,
    /// The reasons, by the agreement's names.
    pub reasons: Vec<String>,
    /// When it ends by itself at the latest (F4).
    pub ends: Option<Timestamp>,
}

/// The manufacturer's own clock at one instant (TERMS 2).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ManufacturerClockView {
    /// Who.
    pub maker: String,
    /// His name for people.
    pub name: String,
    /// `not-handed-over`, `waiting`, `answered`, `not-needed`.
    pub state: String,
    /// When he was handed it.
    pub handed_over_at: Option<Timestamp>,
    /// His number for it.
    pub reference: Option<String>,
    /// Seconds of his hours counted so far.
    pub counted_s: u64,
    /// When he has promised to answer.
    pub due: Option<Timestamp>,
    /// His due that passed without an answer.
    pub breached_at: Option<Timestamp>,
    /// When he answered.
    pub answered_at: Option<Timestamp>,
    /// All of it in a sentence, its times in the zone of the agreement's clocks.
    pub sentence: String,
}

/// Rows of the queue by time, as UX 2.2 orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueGroup {
    /// A clock has run out.
    Overdue,
    /// Within the hour.
    WithinHour,
    /// Later on the same day, by the agreement's zone.
    LaterToday,
    /// On another day.
    Later,
    /// Running, not counting.
    OutsideHours,
    /// Paused.
    Paused,
    /// No clock runs: none promised, or all satisfied.
    NoClock,
}

/// One open incident in the queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueRow {
    /// The incident.
    pub incident: IncidentRef,
    /// Its group.
    pub group: QueueGroup,
    /// Its generated title.
    pub title: String,
    /// Whether nothing is wrong and somebody sees whether a real one would be told: it counts nowhere.
    #[serde(rename = "drill")]
    pub is_drill: bool,
    /// The client's name for people.
    pub client_name: String,
    /// The site.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The root asset.
    pub asset: Option<AssetId>,
    /// Its class.
    pub class: IncidentClass,
    /// Its kind.
    pub kind: IncidentKind,
    /// Its state: `open`, `taken`, `in-progress`, `watching`.
    pub state: String,
    /// P1 to P5; `None` without an agreement.
    pub priority: Option<String>,
    /// The plan's name and the riders', as the client reads them; `None` without an agreement.
    pub plan: Option<String>,
    /// Who took it.
    pub owner: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The clock that runs out first.
    pub clock: Option<ClockView>,
}

/// The queue at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queue {
    /// The instant.
    pub as_of: Timestamp,
    /// Open incidents, by group, then by time left on the clock that runs out first.
    pub rows: Vec<QueueRow>,
    /// The restore that waits for the provider's people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<crate::Recovery>,
    /// Sites that have been in commissioning for long, for the provider's people.
    pub commissioning: Vec<CommissioningReminder>,
    /// Assets that are watched: those of the book that have a check.
    pub assets: u64,
    /// Agents that may report, for the empty queue's sentence.
    pub agents: u64,
    /// When any agent last reported.
    pub last_report: Option<Timestamp>,
}

/// Which terms an incident has.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum TermsView {
    /// Pinned terms (F2).
    Pinned {
        /// The agreement's number.
        agreement: String,
        /// The version's label.
        version: String,
        /// The hash of the pinned terms.
        hash: String,
        /// P1 to P5.
        priority: String,
        /// Why these terms, a line each.
        because: Vec<String>,
    },
    /// None promised: the refusal's name and its sentence (F1).
    None {
        /// The refusal's name: `no-agreement`, `not-in-force`, `site-not-covered`, …
        refusal: String,
        /// The sentence.
        why: String,
    },
}

/// What brought an incident about, and who says so.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CauseView {
    /// The cause: `utility`, `component`, …
    #[schema(schema_with = schema::cause)]
    pub cause: Cause,
    /// How sure that is, in percent.
    pub confidence_percent: u8,
    /// Who says so: a rule's id or a person's name.
    pub by: String,
}

/// What a person reported.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReportView {
    /// The report's id.
    pub id: String,
    /// Who reported it.
    pub by: String,
    /// When he says he called.
    pub called_at: Timestamp,
    /// The collector's stamp: when it was entered.
    pub entered_at: Timestamp,
    /// By whom.
    pub entered_by: String,
    /// In his words.
    pub text: String,
}

/// One entry of an incident's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TimelineEntry {
    /// The number of the fact, under which it can be disputed; `None` for what is known by itself.
    pub number: Option<u64>,
    /// When it took effect.
    pub effective_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What: `detected`, `opened`, `acknowledged`, `responded`, `paused`, `restored`, …
    pub what: String,
    /// Who, by name; `None` for the collector.
    pub who: Option<String>,
    /// In words.
    pub text: String,
}

/// One message that told somebody, or will.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryView {
    /// The event: `incident.opened`, `clock.breached`, …
    pub event: String,
    /// The channel of the book.
    pub channel: String,
    /// The key under which the receiver can recognise it.
    pub key: String,
    /// `pending`, `leased`, `delivered`, `failed`.
    pub status: String,
    /// The receiver's reference, where it gave one.
    pub reference: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt said.
    pub last_error: Option<String>,
}

/// Another incident that has to do with this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Related {
    /// Which.
    #[schema(value_type = String)]
    pub incident: IncidentRef,
    /// Its title.
    pub title: String,
}

/// One incident at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IncidentView {
    /// Its reference.
    #[schema(value_type = String)]
    pub incident: IncidentRef,
    /// The key that derives from its content (DELIVERY 3).
    pub key: String,
    /// Its generated title.
    pub title: String,
    /// Whether nothing is wrong and somebody sees whether a real one would be told: it counts nowhere.
    #[serde(rename = "drill")]
    pub is_drill: bool,
    /// The client's name for people.
    pub client_name: String,
    /// The site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The zone in which its times are read: the agreement's, or the site's where nothing is promised.
    pub time_zone: String,
    /// The root asset.
    #[schema(value_type = Option<String>)]
    pub asset: Option<AssetId>,
    /// The check that opened it.
    #[schema(value_type = Option<String>)]
    pub check: Option<CheckId>,
    /// Its class.
    #[schema(schema_with = schema::class)]
    pub class: IncidentClass,
    /// Its kind.
    #[schema(schema_with = schema::kind)]
    pub kind: IncidentKind,
    /// Its state.
    pub state: String,
    /// Counts what happened to it; a command may name the one that its giver saw.
    pub revision: u64,
    /// Who took it.
    pub owner: Option<String>,
    /// What brought it about.
    pub cause: CauseView,
    /// The incident that it is a part of.
    #[schema(value_type = Option<String>)]
    pub merged_into: Option<IncidentRef>,
    /// The incident whose cause brought it about, or may have (DETECTION 4.2).
    pub brought_about_by: Option<Related>,
    /// What this one brought about that did not come back by itself, each an incident of its own.
    pub did_not_come_back: Vec<Related>,
    /// What people reported about it, the oldest first.
    pub reports: Vec<ReportView>,
    /// The fault began no earlier than this; `None` when nothing good was ever seen.
    pub started_after: Option<Timestamp>,
    /// The fault began no later than this.
    pub started_by: Timestamp,
    /// The agent confirmed it.
    pub detected_at: Timestamp,
    /// The collector committed it (F11).
    pub received_at: Timestamp,
    /// The incident was opened.
    pub opened_at: Timestamp,
    /// It was restored.
    pub restored_at: Option<Timestamp>,
    /// It was resolved.
    pub resolved_at: Option<Timestamp>,
    /// What happened at opening, in the device's words.
    pub evidence: Option<String>,
    /// Its terms.
    pub terms: TermsView,
    /// Its clocks, the one that runs out first at the head.
    pub clocks: Vec<ClockView>,
    /// The manufacturer's own clock beside them, where he promises anything.
    pub manufacturer: Option<ManufacturerClockView>,
    /// What the client disputes, or did: counted both ways until settled (F13).
    pub disputes: Vec<DisputeView>,
    /// What an hour's work would cost now and at the next opening, and what the downtime has cost so far: the sentence of
    /// `cost`. Said where one open incident is asked for, not in lists.
    pub cost: Option<String>,
    /// What is owed if what is promised here is missed, in the agreement's sentences. Said like `cost`.
    pub owed_if_missed: Vec<String>,
    /// What can be done to it as it stands.
    pub offers: Offers,
    /// What happened, oldest first by effective time.
    pub timeline: Vec<TimelineEntry>,
    /// Who was told, or will be.
    pub deliveries: Vec<DeliveryView>,
}

/// Why each clock of an incident is due when it is (F10).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The incident.
    pub incident: IncidentRef,
    /// For a person: one table per clock, then why these terms.
    pub text: String,
    /// One explanation per clock.
    pub clocks: Vec<Explanation>,
    /// How it stands with the manufacturer, in a sentence.
    pub manufacturer: Option<String>,
}

impl Desk {
    /// Open incidents, the most urgent first.
    pub async fn queue(&self, scope: &Scope, now: Timestamp) -> Result<Queue, DeskError> {
        let (scope, shared) = (scope.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.queue", move |tx| {
                let book = shared.books.current(tx)?;
                queue::queue(tx, &book, &scope, now)
            })
            .await
    }

    /// One incident. Another client's is [`DeskError::NoSuchIncident`], as one that does not exist.
    pub async fn incident(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        now: Timestamp,
    ) -> Result<IncidentView, DeskError> {
        self.note_denial(scope, incident, &Actor::Collector, now).await?;
        let (scope, incident, shared) = (scope.clone(), incident.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.incident", move |tx| {
                let book = shared.books.current(tx)?;
                let case = Case::open(tx, find(tx, &scope, &incident)?)?;
                let view = incident_view(tx, &book, &case, now)?;
                let owed_if_missed = owed_if_missed(&book, &case, &view.clocks, now);
                Ok(IncidentView { cost: cost_sentence(&book, &case, now), owed_if_missed, ..view })
            })
            .await
    }

    /// The newest incidents, open or not, at most `limit`; with `after` those that come after that one in the list.
    pub async fn incidents(
        &self,
        scope: &Scope,
        after: Option<&IncidentRef>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<IncidentView>, DeskError> {
        let (scope, after, shared) = (scope.clone(), after.cloned(), Arc::clone(&self.shared));
        self.store
            .read("desk.incidents", move |tx| {
                let book = shared.books.current(tx)?;
                let rows = match &after {
                    Some(after) => tx.older_incidents(scope.client(), after, limit)?,
                    None => tx.newest_incidents(scope.client(), limit)?,
                };
                rows.into_iter().map(|row| incident_view(tx, &book, &Case::open(tx, row)?, now)).collect()
            })
            .await
    }

    /// Why each clock is due when it is.
    pub async fn explain(&self, scope: &Scope, incident: &IncidentRef, now: Timestamp) -> Result<Explained, DeskError> {
        self.note_denial(scope, incident, &Actor::Collector, now).await?;
        let (scope, incident) = (scope.clone(), incident.clone());
        self.store
            .read("desk.explain", move |tx| {
                let case = Case::open(tx, find(tx, &scope, &incident)?)?;
                incident::explain(tx, &case, now)
            })
            .await
    }

    /// The incident that a person means by `INC-7` or `client/INC-7`: a bare number is looked for among all clients
    /// in scope, and more than one match is [`DeskError::Ambiguous`], which lists them.
    pub async fn find_incident(&self, scope: &Scope, text: &str) -> Result<IncidentRef, DeskError> {
        let unknown = || DeskError::NoSuchIncident(text.chars().take(80).collect());
        if let Ok(whole) = text.parse::<IncidentRef>() {
            let scope = scope.clone();
            self.store.read("desk.find_incident", move |tx| find(tx, &scope, &whole).map(|_| whole)).await
        } else {
            let number: IncidentNumber = text.parse().map_err(|_| unknown())?;
            let (scope, given) = (scope.clone(), text.to_owned());
            let found: Vec<_> = self
                .store
                .read("desk.find_incident", move |tx| tx.incidents_numbered(number).map_err(DeskError::from))
                .await?
                .into_iter()
                .filter(|row| scope.includes(&row.client))
                .map(|row| IncidentRef { client: row.client, number: row.number })
                .collect();
            match <[IncidentRef; 1]>::try_from(found) {
                Ok([one]) => Ok(one),
                Err(none) if none.is_empty() => Err(unknown()),
                Err(many) => {
                    Err(DeskError::Ambiguous { given, candidates: many.iter().map(ToString::to_string).collect() })
                }
            }
        }
    }
}

impl Desk {
    /// Writes a look at another client's incident into the audit log (SECURITY 35), whether the incident exists or
    /// not; the asker is told the same either way.
    pub(crate) async fn note_denial(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        who: &Actor,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        self.note_denied(scope, &incident.client, serde_json::json!(incident), who, now).await
    }

    /// Notes in the audit log that somebody asked at this address for what is another client's, whether it exists or not
    /// (SECURITY 35).
    pub async fn deny(&self, who: &SignedIn, address: &str, now: Timestamp) -> Result<(), DeskError> {
        let (actor, own) = (who.actor.clone(), who.scope.client().cloned());
        let detail = serde_json::json!({ "asked_for": address.chars().take(ADDRESS_CHARS_MAX).collect::<String>() });
        let now = crate::clock::stored(now);
        let note = move |tx: &mut dyn Tx| audit::note(tx, now, &actor, own.as_ref(), "access.denied", &detail);
        self.store.write("desk.deny", note).await
    }

    /// Notes in the audit log that somebody asked for what is another client's (SECURITY 35); by the collector where a
    /// look does not say who looks, which the portal's gate has noted before ([`Desk::deny`]).
    pub(crate) async fn note_denied(
        &self,
        scope: &Scope,
        client: &ClientId,
        asked_for: serde_json::Value,
        who: &Actor,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let Some(own) = scope.client().filter(|own| *own != client).cloned() else { return Ok(()) };
        let detail = serde_json::json!({ "asked_for": asked_for });
        let (who, now) = (who.clone(), crate::clock::stored(now));
        let note = move |tx: &mut dyn Tx| audit::note(tx, now, &who, Some(&own), "access.denied", &detail);
        self.store.write("desk.note_denial", note).await
    }
}

/// The row of an incident, if it is in scope.
pub(crate) fn find(tx: &dyn ReadTx, scope: &Scope, incident: &IncidentRef) -> Result<IncidentRow, DeskError> {
    let row = if scope.includes(&incident.client) { tx.incident(&incident.client, incident.number)? } else { None };
    row.ok_or_else(|| DeskError::NoSuchIncident(incident.to_string()))
}
