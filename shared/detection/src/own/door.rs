//! The collector's data door: whether it takes what agents send, and keeps up with it.
//!
//! An upload says how its agent is at present, whatever backlog follows it, and one agent's uploads come one after the
//! other. So the door keeps up when every upload that came is committed; there is no other queue to be drained.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use upheld_model::AgentId;

use super::Change;
use crate::plan::plus;

/// An upload that is neither committed after this, nor any later one of its agent: the door refuses. Shorter than it
/// takes anybody to be called silent.
pub const REFUSES_AFTER: Duration = Duration::from_secs(20);
/// An agent that was refused and has not tried again for this long has left: its silence is judged as any other.
/// Agents try again after a minute at the latest.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// The uploads that are not committed. It grows by the agents that are refused at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Door {
    waiting: BTreeMap<AgentId, Waiting>,
    /// Since when it refuses, once that is certain.
    refusing: Option<Timestamp>,
    /// When the last of those that waited was taken or left.
    cleared: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    /// The first upload that was not taken.
    since: Timestamp,
    /// The last try.
    tried: Timestamp,
    /// Whether that try is still in progress.
    is_inside: bool,
}

impl Door {
    /// Whether it certainly refuses.
    pub fn is_refusing(&self) -> bool {
        self.refusing.is_some()
    }

    /// An upload came in.
    pub fn came(&mut self, agent: &AgentId, at: Timestamp) {
        let waiting = self.waiting.entry(agent.clone()).or_insert(Waiting { since: at, tried: at, is_inside: true });
        (waiting.tried, waiting.is_inside) = (at, true);
    }

    /// It was committed, or the agent was told why not: it is heard.
    pub fn took(&mut self, agent: &AgentId, at: Timestamp) {
        if self.waiting.remove(agent).is_some() {
            self.cleared = Some(at);
        }
    }

    /// It could not be committed, or its line broke before.
    pub fn refused(&mut self, agent: &AgentId, at: Timestamp) {
        if let Some(waiting) = self.waiting.get_mut(agent) {
            (waiting.tried, waiting.is_inside) = (at, false);
        }
    }

    /// What that comes to by `now`; ask every second or so.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Option<Change> {
        let has_left = |waiting: &Waiting| !waiting.is_inside && plus(waiting.tried, FORGOTTEN_AFTER) <= now;
        if self.waiting.values().any(has_left) {
            self.waiting.retain(|_, waiting| !has_left(waiting));
            self.cleared = Some(now);
        }
        let since =
            self.waiting.values().map(|waiting| waiting.since).filter(|at| plus(*at, REFUSES_AFTER) <= now).min();
        match (self.refusing, since) {
            (None, Some(since)) => {
                self.refusing = Some(since);
                let why = format!("uploads of {} agents are not committed", self.waiting.len());
                Some(Change::Begins { since, noticed: now, why })
            }
            (Some(since), None) => {
                self.refusing = None;
                let until = self.cleared.unwrap_or(now).clamp(since, now.max(since));
                Some(Change::Ends { since, until, why: "every agent that was refused was taken, or left".to_owned() })
            }
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn agent(name: &str) -> AgentId {
        name.parse().unwrap()
    }

    #[test]
    fn a_door_that_takes_everything_is_never_in_trouble_however_long_the_backlog() {
        let mut door = Door::default();
        for second in 0..1_000 {
            door.came(&agent("a"), at(second));
            assert_eq!(door.handle_timeout(at(second)), None);
            door.took(&agent("a"), at(second));
        }
        assert_eq!(door, Door { cleared: Some(at(999)), ..Door::default() });
    }

    #[test]
    fn refusals_are_one_trouble_from_the_first_until_all_are_taken() {
        let mut door = Door::default();
        for second in [0, 5, 15] {
            door.came(&agent("a"), at(second));
            door.refused(&agent("a"), at(second));
            assert_eq!(door.handle_timeout(at(second)), None, "a single refusal is no outage");
        }
        door.came(&agent("b"), at(18));
        door.refused(&agent("b"), at(18));
        assert!(
            matches!(door.handle_timeout(at(20)), Some(Change::Begins { since, noticed, .. }) if since == at(0) && noticed == at(20))
        );
        door.came(&agent("a"), at(30));
        door.took(&agent("a"), at(30));
        assert_eq!(door.handle_timeout(at(38)), None, "the other one is not heard yet");
        door.came(&agent("b"), at(39));
        door.took(&agent("b"), at(40));
        assert!(
            matches!(door.handle_timeout(at(41)), Some(Change::Ends { since, until, .. }) if since == at(0) && until == at(40))
        );
        assert_eq!(door.handle_timeout(at(42)), None);
    }

    #[test]
    fn an_upload_that_hangs_is_a_door_that_does_not_keep_up() {
        let mut door = Door::default();
        door.came(&agent("a"), at(0));
        assert_eq!(door.handle_timeout(at(19)), None);
        assert!(matches!(door.handle_timeout(at(20)), Some(Change::Begins { .. })));
        assert_eq!(door.handle_timeout(at(1_000)), None, "it is still inside");
        door.took(&agent("a"), at(1_001));
        assert!(matches!(door.handle_timeout(at(1_002)), Some(Change::Ends { until, .. }) if until == at(1_001)));
    }

    #[test]
    fn an_agent_that_was_refused_and_left_holds_nothing_up() {
        let mut door = Door::default();
        door.came(&agent("a"), at(0));
        door.refused(&agent("a"), at(1));
        assert!(matches!(door.handle_timeout(at(60)), Some(Change::Begins { .. })));
        assert_eq!(door.handle_timeout(at(120)), None);
        assert!(matches!(door.handle_timeout(at(121)), Some(Change::Ends { .. })));
        assert!(door.waiting.is_empty());
    }
}
