//! The fold of one check: its samples in, its states and findings out (DETECTION 2).
//!
//! A bad sample makes the check *suspect*; [`FoldRule::fail_after`] of them without a good one between confirm a
//! failure and open a finding. A good sample then makes it *recovering*; [`FoldRule::recover_after`] of them close
//! the finding. A sample that could not judge neither confirms nor recovers: the check is *unknown* until one can, and
//! an open finding stays open beneath it. Silence of [`FoldRule::stale_after`] makes it unknown too, dated by its
//! deadline, and breaks a row of bad or good samples that had confirmed nothing yet.
//! `warn` is not bad: it counts as good here and stays visible in the sample (DETECTION 3).
//!
//! The fold never fails. A sample that is not later than the latest one changes nothing; [`refold`] puts samples in
//! order first, so that any order, with duplicates, gives what the live fold gave.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use upheld_model::{
    AgentEvent, CheckId, CheckSpec, DeviceText, Finding, FindingEnd, ObservedAt, Outcome, Sample, UnknownReason,
    finding::CheckState,
};

/// When to believe a row of samples, and how long to believe the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldRule {
    /// Bad samples in a row that confirm a failure; at least 1.
    pub fail_after: u32,
    /// Good samples in a row that confirm a recovery; at least 1.
    pub recover_after: u32,
    /// Silence after which the state is unknown.
    pub stale_after: Duration,
}

impl From<&CheckSpec> for FoldRule {
    fn from(spec: &CheckSpec) -> Self {
        Self {
            fail_after: spec.fail_after,
            recover_after: spec.recover_after,
            stale_after: Duration::from_millis(spec.stale_after_ms),
        }
    }
}

/// One check as its samples have made it. Serialisable, so that an agent that restarts goes on with an open finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFold {
    check: CheckId,
    rule: FoldRule,
    since: ObservedAt,
    last_ok: Option<ObservedAt>,
    last_sample: Option<ObservedAt>,
    belief: Belief,
    blind: Option<UnknownReason>,
}

/// What the judging samples say, whatever could not be judged since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Belief {
    /// Nothing was ever judged.
    Nothing,
    /// The latest judging sample was good and no finding is open.
    Ok,
    /// A row of bad samples that is not long enough.
    Suspect { row: BadRow },
    /// A finding is open and the latest judging sample was bad.
    Failed { finding: Finding, last_bad: ObservedAt },
    /// A finding is open and a row of good samples is not long enough.
    Recovering { finding: Finding, last_bad: ObservedAt, row: GoodRow },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BadRow {
    first: ObservedAt,
    count: u32,
    evidence: Option<DeviceText>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct GoodRow {
    first: ObservedAt,
    count: u32,
}

impl CheckFold {
    /// A check of which nothing is known yet: unknown (pending) since `at`.
    pub fn new(check: CheckId, rule: FoldRule, at: ObservedAt) -> Self {
        Self {
            check,
            rule,
            since: at,
            last_ok: None,
            last_sample: None,
            belief: Belief::Nothing,
            blind: Some(UnknownReason::Pending),
        }
    }

    /// Takes the next sample of this check. Returns what changed, the state first; nothing when nothing changed, and
    /// nothing for a sample that is not later than the latest one.
    pub fn handle(&mut self, sample: &Sample) -> Vec<AgentEvent> {
        if self.last_sample.is_some_and(|last| sample.at <= last) {
            return Vec::new();
        }
        let mut events = self.handle_timeout(sample.at);
        self.last_sample = Some(sample.at);
        match &sample.outcome {
            Outcome::Ok | Outcome::Warn => self.good(sample.at, &mut events),
            Outcome::Bad => self.bad(sample, &mut events),
            Outcome::Unknown { reason } => {
                let reason = *reason;
                self.change(sample.at, &mut events, |fold| fold.blind = Some(reason));
            }
        }
        events
    }

    /// When the check goes stale unless a sample comes first; `None` when it is stale already or nothing was sampled.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<ObservedAt> {
        match self.blind {
            Some(UnknownReason::Stale) => None,
            Some(_) | None => Some(after(self.last_sample?, self.rule.stale_after)),
        }
    }

    /// Makes the check unknown (stale) if its deadline has passed by `now`; dated by the deadline.
    pub fn handle_timeout(&mut self, now: ObservedAt) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        if let Some(deadline) = self.poll_timeout()
            && deadline <= now
        {
            self.change(deadline, &mut events, |fold| {
                fold.blind = Some(UnknownReason::Stale);
                fold.break_row();
            });
        }
        events
    }

    /// The state as it stands.
    pub fn state(&self) -> CheckState {
        match (&self.blind, &self.belief) {
            (Some(reason), _) => CheckState::Unknown { reason: *reason },
            (None, Belief::Nothing) => CheckState::Unknown { reason: UnknownReason::Pending },
            (None, Belief::Ok) => CheckState::Ok,
            (None, Belief::Suspect { .. }) => CheckState::Suspect,
            (None, Belief::Failed { .. }) => CheckState::Failed,
            (None, Belief::Recovering { .. }) => CheckState::Recovering,
        }
    }

    /// Since when it stands so.
    pub fn since(&self) -> ObservedAt {
        self.since
    }

    /// Which check this is.
    pub fn check(&self) -> &CheckId {
        &self.check
    }

    /// The open finding, also while the check is unknown.
    pub fn finding(&self) -> Option<&Finding> {
        match &self.belief {
            Belief::Nothing | Belief::Ok | Belief::Suspect { .. } => None,
            Belief::Failed { finding, .. } | Belief::Recovering { finding, .. } => Some(finding),
        }
    }

    /// Takes another rule; what was counted stays counted, and is judged by the new rule with the next sample.
    pub fn set_rule(&mut self, rule: FoldRule) {
        self.rule = rule;
    }

    /// Moves what is remembered into the agent's new time after its wall clock was set. The name of an open finding
    /// stays: it was said already.
    pub fn clock_stepped(&mut self, by: SignedDuration) {
        let moved = |at: &mut ObservedAt| *at = shift(*at, by);
        moved(&mut self.since);
        self.last_ok.iter_mut().for_each(moved);
        self.last_sample.iter_mut().for_each(moved);
        match &mut self.belief {
            Belief::Nothing | Belief::Ok => {}
            Belief::Suspect { row } => moved(&mut row.first),
            Belief::Failed { finding: _, last_bad } => moved(last_bad),
            Belief::Recovering { finding: _, last_bad, row } => {
                moved(last_bad);
                moved(&mut row.first);
            }
        }
    }

    fn good(&mut self, at: ObservedAt, events: &mut Vec<AgentEvent>) {
        let needed = self.rule.recover_after;
        let mut ended = None;
        self.change(at, events, |fold| {
            fold.blind = None;
            fold.belief = match std::mem::replace(&mut fold.belief, Belief::Ok) {
                Belief::Nothing | Belief::Ok | Belief::Suspect { .. } => Belief::Ok,
                Belief::Failed { finding, last_bad } => {
                    recovering(finding, last_bad, GoodRow { first: at, count: 1 }, needed, at, &mut ended)
                }
                Belief::Recovering { finding, last_bad, row } => {
                    let row = GoodRow { first: row.first, count: row.count + 1 };
                    recovering(finding, last_bad, row, needed, at, &mut ended)
                }
            };
            fold.last_ok = Some(at);
        });
        events.extend(ended);
    }

    fn bad(&mut self, sample: &Sample, events: &mut Vec<AgentEvent>) {
        let at = sample.at;
        let needed = self.rule.fail_after;
        let mut opened = None;
        self.change(at, events, |fold| {
            fold.blind = None;
            fold.belief = match std::mem::replace(&mut fold.belief, Belief::Ok) {
                Belief::Nothing | Belief::Ok => {
                    let row = BadRow { first: at, count: 1, evidence: sample.evidence.clone() };
                    fold.suspect(row, needed, at, &mut opened)
                }
                Belief::Suspect { row } => {
                    let evidence = sample.evidence.clone().or(row.evidence);
                    let row = BadRow { first: row.first, count: row.count + 1, evidence };
                    fold.suspect(row, needed, at, &mut opened)
                }
                Belief::Failed { finding, last_bad: _ } | Belief::Recovering { finding, last_bad: _, row: _ } => {
                    Belief::Failed { finding, last_bad: at }
                }
            };
        });
        events.extend(opened);
    }

    fn suspect(&self, row: BadRow, needed: u32, at: ObservedAt, opened: &mut Option<AgentEvent>) -> Belief {
        if row.count < needed {
            return Belief::Suspect { row };
        }
        let finding = Finding {
            check: self.check.clone(),
            last_ok: self.last_ok,
            first_bad: row.first,
            confirmed_at: at,
            evidence: row.evidence,
        };
        *opened = Some(AgentEvent::FindingOpened { finding: finding.clone() });
        Belief::Failed { finding, last_bad: at }
    }

    /// After a stretch without samples a row begins anew: nobody knows what was between.
    fn break_row(&mut self) {
        self.belief = match std::mem::replace(&mut self.belief, Belief::Nothing) {
            Belief::Nothing | Belief::Suspect { row: _ } => Belief::Nothing,
            Belief::Ok => Belief::Ok,
            Belief::Failed { finding, last_bad } | Belief::Recovering { finding, last_bad, row: _ } => {
                Belief::Failed { finding, last_bad }
            }
        };
    }

    /// Runs `update` and says so if the state is another one after it.
    fn change(&mut self, at: ObservedAt, events: &mut Vec<AgentEvent>, update: impl FnOnce(&mut Self)) {
        let before = self.state();
        update(self);
        let state = self.state();
        if state != before {
            self.since = at;
            events.push(AgentEvent::StateChanged { check: self.check.clone(), state, at });
        }
    }
}

/// Everything that samples of one check say: what the live fold says sample by sample, said at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Refolded {
    /// Every event, in order.
    pub events: Vec<AgentEvent>,
    /// The check after the last sample.
    pub fold: CheckFold,
}

/// Folds samples of one check that come in any order and any number of times. Nothing goes stale after the last one.
/// Samples of one instant count once: the worst of them, so that the order of arrival decides nothing.
pub fn refold<'a>(fold: CheckFold, samples: impl IntoIterator<Item = &'a Sample>) -> Refolded {
    let mut fold = fold;
    let mut ordered: Vec<&Sample> = samples.into_iter().filter(|sample| sample.check == fold.check).collect();
    ordered.sort_by_key(|sample| (sample.at, rank(&sample.outcome), sample.took_us));
    ordered.dedup_by_key(|sample| sample.at);
    let events = ordered.into_iter().flat_map(|sample| fold.handle(sample)).collect();
    Refolded { events, fold }
}

fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Bad => 0,
        Outcome::Unknown { .. } => 1,
        Outcome::Warn => 2,
        Outcome::Ok => 3,
    }
}

fn recovering(
    finding: Finding,
    last_bad: ObservedAt,
    row: GoodRow,
    needed: u32,
    at: ObservedAt,
    ended: &mut Option<AgentEvent>,
) -> Belief {
    if row.count < needed {
        return Belief::Recovering { finding, last_bad, row };
    }
    let end = FindingEnd { last_bad, first_ok: row.first, confirmed_at: at };
    *ended = Some(AgentEvent::FindingClosed { id: finding.id(), end });
    Belief::Ok
}

fn after(at: ObservedAt, by: Duration) -> ObservedAt {
    shift(at, SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX))
}

/// Saturates at the ends of time rather than fail: a device may claim any instant.
fn shift(at: ObservedAt, by: SignedDuration) -> ObservedAt {
    let end = if by.is_negative() { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    ObservedAt(at.0.saturating_add(by).unwrap_or(end))
}
