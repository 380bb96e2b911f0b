//! Folders as the kernel shows them, written by hand after Documentation/ABI/testing/sysfs-class-power: a laptop on its
//! adapter and without it, a supply on USB, a mouse.

use std::time::Duration;

use upheld_model::sample::Value;

use super::*;
use crate::testing::evidence;

/// A laptop of which the firmware counts energy (microwatt hours).
const LAPTOP: &[(&str, &str)] = &[
    ("AC/type", "Mains"),
    ("AC/online", "1"),
    ("BAT0/type", "Battery"),
    ("BAT0/present", "1"),
    ("BAT0/status", "Full"),
    ("BAT0/capacity", "98"),
    ("BAT0/capacity_level", "Normal"),
    ("BAT0/energy_now", "49000000"),
    ("BAT0/energy_full", "50000000"),
    ("BAT0/energy_full_design", "57000000"),
    ("BAT0/power_now", "0"),
    ("BAT0/voltage_now", "12345000"),
    ("BAT0/temp", "315"),
    ("BAT0/manufacturer", "ACME"),
    ("BAT0/model_name", "45N1"),
    ("hidpp_battery_0/type", "Battery"),
    ("hidpp_battery_0/scope", "Device"),
    ("hidpp_battery_0/status", "Discharging"),
    ("hidpp_battery_0/capacity", "3"),
];

#[test]
fn a_laptop_on_its_adapter_is_well_and_without_it_on_battery() {
    let host = Host::new(LAPTOP);
    let mains = host.look(0, None);
    assert_eq!(mains.outcome, Outcome::Ok, "{mains:?}");
    for (name, value) in [
        ("charge_percent", 98.0),
        ("battery_voltage", 12.345),
        ("battery_temperature_c", 31.5),
        ("battery_health_percent", 88.0),
    ] {
        assert_eq!(mains.values[name], Value::from(value), "{mains:?}");
    }
    assert_eq!((&mains.values["model"], &mains.values["battery"]), (&"ACME 45N1".into(), &"BAT0".into()));
    assert!(!mains.values.contains_key("runtime_s"), "nothing is drawn: {mains:?}");

    host.write(&[("AC/online", "0"), ("BAT0/status", "Discharging"), ("BAT0/power_now", "9800000")]);
    let battery = host.look(5, None);
    assert_eq!((&battery.outcome, &battery.values["status"]), (&Outcome::Warn, &"OB DISCHRG".into()));
    assert_eq!(battery.values["runtime_s"], Value::from(18_000.0), "49 Wh at 9.8 W");
    assert_eq!(battery.counters["transfers"].since(&mains.counters["transfers"]), Some(1));
    assert_eq!(host.look(66, None).outcome, Outcome::Bad, "for a minute");

    host.write(&[("BAT0/capacity", "4"), ("BAT0/capacity_level", "Critical")]);
    let low = host.look(70, None);
    assert!(evidence(&low).contains("its battery is low") && evidence(&low).contains("only 4 % charge"), "{low:?}");
    host.write(&[("AC/online", "1"), ("BAT0/status", "Charging"), ("BAT0/capacity_level", "Normal")]);
    assert_eq!(host.look(75, None).values["status"], "OL CHRG".into());
}

#[test]
fn a_supply_without_an_adapter_of_its_own_says_whence_its_power_comes_by_its_state() {
    for (state, status) in [
        ("Discharging", Some("OB DISCHRG")),
        ("Charging", Some("OL CHRG")),
        ("Full", Some("OL")),
        ("Not charging", Some("OL")),
        ("Unknown", None),
    ] {
        let host =
            Host::new(&[("hid/type", "UPS"), ("hid/scope", "System"), ("hid/status", state), ("hid/capacity", "80")]);
        let seen = host.look(0, None);
        assert_eq!(seen.values.get("status"), status.map(Value::from).as_ref(), "{state}");
        let is_unknown = seen.outcome == Outcome::unknown(UnknownReason::Stale);
        assert_eq!(is_unknown, status.is_none(), "{state}: {seen:?}");
    }
}

#[test]
fn a_socket_that_nothing_is_plugged_into_says_nothing_of_the_adapter() {
    let host = Host::new(LAPTOP);
    host.write(&[("ucsi/type", "USB"), ("ucsi/online", "0")]);
    assert_eq!(host.look(0, None).values["status"], "OL".into());
    host.write(&[("AC/online", "0"), ("ucsi/online", "1")]);
    assert_eq!(host.look(5, None).values["status"], "OL".into(), "fed over USB");
}

#[test]
fn a_battery_that_is_worn_dead_or_hot_is_a_warning() {
    let worn = Host::new(LAPTOP);
    worn.write(&[("BAT0/energy_full", "25000000")]);
    let seen = worn.look(0, None);
    assert_eq!(
        (&seen.outcome, evidence(&seen)),
        (&Outcome::Warn, "its battery is worn: it holds 44 % of what it was made for; have it changed")
    );
    for (health, words) in [("Dead", "must be replaced"), ("Overheat", "it raises an alarm Overheat")] {
        let host = Host::new(LAPTOP);
        host.write(&[("BAT0/health", health)]);
        let seen = host.look(0, None);
        assert!(seen.outcome == Outcome::Warn && evidence(&seen).contains(words), "{seen:?}");
    }
    let good = Host::new(LAPTOP);
    good.write(&[("BAT0/health", "Good"), ("BAT0/energy_full", "0")]);
    assert_eq!(good.look(0, None).outcome, Outcome::Ok, "firmware that has not measured yet");
}

#[test]
fn which_battery_is_meant_is_asked_where_there_are_several_and_none_is_unknown() {
    let cannot = Outcome::unknown(UnknownReason::CannotProbe);
    let none = Host::new(&[("AC/type", "Mains"), ("AC/online", "1")]).look(0, None);
    assert_eq!((&none.outcome, evidence(&none).contains("sees no battery")), (&cannot, true), "{none:?}");
    let nowhere = KernelSupplies::at("/nowhere".into()).look(&check(), None, Instant::now());
    assert_eq!(nowhere.outcome, cannot);
    let host = Host::new(LAPTOP);
    host.write(&[
        ("BAT1/type", "Battery"),
        ("BAT1/status", "Full"),
        ("BAT1/capacity", "50"),
        ("BAT1/charge_full", "x"),
    ]);
    let several = host.look(0, None);
    assert!(
        evidence(&several).ends_with("several batteries (BAT0, BAT1); name one: battery = \"BAT0\""),
        "{several:?}"
    );
    assert_eq!(host.look(1, Some("BAT1")).values["charge_percent"], Value::from(50.0));
    assert!(evidence(&host.look(2, Some("BAT7"))).ends_with("has no battery BAT7; it has: BAT0, BAT1"));
    host.write(&[("BAT1/present", "0")]);
    assert_eq!(host.look(3, None).values["battery"], "BAT0".into(), "the other was taken out");
}

/// This host's own kernel, whatever it has.
#[test]
fn the_kernel_of_this_host_is_read_as_it_is() {
    let seen = KernelSupplies::new().look(&check(), None, Instant::now());
    let names: Vec<String> =
        devices(Path::new(ROOT)).into_iter().filter(Device::is_battery).map(|device| device.name).collect();
    println!("{names:?}: {seen:?}");
    assert_eq!(seen.values.contains_key("battery"), names.len() == 1, "{names:?}: {seen:?}");
}

fn check() -> CheckId {
    "laptop/battery".parse().unwrap()
}

/// A folder that the test writes.
struct Host {
    folder: tempfile::TempDir,
    supplies: KernelSupplies,
    began: Instant,
}

impl Host {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let supplies = KernelSupplies::at(folder.path().to_owned());
        let host = Self { folder, supplies, began: Instant::now() };
        host.write(files);
        host
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
    }

    fn look(&self, second: u64, battery: Option<&str>) -> ProbeResult {
        self.supplies.look(&check(), battery, self.began + Duration::from_secs(second))
    }
}
