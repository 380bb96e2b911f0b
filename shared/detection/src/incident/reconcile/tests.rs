//! A site whose facts arrive in any order and late, against the judgement of all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use upheld_model::{AssetClass, CheckId, EdgeKind, FindingId, ObservedAt};

use crate::{
    correlate::{Judged, correlate},
    facts::{CheckFacts, Count, Ended, FindingFact, OnBattery, SiteFacts},
    incident::{
        Action, AssetView, Bounds, Desk, Handling, Incident, IncidentEffect, IncidentState, Resolution, Rules,
        SiteView, Stage, Trigger, Who, act, decide, next_wake, reconcile,
    },
    kind::CheckKind,
    plan::{Asset, Check, Site},
    time_of_day::Signal,
};

#[test]
fn a_dip_is_one_incident_without_a_ticket_and_what_stays_down_has_its_own() {
    let mut place = Place::new();
    place.dips(1_000, 1_003, 1_002);
    for n in 1..=4 {
        place.fails(&format!("cam-{n}/ping"), 1_005, (n < 4).then_some(1_100));
    }
    place.fails("nvr-02/ping", 1_005, Some(1_300));
    place.run(1_100);
    let told = place.told();
    assert_eq!(told, ["ups-2 cause open"], "the dip, by its first symptom");
    assert!(place.stored[0].title.contains("critical: nvr-02"), "{}", place.stored[0].title);
    place.run(1_242);
    assert_eq!(place.told().len(), 1, "a camera has 240 s");
    place.run(1_243);
    assert_eq!(place.told(), ["ups-2 cause open", "cam-4 desk open"]);
    assert_eq!(place.stored[1].parent, Some(place.stored[0].key));
    assert_eq!(place.begun, ["cam-4"], "one ticket");
    place.run(1_400);
    assert_eq!(place.told(), ["ups-2 cause watching", "cam-4 desk open"]);
}

#[test]
fn a_better_cause_takes_over_within_a_quarter_of_an_hour_and_is_one_ticket() {
    let mut place = Place::new();
    place.fails("srv-1/ping", 1_000, None);
    place.run(1_060);
    assert_eq!(place.told(), ["srv-1 desk open"]);
    let (key, received) = (place.stored[0].key, place.stored[0].received);
    place.fails_late("sw-1/ping", 990, None, 1_300);
    place.run(1_320);
    assert_eq!(place.told(), ["sw-1 desk open"]);
    assert_eq!((place.stored[0].key, place.stored[0].received), (key, received), "one ticket, the earliest clock");
    assert_eq!(place.begun, ["srv-1"]);
    assert!(place.changes.iter().any(|change| change == "cause found"), "{:?}", place.changes);
}

#[test]
fn what_is_sent_again_to_a_database_that_lost_it_is_the_same_ticket() {
    let born = |late_ms: i64| {
        let mut place = Place::new();
        place.fails("srv-1/ping", 1_000, None);
        // What the way took is in the offset of each upload.
        place.findings[0].started.not_after += jiff::SignedDuration::from_millis(late_ms);
        place.run(1_060);
        assert_eq!(place.begun, ["srv-1"]);
        place.stored[0].clone()
    };
    let (first, again) = (born(3), born(41));
    assert_eq!(first.key, again.key);
    assert_ne!(first.judged, again.judged, "by which a late fact finds it");
}

#[test]
fn whichever_record_came_first_its_key_is_among_those_by_which_the_incident_may_be_known() {
    let arrivals = [[1_030, 1_040, 1_050], [1_050, 1_030, 1_040], [1_040, 1_050, 1_030], [1_050, 1_040, 1_030]];
    let lived = arrivals.map(|[ping, web, switch]| {
        let mut place = Place::new();
        place.fails_late("srv-1/ping", 1_000, None, ping);
        // Confirmed later, and begun earlier: the one check names it, the other dates it.
        place.fails_late("srv-1/web", 995, None, web);
        place.findings[1].detected = at(1_021);
        place.fails_late("sw-1/ping", 990, None, switch);
        place.run(2_000);
        let mut open: Vec<Incident> = place.stored.into_iter().filter(Incident::is_open).collect();
        assert_eq!(open.len(), 1);
        open.remove(0)
    });
    let keys: BTreeSet<_> = lived.iter().map(|incident| incident.key).collect();
    assert!(keys.len() >= 3, "{keys:?}");
    for incident in &lived {
        let known: BTreeSet<_> = incident.known_as(16).into_iter().chain([incident.key]).collect();
        assert!(keys.is_subset(&known), "{keys:?} {known:?}");
        assert!(!incident.known_as(16).contains(&incident.key));
        assert_eq!(incident.known_as(2), incident.known_as(16)[..2]);
    }
}

#[test]
fn a_power_failure_that_is_sent_again_is_known_by_the_minute_before_or_after() {
    // What the way took is in the offset of each upload, also from one minute to the next.
    let born = |late_ms: i64| {
        let mut place = Place::new();
        place.dips(1_019, 1_400, 1_100);
        place.dips[0].from.not_after += jiff::SignedDuration::from_millis(late_ms);
        place.run(1_200);
        assert_eq!(place.begun, ["ups-2"], "a minute on battery is an incident by itself");
        place.stored[0].clone()
    };
    let (first, soon, next) = (born(3), born(41), born(1_003));
    assert_eq!(first.key, soon.key);
    assert_ne!(first.key, next.key);
    assert!(first.known_as(16).contains(&next.key) && next.known_as(16).contains(&first.key));
}

#[test]
fn what_somebody_took_is_linked_and_a_person_merges() {
    let mut place = Place::new();
    place.fails("srv-1/ping", 1_000, Some(2_000));
    place.run(1_060);
    place.acts(&Action::Take, 0);
    place.fails_late("sw-1/ping", 990, Some(1_900), 1_300);
    place.run(1_320);
    assert_eq!(place.told(), ["srv-1 desk taken", "sw-1 desk open"]);
    assert_eq!(place.stored[0].parent, Some(place.stored[1].key));
    place.run(2_100);
    assert_eq!(place.told()[0], "srv-1 desk watching", "it is over when its own findings are");
}

#[test]
fn a_ticket_that_was_closed_by_hand_is_followed_by_one_a_day() {
    let mut place = Place::new();
    place.fails("srv-1/ping", 1_000, Some(1_200));
    place.run(1_300);
    place.acts(&Action::Resolve(Resolution::Measured), 0);
    place.acts(&Action::Close, 0);
    place.fails("srv-1/ping", 1_500, Some(1_700));
    place.run(1_550);
    assert_eq!(place.told(), ["srv-1 desk closed", "srv-1 desk open"]);
    assert_eq!(place.stored[1].follows, Some(place.stored[0].key));
    place.run(1_800);
    place.acts(&Action::Resolve(Resolution::OnWord), 1);
    place.acts(&Action::Close, 1);
    place.fails("srv-1/ping", 1_900, None);
    place.run(2_000);
    assert_eq!(place.told(), ["srv-1 desk closed", "srv-1 desk closed"], "one a day");
}

#[test]
fn what_was_found_while_commissioning_is_opened_by_people_alone_and_counts_from_then() {
    let mut place = Place::new();
    place.plan.stage = Stage::Commissioning;
    place.fails("srv-1/ping", 1_000, None);
    place.run(1_060);
    place.plan.stage = Stage::Commissioned { since: at(900) };
    place.run(1_100);
    assert!(place.begun.is_empty(), "that commissioning ended opens nothing by itself");
    place.acts(&Action::Reopen, 0);
    let opened = place.stored[0].clone();
    assert_eq!((opened.taken_on, opened.received), (Some(at(1_100)), at(1_100)));
    place.fails("srv-1/web", 1_200, None);
    place.run(1_300);
    let grown = &place.stored[0];
    assert_eq!((grown.symptoms.len(), grown.detected, grown.received), (2, at(1_100), at(1_100)));
}

#[test]
fn a_relapse_inside_the_watch_is_the_same_incident_for_who_had_it_and_holds_all_checks_of_the_asset() {
    let mut place = Place::new();
    place.fails("srv-1/ping", 1_000, Some(1_200));
    place.run(1_060);
    place.acts(&Action::Take, 0);
    place.run(1_300);
    assert_eq!(place.told(), ["srv-1 desk watching"], "restored is not resolved");
    place.fails("srv-1/ping", 1_500, None);
    place.fails("srv-1/web", 1_510, None);
    place.run(1_600);
    assert_eq!(place.told(), ["srv-1 desk taken"]);
    assert_eq!((place.stored[0].restored, place.stored[0].symptoms.len()), (None, 3));
    assert_eq!(place.begun, ["srv-1"], "one ticket");
}

#[test]
fn what_was_dismissed_or_merged_stays_so() {
    for action in [
        Action::Dismiss { reason: "known".to_owned() },
        Action::Merge { into: super::IncidentKey(upheld_model::Digest([9; 32])) },
    ] {
        let mut place = Place::new();
        place.fails("srv-1/ping", 1_000, Some(1_500));
        place.run(1_060);
        place.acts(&action, 0);
        let state = place.stored[0].state.clone();
        place.run(1_600);
        assert_eq!(place.stored[0].state, state);
        assert_eq!(place.stored.len(), 1);
    }
}

#[test]
fn what_was_over_when_it_arrived_bothers_nobody() {
    let mut place = Place::new();
    place.fails_late("srv-1/ping", 1_000, Some(1_200), 50_000);
    place.run(50_010);
    assert_eq!(place.told(), ["srv-1 retroactive resolved"]);
    assert!(place.begun.is_empty());
    let mut place = Place::new();
    place.fails_late("srv-1/ping", 1_000, None, 50_000);
    place.run(50_010);
    assert_eq!(place.told(), ["srv-1 desk open"], "what still fails is an ordinary incident");
}

#[test]
fn what_was_over_long_before_it_arrived_waits_for_nobodys_place() {
    let mut place = Place::new();
    place.dips(6_000, 9_000, 6_002);
    place.dips(1_000, 1_600, 7_000);
    place.run(7_010);
    assert_eq!(place.told(), ["ups-2 desk open", "ups-2 retroactive resolved"]);
}

#[test]
fn a_supply_that_stays_on_battery_is_no_part_of_unstable_power_from_the_moment_at_which_it_lasts() {
    let mut place = Place::new();
    place.dips(1_000, 1_003, 1_002);
    place.dips(3_000, 3_003, 3_002);
    place.dips(6_000, 9_000, 6_002);
    while let Some(next) = place.next().filter(|next| *next <= 6_660) {
        place.now = next;
        place.judge();
    }
    assert_eq!(
        place.stored.iter().map(|incident| incident.title.as_str()).collect::<Vec<_>>(),
        ["ups-2: unstable power, 3 times on battery", "ups-2: on battery"]
    );
    assert_eq!(place.stored[1].parent, Some(place.stored[0].key));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever arrives when: at the end the stored incidents are those of all facts at once, by key.
    #[test]
    fn in_any_order_the_incidents_are_those_of_all_facts_at_once(
        faults in proptest::collection::vec((0usize..9, 0i64..7_200, 20i64..2_500, 0u8..4), 1..14),
        dips in proptest::collection::vec((0i64..7_200, 1i64..200, 0u8..4), 0..3),
        delays in proptest::collection::vec(0i64..4_000, 24),
    ) {
        let mut place = Place::of(&faults, &dips, &delays);
        let steps: Vec<i64> = (0..=26).map(|n| n * 1_000).chain([40_000]).collect();
        for second in steps {
            place.run(second);
            place.hold();
        }
        let all = place.judged(40_000);
        for judged in &all {
            let same: Vec<_> = place.stored.iter().filter(|incident| {
                incident.judged.unwrap_or(incident.key) == judged.key && !matches!(incident.state, IncidentState::Merged { .. })
            }).collect();
            prop_assert_eq!(same.len(), 1, "{:?}\n{:#?}", judged, place.told());
            prop_assert_eq!(same[0].restored, judged.restored, "{}", judged.title);
            prop_assert_eq!(same[0].symptoms.keys().collect::<BTreeSet<_>>(), judged.symptoms.iter().collect());
            prop_assert_eq!((same[0].started, same[0].class, same[0].kind), (judged.started, judged.class, judged.kind));
            let is_desk = matches!(same[0].handling, Handling::Desk);
            prop_assert!(is_desk || !judged.is_ticketed, "{:?} {}", same[0].handling, judged.title);
        }
        let again = place.again(40_000);
        prop_assert!(again.is_empty(), "{:?}", again);
    }

    /// Until something arrives or falls due nothing changes, so nobody need look.
    #[test]
    fn up_to_the_next_arrival_or_deadline_judging_again_changes_nothing(
        faults in proptest::collection::vec((0usize..9, 0i64..7_200, 20i64..2_500, 0u8..4), 0..6),
        dips in proptest::collection::vec((0i64..7_200, 1i64..2_500, 0u8..4), 3..7),
        delays in proptest::collection::vec(0i64..4_000, 24),
    ) {
        let mut place = Place::of(&faults, &dips, &delays);
        while let Some(next) = place.next().filter(|next| *next <= 40_000) {
            place.now = next - 1;
            place.hold();
            place.now = next;
            place.judge();
        }
    }

    /// People's actions are never undone.
    #[test]
    fn what_people_did_stays(
        faults in proptest::collection::vec((0usize..9, 0i64..7_200, 20i64..2_500, 0u8..4), 2..14),
        delays in proptest::collection::vec(0i64..4_000, 24),
        people in proptest::collection::vec((0u8..5, 0usize..8), 13),
    ) {
        let mut place = Place::of(&faults, &[(900, 3, 0)], &delays);
        for (step, (what, which)) in people.iter().enumerate() {
            let ended: Vec<Incident> = place.stored.iter().filter(|incident| by_person(incident)).cloned().collect();
            let taken: Vec<Incident> = place.stored.iter().filter(|incident| is_taken(incident)).cloned().collect();
            place.run(i64::try_from(step).unwrap() * 1_000);
            place.hold();
            for before in &ended {
                let after = place.stored.iter().find(|incident| incident.key == before.key).unwrap();
                prop_assert_eq!(&after.state, &before.state);
            }
            for before in &taken {
                let after = place.stored.iter().find(|incident| incident.key == before.key).unwrap();
                prop_assert_eq!(after.state.holder(), before.state.holder(), "{:?}", after.state);
                prop_assert_eq!(&after.root, &before.root);
            }
            let action = match what {
                0 => Action::Take,
                1 => Action::Resolve(Resolution::OnWord),
                2 => Action::Dismiss { reason: "known".to_owned() },
                3 => Action::Close,
                _ => continue,
            };
            place.acts(&action, *which);
        }
    }
}

fn by_person(incident: &Incident) -> bool {
    match &incident.state {
        IncidentState::Resolved { by, .. } | IncidentState::Dismissed { by, .. } | IncidentState::Closed { by, .. } => {
            matches!(by, Who::Person(_))
        }
        IncidentState::Merged { .. } => true,
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. } => false,
    }
}

fn is_taken(incident: &Incident) -> bool {
    matches!(incident.state, IncidentState::Taken { .. })
}

/// A site that keeps its incidents as a store would.
struct Place {
    plan: Site,
    findings: Vec<FindingFact>,
    dips: Vec<OnBattery>,
    stored: Vec<Incident>,
    now: i64,
    /// For whom people and clocks began, by root asset.
    begun: Vec<String>,
    changes: Vec<String>,
}

const CHECKS: [&str; 9] = [
    "sw-1/ping",
    "srv-1/ping",
    "srv-1/web",
    "nvr-02/ping",
    "cam-1/ping",
    "cam-2/ping",
    "cam-3/ping",
    "cam-4/ping",
    "wan/ping",
];

impl Place {
    fn new() -> Self {
        let mut plan = Site {
            client: "northgate".parse().unwrap(),
            site: "plant-2".parse().unwrap(),
            zone: TimeZone::UTC,
            stage: Stage::Commissioned { since: Timestamp::UNIX_EPOCH },
            assets: BTreeMap::new(),
            checks: BTreeMap::new(),
        };
        let mut add = |name: &str, class, edges: &[(EdgeKind, &str)], checks: &[(&str, &str)]| {
            let edges = edges.iter().map(|(kind, to)| (*kind, to.parse().unwrap())).collect();
            plan.assets.insert(name.parse().unwrap(), Asset { edges, ..Asset::new(class) });
            for (own, kind) in checks {
                let kind = CheckKind::new(kind);
                plan.checks.insert(
                    format!("{name}/{own}").parse().unwrap(),
                    Check { rule: kind.usual_rule(), kind, promised: Default::default() },
                );
            }
        };
        let (power, network) = ((EdgeKind::PoweredBy, "ups-2"), (EdgeKind::ConnectedTo, "sw-1"));
        add("ups-2", AssetClass::Ups, &[], &[("ups", "ups.nut")]);
        add("wan", AssetClass::InternetLink, &[], &[("ping", "net.icmp")]);
        add("sw-1", AssetClass::Switch, &[power], &[("ping", "net.icmp")]);
        add("srv-1", AssetClass::Server, &[power, network], &[("ping", "net.icmp"), ("web", "net.http")]);
        add("nvr-02", AssetClass::Recorder, &[power, network], &[("ping", "net.icmp")]);
        (1..=4).for_each(|n| add(&format!("cam-{n}"), AssetClass::Camera, &[network], &[("ping", "net.icmp")]));
        plan.assets.get_mut(&"nvr-02".parse().unwrap()).unwrap().is_critical = true;
        Self { plan, findings: vec![], dips: vec![], stored: vec![], now: 0, begun: vec![], changes: vec![] }
    }

    fn of(faults: &[(usize, i64, i64, u8)], dips: &[(i64, i64, u8)], delays: &[i64]) -> Self {
        let mut place = Self::new();
        let mut delay = delays.iter().cycle();
        let mut until: BTreeMap<&str, i64> = BTreeMap::new();
        let mut faults = faults.to_vec();
        faults.sort_by_key(|(_, begin, ..)| *begin);
        for (which, begin, lasts, how) in faults {
            let check = CHECKS[which];
            let begin = begin.max(until.get(check).copied().unwrap_or(0) + 60);
            until.insert(check, begin + lasts);
            let late = if how == 0 { *delay.next().unwrap() } else { 0 };
            let end_late = if how <= 1 { late.max(*delay.next().unwrap()) } else { late };
            place.fact(check, begin, Some((begin + lasts, begin + lasts + 20 + end_late)), begin + 25 + late);
        }
        let mut free = 0;
        let mut dips = dips.to_vec();
        dips.sort();
        for (begin, lasts, how) in dips {
            let begin = begin.max(free);
            free = begin + lasts + 30;
            let late = if how == 0 { *delay.next().unwrap() } else { 0 };
            place.dips(begin, begin + lasts, begin + 2 + late);
        }
        place
    }

    fn fails(&mut self, check: &str, begin: i64, end: Option<i64>) {
        self.fact(check, begin, end.map(|end| (end, end + 20)), begin + 25);
    }

    fn fails_late(&mut self, check: &str, begin: i64, end: Option<i64>, received: i64) {
        self.fact(check, begin, end.map(|end| (end, received.max(end + 20))), received);
    }

    fn fact(&mut self, check: &str, begin: i64, end: Option<(i64, i64)>, received: i64) {
        let bounds = |second: i64| Bounds { not_before: Some(at(second - 10)), not_after: at(second) };
        self.findings.push(FindingFact {
            id: FindingId { check: check.parse().unwrap(), first_bad: ObservedAt(at(begin)) },
            started: bounds(begin),
            detected: at(begin + 20),
            received: at(received),
            ended: end.map(|(end, received)| Ended {
                restored: bounds(end),
                confirmed: at(end + 10),
                received: at(received),
            }),
            recovering: None,
            evidence: None,
            culprit: None,
        });
    }

    fn dips(&mut self, from: i64, until: i64, received: i64) {
        self.dips.push(OnBattery {
            from: Bounds { not_before: Some(at(from - 1)), not_after: at(from) },
            until: Some(at(until)),
            last_seen: at(until - 1),
            low: None,
            received: at(received),
            ended_received: Some(at(received.max(until + 1))),
            dip: None,
        });
    }

    /// What is known at a second.
    fn facts(&self, second: i64) -> SiteFacts {
        let known = |received: Timestamp| received <= at(second);
        let mut checks: BTreeMap<CheckId, CheckFacts> = BTreeMap::new();
        for finding in self.findings.iter().filter(|finding| known(finding.received)) {
            let ended = finding.ended.filter(|ended| known(ended.received));
            let own = checks.entry(finding.id.check.clone()).or_default();
            own.findings.push(FindingFact { ended, ..finding.clone() });
        }
        for dip in self.dips.iter().filter(|dip| known(dip.received)) {
            let is_over = dip.ended_received.is_some_and(known);
            let dip = OnBattery {
                until: dip.until.filter(|_| is_over),
                ended_received: dip.ended_received.filter(|_| is_over),
                last_seen: dip.last_seen.min(at(second)),
                ..dip.clone()
            };
            let own = checks.entry("ups-2/ups".parse().unwrap()).or_default();
            own.counts.push(Count {
                signal: Signal::Transfers,
                after: dip.from.not_before.unwrap_or(dip.from.not_after),
                at: dip.from.not_after,
                number: 1,
                received: dip.received,
            });
            own.on_battery.push(dip);
        }
        checks.values_mut().for_each(|own| own.findings.sort_by_key(|finding| finding.started.not_after));
        SiteFacts { until: at(second), checks, boots: Vec::new(), off: Vec::new() }
    }

    /// When something arrives or falls due.
    fn next(&self) -> Option<i64> {
        let facts = self.facts(self.now);
        let arrivals =
            self.findings.iter().flat_map(|finding| [Some(finding.received), finding.ended.map(|e| e.received)]);
        let dips = self.dips.iter().flat_map(|dip| [Some(dip.received), dip.ended_received]);
        let deadlines = self.stored.iter().map(Incident::next_deadline);
        let wake = [next_wake(&self.plan, &facts, &Rules::live())];
        let all = arrivals.chain(dips).chain(deadlines).chain(wake).flatten();
        all.map(Timestamp::as_second).filter(|second| *second > self.now).min()
    }

    /// Lets time pass: it is judged at every arrival and every deadline.
    fn run(&mut self, until: i64) {
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = next;
            self.judge();
        }
        self.now = until;
        self.judge();
    }

    fn judge(&mut self) {
        for effect in self.again(self.now) {
            self.keep(&effect);
        }
        let due = decide(&self.view(), &Trigger::Deadline, &Rules::live(), at(self.now));
        due.iter().for_each(|effect| self.keep(effect));
        if !due.is_empty() {
            self.again(self.now).iter().for_each(|effect| self.keep(effect));
        }
    }

    fn judged(&self, second: i64) -> Vec<Judged> {
        let judged = correlate(&self.plan, &self.facts(second), &Rules::live()).incidents;
        judged.into_iter().filter(|judged| judged.opened <= at(second)).collect()
    }

    fn again(&self, second: i64) -> Vec<IncidentEffect> {
        let facts = self.facts(second);
        let judged = correlate(&self.plan, &facts, &Rules::live()).incidents;
        reconcile(&self.view(), &judged, &facts, &Rules::live(), at(second))
    }

    fn view(&self) -> SiteView {
        let asset = |asset: &Asset| AssetView { class: asset.class, is_critical: asset.is_critical };
        SiteView {
            client: self.plan.client.clone(),
            site: self.plan.site.clone(),
            stage: self.plan.stage,
            assets: self.plan.assets.iter().map(|(id, own)| (id.clone(), asset(own))).collect(),
            checks: BTreeMap::new(),
            unknown: BTreeSet::new(),
            incidents: self.stored.clone(),
        }
    }

    fn keep(&mut self, effect: &IncidentEffect) {
        assert!(effect.due_at <= effect.noticed_at, "{effect:?}");
        if let Desk::Begins { .. } = effect.desk {
            self.begun.push(effect.incident.root.asset().unwrap().to_string());
        }
        self.changes.push(effect.change.word().to_owned());
        match self.stored.iter_mut().find(|incident| incident.key == effect.incident.key) {
            Some(incident) => *incident = effect.incident.clone(),
            None => self.stored.push(effect.incident.clone()),
        }
    }

    fn acts(&mut self, action: &Action, which: usize) {
        let Some(incident) = self.stored.get(which).cloned() else { return };
        let by = Who::Person("ana".to_owned());
        if let Ok(Some(effect)) = act(&incident, action, &by, at(self.now), at(self.now)) {
            self.keep(&effect);
        }
    }

    /// What must hold at any time.
    fn hold(&self) {
        let mut open: Vec<_> = self.stored.iter().filter(|incident| incident.is_open()).map(|i| &i.dedup).collect();
        let all = open.len();
        open.sort();
        open.dedup();
        assert_eq!(open.len(), all, "{:#?}", self.told());
        let again = self.again(self.now);
        let again: Vec<_> = again
            .iter()
            .map(|effect| (effect.change.clone(), effect.incident.title.clone(), effect.incident.state.clone()))
            .collect();
        assert!(again.is_empty(), "judged again at {} it says {again:?}", self.now);
    }

    fn told(&self) -> Vec<String> {
        let one = |incident: &Incident| {
            let handling = match incident.handling {
                Handling::Desk => "desk",
                Handling::Cause => "cause",
                Handling::Retroactive => "retroactive",
                Handling::AsFound => "as-found",
            };
            format!("{} {handling} {}", incident.root.asset().unwrap(), incident.state.word())
        };
        self.stored.iter().filter(|incident| incident.opened.is_some()).map(one).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
