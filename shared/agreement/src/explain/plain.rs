//! `book explain <client>`: the agreement as a person would say it, from the same terms that the clocks run on.
//!
//! What a version of Upheld keeps and does not act on is not in these sentences: they are what is watched.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::ClientId;

use super::text::duration;
use crate::{
    book::{Agreement, Book, Client, TargetTerms, Version},
    calendar::{Calendar, CalendarDef, Hours, Weekly},
    terms::Within,
    words::{BookName, Manner, SatisfiedBy, Stage},
};

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchAgreement {
    /// The book has no such client.
    #[error("the book has no client `{client}`; it has {known}")]
    NoClient {
        /// The client.
        client: ClientId,
        /// The clients of the book.
        known: String,
    },
    /// He has no agreement.
    #[error("client `{client}` has no agreement: nothing is promised, faults are ticketed all the same")]
    NoAgreement {
        /// The client.
        client: ClientId,
    },
    /// None of its versions is in force.
    #[error("no version of {agreement} is in force at {at}; {versions}")]
    NotInForce {
        /// The agreement's number.
        agreement: String,
        /// The instant that was asked for.
        at: Timestamp,
        /// The versions and their dates.
        versions: String,
    },
}

/// The agreement of a client as it holds at an instant, in plain words.
pub fn agreement(book: &Book, client: &ClientId, at: Timestamp) -> Result<String, NoSuchAgreement> {
    let found = book.client(client).ok_or_else(|| NoSuchAgreement::NoClient {
        client: client.clone(),
        known: book.clients.keys().map(ClientId::as_str).collect::<Vec<_>>().join(", "),
    })?;
    let agreement = found.agreement.as_ref().ok_or_else(|| NoSuchAgreement::NoAgreement { client: client.clone() })?;
    let version = agreement.in_force(at).next().ok_or_else(|| NoSuchAgreement::NotInForce {
        agreement: agreement.number.clone(),
        at,
        versions: dates(agreement),
    })?;
    let zone = TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC);
    let mut text = heading(found, agreement, version, &zone);
    sentence(&mut text, "We cover", &sites(found, version));
    for calendar in calendars(book, version) {
        if let Some(def) = book.calendars.get(calendar) {
            sentence(&mut text, "", &format!("`{calendar}` is {}.", hours(def)));
        }
    }
    for (stage, said) in targets(book, version) {
        sentence(&mut text, verb(stage), &said);
    }
    if let Some(fee) = version.fee {
        sentence(&mut text, "It costs", &format!("{fee}{}.", rider_prices(book, version)));
    }
    for calendar in calendars(book, version) {
        if let Some(said) = book.calendars.get(calendar).and_then(|def| openings(def, at)) {
            sentence(&mut text, "Next open", &format!("`{calendar}`: {said}."));
        }
    }
    Ok(text)
}

fn heading(client: &Client, agreement: &Agreement, version: &Version, zone: &TimeZone) -> String {
    let day = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string();
    // The end is exclusive: the day before is the last one on which the version holds.
    let last_day = agreement.ends(version).and_then(|end| end.checked_sub(jiff::SignedDuration::from_secs(1)).ok());
    let until = last_day.map(|last| format!(" until {}", day(last))).unwrap_or_default();
    let note = version.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let (name, number) = (&client.name, &agreement.number);
    format!("{name}, {number} v{}{note}, in force from {}{until}\n", version.number, day(version.from))
}

fn dates(agreement: &Agreement) -> String {
    let each: Vec<String> = agreement
        .versions
        .iter()
        .map(|version| {
            let until = agreement.ends(version).map(|end| format!(" until {end}")).unwrap_or_default();
            format!("v{} holds from {}{until}", version.number, version.from)
        })
        .collect();
    each.join("; ")
}

fn sentence(text: &mut String, verb: &str, said: &str) {
    let _ = writeln!(text, "  {verb:<15} {said}");
}

fn sites(client: &Client, version: &Version) -> String {
    let names: Vec<&str> = version
        .sites
        .iter()
        .map(|site| client.sites.get(&site.value).map_or(site.value.as_str(), |known| known.name.as_str()))
        .collect();
    let left_out: Vec<String> =
        version.not_covered.iter().map(|path| format!("{}/{}", path.site, path.asset)).collect();
    let but = if left_out.is_empty() { String::new() } else { format!(", but not {}", left_out.join(", ")) };
    if names.is_empty() { "no site.".to_owned() } else { format!("{}{but}.", names.join(", ")) }
}

/// The calendars that the version's targets count under, each once.
fn calendars<'a>(book: &'a Book, version: &Version) -> Vec<&'a BookName> {
    let mut names: Vec<&BookName> = Vec::new();
    for (target, _) in all_targets(book, version) {
        if !names.contains(&&target.calendar.value) {
            names.push(&target.calendar.value);
        }
    }
    names
}

/// The plan's targets and the riders', each with the rider's name.
fn all_targets<'a>(book: &'a Book, version: &Version) -> Vec<(&'a TargetTerms, Option<&'a str>)> {
    let plan = book.plans.get(&version.plan.value).into_iter().flat_map(|plan| &plan.targets);
    let riders = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value));
    let riders = riders.flat_map(|rider| rider.overrides.iter().map(|target| (target, Some(rider.name.as_str()))));
    plan.map(|target| (target, None)).chain(riders).collect()
}

fn targets(book: &Book, version: &Version) -> Vec<(Stage, String)> {
    let all = all_targets(book, version);
    let mut said = Vec::new();
    for &stage in Stage::ALL {
        let of_stage: Vec<_> = all.iter().filter(|(target, _)| target.stage.value == stage).collect();
        for (index, (target, rider)) in of_stage.iter().enumerate() {
            let factors = match rider {
                Some(_) => String::new(),
                None => factors(book, version, stage),
            };
            let beside = of_stage[..index].iter().any(|(other, _)| target.shares_a_priority_with(other));
            let rider = rider.map(|rider| format!(" ({rider})")).unwrap_or_default();
            let earlier = if beside { "; the earlier due counts" } else { "" };
            said.push((stage, format!("{}{rider}{earlier}.", promise(target, &factors))));
        }
    }
    said
}

fn promise(target: &TargetTerms, factors: &str) -> String {
    let when = match target.within.value {
        Within::Covered { seconds } => {
            format!("within {} of `{}`{factors}", duration(seconds.0), target.calendar.value)
        }
        Within::NextBusinessDay { by, received_by } => {
            let cut_off = received_by
                .map(|at| format!(" (received after {}, the one after)", at.strftime("%H:%M")))
                .unwrap_or_default();
            format!("by {} of the next day of `{}`{cut_off}", by.strftime("%H:%M"), target.calendar.value)
        }
    };
    let whose = match target.priority.as_slice() {
        [] => String::new(),
        some => format!(" for {}", some.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ")),
    };
    let manner = match target.manner.as_slice() {
        [] => String::new(),
        some => format!(", {}", some.iter().map(|&m| manner_words(m)).collect::<Vec<_>>().join(" or ")),
    };
    let after = target
        .after
        .as_ref()
        .map(|after| {
            format!(", counted from {} after the response, if it is not restored", duration(after.unresolved_for.0))
        })
        .unwrap_or_default();
    let satisfied = match target.satisfied_by {
        Some(SatisfiedBy::Acknowledge) => "; acknowledging it is enough",
        Some(SatisfiedBy::Response) | None => "",
    };
    let pauses = match target.pause_for.as_slice() {
        [] => String::new(),
        some => {
            let reasons: Vec<&str> = some.iter().map(|reason| reason.as_str()).collect();
            format!("; it may wait for {}", reasons.join(" or "))
        }
    };
    let longest = target
        .longest_pause_s
        .map(|at_most| format!(", at most {} at a time", duration(at_most.0)))
        .unwrap_or_default();
    format!("{when}{whose}{manner}{after}{satisfied}{pauses}{longest}")
}

fn manner_words(manner: Manner) -> &'static str {
    match manner {
        Manner::Remote => "remotely",
        Manner::Phone => "by phone",
        Manner::OnSite => "on site",
    }
}

/// The factors of on-site and resolve, as the matcher applies them; other stages have none.
fn factors(book: &Book, version: &Version, stage: Stage) -> String {
    match stage {
        Stage::OnSite | Stage::Resolve => {}
        Stage::Acknowledge
        | Stage::Respond
        | Stage::Update
        | Stage::Workaround
        | Stage::VisitReport
        | Stage::RestoreTest => return String::new(),
    }
    let Some(plan) = book.plans.get(&version.plan.value) else { return String::new() };
    let distance = plan.modifiers.distance.iter().map(|(band, factor)| (format!("distance {band}"), factor.0));
    let complexity = plan.modifiers.complexity.iter().map(|(level, factor)| (format!("complexity {level}"), factor.0));
    let said: Vec<String> = distance
        .chain(complexity)
        .filter(|(_, factor)| *factor != crate::ratio::Ratio::ONE)
        .map(|(what, factor)| format!("× {} for {what}", factor.as_decimal()))
        .collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Acknowledge => "We acknowledge",
        Stage::Respond => "We respond",
        Stage::OnSite => "We come",
        Stage::Update => "We report",
        Stage::Workaround => "We work around",
        Stage::Resolve => "We resolve",
        Stage::VisitReport => "We write",
        Stage::RestoreTest => "We restore",
    }
}

fn rider_prices(book: &Book, version: &Version) -> String {
    let riders = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value));
    riders.filter_map(|rider| Some(format!(", {} {}", rider.name, rider.price?))).collect()
}

/// `Mon-Thu 08:00-18:00, Fri 08:00-12:00 and 13:00-18:00, in America/Chicago, except 3 holidays`.
fn hours(def: &CalendarDef) -> String {
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let weekly: [&[Hours]; 7] = Weekly::days(&def.weekly);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in (0..7).filter(|&day| !weekly[day].is_empty()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == day && weekly[*last] == weekly[day] => *last = day,
            Some(_) | None => runs.push((day, day)),
        }
    }
    let said: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| {
            let name = if first == last { days[first].to_owned() } else { format!("{}-{}", days[first], days[last]) };
            let each: Vec<String> = weekly[first].iter().map(|Hours(from, to)| format!("{from}-{to}")).collect();
            format!("{name} {}", each.join(" and "))
        })
        .collect();
    let extra = if def.extra.is_empty() {
        String::new()
    } else {
        format!(", and extra hours on {}", counted(def.extra.len(), "date"))
    };
    let holidays = def.holidays.len() + def.yearly_holidays.len();
    let except = if holidays == 0 { String::new() } else { format!(", except {}", counted(holidays, "holiday")) };
    format!("{}{extra}, {} time{except}", said.join(", "), def.tz)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `Tue 17 Nov 08:00; closings: Tue 17 Nov 18:00, …`; nothing for a calendar that never closes.
fn openings(def: &CalendarDef, at: Timestamp) -> Option<String> {
    let calendar = Calendar::compile(def).ok()?;
    let zone = TimeZone::get(&def.tz).ok()?;
    let stamp = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %-d %b %H:%M").to_string();
    let open = if calendar.is_open(at) { "open at that time".to_owned() } else { stamp(calendar.next_opening(at)?) };
    let mut closings = Vec::new();
    let mut after = at;
    while closings.len() < 3
        && let Some(closing) = calendar.next_closing(after)
    {
        closings.push(stamp(closing));
        after = closing;
    }
    (!closings.is_empty()).then(|| format!("{open}; next closings: {}", closings.join(", ")))
}
