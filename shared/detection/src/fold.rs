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
    AgentEvent, CheckId, CheckSpec, Culprit, DeviceText, Finding, FindingEnd, ObservedAt, Outcome, Sample,
    UnknownReason, finding::CheckState,
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

/// What a healthy check may be late, beyond its interval and its longest run, without going stale.
const MARGIN: Duration = Duration::from_secs(1);

impl From<&CheckSpec> for FoldRule {
    /// The check's own rule; stale no sooner than the longest that two samples of a healthy check can be apart.
    fn from(spec: &CheckSpec) -> Self {
        Self {
            fail_after: spec.fail_after,
            recover_after: spec.recover_after,
            stale_after: Duration::from_millis(spec.stale_after_ms).max(spec.every() + spec.timeout() + MARGIN),
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
    #[serde(default)]
    culprit: Option<Culprit>,
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

    /// When the check goes stale unless a sample comes first; `None` when it is stale already, nothing was sampled, or
    /// nobody samples it ([`CheckFold::interrupt`]).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<ObservedAt> {
        match self.blind {
            Some(UnknownReason::Stale | UnknownReason::Pending | UnknownReason::NotMonitored) => None,
            Some(_) | None => Some(after(self.last_sample?, self.rule.stale_after)),
        }
    }

    /// Makes the check unknown from `at` on, because nobody samples it (not monitored) or not yet again (pending).
    /// What was counted and not confirmed is forgotten; an open finding stays open.
    pub fn interrupt(&mut self, reason: UnknownReason, at: ObservedAt) -> Vec<AgentEvent> {
        let mut events = self.handle_timeout(at);
        self.change(at, &mut events, |fold| {
            fold.blind = Some(reason);
            fold.break_row();
        });
        events
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

    /// When it was last sampled.
    pub fn last_sample(&self) -> Option<ObservedAt> {
        self.last_sample
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
                    let (evidence, culprit) = (sample.evidence.clone(), sample.culprit());
                    let row = BadRow { first: at, count: 1, evidence, culprit };
                    fold.suspect(row, needed, at, &mut opened)
                }
                Belief::Suspect { row } => {
                    let evidence = sample.evidence.clone().or(row.evidence);
                    let culprit = sample.culprit().or(row.culprit);
                    let row = BadRow { first: row.first, count: row.count + 1, evidence, culprit };
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
            culprit: row.culprit,
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

/// The worst first: of two samples of one instant it counts.
pub(crate) fn rank(outcome: &Outcome) -> u8 {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_bad_samples_confirm_and_the_finding_knows_its_bounds() {
        let mut fold = new_fold();
        let events = feed(&mut fold, "o0 b10 b12 b14");
        assert_eq!(told(&events), "ok@0 suspect@10 failed@14 opened(0..10)@14");
        assert_eq!(fold.finding().unwrap().id().to_string(), "srv-1/net.tcp@1970-01-01T00:00:10Z");
    }

    #[test]
    fn one_good_sample_is_not_a_recovery() {
        let mut fold = new_fold();
        let events = feed(&mut fold, "o0 b10 b12 b14 o20 b30 o40 o50");
        assert_eq!(
            told(&events[4..]),
            "recovering@20 failed@30 recovering@40 ok@50 closed(30..40)@50",
            "the relapse is the same finding, and its end is the last good row's begin"
        );
    }

    #[test]
    fn a_suspicion_that_a_good_sample_ends_is_no_finding() {
        assert_eq!(
            told(&feed(&mut new_fold(), "o0 b10 b12 o14 b20 b22 o24")),
            "ok@0 suspect@10 ok@14 suspect@20 ok@24"
        );
    }

    #[test]
    fn unknown_neither_confirms_nor_recovers_nor_breaks_a_row() {
        let mut fold = new_fold();
        let events = feed(&mut fold, "o0 b10 b12 u14 u16 u18 b20 u22 o24 u26 o28");
        assert_eq!(
            told(&events),
            "ok@0 suspect@10 unknown(local fault)@14 failed@20 opened(0..10)@20 unknown(local fault)@22 \
             recovering@24 unknown(local fault)@26 ok@28 closed(20..24)@28"
        );
    }

    #[test]
    fn an_open_finding_outlives_unknown() {
        let mut fold = new_fold();
        feed(&mut fold, "o0 b10 b12 b14 u16");
        assert_eq!(fold.state(), CheckState::Unknown { reason: UnknownReason::Local });
        assert_eq!(fold.finding().unwrap().first_bad, at(10));
    }

    #[test]
    fn a_sample_that_comes_again_or_late_confirms_nothing() {
        assert_eq!(told(&feed(&mut new_fold(), "o0 b10 b10 b10 b9 b8")), "ok@0 suspect@10");
    }

    #[test]
    fn of_two_samples_of_one_instant_the_worse_counts_whichever_came_first() {
        let (good, bad) = (sample(10, Outcome::Ok), sample(10, Outcome::Bad));
        let one = refold(new_fold(), [&good, &bad]);
        assert_eq!(told(&one.events), "suspect@10");
        assert_eq!(refold(new_fold(), [&bad, &good]), one);
    }

    #[test]
    fn warn_counts_as_good() {
        assert_eq!(
            told(&feed(&mut new_fold(), "w0 b10 b12 b14 w20 w30")[4..]),
            "recovering@20 ok@30 closed(14..20)@30"
        );
    }

    #[test]
    fn nothing_is_up_before_a_sample_says_so() {
        let mut fold = new_fold();
        assert_eq!(fold.state(), CheckState::Unknown { reason: UnknownReason::Pending });
        assert_eq!(told(&feed(&mut fold, "u0 u10")), "unknown(local fault)@0");
        assert_eq!(told(&feed(&mut fold, "b20 b30 b40")), "suspect@20 failed@40 opened(-..20)@40");
    }

    #[test]
    fn silence_is_unknown_from_its_deadline_on_whenever_it_is_noticed() {
        let mut fold = new_fold();
        feed(&mut fold, "o0 o10");
        assert_eq!(fold.poll_timeout(), Some(at(45)));
        assert_eq!(fold.handle_timeout(at(44)), []);
        assert_eq!(told(&fold.clone().handle_timeout(at(900))), "unknown(stale source)@45");
        assert_eq!(told(&feed(&mut fold, "o900")), "unknown(stale source)@45 ok@900");
    }

    #[test]
    fn silence_breaks_a_row_but_no_finding() {
        assert_eq!(
            told(&feed(&mut new_fold(), "o0 b10 b12 b900 b902")),
            "ok@0 suspect@10 unknown(stale source)@47 suspect@900",
            "two bad samples before the silence do not confirm with one after it"
        );
        let mut fold = new_fold();
        feed(&mut fold, "o0 b10 b12 b14 o20");
        assert_eq!(
            told(&feed(&mut fold, "o900 o902")),
            "unknown(stale source)@55 recovering@900 ok@902 closed(14..900)@902"
        );
    }

    #[test]
    fn a_check_that_nobody_samples_is_unknown_and_keeps_its_finding() {
        let mut fold = new_fold();
        feed(&mut fold, "o0 b10 b12 b14 o20");
        assert_eq!(told(&fold.interrupt(UnknownReason::NotMonitored, at(30))), "unknown(not monitored)@30");
        assert_eq!(fold.poll_timeout(), None, "nothing goes stale that nobody samples");
        assert_eq!(told(&fold.interrupt(UnknownReason::Pending, at(900))), "unknown(pending)@900");
        assert_eq!(told(&feed(&mut fold, "o910 o920")), "recovering@910 ok@920 closed(14..910)@920");
    }

    #[test]
    fn a_restarted_agent_goes_on_with_an_open_finding() {
        let mut fold = new_fold();
        feed(&mut fold, "o0 b10 b12 b14 o20");
        let text = serde_json::to_string(&fold).unwrap();
        let mut restored: CheckFold = serde_json::from_str(&text).unwrap();
        assert_eq!(restored, fold);
        assert_eq!(told(&feed(&mut restored, "o30")), "ok@30 closed(14..20)@30");
    }

    #[test]
    fn a_stepped_clock_moves_what_is_remembered_but_not_a_name_that_was_said() {
        let mut fold = new_fold();
        feed(&mut fold, "o1000 b1010 b1012 b1014");
        fold.clock_stepped(SignedDuration::from_secs(-1000));
        assert_eq!(fold.poll_timeout(), Some(at(49)));
        let events = feed(&mut fold, "b16 o20 o30");
        assert_eq!(told(&events), "recovering@20 ok@30 closed(16..20)@30");
        let AgentEvent::FindingClosed { id, .. } = &events[2] else { panic!("{events:?}") };
        assert_eq!(id.first_bad, at(1010));
    }

    #[test]
    fn a_rule_of_one_sample_confirms_and_recovers_at_once() {
        let rule = FoldRule { fail_after: 1, recover_after: 1, ..RULE };
        let mut fold = CheckFold::new(check(), rule, at(0));
        assert_eq!(told(&feed(&mut fold, "o0 b10 o20")), "ok@0 failed@10 opened(0..10)@10 ok@20 closed(10..20)@20");
    }

    #[test]
    fn a_check_that_may_run_longer_than_it_may_be_silent_does_not_go_stale_in_health() {
        let probe = upheld_model::ProbeSpec::NetTcp { target: "a".to_owned(), port: 1 };
        let spec = CheckSpec { stale_after_ms: 10_000, ..CheckSpec::with_defaults(check(), probe) };
        assert_eq!(FoldRule::from(&spec).stale_after, spec.every() + spec.timeout() + MARGIN);
    }

    proptest! {
        #[test]
        fn any_order_and_any_number_of_times_gives_what_the_live_fold_gave(
            steps in proptest::collection::vec((1u64..60, 0u8..5), 0..80),
            shuffle in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 0..80),
        ) {
            let mut now = 0;
            let samples: Vec<Sample> = steps.iter().map(|(step, outcome)| {
                now += step;
                sample(now, outcome_of(*outcome))
            }).collect();
            let mut live = new_fold();
            let events: Vec<AgentEvent> = samples.iter().flat_map(|sample| live.handle(sample)).collect();
            let mut arrived = samples;
            for (index, twice) in &shuffle {
                if !arrived.is_empty() {
                    let moved = arrived.remove(index.index(arrived.len()));
                    arrived.insert(0, moved.clone());
                    if *twice { arrived.push(moved); }
                }
            }
            let refolded = refold(new_fold(), &arrived);
            prop_assert_eq!(refolded.events, events);
            prop_assert_eq!(refolded.fold, live);
        }

        #[test]
        fn findings_open_and_close_in_turn_and_unknown_does_neither(
            steps in proptest::collection::vec((1u64..60, 0u8..5), 0..120),
        ) {
            let (mut fold, mut now, mut open) = (new_fold(), 0, None);
            for (step, outcome) in steps {
                now += step;
                let outcome = outcome_of(outcome);
                for event in fold.handle(&sample(now, outcome.clone())) {
                    match event {
                        AgentEvent::FindingOpened { finding } => {
                            prop_assert_eq!(&outcome, &Outcome::Bad);
                            prop_assert!(finding.last_ok < Some(finding.first_bad) && finding.first_bad <= finding.confirmed_at);
                            prop_assert_eq!(open.replace(finding.id()), None);
                        }
                        AgentEvent::FindingClosed { id, end } => {
                            prop_assert!(matches!(outcome, Outcome::Ok | Outcome::Warn));
                            prop_assert!(id.first_bad <= end.last_bad && end.last_bad < end.first_ok);
                            prop_assert!(end.first_ok < end.confirmed_at, "recover_after is 2");
                            prop_assert_eq!(open.take(), Some(id));
                        }
                        AgentEvent::StateChanged { at: changed, .. } => prop_assert!(changed <= at(now)),
                        event @ (AgentEvent::Started { .. }
                        | AgentEvent::Stopping { .. }
                        | AgentEvent::ClockStepped { .. }
                        | AgentEvent::Gap { .. }
                        | AgentEvent::Configured { .. }
                        | AgentEvent::Ran { .. }
                        | AgentEvent::Drill { .. }
                        | AgentEvent::Journal { .. }) => prop_assert!(false, "{:?}", event),
                    }
                }
                prop_assert_eq!(fold.finding().map(Finding::id), open.clone());
            }
        }
    }

    const RULE: FoldRule = FoldRule { fail_after: 3, recover_after: 2, stale_after: Duration::from_secs(35) };

    fn check() -> CheckId {
        "srv-1/net.tcp".parse().unwrap()
    }

    fn new_fold() -> CheckFold {
        CheckFold::new(check(), RULE, at(0))
    }

    fn at(second: u64) -> ObservedAt {
        ObservedAt(jiff::Timestamp::from_second(second.try_into().unwrap()).unwrap())
    }

    fn sample(second: u64, outcome: Outcome) -> Sample {
        Sample {
            check: check(),
            at: at(second),
            took_us: 900,
            outcome,
            values: Default::default(),
            counters: Default::default(),
            evidence: None,
        }
    }

    fn outcome_of(number: u8) -> Outcome {
        match number {
            0 => Outcome::Ok,
            1 => Outcome::Warn,
            2 => Outcome::unknown(UnknownReason::Local),
            _ => Outcome::Bad,
        }
    }

    /// Feeds `b10`: bad at second 10; `o`k, `w`arn, `u`nknown.
    fn feed(fold: &mut CheckFold, script: &str) -> Vec<AgentEvent> {
        let one = |word: &str| {
            let outcome = match &word[..1] {
                "o" => Outcome::Ok,
                "w" => Outcome::Warn,
                "b" => Outcome::Bad,
                "u" => Outcome::unknown(UnknownReason::Local),
                other => panic!("{other}"),
            };
            sample(word[1..].parse().unwrap(), outcome)
        };
        script.split(' ').flat_map(|word| fold.handle(&one(word))).collect()
    }

    fn told(events: &[AgentEvent]) -> String {
        let second = |at: ObservedAt| at.0.as_second();
        let one = |event: &AgentEvent| match event {
            AgentEvent::StateChanged { state: CheckState::Unknown { reason }, at, .. } => {
                format!("unknown({reason})@{}", second(*at))
            }
            AgentEvent::StateChanged { state, at, .. } => format!("{}@{}", state.word(), second(*at)),
            AgentEvent::FindingOpened { finding } => format!(
                "opened({}..{})@{}",
                finding.last_ok.map_or("-".to_owned(), |at| second(at).to_string()),
                second(finding.first_bad),
                second(finding.confirmed_at)
            ),
            AgentEvent::FindingClosed { end, .. } => {
                format!("closed({}..{})@{}", second(end.last_bad), second(end.first_ok), second(end.confirmed_at))
            }
            event @ (AgentEvent::Started { .. }
            | AgentEvent::Stopping { .. }
            | AgentEvent::ClockStepped { .. }
            | AgentEvent::Gap { .. }
            | AgentEvent::Configured { .. }
            | AgentEvent::Ran { .. }
            | AgentEvent::Drill { .. }
            | AgentEvent::Journal { .. }) => format!("{event:?}"),
        };
        events.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}
