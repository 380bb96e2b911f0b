//! What pages, the API and the command line show of incidents and clocks. Every number in a view comes from the
//! ledger, replayed at the instant that was asked for.

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{AssetId, CheckId, ClientId, IncidentClass, IncidentKind, IncidentRef, SiteId};

use crate::{Desk, DeskError};

/// Whose incidents a reader may see (SECURITY 23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The provider's people: every client.
    Provider,
    /// One client's people.
    Client(ClientId),
}

/// One clock at one instant (TERMS 5).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClockView {
    /// The stage: `acknowledge`, `respond`, `on-site`, `resolve`, …
    pub stage: String,
    /// The manners that satisfy it; empty when any does.
    pub manner: Vec<String>,
    /// `scheduled`, `running`, `paused`, `met`, `met-late`, `cancelled`, `never-due`.
    pub state: String,
    /// Whether seconds count at this instant: a running clock outside coverage does not (F5).
    pub is_counting: bool,
    /// Where the clock starts.
    pub started_at: Timestamp,
    /// Seconds counted so far.
    pub counted_s: u64,
    /// Seconds left; 0 once due, `None` when it has no due or was met.
    pub remaining_s: Option<u64>,
    /// The share of the target that is used, in thousandths; above 1000 when overdue.
    pub used_permille: u64,
    /// When it is due; `None` while paused without end, or never.
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
}

/// Rows of the queue by time, as UX 2.2 orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueGroup {
    /// A clock has run out.
    Overdue,
    /// Within the hour.
    WithinHour,
    /// Later.
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
    /// Agents that may report, for the empty queue's sentence.
    pub agents: u64,
    /// When any agent last reported.
    pub last_report: Option<Timestamp>,
}

/// Which terms an incident has.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// One entry of an incident's timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEntry {
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// One incident at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentView {
    /// Its reference.
    pub incident: IncidentRef,
    /// The key that derives from its content (DELIVERY 3).
    pub key: String,
    /// Its generated title.
    pub title: String,
    /// The client's name for people.
    pub client_name: String,
    /// The site.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The root asset.
    pub asset: Option<AssetId>,
    /// The check that opened it.
    pub check: Option<CheckId>,
    /// Its class.
    pub class: IncidentClass,
    /// Its kind.
    pub kind: IncidentKind,
    /// Its state.
    pub state: String,
    /// Who took it.
    pub owner: Option<String>,
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
    /// For a person: one table per clock.
    pub text: String,
    /// For a machine: the agreement crate's explanations as they serialise, one per clock.
    pub clocks: Vec<serde_json::Value>,
}

impl Desk {
    /// Open incidents, the most urgent first.
    pub async fn queue(&self, scope: &Scope, now: Timestamp) -> Result<Queue, DeskError> {
        let _ = (scope, now);
        Err(DeskError::NotBuilt("queue"))
    }

    /// One incident. Another client's is [`DeskError::NoSuchIncident`], as one that does not exist.
    pub async fn incident(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        now: Timestamp,
    ) -> Result<IncidentView, DeskError> {
        let _ = (scope, incident, now);
        Err(DeskError::NotBuilt("incident"))
    }

    /// The newest incidents, open or not, at most `limit`.
    pub async fn incidents(&self, scope: &Scope, limit: u32, now: Timestamp) -> Result<Vec<IncidentView>, DeskError> {
        let _ = (scope, limit, now);
        Err(DeskError::NotBuilt("incidents"))
    }

    /// Why each clock is due when it is.
    pub async fn explain(&self, scope: &Scope, incident: &IncidentRef, now: Timestamp) -> Result<Explained, DeskError> {
        let _ = (scope, incident, now);
        Err(DeskError::NotBuilt("explain"))
    }

    /// The incident that a person means by `INC-7` or `client/INC-7`: a bare number is looked for among all clients
    /// in scope, and more than one match is an error that lists them.
    pub async fn find_incident(&self, scope: &Scope, text: &str) -> Result<IncidentRef, DeskError> {
        let _ = scope;
        Err(DeskError::NoSuchIncident(text.to_owned()))
    }
}
