//! How detection grows: folding samples, correlating a site, a storm of findings, a supply that goes to battery
//! thousands of times. Each at a size and at ten times it, with the exponent between the two.
//!
//! CPU time of the one thread and the peak of memory while it ran. No peer does this; the goal is an exponent near 1.

use std::{fs, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use upheld_detection::{
    correlate::correlate,
    facts::{Ended, FindingFact, OnBattery, SiteFacts},
    incident::{Bounds, Rules, Stage},
    kind::CheckKind,
    observe::{Reading, Supply, observe},
    plan::{Asset, Check, Site},
};
use upheld_model::{AssetClass, CheckId, EdgeKind, FindingId, ObservedAt, Outcome};

fn main() {
    bench("folding samples of checks of 1,000 each", 100_000, |samples| {
        (0..samples / 1_000).map(|seed| fold_one(seed, 1_000)).sum()
    });
    bench("folding 90 days of one check each minute, checks", 2, |checks| {
        (0..checks).map(|seed| fold_one(seed, 90 * 1_440)).sum()
    });
    bench("correlating a blackout, assets", 2_000, |assets| {
        let (site, facts) = blackout(assets);
        correlate(&site, &facts, &Rules::default()).incidents.len()
    });
    bench("correlating unrelated failures, five on each asset, assets", 2_000, |assets| {
        let (site, facts) = unrelated(assets);
        correlate(&site, &facts, &Rules::default()).incidents.len()
    });
    bench("a supply's transfers, each seen, in 90 days", 10_000, |transfers| {
        let (site, facts) = transferring(transfers);
        correlate(&site, &facts, &Rules::default()).events.len()
    });
}

/// Runs at a size and at ten times it.
fn bench(what: &str, size: usize, run: impl Fn(usize) -> usize) {
    run(size / 2);
    let mut took = Vec::new();
    for size in [size, size * 10] {
        // The kernel forgets the peak of before.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let before = cpu();
        let found = run(size);
        let cpu = (cpu() - before).as_secs_f64();
        println!(
            "{what}: {size:>9}: {cpu:8.3} s CPU, {:9.0} a second, peak {} MB ({found} found)",
            size as f64 / cpu,
            peak_mb()
        );
        took.push(cpu);
    }
    println!("{what}: exponent of ten times as many: {:.2}", (took[1] / took[0]).log10());
}

/// What this thread has used, by the scheduler.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts what a thread runs");
    Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}

fn peak_mb() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux counts memory");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") / 1_024
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).expect("a second of this century")
}

fn check(name: &str, kind: &str) -> (CheckId, Check) {
    let kind = CheckKind::new(kind);
    (name.parse().expect("a check's name"), Check { rule: kind.usual_rule(), kind, promised: Default::default() })
}

/// One check of which every fiftieth sample begins a failure of five.
fn fold_one(seed: usize, samples: i64) -> usize {
    let (id, plan) = check(&format!("srv-{seed}/ping"), "net.icmp");
    let reading = |n: i64| {
        let bad = (n + seed as i64) % 50 < 5;
        let outcome = if bad { Outcome::Bad } else { Outcome::Ok };
        Reading {
            loss: Some((20.0, if bad { 20.0 } else { 0.0 })),
            rtt_ms: Some(12.0),
            ..Reading::new(at(n * 60), outcome)
        }
    };
    let readings: Vec<Reading> = (0..samples).map(reading).collect();
    observe(&id, &plan, &TimeZone::UTC, &readings, &[], at(samples * 60)).findings.len()
}

fn site() -> (Site, SiteFacts) {
    let site = Site {
        client: "northgate".parse().expect("a client"),
        site: "plant-2".parse().expect("a site"),
        zone: TimeZone::UTC,
        stage: Stage::Commissioned { since: Timestamp::UNIX_EPOCH },
        assets: Default::default(),
        checks: Default::default(),
    };
    let until = at(90 * 86_400);
    (site, SiteFacts { until, checks: Default::default(), boots: Vec::new(), off: Vec::new() })
}

fn add(site: &mut Site, name: &str, class: AssetClass, edge: Option<(EdgeKind, String)>, kind: &str) -> CheckId {
    let edges = edge.into_iter().map(|(kind, to)| (kind, to.parse().expect("an asset"))).collect();
    site.assets.insert(name.parse().expect("an asset"), Asset { edges, ..Asset::new(class) });
    let (id, plan) = check(&format!("{name}/check"), kind);
    site.checks.insert(id.clone(), plan);
    id
}

fn fails(check: &CheckId, begin: i64, lasts: Option<i64>) -> FindingFact {
    let ended = lasts.map(|lasts| Ended {
        restored: Bounds { not_before: Some(at(begin + lasts - 10)), not_after: at(begin + lasts) },
        confirmed: at(begin + lasts + 20),
        received: at(begin + lasts + 20),
    });
    FindingFact {
        id: FindingId { check: check.clone(), first_bad: ObservedAt(at(begin)) },
        started: Bounds { not_before: Some(at(begin - 10)), not_after: at(begin) },
        detected: at(begin + 4),
        received: at(begin + 4),
        ended,
        recovering: None,
        evidence: None,
        culprit: None,
    }
}

fn on_battery(begin: i64) -> OnBattery {
    OnBattery {
        from: Bounds { not_before: Some(at(begin - 1)), not_after: at(begin) },
        until: Some(at(begin + 3)),
        last_seen: at(begin + 2),
        low: None,
        received: at(begin),
        ended_received: Some(at(begin + 3)),
        dip: None,
    }
}

/// Power goes: a switch for every twenty assets, everything fails, one in a hundred stays down.
fn blackout(assets: usize) -> (Site, SiteFacts) {
    let (mut site, mut facts) = site();
    let ups = add(&mut site, "ups", AssetClass::Ups, None, "ups.nut");
    facts.checks.entry(ups).or_default().on_battery.push(on_battery(1_000));
    for n in 0..assets {
        let (name, edge, class) = if n % 20 == 0 {
            (format!("sw-{n}"), (EdgeKind::PoweredBy, "ups".to_owned()), AssetClass::Switch)
        } else {
            (format!("cam-{n}"), (EdgeKind::ConnectedTo, format!("sw-{}", n - n % 20)), AssetClass::Camera)
        };
        let check = add(&mut site, &name, class, Some(edge), "net.icmp");
        let finding = fails(&check, 1_001 + (n % 10) as i64, (n % 100 != 7).then_some(100));
        facts.checks.entry(check).or_default().findings.push(finding);
    }
    (site, facts)
}

/// Each asset fails by itself, five times.
fn unrelated(assets: usize) -> (Site, SiteFacts) {
    let (mut site, mut facts) = site();
    for n in 0..assets {
        let check = add(&mut site, &format!("srv-{n}"), AssetClass::Server, None, "net.http");
        for day in 0..5 {
            let finding = fails(&check, day * 86_400 + (n % 7_000) as i64 * 10, Some(300));
            facts.checks.entry(check.clone()).or_default().findings.push(finding);
        }
    }
    (site, facts)
}

/// A supply in a bad grid, read each second, over 90 days.
fn transferring(transfers: usize) -> (Site, SiteFacts) {
    let (mut site, mut facts) = site();
    let ups = add(&mut site, "ups", AssetClass::Ups, None, "ups.nut");
    add(&mut site, "srv-1", AssetClass::Server, Some((EdgeKind::PoweredBy, "ups".to_owned())), "net.http");
    let apart = 90 * 86_400 / transfers as i64;
    let plan = site.checks[&ups].clone();
    let readings: Vec<Reading> = (0..transfers as i64)
        .flat_map(|n| {
            let begin = n * apart;
            let seen = move |second: i64, supply| Reading {
                supply: Some(supply),
                ..Reading::new(at(begin + second), Outcome::Ok)
            };
            [seen(0, Supply::Mains), seen(2, Supply::Battery { is_low: false }), seen(5, Supply::Mains)]
        })
        .collect();
    let observed = observe(&ups, &plan, &TimeZone::UTC, &readings, &[], facts.until);
    facts.checks.insert(ups, observed);
    (site, facts)
}
