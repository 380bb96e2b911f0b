//! S3: one power dip of 3 s, 38 checks, one camera that never returns.

use upheld_detection::plan::Site;
use upheld_model::{AssetClass, IncidentClass};

use crate::{
    dice::Dice,
    site::{Building, Story, site, watch},
};

#[test]
fn a_dip_is_one_incident_and_what_stays_down_another() {
    for seed in 0..60 {
        run(seed);
    }
}

/// 1 + 2 + 2 + 4 + 1 + 28 = 38 checks on 22 assets.
pub(crate) fn plant() -> Site {
    let mut plan = site("northgate", "plant-2")
        .with("ups-2", AssetClass::Ups, &[], &["ups ups.nut"])
        .with("sw-4", AssetClass::Switch, &["powered_by ups-2"], &["ping net.icmp"])
        .with("sw-5", AssetClass::Switch, &["powered_by ups-2"], &["ping net.icmp"])
        .with(
            "nvr-02",
            AssetClass::Recorder,
            &["powered_by ups-2", "connected_to sw-4"],
            &["ping net.icmp", "rec rec.freshness"],
        )
        .with(
            "srv-1",
            AssetClass::Server,
            &["powered_by ups-2", "connected_to sw-4"],
            &["ping net.icmp", "web net.http", "host host", "recorder service"],
        )
        .with("door-1", AssetClass::AccessPanel, &["connected_to sw-5"], &["panel acs.panel"]);
    plan.assets.get_mut(&"nvr-02".parse().unwrap()).unwrap().is_critical = true;
    for n in 1..=14 {
        let switch = if n % 2 == 0 { "connected_to sw-4" } else { "connected_to sw-5" };
        plan = plan.with(&format!("cam-{n}"), AssetClass::Camera, &[switch], &["ping net.icmp", "rtsp cam.rtsp"]);
    }
    assert_eq!(plan.checks.len(), 38);
    plan
}

/// When each asset is away: from the dip until it is back.
fn back_after(dice: &mut Dice, class: AssetClass) -> f64 {
    match class {
        AssetClass::Switch => dice.within(60.0, 150.0),
        AssetClass::Camera => dice.within(40.0, 200.0),
        AssetClass::Recorder => dice.within(120.0, 700.0),
        AssetClass::AccessPanel => dice.within(20.0, 90.0),
        AssetClass::Ups
        | AssetClass::Gateway
        | AssetClass::InternetLink
        | AssetClass::Server
        | AssetClass::Workstation
        | AssetClass::Other => dice.within(60.0, 400.0),
    }
}

pub(crate) fn story(dice: &mut Dice, plan: &Site) -> (Story, String) {
    let dip = dice.within(1_800.0, 2_400.0);
    let lost = format!("cam-{}", 1 + dice.below(14));
    let mut away: std::collections::BTreeMap<String, f64> = Default::default();
    for (name, asset) in &plan.assets {
        if asset.class != AssetClass::Ups {
            let back = if name.as_str() == lost { f64::MAX } else { dip + back_after(dice, asset.class) };
            away.insert(name.to_string(), back);
        }
    }
    let mut story = Story::new();
    for (check, planned) in &plan.checks {
        let (begin, asset) = (dice.within(0.0, 10.0), check.asset.as_str());
        let switch = plan.assets[&check.asset].edges.iter().find(|(_, to)| to.as_str().starts_with("sw-"));
        // A camera boots beside its switch and is seen again when both are back.
        let path = switch.map_or(0.0, |(_, to)| away[to.as_str()]);
        let is_away = |at: f64| dip <= at && at < away.get(asset).copied().unwrap_or(0.0).max(path);
        let every = match planned.kind.as_str() {
            "ups.nut" => 1.0,
            "net.icmp" | "net.http" => 10.0,
            "cam.rtsp" => 60.0,
            _ => 30.0,
        };
        watch(&mut story, &check.to_string(), (every, begin, 5_400.0), |at| {
            if asset == "ups-2" {
                let on_battery = dip <= at && at < dip + 3.0;
                let status = if on_battery { "OB DISCHRG" } else { "OL CHRG" };
                let values = format!(r#","values":{{"status":"{status}"}}"#);
                return (if on_battery { "warn" } else { "ok" }, values);
            }
            (if is_away(at) { "bad" } else { "ok" }, String::new())
        });
    }
    (story, lost)
}

pub(crate) fn run(seed: u64) {
    let plan = plant();
    let (story, lost) = story(&mut Dice::new(seed), &plan);
    let told = story.told(&[plan]);
    assert_eq!(told.incidents.len(), 2, "seed {seed}: {:#?}", told.incidents);
    let rooted_at = |asset: &str| told.incidents.iter().find(|incident| incident.root == asset).unwrap();
    let (dip, camera) = (rooted_at("ups-2"), rooted_at(&lost));
    assert_eq!((dip.class, dip.ticketed), (IncidentClass::Power, false), "seed {seed}");
    assert!(camera.ticketed, "seed {seed}");
    assert_eq!(camera.parent.as_ref(), Some(&dip.key));
    assert_eq!(told.pages, 1);
    assert!(dip.restored.is_some() && camera.restored.is_none());
    assert!(dip.title.contains("did not come back") && dip.title.contains(&lost), "{}", dip.title);
    assert!(dip.title.contains("critical: nvr-02"), "{}", dip.title);
    let symptoms = dip.symptoms.iter().filter(|symptom| !symptom.starts_with("ups-2")).count();
    assert!(symptoms >= 20, "{symptoms}");
}
