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

#[test]
fn a_dip_is_told_with_its_length_lowest_voltage_and_cause() {
    let mut story = Story::new();
    for second in 0..200 {
        let values = match second {
            100..103 => r#""status":"OB DISCHRG","input_voltage":96"#,
            103 => r#""status":"OL","dip_s":3.2,"dip_voltage_min":95.6,"dip_cause":"input voltage out of range""#,
            _ => r#""status":"OL""#,
        };
        let outcome = if values.contains("OB") { "warn" } else { "ok" };
        story.sample(f64::from(second), "ups-2/ups", outcome, &format!(r#","values":{{{values}}}"#));
    }
    for second in (0..200).step_by(10) {
        let outcome = if second >= 110 { "bad" } else { "ok" };
        story.sample(f64::from(second), "cam-1/ping", outcome, "");
    }
    let mut plan = site("northgate", "plant-2").with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"]);
    plan = plan.with("cam-1", AssetClass::Server, &["powered_by ups-2"], &["ping net.icmp"]);
    let told = story.told(&[plan]);
    let dip = told.events.iter().find(|event| event.event == "power-dip").expect("an event");
    assert_eq!(
        (dip.voltage_min, dip.cause.as_ref().map(|cause| cause.as_str())),
        (Some(96), Some("input voltage out of range"))
    );
    let [incident, ..] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert!(
        incident
            .title
            .starts_with("ups-2: on battery for 3 s, input down to 96 V (input voltage out of range); 1 check"),
        "{}",
        incident.title
    );
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
