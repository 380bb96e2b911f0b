//! Single rules of DETECTION 3 and 4, each by a short story.

use std::time::Duration;

use upheld_detection::{
    incident::Stage,
    plan::{Expected, Site},
    replay::{Document, ReplayError, Trace, Unknown, record, replay, replay_with},
    schedule::{Job, Schedule},
    uptime::Span,
};
use upheld_model::{AssetClass, IncidentClass, IncidentKind};

use crate::site::{Building, DAY, Story, site};

#[test]
fn a_dip_without_a_symptom_is_an_event() {
    let told = power(5.0, &[]).told(&[powered()]);
    assert_eq!((told.incidents.len(), told.pages, happened(&told, "power-dip")), (0, 0, 1));
}

#[test]
fn on_battery_for_long_is_an_incident_by_itself_and_what_it_takes_down_is_in_it() {
    let told = power(400.0, &[("srv-1/web", 700.0, 900.0)]).told(&[powered()]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.root.as_str(), incident.ticketed, told.pages), ("ups-2", true, 1));
    assert_eq!(incident.symptoms.len(), 1);
}

#[test]
fn what_stays_down_waits_for_the_return_of_what_it_hangs_on_but_never_beyond_the_longest_wait() {
    let mut plan = powered();
    let story = power(3.0, &[("srv-1/web", 601.0, 4_000.0)]);
    let opened = |told: Document| {
        let child = told.incidents.iter().find(|incident| incident.root == "srv-1").unwrap().clone();
        story.at(600.0).duration_until(child.opened).as_secs()
    };
    assert_eq!(opened(story.told(std::slice::from_ref(&plan))), 603, "600 s after the dip was over");
    plan.assets.get_mut(&"srv-1".parse().unwrap()).unwrap().max_wait = Some(Duration::from_secs(120));
    assert_eq!(opened(story.told(&[plan])), 150, "two minutes after it was confirmed");
}

#[test]
fn a_way_out_that_ends_names_the_culprit_whose_class_and_cause_it_has() {
    let told = |verdict: &str, asset: AssetClass| {
        let plan = site("northgate", "plant-2").with("srv-1", asset, &[], &["path net.path"]);
        let mut story = Story::new();
        for at in (0..600).step_by(10).map(f64::from) {
            let is_bad = at >= 200.0;
            let values = format!(r#","values":{{"verdict":"{}"}}"#, if is_bad { verdict } else { "ok" });
            story.sample(at, "srv-1/path", if is_bad { "bad" } else { "ok" }, &values);
        }
        let told = story.told(&[plan]);
        let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
        (incident.class, incident.title.clone())
    };
    for (verdict, class, part) in [
        ("own-link", IncidentClass::NetworkLan, "its own network port has no link"),
        ("gateway", IncidentClass::NetworkLan, "the gateway does not answer"),
        ("isp-access", IncidentClass::NetworkWan, "the line to the internet provider"),
        ("isp-routing", IncidentClass::NetworkWan, "the internet provider"),
        ("dns", IncidentClass::NetworkLan, "the resolver does not answer"),
        ("something new", IncidentClass::NetworkLan, "the way out of the site is broken"),
    ] {
        let (seen, title) = told(verdict, AssetClass::Server);
        assert_eq!(seen, class, "{verdict}");
        assert!(title.starts_with("srv-1: ") && title.contains(part), "{title}");
    }
    assert_eq!(told("gateway", AssetClass::InternetLink).0, IncidentClass::NetworkLan, "wherever the check stands");
}

#[test]
fn a_gateway_that_is_lost_takes_the_verdict_about_it_with_it() {
    let plan = site("northgate", "plant-2").with("gw", AssetClass::Gateway, &[], &["ping net.icmp"]).with(
        "srv-1",
        AssetClass::Server,
        &["routed_via gw"],
        &["path net.path"],
    );
    // The verdict may be confirmed a little before the gateway's own check.
    let mut story = Story::new();
    for at in (0..900).step_by(2).map(f64::from) {
        let (path, ping) = ((300.0..800.0).contains(&at), (304.0..800.0).contains(&at));
        let values = format!(r#","values":{{"verdict":"{}"}}"#, if path { "gateway" } else { "ok" });
        story.sample(at, "srv-1/path", if path { "bad" } else { "ok" }, &values);
        story.sample(at, "gw/ping", if ping { "bad" } else { "ok" }, "");
    }
    let told = story.told(&[plan]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.root.as_str(), incident.symptoms.len()), ("gw", 2));
    assert_eq!(incident.title, "gw: does not answer ping; 1 check on 1 asset failed");
}

#[test]
fn a_start_says_how_the_host_ended_and_two_checks_tell_of_one() {
    let told = |ended: &str| {
        let plan = site("northgate", "plant-2")
            .with("srv-1", AssetClass::Server, &[], &["host host", "boot power.boot", "ping net.icmp"])
            .with("vm-1", AssetClass::Server, &["runs_on srv-1"], &["web net.tcp"]);
        let mut story = Story::new();
        for at in (0..900).step_by(10).map(f64::from) {
            let is_away = (300.0..360.0).contains(&at);
            let boot = if at < 300.0 { "b1" } else { "b2" };
            let uptime = if at < 300.0 { at + 1_000.0 } else { at - 340.0 };
            let host = format!(r#","values":{{"boot_id":"{boot}","uptime_s":{uptime}}}"#);
            let end = if boot == "b2" { format!(r#","ended":"{ended}""#) } else { String::new() };
            let told = format!(r#","values":{{"boot_id":"{boot}","uptime_s":{uptime}{end}}}"#);
            if !is_away {
                story.sample(at, "srv-1/host", "ok", &host);
                story.sample(at + 1.0, "srv-1/boot", "ok", &told);
            }
            // What runs on it is asked more seldom, or takes a while to be missed.
            story.sample(at, "vm-1/web", if (320.0..370.0).contains(&at) { "bad" } else { "ok" }, "");
        }
        let told = story.told(&[plan]);
        let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
        let (not_before, not_after) = incident.started;
        (incident.title.clone(), not_before.is_some_and(|before| before < not_after), incident.root.clone())
    };
    for (ended, words) in [
        ("clean", "srv-1: restarted"),
        ("crash", "srv-1: restarted after its kernel panicked"),
        ("power", "srv-1: restarted after it lost its power"),
        ("unclean", "srv-1: restarted after it ended without a word: power, a reset, or a freeze"),
        ("something new", "srv-1: restarted"),
    ] {
        let (title, has_bounds, root) = told(ended);
        assert_eq!((title.as_str(), root.as_str()), (format!("{words}; 1 check on 1 asset failed").as_str(), "srv-1"));
        assert!(has_bounds, "the end lies between the last sample and the start");
    }
}

#[test]
fn a_camera_that_is_back_before_its_time_is_an_event() {
    let plan = || site("northgate", "plant-2").with("cam-1", AssetClass::Camera, &[], &["rtsp net.icmp"]);
    let story = |lasts: f64| fails("cam-1/rtsp", 1_000.0, lasts);
    let told = story(150.0).told(&[plan()]);
    assert_eq!((told.incidents.len(), happened(&told, "passed"), told.findings.len()), (0, 1, 1));
    assert_eq!(story(400.0).told(&[plan()]).incidents.len(), 1);
    let mut critical = plan();
    critical.assets.get_mut(&"cam-1".parse().unwrap()).unwrap().is_critical = true;
    assert_eq!(story(150.0).told(&[critical]).incidents.len(), 1);
}

#[test]
fn a_site_that_is_being_set_up_is_measured_and_tickets_nothing() {
    let mut plan = one_server();
    plan.stage = Stage::Commissioning;
    let told = fails("srv-1/web", 1_000.0, 600.0).told(&[plan]);
    assert_eq!((told.incidents.len(), told.incidents[0].ticketed, told.pages), (1, false, 0));
    assert_eq!(told.uptime["srv-1"].down_s, 600);
}

#[test]
fn agreed_work_is_observed_and_what_outlasts_it_opens_at_its_end() {
    let mut plan = one_server();
    let story = fails("srv-1/web", 1_000.0, 600.0);
    let window = |to: f64| vec![Span { from: story.at(900.0), to: story.at(to) }];
    plan.assets.get_mut(&"srv-1".parse().unwrap()).unwrap().maintenance = window(2_000.0);
    let told = story.told(std::slice::from_ref(&plan));
    assert_eq!((told.incidents.len(), happened(&told, "maintenance"), told.uptime["srv-1"].down_s), (0, 1, 600));
    plan.assets.get_mut(&"srv-1".parse().unwrap()).unwrap().maintenance = window(1_300.0);
    assert_eq!(story.told(&[plan]).incidents[0].opened, story.at(1_300.0));
}

#[test]
fn an_announced_shutdown_is_counted_nowhere_until_it_is_missed() {
    let mut plan = one_server();
    let mut story = fails("srv-1/web", 1_000.0, 3_000.0);
    story.event(999.0, "plant-2", "a1", r#","asset":"srv-1","event":"last-gasp","reason":"shutdown requested""#);
    let told = story.told(std::slice::from_ref(&plan));
    assert_eq!(told.incidents[0].opened, story.at(999.0 + 900.0), "a server is expected always");
    assert_eq!((told.findings.len(), told.uptime["srv-1"].down_s, told.uptime["srv-1"].unknown_s), (0, 0, 3_000));
    let hours = vec![Span { from: story.at(0.0), to: story.at(1_500.0) }];
    plan.assets.get_mut(&"srv-1".parse().unwrap()).unwrap().expected = Expected::Within(hours);
    assert_eq!(story.told(&[plan]).incidents, []);
}

#[test]
fn an_agent_that_names_no_asset_speaks_of_its_own_host() {
    let plan = site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["host host", "web net.http"]);
    let mut story = fails("srv-1/web", 1_000.0, 240.0);
    story.event(999.0, "plant-2", "a1", r#","event":"last-gasp","reason":"shutdown requested""#);
    story.event(1_200.0, "plant-2", "a1", r#","event":"boot""#);
    let told = story.told(&[plan]);
    assert_eq!((told.incidents.len(), told.pages, happened(&told, "off")), (0, 0, 1), "{:#?}", told.incidents);
}

#[test]
fn a_host_that_the_book_does_not_have_is_silent_after_as_long() {
    let mut story = Story::new();
    for beat in 0..70 {
        let at = f64::from(beat) * 30.0;
        story.event(at, "plant-2", "a2", r#","event":"heartbeat""#);
        if at < 600.0 {
            story.event(at, "plant-2", "a1", r#","event":"heartbeat""#);
        }
    }
    story.event(600.0, "plant-2", "a1", r#","event":"last-gasp","reason":"shutdown requested""#);
    let told = story.told(&[one_server()]);
    let [silent] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((silent.kind, silent.opened), (IncidentKind::Silent, story.at(600.0 + 900.0)));
}

#[test]
fn unstable_hides_no_state() {
    let plan = site("northgate", "plant-2").with("sw-4", AssetClass::Switch, &[], &["port net.link"]);
    let mut story = Story::new();
    for n in 0..2 * 1_440 {
        let at = f64::from(n) * 60.0;
        let is_out = (100_000.0..104_000.0).contains(&at);
        let counted = [3_600.0, 7_200.0, 9_000.0, 50_000.0, 100_000.0].iter().filter(|drop| **drop <= at).count();
        let counters = format!(r#","counters":{{"carrier_down":["b",{counted}]}}"#);
        story.sample(at, "sw-4/port", if is_out { "bad" } else { "ok" }, &counters);
    }
    let told = story.told(&[plan]);
    let [unstable, down] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((unstable.kind, down.kind), (IncidentKind::Unstable, IncidentKind::Down));
    assert_eq!(down.parent.as_ref(), Some(&unstable.key));
    assert!(down.ticketed, "an hour without its link is dealt with by itself");
    assert_eq!(told.pages, 1);
}

#[test]
fn a_camera_behind_a_dead_port_of_a_switch_is_its_symptom() {
    let plan = site("northgate", "plant-2")
        .with("port-7", AssetClass::Switch, &[], &["port snmp"])
        .with("cam-9", AssetClass::Camera, &["connected_to port-7"], &["ping net.icmp"])
        .with("cam-8", AssetClass::Camera, &[], &["ping net.icmp"]);
    let mut story = Story::new();
    for n in 0..240 {
        let at = f64::from(n) * 30.0;
        let outcome = if at >= 600.0 { "bad" } else { "ok" };
        story.sample(at, "port-7/port", outcome, "");
        story.sample(at + 1.0, "cam-9/ping", outcome, "");
        story.sample(at + 2.0, "cam-8/ping", "ok", "");
    }
    let told = story.told(&[plan]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.root.as_str(), incident.class), ("port-7", IncidentClass::NetworkLan), "{incident:#?}");
}

#[test]
fn seven_failures_in_a_week_are_unstable_and_what_a_cause_explains_does_not_count() {
    let plan = powered();
    let begins = |day: f64| 60_000.0 - day.floor() * 7_200.0;
    let mut story = Story::new();
    for n in 0..8 * 1_440 {
        let at = f64::from(n) * 60.0;
        // At another hour each day, so that no hour stands out.
        let is_bad = at % DAY >= begins(at / DAY) && at % DAY < begins(at / DAY) + 300.0;
        story.sample(at, "srv-1/web", if is_bad { "bad" } else { "ok" }, "");
    }
    let told = story.told(std::slice::from_ref(&plan));
    let unstable: Vec<_> = told.incidents.iter().filter(|i| i.kind == IncidentKind::Unstable).collect();
    assert_eq!((unstable.len(), unstable[0].class), (1, IncidentClass::NetworkLan));
    assert_eq!(told.incidents.len(), 6 + 1, "the seventh and the eighth are in it");
    for day in 0..8 {
        for (after, status) in [(-100.0, "OL"), (-1.0, "OB"), (2.0, "OL")] {
            let values = format!(r#","values":{{"status":"{status}"}}"#);
            let day = f64::from(day);
            story.sample(day * DAY + begins(day) + after, "ups-2/ups", "ok", &values);
        }
    }
    let told = story.told(&[plan]);
    assert!(told.incidents.iter().all(|i| i.kind == IncidentKind::Down && i.root == "ups-2"), "{:#?}", told.incidents);
}

#[test]
fn a_storm_is_one_ticket_and_one_message_beyond_the_twentieth() {
    let mut plan = site("northgate", "plant-2");
    let mut story = Story::new();
    for n in 0..40 {
        plan = plan.with(&format!("srv-{n}"), AssetClass::Server, &[], &["web net.http"]);
        for sample in 0..60 {
            let at = f64::from(sample) * 10.0;
            story.sample(at, &format!("srv-{n}/web"), if at >= 200.0 { "bad" } else { "ok" }, "");
        }
    }
    let told = story.told(&[plan]);
    let tickets = told.incidents.iter().filter(|incident| incident.ticketed).count();
    assert_eq!((told.incidents.len(), tickets, told.pages), (40, 21, 21));
}

#[test]
fn what_is_a_little_wrong_for_three_weeks_is_an_incident_that_pages_nobody() {
    let mut story = Story::new();
    for n in 0..25 * 24 {
        let at = f64::from(n) * 3_600.0;
        story.sample(at, "srv-1/web", if n % 24 < 8 { "warn" } else { "ok" }, "");
    }
    let told = story.told(&[one_server()]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.kind, told.pages, happened(&told, "degraded")), (IncidentKind::Lingering, 0, 1));
    assert!(told.uptime["srv-1"].degraded_s > 20 * 3_600);
}

#[test]
fn what_no_site_has_is_an_error_unless_it_is_inferred() {
    let mut trace = Trace::default();
    trace
        .line(r#"{"t":"2026-01-05T06:00:00Z","asset":"cam-9","check":"rtsp","kind":"cam.rtsp","outcome":"ok"}"#)
        .unwrap();
    let refused = replay(&trace, &[one_server()], Unknown::Refuse).unwrap_err();
    assert_eq!(refused, ReplayError::Unknown { names: vec!["cam-9/rtsp".to_owned()], count: 1 });
    assert!(replay(&trace, &[one_server()], Unknown::Infer).unwrap().uptime.contains_key("cam-9"));
    let twice = [one_server(), site("northgate", "plant-3").with("srv-1", AssetClass::Server, &[], &["web net.http"])];
    let mut trace = Trace::default();
    trace.line(r#"{"t":"2026-01-05T06:00:00Z","asset":"srv-1","check":"web","outcome":"ok"}"#).unwrap();
    assert!(matches!(replay(&trace, &twice, Unknown::Refuse), Err(ReplayError::Ambiguous { .. })));
}

#[test]
fn a_job_that_is_missed_while_its_agent_reports_is_an_incident_until_it_is_done() {
    let plan = site("northgate", "plant-2").with("vms-01", AssetClass::Server, &[], &["copy backup.restic"]);
    let check = "vms-01/copy".parse().unwrap();
    let mut story = Story::new();
    (0..4 * 288).for_each(|n| story.event(f64::from(n) * 300.0, "plant-2", "a1", r#","event":"heartbeat""#));
    for (hours, what) in [(2.0, "start"), (2.5, "ok"), (26.5, "fail"), (27.5, "ok"), (50.0, "start"), (78.0, "ok")] {
        story.lines.push(record::run(story.at(hours * 3_600.0), Some("plant-2"), &check, what));
    }
    let job = Job {
        schedule: Schedule::read("cron 0 2 * * *").unwrap(),
        zone: plan.zone.clone(),
        grace: Duration::from_secs(7_200),
        since: story.at(0.0),
        until: jiff::Timestamp::MAX,
        seen_by: None,
    };
    let jobs = [(("northgate".parse().unwrap(), "plant-2".parse().unwrap()), [(check, job)].into())].into();
    let mut trace = Trace::default();
    story.lines.iter().for_each(|line| trace.line(line).unwrap());
    let told = replay_with(&trace, std::slice::from_ref(&plan), &jobs, Unknown::Refuse).unwrap();
    let outcomes: Vec<_> = told.runs.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, ["ok", "ok", "failed", "late"]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.class, incident.root.as_str(), incident.ticketed), (IncidentClass::Backup, "vms-01", true));
    assert_eq!((incident.detected, incident.restored), (story.at(74.0 * 3_600.0), Some(story.at(78.0 * 3_600.0))));
    let told = story.told(&[plan]);
    assert!(told.runs.is_empty() && told.incidents.is_empty(), "without a schedule nothing is expected");
}

fn happened(told: &Document, what: &str) -> usize {
    told.events.iter().filter(|event| event.event == what).count()
}

fn one_server() -> Site {
    site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["web net.http"])
}

fn powered() -> Site {
    site("northgate", "plant-2").with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"]).with(
        "srv-1",
        AssetClass::Server,
        &["powered_by ups-2"],
        &["web net.http"],
    )
}

/// A failure of one check, sampled every ten seconds for five thousand.
fn fails(check: &str, from: f64, lasts: f64) -> Story {
    let mut story = Story::new();
    sampled(&mut story, check, from, from + lasts);
    story
}

fn sampled(story: &mut Story, check: &str, from: f64, to: f64) {
    for n in 0..500 {
        let at = f64::from(n) * 10.0;
        story.sample(at, check, if from <= at && at < to { "bad" } else { "ok" }, "");
    }
}

/// At 600 s the supply goes on battery.
fn power(lasts: f64, failing: &[(&str, f64, f64)]) -> Story {
    let mut story = Story::new();
    for second in 0..5_000 {
        let at = f64::from(second);
        let status = if (600.0..600.0 + lasts).contains(&at) { "OB" } else { "OL" };
        story.sample(at, "ups-2/ups", "ok", &format!(r#","values":{{"status":"{status}"}}"#));
    }
    for (check, from, to) in failing {
        sampled(&mut story, check, *from, *to);
    }
    story
}
