//! The explanation as a table for a terminal (UX 3.3), made from nothing but the explanation.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::{Explanation, Row, RowWhy};
use crate::{
    clock::{ClockState, Counting, DueAt},
    words::{MeasuredFrom, Stage},
};

/// A duration as people read it, exact to the second: `1 h 50 m`, `45 s`, `26 h 00 m 05 s`. Covered hours are never
/// turned into days.
pub fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest} s"),
        (0, minutes, 0) => format!("{minutes} m"),
        (0, minutes, rest) => format!("{minutes} m {rest:02} s"),
        (hours, 0, 0) => format!("{hours} h"),
        (hours, minutes, 0) => format!("{hours} h {minutes:02} m"),
        (hours, minutes, rest) => format!("{hours} h {minutes:02} m {rest:02} s"),
    }
}

impl Explanation {
    /// The explanation in the zone of its calendar, which is the agreement's word on time.
    pub fn text(&self) -> String {
        self.text_in(&TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC))
    }

    /// The explanation in another zone.
    pub fn text_in(&self, zone: &TimeZone) -> String {
        let mut text = format!("{}: {}\n", name(self.stage()), self.headline(zone));
        let rows: Vec<[String; 6]> = self.rows.iter().map(|row| cells(row, zone)).collect();
        let past = self.rows.iter().filter(|row| row.is_past).count();
        if !rows.is_empty() {
            let head = ["from", "to", "counted", "left", "why", ""].map(str::to_owned);
            let widths = widths(&head, &rows);
            line(&mut text, &head, &widths);
            for (index, row) in rows.iter().enumerate() {
                if index == past {
                    let _ =
                        writeln!(text, "  {}", if self.has_ended() { "and would have gone on:" } else { "to come:" });
                }
                line(&mut text, row, &widths);
            }
        }
        if self.is_cut {
            let _ = writeln!(text, "  (only the first {} rows are shown)", super::ROWS_MAX);
        }
        let _ = writeln!(text, "Counts: from {}.", self.counts_from(zone));
        let _ = writeln!(text, "Rule: {} [{}].", self.rule, self.source);
        for beside in &self.beside {
            let due = due_words(beside.due, zone);
            let _ = writeln!(text, "Beside: {} [{}], {due}.", beside.rule, beside.source);
        }
        let _ = writeln!(text, "Terms: {}, {}", self.version, self.terms.text().trim_end());
        text
    }

    fn has_ended(&self) -> bool {
        match self.clock.state {
            ClockState::Met { .. } | ClockState::MetLate { .. } | ClockState::Cancelled { .. } => true,
            ClockState::Scheduled { .. } | ClockState::Running { .. } | ClockState::Paused { .. } => false,
        }
    }

    fn headline(&self, zone: &TimeZone) -> String {
        let due = due_words(self.clock.due, zone);
        let left = match (self.clock.breached_at, self.clock.remaining_s) {
            (Some(_), _) => format!("{} overdue", duration(self.clock.overdue_s)),
            (None, Some(left)) => format!("{} left", duration(left)),
            (None, None) => "time left not known".to_owned(),
        };
        let used = self.share_used().map(|used| format!(" ({used})")).unwrap_or_default();
        match &self.clock.state {
            ClockState::Scheduled { begins: Some(begins) } => format!("begins {}, {due}", stamp(*begins, zone)),
            ClockState::Scheduled { begins: None } => "waits for the stage before it".to_owned(),
            ClockState::Running { counting: Counting::Counted } => format!("{left}, {due}{used}"),
            ClockState::Running { counting: Counting::OutsideCoverage } => {
                format!("{left}, running, not counting outside hours, {due}{used}")
            }
            ClockState::Paused { since, reasons, ends } => {
                let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
                let ends = ends.map(|ends| format!(", at the latest until {}", stamp(ends, zone))).unwrap_or_default();
                format!("{left}, paused since {} for {}{ends}, {due}{used}", stamp(*since, zone), reasons.join(" and "))
            }
            ClockState::Met { at } => format!("met {}{}, {due}{used}", stamp(*at, zone), self.satisfied()),
            ClockState::MetLate { at } => format!("met late, {}{}, {due}", stamp(*at, zone), self.satisfied()),
            ClockState::Cancelled { at, why } => format!("cancelled {} ({why}), {due}", stamp(*at, zone)),
        }
    }

    fn satisfied(&self) -> String {
        self.clock.satisfied_by.as_ref().map(|by| format!(", {}", by.what)).unwrap_or_default()
    }

    /// `8 h covered, 86 % used`.
    fn share_used(&self) -> Option<String> {
        let promised = self.promised_s.filter(|&promised| promised > 0)?;
        let share = u128::from(self.clock.counted_s) * 100 / u128::from(promised);
        Some(format!("{} covered, {share} % used", duration(promised)))
    }

    fn counts_from(&self, zone: &TimeZone) -> String {
        let from = match self.clock.counted_from {
            Some(from) => stamp(from, zone),
            None => return "the end of the stage before it".to_owned(),
        };
        if let Some(after) = self.after {
            let waited = duration(after.unresolved_for.0);
            return format!(
                "{from}, {waited} of covered time after the stage `{}` or its due, unresolved",
                after.stage
            );
        }
        let what = match self.measured_from {
            MeasuredFrom::Received => "received",
            MeasuredFrom::Detected => "detected",
            MeasuredFrom::Reported => "reported",
        };
        match self.outage_s {
            0 => format!("{from}, {what}"),
            outage => format!("{from}, {what} less {} in which the collector could not receive", duration(outage)),
        }
    }
}

/// The clock of a stage as people call it.
pub(super) fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Acknowledge => "Acknowledgement clock",
        Stage::Respond => "Response clock",
        Stage::OnSite => "On-site clock",
        Stage::Update => "Update clock",
        Stage::Workaround => "Workaround clock",
        Stage::Resolve => "Resolution clock",
        Stage::VisitReport => "Visit report clock",
        Stage::RestoreTest => "Restore test clock",
    }
}

fn due_words(due: DueAt, zone: &TimeZone) -> String {
    match due {
        DueAt::At { at } => format!("due {}", stamp(at, zone)),
        DueAt::Paused => "no due while it is paused".to_owned(),
        DueAt::Never => "never due: its calendar cannot reach the target".to_owned(),
        DueAt::NotBegun => "not begun".to_owned(),
    }
}

/// `Tue 17 Nov 14:55:00 CST`; the zone is always said.
fn stamp(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %-d %b %H:%M:%S %Z").to_string()
}

fn cells(row: &Row, zone: &TimeZone) -> [String; 6] {
    let (from, to) = (row.from.to_zoned(zone.clone()), row.to.to_zoned(zone.clone()));
    let to_format = if from.date() == to.date() { "%H:%M:%S" } else { "%a %-d %b %H:%M:%S" };
    let counted = if row.counted_s > 0 { duration(row.counted_s) } else { "-".to_owned() };
    [
        from.strftime("%a %-d %b %H:%M:%S").to_string(),
        to.strftime(to_format).to_string(),
        counted,
        row.left_s.map(duration).unwrap_or_default(),
        why_words(&row.why),
        row.source.clone(),
    ]
}

fn why_words(why: &RowWhy) -> String {
    match why {
        RowWhy::Counted => "covered hours".to_owned(),
        RowWhy::OutsideCoverage => "outside coverage".to_owned(),
        RowWhy::Holiday { name: Some(name) } => format!("holiday: {name}"),
        RowWhy::Holiday { name: None } => "holiday".to_owned(),
        RowWhy::Paused { pause } => {
            let end = if pause.ends_by_itself { ", ends by itself" } else { "" };
            format!("paused: {} ({}{end})", pause.reason, pause.who)
        }
        RowWhy::Ended { how } => format!("ended: {how}"),
    }
}

fn widths(head: &[String; 6], rows: &[[String; 6]]) -> [usize; 6] {
    std::array::from_fn(|column| {
        rows.iter().chain([head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    })
}

fn line(text: &mut String, cells: &[String; 6], widths: &[usize; 6]) {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_and_hours_never_become_days() {
        for (seconds, shown) in [
            (0, "0 s"),
            (45, "45 s"),
            (600, "10 m"),
            (605, "10 m 05 s"),
            (3600, "1 h"),
            (6600, "1 h 50 m"),
            (93_605, "26 h 00 m 05 s"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
