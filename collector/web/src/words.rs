//! How clocks, times and spans are said, the same on the portal and on the command line (UX 2.7, 2.9).
//!
//! Spans have two units at most, and hours are never turned into days: "26 h 10 m" of covered time is not "1 d".
//! A time of day never stands without its zone.

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::words::Stage;
use upheld_desk::{ClockView, CommissioningReminder, Queue, views::QueueGroup};

/// `4 s`, `22 min`, `1 h 08 m`, `26 h 10 m`.
pub fn two_units(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600.. => format!("{hours} h {minutes:02} m"),
    }
}

/// `0:12:41`, `−0:18:38` when overdue, `26 h 10 m` from ten hours on.
pub fn countdown(seconds: i64) -> String {
    let sign = if seconds < 0 { "−" } else { "" };
    let seconds = seconds.unsigned_abs();
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    if hours < 10 {
        format!("{sign}{hours}:{minutes:02}:{:02}", seconds % 60)
    } else {
        format!("{sign}{hours} h {minutes:02} m")
    }
}

/// Seconds left on a clock as of `now`, negative by the time since its due; `None` when it has no due to run to.
pub fn seconds_left(clock: &ClockView, now: Timestamp) -> Option<i64> {
    match clock.breached_at {
        Some(breached) if clock.satisfied_at.is_none() => Some(-now.duration_since(breached).as_secs().max(0)),
        _ => clock.remaining_s.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
    }
}

/// The countdown of a clock as of `now`, or a dash.
pub fn countdown_of(clock: &ClockView, now: Timestamp) -> String {
    seconds_left(clock, now).map_or_else(|| "–".to_owned(), countdown)
}

/// When a clock is due, or why it is not: `due 2026-11-17 14:55:00 CST`, `paused`, `met 2026-…`.
pub fn due_sentence(clock: &ClockView) -> String {
    let local = |at: Timestamp| local(at, &clock.time_zone);
    if let Some(at) = clock.satisfied_at {
        let how = clock.satisfied_by.as_ref().map(|how| format!(", {how}")).unwrap_or_default();
        let word = if clock.breached_at.is_some() { "met late" } else { "met" };
        return format!("{word} {}{how}", local(at));
    }
    match (clock.breached_at, &clock.due_local, clock.due) {
        (Some(at), _, _) => format!("overdue since {}", local(at)),
        (None, Some(due), _) => format!("due {due}"),
        (None, None, Some(due)) => format!("due {}", local(due)),
        (None, None, None) => clock.state.replace('-', " "),
    }
}

/// A clock in one sentence: `running, 1 h 08 m left, due 2026-11-17 14:55:00 CST`.
pub fn clock_sentence(clock: &ClockView) -> String {
    match clock.remaining_s {
        Some(left) if clock.satisfied_at.is_none() && clock.breached_at.is_none() => {
            format!("{}, {} left, {}", state(clock), two_units(left), due_sentence(clock))
        }
        _ => due_sentence(clock),
    }
}

/// A stage as the name of its clock: `response`, `resolution`; the word itself where a newer version wrote it.
pub fn stage(stage: &str) -> String {
    let Ok(known) = stage.parse::<Stage>() else { return stage.to_owned() };
    let name = match known {
        Stage::Acknowledge => "acknowledgement",
        Stage::Respond => "response",
        Stage::OnSite => "on-site",
        Stage::Update => "update",
        Stage::Workaround => "workaround",
        Stage::Resolve => "resolution",
        Stage::VisitReport => "visit report",
        Stage::RestoreTest => "restore test",
    };
    name.to_owned()
}

/// A clock's state for people; running outside covered hours is said apart from paused (F5).
pub fn state(clock: &ClockView) -> String {
    match clock.state.as_str() {
        "running" if !clock.is_counting => "outside covered hours, not counting".to_owned(),
        "never-due" => "never due".to_owned(),
        "met-late" => "met late".to_owned(),
        other => other.to_owned(),
    }
}

/// The heading of a group of the queue.
pub fn group(group: QueueGroup) -> &'static str {
    match group {
        QueueGroup::Overdue => "Overdue",
        QueueGroup::WithinHour => "Due within 1 hour",
        QueueGroup::Later => "Later",
        QueueGroup::OutsideHours => "Outside covered hours, not counting",
        QueueGroup::Paused => "Paused",
        QueueGroup::NoClock => "No clock running",
    }
}

/// The sentence of an empty queue: never a bare empty table.
pub fn nothing_runs(queue: &Queue) -> String {
    let agents = match queue.agents {
        0 => "no agent is enrolled yet".to_owned(),
        1 => "1 agent".to_owned(),
        many => format!("{many} agents"),
    };
    let last = match queue.last_report {
        Some(at) => {
            let seconds = queue.as_of.duration_since(at).as_secs().max(0).unsigned_abs();
            format!(", last report {} ago", two_units(seconds))
        }
        None if queue.agents > 0 => ", no report yet".to_owned(),
        None => String::new(),
    };
    format!("No clocks running, no open incidents. {}{last}.", sentence(&agents))
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

/// `2026-11-17 14:55:00 CST` in the zone of this name; in UTC, and saying so, where the name is unknown.
pub fn local(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The time alone when it falls on the day of `now` in that zone, else with its day: `14:55:00 CST`,
/// `Wed 18 Nov 08:00:00 CST`.
pub fn local_short(at: Timestamp, zone: &str, now: Timestamp) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let form = if at.date() == now.date() { "%H:%M:%S %Z" } else { "%a %-d %b %H:%M:%S %Z" };
    at.strftime(form).to_string()
}

/// With its offset, for `<time datetime>`.
pub fn with_offset(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
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

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn clock() -> ClockView {
        ClockView {
            stage: "respond".into(),
            manner: vec!["phone".into()],
            state: "running".into(),
            is_counting: true,
            started_at: Some(at("2026-11-16T22:10:00Z")),
            counted_s: 3600,
            remaining_s: Some(4080),
            used_permille: 470,
            due: Some(at("2026-11-17T20:55:00Z")),
            time_zone: "America/Chicago".into(),
            due_local: Some("2026-11-17 14:55:00 CST".into()),
            breached_at: None,
            satisfied_at: None,
            satisfied_by: None,
        }
    }

    #[test]
    fn spans_have_two_units_and_hours_never_become_days() {
        for (seconds, said) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (4080, "1 h 08 m"), (94_200, "26 h 10 m")] {
            assert_eq!(two_units(seconds), said);
        }
        for (seconds, said) in [(761, "0:12:41"), (-1118, "−0:18:38"), (94_200, "26 h 10 m"), (0, "0:00:00")] {
            assert_eq!(countdown(seconds), said);
        }
    }

    #[test]
    fn a_clock_is_said_with_its_due_and_zone() {
        assert_eq!(clock_sentence(&clock()), "running, 1 h 08 m left, due 2026-11-17 14:55:00 CST");
        let outside = ClockView { is_counting: false, ..clock() };
        assert!(clock_sentence(&outside).starts_with("outside covered hours, not counting"));
        let met = ClockView {
            satisfied_at: Some(at("2026-11-16T22:32:00Z")),
            satisfied_by: Some("responded by phone with plant manager".into()),
            ..clock()
        };
        assert_eq!(clock_sentence(&met), "met 2026-11-16 16:32:00 CST, responded by phone with plant manager");
    }

    #[test]
    fn an_overdue_clock_counts_from_its_due_until_it_is_met() {
        let overdue = ClockView { breached_at: Some(at("2026-11-17T20:55:00Z")), remaining_s: Some(0), ..clock() };
        let now = at("2026-11-17T21:13:38Z");
        assert_eq!(countdown_of(&overdue, now), "−0:18:38");
        assert_eq!(due_sentence(&overdue), "overdue since 2026-11-17 14:55:00 CST");
        let late = ClockView { satisfied_at: Some(now), satisfied_by: None, ..overdue };
        assert_eq!(due_sentence(&late), "met late 2026-11-17 15:13:38 CST");
    }

    #[test]
    fn a_time_of_another_day_carries_its_day() {
        let now = at("2026-11-17T19:47:00Z");
        assert_eq!(local_short(at("2026-11-17T20:55:00Z"), "America/Chicago", now), "14:55:00 CST");
        assert_eq!(local_short(at("2026-11-18T14:00:00Z"), "America/Chicago", now), "Wed 18 Nov 08:00:00 CST");
        assert_eq!(with_offset(now, "America/Chicago"), "2026-11-17T13:47:00-06:00");
    }

    #[test]
    fn an_empty_queue_says_who_reports() {
        let queue = Queue {
            as_of: at("2026-11-17T19:47:04Z"),
            commissioning: vec![],
            rows: vec![],
            agents: 412,
            last_report: Some(at("2026-11-17T19:47:00Z")),
        };
        assert_eq!(nothing_runs(&queue), "No clocks running, no open incidents. 412 agents, last report 4 s ago.");
    }
}
