//! An account in words: plain sentences first, then a table for each kind of figure. Every row begins with the name
//! under which it can be asked why ([`Account::why`]).

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Account, AssetTime, AvailabilityRow, CreditLine, DowntimeRow, LabourRow, Stretch, TargetRow, VersionPart, labour,
};
use crate::{
    availability::{Figure, Unit, UnknownWhy, Verdict},
    book::CountsAs,
    credit::Cause,
    explain::duration,
    outcome::{Kept, Outcome},
    terms::{DowntimePer, LongestDowntime},
};

impl Account {
    /// The whole statement.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.sentences(&mut text);
        self.tables(&mut text);
        text
    }

    /// A time in the agreement's zone: `2026-11-03 00:00:00 CST`.
    pub(super) fn at(&self, at: Timestamp) -> String {
        moment(at, &labour::zone(&self.zone))
    }

    pub(super) fn span(&self, stretch: Stretch) -> String {
        format!("{} to {}", self.at(stretch.from), self.at(stretch.to))
    }

    fn head(&self, text: &mut String) {
        line(text, &format!("Statement of {} for {}", self.agreement, self.client_name));
        line(text, &format!("{} ({})", self.span(self.period), self.zone));
        if self.as_of < self.period.to {
            line(text, &format!("The period is not over: everything is as of {}.", self.at(self.as_of)));
        } else {
            line(text, &format!("As known at {}.", self.at(self.as_of)));
        }
    }

    fn sentences(&self, text: &mut String) {
        line(text, "\nDid you get what you pay for?");
        for sentence in self.said() {
            line(text, &format!("- {sentence}"));
        }
    }

    /// The answer in sentences: targets, availability, downtime, credits, work, fee, and what is disputed.
    pub fn said(&self) -> Vec<String> {
        let mut said = vec![
            self.said_targets(),
            self.said_availability(),
            self.said_downtime(),
            self.said_credits(),
            self.said_labour(),
            self.said_fee(),
        ];
        said.extend(self.said_disputes());
        said
    }

    /// The answer in a few words, for a subject: `4 of 5 kept, 1 of 3 systems down for longer than allowed, USD 40.00
    /// credited`. A system whose window is not over is only missed when nothing can mend it any more.
    pub fn verdict(&self) -> String {
        let (in_time, decided) = self.decided();
        let mut said = match decided {
            0 => "nothing fell due".to_owned(),
            decided => format!("{in_time} of {decided} kept"),
        };
        let systems = self.availability.len();
        match (self.missed().count(), systems) {
            (0, _) => {}
            (1, 1) => said.push_str(", its system down for longer than allowed"),
            (missed, all) => {
                let _ = write!(said, ", {missed} of {all} systems down for longer than allowed");
            }
        }
        match self.availability.iter().filter(|row| row.verdict == Verdict::NotProven).count() {
            0 => {}
            unproven => {
                let _ = write!(said, ", {unproven} of {systems} systems not proven");
            }
        }
        match self.downtime.iter().filter(|row| row.over_s.is_some()).count() {
            0 => {}
            1 => said.push_str(", 1 downtime above its limit"),
            many => {
                let _ = write!(said, ", {many} downtimes above their limits");
            }
        }
        if self.credits.owed.minor > 0 {
            let _ = write!(said, ", {} credited", self.credits.owed);
        }
        said
    }

    /// Whether something was promised in vain.
    pub fn is_missed(&self) -> bool {
        let (in_time, decided) = self.decided();
        let is_limit_passed = self.downtime.iter().any(|row| row.over_s.is_some());
        in_time < decided || self.missed().next().is_some() || is_limit_passed
    }

    /// Whether so little is unknown that each figure says something (F8).
    pub fn is_proven(&self) -> bool {
        self.availability.iter().all(|row| row.verdict != Verdict::NotProven)
    }

    /// How many promises were kept, of how many that are decided.
    fn decided(&self) -> (usize, usize) {
        let count = |kept: Kept| self.targets.iter().filter(|row| row.outcome.kept == kept).count();
        let in_time = count(Kept::InTime);
        (in_time, in_time + count(Kept::Late) + count(Kept::Missed))
    }

    /// The figures that cannot be kept any more, or were not.
    fn missed(&self) -> impl Iterator<Item = &AvailabilityRow> {
        self.availability.iter().filter(|row| match row.verdict {
            Verdict::Kept | Verdict::Missed => row.measured.figure.uptime.down_s > row.allowed_down_s,
            Verdict::NotProven | Verdict::NothingCounted => false,
        })
    }

    fn said_targets(&self) -> String {
        let count = |kept: Kept| self.targets.iter().filter(|row| row.outcome.kept == kept).count();
        let decided = count(Kept::InTime) + count(Kept::Late) + count(Kept::Missed);
        if decided == 0 {
            let open = count(Kept::Open);
            return match open {
                0 => "No incident asked for an answer.".to_owned(),
                _ => format!("No answer fell due; {open} are still open."),
            };
        }
        let mut said = format!("Answers: {} of {decided} promises were kept", count(Kept::InTime));
        for (kept, words) in [(Kept::Late, "came late"), (Kept::Missed, "were missed")] {
            if count(kept) > 0 {
                let _ = write!(said, ", {} {words}", count(kept));
            }
        }
        if count(Kept::Open) > 0 {
            let _ = write!(said, ", {} are still open", count(Kept::Open));
        }
        let broken = self.targets.iter().filter(|row| row.outcome.breached_at.is_some());
        let named: Vec<String> = broken.map(|row| format!("{} ({})", row.incident, row.outcome.stage)).collect();
        if named.is_empty() { format!("{said}.") } else { format!("{said}: {}.", named.join(", ")) }
    }

    fn said_availability(&self) -> String {
        if self.availability.is_empty() {
            return "Availability: none is promised.".to_owned();
        }
        let of = |verdict: Verdict| self.availability.iter().filter(move |row| row.verdict == verdict);
        let all = self.availability.len();
        let mut said = format!("Availability: {} of {all} figures kept what is promised", of(Verdict::Kept).count());
        for (verdict, words) in [
            (Verdict::Missed, "missed it"),
            (Verdict::NotProven, "not proven, too much is unknown"),
            (Verdict::NothingCounted, "no second counted"),
        ] {
            // Under two versions one unit has two figures.
            let under = |row: &AvailabilityRow| match self.versions.len() {
                0 | 1 => String::new(),
                _ => format!(" under v{}", row.version),
            };
            let figure =
                |row: &AvailabilityRow| format!("{} {}{}", unit(&row.unit), row.measured.figure.shown(), under(row));
            let named: Vec<String> = of(verdict).map(figure).collect();
            if !named.is_empty() {
                let _ = write!(said, "; {words}: {}", named.join(", "));
            }
        }
        format!("{said}.")
    }

    fn said_downtime(&self) -> String {
        let over: Vec<&DowntimeRow> = self.downtime.iter().filter(|row| row.over_s.is_some()).collect();
        let longest = |row: &DowntimeRow| {
            format!(
                "{}/{} was down {} where {} is the longest",
                row.site,
                row.asset,
                duration(row.downtime.seconds),
                limit(row.limit)
            )
        };
        let mut said = if over.is_empty() {
            let measured = self.downtime.iter().filter(|row| row.downtime.seconds > 0).count();
            match (self.downtime.is_empty(), measured) {
                (true, _) => "Downtime: nothing that has a limit was down.".to_owned(),
                (false, 0) => "Downtime: none.".to_owned(),
                (false, _) => "Downtime: every limit was kept.".to_owned(),
            }
        } else {
            format!("Downtime: {}.", over.into_iter().map(longest).collect::<Vec<_>>().join("; "))
        };
        let cost = super::sum(
            self.time.iter().filter(|row| row.sums.down_s > 0).filter_map(|row| row.cost_of_downtime).map(Some),
        );
        if let Some(cost) = cost {
            let _ = write!(said, " It cost you {cost} by the agreement's own price of an hour.");
        }
        said
    }

    fn said_credits(&self) -> String {
        let credits = &self.credits;
        if let Some(why) = &credits.not_said {
            return format!("Credits: cannot be said: {why}.");
        }
        let open = credits.windows.iter().filter(|window| !window.is_final && window.sum.minor > 0);
        let so_far: Vec<String> =
            open.map(|window| format!("{} so far for {}", window.owed, self.span(window.window))).collect();
        let mut said = match credits.owed.minor {
            0 => "Credits: none are owed".to_owned(),
            _ => format!("Credits: {} are owed to you", credits.owed),
        };
        let capped = credits.windows.iter().filter(|window| window.is_final && window.owed < window.sum);
        for window in capped {
            let _ = write!(said, " (the cap holds {} down to {})", window.sum, window.owed);
        }
        if !so_far.is_empty() {
            let _ = write!(said, "; {}", so_far.join(", "));
        }
        format!("{said}.")
    }

    fn said_labour(&self) -> String {
        let labour = &self.labour;
        let mut said = match labour.rows.len() {
            0 => "Work: none was entered".to_owned(),
            1 => format!("Work: one entry, {}", labour.total),
            entries => format!("Work: {entries} entries, {}", labour.total),
        };
        for included in &labour.included {
            let _ = write!(
                said,
                "; included hours of {}: {} of {} used, {} left, {} beyond them",
                month(included.month.from, &labour::zone(&self.zone)),
                duration(included.used_s),
                duration(included.given_s),
                duration(included.left_s),
                duration(included.overage_s)
            );
        }
        if labour.not_priced > 0 {
            let _ = write!(said, "; {} entries have no price", labour.not_priced);
        }
        format!("{said}.")
    }

    fn said_fee(&self) -> String {
        match (self.fee, self.versions.as_slice()) {
            (None, _) => "Fee: the agreement says none by the month or year.".to_owned(),
            (Some(fee), [only]) => format!("Fee: {fee}, {} (v{}).", plan(only), only.version),
            (Some(fee), parts) => {
                let part = |part: &VersionPart| {
                    let fee = part.fee.map_or_else(|| "no fee".to_owned(), |fee| fee.to_string());
                    format!("{fee} for v{} ({}) from {}", part.version, plan(part), self.at(part.time.from))
                };
                format!("Fee: {fee}: {}.", parts.iter().map(part).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// What is disputed is said as such, and counted both ways (F13).
    fn said_disputes(&self) -> Vec<String> {
        let mut said = Vec::new();
        for row in &self.availability {
            if let (Some(figure), Some(verdict)) = (&row.measured.if_disputes_hold, row.verdict_if_disputes_hold) {
                said.push(format!(
                    "Disputed: {} is {} as counted and {} if you are right ({}).",
                    unit(&row.unit),
                    row.measured.figure.shown(),
                    figure.shown(),
                    verdict_words(verdict)
                ));
            }
        }
        for row in self.targets.iter().filter(|row| row.if_disputes_hold.is_some_and(|kept| kept != row.outcome.kept)) {
            let kept = row.if_disputes_hold.map_or("", Kept::words);
            said.push(format!(
                "Disputed: {} {} is {} as counted and {kept} if you are right.",
                row.incident,
                row.outcome.stage,
                row.outcome.kept.words()
            ));
        }
        if let Some(owed) = self.credits.if_disputes_hold {
            said.push(format!("Disputed: credits are {} as counted and {owed} if you are right.", self.credits.owed));
        }
        said
    }

    fn tables(&self, text: &mut String) {
        table(text, "Targets", &self.targets, |row| format!("{}  {}", self.target_name(row), self.target_row(row)));
        table(text, "Availability", &self.availability, |row| {
            format!("{}  {}", self.availability_name(row), self.availability_row(row))
        });
        table(text, "Downtime with a limit", &self.downtime, |row| {
            format!("{}  {}", self.downtime_name(row), self.downtime_row(row))
        });
        table(text, "Time of each asset", &self.time, |row| format!("{}  {}", time_name(row), time_row(row)));
        let numbered: Vec<(usize, &CreditLine)> = self.credits.lines.iter().enumerate().collect();
        table(text, "Credits", &numbered, |(index, row)| format!("credit/{}  {}", index + 1, self.credit_row(row)));
        table(text, "Work", &self.labour.rows, |row| format!("{}  {}", labour_name(row), self.labour_row(row)));
        table(text, "Fee", &self.versions, |row| format!("fee/v{}  {}", row.version, self.fee_row(row)));
        line(text, "\nWhy a figure is what it is: statement … --why NAME, with a name from the first column.");
    }

    pub(super) fn target_name(&self, row: &TargetRow) -> String {
        let Outcome { stage, round, .. } = row.outcome;
        let round = if round == 1 { String::new() } else { format!("/{round}") };
        format!("target/{}/{stage}{round}", row.incident)
    }

    pub(super) fn target_row(&self, row: &TargetRow) -> String {
        let due = row.outcome.due.instant().map_or_else(|| "no due".to_owned(), |due| format!("due {}", self.at(due)));
        let mut said = format!("{}, {due}, v{}", row.outcome.kept.words(), row.version);
        if let Some(kept) = row.if_disputes_hold {
            let _ = write!(said, ", disputed: {} if you are right", kept.words());
        }
        said
    }

    pub(super) fn availability_name(&self, row: &AvailabilityRow) -> String {
        let date = labour::zone(&self.zone).to_datetime(row.window.from).date();
        format!("availability/{}/{date}/v{}", unit(&row.unit), row.version)
    }

    pub(super) fn availability_row(&self, row: &AvailabilityRow) -> String {
        let figure = &row.measured.figure;
        let mut said = format!(
            "{} ({}), promised {}: {}; unknown {} {}, degraded {}",
            figure.shown(),
            fraction(figure),
            row.objective.as_percent(),
            verdict_words(row.verdict),
            duration(figure.tally.unknown_s),
            counts(row.unknown),
            counts(row.degraded)
        );
        if let Some(limit) = row.not_proven_above {
            let _ = write!(said, ", not proven above {} unknown", limit.as_percent());
        }
        if !row.is_final {
            said.push_str("; so far");
        }
        said
    }

    pub(super) fn downtime_name(&self, row: &DowntimeRow) -> String {
        let source = row.source.replace(' ', "-");
        format!("downtime/{}/{}/{source}/{}", row.site, row.asset, stamp(row.downtime.from))
    }

    pub(super) fn downtime_row(&self, row: &DowntimeRow) -> String {
        let used = format!("{} of {}", minutes(row.downtime.seconds), minutes(row.limit.seconds));
        let over = row.over_s.map(|over| format!(", {} over", duration(over))).unwrap_or_default();
        let so_far = if row.is_final { "" } else { ", so far" };
        let disputed = row
            .seconds_if_disputes_hold
            .map(|seconds| format!(", disputed: {} if you are right", minutes(seconds)))
            .unwrap_or_default();
        let when = self.span(Stretch { from: row.downtime.from, to: row.downtime.to });
        format!("{used} min used per {}{over}{so_far}{disputed}, {when}", row.limit.per)
    }

    pub(super) fn credit_row(&self, row: &CreditLine) -> String {
        let of = row.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let cause = match &row.cause {
            Cause::Availability { unit: about, figure } => {
                format!("availability of {} {}", unit(about), figure.shown())
            }
            Cause::Downtime { downtime, over_s } => format!(
                "downtime of {} {} per {}, {} over",
                row.about.as_deref().unwrap_or("-"),
                duration(downtime.seconds),
                downtime.per,
                duration(*over_s)
            ),
            Cause::Missed(missed) => format!("{} missed {}", missed.incident, missed.stage),
        };
        format!("{}{of}: {cause}, credit {} of v{}", row.amount, row.tier, row.version)
    }

    pub(super) fn labour_row(&self, row: &LabourRow) -> String {
        let when = self.span(Stretch { from: row.work.from, to: row.work.to });
        let amount = match (&row.amount, &row.not_priced) {
            (Some(amount), _) => amount.to_string(),
            (None, why) => format!("no price: {}", why.as_deref().unwrap_or("unknown")),
        };
        format!("{} {}, {when}: {amount}", row.work.who, row.work.manner)
    }

    pub(super) fn fee_row(&self, row: &VersionPart) -> String {
        let monthly = row.monthly.map_or_else(|| "no fee by the month".to_owned(), |fee| format!("{fee} a month"));
        let fee = row.fee.map_or_else(|| "-".to_owned(), |fee| fee.to_string());
        format!("{fee}: {}, {monthly}, {}", plan(row), self.span(row.time))
    }
}

pub(super) fn time_name(row: &AssetTime) -> String {
    format!("time/{}/{}", row.site, row.asset)
}

pub(super) fn time_row(row: &AssetTime) -> String {
    let sums = &row.sums;
    let mut said = format!(
        "up {} s, degraded {} s, down {} s, unknown {} s",
        sums.up_s,
        sums.degraded_s,
        sums.down_s,
        sums.unknown_s()
    );
    if !sums.unknown.is_empty() {
        let why: Vec<String> =
            sums.unknown.iter().map(|(why, seconds)| format!("{} {seconds} s", unknown(*why))).collect();
        let _ = write!(said, " ({})", why.join(", "));
    }
    let _ = write!(said, ", in all {} s", sums.total_s());
    if let Some(cost) = row.cost_of_downtime.filter(|cost| cost.minor > 0) {
        let _ = write!(said, ", cost you {cost}");
    }
    said
}

pub(super) fn labour_name(row: &LabourRow) -> String {
    format!("labour/{}/{}", row.incident, row.fact)
}

/// `plant-2/nvr-02`, `plant-2/class:recorder`, `plant-2`.
pub(super) fn unit(unit: &Unit) -> String {
    match unit {
        Unit::Asset { site, asset } => format!("{site}/{asset}"),
        Unit::Class { site, class } => format!("{site}/class:{class}"),
        Unit::Site { site } => site.to_string(),
    }
}

/// The exact fraction, not reduced: `2590000/2592000 s`.
pub(super) fn fraction(figure: &Figure) -> String {
    figure.availability().map_or_else(|| "0/0 s".to_owned(), |(up, counted)| format!("{up}/{counted} s"))
}

pub(super) fn counts(counts: CountsAs) -> &'static str {
    match counts {
        CountsAs::Exclude => "left out",
        CountsAs::AsUp => "counted as up",
        CountsAs::AsDown => "counted as down",
    }
}

pub(super) fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "met",
        Verdict::Missed => "missed",
        Verdict::NotProven => "not proven",
        Verdict::NothingCounted => "nothing counted",
    }
}

pub(super) fn unknown(why: UnknownWhy) -> &'static str {
    match why {
        UnknownWhy::AgentSilent => "agent silent",
        UnknownWhy::Off => "off as announced",
        UnknownWhy::NotMonitored => "not monitored",
        UnknownWhy::Collector => "collector",
        UnknownWhy::Pending => "pending",
        UnknownWhy::CannotJudge => "probe could not judge",
    }
}

fn limit(limit: LongestDowntime) -> String {
    let per = match limit.per {
        DowntimePer::Event => "in one event".to_owned(),
        DowntimePer::Month | DowntimePer::Quarter | DowntimePer::AgreementYear => format!("per {}", limit.per),
    };
    format!("{} {per}", duration(limit.seconds))
}

fn plan(part: &VersionPart) -> String {
    let riders: String = part.riders.iter().map(|rider| format!(" and {rider}")).collect();
    format!("{}{riders}", part.plan)
}

/// Minutes with the seconds that are left: `12:05`.
fn minutes(seconds: u64) -> String {
    if seconds.is_multiple_of(60) {
        (seconds / 60).to_string()
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn month(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m").to_string()
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn table<T>(text: &mut String, title: &str, rows: &[T], row: impl Fn(&T) -> String) {
    if rows.is_empty() {
        return;
    }
    line(text, &format!("\n{title}"));
    for entry in rows {
        line(text, &format!("  {}", row(entry)));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
