//! What DETECTION 1 promises of any trace: order, duplication and delay change nothing that counts, time sums to the
//! period, nothing is hidden, nothing is up by default.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_detection::replay::Document;
use upheld_model::{AssetClass, IncidentKind};

use crate::{
    dice::Dice,
    s3_dip,
    site::{Building, Story, site, told},
};

#[test]
fn neither_order_nor_duplicates_change_anything() {
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let plan = s3_dip::plant();
        let (story, _) = s3_dip::story(&mut dice, &plan);
        let sites = [plan];
        let before = story.told(&sites);
        let mut lines = story.lines;
        let again: Vec<String> = lines.iter().filter(|_| dice.chance(0.2)).cloned().collect();
        lines.extend(again);
        dice.shuffle(&mut lines);
        assert_eq!(told(&lines, &sites), before);
    }
}

#[test]
fn delay_changes_neither_findings_nor_uptime_nor_which_incidents_there_are() {
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let plan = s3_dip::plant();
        let (story, _) = s3_dip::story(&mut dice, &plan);
        let sites = [plan];
        let before = story.told(&sites);
        let late = |line: &String| match dice.chance(0.5) {
            true => delayed(line, SignedDuration::from_secs(dice.below(3 * 86_400) as i64)),
            false => line.clone(),
        };
        let after = told(&story.lines.iter().map(late).collect::<Vec<_>>(), &sites);
        assert_eq!(after.findings, before.findings);
        assert_eq!(after.uptime, before.uptime);
        assert_eq!(keys(&after), keys(&before));
    }
}

#[test]
fn what_was_over_when_it_arrived_bothers_nobody_and_what_was_not_does() {
    let plan = site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["web net.http"]);
    let story = outage();
    let on_time = story.told(std::slice::from_ref(&plan));
    assert_eq!((on_time.pages, on_time.incidents[0].ticketed), (1, true));
    let cut_off: Vec<String> = story.lines.iter().map(|line| received(line, story.at(7_200.0))).collect();
    let late = told(&cut_off, std::slice::from_ref(&plan));
    assert_eq!((late.pages, late.incidents[0].ticketed), (0, false));
    assert_eq!(keys(&late), keys(&on_time));
    let open: Vec<String> = cut_off.into_iter().filter(|line| line.contains("bad")).collect();
    let still_open = told(&open, &[plan]);
    assert_eq!((still_open.pages, still_open.incidents[0].ticketed), (1, true));
    assert_eq!(still_open.incidents[0].opened, story.at(7_200.0), "clocks start when it was received");
}

#[test]
fn time_sums_to_the_period_in_every_zone() {
    let story = outage();
    for zone in jiff::tz::db().available() {
        let mut plan = site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["web net.http"]);
        plan.zone = TimeZone::get(zone.as_str()).unwrap();
        let told = story.told(&[plan]);
        let time = told.uptime["srv-1"];
        assert_eq!(time.up_s + time.degraded_s + time.down_s + time.unknown_s, 3_590, "{zone}");
        assert_eq!(time.down_s, 600, "{zone}");
    }
}

#[test]
fn suppression_hides_no_measurement_and_no_resolution() {
    for seed in 0..10 {
        let plan = s3_dip::plant();
        let (story, lost) = s3_dip::story(&mut Dice::new(seed), &plan);
        let told = story.told(&[plan]);
        let held: BTreeSet<&String> = told.incidents.iter().flat_map(|incident| &incident.symptoms).collect();
        for finding in &told.findings {
            let name = format!("{}/{}@{}", finding.asset, finding.check, finding.first_bad);
            assert!(held.contains(&name), "{name} is in no incident");
            assert_eq!(finding.first_ok.is_none(), finding.asset.as_str() == lost, "{name}");
            assert!(told.uptime[finding.asset.as_str()].down_s > 0);
        }
    }
}

#[test]
fn nothing_is_up_before_or_without_a_sample() {
    let plan = site("northgate", "plant-2")
        .with("srv-1", AssetClass::Server, &[], &["web net.http"])
        .with("srv-2", AssetClass::Server, &[], &["web net.http"])
        .with("shelf", AssetClass::Other, &[], &[]);
    let mut story = Story::new();
    story.event(0.0, "plant-2", "a1", r#","event":"boot""#);
    (60..=120).for_each(|n| story.sample(f64::from(n) * 10.0, "srv-1/web", "ok", ""));
    let told = story.told(&[plan]);
    let seconds = |asset: &str| (told.uptime[asset].up_s, told.uptime[asset].unknown_s);
    assert_eq!(seconds("srv-1"), (600, 600));
    assert_eq!(seconds("srv-2"), (0, 1_200));
    assert_eq!(seconds("shelf"), (0, 1_200));
}

#[test]
fn an_unrelated_fault_at_the_same_site_opens_normally() {
    let mut plan = s3_dip::plant();
    plan = plan.with("lobby", AssetClass::Server, &[], &["web net.http"]);
    let (mut story, _) = s3_dip::story(&mut Dice::new(3), &plan);
    for n in 0..540 {
        let at = f64::from(n) * 10.0;
        story.sample(at, "lobby/web", if (1_850.0..3_000.0).contains(&at) { "bad" } else { "ok" }, "");
    }
    let told = story.told(&[plan]);
    let lobby = told.incidents.iter().find(|incident| incident.root == "lobby").unwrap();
    assert!(lobby.ticketed && lobby.parent.is_none() && lobby.kind == IncidentKind::Down);
    assert_eq!((told.incidents.len(), told.pages), (3, 2));
}

/// An hour with ten minutes of failure.
fn outage() -> Story {
    let mut story = Story::new();
    for n in 0..360 {
        let at = f64::from(n) * 10.0;
        story.sample(at, "srv-1/web", if (1_200.0..1_800.0).contains(&at) { "bad" } else { "ok" }, "");
    }
    story
}

fn keys(document: &Document) -> BTreeSet<(&String, &Option<String>)> {
    document.incidents.iter().map(|incident| (&incident.key, &incident.parent)).collect()
}

fn delayed(line: &str, by: SignedDuration) -> String {
    let at: Timestamp = line[6..].split('"').next().unwrap().parse().unwrap();
    received(line, at + by)
}

fn received(line: &str, at: Timestamp) -> String {
    line.replacen('{', &format!(r#"{{"rx":"{at}","#), 1)
}
