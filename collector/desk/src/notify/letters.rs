//! What mails say: one description a message, which `upheld_outbound` gives two faces.
//!
//! The subject carries the verdict. Clocks stand in it in the words of [`crate::said`], as on the queue and the page at
//! the instant at which the mail was written, and the explanation word for word as `explain --at` prints it.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use upheld_agreement::clock::Milestone;
use upheld_model::ClientId;
use upheld_outbound::{
    EventKind,
    notify::mail::{Letter, Listed, Section},
};
use upheld_store::ReadTx;

use super::Audience;
use crate::{
    ClockView, DeskError,
    book::CurrentBook,
    case::{
        Case,
        messages::{SilentTogether, Subject},
        promise::Promise,
    },
    own, said, views,
};

/// A letter as the outbox stores it.
pub(crate) fn body(letter: &Letter) -> Result<String, DeskError> {
    serde_json::to_string(&json!({ "letter": letter })).map_err(|error| DeskError::unreadable("letter", &error))
}

/// A letter about nothing but what it says.
pub(crate) fn plain(subject: String, lead: String) -> Letter {
    Letter { subject, lead, facts: Vec::new(), listed: Vec::new(), sections: Vec::new(), path: None, thread: None }
}

/// What is said of one incident.
pub(crate) fn of_incident(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    case: &Case,
    audience: Audience,
    event: EventKind,
    subject: &Subject,
    now: Timestamp,
) -> Result<Letter, DeskError> {
    let incident = &case.incident;
    let clocks = views::clock_views(case, now)?;
    let explained = views::minutes(tx, case, now)?;
    let entry = book.book.client(&incident.client);
    let site = book.book.site(&incident.client, &incident.site);
    let zone = match clocks.first() {
        Some(clock) => clock.time_zone.clone(),
        None => site.map_or_else(|| book.book.provider.zone.clone(), |site| site.zone.clone()),
    };
    let local = |at: Timestamp| said::local(at, &zone);
    let priority = match &case.promise {
        Promise::Pinned(pinned) => Some(pinned.terms.priority.as_str()),
        Promise::None(_) | Promise::NotAsked => None,
    };
    let verdict = verdict(case, event, subject, &clocks, &zone);
    let headed = match priority {
        Some(priority) => format!("{verdict}, {priority}"),
        None => verdict.clone(),
    };
    let is_own = incident.client.as_str() == own::OWN_CLIENT;
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("Incident", Some(case.reference().to_string()));
    fact("Priority", priority.map(ToOwned::to_owned));
    for clock in &clocks {
        fact("Clock", Some(clock.said.line.clone()));
    }
    fact("No clock runs", clocks.is_empty().then(|| nothing_promised(&case.promise)));
    if !is_own {
        fact("Client", Some(entry.map_or_else(|| incident.client.to_string(), |client| client.name.clone())));
        fact("Site", Some(site.map_or_else(|| incident.site.to_string(), |site| site.name.clone())));
    }
    fact("Asset", incident.root.asset().map(ToString::to_string));
    fact("Began by", Some(local(incident.started.not_after)));
    fact("Received", Some(local(incident.received)));
    fact("Restored", incident.restored.map(local));
    fact("Evidence", incident.evidence_opening.as_ref().map(ToString::to_string));
    fact("Because", because(subject));
    fact("Manufacturer", explained.manufacturer.clone());
    let as_of = match audience {
        Audience::Provider => format!("{} (upheld-collector explain {} --at {now})", local(now), case.reference()),
        Audience::Client => local(now),
    };
    fact("As of", Some(as_of));
    let why = Section { heading: "Every minute, explained".to_owned(), text: explained.text, is_prose: false };
    Ok(Letter {
        subject: format!("{headed}: {} [{}]", incident.title, case.reference()),
        lead: format!("{verdict}: {}", incident.title),
        facts,
        listed: Vec::new(),
        sections: if clocks.is_empty() { Vec::new() } else { vec![why] },
        path: Some(format!("/i/{}/{}", case.row.client, case.row.number)),
        thread: Some(format!("upheld-thread-{}", case.row.incident_key)),
    })
}

fn nothing_promised(promise: &Promise) -> String {
    match promise {
        Promise::Pinned(_) => "its terms promise nothing that a clock could count".to_owned(),
        Promise::None(none) => none.why.clone(),
        Promise::NotAsked => "nobody has asked for its terms".to_owned(),
    }
}

/// The first words: what somebody must know who reads no further.
fn verdict(case: &Case, event: EventKind, subject: &Subject, clocks: &[ClockView], zone: &str) -> String {
    let line = |stage: &str| {
        let clock = clocks.iter().find(|clock| clock.stage == stage);
        clock.map_or_else(|| said::stage(stage), |clock| format!("{} {}", clock.said.stage, clock.said.standing))
    };
    if case.incident.is_drill() {
        return "Drill, nothing is wrong".to_owned();
    }
    match subject {
        Subject::Milestone { clock, announced, because } => match (&because, announced.milestone) {
            (Some(_), Milestone::Warning { .. }) => format!("Taken back, not running out: {}", line(clock)),
            (Some(_), Milestone::Breach) => format!("Taken back, not missed: {}", line(clock)),
            (Some(_), Milestone::HandOver { .. }) => "Taken back: no need to hand over yet".to_owned(),
            (Some(_), Milestone::ManufacturerOverdue) => "Taken back: the manufacturer is not overdue".to_owned(),
            (None, Milestone::Warning { .. }) => format!("Running out: {}", line(clock)),
            (None, Milestone::Breach) => format!("Missed: {}", line(clock)),
            (None, Milestone::HandOver { .. }) => "Hand over to the manufacturer now".to_owned(),
            (None, Milestone::ManufacturerOverdue) => {
                format!("The manufacturer has not answered by {}", said::local(announced.due_at, zone))
            }
        },
        Subject::Incident | Subject::Said { .. } if event == EventKind::IncidentOpened => match clocks.first() {
            Some(first) => format!("New: {} {}", first.said.stage, first.said.standing),
            None => "New, nothing promised".to_owned(),
        },
        Subject::Incident | Subject::Said { .. } if event == EventKind::IncidentRestored => {
            let lasted = case.incident.restored.map(|over| over.duration_since(case.incident.started.not_after));
            let seconds = lasted.and_then(|lasted| u64::try_from(lasted.as_secs()).ok()).unwrap_or(0);
            format!("Restored after {}", said::two_units(seconds))
        }
        // Nobody is mailed of anything else (`kinds`).
        Subject::Incident | Subject::Said { .. } => event.to_string(),
    }
}

fn because(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Milestone { because, .. } => because.as_ref().map(|because| because.what.clone()),
        Subject::Said { text } => Some(text.clone()),
        Subject::Incident => None,
    }
}

/// What is said of sites that fell silent together. The provider is told how many of how many clients; a client is told
/// of his own sites, and only that it is not his alone.
pub(crate) fn silent(book: &CurrentBook, case: &Case, audience: Audience, group: &SilentTogether) -> Letter {
    let client = &case.row.client;
    let site = |id| book.book.site(client, id);
    let name_of = |id| site(id).map_or_else(|| id.to_string(), |site| site.name.clone());
    let listed = group.sites.iter().map(|id| Listed { text: name_of(id), path: None }).collect();
    let sentence = match audience {
        Audience::Provider => {
            group.together.sentence(&TimeZone::get(&book.book.provider.zone).unwrap_or(TimeZone::UTC))
        }
        Audience::Client => {
            let zone = site(&case.row.site).map_or("UTC", |site| site.zone.as_str());
            let since = said::local(group.together.since, zone);
            let count = match group.sites.len() {
                1 => "1 site".to_owned(),
                many => format!("{many} sites"),
            };
            let others =
                if group.together.clients > 1 { ", with sites of others: regional power or internet" } else { "" };
            format!("{count} silent since {since}{others}")
        }
    };
    Letter {
        facts: vec![("Incident".to_owned(), case.reference().to_string())],
        listed,
        path: Some(format!("/i/{client}/{}", case.row.number)),
        ..plain(format!("{sentence} [{}]", case.reference()), sentence)
    }
}

/// What is said of more incidents than people can be told of one by one, from the data of the message
/// ([`crate::case`]'s storm).
pub(crate) fn storm(data: &Value) -> Letter {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = data["incidents"].as_array().into_iter().flatten().map(|one| {
        let reference = word(&one["incident"]);
        let priority = one["priority"].as_str().map(|priority| format!("{priority}, ")).unwrap_or_default();
        Listed {
            text: format!("{priority}{}: {} [{reference}]", word(&one["site"]), word(&one["title"])),
            path: reference.split_once('/').map(|(client, number)| format!("/i/{client}/{number}")),
        }
    });
    let title = word(&data["title"]);
    Letter { listed: listed.collect(), ..plain(title.clone(), title) }
}

/// What the provider is told when a mail reached nobody.
pub(crate) fn undelivered(title: &str, why: &str, incident: Option<(&ClientId, String)>) -> Letter {
    Letter {
        facts: vec![("The server says".to_owned(), why.to_owned())],
        path: incident.map(|(client, number)| format!("/i/{client}/{number}")),
        ..plain(title.to_owned(), title.to_owned())
    }
}

/// A test of a channel, marked as such.
pub(crate) fn test(channel: &str) -> Letter {
    plain(
        format!("Test of channel {channel}: nothing has happened"),
        format!("This is a test of the channel {channel}. Nothing has happened, and there is nothing to do."),
    )
}
