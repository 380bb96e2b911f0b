//! How clocks, times and spans are said: the one renderer for queue, incident, API and command line (UX 2.7, 2.9).
//!
//! Spans have two units at most, and hours are never turned into days: "26 h 10 m" of covered time is not "1 d".
//! A time of day never stands without its zone. [`ClockSaid`] is made once, where the clock is looked at
//! ([`crate::ClockView::said`]); nobody else puts a clock into words.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_agreement::words::Stage;
use utoipa::ToSchema;

use crate::ClockView;

/// A clock in words at one instant, its times in the zone of its agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClockSaid {
    /// The name of the clock: `response`.
    pub stage: String,
    /// What is left: `0:12:41`, `−0:18:38` when overdue, a dash where nothing can be left.
    pub countdown: String,
    /// Seconds left, below zero when overdue: what a page counts down from.
    pub left_s: Option<i64>,
    /// How it stands: `due 14:00:00 CST`, `overdue since 13:28:41 CST`, `paused for site-access since 10:30:00 CST`, `outside hours,
    /// counts again Wed 18 Nov 08:00:00 CST`, `met Mon 16 Nov 16:32:00 CST, phone with plant manager`.
    pub standing: String,
    /// The share of the target that is used: `79 % used`.
    pub used: String,
    /// All of it in one line: `response 0:12:41, due 14:00:00 CST, 79 % used`.
    pub line: String,
}

impl ClockView {
    /// The same clock with its words as of `now`.
    #[must_use]
    pub fn said_at(mut self, now: Timestamp) -> Self {
        let (stage, countdown) = (stage(&self.stage), countdown_of(&self, now));
        let standing = standing(&self, now);
        let used = format!("{}\u{202f}% used", self.used_permille / 10);
        let line = match self.satisfied_at {
            Some(_) => format!("{stage} {standing}"),
            None => format!("{stage} {countdown}, {standing}, {used}"),
        };
        let left_s = seconds_left(&self, now);
        self.said = ClockSaid { stage, countdown, left_s, standing, used, line };
        self
    }
}

/// How a clock stands, without what is left on it.
fn standing(clock: &ClockView, now: Timestamp) -> String {
    let short = |at: Timestamp| local_short(at, &clock.time_zone, now);
    if let Some(at) = clock.satisfied_at {
        let how = clock.satisfied_by.as_ref().map(|how| format!(", {how}")).unwrap_or_default();
        let word = if clock.breached_at.is_some() { "met late" } else { "met" };
        return format!("{word} {}{how}", short(at));
    }
    if let Some(at) = clock.breached_at {
        return format!("overdue since {}", short(at));
    }
    if let Some(pause) = &clock.pause {
        let ends = pause.ends.map(|ends| format!(", until {} at the latest", short(ends))).unwrap_or_default();
        return format!("paused for {} since {}{ends}", pause.reasons.join(" and "), short(pause.since));
    }
    let due = clock.due.map(|at| format!("due {}", short(at)));
    match (clock.state.as_str(), clock.counts_again) {
        ("running", Some(again)) if !clock.is_counting => format!("outside hours, counts again {}", short(again)),
        ("running", None) if !clock.is_counting => "outside hours, not counting".to_owned(),
        ("scheduled", _) => match clock.started_at {
            Some(begins) => format!("begins {}", short(begins)),
            None => "waits for the stage before it".to_owned(),
        },
        (state, _) => due.unwrap_or_else(|| state.replace('-', " ")),
    }
}

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

/// `2026-11-17 14:55:00 CST` in the zone of this name; in UTC, and saying so, where the name is unknown.
pub fn local(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The time alone when it falls on the day of `now` in that zone, else with its day, and its year where that is
/// another: `14:55:00 CST`, `Wed 18 Nov 08:00:00 CST`.
pub fn local_short(at: Timestamp, zone: &str, now: Timestamp) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let form = match at.date() {
        day if day == now.date() => "%H:%M:%S %Z",
        day if day.year() == now.year() => "%a %-d %b %H:%M:%S %Z",
        _ => "%a %-d %b %Y %H:%M:%S %Z",
    };
    at.strftime(form).to_string()
}

/// With its offset, for `<time datetime>`.
pub fn with_offset(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::PauseSaid;

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
            target_s: 7680,
            remaining_s: Some(4080),
            used_permille: 470,
            due: Some(at("2026-11-17T20:55:00Z")),
            time_zone: "America/Chicago".into(),
            due_local: Some("2026-11-17 14:55:00 CST".into()),
            breached_at: None,
            satisfied_at: None,
            satisfied_by: None,
            pause: None,
            counts_again: None,
            source: "plan gold, target 2".into(),
            said: ClockSaid::default(),
        }
    }

    fn line(clock: ClockView) -> String {
        clock.said_at(at("2026-11-17T19:47:00Z")).said.line
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
    fn a_clock_is_said_with_what_is_left_its_due_its_zone_and_why_it_stands() {
        assert_eq!(line(clock()), "response 1:08:00, due 14:55:00 CST, 47\u{202f}% used");
        let again = Some(at("2026-11-18T14:00:00Z"));
        let outside = ClockView { is_counting: false, counts_again: again, ..clock() };
        assert_eq!(
            line(outside),
            "response 1:08:00, outside hours, counts again Wed 18 Nov 08:00:00 CST, 47\u{202f}% used"
        );
        let pause = PauseSaid { since: at("2026-11-17T16:30:00Z"), reasons: vec!["site-access".into()], ends: again };
        let paused = ClockView { state: "paused".into(), is_counting: false, pause: Some(pause), due: None, ..clock() };
        assert_eq!(
            line(paused),
            "response 1:08:00, paused for site-access since 10:30:00 CST, until Wed 18 Nov 08:00:00 CST at the latest, \
             47\u{202f}% used"
        );
        let met = ClockView {
            satisfied_at: Some(at("2026-11-16T22:32:00Z")),
            satisfied_by: Some("responded by phone with plant manager".into()),
            ..clock()
        };
        assert_eq!(line(met), "response met Mon 16 Nov 16:32:00 CST, responded by phone with plant manager");
        let waits = ClockView { state: "scheduled".into(), started_at: None, is_counting: false, due: None, ..clock() };
        assert_eq!(line(waits), "response 1:08:00, waits for the stage before it, 47\u{202f}% used");
    }

    #[test]
    fn an_overdue_clock_counts_from_its_due_until_it_is_met() {
        let overdue = ClockView { breached_at: Some(at("2026-11-17T19:28:22Z")), remaining_s: Some(0), ..clock() };
        assert_eq!(line(overdue.clone()), "response −0:18:38, overdue since 13:28:22 CST, 47\u{202f}% used");
        let late = ClockView { satisfied_at: Some(at("2026-11-17T19:40:00Z")), satisfied_by: None, ..overdue };
        assert_eq!(line(late), "response met late 13:40:00 CST");
    }

    #[test]
    fn a_time_of_another_day_carries_its_day_and_one_of_another_year_its_year() {
        let now = at("2026-11-17T19:47:00Z");
        assert_eq!(local_short(at("2026-11-17T20:55:00Z"), "America/Chicago", now), "14:55:00 CST");
        assert_eq!(local_short(at("2026-11-18T14:00:00Z"), "America/Chicago", now), "Wed 18 Nov 08:00:00 CST");
        assert_eq!(local_short(at("2027-01-04T14:00:00Z"), "America/Chicago", now), "Mon 4 Jan 2027 08:00:00 CST");
        assert_eq!(with_offset(now, "America/Chicago"), "2026-11-17T13:47:00-06:00");
    }
}
