//! Of which kind a message is, for the people who choose what they are mailed of.
//!
//! A mail disturbs somebody, so a ticket system is told more than people are mailed: what somebody did himself
//! (acknowledged, responded, paused, resolved) is on the page and in the ticket, not in a mail.

use upheld_agreement::{book::MailKind, clock::Milestone};
use upheld_model::IncidentKind;
use upheld_outbound::EventKind;

use super::Audience;
use crate::case::{Case, entry::ToldIn, messages::Subject};

/// The kind of an incident's message; `None` where nobody is mailed.
pub(crate) fn of_incident(case: &Case, event: EventKind, subject: &Subject) -> Option<MailKind> {
    match event {
        EventKind::IncidentOpened if case.told_in().is_some() => None,
        // It shows whether a real one would be told.
        EventKind::IncidentOpened if case.incident.is_drill() => Some(MailKind::Opened),
        EventKind::IncidentOpened if !case.incident.pages() => Some(MailKind::Quiet),
        EventKind::IncidentOpened if case.incident.kind == IncidentKind::Silent => Some(MailKind::Silent),
        EventKind::IncidentOpened => Some(MailKind::Opened),
        EventKind::IncidentRestored if case.incident.pages() => Some(MailKind::Restored),
        EventKind::IncidentRestored => Some(MailKind::Quiet),
        EventKind::ClockWarning => Some(MailKind::Warning),
        EventKind::ClockBreached => Some(MailKind::Breached),
        EventKind::ClockHandOver | EventKind::ManufacturerOverdue => Some(MailKind::HandOver),
        // Who was told the one is told the other.
        EventKind::ClockWithdrawn => match subject {
            Subject::Milestone { announced, .. } => Some(match announced.milestone {
                Milestone::Warning { .. } => MailKind::Warning,
                Milestone::Breach => MailKind::Breached,
                Milestone::HandOver { .. } | Milestone::ManufacturerOverdue => MailKind::HandOver,
            }),
            Subject::Incident | Subject::Said { .. } => None,
        },
        EventKind::SitesSilent => Some(MailKind::Silent),
        EventKind::IncidentsStorm => Some(MailKind::Opened),
        EventKind::DigestWeekly => Some(MailKind::Digest),
        EventKind::IncidentAcknowledged
        | EventKind::IncidentResponded
        | EventKind::IncidentUpdated
        | EventKind::DisputeOpened
        | EventKind::DisputeSettled
        | EventKind::IncidentResolved
        | EventKind::ClockPaused
        | EventKind::ClockResumed
        | EventKind::VisitReported
        | EventKind::BackupMissed
        | EventKind::RestoreVerified
        | EventKind::AgreementAmended
        | EventKind::DeliveryFailed
        | EventKind::ChannelTest => None,
    }
}

/// Whether these people are mailed of it at all. Of sites that fell silent together the provider was told in one mail and
/// is not told of each that comes back; a client has few sites, and is.
pub(crate) fn is_for(audience: Audience, case: &Case, event: EventKind) -> bool {
    match (event, case.told_in(), audience) {
        (EventKind::IncidentRestored, Some(ToldIn::SilentTogether { .. }), Audience::Provider) => false,
        // A client's people are not disturbed by what the provider plays.
        (_, _, Audience::Client) => !case.incident.is_drill(),
        (_, _, Audience::Provider) => true,
    }
}
