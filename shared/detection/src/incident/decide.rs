//! What happens to a site's incidents when something happened.

mod birth;
mod deadline;
mod finding;
mod own;
mod silent;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AgentId, AssetId, Cause, DeviceText, FindingId};

use super::{
    Bounds, CauseClaim, Change, Desk, Handling, Incident, IncidentEffect, OpeningCause, Rules, SiteView, Stage, Who,
};
use crate::{
    own::Trouble,
    silence::{Extent, Together},
};

/// Something that happened at a site, in the collector's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An agent confirmed a failure.
    FindingOpened(FindingSeen),
    /// An agent confirmed a recovery.
    FindingClosed(FindingEnded),
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

/// A finding as the collector received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingSeen {
    /// Its name, in the agent's own time.
    pub id: FindingId,
    /// From the last good to the first bad sample.
    pub started: Bounds,
    /// When the agent confirmed it.
    pub detected: Timestamp,
    /// When its record was committed.
    pub received: Timestamp,
    /// What the sample said.
    pub evidence: Option<DeviceText>,
    /// The record that carried it.
    pub cause: OpeningCause,
    /// Whether it still fails.
    pub arrival: Arrival,
}

/// Whether a finding was over when it arrived (DETECTION 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Its check still fails, as far as the agent's "now" header and the same delivery say.
    StillFailing,
    /// It is over: its end came with it, or the "now" header says that the check is good.
    Over {
        /// From the last bad to the first good sample; without the end's record, up to the header's `since`.
        restored: Bounds,
    },
}

/// A finding's end as the collector received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingEnded {
    /// The finding's name.
    pub id: FindingId,
    /// From the last bad to the first good sample.
    pub restored: Bounds,
    /// When the agent confirmed the recovery.
    pub confirmed: Timestamp,
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
        Trigger::FindingOpened(seen) => finding::opened(&case, seen),
        Trigger::FindingClosed(ended) => finding::closed(&case, ended),
        Trigger::AgentSilent(seen) => silent::silent(&case, seen),
        Trigger::AgentBack { agent, heard } => silent::back(&case, agent, *heard),
        Trigger::OwnTrouble(seen) => own::begins(&case, seen),
        Trigger::OwnTroubleOver { trouble, until, why } => own::over(&case, *trouble, *until, why),
        Trigger::Deadline => deadline::due(&case),
    }
}

pub(super) use birth::passed;
pub(super) use deadline::resolved_by_watch;

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
    use crate::incident::{
        IncidentState,
        testing::{Site, at, finding, told},
    };

    #[test]
    fn a_confirmed_failure_opens_one_incident_with_its_sentence() {
        let mut site = Site::new();
        let effects = site.fails("srv-1/net.tcp", 60);
        assert_eq!(told(&effects), "opened begins(64,66)@66 open");
        let incident = &effects[0].incident;
        assert_eq!(incident.title, "srv-1: TCP service on port 8080 does not answer");
        assert_eq!(incident.dedup.as_str(), "northgate/plant-2/asset/srv-1/down");
        assert_eq!(incident.started, Bounds { not_before: Some(at(50)), not_after: at(60) });
        assert!(incident.pages() && incident.is_ticketed());
    }

    #[test]
    fn one_incident_per_asset_whichever_of_its_checks_fail() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        assert_eq!(told(&site.fails("srv-1/net.http", 70)), "symptom added@74 open");
        assert_eq!(
            told(&site.fails("rec-1/files", 80)),
            "opened begins(84,86)@86 open",
            "another asset is another one"
        );
        assert_eq!(told(&site.works("srv-1/net.tcp", 60, 200)), "symptom ended@200 open");
        assert_eq!(told(&site.works("srv-1/net.http", 70, 210)), "restored@210 watching");
    }

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
    fn a_relapse_inside_the_watch_reopens_the_same_incident_for_who_had_it() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.takes(100);
        site.works("srv-1/net.tcp", 60, 200);
        assert_eq!(told(&site.fails("srv-1/net.tcp", 1_000)), "relapsed@1004 taken");
        assert_eq!(site.incidents().len(), 1);
        assert_eq!(site.incidents()[0].restored, None);
        assert_eq!(told(&site.works("srv-1/net.tcp", 1_000, 1_200)), "restored@1200 watching");
        assert_eq!(told(&site.wakes(2_100)), "resolved@2100 resolved");
    }

    #[test]
    fn a_relapse_that_began_inside_the_watch_reopens_even_when_it_is_learned_later() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.works("srv-1/net.tcp", 60, 200);
        site.wakes(1_100);
        assert_eq!(
            told(&site.fails("srv-1/net.tcp", 1_105)),
            "relapsed@1109 open",
            "good at 1095, the watch ended at 1100"
        );
    }

    #[test]
    fn a_failure_after_the_watch_is_a_new_incident_even_if_nobody_woke() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.works("srv-1/net.tcp", 60, 200);
        let effects = site.fails("srv-1/net.tcp", 1_115);
        assert_eq!(told(&effects), "resolved@1100 resolved | opened begins(1119,1121)@1121 open");
        assert_ne!(effects[0].incident.key, effects[1].incident.key);
        assert_eq!(effects[1].incident.follows, None);
    }

    #[test]
    fn after_a_person_closed_it_the_same_failure_is_a_new_incident_that_follows() {
        let mut site = Site::new();
        let first = site.fails("srv-1/net.tcp", 60)[0].incident.key;
        site.works("srv-1/net.tcp", 60, 200);
        site.resolves(300);
        let effects = site.fails("srv-1/net.tcp", 400);
        assert_eq!(told(&effects), "opened begins(404,406)@406 open");
        assert_eq!(effects[0].incident.follows, Some(first));
    }

    #[test]
    fn what_a_person_reopened_is_restored_again_only_by_measurement() {
        let mut site = Site::new();
        site.fails("srv-1/net.tcp", 60);
        site.works("srv-1/net.tcp", 60, 200);
        site.reopens(300);
        assert_eq!(told(&site.fails("srv-1/net.tcp", 400)), "symptom added@404 open");
        assert_eq!(site.incidents()[0].restored, None);
        assert_eq!(told(&site.works("srv-1/net.tcp", 400, 500)), "restored@500 watching");
    }

    #[test]
    fn what_is_over_when_it_arrives_is_restored_and_bothers_nobody() {
        let mut site = Site::new();
        site.now = at(40_000);
        let seen = Arrival::Over { restored: Bounds { not_before: Some(at(900)), not_after: at(910) } };
        let effects = site.sees(FindingSeen { arrival: seen, received: at(40_000), ..finding("srv-1/net.tcp", 60) });
        assert_eq!(told(&effects), "opened@40000 resolved");
        let incident = &effects[0].incident;
        assert_eq!((incident.handling, incident.restored), (Handling::Retroactive, Some(at(910))));
        assert!(!incident.pages() && !incident.is_ticketed());
        assert_eq!(told(&site.works("srv-1/net.tcp", 60, 910)), "amended@910 resolved", "its exact end");
        assert_eq!(told(&site.works("srv-1/net.tcp", 60, 910)), "");
    }

    #[test]
    fn what_still_fails_when_it_arrives_late_is_an_ordinary_incident() {
        let mut site = Site::new();
        site.now = at(40_000);
        let effects = site.sees(FindingSeen { received: at(40_000), ..finding("srv-1/net.tcp", 60) });
        assert_eq!(told(&effects), "opened begins(64,40000)@40000 open");
        assert!(effects[0].incident.pages());
    }

    #[test]
    fn a_retroactive_incident_that_fails_again_becomes_peoples_business() {
        let mut site = Site::new();
        site.now = at(1_000);
        let over = Arrival::Over { restored: Bounds { not_before: Some(at(900)), not_after: at(910) } };
        site.sees(FindingSeen { arrival: over, received: at(1_000), ..finding("srv-1/net.tcp", 60) });
        let effects = site.fails("srv-1/net.tcp", 1_100);
        assert_eq!(told(&effects), "relapsed begins(1104,1106)@1104 open");
        assert!(effects[0].incident.pages());
    }

    #[test]
    fn a_camera_has_three_minutes_and_a_critical_one_none() {
        let mut site = Site::new();
        assert_eq!(told(&site.fails("cam-1/net.icmp", 60)), "noticed@64 candidate");
        assert_eq!(site.deadline(), Some(at(64 + 180)));
        assert_eq!(told(&site.wakes(300)), "opened begins(64,66)@244 open", "clocks count from the receipt");
        assert_eq!(told(&site.fails("cam-2/net.icmp", 400)), "opened begins(404,406)@406 open");
    }

    #[test]
    fn a_camera_that_is_back_in_time_was_an_event() {
        let mut site = Site::new();
        site.fails("cam-1/net.icmp", 60);
        assert_eq!(told(&site.works("cam-1/net.icmp", 60, 200)), "passed@200 dismissed");
        assert_eq!(told(&site.wakes(300)), "");
        assert_eq!(told(&site.fails("cam-1/net.icmp", 400)), "noticed@404 candidate");
    }

    #[test]
    fn a_candidate_whose_recovery_and_deadline_are_learned_together_was_an_incident() {
        let mut site = Site::new();
        site.fails("cam-1/net.icmp", 60);
        let effects = site.works("cam-1/net.icmp", 60, 600);
        assert_eq!(told(&effects), "opened begins(64,66)@244 open | restored@600 watching");
    }

    #[test]
    fn a_short_failure_that_is_over_when_it_arrives_is_an_event_too() {
        let mut site = Site::new();
        site.now = at(40_000);
        let over = Arrival::Over { restored: Bounds { not_before: Some(at(200)), not_after: at(210) } };
        let effects = site.sees(FindingSeen { arrival: over, received: at(40_000), ..finding("cam-1/net.icmp", 60) });
        assert_eq!(told(&effects), "passed@64 dismissed");
    }

    #[test]
    fn a_site_in_commissioning_is_listed_and_never_ticketed() {
        let mut site = Site::new();
        site.view.stage = Stage::Commissioning;
        let effects = site.fails("srv-1/net.tcp", 60);
        assert_eq!(told(&effects), "opened@66 open");
        assert_eq!(effects[0].incident.handling, Handling::AsFound);
        site.view.stage = Stage::Commissioned { since: at(100) };
        assert_eq!(
            told(&site.fails("srv-1/net.http", 110)),
            "symptom added@114 open",
            "as found until a person ticks it"
        );
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
    fn the_line_itself_is_the_wide_network() {
        let mut site = Site::new();
        let class = |effects: &[IncidentEffect]| effects[0].incident.class.as_str();
        assert_eq!(class(&site.fails("wan-1/net.icmp", 60)), "network-wan");
        assert_eq!(class(&site.fails("srv-1/net.tcp", 60)), "network-lan");
        assert_eq!(class(&site.fails("rec-1/files", 60)), "recording");
        assert_eq!(class(&site.fails("srv-9/gone", 60)), "monitoring");
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
    fn a_key_is_the_same_on_every_collector() {
        let key = |site: &mut Site| site.fails("srv-1/net.tcp", 60)[0].incident.key;
        assert_eq!(key(&mut Site::new()), key(&mut Site::new()));
        assert_eq!(
            key(&mut Site::new()).to_string(),
            "91f41645aa3c9dc82a584cb7240d8cdb990c17966e407859ca83f926ce43cc2f",
            "a change here orphans every ticket that was ever written"
        );
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
        fn at_most_one_open_incident_per_key_and_nothing_twice(
            steps in proptest::collection::vec((0usize..5, 0u8..8, 1u64..700), 1..80),
        ) {
            let checks = ["srv-1/net.tcp", "srv-1/net.http", "cam-1/net.icmp", "cam-2/net.icmp", "rec-1/files"];
            let mut site = Site::new();
            let mut failing = [None; 5];
            let (mut silent_since, mut second) = (None, 1_000);
            for (which, what, step) in steps {
                second += step;
                let trigger = match (what, failing[which], silent_since) {
                    (0..3, None, _) => {
                        failing[which] = Some(second);
                        site.trigger_fails(checks[which], second)
                    }
                    (0..3, Some(first_bad), _) => {
                        failing[which] = None;
                        site.trigger_works(checks[which], first_bad, second)
                    }
                    (3, _, None) => {
                        silent_since = Some(second);
                        site.trigger_silent(second - 300, second)
                    }
                    (3, _, Some(_)) => {
                        silent_since = None;
                        site.trigger_back(second)
                    }
                    (4, _, _) => { site.takes(second); Trigger::Deadline }
                    (5, _, _) => { site.resolves(second); Trigger::Deadline }
                    (6, _, _) => { site.view.unknown.insert(checks[which].parse().unwrap()); Trigger::Deadline }
                    (_, _, _) => { site.view.unknown.clear(); Trigger::Deadline }
                };
                site.now = site.now.max(at(second));
                site.apply(&trigger);
                prop_assert_eq!(told(&site.apply(&trigger)), "", "again: {:?}", trigger);
                let mut open: Vec<_> = site.incidents().iter().filter(|i| i.is_open()).map(|i| i.dedup.clone()).collect();
                let all = open.len();
                open.sort();
                open.dedup();
                prop_assert_eq!(open.len(), all);
                for incident in site.incidents() {
                    let fails = incident.symptoms.values().any(|symptom| symptom.restored.is_none());
                    if fails {
                        prop_assert!(incident.restored.is_none(), "{:?}", incident);
                        prop_assert!(!matches!(incident.state, IncidentState::Watching { .. }), "{:?}", incident);
                    }
                    prop_assert!(incident.started.not_before <= Some(incident.started.not_after));
                }
                if matches!(trigger, Trigger::Deadline) {
                    prop_assert!(site.deadline().is_none_or(|due| due > site.now), "{:?}", site.deadline());
                }
            }
        }
    }
}
