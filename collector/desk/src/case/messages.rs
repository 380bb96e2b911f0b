//! Messages: written in the transaction of what they tell of, under a key that derives from content (DELIVERY 3).

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use upheld_agreement::{
    book::MailKind,
    clock::{Announced, Clock, LateFact, Milestone},
    words::BookName,
};
use upheld_detection::{
    incident::{Change, Desk},
    silence::Together,
};
use upheld_model::{
    AssetId, CheckId, ClientId, Digest, IncidentClass, IncidentKind, IncidentNumber, IncidentRef, SiteId,
    mutant::{Rule, is_broken},
};
use upheld_outbound::{Delivery, EventKind, retry::UNCLEAR};
use upheld_store::{
    Tx,
    outbox::{AttemptRow, OutboxRow, OutboxStatus},
    restores::{BEFORE_THE_LOSS, MAYBE_BEFORE_THE_LOSS},
};

use super::{Case, clocks::state_word, entry::ToldIn, promise::Promise, storm};
use crate::{
    DeskError,
    book::CurrentBook,
    notify::{Audience, kinds, letters, ways},
    recovery::{self, MayBeKnown},
};

/// What a message is about besides the incident.
pub(crate) enum Subject {
    /// The incident itself.
    Incident,
    /// The incident, and what somebody said about it.
    Said {
        /// In his words.
        text: String,
    },
    /// Something that fell due on a clock, or was taken back.
    Milestone {
        /// Which clock: a stage of ours, or `manufacturer`.
        clock: &'static str,
        /// What.
        announced: Announced,
        /// Why it was taken back.
        because: Option<LateFact>,
    },
}

/// The event that a change of detection is for the world; `None` where nobody is told.
pub(crate) fn event_of(change: &Change, desk: Desk) -> Option<EventKind> {
    if let Desk::Begins { .. } = desk {
        return Some(EventKind::IncidentOpened);
    }
    match change {
        Change::Restored => Some(EventKind::IncidentRestored),
        Change::Resolved | Change::Dismissed | Change::Merged => Some(EventKind::IncidentResolved),
        Change::Taken | Change::Assigned { .. } => Some(EventKind::IncidentAcknowledged),
        Change::Responded => Some(EventKind::IncidentResponded),
        Change::CandidateNoted
        | Change::Opened
        | Change::Passed
        | Change::SymptomAdded { .. }
        | Change::SymptomEnded { .. }
        | Change::Relapsed { .. }
        | Change::WatchExtended
        | Change::Reported { .. }
        | Change::CauseSet { .. }
        | Change::CarriesOn
        | Change::Noted { .. }
        | Change::Reopened
        | Change::Closed
        | Change::CauseFound { .. }
        | Change::CauseProposed { .. }
        | Change::Amended => None,
    }
}

/// Sites that fell silent together, as one of them is told.
#[derive(Debug, Clone)]
pub(crate) struct SilentTogether {
    pub(crate) together: Together,
    /// Those of its own client: other clients are counted, never named.
    pub(crate) sites: Vec<SiteId>,
    /// Whether its incident is the one with which the message goes out.
    pub(crate) is_first: bool,
}

/// Puts the messages about sites that fell silent together into the outbox: one for the provider, per channel of the first
/// of them, and one for each client's people, of his own sites. The same told twice is one message.
pub(crate) fn tell_together(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    group: &SilentTogether,
    occurred: Timestamp,
    now: Timestamp,
) -> Result<(), DeskError> {
    #[derive(Serialize)]
    struct Data<'a> {
        title: String,
        /// Somebody is to be disturbed for it.
        page: bool,
        sites: usize,
        clients: usize,
        silent_since: Timestamp,
        /// The first of them; each has its own incident and clock.
        incident: IncidentRef,
        client: &'a ClientId,
        /// Those of this client.
        sites_of_client: &'a [SiteId],
    }
    let Together { sites, clients, since } = group.together;
    let zone = jiff::tz::TimeZone::get(&book.book.provider.zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let data = Data {
        title: group.together.sentence(&zone),
        page: true,
        sites,
        clients,
        silent_since: since,
        incident: case.reference(),
        client: &case.row.client,
        sites_of_client: &group.sites,
    };
    let event = EventKind::SitesSilent;
    for way in ways(book, case, Some(MailKind::Silent)) {
        let channel = way.to_string();
        let (key, audience) = match way.audience() {
            Audience::Provider if !group.is_first => continue,
            Audience::Provider => (key(case, event, &Subject::Incident, &channel, occurred), Audience::Provider),
            // Whichever of his sites is looked at first, it is one mail.
            Audience::Client => {
                let since = since.to_string();
                let mut fields = vec!["upheld-silent-client/1", case.row.client.as_str(), &channel, &since];
                fields.extend(group.sites.iter().map(SiteId::as_str));
                (content_key(&fields), Audience::Client)
            }
        };
        let body = if way.is_mail() {
            letters::body(&letters::silent(book, case, audience, group))?
        } else {
            Delivery::payload(event, occurred, &data)
                .map_err(|error: serde_json::Error| DeskError::unreadable("message", &error))?
        };
        put(tx, (&case.row.client, case.row.number), event, Sealed { channel, key, body, at: now }, now)?;
    }
    Ok(())
}

/// Puts one message per channel into the outbox. The same event told twice is one message.
#[expect(clippy::too_many_arguments, reason = "one place where every message comes together")]
pub(crate) fn tell(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    clocks: &[Clock],
    event: EventKind,
    subject: &Subject,
    occurred: Timestamp,
    now: Timestamp,
) -> Result<(), DeskError> {
    // Of a drill its ticket is told, and that it is over: nothing else happens to it that concerns anybody.
    if case.incident.is_drill() && !matches!(event, EventKind::IncidentOpened | EventKind::IncidentResolved) {
        return Ok(());
    }
    if case.told_in() == Some(&ToldIn::Storm) {
        match event {
            EventKind::IncidentOpened => return storm::tell(tx, book, case, now),
            // It has no ticket of its own that would have to follow.
            EventKind::IncidentAcknowledged
            | EventKind::IncidentResponded
            | EventKind::IncidentRestored
            | EventKind::IncidentResolved => return Ok(()),
            EventKind::IncidentsStorm
            | EventKind::SitesSilent
            | EventKind::IncidentUpdated
            | EventKind::DisputeOpened
            | EventKind::DisputeSettled
            | EventKind::ClockPaused
            | EventKind::ClockResumed
            | EventKind::ClockWarning
            | EventKind::ClockBreached
            | EventKind::ClockWithdrawn
            | EventKind::VisitReported
            | EventKind::BackupMissed
            | EventKind::RestoreVerified
            | EventKind::ClockHandOver
            | EventKind::ManufacturerOverdue
            | EventKind::AgreementAmended
            | EventKind::DigestWeekly
            | EventKind::DeliveryFailed
            | EventKind::ChannelTest => {}
        }
    }
    let unreadable = |error: serde_json::Error| DeskError::unreadable("message", &error);
    for way in ways(book, case, kinds::of_incident(case, event, subject)) {
        let body = if way.is_mail() {
            if !kinds::is_for(way.audience(), case, event) {
                continue;
            }
            letters::body(&letters::of_incident(&*tx, book, case, way.audience(), event, subject, now)?)?
        } else {
            let data = Data::new(book, case, clocks, subject, now);
            Delivery::payload(event, occurred, &data).map_err(unreadable)?
        };
        let channel = way.to_string();
        let key = key(case, event, subject, &channel, occurred);
        let of = (&case.row.client, case.row.number);
        let is_new = put(tx, of, event, Sealed { channel, key: key.clone(), body, at: now }, now)?;
        let opens_ticket = event == EventKind::IncidentOpened && !way.is_mail();
        if !is_new || !opens_ticket {
            continue;
        }
        if let Some(may) = recovery::may_be_known(&*tx, case.incident.started.not_after)? {
            let (worker, started_at) = match may {
                MayBeKnown::Likely => (BEFORE_THE_LOSS, now),
                // It is asked for once, at once: what was made before the loss can be found by now.
                MayBeKnown::ByAWrongClock => (MAYBE_BEFORE_THE_LOSS, now.saturating_sub(UNCLEAR).unwrap_or(now)),
            };
            let worker = worker.to_owned();
            let doubt = AttemptRow { attempt: 1, worker, started_at, ended_at: None, outcome: None };
            tx.begin_attempt(&case.row.client, &key, &doubt)?;
        }
    }
    Ok(())
}

/// A message as it goes out.
pub(crate) struct Sealed {
    pub(crate) channel: String,
    pub(crate) key: String,
    pub(crate) body: String,
    /// Not before this.
    pub(crate) at: Timestamp,
}

/// The number under which the outbox holds what is about no single incident.
pub(crate) const NO_INCIDENT: IncidentNumber = IncidentNumber(0);

/// Puts a message into the outbox, about an incident of a client or, by [`NO_INCIDENT`], about none. Whether it was not
/// there yet.
pub(crate) fn put(
    tx: &mut dyn Tx,
    (client, number): (&ClientId, IncidentNumber),
    event: EventKind,
    sealed: Sealed,
    now: Timestamp,
) -> Result<bool, DeskError> {
    let Sealed { channel, key, body, at } = sealed;
    let row = OutboxRow {
        client: client.clone(),
        key,
        number,
        event: event.as_str().to_owned(),
        channel,
        body,
        created_at: now,
        status: OutboxStatus::Pending,
        next_attempt_at: Some(at),
        lease_owner: None,
        attempts: 0,
        reference: None,
        delivered_at: None,
        last_error: None,
    };
    Ok(tx.insert_message(&row)?)
}

/// The same content gives the same key on every collector. The ticket's key holds nothing but the incident: there is
/// one ticket, whatever happens to the clocks.
fn key(case: &Case, event: EventKind, subject: &Subject, channel: &str, occurred: Timestamp) -> String {
    let (incident, occurred) = (case.row.incident_key.to_string(), occurred.to_string());
    let mut fields = vec!["upheld-message/1", &incident, channel, event.as_str()];
    match subject {
        Subject::Incident if event == EventKind::IncidentOpened && is_broken(Rule::KeyIsContent) => {
            return content_key(&["upheld-message/1", &incident, channel, &case.incident.received.to_string()]);
        }
        Subject::Incident if event == EventKind::IncidentOpened => return ticket_key(&case.row.incident_key, channel),
        Subject::Incident => fields.push(&occurred),
        Subject::Said { text } => fields.extend([occurred.as_str(), text]),
        Subject::Milestone { clock, announced, because } => {
            let (what, due_at) = (milestone_word(announced), announced.due_at.to_string());
            // A milestone that is announced, withdrawn and announced again is three messages.
            let (noticed_at, because) = (announced.noticed_at.to_string(), because.as_ref());
            let because = because.map_or("", |because| &because.what);
            fields.extend([*clock, &what, &due_at, &noticed_at, because]);
            return content_key(&fields);
        }
    }
    content_key(&fields)
}

/// The key of the message that opens the ticket of an incident of this key.
pub(crate) fn ticket_key(incident: &Digest, channel: &str) -> String {
    content_key(&["upheld-message/1", &incident.to_string(), channel, EventKind::IncidentOpened.as_str()])
}

/// By which key and reference a ticket system knows an incident: its own, or where its ticket was found to have been opened
/// before commits were lost, those of then.
pub(crate) fn names_of(case: &Case) -> (String, String) {
    let key = case.known_as().map_or(case.row.incident_key, |key| key.0).to_string();
    let reference = format!("UPHELD-{}", &key[..16]);
    (key, reference)
}

/// A key from what makes a message one of its kind, each part with its length.
pub(crate) fn content_key(fields: &[&str]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    format!("upheld-{}", Digest(hash.finalize().into()))
}

fn milestone_word(announced: &Announced) -> String {
    match announced.milestone {
        Milestone::Warning { fraction } => format!("warning at {fraction}"),
        Milestone::Breach => "breach".to_owned(),
        Milestone::HandOver { fraction } => format!("hand over to the manufacturer at {fraction}"),
        Milestone::ManufacturerOverdue => "the manufacturer has not answered".to_owned(),
    }
}

/// What a message says: enough to make a ticket of it and to find the incident again.
#[derive(Serialize)]
struct Data<'a> {
    incident: IncidentRef,
    /// What to search a ticket system for: derives from the incident's content.
    reference: String,
    incident_key: String,
    title: &'a str,
    client: &'a ClientId,
    client_name: String,
    site: &'a SiteId,
    site_name: String,
    asset: Option<&'a AssetId>,
    check: Option<&'a CheckId>,
    class: IncidentClass,
    kind: IncidentKind,
    state: &'static str,
    /// Whether somebody is to be disturbed for it.
    page: bool,
    /// Whether nothing is wrong: somebody at the site sees whether a real one would be told. It counts nowhere.
    #[serde(skip_serializing_if = "is_false")]
    drill: bool,
    started_by: Timestamp,
    detected: Timestamp,
    received: Timestamp,
    restored: Option<Timestamp>,
    evidence: Option<&'a str>,
    terms: Terms<'a>,
    clocks: Vec<ClockData>,
    /// Who made what failed, and whether he has it, where the terms name him.
    #[serde(skip_serializing_if = "Option::is_none")]
    manufacturer: Option<ManufacturerData<'a>>,
    /// What was said: an update's text, a dispute's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<MilestoneData>,
}

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Terms<'a> {
    Pinned { agreement: String, plan: &'a str, priority: &'static str, hash: String },
    None { refusal: &'a str, why: &'a str },
}

#[derive(Serialize)]
struct ClockData {
    stage: &'static str,
    state: &'static str,
    due: Option<Timestamp>,
    manners: Vec<&'static str>,
}

#[derive(Serialize)]
struct ManufacturerData<'a> {
    maker: &'a BookName,
    was_handed_over: bool,
}

#[derive(Serialize)]
struct MilestoneData {
    stage: &'static str,
    milestone: String,
    due_at: Timestamp,
    noticed_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn_because: Option<String>,
}

impl<'a> Data<'a> {
    fn new(book: &CurrentBook, case: &'a Case, clocks: &[Clock], subject: &'a Subject, now: Timestamp) -> Self {
        let incident = &case.incident;
        let (incident_key, reference) = names_of(case);
        let client = book.book.client(&incident.client);
        let site = book.book.site(&incident.client, &incident.site);
        Self {
            incident: case.reference(),
            reference,
            incident_key,
            title: &incident.title,
            client: &incident.client,
            client_name: client.map_or_else(|| incident.client.to_string(), |client| client.name.clone()),
            site: &incident.site,
            site_name: site.map_or_else(|| incident.site.to_string(), |site| site.name.clone()),
            asset: incident.root.asset(),
            check: incident.root.check(),
            class: incident.class,
            kind: incident.kind,
            state: incident.state.word(),
            page: incident.pages() && case.told_in().is_none(),
            drill: incident.is_drill(),
            started_by: incident.started.not_after,
            detected: incident.detected,
            received: incident.received,
            restored: incident.restored,
            evidence: incident.evidence_opening.as_ref().map(upheld_model::DeviceText::as_str),
            terms: Terms::of(&case.promise),
            clocks: clocks.iter().map(|clock| ClockData::new(clock, now)).collect(),
            manufacturer: ManufacturerData::of(case),
            said: match subject {
                Subject::Said { text } => Some(text),
                Subject::Incident | Subject::Milestone { .. } => None,
            },
            clock: MilestoneData::of(subject),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(is: &bool) -> bool {
    !is
}

impl<'a> Terms<'a> {
    fn of(promise: &'a Promise) -> Self {
        match promise {
            Promise::Pinned(pinned) => Self::Pinned {
                agreement: pinned.terms.version_label(),
                plan: &pinned.terms.plan_name,
                priority: pinned.terms.priority.as_str(),
                hash: pinned.terms.hash().to_string(),
            },
            Promise::None(none) => Self::None { refusal: &none.refusal, why: &none.why },
            Promise::NotAsked => Self::None { refusal: "not-asked", why: "nobody has asked for its terms" },
        }
    }
}

impl ClockData {
    fn new(clock: &Clock, now: Timestamp) -> Self {
        let view = clock.view(now);
        Self {
            stage: clock.stage().as_str(),
            state: state_word(&view.state),
            due: view.due.instant(),
            manners: view.manners.iter().map(|manner| manner.as_str()).collect(),
        }
    }
}

impl<'a> ManufacturerData<'a> {
    fn of(case: &'a Case) -> Option<Self> {
        let Promise::Pinned(pinned) = &case.promise else { return None };
        let maker = &pinned.terms.asset_terms.as_ref()?.manufacturer.as_ref()?.maker;
        Some(Self { maker, was_handed_over: case.was_handed_over() })
    }
}

impl MilestoneData {
    fn of(subject: &Subject) -> Option<Self> {
        match subject {
            Subject::Incident | Subject::Said { .. } => None,
            Subject::Milestone { clock, announced, because } => Some(Self {
                stage: clock,
                milestone: milestone_word(announced),
                due_at: announced.due_at,
                noticed_at: announced.noticed_at,
                withdrawn_because: because.as_ref().map(|because| because.what.clone()),
            }),
        }
    }
}
