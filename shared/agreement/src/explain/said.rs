//! What an explanation says, cell by cell and sentence by sentence: the terminal's table and the page's are made of
//! these words and no others.

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};

use super::{Explanation, Row, RowWhy, text::duration};
use crate::{
    clock::{ClockState, Counting, Dispute, DisputeOutcome, DueAt, ManufacturerState, ManufacturerView, Settled},
    words::{MeasuredFrom, Stage},
};

/// The most missed dues that one line lists.
const MISSED_SHOWN: usize = 20;

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
        let has_passed = self.clock.due.instant().is_some_and(|due| due <= self.as_of);
        let left = match (self.clock.breached_at, self.clock.remaining_s) {
            (Some(_), _) if has_passed => format!("{} overdue", duration(self.clock.overdue_s)),
            (Some(_) | None, Some(left)) => format!("{} left", duration(left)),
            (Some(_) | None, None) => "time left not known".to_owned(),
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
        let open = self.clock.disputes.iter().filter(|dispute| dispute.settled.is_none());
        let disputed: BTreeSet<u64> = open.map(|dispute| dispute.item).collect();
        self.rows.iter().map(|row| cells(row, &zone, |fact| disputed.contains(&fact))).collect()
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
        notes.extend(self.took_over.iter().map(|new| format!("From {}: {}.", stamp(new.at, &zone), new.what)));
        notes.extend(self.earlier_breaches(&zone));
        notes.extend(self.disputes(&zone));
        notes.extend(self.beside.iter().map(|beside| {
            let due = due_words(beside.due, &zone);
            format!("Beside: {} [{}], {due}.", beside.rule, beside.source)
        }));
        notes
    }

    /// The dues that were missed before the one that is shown: earlier rounds, or terms that an amendment loosened.
    fn earlier_breaches(&self, zone: &TimeZone) -> Option<String> {
        let earlier = self.clock.missed.iter().filter(|&&at| Some(at) != self.clock.due.instant());
        let earlier: Vec<String> = earlier.map(|&at| stamp(at, zone)).collect();
        let (shown, rest) = earlier.split_at(earlier.len().min(MISSED_SHOWN));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        (!shown.is_empty()).then(|| format!("Missed: due {}{more}.", shown.join(", ")))
    }

    /// What is disputed, and how the clock stands if the client is right (F13).
    fn disputes(&self, zone: &TimeZone) -> Vec<String> {
        let mut said: Vec<String> = self
            .clock
            .disputes
            .iter()
            .map(|Dispute { item, what, effective_at, by, why, who, at, settled }| {
                let settled = settled.as_ref().map(|Settled { outcome, at, who }| {
                    format!("; settled {} by {who}: {}", stamp(*at, zone), outcome_words(*outcome))
                });
                let open = settled.unwrap_or_else(|| "; not settled".to_owned());
                let what = format!("{what} {} by {by}", stamp(*effective_at, zone));
                format!("Disputed by {who} {}: fact {item}, {what}: {why}{open}.", stamp(*at, zone))
            })
            .collect();
        if let Some(other) = &self.clock.if_client_is_right {
            let counted = duration(other.counted_s);
            let breached = other.breached_at.map(|at| format!(", missed {}", stamp(at, zone))).unwrap_or_default();
            said.push(format!("If the client is right: {}, {counted} counted{breached}.", due_words(other.due, zone)));
        }
        said
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

impl ManufacturerView {
    /// How it stands with the manufacturer, in a sentence; times in `zone`, an IANA name.
    pub fn sentence(&self, zone: &str) -> String {
        let zone = &TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let handed = self.handed_over_at.map(|at| format!(" since {}", stamp(at, zone))).unwrap_or_default();
        let reference = self.reference.as_ref().map(|its| format!(" (there {its})")).unwrap_or_default();
        let missed = self.breached_at.map(|at| format!(", missed {}", stamp(at, zone))).unwrap_or_default();
        let how = match &self.state {
            ManufacturerState::NotHandedOver => return format!("{} does not have it.", self.name),
            ManufacturerState::Waiting { counting } => {
                let counting = match counting {
                    Counting::Counted => "",
                    Counting::OutsideCoverage => ", outside his hours",
                };
                format!("has not answered, {} of his hours counted{counting}", duration(self.counted_s))
            }
            ManufacturerState::Answered { at, with_whom } => {
                let with = with_whom.as_ref().map(|with| format!(", {with}")).unwrap_or_default();
                format!("answered {}{with}", stamp(*at, zone))
            }
            ManufacturerState::NotNeeded { at } => format!("not needed after {}", stamp(*at, zone)),
        };
        let due = due_words(self.due, zone);
        format!("{} has it{handed}{reference}: {how}, {due}{missed} [{}].", self.name, self.source)
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

fn outcome_words(outcome: DisputeOutcome) -> &'static str {
    match outcome {
        DisputeOutcome::ClientIsRight => "the client is right",
        DisputeOutcome::ProviderIsRight => "it stands",
        DisputeOutcome::Withdrawn => "withdrawn",
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

fn cells(row: &Row, zone: &TimeZone, in_dispute: impl Fn(u64) -> bool) -> Cells {
    let (from, to) = (row.from.to_zoned(zone.clone()), row.to.to_zoned(zone.clone()));
    let to_format = if from.date() == to.date() { "%H:%M:%S" } else { "%a %-d %b %H:%M:%S" };
    Cells {
        from: from.strftime("%a %-d %b %H:%M:%S").to_string(),
        to: to.strftime(to_format).to_string(),
        counted: if row.counted_s > 0 { duration(row.counted_s) } else { "-".to_owned() },
        left: row.left_s.map(duration).unwrap_or_default(),
        why: why_words(&row.why, in_dispute),
        source: row.source.clone(),
    }
}

fn why_words(why: &RowWhy, in_dispute: impl Fn(u64) -> bool) -> String {
    match why {
        RowWhy::Counted => "covered hours".to_owned(),
        RowWhy::OutsideCoverage => "outside coverage".to_owned(),
        RowWhy::Holiday { name: Some(name) } => format!("holiday: {name}"),
        RowWhy::Holiday { name: None } => "holiday".to_owned(),
        RowWhy::Paused { pause } => {
            let end = if pause.ends_by_itself { ", ends by itself" } else { "" };
            let disputed = if in_dispute(pause.fact) { ", disputed" } else { "" };
            format!("paused: {} ({}{end}{disputed})", pause.reason, pause.who)
        }
        RowWhy::Ended { how } => format!("ended: {how}"),
    }
}
