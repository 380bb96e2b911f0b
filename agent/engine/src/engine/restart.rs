//! Going on after a restart: a snapshot, and what was journalled after it.
//!
//! A crash can fall between a sample and the transition that it made. So the samples are folded again, and what they
//! say beyond what the journal holds is said now. A wall clock that was set in the meantime is a step like any other, told
//! by the clock that nobody sets. Over a restart of the machine that one begins anew: there a clock that was set back is seen
//! by what was written later than now, at the least by so much; one that was set forward looks like a longer absence, and
//! nobody can tell.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use upheld_detection::fold::{CheckFold, FoldRule};
use upheld_model::{AgentEvent, CheckId, DeviceText, ObservedAt};
use upheld_wire::v1::{AgentConfig, Body};

use super::{Engine, Running, Start, in_full};
use crate::{
    Reading,
    clock::{STEP_MIN, shift, signed},
    config::judge,
    lane::{Lane, Run},
};

type Folds = BTreeMap<CheckId, CheckFold>;

impl Engine {
    /// Says `Started`, restores the folds, replays the journal's tail, schedules.
    pub(super) fn restart(&mut self, start: Start, now: Reading) {
        let at = self.clock.at(now.mono);
        let (mut folds, config, taken, running) = match start.snapshot {
            Some(snapshot) => (by_check(snapshot.folds), snapshot.config, Some(snapshot.at), snapshot.running),
            None => (Folds::new(), None, None, None),
        };
        let unsaid = replay(&mut folds, &start.journalled_since);
        let latest = folds.values().filter_map(CheckFold::last_sample).max().max(taken).max(start.last_alive);
        let known = taken.zip(running).and_then(|taken| self.set_since(taken, &start.journalled_since, now));
        let by = known.unwrap_or_else(|| {
            latest.filter(|latest| *latest > at).map_or(SignedDuration::ZERO, |latest| latest.0.duration_until(at.0))
        });
        // What should have been said before lies in the time of before; all from the step on in the new one.
        for event in unsaid {
            self.outgoing.transition(vec![event]);
        }
        if !by.is_zero() {
            self.was_set(&mut folds, by, at);
        }
        let (boot, clean) = (self.boot.clone(), start.clean);
        let last_alive = start.last_alive.map(|was| ObservedAt(shift(was.0, by)).min(at));
        self.outgoing.transition(vec![AgentEvent::Started { at, boot, last_alive, clean }]);
        self.go_on(folds, config, now);
    }

    /// By how much the wall clock was set since the snapshot and what was journalled behind it, within the same boot; `None`
    /// after another boot, and where no clock goes on while the machine sleeps.
    fn set_since(
        &self,
        (taken, running): (ObservedAt, Running),
        journalled_since: &[Body],
        now: Reading,
    ) -> Option<SignedDuration> {
        let went = now.boottime.filter(|_| running.boot == self.boot)?.since(running.boottime);
        let mut expected = shift(taken.0, signed(went));
        for event in journalled_since.iter().flat_map(|body| &body.events) {
            if let AgentEvent::ClockStepped { by_ms, .. } = event {
                expected = shift(expected, SignedDuration::from_millis(*by_ms));
            }
        }
        let by = expected.duration_until(self.clock.at(now.mono).0);
        Some(if by.unsigned_abs() < STEP_MIN { SignedDuration::ZERO } else { by })
    }

    fn was_set(&mut self, folds: &mut Folds, by: SignedDuration, at: ObservedAt) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(if by.is_negative() { i64::MIN } else { i64::MAX });
        self.outgoing.transition(vec![AgentEvent::ClockStepped { at, by_ms }]);
        folds.values_mut().for_each(|fold| fold.clock_stepped(by));
    }

    /// Takes over folds and configuration as if they had never been put down.
    fn go_on(&mut self, mut folds: Folds, config: Option<AgentConfig>, now: Reading) {
        let at = self.clock.at(now.mono);
        let mut lanes = Vec::new();
        if let Some(config) = config {
            match judge(&self.agent, &config) {
                Ok(()) => {
                    for spec in &config.checks {
                        let Some(mut fold) = folds.remove(&spec.id) else {
                            lanes.push(self.new_lane(spec, at));
                            continue;
                        };
                        fold.set_rule(FoldRule::from(spec));
                        self.outgoing.transition(fold.handle_timeout(at));
                        lanes.push(Lane {
                            spec: Arc::new(spec.clone()),
                            fold,
                            run: Run::Idle,
                            began: None,
                            supply: None,
                        });
                    }
                    self.config = Some(config);
                }
                Err(refused) => {
                    let (version, refused) = (config.version, Some(DeviceText::new(&in_full(&refused))));
                    self.outgoing.transition(vec![AgentEvent::Configured { at, version, refused }]);
                }
            }
        }
        self.retired = folds.into_iter().filter(|(_, fold)| fold.finding().is_some()).collect();
        let relations = self.config.as_ref().map(|config| config.relations.clone()).unwrap_or_default();
        self.adopt(lanes, &relations, now.mono);
    }
}

fn by_check(folds: Vec<CheckFold>) -> Folds {
    folds.into_iter().map(|fold| (fold.check().clone(), fold)).collect()
}

/// Folds the journal's tail; returns what it should have said and does not, in order.
fn replay(folds: &mut Folds, tail: &[Body]) -> Vec<AgentEvent> {
    let mut unsaid = Vec::new();
    for body in tail {
        for sample in &body.samples {
            if let Some(fold) = folds.get_mut(&sample.check) {
                unsaid.extend(fold.handle(sample));
            }
        }
        for event in &body.events {
            replay_event(folds, event, &mut unsaid);
            if let Some(said) = unsaid.iter().position(|made| made == event) {
                unsaid.remove(said);
            }
        }
    }
    unsaid
}

/// What a journalled event did to the folds besides what the samples did.
fn replay_event(folds: &mut Folds, event: &AgentEvent, unsaid: &mut Vec<AgentEvent>) {
    match event {
        AgentEvent::StateChanged { check, state: _, at } => {
            if let Some(fold) = folds.get_mut(check) {
                unsaid.extend(fold.handle_timeout(*at));
            }
        }
        AgentEvent::ClockStepped { at: _, by_ms } => {
            folds.values_mut().for_each(|fold| fold.clock_stepped(SignedDuration::from_millis(*by_ms)));
        }
        AgentEvent::FindingOpened { .. }
        | AgentEvent::FindingClosed { .. }
        | AgentEvent::Started { .. }
        | AgentEvent::Stopping { .. }
        | AgentEvent::Gap { .. }
        | AgentEvent::Configured { .. }
        | AgentEvent::Ran { .. }
        | AgentEvent::Drill { .. }
        | AgentEvent::Journal { .. } => {}
    }
}
