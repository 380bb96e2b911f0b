//! The promises of DETECTION 1 for any story at all: what is told in another order, twice or days late is the same.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use upheld_detection::{plan::Site, replay::Document};
use upheld_model::AssetClass;

use crate::{
    dice::Dice,
    site::{Building, Story, site, told},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_story_is_the_same_in_any_order_and_any_number_of_times(seed in any::<u64>()) {
        let (story, plan) = any_story(seed);
        let sites = [plan];
        let before = story.told(&sites);
        let mut dice = Dice::new(seed ^ 1);
        let mut lines = story.lines;
        let again: Vec<String> = lines.iter().filter(|_| dice.chance(0.3)).cloned().collect();
        lines.extend(again);
        dice.shuffle(&mut lines);
        prop_assert_eq!(told(&lines, &sites), before);
    }

    #[test]
    fn any_story_that_is_told_late_has_the_same_findings_uptime_and_incidents(seed in any::<u64>()) {
        let (story, plan) = any_story(seed);
        let sites = [plan];
        let before = story.told(&sites);
        let mut dice = Dice::new(seed ^ 2);
        let lines: Vec<String> = story.lines.iter().map(|line| {
            if dice.chance(0.5) {
                return line.clone();
            }
            let at: Timestamp = line[6..].split('"').next().unwrap().parse().unwrap();
            let received = at + SignedDuration::from_secs(dice.below(3 * 86_400) as i64);
            line.replacen('{', &format!(r#"{{"rx":"{received}","#), 1)
        }).collect();
        let after = told(&lines, &sites);
        prop_assert_eq!(&after.findings, &before.findings);
        prop_assert_eq!(&after.uptime, &before.uptime);
        prop_assert_eq!(keys(&after), keys(&before));
    }

    #[test]
    fn any_story_sums_to_its_period_hides_nothing_and_makes_nothing_up(seed in any::<u64>(), zone in any::<usize>()) {
        let (story, mut plan) = any_story(seed);
        let zones: Vec<_> = jiff::tz::db().available().collect();
        plan.zone = TimeZone::get(zones[zone % zones.len()].as_str()).unwrap();
        let told = story.told(std::slice::from_ref(&plan));
        let instants = || story.lines.iter().map(|line| line[6..].split('"').next().unwrap().parse::<Timestamp>().unwrap());
        let (from, to) = (instants().min().unwrap(), instants().max().unwrap());
        let whole = to.as_second() - from.as_second();
        for (asset, time) in &told.uptime {
            prop_assert_eq!(time.up_s + time.degraded_s + time.down_s + time.unknown_s, whole, "{}", asset);
            prop_assert!(time.up_s >= 0 && time.degraded_s >= 0 && time.down_s >= 0 && time.unknown_s >= 0);
        }
        prop_assert_eq!(told.uptime["shelf"].unknown_s, whole);
        let held: BTreeSet<&String> = told.incidents.iter().flat_map(|incident| &incident.symptoms).collect();
        for finding in &told.findings {
            let name = format!("{}/{}@{}", finding.asset, finding.check, finding.first_bad);
            // What an announced shutdown explains, until its time to settle is over, is told by that.
            let settle = SignedDuration::from_mins(16);
            let is_event = told.events.iter().any(|event| {
                event.t <= finding.confirmed_at + settle && event.until.is_none_or(|until| finding.first_bad <= until + settle)
            });
            prop_assert!(held.contains(&name) || is_event, "{} is nowhere", name);
        }
        let incidents: BTreeSet<&String> = told.incidents.iter().map(|incident| &incident.key).collect();
        prop_assert_eq!(incidents.len(), told.incidents.len(), "every key is one incident's");
        for incident in &told.incidents {
            prop_assert!(incident.parent.as_ref().is_none_or(|parent| *parent != incident.key));
            prop_assert!(incident.restored.is_none_or(|restored| incident.started.1 <= restored), "{:?}", incident);
            prop_assert!(incident.started.0.is_none_or(|begin| begin <= incident.started.1));
            prop_assert!(incident.started.1 <= incident.detected && incident.detected <= incident.opened, "{:?}", incident);
        }
    }
}

/// What hung on a host that was down since its restart was told nowhere: its failure had no incident of its own.
#[test]
fn what_hangs_on_a_host_that_fails_since_its_restart_is_in_the_restarts_incident() {
    let plan = site("northgate", "plant-2").with("nvr-02", AssetClass::Recorder, &[], &["host host"]).with(
        "vm-1",
        AssetClass::Server,
        &["runs_on nvr-02"],
        &["copy backup.restic"],
    );
    let mut story = Story::new();
    story.event(0.0, "plant-2", "a1", r#","asset":"nvr-02","event":"boot""#);
    for minute in 0..90 {
        let at = f64::from(minute) * 60.0;
        story.sample(at, "nvr-02/host", if minute < 10 { "ok" } else { "bad" }, "");
        story.sample(at + 1.0, "vm-1/copy", if (60..63).contains(&minute) { "bad" } else { "ok" }, "");
    }
    let told = story.told(&[plan]);
    let found: Vec<_> = told.findings.iter().map(|finding| finding.asset.as_str()).collect();
    assert_eq!(found, ["nvr-02", "vm-1"]);
    let held: Vec<_> =
        told.incidents.iter().map(|incident| (incident.root.as_str(), incident.symptoms.len())).collect();
    assert_eq!(held, [("nvr-02", 2)], "{:#?}", told.incidents);
}

fn keys(document: &Document) -> BTreeSet<(&String, &Option<String>, &String)> {
    document.incidents.iter().map(|incident| (&incident.key, &incident.parent, &incident.root)).collect()
}

/// A small site of every class, and two days in which anything fails at any time.
fn any_story(seed: u64) -> (Story, Site) {
    let mut dice = Dice::new(seed);
    let plan = site("northgate", "plant-2")
        .with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"])
        .with("gw", AssetClass::Gateway, &["powered_by ups-2"], &["ping net.icmp"])
        .with("sw-4", AssetClass::Switch, &["powered_by ups-2", "connected_to gw"], &["ping net.icmp", "port net.link"])
        .with(
            "nvr-02",
            AssetClass::Recorder,
            &["powered_by ups-2", "connected_to sw-4"],
            &["host host", "rec rec.freshness"],
        )
        .with(
            "cam-1",
            AssetClass::Camera,
            &["connected_to sw-4", "records_to nvr-02"],
            &["rtsp cam.rtsp", "ping net.icmp"],
        )
        .with("desk-1", AssetClass::Workstation, &["connected_to sw-4"], &["ping net.icmp"])
        .with("vm-1", AssetClass::Server, &["runs_on nvr-02"], &["web net.http", "copy backup.restic"])
        .with("shelf", AssetClass::Other, &[], &[]);
    let until = dice.within(3_600.0, 2.0 * 86_400.0);
    let power: Vec<(f64, f64)> = outages(&mut dice, until);
    let mut story = Story::new();
    let mut transfers = 0;
    for (check, planned) in &plan.checks {
        let own = outages(&mut dice, until);
        let has_counter = dice.chance(0.5);
        let every = [1.0_f64, 10.0, 60.0, 300.0][dice.below(4)].max(until / 400.0);
        let mut at = dice.within(0.0, every);
        let mut drops = 0;
        let (mut was_bad, mut was_dark) = (false, false);
        while at < until {
            let is_in = |all: &[(f64, f64)]| all.iter().any(|(from, to)| *from <= at && at < *to);
            let is_dark = is_in(&power) && check.asset.as_str() != "desk-1";
            let is_bad = is_in(&own) || (is_dark && check.asset.as_str() != "ups-2");
            transfers += u32::from(is_dark && !was_dark && check.asset.as_str() == "ups-2");
            drops += u32::from(is_bad && !was_bad);
            (was_bad, was_dark) = (is_bad, is_dark);
            let mut word = if is_bad { "bad" } else { "ok" };
            if dice.chance(0.02) {
                word = ["ok", "warn", "bad", "unknown"][dice.below(4)];
            }
            let more = match planned.kind.as_str() {
                "ups.nut" => {
                    let status = if is_dark { "OB" } else { "OL" };
                    let counter = if has_counter {
                        format!(r#","counters":{{"transfers":["e",{transfers}]}}"#)
                    } else {
                        String::new()
                    };
                    format!(r#","values":{{"status":"{status}"}}{counter}"#)
                }
                "net.link" if has_counter => format!(r#","counters":{{"carrier_down":["e",{drops}]}}"#),
                "net.icmp" if has_counter => format!(r#","values":{{"sent":20,"lost":{}}}"#, dice.below(3)),
                "host" => format!(r#","values":{{"boot_id":"b{}"}}"#, (at / 40_000.0) as u32),
                _ => String::new(),
            };
            story.sample(at, &check.to_string(), word, &more);
            at += every;
        }
    }
    for _ in 0..dice.below(4) {
        let at = dice.within(0.0, until);
        let asset = ["nvr-02", "desk-1", "vm-1"][dice.below(3)];
        let what = [
            r#""event":"boot""#,
            r#""event":"last-gasp","reason":"shutdown requested""#,
            r#""event":"last-gasp","reason":"battery low""#,
        ][dice.below(3)];
        story.event(at, "plant-2", "a1", &format!(r#","asset":"{asset}",{what}"#));
    }
    (story, plan)
}

fn outages(dice: &mut Dice, until: f64) -> Vec<(f64, f64)> {
    (0..dice.below(5))
        .map(|_| {
            let from = dice.within(0.0, until);
            let lasts = [3.0, 40.0, 400.0, 4_000.0, 40_000.0][dice.below(5)];
            (from, from + dice.within(0.2, 1.0) * lasts)
        })
        .collect()
}
