//! How clocks, times and spans are said, the same on the portal and on the command line (UX 2.7, 2.9).
//!
//! Spans have two units at most, and hours are never turned into days: "26 h 10 m" of covered time is not "1 d".
//! A time of day never stands without its zone.

use jiff::{Timestamp, tz::TimeZone};
pub use upheld_desk::said::{
    countdown, countdown_of, local, local_short, seconds_left, stage, state, two_units, with_offset,
};
use upheld_desk::{CommissioningReminder, Queue, Recovery, views::QueueGroup};

/// The heading of a group of the queue.
pub fn group(group: QueueGroup) -> &'static str {
    match group {
        QueueGroup::Overdue => "Overdue",
        QueueGroup::WithinHour => "Due within 1 hour",
        QueueGroup::LaterToday => "Later today",
        QueueGroup::Later => "On another day",
        QueueGroup::OutsideHours => "Outside covered hours, not counting",
        QueueGroup::Paused => "Paused",
        QueueGroup::NoClock => "No clock running",
    }
}

/// The sentence of an empty queue: never a bare empty table.
pub fn nothing_runs(queue: &Queue) -> String {
    let watched = match (queue.agents, queue.assets) {
        (0, _) => return "No clocks running. No agent is enrolled yet.".to_owned(),
        (1, assets) => format!("{assets} assets watched by 1 agent"),
        (agents, assets) => format!("{assets} assets watched by {agents} agents"),
    };
    let last = match queue.last_report {
        Some(at) => {
            let seconds = queue.as_of.duration_since(at).as_secs().max(0).unsigned_abs();
            format!("last report {} ago", two_units(seconds))
        }
        None => "no report yet".to_owned(),
    };
    format!("No clocks running. {watched}, {last}.")
}

/// What stands above the queue, a line each.
pub fn reminders(queue: &Queue) -> Vec<String> {
    let recovery = queue.recovery.iter().map(recovering);
    recovery.chain(queue.commissioning.iter().map(|site| still_commissioning(site, queue.as_of))).collect()
}

/// What a restored collector says until a person has accepted the gap.
pub fn recovering(recovery: &Recovery) -> String {
    let said = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    format!(
        "Restored {}. Facts that may be missing: from {} to {}. No report is taken and nothing is announced or breached \
         until a person has seen this: upheld-collector recovery show",
        said(recovery.restored_at),
        said(recovery.missing_from),
        said(recovery.missing_to)
    )
}

/// The reminder that a site is still being commissioned, in one line.
pub fn still_commissioning(site: &CommissioningReminder, as_of: Timestamp) -> String {
    let CommissioningReminder { client, client_name, site, site_name, since } = site;
    let days = as_of.duration_since(*since).as_hours() / 24;
    format!(
        "{client_name}, {site_name} has been in commissioning for {days} days and nothing there is ticketed: \
         upheld-collector commission {client}/{site} says what was found and how to end it."
    )
}

/// As a field of a form takes it: `2026-11-17T14:55:00`. The zone stands beside the field.
pub fn civil(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// What a zone is called at an instant: `America/Chicago (CST)`.
pub fn zone_now(zone: &str, at: Timestamp) -> String {
    let known = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let short = at.to_zoned(known).strftime("%Z").to_string();
    if short == zone { short } else { format!("{zone} ({short})") }
}

/// With a capital at its head.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_says_who_reports() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let queue = Queue {
            as_of: at("2026-11-17T19:47:04Z"),
            recovery: None,
            commissioning: vec![],
            rows: vec![],
            assets: 412,
            agents: 9,
            last_report: Some(at("2026-11-17T19:47:00Z")),
        };
        assert_eq!(nothing_runs(&queue), "No clocks running. 412 assets watched by 9 agents, last report 4 s ago.");
        let none = Queue { assets: 412, agents: 0, last_report: None, ..queue };
        assert_eq!(nothing_runs(&none), "No clocks running. No agent is enrolled yet.");
    }
}
