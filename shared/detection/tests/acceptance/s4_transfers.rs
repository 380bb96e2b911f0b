//! S4: 60 dips of 1.2 s. Here the rules; the real UPS server is a test of the probe.

use upheld_model::{AssetClass, IncidentClass, IncidentKind};

use crate::{
    dice::Dice,
    site::{Building, Story, site},
};

#[test]
fn polling_at_one_second_sees_sixty_dips_and_makes_one_incident_of_them() {
    for seed in 0..10 {
        let dips = dips(seed);
        let mut story = Story::new();
        for second in 0..7_200 {
            let at = f64::from(second);
            let on_battery = dips.iter().any(|from| *from <= at && at < from + 1.2);
            let (outcome, status) = if on_battery { ("bad", "OB") } else { ("ok", "OL") };
            story.sample(at, "ups-2/ups", outcome, &format!(r#","values":{{"status":"{status}"}}"#));
        }
        check(&story, seed);
    }
}

#[test]
fn counters_see_sixty_dips_at_any_interval() {
    for every in [5, 30, 300, 900] {
        let dips = dips(every as u64);
        let mut story = Story::new();
        for second in (0..7_200 + every).step_by(every) {
            let at = second as f64;
            let counted = dips.iter().filter(|from| **from <= at).count();
            let more = format!(r#","values":{{"status":"OL"}},"counters":{{"transfers":["epoch",{counted}]}}"#);
            story.sample(at, "ups-2/ups", "ok", &more);
        }
        check(&story, every as u64);
    }
}

fn dips(seed: u64) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    (0..60).map(|n| 60.0 + f64::from(n) * 110.0 + dice.within(0.0, 60.0)).collect()
}

fn check(story: &Story, case: u64) {
    let plan = site("northgate", "plant-2").with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"]);
    let told = story.told(&[plan]);
    let dips = told.events.iter().filter(|event| event.event == "power-dip").count();
    assert_eq!(dips, 60, "case {case}");
    let [incident] = told.incidents.as_slice() else { panic!("case {case}: {:#?}", told.incidents) };
    assert_eq!((incident.class, incident.kind), (IncidentClass::Power, IncidentKind::Unstable));
    assert_eq!(told.pages, 0);
}
