//! The engine in virtual time: hours in milliseconds, no clock, no sleep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use proptest::prelude::*;
use upheld_detection::fold::{CheckFold, FoldRule, refold};
use upheld_engine::{
    ConfigRefused, Effect, Engine, EngineSnapshot, ProbeResult, RanRefused, Reading, Selector, Start, Urgency,
};
use upheld_model::{
    AgentEvent, AgentId, BootId, CheckId, CheckSpec, Mono, ObservedAt, Outcome, ProbeSpec, RunEnd, Sample,
    UnknownReason, finding::CheckState,
};
use upheld_wire::v1::{AgentConfig, Body, Relations};

const S: u64 = 1_000;
const HOUR: u64 = 3_600 * S;

#[test]
fn twenty_checks_wake_the_agent_at_most_three_times_a_second() {
    let specs: Vec<_> = (0..20).map(|number| tcp(&format!("srv-{number}/net.tcp"))).collect();
    // Every check answers after a time of its own, so that no two answers share a wake-up.
    let mut world = World::new(specs, |check, _| (Outcome::Ok, 3 + 7 * u64::from(check.to_string().len() as u8)));
    world.run_until(HOUR);
    let per_second = world.wakes as f64 / 3_600.0;
    assert!(per_second <= 3.0, "{per_second} wake-ups a second");
    for (check, starts) in world.starts_by_check() {
        assert!((359..=361).contains(&starts.len()), "{check} ran {} times in an hour", starts.len());
        assert!(starts[1..].windows(2).all(|pair| pair[1] - pair[0] == 10 * S), "{check} drifts");
    }
}

#[test]
fn a_check_never_overlaps_with_itself_and_makes_up_for_nothing() {
    let slow = CheckSpec { every_ms: S, ..tcp("srv-1/net.tcp") };
    let mut world = World::new(vec![slow], |_, _| (Outcome::Ok, 4_500));
    world.run_until(100 * S);
    let starts = &world.starts_by_check()[&id("srv-1/net.tcp")];
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 5 * S), "{starts:?}");
}

#[test]
fn a_failure_is_confirmed_within_fifteen_seconds_whenever_it_begins() {
    for phase in 0..40 {
        let fault = 60 * S + 250 * phase;
        let ping = CheckSpec { timeout_ms: S, ..tcp("srv-1/net.icmp") };
        let mut world = World::new(vec![ping], move |_, now| if now < fault { good() } else { (Outcome::Bad, S) });
        world.run_until(fault + 20 * S);
        let (written, _) = world.first(|event| matches!(event, AgentEvent::FindingOpened { .. }));
        assert!(written - fault <= 15 * S, "{} ms after a fault at {fault}", written - fault);
    }
}

#[test]
fn a_supply_that_goes_on_battery_and_one_whose_battery_is_low_are_told_at_once() {
    let probe = ProbeSpec::UpsNut { target: "10.0.0.1".to_owned(), port: 3493, ups: "rack".to_owned() };
    let nut = CheckSpec::with_defaults(id("ups-2/ups"), probe);
    let mut supply = Supply { engine: engine(Start::default(), reading(0, EPOCH_MS, 0)), now: 0 };
    supply.engine.configure(config(vec![nut]), reading(0, EPOCH_MS, 0)).unwrap();
    let gasps: Vec<bool> = ["OL", "OL", "OB", "OB", "OB LB", "OB LB", "WAIT", "OB LB", "OL CHRG", "OL", "OB LB"]
        .map(|status| supply.says(status))
        .into();
    assert_eq!(gasps, [false, false, true, false, true, false, false, false, false, false, true]);
}

/// An engine with one check of a supply.
struct Supply {
    engine: Engine,
    now: u64,
}

impl Supply {
    /// Answers its next run; whether that sample was written to be sent at once. It warns, which is no transition.
    fn says(&mut self, status: &str) -> bool {
        loop {
            self.now += 100;
            self.engine.handle_timeout(reading(self.now, EPOCH_MS, 0));
            let effects: Vec<_> = std::iter::from_fn(|| self.engine.poll_effect()).collect();
            if effects.iter().any(|effect| matches!(effect, Effect::Probe(_))) {
                break;
            }
        }
        let result = ProbeResult {
            outcome: Outcome::Warn,
            values: BTreeMap::from([("status".to_owned(), status.into())]),
            counters: BTreeMap::new(),
            evidence: None,
            started: at_mono(self.now),
            took: Duration::ZERO,
        };
        self.engine.handle_outcome(&id("ups-2/ups"), result, reading(self.now, EPOCH_MS, 0)).unwrap();
        std::iter::from_fn(|| self.engine.poll_effect()).any(|effect| match effect {
            Effect::Write { body, urgency: Urgency::AtOnce } => {
                body.samples.last().is_some_and(|sample| sample.values["status"] == status.into())
            }
            Effect::Write { urgency: Urgency::Batch, .. } | Effect::Probe(_) => false,
        })
    }
}

#[test]
fn a_suspect_check_is_probed_every_two_seconds_until_it_is_judged() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 20 * S { good() } else { bad() });
    world.run_until(60 * S);
    let starts = &world.starts_by_check()[&id("srv-1/net.tcp")];
    let first_bad = starts.iter().position(|start| *start >= 20 * S).unwrap();
    let gaps: Vec<_> = starts[first_bad..].windows(2).map(|pair| (pair[1] - pair[0]) / S).take(4).collect();
    assert_eq!(gaps[..2], [2, 2], "{starts:?}");
    assert_eq!(gaps[2] + 4, 10, "back to its place on the grid");
    assert_eq!(gaps[3], 10, "confirmed: no hurry any more");
}

#[test]
fn a_check_of_each_second_is_confirmed_within_two_wherever_the_fault_falls_and_is_asked_no_more_often_while_all_is_well()
 {
    let mut took = Vec::new();
    for phase in 0..40 {
        let fault = 60 * S + 25 * phase;
        let fast = CheckSpec { every_ms: S, ..tcp("srv-1/net.tcp") };
        let mut world = World::new(vec![fast], move |_, now| if now < fault { good() } else { bad() });
        world.run_until(fault + 10 * S);
        let (written, _) = world.first(|event| matches!(event, AgentEvent::FindingOpened { .. }));
        took.push(written - fault);
        let starts = &world.starts_by_check()[&id("srv-1/net.tcp")];
        let well = starts.iter().filter(|at| (10 * S..60 * S).contains(*at)).count();
        assert_eq!(well, 50, "{starts:?}");
    }
    took.sort_unstable();
    assert!(took[20] <= 1_300 && took[39] <= 1_800, "{took:?}");
}

#[test]
fn a_supply_that_is_asked_each_second_keeps_its_second_while_it_is_suspect() {
    let supply = ProbeSpec::UpsNut { target: "127.0.0.1".to_owned(), port: 3493, ups: "ups".to_owned() };
    let supply = CheckSpec { probe: supply, every_ms: S, ..tcp("ups-1/ups.nut") };
    let mut world = World::new(vec![supply], |_, now| if now < 20 * S { good() } else { bad() });
    world.run_until(60 * S);
    let starts = &world.starts_by_check()[&id("ups-1/ups.nut")];
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= S), "{starts:?}");
}

#[test]
fn what_an_asset_hangs_on_is_checked_at_once_when_it_fails_up_to_the_root() {
    let checks = ["cam-1/net.tcp", "sw-4/net.tcp", "ups-2/net.tcp", "srv-9/net.tcp"];
    for fault in [60 * S + 200, 63 * S + 700, 67 * S] {
        let mut world = World::new(checks.map(tcp).to_vec(), move |check, now| {
            if now < fault || check.asset.as_str() == "srv-9" { good() } else { bad() }
        });
        world.configure(AgentConfig { version: 2, relations: hanging(), ..config(checks.map(tcp).to_vec()) });
        world.run_until(fault + 11 * S);
        let first_bad = |check: &str| world.samples().find(|s| s.check == id(check) && s.outcome == Outcome::Bad);
        let of = |check: &str| first_bad(check).unwrap_or_else(|| panic!("{check} was not asked")).at;
        let camera = of("cam-1/net.tcp");
        for parent in ["sw-4/net.tcp", "ups-2/net.tcp"] {
            let after = camera.0.duration_until(of(parent).0);
            assert!(after.as_millis() <= 50, "{parent} was asked {after:?} after the camera had failed");
        }
    }
}

#[test]
fn many_that_fail_together_ask_once_for_what_they_hang_on() {
    let cameras: Vec<String> = (0..200).map(|number| format!("cam-{number}/net.tcp")).collect();
    let mut checks: Vec<_> = cameras.iter().map(|camera| tcp(camera)).collect();
    checks.push(CheckSpec { every_ms: HOUR, stale_after_ms: 3 * HOUR, ..tcp("sw-4/net.tcp") });
    let mut world =
        World::new(
            checks.clone(),
            |check, now| {
                if now < 60 * S || check.asset.as_str() == "sw-4" { good() } else { bad() }
            },
        );
    let above = |camera: &String| (id(camera).asset, ["sw-4".parse().unwrap()].into());
    let relations = Relations { parents: cameras.iter().map(above).collect(), ..Relations::default() };
    world.configure(AgentConfig { version: 2, relations, ..config(checks) });
    world.run_until(75 * S);
    let starts = &world.starts_by_check()[&id("sw-4/net.tcp")];
    let asked = starts.iter().filter(|at| **at >= 60 * S).count();
    assert!((1..=6).contains(&asked), "200 cameras failed within 10 s, the switch was asked {asked} times");
}

#[test]
fn the_way_out_is_asked_at_once_when_anything_fails_and_each_five_seconds_while_it_is_broken() {
    let (fault, repaired) = (63 * S + 700, 200 * S);
    let mut world = World::new(vec![tcp("srv-1/net.tcp"), way_out()], move |_, now| {
        if (fault..repaired).contains(&now) { (Outcome::Bad, 1_900) } else { good() }
    });
    world.run_until(400 * S);
    let starts = world.starts_by_check();
    let failed = world.samples().find(|s| s.check == id("srv-1/net.tcp") && s.outcome == Outcome::Bad).unwrap();
    let failed = failed.at.0.as_millisecond() - EPOCH_MS;
    let way = &starts[&id("line/net.path")];
    let first = way.iter().find(|at| **at >= fault).unwrap();
    assert!(i64::try_from(*first).unwrap() - failed <= 1_900, "asked with the first failure: {first}, {failed}");
    let meanwhile: Vec<u64> = way.iter().copied().filter(|at| (100 * S..200 * S).contains(at)).collect();
    assert!(meanwhile.windows(2).all(|pair| pair[1] - pair[0] == 5 * S), "{meanwhile:?}");
    let whole: Vec<u64> = way.iter().copied().filter(|at| *at >= 230 * S).collect();
    assert!(whole.windows(2).all(|pair| pair[1] - pair[0] == 30 * S), "{whole:?}");
}

#[test]
fn no_check_is_confirmed_before_the_way_out_was_looked_at_and_usual_ones_wait_for_nothing() {
    let fast = CheckSpec { every_ms: S, ..tcp("srv-1/net.tcp") };
    let twice = CheckSpec { fail_after: 2, ..tcp("srv-1/net.tcp") };
    for (check, waits) in [(fast, true), (twice, true), (tcp("srv-1/net.tcp"), false)] {
        let confirmed = |checks: Vec<CheckSpec>| {
            let answer = |check: &CheckId, now: u64| match (now < 60 * S, check.asset.as_str()) {
                (true, _) => good(),
                (false, "line") => (Outcome::Bad, 1_900),
                (false, _) => (Outcome::Bad, 100),
            };
            let mut world = World::new(checks, answer);
            world.run_until(120 * S);
            let opened = |event: &AgentEvent| matches!(event, AgentEvent::FindingOpened { finding } if finding.check.asset.as_str() == "srv-1");
            let (at, _) = world.first(opened);
            let way = world.samples().find(|s| s.check.asset.as_str() == "line" && s.outcome == Outcome::Bad);
            (at, way.map(|sample| (sample.at.0.as_millisecond() - EPOCH_MS).cast_unsigned() + 1_900))
        };
        let (alone, _) = confirmed(vec![check.clone()]);
        let (with, way) = confirmed(vec![check, way_out()]);
        assert!(way.unwrap() <= with, "the way was known at {way:?}, the failure confirmed at {with}");
        assert_eq!(alone != with, waits, "{alone} alone, {with} with the way out");
    }
}

#[test]
fn a_configuration_with_more_relations_than_any_site_has_is_refused() {
    let mut world = World::new(vec![], |_, _| good());
    let critical = (0..30_000).map(|number| format!("cam-{number}").parse().unwrap()).collect();
    let huge = AgentConfig { version: 2, relations: Relations { critical, ..Relations::default() }, ..config(vec![]) };
    let now = world.reading();
    assert!(matches!(world.engine.configure(huge, now), Err(ConfigRefused::Relations { edges: 30_000, .. })));
}

#[test]
fn a_job_that_ran_is_said_at_once_by_a_name_that_is_its_own() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    let jobs = ["srv-1/nightly", "srv-1/weekly", "srv-2/weekly"].map(id).into();
    world.configure(AgentConfig { version: 2, jobs, ..config(vec![tcp("srv-1/net.tcp")]) });
    world.run_until(60 * S);
    let now = world.reading();
    let (ok, failed) = (RunEnd::Ok, RunEnd::Failed);
    let future = ObservedAt(now.wall + jiff::SignedDuration::from_hours(1));
    assert_eq!(world.engine.ran("nightly", ok, Some(future), vec![], now), Ok(id("srv-1/nightly")));
    assert_eq!(world.engine.ran("srv-2/weekly", failed, None, vec![], now), Ok(id("srv-2/weekly")));
    let unknown = world.engine.ran("nigthly", ok, None, vec![], now).unwrap_err().to_string();
    assert!(unknown.contains("say srv-1/nightly or srv-1/weekly"), "{unknown}");
    assert!(matches!(world.engine.ran("weekly", ok, None, vec![], now), Err(RanRefused::Ambiguous { .. })));
    world.run_until(61 * S);
    let told: Vec<_> = (world.records.iter())
        .filter(|(_, body, urgency)| {
            body.events.iter().any(|event| matches!(event, AgentEvent::Ran { .. })) && *urgency == Urgency::AtOnce
        })
        .flat_map(|(_, body, _)| &body.events)
        .map(|event| {
            let AgentEvent::Ran { at, job, ended, started, printed: _ } = event else { panic!("{event:?}") };
            (job.to_string(), *ended, started.is_none_or(|started| started <= *at))
        })
        .collect();
    assert_eq!(told, [("srv-1/nightly".to_owned(), ok, true), ("srv-2/weekly".to_owned(), failed, true)]);
    world.engine.stop("asked".into(), now);
    assert_eq!(world.engine.ran("nightly", ok, None, vec![], now), Err(RanRefused::Stopping));
}

#[test]
fn a_host_is_bad_when_it_is_so_for_ten_minutes() {
    let host = CheckSpec::with_defaults(id("srv-1/host"), ProbeSpec::Host { disk_bad_percent: 95 });
    let mut world = World::new(vec![host], |_, now| if now < 60 * S { good() } else { bad() });
    world.run_until(HOUR);
    let (written, _) = world.first(|event| matches!(event, AgentEvent::FindingOpened { .. }));
    assert!((written - 60 * S).abs_diff(600 * S) <= 35 * S, "confirmed after {} s", (written - 60 * S) / S);
}

#[test]
fn every_transition_is_a_record_of_its_own_after_its_sample() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp"), tcp("srv-2/net.tcp")], |check, now| {
        if now > 65 * S && check.asset.as_str() == "srv-1" { bad() } else { good() }
    });
    world.run_until(120 * S);
    let mut journalled = BTreeSet::new();
    for (_, body, urgency) in &world.records {
        match (&body.samples[..], &body.events[..]) {
            ([first, .., last], []) => {
                assert!(first.at.0.duration_until(last.at.0).as_millis() <= 10_000);
                assert_eq!(*urgency, Urgency::Batch);
            }
            ([_], []) => assert_eq!(*urgency, Urgency::Batch),
            ([], [_, ..]) => assert_eq!(*urgency, Urgency::AtOnce),
            mixed => panic!("{mixed:?}"),
        }
        journalled.extend(body.samples.iter().map(|sample| (sample.check.clone(), sample.at)));
        for event in &body.events {
            if let AgentEvent::FindingOpened { finding } = event {
                assert_eq!(body.events.len(), 2, "the state and its finding are one transition");
                assert!(journalled.contains(&(finding.check.clone(), finding.confirmed_at)));
                assert!(journalled.contains(&(finding.check.clone(), finding.first_bad)));
            }
        }
    }
    let told = world.told("srv-1/net.tcp");
    assert_eq!(told, "unknown ok suspect failed opened", "and nothing while nothing changes");
}

#[test]
fn a_wall_clock_that_jumps_ten_years_makes_no_negative_or_doubled_interval() {
    const TEN_YEARS: i64 = 315_576_000_000;
    for by in [TEN_YEARS, -TEN_YEARS, 3_000, -3_000] {
        let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
        world.run_until(65 * S);
        world.wall_ms += by;
        world.run_until(120 * S);
        let (mut last, mut stepped) = (None::<ObservedAt>, 0);
        for (_, body, _) in &world.records {
            for sample in &body.samples {
                if let Some(last) = last {
                    assert_eq!(last.0.duration_until(sample.at.0).as_millis(), 10_000, "step {by}");
                }
                last = Some(sample.at);
            }
            for event in &body.events {
                if let AgentEvent::ClockStepped { by_ms, at } = event {
                    assert_eq!(*by_ms, by);
                    assert_eq!(at.0, world.wall(at_mono(world.records_at(event))));
                    let moved = |last: ObservedAt| ObservedAt(last.0 + jiff::SignedDuration::from_millis(by));
                    last = last.map(moved);
                    stepped += 1;
                }
            }
        }
        assert_eq!(stepped, 1);
        assert_eq!(world.told("srv-1/net.tcp"), "unknown ok", "step {by}: the check did not go stale");
    }
}

#[test]
fn an_open_finding_survives_a_step_of_the_clock() {
    let mut world =
        World::new(vec![tcp("srv-1/net.tcp")], |_, now| if (40 * S..90 * S).contains(&now) { bad() } else { good() });
    world.run_until(70 * S);
    world.wall_ms -= 7_200_000;
    world.run_until(150 * S);
    assert_eq!(world.told("srv-1/net.tcp"), "unknown ok suspect failed opened recovering ok closed");
    let (_, opened) = world.first(|event| matches!(event, AgentEvent::FindingOpened { .. }));
    let (_, closed) = world.first(|event| matches!(event, AgentEvent::FindingClosed { .. }));
    let (AgentEvent::FindingOpened { finding }, AgentEvent::FindingClosed { id, end }) = (opened, closed) else {
        panic!("{:?}", world.records)
    };
    assert_eq!(id, finding.id(), "its name was said in the old time");
    assert!(end.first_ok < finding.first_bad, "its end is in the new time");
}

#[test]
fn a_refused_configuration_is_said_once_and_the_old_one_stays() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    world.run_until(30 * S);
    let hammering = AgentConfig { version: 2, ..config(vec![CheckSpec { every_ms: 10, ..tcp("srv-1/net.tcp") }]) };
    let foreign = AgentConfig { version: 3, agent: "a2".parse().unwrap(), ..config(vec![]) };
    let frantic = AgentConfig { version: 4, heartbeat_ms: 1, ..config(vec![]) };
    let now = world.reading();
    for _ in 0..3 {
        assert!(matches!(world.engine.configure(hammering.clone(), now), Err(ConfigRefused::Check { version: 2, .. })));
    }
    assert!(matches!(world.engine.configure(foreign, now), Err(ConfigRefused::NotMine { version: 3, .. })));
    assert!(matches!(world.engine.configure(frantic, now), Err(ConfigRefused::Heartbeat { version: 4, .. })));
    assert_eq!(world.engine.config_version(), 1);
    world.run_until(60 * S);
    let said: Vec<_> = world
        .events()
        .filter_map(|event| match event {
            AgentEvent::Configured { version, refused, .. } => {
                Some((*version, refused.as_ref().map(ToString::to_string)))
            }
            AgentEvent::FindingOpened { .. }
            | AgentEvent::FindingClosed { .. }
            | AgentEvent::StateChanged { .. }
            | AgentEvent::Started { .. }
            | AgentEvent::Stopping { .. }
            | AgentEvent::ClockStepped { .. }
            | AgentEvent::Gap { .. }
            | AgentEvent::Ran { .. }
            | AgentEvent::Drill { .. }
            | AgentEvent::Journal { .. } => None,
        })
        .collect();
    assert_eq!(
        said.iter().map(|(version, refused)| (*version, refused.is_some())).collect::<Vec<_>>(),
        [(1, false), (2, true), (3, true), (4, true)]
    );
    let why = said[1].1.as_ref().unwrap();
    assert!(why.contains("check srv-1/net.tcp: every_ms is 10, allowed is 1000 to 86400000"), "{why}");
    assert_eq!(world.starts_by_check()[&id("srv-1/net.tcp")].len(), 6, "it is probed as before");
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    world.run_until(30 * S);
    let (before, now) = (world.records.len(), world.reading());
    world.engine.configure(config(vec![tcp("srv-1/net.tcp")]), now).unwrap();
    assert_eq!(world.engine.poll_effect(), None);
    assert_eq!(world.records.len(), before);
}

#[test]
fn a_check_that_is_taken_away_is_not_monitored_and_its_finding_waits_for_it() {
    let mut world =
        World::new(
            vec![tcp("srv-1/net.tcp"), tcp("srv-2/net.tcp")],
            |_, now| if now < 90 * S { bad() } else { good() },
        );
    world.run_until(60 * S);
    world.configure(AgentConfig { version: 2, ..config(vec![tcp("srv-2/net.tcp")]) });
    world.run_until(80 * S);
    assert_eq!(world.told("srv-1/net.tcp"), "unknown suspect failed opened unknown");
    world.configure(AgentConfig { version: 3, ..config(vec![tcp("srv-1/net.tcp"), tcp("srv-2/net.tcp")]) });
    world.run_until(120 * S);
    assert_eq!(
        world.told("srv-1/net.tcp"),
        "unknown suspect failed opened unknown unknown recovering ok closed",
        "the very finding that was open"
    );
    assert_eq!(world.told("srv-2/net.tcp"), "unknown suspect failed opened recovering ok closed", "untouched");
}

#[test]
fn an_answer_to_an_old_question_says_nothing_of_the_new_one() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| (Outcome::Bad, 4_000));
    world.run_until(11 * S);
    assert_eq!(world.running.len(), 1);
    let moved = ProbeSpec::NetTcp { target: "10.0.0.2".to_owned(), port: 80 };
    world.configure(AgentConfig { version: 2, ..config(vec![]) });
    world.configure(AgentConfig { version: 3, ..config(vec![CheckSpec { probe: moved, ..tcp("srv-1/net.tcp") }]) });
    world.answer = Box::new(|_, _| good());
    world.run_until(60 * S);
    assert!(world.samples().all(|sample| sample.outcome == Outcome::Ok));
    assert!(world.samples().count() >= 4);
}

#[test]
fn an_outcome_that_nobody_awaits_is_refused_by_name() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    let now = world.reading();
    for check in ["srv-1/net.tcp", "srv-9/net.tcp"] {
        let refused = world.engine.handle_outcome(&id(check), result(Outcome::Ok, 0, 0), now).unwrap_err();
        assert_eq!(refused.to_string(), format!("no run of check {check} is awaited; its outcome is dropped"));
    }
}

#[test]
fn a_probe_that_never_returns_makes_the_check_unknown_and_is_not_started_again() {
    let mut world =
        World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 60 * S { good() } else { (Outcome::Ok, HOUR) });
    world.run_until(600 * S);
    assert_eq!(world.told("srv-1/net.tcp"), "unknown ok unknown");
    let last = *world.starts_by_check()[&id("srv-1/net.tcp")].last().unwrap();
    assert!(last < 75 * S);
    let (_, stale) = world.first(|event| {
        matches!(event, AgentEvent::StateChanged { state: CheckState::Unknown { reason: UnknownReason::Stale }, .. })
    });
    let AgentEvent::StateChanged { at, .. } = stale else { panic!("{stale:?}") };
    let stale_after = tcp("srv-1/net.tcp").stale_after_ms;
    assert_eq!(at.0, world.wall(at_mono(last - 10 * S + stale_after)), "stale from the last sample on");
}

#[test]
fn sleep_is_a_gap_and_what_failed_across_it_is_not_bad() {
    let mut world =
        World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 40 * S { good() } else { (Outcome::Bad, 4_000) });
    world.answer = Box::new(|_, now| if (40 * S..50 * S).contains(&now) { (Outcome::Bad, 4_000) } else { good() });
    world.run_until(40 * S);
    while world.running.is_empty() {
        world.step();
    }
    world.sleep(HOUR);
    world.run_until(120 * S);
    let (_, gap) = world.first(|event| matches!(event, AgentEvent::Gap { .. }));
    let AgentEvent::Gap { from, to, reason } = gap else { panic!("{gap:?}") };
    assert_eq!((from.0.duration_until(to.0).as_secs(), reason), (3_600, UnknownReason::Suspended));
    assert_eq!(world.samples().filter(|sample| sample.outcome == Outcome::Bad).count(), 0);
    let suspended = Outcome::unknown(UnknownReason::Suspended);
    assert_eq!(world.samples().filter(|sample| sample.outcome == suspended).count(), 1);
    assert_eq!(world.told("srv-1/net.tcp"), "unknown ok unknown unknown ok", "stale, suspended, and good again");
    assert!(!world.events().any(|event| matches!(event, AgentEvent::ClockStepped { .. })));
}

#[test]
fn a_check_runs_when_a_person_says_so() {
    let mut world =
        World::new(vec![tcp("srv-1/net.tcp"), tcp("srv-1/web"), tcp("srv-2/net.tcp")], |_, _| (Outcome::Ok, 500));
    world.run_until(30 * S + 100);
    while !world.running.is_empty() {
        world.step();
    }
    let (before, now) = (world.starts.len(), world.reading());
    let asked = |world: &mut World, which: &Selector| world.engine.check_now(which, now).len();
    assert_eq!(asked(&mut world, &Selector::Check(id("srv-1/web"))), 1);
    assert_eq!(asked(&mut world, &Selector::Asset("srv-1".parse().unwrap())), 2, "one of them runs already");
    assert_eq!(asked(&mut world, &Selector::Check(id("srv-9/web"))), 0);
    world.drain();
    assert_eq!(world.starts.len() - before, 2);
    assert_eq!(asked(&mut world, &Selector::All), 3);
    world.run_until(60 * S);
}

#[test]
fn the_last_words_come_after_everything_sampled_and_nothing_after_them() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    world.run_until(34 * S);
    let now = world.reading();
    world.engine.stop("SIGTERM".into(), now);
    world.engine.stop("again".into(), now);
    world.is_stopped = true;
    world.drain();
    world.run_until(90 * S);
    assert_eq!(world.engine.poll_timeout(), None);
    let (_, last, urgency) = world.records.last().unwrap();
    assert!(matches!(&last.events[..], [AgentEvent::Stopping { reason, .. }] if reason.as_str() == "SIGTERM"));
    assert_eq!(*urgency, Urgency::AtOnce);
    assert!(world.samples().count() + 1 >= world.starts.len(), "only what was under way is missing");
}

#[test]
fn a_restarted_agent_goes_on_with_its_configuration_and_its_open_finding() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 30 * S { good() } else { bad() });
    world.run_until(60 * S);
    let snapshot = world.snapshot();
    world.run_until(70 * S);
    world.restart(Start { last_alive: Some(snapshot.at), snapshot: Some(snapshot), ..Start::default() });
    world.answer = Box::new(|_, _| good());
    world.run_until(120 * S);
    assert_eq!(world.told("srv-1/net.tcp"), "recovering ok closed", "no second opening, no second configuration");
    let (_, started) = world.first(|event| matches!(event, AgentEvent::Started { .. }));
    let AgentEvent::Started { last_alive, clean, .. } = started else { panic!("{started:?}") };
    assert_eq!((last_alive, clean), (Some(ObservedAt(world.wall(at_mono(60 * S)))), false));
    assert_eq!(world.engine.config_version(), 1);
}

#[test]
fn what_the_journal_holds_is_not_said_again_and_what_it_lacks_is() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 30 * S { good() } else { bad() });
    world.run_until(25 * S);
    let (snapshot, written) = (world.snapshot(), world.records.len());
    world.run_until(45 * S);
    let tail: Vec<Body> = world.records[written..].iter().map(|(_, body, _)| body.clone()).collect();
    let opening = tail.iter().position(|body| body.events.len() == 2).unwrap();
    for (kept, told) in [(tail.len(), "recovering ok closed"), (opening, "failed opened recovering ok closed")] {
        let mut world = world.again();
        let journalled_since = tail[..kept].to_vec();
        world.restart(Start { snapshot: Some(snapshot.clone()), journalled_since, ..Start::default() });
        world.answer = Box::new(|_, _| good());
        world.run_until(120 * S);
        assert_eq!(world.told("srv-1/net.tcp"), told);
    }
}

#[test]
fn an_agent_that_was_off_for_long_says_since_when_it_does_not_know() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
    world.run_until(60 * S);
    let snapshot = world.snapshot();
    let last = world.samples().last().unwrap().at;
    world.now = 2 * HOUR;
    world.restart(Start { snapshot: Some(snapshot), ..Start::default() });
    world.run_until(2 * HOUR + 30 * S);
    assert_eq!(world.told("srv-1/net.tcp"), "unknown ok");
    let (_, stale) = world.first(|event| matches!(event, AgentEvent::StateChanged { .. }));
    let AgentEvent::StateChanged { at, .. } = stale else { panic!("{stale:?}") };
    let stale_after = i128::from(tcp("srv-1/net.tcp").stale_after_ms);
    assert_eq!(last.0.duration_until(at.0).as_millis(), stale_after);
}

#[test]
fn a_wall_clock_set_back_while_the_agent_was_off_is_a_step_too() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, now| if now < 30 * S { good() } else { bad() });
    world.run_until(60 * S);
    let snapshot = world.snapshot();
    world.wall_ms -= 315_576_000_000;
    world.restart(Start { last_alive: Some(snapshot.at), snapshot: Some(snapshot), ..Start::default() });
    world.answer = Box::new(|_, _| good());
    world.run_until(120 * S);
    assert!(world.events().any(|event| matches!(event, AgentEvent::ClockStepped { by_ms, .. } if *by_ms < 0)));
    assert_eq!(world.told("srv-1/net.tcp"), "recovering ok closed", "its samples are not mistaken for old ones");
}

#[test]
fn a_wall_clock_set_while_the_agent_was_off_is_told_to_the_millisecond_within_a_boot() {
    for by in [3_600_000, -3_600_000, -315_576_000_000, 600, 0, 499] {
        let mut world = World::new(vec![tcp("srv-1/net.tcp")], |_, _| good());
        world.run_until(60 * S);
        let snapshot = world.snapshot();
        let written = world.records.len();
        world.wall_ms += 7_000;
        world.run_until(90 * S);
        world.engine.flush();
        world.drain();
        let tail: Vec<Body> = world.records[written..].iter().map(|(_, body, _)| body.clone()).collect();
        let last = world.samples().last().unwrap().at;
        world.sleep(20_000);
        world.now += 10_000;
        world.wall_ms += by;
        let start =
            Start { last_alive: Some(last), snapshot: Some(snapshot), journalled_since: tail, ..Start::default() };
        world.restart(start);
        let told: Vec<_> = world.events().take(2).cloned().collect();
        let at = ObservedAt(world.wall(Mono(world.now * 1_000_000)));
        let step = AgentEvent::ClockStepped { at, by_ms: by };
        let moved = last.0 + jiff::SignedDuration::from_millis(by);
        let is_told = by.unsigned_abs() >= 500;
        assert_eq!(told[0] == step, is_told, "{by}: {told:?}");
        let AgentEvent::Started { at: started, last_alive, .. } = &told[usize::from(is_told)] else {
            panic!("{told:?}")
        };
        let was = if is_told { moved } else { last.0 };
        assert_eq!((*started, *last_alive), (at, Some(ObservedAt(was))), "{by}: both in the new time");
    }
}

#[test]
fn the_now_header_shows_every_check_as_it_stands() {
    let mut world = World::new(vec![tcp("srv-1/net.tcp"), tcp("srv-2/net.tcp")], |check, _| {
        if check.asset.as_str() == "srv-1" { bad() } else { good() }
    });
    world.run_until(60 * S);
    let now = world.reading();
    let header = world.engine.now_header(now);
    assert_eq!(header.config_version, 1);
    let states: Vec<_> = header.checks.iter().map(|(id, now)| format!("{id} {}", now.state.word())).collect();
    assert_eq!(states, ["srv-1/net.tcp failed", "srv-2/net.tcp ok"]);
    let clock = world.engine.clock_reading(now);
    assert_eq!((clock.wall.0, clock.mono), (now.wall, now.mono));
}

#[test]
fn a_record_stays_within_its_bound_however_much_is_sampled_at_once() {
    let specs: Vec<_> = (0..2_000).map(|number| tcp(&format!("srv-{number}/net.tcp"))).collect();
    let mut world = World::new(specs, |_, _| good());
    world.evidence = Some("x".repeat(256));
    world.run_until(30 * S);
    let bytes = world.records.iter().map(|(_, body, _)| serde_json::to_string(body).unwrap().len());
    assert!(bytes.max().unwrap() <= upheld_wire::v1::limits::BODY_BYTES_MAX);
    assert!(world.samples().count() >= 4_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the network does, the journal alone tells the same story: folding its samples gives its transitions.
    #[test]
    fn the_journal_alone_gives_the_same_findings(seed in any::<u64>(), every_s in 1u64..30) {
        let specs: Vec<_> = ["a/x", "b/y", "c/z"].map(|check| CheckSpec { every_ms: every_s * S, ..tcp(check) }).to_vec();
        let mut world = World::new(specs.clone(), move |check, now| noise(seed, check, now));
        world.run_until(HOUR / 4);
        world.engine.flush();
        world.drain();
        for spec in specs {
            let samples: Vec<&Sample> = world.samples().filter(|sample| sample.check == spec.id).collect();
            prop_assert!(samples.windows(2).all(|pair| pair[0].at < pair[1].at));
            let fold = CheckFold::new(spec.id.clone(), FoldRule::from(&spec), ObservedAt(world.wall(Mono(0))));
            let told: Vec<_> = world.events().filter(|event| about(event) == Some(&spec.id)).skip(1).cloned().collect();
            prop_assert_eq!(refold(fold, samples).events, told);
        }
    }
}

/// Mostly good, with bad and unknown stretches, answers between 1 ms and the timeout.
fn noise(seed: u64, check: &CheckId, now: u64) -> (Outcome, u64) {
    let mix = |number: u64| (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let name = check.to_string().bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte)));
    let weather = mix(name ^ mix(now / (25 * S))) % 10;
    let luck = mix(name ^ mix(now)) % 100;
    let outcome = match (weather, luck) {
        (0..5, 0..98) | (5.., 70..90) => Outcome::Ok,
        (0..5, _) | (5..8, _) => Outcome::Bad,
        (_, _) => Outcome::unknown(UnknownReason::Resolver),
    };
    (outcome, 1 + mix(luck ^ now) % tcp("any/check").timeout_ms)
}

type Answer = Box<dyn Fn(&CheckId, u64) -> (Outcome, u64)>;

/// The shell of the engine, without a machine: time is a number of milliseconds, a probe is a promise to answer.
struct World {
    engine: Engine,
    /// Milliseconds of the monotonic clock since the world began.
    now: u64,
    /// The wall clock minus the monotonic one.
    wall_ms: i64,
    slept_ms: u64,
    answer: Answer,
    evidence: Option<String>,
    /// What runs: when it ends, what it will say.
    running: BTreeMap<(u64, CheckId), ProbeResult>,
    starts: Vec<(u64, CheckId)>,
    records: Vec<(u64, Body, Urgency)>,
    wakes: u64,
    is_stopped: bool,
}

impl World {
    fn new(checks: Vec<CheckSpec>, answer: impl Fn(&CheckId, u64) -> (Outcome, u64) + 'static) -> Self {
        let mut world = Self {
            engine: engine(Start::default(), reading(0, EPOCH_MS, 0)),
            now: 0,
            wall_ms: EPOCH_MS,
            slept_ms: 0,
            answer: Box::new(answer),
            evidence: None,
            running: BTreeMap::new(),
            starts: Vec::new(),
            records: Vec::new(),
            wakes: 0,
            is_stopped: false,
        };
        world.configure(config(checks));
        world
    }

    /// The same moment in a world where nothing was recorded.
    fn again(&self) -> Self {
        let mut world = Self::new(Vec::new(), |_, _| good());
        world.now = self.now;
        world.wall_ms = self.wall_ms;
        world
    }

    fn configure(&mut self, config: AgentConfig) {
        let now = self.reading();
        self.engine.configure(config, now).unwrap();
        self.drain();
    }

    fn restart(&mut self, start: Start) {
        self.running.clear();
        self.records.clear();
        self.engine = engine(start, self.reading());
        self.drain();
    }

    /// As the shell takes it: everything before it is written, and it survives its text.
    fn snapshot(&mut self) -> EngineSnapshot {
        self.engine.flush();
        self.drain();
        let now = self.reading();
        let text = serde_json::to_string(&self.engine.snapshot(now)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn sleep(&mut self, ms: u64) {
        self.slept_ms += ms;
        self.wall_ms += i64::try_from(ms).unwrap();
    }

    fn run_until(&mut self, ms: u64) {
        while self.next().is_some_and(|next| next <= ms) {
            self.step();
        }
        self.now = self.now.max(ms);
    }

    fn next(&self) -> Option<u64> {
        let timer = self.engine.poll_timeout().map(|at| at.0.div_ceil(1_000_000));
        timer.into_iter().chain(self.running.keys().next().map(|(at, _)| *at)).min()
    }

    /// One wake-up: everything that is due at that millisecond.
    fn step(&mut self) {
        let Some(next) = self.next() else { return };
        self.now = self.now.max(next);
        self.wakes += 1;
        let now = self.reading();
        while let Some(entry) = self.running.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, check), result) = entry.remove_entry();
            let is_awaited = self.engine.handle_outcome(&check, result, now).is_ok();
            assert!(is_awaited || self.is_stopped, "{check}");
        }
        self.engine.handle_timeout(now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Probe(spec) => self.probe(&spec),
                Effect::Write { body, urgency } => self.records.push((self.now, body, urgency)),
            }
        }
    }

    fn probe(&mut self, spec: &Arc<CheckSpec>) {
        assert!(!self.running.keys().any(|(_, check)| *check == spec.id), "{} overlaps with itself", spec.id);
        let (outcome, took) = (self.answer)(&spec.id, self.now);
        let mut result = result(outcome, self.now, took);
        result.evidence = self.evidence.as_deref().map(Into::into);
        self.starts.push((self.now, spec.id.clone()));
        self.running.insert((self.now + took, spec.id.clone()), result);
    }

    fn reading(&self) -> Reading {
        reading(self.now, self.wall_ms, self.slept_ms)
    }

    /// The wall clock at a reading of the monotonic one, as it is set at present.
    fn wall(&self, mono: Mono) -> Timestamp {
        Timestamp::from_millisecond(self.wall_ms + i64::try_from(mono.0 / 1_000_000).unwrap()).unwrap()
    }

    fn starts_by_check(&self) -> BTreeMap<CheckId, Vec<u64>> {
        let mut by_check = BTreeMap::<_, Vec<_>>::new();
        for (at, check) in &self.starts {
            by_check.entry(check.clone()).or_default().push(*at);
        }
        by_check
    }

    fn events(&self) -> impl Iterator<Item = &AgentEvent> {
        self.records.iter().flat_map(|(_, body, _)| &body.events)
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.records.iter().flat_map(|(_, body, _)| &body.samples)
    }

    /// The first such event, and when it was written.
    fn first(&self, wanted: impl Fn(&AgentEvent) -> bool) -> (u64, AgentEvent) {
        let mut events =
            self.records.iter().flat_map(|(at, body, _)| body.events.iter().map(move |event| (*at, event)));
        let (at, event) = events.find(|(_, event)| wanted(event)).expect("no such event");
        (at, event.clone())
    }

    fn records_at(&self, event: &AgentEvent) -> u64 {
        self.first(|other| other == event).0
    }

    /// What was said about a check: states, openings and closings, in order.
    fn told(&self, check: &str) -> String {
        let check = id(check);
        let word = |event: &AgentEvent| match event {
            AgentEvent::StateChanged { state, .. } => state.word(),
            AgentEvent::FindingOpened { .. } => "opened",
            AgentEvent::FindingClosed { .. } => "closed",
            AgentEvent::Started { .. }
            | AgentEvent::Stopping { .. }
            | AgentEvent::ClockStepped { .. }
            | AgentEvent::Gap { .. }
            | AgentEvent::Configured { .. }
            | AgentEvent::Ran { .. }
            | AgentEvent::Drill { .. }
            | AgentEvent::Journal { .. } => "other",
        };
        self.events().filter(|event| about(event) == Some(&check)).map(word).collect::<Vec<_>>().join(" ")
    }
}

/// 2026-11-16T16:00:00Z.
const EPOCH_MS: i64 = 1_794_844_800_000;

fn engine(start: Start, now: Reading) -> Engine {
    Engine::start(agent(), "boot-1".parse::<BootId>().unwrap(), start, now)
}

fn reading(now: u64, wall_ms: i64, slept_ms: u64) -> Reading {
    Reading {
        wall: Timestamp::from_millisecond(wall_ms + i64::try_from(now).unwrap()).unwrap(),
        mono: at_mono(now),
        boottime: Some(at_mono(now + slept_ms)),
    }
}

fn at_mono(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn about(event: &AgentEvent) -> Option<&CheckId> {
    match event {
        AgentEvent::FindingOpened { finding } => Some(&finding.check),
        AgentEvent::FindingClosed { id, .. } => Some(&id.check),
        AgentEvent::StateChanged { check, .. } => Some(check),
        AgentEvent::Started { .. }
        | AgentEvent::Stopping { .. }
        | AgentEvent::ClockStepped { .. }
        | AgentEvent::Gap { .. }
        | AgentEvent::Configured { .. }
        | AgentEvent::Ran { .. }
        | AgentEvent::Drill { .. }
        | AgentEvent::Journal { .. } => None,
    }
}

fn good() -> (Outcome, u64) {
    (Outcome::Ok, 3)
}

fn bad() -> (Outcome, u64) {
    (Outcome::Bad, 3)
}

fn result(outcome: Outcome, now: u64, took: u64) -> ProbeResult {
    ProbeResult {
        outcome,
        values: BTreeMap::new(),
        counters: BTreeMap::new(),
        evidence: None,
        started: at_mono(now),
        took: Duration::from_millis(took),
    }
}

fn config(checks: Vec<CheckSpec>) -> AgentConfig {
    AgentConfig {
        version: 1,
        agent: agent(),
        heartbeat_ms: 30_000,
        checks,
        relations: Relations::default(),
        jobs: Default::default(),
    }
}

/// A camera at a switch, both fed by one supply.
fn hanging() -> Relations {
    let asset = |name: &str| name.parse().unwrap();
    let parents = [(asset("cam-1"), [asset("sw-4")].into()), (asset("sw-4"), [asset("ups-2")].into())];
    Relations { parents: parents.into(), ..Relations::default() }
}

fn agent() -> AgentId {
    "a1".parse().unwrap()
}

fn id(check: &str) -> CheckId {
    check.parse().unwrap()
}

/// Whether the site has a way out: every 30 s.
fn way_out() -> CheckSpec {
    CheckSpec::with_defaults(id("line/net.path"), ProbeSpec::NetPath(Default::default()))
}

/// A liveness check: every 10 s, three bad ones confirm, two good ones recover, stale after 35 s.
fn tcp(check: &str) -> CheckSpec {
    CheckSpec::with_defaults(id(check), ProbeSpec::NetTcp { target: "10.0.0.1".to_owned(), port: 80 })
}
