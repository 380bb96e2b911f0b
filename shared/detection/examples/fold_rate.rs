//! How fast samples fold and a large site correlates: `cargo run --release -p upheld-detection --example fold_rate`.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a measurement reads the clock")]

use std::time::{Duration, Instant};

use jiff::{Timestamp, tz::TimeZone};
use upheld_detection::{
    correlate::correlate,
    facts::{Ended, FindingFact, OnBattery, SiteFacts},
    incident::{Bounds, Rules, Stage},
    kind::CheckKind,
    observe::{Reading, observe},
    plan::{Asset, Check, Site},
};
use upheld_model::{AssetClass, CheckId, EdgeKind, FindingId, ObservedAt, Outcome};

fn main() {
    for samples in [125_000, 250_000, 500_000, 1_000_000] {
        let checks = samples / 1_000;
        let begun = Instant::now();
        let found: usize = (0..checks).map(|seed| fold_one(seed as u64, 1_000)).sum();
        report("folding", samples, "samples", begun.elapsed(), found);
    }
    for assets in [250, 500, 1_000, 2_000] {
        let (site, facts) = blackout(assets);
        let begun = Instant::now();
        let told = correlate(&site, &facts, &Rules::default());
        report("correlating", assets, "assets", begun.elapsed(), told.incidents.len());
    }
}

fn report(what: &str, number: usize, of: &str, took: Duration, found: usize) {
    let rate = number as f64 / took.as_secs_f64();
    println!("{what} {number} {of}: {:.3} s, {rate:.0} a second ({found} found)", took.as_secs_f64());
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second of this century")
}

/// One check of which every fiftieth sample begins a failure of five.
fn fold_one(seed: u64, samples: i64) -> usize {
    let kind = CheckKind::new("net.tcp");
    let plan = Check { rule: kind.usual_rule(), kind };
    let outcome = |n: i64| if (n + seed as i64) % 50 < 5 { Outcome::Bad } else { Outcome::Ok };
    let readings: Vec<Reading> = (0..samples).map(|n| Reading::new(at(n * 10), outcome(n))).collect();
    let check: CheckId = format!("srv-{seed}/tcp").parse().expect("a check's name");
    observe(&check, &plan, &TimeZone::UTC, &readings, &[], at(samples * 10)).findings.len()
}

/// A site that loses its power: a switch for every twenty assets, everything fails, one in a hundred stays down.
fn blackout(assets: usize) -> (Site, SiteFacts) {
    let mut site = Site {
        client: "northgate".parse().expect("a client"),
        site: "plant-2".parse().expect("a site"),
        zone: TimeZone::UTC,
        stage: Stage::Commissioned { since: Timestamp::UNIX_EPOCH },
        assets: Default::default(),
        checks: Default::default(),
    };
    let mut facts = SiteFacts { until: at(100_000), checks: Default::default(), boots: Vec::new(), off: Vec::new() };
    let mut add = |name: String, class: AssetClass, edge: Option<(EdgeKind, String)>, kind: &str| {
        let id = name.parse().expect("an asset");
        let edges = edge.into_iter().map(|(kind, to)| (kind, to.parse().expect("an asset"))).collect();
        site.assets.insert(id, Asset { edges, ..Asset::new(class) });
        let kind = CheckKind::new(kind);
        let check: CheckId = format!("{name}/check").parse().expect("a check");
        site.checks.insert(check.clone(), Check { rule: kind.usual_rule(), kind });
        check
    };
    let ups = add("ups".to_owned(), AssetClass::Ups, None, "ups.nut");
    let dark = OnBattery {
        from: Bounds { not_before: Some(at(999)), not_after: at(1_000) },
        until: Some(at(1_003)),
        low: None,
        received: at(1_000),
        ended_received: Some(at(1_003)),
    };
    facts.checks.entry(ups).or_default().on_battery.push(dark);
    for n in 0..assets {
        let (name, edge, class) = if n % 20 == 0 {
            (format!("sw-{n}"), (EdgeKind::PoweredBy, "ups".to_owned()), AssetClass::Switch)
        } else {
            (format!("cam-{n}"), (EdgeKind::ConnectedTo, format!("sw-{}", n - n % 20)), AssetClass::Camera)
        };
        let check = add(name, class, Some(edge), "net.icmp");
        let begin = 1_001 + (n % 10) as i64;
        let ended = (n % 100 != 7).then(|| Ended {
            restored: Bounds { not_before: Some(at(begin + 90)), not_after: at(begin + 100) },
            confirmed: at(begin + 120),
            received: at(begin + 120),
        });
        let id = FindingId { check: check.clone(), first_bad: ObservedAt(at(begin)) };
        let started = Bounds { not_before: Some(at(begin - 10)), not_after: at(begin) };
        let (detected, received) = (at(begin + 4), at(begin + 4));
        let finding = FindingFact { id, started, detected, received, ended, recovering: None, evidence: None };
        facts.checks.entry(check).or_default().findings.push(finding);
    }
    (site, facts)
}
