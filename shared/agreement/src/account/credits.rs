//! What is owed over the windows that an account touches, with one cap for each window.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AvailabilityRow, DowntimeRow, Happened, Stretch, TargetRow, Terms, sum};
use crate::{
    book::{Amount, CreditLimits, Rounding, Version},
    credit::{Cause, CreditError, Measures, Missed, credit},
    downtime::Downtime,
    money::Money,
    outcome::Kept,
};

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// Line by line, those of windows that are not over too.
    pub lines: Vec<CreditLine>,
    /// Window by window.
    pub windows: Vec<CreditWindow>,
    /// What is owed in this period: the windows that ended in it.
    pub owed: Money,
    /// What would be owed if the client is right about everything that he disputes; `None` while nothing is disputed.
    pub if_disputes_hold: Option<Money>,
    /// Why something could not be said.
    pub not_said: Option<String>,
}

/// One line of what is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditLine {
    /// The window that it falls into.
    pub window: Stretch,
    /// The version that promised.
    pub version: u32,
    /// For what.
    pub cause: Cause,
    /// About which asset, for downtime: `plant-2/nvr-02`.
    pub about: Option<String>,
    /// Which tier of the plan, from 1.
    pub tier: usize,
    /// The fee of which a share is owed.
    pub of: Option<Money>,
    /// How much.
    pub amount: Money,
}

/// The credits of one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditWindow {
    /// Which.
    pub window: Stretch,
    /// Whether it is over and ended in the period.
    pub is_final: bool,
    /// The sum of its lines.
    pub sum: Money,
    /// The cap, where there is one.
    pub cap: Option<Money>,
    /// What is owed: the sum, at most the cap.
    pub owed: Money,
}

/// What of a disputed figure is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    AsCounted,
    IfDisputesHold,
}

pub(super) fn credits(
    terms: &Terms<'_>,
    happened: &Happened,
    availability: &[AvailabilityRow],
    downtime: &[DowntimeRow],
    targets: &[TargetRow],
) -> Credits {
    let found = Found::new(terms, happened, availability, downtime);
    let is_disputed = availability.iter().any(|row| row.measured.if_disputes_hold.is_some())
        || downtime.iter().any(|row| row.seconds_if_disputes_hold.is_some())
        || targets.iter().any(|row| row.if_disputes_hold.is_some());
    let currency = terms.book.provider.currency;
    let nothing = Money { minor: 0, currency };
    match found.owed(Take::AsCounted) {
        Ok((lines, windows)) => {
            let owed = owed_of(&windows).unwrap_or(nothing);
            let held = is_disputed.then(|| found.owed(Take::IfDisputesHold));
            let if_disputes_hold =
                held.map(|held| held.ok().and_then(|(_, windows)| owed_of(&windows)).unwrap_or(nothing));
            Credits { lines, windows, owed, if_disputes_hold, not_said: None }
        }
        Err(error) => Credits {
            lines: Vec::new(),
            windows: Vec::new(),
            owed: nothing,
            if_disputes_hold: None,
            not_said: Some(error.to_string()),
        },
    }
}

fn owed_of(windows: &[CreditWindow]) -> Option<Money> {
    sum(windows.iter().filter(|window| window.is_final).map(|window| Some(window.owed)))
}

struct Found<'a> {
    terms: &'a Terms<'a>,
    happened: &'a Happened,
    availability: &'a [AvailabilityRow],
    downtime: &'a [DowntimeRow],
    /// The windows of each version, in order, each with what the whole of it costs: asked for every breach.
    windows: BTreeMap<u32, Vec<(Stretch, Option<Money>)>>,
}

impl<'a> Found<'a> {
    fn new(
        terms: &'a Terms<'a>,
        happened: &'a Happened,
        availability: &'a [AvailabilityRow],
        downtime: &'a [DowntimeRow],
    ) -> Self {
        let of = |version: &Version| {
            let windows = terms.own_windows(version, terms.question.period).into_iter();
            (version.number, windows.map(|window| (window, terms.fee(version, window))).collect())
        };
        let windows = terms.agreement.versions.iter().map(of).collect();
        Self { terms, happened, availability, downtime, windows }
    }

    fn owed(&self, take: Take) -> Result<(Vec<CreditLine>, Vec<CreditWindow>), CreditError> {
        let mut lines = self.of_availability(take)?;
        lines.extend(self.of_downtime(take)?);
        lines.extend(self.of_targets(take)?);
        lines.sort_by(|a, b| {
            let key = |line: &CreditLine| (line.window, kind(&line.cause), line.about.clone(), said(&line.cause));
            key(a).cmp(&key(b))
        });
        let windows = self.capped(&lines);
        Ok((lines, windows))
    }

    /// One line at most for each figure, of the fee of the stretch that was measured.
    fn of_availability(&self, take: Take) -> Result<Vec<CreditLine>, CreditError> {
        let mut lines = Vec::new();
        for row in self.availability {
            let Some(version) = self.terms.version(row.version) else { continue };
            let figure = match take {
                Take::AsCounted => row.measured.figure,
                Take::IfDisputesHold => row.measured.if_disputes_hold.unwrap_or(row.measured.figure),
            };
            // What is not proven is not owed (TERMS 2); the row says so.
            if figure.verdict(row.objective, row.not_proven_above) == crate::availability::Verdict::NotProven {
                continue;
            }
            let fee = self.terms.fee(version, row.measured_over);
            let measures = Measures { fee, availability: vec![(row.unit.clone(), figure)], ..Measures::default() };
            lines.extend(self.lines(version, row.window, &measures, None)?);
        }
        Ok(lines)
    }

    fn of_downtime(&self, take: Take) -> Result<Vec<CreditLine>, CreditError> {
        let mut lines = Vec::new();
        // An asset's own limit and the plan's tiers give the same downtime several rows: it is one measure.
        let mut seen: Vec<(String, Downtime)> = Vec::new();
        for row in self.downtime {
            let about = format!("{}/{}", row.site, row.asset);
            let seconds = match take {
                Take::AsCounted => row.downtime.seconds,
                Take::IfDisputesHold => row.seconds_if_disputes_hold.unwrap_or(row.downtime.seconds),
            };
            let downtime = Downtime { seconds, ..row.downtime };
            if seen.contains(&(about.clone(), downtime)) {
                continue;
            }
            seen.push((about.clone(), downtime));
            let Some(version) = self.terms.version(row.version) else { continue };
            let ended = row.downtime.to;
            let Some((window, fee)) = self.window(version, |window| window.from < ended && ended <= window.to) else {
                continue;
            };
            let measures = Measures { fee, downtime: vec![downtime], ..Measures::default() };
            lines.extend(self.lines(version, window, &measures, Some(about))?);
        }
        Ok(lines)
    }

    /// Every breach in the windows of the period, whether its row stands in this period or in one before.
    fn of_targets(&self, take: Take) -> Result<Vec<CreditLine>, CreditError> {
        let mut lines = Vec::new();
        for incident in &self.happened.targets {
            let outcomes = match take {
                Take::AsCounted => &incident.outcomes,
                Take::IfDisputesHold => incident.if_disputes_hold.as_ref().unwrap_or(&incident.outcomes),
            };
            let Some(version) = self.terms.version(incident.version) else { continue };
            for outcome in outcomes {
                let Some(breached_at) =
                    outcome.breached_at.filter(|_| matches!(outcome.kept, Kept::Late | Kept::Missed))
                else {
                    continue;
                };
                let Some((window, fee)) = self.window(version, |window| window.holds(breached_at)) else { continue };
                let missed = Missed { incident: incident.incident.clone(), stage: outcome.stage };
                let measures = Measures { fee, missed: vec![missed], ..Measures::default() };
                lines.extend(self.lines(version, window, &measures, None)?);
            }
        }
        Ok(lines)
    }

    fn lines(
        &self,
        version: &Version,
        window: Stretch,
        measures: &Measures,
        about: Option<String>,
    ) -> Result<Vec<CreditLine>, CreditError> {
        let Some(plan) = self.terms.plan(version) else { return Ok(Vec::new()) };
        let rounding = plan.credit_limits.as_ref().map_or(Rounding::HalfEven, |limits| limits.rounding);
        let uncapped = CreditLimits { cap: None, rounding };
        let note = credit(&plan.credits, Some(&uncapped), self.terms.book.provider.currency, measures)?;
        let line = |line: crate::credit::Line| CreditLine {
            window,
            version: version.number,
            cause: line.cause,
            about: about.clone(),
            tier: line.tier + 1,
            of: measures.fee.filter(|_| matches!(plan.credits[line.tier].amount, Amount::OfFee(_))),
            amount: line.amount,
        };
        Ok(note.lines.into_iter().map(line).collect())
    }

    /// A window of a version that touches the period, with what the whole of it costs.
    fn window(&self, version: &Version, is_it: impl Fn(Stretch) -> bool) -> Option<(Stretch, Option<Money>)> {
        self.windows.get(&version.number)?.iter().find(|(window, _)| is_it(*window)).copied()
    }

    /// Each window's sum under its cap: the caps of the versions in force in it, each for its part of the time. Lines of
    /// a version without a cap stand beside it; those of a version that had ended before count under the first.
    fn capped(&self, lines: &[CreditLine]) -> Vec<CreditWindow> {
        let mut by_window: BTreeMap<Stretch, Vec<&CreditLine>> = BTreeMap::new();
        for line in lines {
            by_window.entry(line.window).or_default().push(line);
        }
        by_window.into_iter().map(|(window, lines)| self.sum_of(window, &lines)).collect()
    }

    fn sum_of(&self, window: Stretch, lines: &[&CreditLine]) -> CreditWindow {
        let currency = self.terms.book.provider.currency;
        let parts: Vec<(&Version, Stretch)> = self.terms.in_force(window).collect();
        let (mut caps, mut capped_versions) = (0_u64, Vec::new());
        for (version, part) in &parts {
            if let Some(cap) = self.cap(version, window, *part) {
                caps = caps.saturating_add(cap.minor);
                capped_versions.push(version.number);
            }
        }
        let first = parts.first().map(|(version, _)| version.number);
        let under = |line: &CreditLine| {
            let is_in_force = parts.iter().any(|(version, _)| version.number == line.version);
            if is_in_force { Some(line.version) } else { first }
        };
        let is_capped = |line: &CreditLine| under(line).is_some_and(|version| capped_versions.contains(&version));
        let total = |is: bool| -> u64 {
            let own = lines.iter().filter(|line| is_capped(line) == is);
            own.map(|line| line.amount.minor).fold(0, u64::saturating_add)
        };
        let money = |minor| Money { minor, currency };
        CreditWindow {
            window,
            is_final: self.terms.is_final(window),
            sum: money(total(true).saturating_add(total(false))),
            cap: (!capped_versions.is_empty()).then(|| money(caps)),
            owed: money(total(true).min(caps).saturating_add(total(false))),
        }
    }

    /// The cap of a version for its part of a window.
    fn cap(&self, version: &Version, window: Stretch, part: Stretch) -> Option<Money> {
        let limits = self.terms.plan(version)?.credit_limits.as_ref()?;
        match limits.cap.as_ref()? {
            Amount::OfFee(share) => {
                let (numerator, denominator) = share.parts();
                let fee = self.terms.fee(version, part)?;
                Some(fee.share(u128::from(numerator), u128::from(denominator), limits.rounding))
            }
            Amount::Fixed(money) => {
                Some(money.share(u128::from(part.seconds()), u128::from(window.seconds()), limits.rounding))
            }
        }
    }
}

fn kind(cause: &Cause) -> u8 {
    match cause {
        Cause::Availability { .. } => 0,
        Cause::Downtime { .. } => 1,
        Cause::Missed(_) => 2,
    }
}

/// An order among lines of one kind.
fn said(cause: &Cause) -> String {
    match cause {
        Cause::Availability { unit, .. } => format!("{unit:?}"),
        Cause::Downtime { downtime, .. } => format!("{} {}", downtime.from, downtime.per),
        Cause::Missed(missed) => format!("{} {}", missed.stage, missed.incident),
    }
}
