//! The same acceptance cases, written by somebody else: other intervals, other ways to say the same thing, late lines,
//! lines twice, other zones. What a trace looks like is its author's choice; what happened is not.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_detection::{
    plan::Site,
    replay::{Document, Incident},
};
use upheld_model::{AssetClass, IncidentClass, IncidentKind};

use crate::{
    dice::Dice,
    s3_dip,
    site::{Building, DAY, Story, site, told, watch},
};

const HOUR: f64 = 3_600.0;

/// How a port tells of its drops.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Port {
    /// A counter, read now and then; the outcome says nothing.
    Counter { every: f64 },
    /// A counter and its outcome, with a sample at every change as netlink tells it.
    Events { every: f64 },
    /// Its outcome alone.
    Outcome { every: f64 },
    /// A counter that begins anew with every boot of its host.
    Resets { every: f64 },
}

#[test]
fn a_bad_port_is_one_incident_however_it_is_told() {
    (0..PORTS.len() as u64).for_each(port);
}

const PORTS: [Port; 8] = [
    Port::Counter { every: 60.0 },
    Port::Events { every: 60.0 },
    Port::Outcome { every: 10.0 },
    Port::Resets { every: 60.0 },
    Port::Counter { every: 10.0 },
    Port::Events { every: 30.0 },
    Port::Outcome { every: 5.0 },
    Port::Resets { every: 30.0 },
];

pub(crate) fn port(seed: u64) {
    let by = PORTS[seed as usize % PORTS.len()];
    let mut dice = Dice::new(seed ^ 0x71);
    let until = 14.0 * DAY;
    let mut drops: Vec<(f64, f64)> = Vec::new();
    for at in dice.poisson(12.0 / DAY, until) {
        if drops.last().is_none_or(|(_, to)| at > *to + 1.0) {
            drops.push((at, at + dice.within(15.0, 45.0)));
        }
    }
    if drops.windows(2).any(|pair| pair[1].0 - pair[0].0 > DAY) {
        return;
    }
    let before = |at: f64| drops.partition_point(|(from, _)| *from <= at);
    let is_down = |at: f64| before(at).checked_sub(1).is_some_and(|last| at < drops[last].1);
    let mut story = Story::new();
    let port = |story: &mut Story, at: f64| {
        let counted = before(at);
        let (outcome, counter) = match by {
            Port::Counter { .. } => ("ok", Some(("boot-1", counted + 40))),
            Port::Events { .. } => (if is_down(at) { "bad" } else { "ok" }, Some(("boot-1", counted))),
            Port::Outcome { .. } => (if is_down(at) { "bad" } else { "ok" }, None),
            Port::Resets { .. } if at < 5.0 * DAY => ("ok", Some(("boot-1", counted))),
            Port::Resets { .. } => ("ok", Some(("boot-2", counted - before(5.0 * DAY)))),
        };
        let counter = counter.map(|(epoch, n)| format!(r#","counters":{{"carrier_down":["{epoch}",{n}]}}"#));
        story.sample(at, "sw-4/port-7", outcome, &counter.unwrap_or_default());
    };
    let every = match by {
        Port::Counter { every } | Port::Events { every } | Port::Outcome { every } | Port::Resets { every } => every,
    };
    let mut at = dice.within(0.0, every);
    while at < until {
        port(&mut story, at);
        at += every;
    }
    if matches!(by, Port::Events { .. }) {
        drops.iter().for_each(|(from, to)| {
            port(&mut story, *from + 0.001);
            port(&mut story, *to);
        });
    }
    // What hangs on the port: a camera by ping and picture, a server by its page.
    let pings = [1.0, 5.0, 10.0, 30.0][seed as usize / 8 % 4];
    let near = |at: f64| before(at + 60.0).checked_sub(1).is_some_and(|last| at < drops[last].1 + 90.0);
    for (check, every) in [("cam-9/ping", pings), ("cam-9/rtsp", 60.0), ("srv-1/web", 10.0)] {
        let mut at = dice.within(0.0, every);
        while at < until {
            if near(at) || at % 600.0 < every {
                story.sample(at, check, if is_down(at) { "bad" } else { "ok" }, "");
            }
            at += every;
        }
    }
    let plan = site("northgate", "plant-2")
        .with("sw-4", AssetClass::Switch, &[], &["port-7 net.link"])
        .with("cam-9", AssetClass::Camera, &["connected_to sw-4"], &["ping net.icmp", "rtsp cam.rtsp"])
        .with("srv-1", AssetClass::Server, &["connected_to sw-4"], &["web net.http"]);
    let told = story.told(&[plan]);
    let third = drops.windows(3).find(|three| three[2].0 - three[0].0 <= DAY).unwrap()[2].0;
    let [incident] = told.incidents.as_slice() else { panic!("{seed} {by:?}: {:#?}", told.incidents) };
    assert_eq!((incident.class, incident.kind), (IncidentClass::NetworkLan, IncidentKind::Unstable), "{seed} {by:?}");
    let late = story.at(third).duration_until(incident.detected).as_secs_f64();
    assert!((0.0..=60.1).contains(&late), "{seed} {by:?}: detected {late} s after the third drop");
}

/// How loss is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    /// Rounds of so many packets.
    Rounds { every: f64, sent: u32 },
    /// Single pings: packets and outcome.
    Pings { every: f64 },
    /// Single pings by their outcome alone.
    Outcome { every: f64 },
    /// A share.
    Percent { every: f64 },
}

const LOSSES: [Loss; 5] = [
    Loss::Rounds { every: 60.0, sent: 20 },
    Loss::Pings { every: 10.0 },
    Loss::Outcome { every: 10.0 },
    Loss::Percent { every: 60.0 },
    Loss::Rounds { every: 300.0, sent: 20 },
];
/// A zone and a local midnight in it; the first two lie in front of a change of the clocks.
const ZONES: [(&str, &str); 4] = [
    ("America/Chicago", "2026-02-16T06:00:00Z"),
    ("Europe/Berlin", "2026-09-27T22:00:00Z"),
    ("Asia/Kolkata", "2026-01-04T18:30:00Z"),
    ("Australia/Sydney", "2026-03-15T13:00:00Z"),
];

fn line(zone: &str) -> Site {
    let mut plan = site("northgate", "plant-2").with("wan", AssetClass::InternetLink, &[], &["quality net.icmp"]);
    plan.zone = TimeZone::get(zone).unwrap();
    plan
}

/// One stretch of a line that loses this share of its packets.
fn lossy(story: &mut Story, dice: &mut Dice, by: Loss, (from, to): (f64, f64), share: impl Fn(f64) -> f64) {
    let every = match by {
        Loss::Rounds { every, .. } | Loss::Pings { every } | Loss::Outcome { every } | Loss::Percent { every } => every,
    };
    let mut at = from + dice.within(0.0, every);
    while at < to {
        let p = share(at);
        let (outcome, values) = match by {
            Loss::Rounds { sent, .. } => {
                let lost = dice.binomial(sent, p);
                let outcome = if lost * 2 >= sent {
                    "bad"
                } else if lost > 0 {
                    "warn"
                } else {
                    "ok"
                };
                (outcome, format!(r#","values":{{"sent":{sent},"lost":{lost},"rtt_median_ms":14.{}}}"#, lost % 10))
            }
            Loss::Pings { .. } => {
                let lost = u32::from(dice.chance(p));
                (if lost == 1 { "bad" } else { "ok" }, format!(r#","values":{{"sent":1,"lost":{lost}}}"#))
            }
            Loss::Outcome { .. } => (if dice.chance(p) { "bad" } else { "ok" }, String::new()),
            Loss::Percent { .. } => {
                let percent = f64::from(dice.binomial(50, p)) * 2.0;
                ("ok", format!(r#","values":{{"loss_percent":{percent:.1}}}"#))
            }
        };
        story.sample(at, "wan/quality", outcome, &values);
        at += every;
    }
}

#[test]
fn a_bad_afternoon_has_its_sentence_however_loss_is_told() {
    (0..LOSSES.len() as u64).for_each(|seed| {
        let found = afternoon(seed);
        assert!(found <= 8, "{seed}: {found}");
    });
}

/// On which bad weekday it is found.
pub(crate) fn afternoon(seed: u64) -> u32 {
    let by = LOSSES[seed as usize % LOSSES.len()];
    let (zone, start) = ZONES[seed as usize % ZONES.len()];
    let mut dice = Dice::new(seed ^ 0x52);
    let plan = line(zone);
    let mut story = Story { start: start.parse().unwrap(), lines: Vec::new() };
    // Installed on a Monday or on a Friday, at nine.
    let from = if seed.is_multiple_of(2) { 9.0 * HOUR } else { 4.0 * DAY + 9.0 * HOUR };
    let until = from + 14.0 * DAY;
    let begin = story.start;
    let local = plan.zone.clone();
    let is_bad = |at: f64| {
        let now = local.to_datetime(begin + SignedDuration::from_secs(at as i64));
        now.weekday().to_monday_zero_offset() < 5 && (14..16).contains(&now.hour())
    };
    lossy(&mut story, &mut dice, by, (from, until), |at| if is_bad(at) { 0.06 } else { 0.001 });
    let told = story.told(std::slice::from_ref(&plan));
    let patterns: Vec<&Incident> =
        told.incidents.iter().filter(|incident| incident.title.contains("loses packets")).collect();
    let [incident] = patterns.as_slice() else { return u32::MAX };
    assert_eq!((incident.class, incident.kind), (IncidentClass::NetworkWan, IncidentKind::Unstable));
    assert!(incident.title.contains("on weekdays from 14:00 to 16:00"), "{seed} {by:?}: {}", incident.title);
    let (mut at, mut days) = (story.at(from), 0);
    while at < incident.detected {
        let now = local.to_datetime(at);
        days += u32::from(now.weekday().to_monday_zero_offset() < 5 && now.hour() == 15);
        at += SignedDuration::from_hours(1);
    }
    days
}

#[test]
fn bursts_at_any_hour_have_no_hours_however_loss_is_told() {
    let alarms = (0..4).filter(|seed| bursts(*seed, 2.0)).count();
    assert!(alarms <= 1, "{alarms}");
}

/// Whether 90 days with a change of the clocks and bursts at random make a pattern.
pub(crate) fn bursts(seed: u64, a_day: f64) -> bool {
    let by = [Loss::Rounds { every: 300.0, sent: 20 }, Loss::Pings { every: 60.0 }, Loss::Percent { every: 300.0 }]
        [seed as usize % 3];
    let (zone, start) = ZONES[seed as usize / 3 % ZONES.len()];
    let mut dice = Dice::new(seed ^ 0x2b);
    let until = 90.0 * DAY;
    let bursts: Vec<(f64, f64)> =
        dice.poisson(a_day / DAY, until).into_iter().map(|at| (at, at + dice.within(120.0, 2_400.0))).collect();
    let mut story = Story { start: start.parse().unwrap(), lines: Vec::new() };
    let in_burst = |at: f64| {
        let begun = bursts.partition_point(|(from, _)| *from <= at);
        bursts[begun.saturating_sub(3)..begun].iter().any(|(_, to)| at < *to)
    };
    lossy(&mut story, &mut dice, by, (0.0, until), |at| if in_burst(at) { 0.15 } else { 0.001 });
    let told = story.told(&[line(zone)]);
    told.incidents.iter().any(|incident| incident.title.contains(":00"))
}

/// How a supply tells of a dip.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ups {
    Status { every: f64, outcome: &'static str },
    Outcome { every: f64 },
    Transfers { every: f64 },
    Both { every: f64 },
}

const SUPPLIES: [Ups; 7] = [
    Ups::Status { every: 1.0, outcome: "warn" },
    Ups::Transfers { every: 15.0 },
    Ups::Status { every: 1.0, outcome: "ok" },
    Ups::Outcome { every: 1.0 },
    Ups::Transfers { every: 60.0 },
    Ups::Status { every: 1.0, outcome: "bad" },
    Ups::Both { every: 1.0 },
];

impl Ups {
    fn every(self) -> f64 {
        match self {
            Self::Status { every, .. } | Self::Outcome { every } | Self::Transfers { every } | Self::Both { every } => {
                every
            }
        }
    }

    fn sample(self, is_on_battery: bool, transfers: usize) -> (&'static str, String) {
        let status = if is_on_battery { "OB DISCHRG" } else { "OL" };
        let status = format!(r#""status":"{status}","input_voltage":120.5,"charge_percent":98,"runtime_s":1800"#);
        let counters = format!(r#","counters":{{"transfers":["2026-01-01T00:00:00Z",{transfers}]}}"#);
        match self {
            Self::Status { outcome, .. } => {
                (if is_on_battery { outcome } else { "ok" }, format!(r#","values":{{{status}}}"#))
            }
            Self::Outcome { .. } => (if is_on_battery { "bad" } else { "ok" }, String::new()),
            Self::Transfers { .. } => ("ok", counters),
            Self::Both { .. } => {
                (if is_on_battery { "warn" } else { "ok" }, format!(r#","values":{{{status}}}{counters}"#))
            }
        }
    }
}

#[test]
fn a_dip_is_two_incidents_however_it_is_told() {
    (0..14).for_each(dip);
}

pub(crate) fn dip(seed: u64) {
    let by = SUPPLIES[seed as usize % SUPPLIES.len()];
    let every = [10.0, 1.0, 5.0, 30.0, 60.0][seed as usize % 5];
    let speeds_up = !seed.is_multiple_of(3);
    let plan = s3_dip::plant();
    let mut dice = Dice::new(seed ^ 0x33);
    let dip = dice.within(1_800.0, 2_400.0);
    let lost = format!("cam-{}", 1 + dice.below(14));
    let back: std::collections::BTreeMap<String, f64> = (plan.assets.iter())
        .map(|(name, asset)| {
            let after = match asset.class {
                AssetClass::Switch => dice.within(30.0, 120.0),
                // A camera boots once its switch feeds it, and needs its time.
                AssetClass::Camera => dice.within(150.0, 215.0),
                AssetClass::Recorder => dice.within(200.0, 850.0),
                AssetClass::AccessPanel => dice.within(20.0, 100.0),
                AssetClass::Ups
                | AssetClass::Gateway
                | AssetClass::InternetLink
                | AssetClass::Server
                | AssetClass::Workstation
                | AssetClass::Other => dice.within(60.0, 500.0),
            };
            (name.to_string(), if name.as_str() == lost { f64::MAX } else { dip + after })
        })
        .collect();
    let mut story = Story::new();
    for (check, planned) in &plan.checks {
        let asset = check.asset.as_str();
        let begin = dice.within(0.0, every);
        if asset == "ups-2" {
            let mut at = dice.within(0.0, by.every());
            while at < 6_000.0 {
                let (outcome, more) = by.sample(dip <= at && at < dip + 3.0, 17 + usize::from(dip <= at));
                story.sample(at, "ups-2/ups", outcome, &more);
                at += by.every();
            }
            continue;
        }
        let is_away = |at: f64| dip <= at && at < back[asset];
        let every = if planned.kind.as_str() == "cam.rtsp" { every.max(60.0) } else { every };
        let outcome = |at: f64| (if is_away(at) { "bad" } else { "ok" }, String::new());
        if speeds_up {
            watch(&mut story, &check.to_string(), (every, begin, 6_000.0), outcome);
        } else {
            let mut at = begin;
            while at < 6_000.0 {
                story.sample(at, &check.to_string(), outcome(at).0, "");
                at += every;
            }
        }
    }
    if seed % 4 == 1 {
        for (asset, away) in back.iter().filter(|(asset, _)| asset.starts_with("srv") || asset.starts_with("nvr")) {
            story.event(*away, "plant-2", "a1", &format!(r#","asset":"{asset}","event":"boot""#));
        }
    }
    let lines = disturbed(story.lines, &mut dice, seed);
    let told = told(&lines, &[plan]);
    let text = format!("{seed} {by:?} every {every} s: {:#?}", told.incidents);
    assert_eq!(told.incidents.len(), 2, "{text}");
    let rooted_at = |asset: &str| told.incidents.iter().find(|incident| incident.root == asset);
    let (Some(power), Some(camera)) = (rooted_at("ups-2"), rooted_at(&lost)) else { panic!("{text}") };
    assert_eq!(power.class, IncidentClass::Power, "{text}");
    assert!(!power.ticketed && camera.ticketed && camera.parent.as_ref() == Some(&power.key), "{text}");
    assert!(power.title.contains(&lost), "{}", power.title);
}

/// Some lines days late, some twice, all in any order, as the seed will have it.
fn disturbed(lines: Vec<String>, dice: &mut Dice, seed: u64) -> Vec<String> {
    let mut all = lines;
    if seed % 2 == 1 {
        for line in &mut all {
            if !dice.chance(0.3) {
                continue;
            }
            let at: Timestamp = line[6..].split('"').next().unwrap().parse().unwrap();
            let received = at + SignedDuration::from_secs(dice.below(3 * 86_400) as i64);
            *line = line.replacen('{', &format!(r#"{{"rx":"{received}","#), 1);
        }
    }
    if seed % 3 == 1 {
        let again: Vec<String> = all.iter().filter(|_| dice.chance(0.1)).cloned().collect();
        all.extend(again);
    }
    if !seed.is_multiple_of(5) {
        dice.shuffle(&mut all);
    }
    all
}

#[test]
fn sixty_dips_are_sixty_events_and_one_incident_however_they_are_told() {
    (0..SUPPLIES.len() as u64).for_each(dips);
}

pub(crate) fn dips(seed: u64) {
    let by = SUPPLIES[seed as usize % SUPPLIES.len()];
    let mut dice = Dice::new(seed ^ 0x44);
    // Within two hours, or over a week.
    let apart = if seed.is_multiple_of(2) { 110.0 } else { 10_000.0 };
    let dips: Vec<f64> = (0..60).map(|n| 60.0 + f64::from(n) * apart + dice.within(0.0, apart * 0.9)).collect();
    let mut story = Story::new();
    let mut at = dice.within(0.0, by.every());
    while at < 60.0 * apart + 300.0 {
        let begun = dips.partition_point(|from| *from <= at);
        let is_on_battery = begun.checked_sub(1).is_some_and(|last| at < dips[last] + 1.2);
        let is_worth = apart < 1_000.0 || is_on_battery || dips.iter().any(|dip| (dip - at).abs() < 61.0);
        if is_worth || at % 60.0 < by.every() {
            let (outcome, more) = by.sample(is_on_battery, begun);
            story.sample(at, "ups-2/ups", outcome, &more);
        }
        at += by.every();
    }
    let plan = site("northgate", "plant-2").with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"]);
    let lines = disturbed(story.lines, &mut dice, seed);
    let told = told(&lines, &[plan]);
    let text = format!("{seed} {by:?}: {:#?}", told.incidents);
    assert_eq!(happened(&told, "power-dip"), 60, "{text}");
    let [incident] = told.incidents.as_slice() else { panic!("{text}") };
    assert_eq!((incident.class, incident.kind), (IncidentClass::Power, IncidentKind::Unstable), "{text}");
    assert_eq!(told.pages, 0, "{text}");
}

fn happened(told: &Document, what: &str) -> usize {
    told.events.iter().filter(|event| event.event == what).count()
}

#[test]
fn a_quiet_month_stays_quiet_however_it_is_told() {
    for seed in 0..4 {
        let (pages, incidents) = quiet(seed);
        assert!(pages <= 1 && incidents.len() <= 3, "{seed}: {pages} pages, {incidents:#?}");
    }
}

/// The noise of S5 with the desktop's shutdown announced or not, pings by outcome or with packets, patches announced,
/// told by a boot, or agreed.
pub(crate) fn quiet(seed: u64) -> (u64, Vec<Incident>) {
    let mut dice = Dice::new(seed ^ 0x55);
    let every = [60.0, 120.0, 300.0][seed as usize % 3];
    let has_packets = seed.is_multiple_of(2);
    let is_announced = seed % 4 < 2;
    let until = 30.0 * DAY;
    let hour = |at: f64| (at / HOUR) % 24.0;
    let mut story = Story::new();
    let patch = dice.within(1.0, 5.0) * HOUR;
    let patches: Vec<f64> = (0..5).map(|week| f64::from(week * 7 + 2) * DAY + patch).collect();
    let cameras: Vec<f64> = (0..5).map(|week| f64::from(week * 7) * DAY + dice.within(0.0, DAY)).collect();
    let lost_rounds = dice.poisson(5.0 / DAY, until);
    let near = |all: &[f64], at: f64, lasts: f64| {
        let next = all.partition_point(|from| *from <= at);
        next > 0 && at < all[next - 1] + lasts
    };
    let ping = |dice: &mut Dice, bad: bool| {
        let lost = u32::from(bad || dice.chance(0.003));
        let values = if has_packets { format!(r#","values":{{"sent":1,"lost":{lost}}}"#) } else { String::new() };
        (if lost == 1 { "bad" } else { "ok" }, values)
    };
    let mut noise = Dice::new(seed ^ 0x99);
    let mut rounds = lost_rounds.iter().peekable();
    watch(&mut story, "wan/quality", (every, 0.0, until), |at| {
        let whole = rounds.next_if(|lost| **lost <= at).is_some();
        let lost = if whole { 20 } else { noise.binomial(20, 0.003) };
        let rtt = if (2.0..3.0).contains(&hour(at)) { 55.0 } else { 15.0 } + noise.within(0.0, 4.0);
        let values = format!(r#","values":{{"sent":20,"lost":{lost},"rtt_median_ms":{rtt:.1}}}"#);
        (if whole { "bad" } else { "ok" }, values)
    });
    watch(&mut story, "gw/ping", (every, 1.0, until), |_| ping(&mut noise, false));
    watch(&mut story, "srv-1/ping", (every, 2.0, until), |at| ping(&mut noise, near(&patches, at, 240.0)));
    watch(&mut story, "srv-1/web", (every, 2.5, until), |at| {
        (if near(&patches, at, 240.0) { "bad" } else { "ok" }, String::new())
    });
    watch(&mut story, "srv-1/host", (every, 3.0, until), |at| {
        let boots = patches.partition_point(|from| from + 200.0 <= at);
        let word = match (near(&patches, at, 240.0), (2.0..3.0).contains(&hour(at))) {
            (true, _) => "unknown",
            (false, true) => "warn",
            (false, false) => "ok",
        };
        (word, format!(r#","values":{{"boot_id":"b{boots}","cpu_percent":{:.0}}}"#, noise.within(5.0, 90.0)))
    });
    watch(&mut story, "desk-1/ping", (every, 5.0, until), |at| ping(&mut noise, !(7.0..18.0).contains(&hour(at))));
    watch(&mut story, "cam-1/rtsp", (every.min(60.0), 6.0, until), |at| {
        (if near(&cameras, at, 120.0) { "bad" } else { "ok" }, String::new())
    });
    watch(&mut story, "cam-1/ping", (every.min(60.0), 7.0, until), |at| ping(&mut noise, near(&cameras, at, 120.0)));
    for from in patches.iter().filter(|from| **from < until) {
        story.event(
            from - 2.0,
            "plant-2",
            "a1",
            r#","asset":"srv-1","event":"last-gasp","reason":"shutdown requested""#,
        );
        story.event(from + 200.0, "plant-2", "a1", r#","asset":"srv-1","event":"boot","reason":"shutdown requested""#);
    }
    for day in 0..30 {
        if is_announced {
            let evening = f64::from(day) * DAY + 18.0 * HOUR - 5.0;
            story.event(
                evening,
                "plant-2",
                "a2",
                r#","asset":"desk-1","event":"last-gasp","reason":"shutdown requested""#,
            );
        }
    }
    let plan = site("northgate", "plant-2")
        .with("wan", AssetClass::InternetLink, &[], &["quality net.icmp"])
        .with("gw", AssetClass::Gateway, &[], &["ping net.icmp"])
        .with("srv-1", AssetClass::Server, &["routed_via gw"], &["ping net.icmp", "web net.http", "host host"])
        .with("desk-1", AssetClass::Workstation, &[], &["ping net.icmp"])
        .with("cam-1", AssetClass::Camera, &[], &["rtsp cam.rtsp", "ping net.icmp"]);
    let told = told(&story.lines, &[plan]);
    (told.pages, told.incidents)
}

#[test]
fn silence_is_judged_right_however_it_is_told() {
    (0..30).for_each(silence);
}

#[test]
fn a_thousand_sites_are_judged_as_ten_are() {
    (0..3).for_each(|case| silence_of(40 + case, 1_000, case));
}

pub(crate) fn silence(seed: u64) {
    silence_of(seed, [1, 3, 10, 10][seed as usize % 4], seed % 3);
}

/// One site out, a town out, our own line out: 0, 1, 2.
pub(crate) fn silence_of(seed: u64, sites: usize, case: u64) {
    let mut dice = Dice::new(seed ^ 0x66);
    let heartbeat = [30.0, 60.0][dice.below(2)];
    let agents = 1 + dice.below(2);
    let (has_samples, is_told_later) = (dice.chance(0.5), dice.chance(0.5));
    let client = |n: usize| format!("client-{}", n * 2 / 3);
    let plans: Vec<Site> = (0..sites)
        .map(|n| {
            let mut plan = site(&client(n), &format!("site-{n}"))
                .with(&format!("ups-{n}"), AssetClass::Ups, &[], &["ups ups.nut"])
                .with(&format!("srv-{n}"), AssetClass::Server, &[&format!("powered_by ups-{n}")], &["web net.http"]);
            plan.zone = TimeZone::get(ZONES[n % ZONES.len()].0).unwrap();
            plan
        })
        .collect();
    let (at, back, until) = (dice.within(900.0, 1_500.0), dice.within(2_400.0, 3_000.0), 3_600.0);
    let town = sites.min(6);
    let first = dice.below(sites - town + 1);
    let begins: Vec<f64> = (0..town).map(|_| at + dice.within(0.0, 60.0)).collect();
    let out_since = |n: usize| match case {
        0 => (n == first).then_some(at),
        1 => (first..first + town).contains(&n).then(|| begins[n - first]),
        _ => Some(at),
    };
    let mut story = Story::new();
    for n in 0..sites {
        let since = out_since(n);
        let is_out = |t: f64| since.is_some_and(|since| since <= t && t < back);
        for agent in 0..agents {
            let mut t = dice.within(0.0, heartbeat);
            while t < until {
                let told_at = if is_told_later && case == 0 && is_out(t) { Some(back + 1.0) } else { None };
                let more = match told_at {
                    Some(told) => format!(r#","rx":"{}","event":"heartbeat""#, story.at(told)),
                    None => r#","event":"heartbeat""#.to_owned(),
                };
                if !is_out(t) || told_at.is_some() {
                    story.event(t, &format!("site-{n}"), &format!("agent-{n}-{agent}"), &more);
                }
                t += heartbeat;
            }
        }
        if has_samples {
            let mut t = dice.within(0.0, 5.0);
            while t < until {
                if !is_out(t) {
                    let dips = case == 1 && since.is_some_and(|since| since - 8.0 <= t && t < since);
                    let status = if dips { "OB DISCHRG" } else { "OL" };
                    story.sample(t, &format!("ups-{n}/ups"), "ok", &format!(r#","values":{{"status":"{status}"}}"#));
                    story.sample(t, &format!("srv-{n}/web"), "ok", "");
                }
                t += if t > at - 30.0 && t < at + 90.0 { 1.0 } else { 60.0 };
            }
        }
    }
    if case == 2 {
        story.collector(at + dice.within(1.0, 60.0), "anchors-lost");
        story.collector(back, "anchors-back");
    }
    let lines = {
        let mut lines = story.lines.clone();
        dice.shuffle(&mut lines);
        lines
    };
    let told = told(&lines, &plans);
    let text = || format!("{seed} {sites} {case} every {heartbeat} s, {agents} agents: {:#?}", told.incidents);
    if case == 2 {
        let [own] = told.incidents.as_slice() else { panic!("{}", text()) };
        assert_eq!((own.root.as_str(), told.pages), ("collector", 1), "{}", text());
        return;
    }
    let mut found: Vec<String> = told.incidents.iter().map(|incident| incident.root.clone()).collect();
    let mut expected: Vec<String> =
        (0..sites).filter(|n| out_since(*n).is_some()).map(|n| format!("site-{n}")).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{}", text());
    assert_eq!(told.pages, 1, "{}", text());
    for incident in &told.incidents {
        let n: usize = incident.root["site-".len()..].parse().unwrap();
        let silent_for = story.at(out_since(n).unwrap()).duration_until(incident.opened).as_secs_f64();
        assert!((200.0..=360.0).contains(&silent_for), "{silent_for}: {}", text());
        assert_eq!((incident.kind, incident.restored.is_some()), (IncidentKind::Silent, true), "{}", text());
        let lived = case == 0 && is_told_later;
        assert_eq!(incident.title.contains("its line was out"), lived, "{}", text());
        if case == 1 && town > 1 {
            assert!(incident.title.contains(&format!("{town} sites of ")), "{}", text());
            assert_eq!(incident.title.contains("on battery before"), has_samples, "{}", text());
        }
    }
}
