//! S1: a bad Ethernet port, 12 drops of 15 to 45 s a day for 14 days.

use upheld_model::{AssetClass, IncidentClass, IncidentKind};

use crate::{
    dice::Dice,
    site::{Building, DAY, Story, site, watch},
};

#[test]
fn a_bad_port_is_one_unstable_link_within_a_minute_of_its_third_drop() {
    for seed in 0..20 {
        run(seed);
    }
}

pub(crate) fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let until = 14.0 * DAY;
    let drops: Vec<(f64, f64)> =
        dice.poisson(12.0 / DAY, until).into_iter().map(|at| (at, at + dice.within(15.0, 45.0))).collect();
    if drops.windows(2).any(|pair| pair[1].0 - pair[0].0 > DAY) {
        // Chance left a quiet day (one run in some thousand): that is two incidents, as it should be.
        return;
    }
    let before = |at: f64| drops.partition_point(|(from, _)| *from <= at);
    // The drop that began last; two of them hardly ever overlap.
    let latest = |at: f64| before(at).checked_sub(1).map(|last| drops[last]);
    let is_down = |at: f64| latest(at).is_some_and(|(_, to)| at < to);
    let mut story = Story::new();
    watch(&mut story, "sw-4/port-7", (60.0, 0.0, until), |at| {
        let counted = before(at);
        let counters = format!(r#","counters":{{"carrier_down":["boot-1",{counted}]}}"#);
        (if is_down(at) { "bad" } else { "ok" }, counters)
    });
    // What hangs on the port sees the same drops: a ping every ten seconds while one lasts, else every half hour.
    let near = |at: f64| latest(at + 20.0).is_some_and(|(_, to)| at < to + 60.0);
    let mut at = 0.0;
    while at < until {
        if near(at) || at % 1_800.0 == 0.0 {
            story.sample(at, "srv-1/ping", if is_down(at) { "bad" } else { "ok" }, "");
        }
        at += 10.0;
    }
    let plan = site("northgate", "plant-2").with("sw-4", AssetClass::Switch, &[], &["port-7 net.link"]).with(
        "srv-1",
        AssetClass::Server,
        &["connected_to sw-4"],
        &["ping net.icmp"],
    );
    let told = story.told(&[plan]);

    let third = drops.windows(3).find(|three| three[2].0 - three[0].0 <= DAY).unwrap()[2].0;
    let [incident] = told.incidents.as_slice() else { panic!("seed {seed}: {:#?}", told.incidents) };
    assert_eq!((incident.class, incident.kind), (IncidentClass::NetworkLan, IncidentKind::Unstable));
    assert_eq!(incident.root, "sw-4");
    let late = story.at(third).duration_until(incident.detected).as_secs_f64();
    assert!((0.0..=60.0).contains(&late), "seed {seed}: detected {late} s after the third drop");
    let counted = told.events.iter().filter(|event| event.event == "link-drop").count();
    assert!(counted + 1 >= drops.len(), "seed {seed}: {counted} of {} drops", drops.len());
}
