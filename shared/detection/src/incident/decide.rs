//! What happens to a site's incidents by itself: silences, the collector's own troubles, deadlines. What findings make
//! of them is [`super::reconcile()`]'s.

mod deadline;
mod own;
mod silent;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AgentId, AssetId, Cause};

use super::{CauseClaim, Change, Desk, Handling, Incident, IncidentEffect, Rules, SiteView, Stage, Who};
use crate::{
    own::Trouble,
    silence::{Extent, Together},
};

/// Something that happened at a site, in the collector's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An agent's silence became an incident ([`crate::silence`]).
    AgentSilent(SilenceSeen),
    /// A silent agent was heard again.
    AgentBack {
        /// The agent.
        agent: AgentId,
        /// When its request was committed.
        heard: Timestamp,
    },
    /// Something is wrong with the collector itself ([`crate::own`]).
    OwnTrouble(OwnSeen),
    /// That is over.
    OwnTroubleOver {
        /// What was wrong.
        trouble: Trouble,
        /// From when on all was well.
        until: Timestamp,
        /// What was seen.
        why: String,
    },
    /// A deadline of [`super::Incident::next_deadline`] passed.
    Deadline,
}

/// A trouble of the collector's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSeen {
    /// What is wrong.
    pub trouble: Trouble,
    /// Since when it may have lasted.
    pub since: Timestamp,
    /// When that was certain: detected and received at once (TERMS F11).
    pub noticed: Timestamp,
    /// What was seen.
    pub why: String,
}

/// A silence that became an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceSeen {
    /// The agent.
    pub agent: AgentId,
    /// The asset on which it runs, if the book says so.
    pub host: Option<AssetId>,
    /// What is silent: the site, whose last agent to be heard it is, or this agent alone.
    pub extent: Extent,
    /// The site's zone, for the sentence.
    pub zone: TimeZone,
    /// Whether its last words say that the power went.
    pub said_power: bool,
    /// The sites that fell silent with it, where they did.
    pub together: Option<Together>,
    /// When it was last heard.
    pub last_heard: Timestamp,
    /// By when it should have been heard again.
    pub expected_by: Timestamp,
    /// The deadline that passed: detected and received at once (TERMS F11).
    pub deadline: Timestamp,
}

/// Says what changes, in the order in which to store it. The same trigger twice changes nothing the second time.
pub fn decide(view: &SiteView, trigger: &Trigger, rules: &Rules, now: Timestamp) -> Vec<IncidentEffect> {
    let case = Case { view, rules, now };
    match trigger {
        Trigger::AgentSilent(seen) => silent::silent(&case, seen),
        Trigger::AgentBack { agent, heard } => silent::back(&case, agent, *heard),
        Trigger::OwnTrouble(seen) => own::begins(&case, seen),
        Trigger::OwnTroubleOver { trouble, until, why } => own::over(&case, *trouble, *until, why),
        Trigger::Deadline => deadline::due(&case),
    }
}

pub(super) use deadline::{passed, resolved_by_watch};

/// What every rule may look at.
struct Case<'a> {
    view: &'a SiteView,
    rules: &'a Rules,
    now: Timestamp,
}

impl Case<'_> {
    fn effect(&self, incident: Incident, change: Change, desk: Desk, due_at: Timestamp) -> IncidentEffect {
        IncidentEffect { incident, change, desk, due_at, noticed_at: self.now }
    }

    /// When the watch over something restored at this instant ends.
    fn watched_until(&self, restored: Timestamp) -> Timestamp {
        later(restored, self.rules.watch)
    }

    /// How a failure confirmed at this instant is dealt with, as far as the site decides.
    fn handling(&self, detected: Timestamp) -> Handling {
        match self.view.stage {
            Stage::Commissioned { since } if detected >= since => Handling::Desk,
            Stage::Commissioned { since: _ } | Stage::Commissioning => Handling::AsFound,
        }
    }
}

/// Whether people and clocks begin with an incident that just became one.
pub(super) fn desk_for(incident: &Incident, detected: Timestamp, received: Timestamp) -> Desk {
    if incident.is_ticketed() { Desk::Begins { detected, received } } else { Desk::AsBefore }
}

fn undetermined() -> CauseClaim {
    CauseClaim { cause: Cause::Undetermined, confidence_percent: 0, by: Who::Rule("opening".to_owned()) }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::incident::testing::{Site, at, told};

    #[test]
    fn restored_is_not_resolved_until_the_watch_ends() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.works("srv-1/net.tcp", 60, 200);
        assert_eq!(site.deadline(), Some(at(200 + 900)));
        assert_eq!(told(&site.wakes(1_099)), "");
        assert_eq!(told(&site.wakes(5_000)), "resolved@1100 resolved", "dated by the watch, not by our waking");
        assert_eq!(site.deadline(), None);
    }

    #[test]
    fn a_camera_has_three_minutes_and_its_clocks_count_from_the_receipt() {
        let mut site = Site::new();
        assert_eq!(told(&site.fails("cam-1/net.icmp", 60)), "noticed@64 candidate");
        assert_eq!(site.deadline(), Some(at(64 + 180)));
        assert_eq!(told(&site.wakes(300)), "opened begins(64,66)@244 open");
    }

    #[test]
    fn unknown_never_resolves() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.works("srv-1/net.tcp", 60, 200);
        site.view.unknown.insert("srv-1/net.tcp".parse().unwrap());
        assert_eq!(told(&site.wakes(1_200)), "watch extended@1100 watching");
        assert_eq!(site.deadline(), Some(at(1_200 + 900)));
        site.view.unknown.clear();
        assert_eq!(told(&site.wakes(2_100)), "resolved@2100 resolved");
    }

    #[test]
    fn a_silent_agent_is_one_incident_until_it_is_heard() {
        let mut site = Site::new();
        let effects = site.silent(1_000, 1_300);
        assert_eq!(told(&effects), "opened begins(1300,1300)@1300 open");
        assert_eq!(effects[0].incident.title, "plant-2: silent since 00:16");
        assert_eq!(told(&site.silent(1_000, 1_300)), "");
        assert_eq!(told(&site.back(1_900)), "restored@1900 watching");
        assert_eq!(told(&site.back(1_910)), "");
        assert_eq!(told(&site.silent(2_000, 2_300)), "relapsed@2300 open");
        assert_eq!(told(&site.back(3_000)), "restored@3000 watching");
        assert_eq!(told(&site.wakes(3_900)), "resolved@3900 resolved");
        assert_eq!(told(&site.silent(5_000, 5_300)), "opened begins(5300,5300)@5300 open");
    }

    #[test]
    fn a_silence_that_a_person_dismissed_is_not_opened_again() {
        let mut site = Site::new();
        site.silent(1_000, 1_300);
        site.dismisses(1_400);
        assert_eq!(told(&site.silent(1_000, 1_300)), "");
        assert_eq!(told(&site.silent(2_000, 2_300)), "opened begins(2300,2300)@2300 open", "it was heard in between");
    }

    #[test]
    fn a_silence_that_begins_just_before_a_person_ends_the_watch_over_the_last_one_is_another_one() {
        let mut site = Site::new();
        site.silent(1_000, 1_300);
        site.back(1_900);
        site.dismisses(1_950);
        assert_eq!(told(&site.silent(1_930, 2_230)), "opened begins(2230,2230)@2230 open");
    }

    #[test]
    fn an_incident_reads_as_it_was_written() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.takes(70);
        site.works("srv-1/net.tcp", 60, 200);
        let text = serde_json::to_string(&site.incidents()[0]).unwrap();
        assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), site.incidents()[0]);
    }

    proptest! {
        #[test]
        fn at_most_one_open_silence_and_nothing_twice(steps in proptest::collection::vec((0u8..4, 1u64..700), 1..80)) {
            let mut site = Site::new();
            let (mut silent_since, mut second) = (None, 1_000);
            for (what, step) in steps {
                second += step;
                let trigger = match (what, silent_since) {
                    (0, None) => {
                        silent_since = Some(second);
                        site.trigger_silent(second - 300, second)
                    }
                    (0, Some(_)) => {
                        silent_since = None;
                        site.trigger_back(second)
                    }
                    (1, _) => { site.takes(second); Trigger::Deadline }
                    (2, _) => { site.resolves(second); Trigger::Deadline }
                    (_, _) => Trigger::Deadline,
                };
                site.now = site.now.max(at(second));
                site.apply(&trigger);
                prop_assert_eq!(told(&site.apply(&trigger)), "", "again: {:?}", trigger);
                prop_assert!(site.incidents().iter().filter(|incident| incident.is_open()).count() <= 1);
                if matches!(trigger, Trigger::Deadline) {
                    prop_assert!(site.deadline().is_none_or(|due| due > site.now), "{:?}", site.deadline());
                }
            }
        }
    }
}
