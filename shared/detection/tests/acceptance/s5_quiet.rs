//! S5: a month of ordinary noise pages hardly ever.

use upheld_detection::plan::Site;
use upheld_model::AssetClass;

use crate::{
    dice::Dice,
    site::{Building, DAY, Story, site, watch},
};

const DAYS: usize = 30;

#[test]
fn a_quiet_month_is_at_most_one_page_and_three_incidents() {
    for seed in 0..4 {
        let (pages, incidents) = run(seed);
        assert!(pages <= 1 && incidents <= 3, "seed {seed}: {pages} pages, {incidents} incidents");
    }
}

fn plan() -> Site {
    site("northgate", "plant-2")
        .with("wan", AssetClass::InternetLink, &[], &["quality net.icmp"])
        .with("gw", AssetClass::Gateway, &[], &["ping net.icmp"])
        .with("srv-1", AssetClass::Server, &["routed_via gw"], &["web net.http", "host host", "names net.dns"])
        .with("desk-1", AssetClass::Workstation, &[], &["ping net.icmp"])
        .with("cam-1", AssetClass::Camera, &[], &["rtsp cam.rtsp"])
}

/// The noise of DETECTION's S5, one sample in two minutes.
/// How many pages and incidents it makes.
pub(crate) fn run(seed: u64) -> (u64, usize) {
    let mut dice = Dice::new(seed);
    let mut story = Story::new();
    let until = DAYS as f64 * DAY;
    let hour = |at: f64| (at / 3_600.0) % 24.0;
    let day = |at: f64| (at / DAY) as usize;
    let patch = dice.within(1.0, 5.0) * 3_600.0;
    let reboots: Vec<f64> = (0..DAYS / 7 + 1).map(|week| (week * 7 + 2) as f64 * DAY + patch).collect();
    let is_patching = |at: f64| reboots.iter().any(|from| *from <= at && at < from + 240.0);
    let camera: Vec<f64> = (0..DAYS / 7 + 1).map(|week| (week * 7) as f64 * DAY + dice.within(0.0, DAY)).collect();
    let lost_rounds: Vec<f64> = dice.poisson(5.0 / DAY, until);
    let names: Vec<f64> = dice.poisson(2.0 / DAY, until);
    let is_near = |all: &[f64], at: f64, lasts: f64| all.iter().any(|from| *from <= at && at < from + lasts);
    let mut noise = Dice::new(seed ^ 0x5151);

    let mut rounds = lost_rounds.iter().peekable();
    watch(&mut story, "wan/quality", (120.0, 0.0, until), |at| {
        // One round, whenever the next one comes.
        let whole = rounds.next_if(|lost| **lost <= at).is_some();
        let lost = if whole { 20 } else { noise.binomial(20, 0.003) };
        let rtt = if (2.0..3.0).contains(&hour(at)) { 55.0 } else { 15.0 } + noise.within(0.0, 4.0);
        let values = format!(r#","values":{{"sent":20,"lost":{lost},"rtt_median_ms":{rtt:.1}}}"#);
        (if whole { "bad" } else { "ok" }, values)
    });
    watch(&mut story, "gw/ping", (120.0, 1.0, until), |_| {
        let lost = u32::from(noise.chance(0.003));
        (if lost == 1 { "bad" } else { "ok" }, format!(r#","values":{{"sent":1,"lost":{lost}}}"#))
    });
    watch(&mut story, "srv-1/web", (120.0, 2.0, until), |at| {
        (if is_patching(at) { "bad" } else { "ok" }, String::new())
    });
    watch(&mut story, "srv-1/host", (120.0, 3.0, until), |at| {
        // The nightly backup.
        let word = if is_patching(at) {
            "unknown"
        } else if (2.0..3.0).contains(&hour(at)) {
            "warn"
        } else {
            "ok"
        };
        (word, String::new())
    });
    watch(&mut story, "srv-1/names", (120.0, 4.0, until), |at| {
        (if is_near(&names, at, 3.0) { "bad" } else { "ok" }, String::new())
    });
    watch(&mut story, "desk-1/ping", (120.0, 5.0, until), |at| {
        (if (7.0..18.0).contains(&hour(at)) { "ok" } else { "bad" }, String::new())
    });
    watch(&mut story, "cam-1/rtsp", (120.0, 6.0, until), |at| {
        (if is_near(&camera, at, 120.0) { "bad" } else { "ok" }, String::new())
    });
    for from in reboots.iter().filter(|from| **from < until) {
        story.event(*from, "plant-2", "a1", r#","asset":"srv-1","event":"last-gasp","reason":"shutdown requested""#);
        story.event(from + 240.0, "plant-2", "a1", r#","asset":"srv-1","event":"boot""#);
    }
    for at in 0..DAYS {
        let evening = at as f64 * DAY + 18.0 * 3_600.0 - 5.0;
        assert_eq!(day(evening), at);
        story.event(evening, "plant-2", "a2", r#","asset":"desk-1","event":"last-gasp","reason":"shutdown requested""#);
    }
    let told = story.told(&[plan()]);
    (told.pages, told.incidents.len())
}
