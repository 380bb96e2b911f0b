//! What an explanation says, cell by cell and sentence by sentence: the terminal's table and the page's are made of
//! these words and no others.

use jiff::{Timestamp, tz::TimeZone};

use super::{Explanation, Row, RowWhy, text::duration};
use crate::{
    clock::{ClockState, Counting, DueAt},
    words::{MeasuredFrom, Stage},
};

/// One stretch of time in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// `Mon 16 Nov 16:10:00`, in the explanation's zone.
    pub from: String,
    /// `18:00:00`, with its day where that is another.
    pub to: String,
    /// What of it counts; a dash for nothing.
    pub counted: String,
    /// What is left after it; empty where nothing was promised that could be left.
    pub left: String,
    /// Why.
    pub why: String,
    /// Where that is written.
    pub source: String,
}

impl Explanation {
    /// Which clock: `Response clock`.
    pub fn name(&self) -> &'static str {
        name(self.stage())
    }

    /// How it stands: `17 h 08 m left, due Thu 19 Nov 10:55:00 CST (24 h covered, 28 % used)`.
    pub fn headline(&self) -> String {
        let zone = &self.time_zone();
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

    /// The rows in words, as many as there are [`Explanation::rows`].
    pub fn cells(&self) -> Vec<Cells> {
        let zone = self.time_zone();
        self.rows.iter().map(|row| cells(row, &zone)).collect()
    }

    /// What stands between the rows that have passed and those that have not.
    pub fn divider(&self) -> &'static str {
        match self.clock.state {
            ClockState::Met { .. } | ClockState::MetLate { .. } | ClockState::Cancelled { .. } => {
                "and would have gone on:"
            }
            ClockState::Scheduled { .. } | ClockState::Running { .. } | ClockState::Paused { .. } => "to come:",
        }
    }

    /// What is to be known beside the rows: from when it counts, by which rule, what stands beside that.
    pub fn notes(&self) -> Vec<String> {
        let zone = self.time_zone();
        let mut notes = Vec::new();
        if self.is_cut {
            notes.push(format!("Only the first {} rows are shown.", super::ROWS_MAX));
        }
        notes.push(format!("Counts: from {}.", self.counts_from(&zone)));
        notes.push(format!("Rule: {} [{}].", self.rule, self.source));
        notes.extend(self.beside.iter().map(|beside| {
            let due = due_words(beside.due, &zone);
            format!("Beside: {} [{}], {due}.", beside.rule, beside.source)
        }));
        notes
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
fn name(stage: Stage) -> &'static str {
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

fn cells(row: &Row, zone: &TimeZone) -> Cells {
    let (from, to) = (row.from.to_zoned(zone.clone()), row.to.to_zoned(zone.clone()));
    let to_format = if from.date() == to.date() { "%H:%M:%S" } else { "%a %-d %b %H:%M:%S" };
    Cells {
        from: from.strftime("%a %-d %b %H:%M:%S").to_string(),
        to: to.strftime(to_format).to_string(),
        counted: if row.counted_s > 0 { duration(row.counted_s) } else { "-".to_owned() },
        left: row.left_s.map(duration).unwrap_or_default(),
        why: why_words(&row.why),
        source: row.source.clone(),
    }
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
