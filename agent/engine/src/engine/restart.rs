//! Going on after a restart: a snapshot, and what was journalled after it.
//!
//! A crash can fall between a sample and the transition that it made. So the samples are folded again, and what they
//! say beyond what the journal holds is said now. A wall clock that was set back in the meantime is a step like any
//! other; one that was set forward looks like a longer absence, and nobody can tell.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use upheld_detection::fold::{CheckFold, FoldRule};
use upheld_model::{AgentEvent, CheckId, DeviceText, ObservedAt};
use upheld_wire::v1::{AgentConfig, Body};

use super::{Engine, Start, in_full};
use crate::{
    Reading,
    config::judge,
    lane::{Lane, Run},
};

type Folds = BTreeMap<CheckId, CheckFold>;

impl Engine {
    /// Says `Started`, restores the folds, replays the journal's tail, schedules.
    pub(super) fn restart(&mut self, start: Start, now: Reading) {
        let at = self.clock.at(now.mono);
        let (mut folds, config, taken) = match start.snapshot {
            Some(snapshot) => (by_check(snapshot.folds), snapshot.config, Some(snapshot.at)),
            None => (Folds::new(), None, None),
        };
        let unsaid = replay(&mut folds, &start.journalled_since);
        let (boot, clean) = (self.boot.clone(), start.clean);
        let last_alive = start.last_alive.map(|was| was.min(at));
        self.outgoing.transition(vec![AgentEvent::Started { at, boot, last_alive, clean }]);
        for event in unsaid {
            self.outgoing.transition(vec![event]);
        }
        let latest = folds.values().filter_map(CheckFold::last_sample).max().max(taken).max(start.last_alive);
        if let Some(latest) = latest.filter(|latest| *latest > at) {
            self.set_back(&mut folds, latest.0.duration_until(at.0), at);
        }
        self.go_on(folds, config, now);
    }

    fn set_back(&mut self, folds: &mut Folds, by: SignedDuration, at: ObservedAt) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MIN);
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
