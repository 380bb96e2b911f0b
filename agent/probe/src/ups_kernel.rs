//! `ups.battery`: a battery that this host's own kernel sees, in `/sys/class/power_supply`: a laptop's, or a cheap supply on
//! USB that no NUT or apcupsd serves.
//!
//! What the kernel says (Documentation/ABI/testing/sysfs-class-power) is told in the names and words of NUT and judged as
//! every other supply is ([`crate::ups`]). Files are read and nothing is written. Batteries of mice and keyboards (`scope`
//! is `Device`) are none of this host's. Linux only: Windows would need CallNtPowerInformation(SystemBatteryState).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use upheld_model::{CheckId, Counter, Outcome, UnknownReason};

use crate::{
    ProbeResult,
    blocking::Blocking,
    deadline::Deadline,
    ups::{self, Held, Variables},
};

const ROOT: &str = "/sys/class/power_supply";
/// A battery that holds less than this of what it was made for is worn (percent); makers call it so at 80, and people
/// who are paged for it every year at 50.
const WORN_PERCENT: f64 = 50.0;

/// The checks of batteries.
#[derive(Debug, Clone)]
pub(crate) struct KernelSupplies {
    root: PathBuf,
    supplies: Arc<Mutex<BTreeMap<CheckId, Supply>>>,
}

#[derive(Debug)]
struct Supply {
    /// Its folder's name.
    name: String,
    held: Held,
    status: String,
}

impl KernelSupplies {
    pub(crate) fn new() -> Self {
        Self::at(ROOT.into())
    }

    /// The same of another folder.
    fn at(root: PathBuf) -> Self {
        Self { root, supplies: Arc::default() }
    }

    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        check: &CheckId,
        battery: Option<&str>,
        deadline: Deadline,
    ) -> ProbeResult {
        let (own, owned, battery) = (self.clone(), check.clone(), battery.map(str::to_owned));
        // A controller that is asked over a slow bus may hang.
        blocking.run(&check.to_string(), deadline, move || own.look(&owned, battery.as_deref(), Instant::now())).await
    }

    fn look(&self, check: &CheckId, battery: Option<&str>, now: Instant) -> ProbeResult {
        if cfg!(not(target_os = "linux")) {
            let why = "batteries of the host itself are read on Linux only in this version";
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        let all = devices(&self.root);
        let device = match choose(&all, battery) {
            Ok(device) => device,
            Err(why) => return ProbeResult::unknown(UnknownReason::CannotProbe, why),
        };
        let said = variables(device, &all);
        let mut supplies = self.supplies.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Supply { name: device.name.clone(), held: Held::new(), status: String::new() };
        let supply = supplies.entry(check.clone()).or_insert_with(begin);
        if supply.name != device.name {
            *supply = begin();
        }
        let mut judged = ups::judge(&mut supply.held, &said, now);
        let kept = device.share_kept();
        if let Some(kept) = kept.filter(|kept| *kept < WORN_PERCENT && judged.outcome == Outcome::Ok) {
            let why = format!("its battery is worn: it holds {kept:.0} % of what it was made for; have it changed");
            judged = ProbeResult { outcome: Outcome::Warn, ..judged }.evidence(why);
        }
        let status = said.get("ups.status").cloned().unwrap_or_default();
        let is_new = supply.status != status;
        supply.status = status;
        let counter = Counter(supply.held.epoch().into(), supply.held.transfers());
        let mut result = ups::tell(judged, &said, None, is_new).counter("transfers", counter);
        result = result.value("battery", device.name.as_str());
        match kept {
            Some(kept) => result.value("battery_health_percent", kept.round()),
            None => result,
        }
    }
}

/// A folder of the kernel's, as far as it is read.
#[derive(Debug)]
struct Device {
    name: String,
    /// By the name of the file; the kernel's own names and units (microwatts, microvolts, tenths of a degree).
    says: BTreeMap<&'static str, String>,
}

/// The files that are read.
const FILES: &[&str] = &[
    "type",
    "scope",
    "present",
    "online",
    "status",
    "capacity",
    "capacity_level",
    "health",
    "energy_now",
    "energy_full",
    "energy_full_design",
    "charge_now",
    "charge_full",
    "charge_full_design",
    "power_now",
    "current_now",
    "voltage_now",
    "time_to_empty_now",
    "time_to_empty_avg",
    "temp",
    "manufacturer",
    "model_name",
];

impl Device {
    fn read(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?.to_owned();
        // A file that cannot be read now (the battery is being taken out) says nothing.
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).ok().map(|text| text.trim().to_owned());
        let says = FILES.iter().filter_map(|file| Some((*file, text(file).filter(|text| !text.is_empty())?)));
        Some(Self { name, says: says.collect() })
    }

    fn text(&self, file: &str) -> Option<&str> {
        self.says.get(file).map(String::as_str)
    }

    fn number(&self, file: &str) -> Option<f64> {
        self.text(file)?.parse::<i64>().ok().map(|number| number as f64)
    }

    /// One that feeds this host and is there.
    fn is_battery(&self) -> bool {
        let is_one = matches!(self.text("type"), Some("Battery" | "UPS"));
        is_one && self.text("scope") != Some("Device") && self.number("present") != Some(0.0)
    }

    /// A way from the mains: a mains adapter, or USB that brings power.
    fn is_external(&self) -> bool {
        let is_one =
            self.text("type").is_some_and(|kind| kind == "Mains" || kind == "Wireless" || kind.starts_with("USB"));
        is_one && self.text("scope") != Some("Device")
    }

    /// What it holds of what it was made for, in percent.
    fn share_kept(&self) -> Option<f64> {
        let share = |full: &str, design: &str| Some((self.number(full)?, self.number(design)?));
        let (full, design) =
            share("energy_full", "energy_full_design").or(share("charge_full", "charge_full_design"))?;
        // Firmware that has measured nothing yet says zero.
        (full > 0.0 && design > 0.0).then(|| (100.0 * full / design).min(100.0))
    }

    /// For how many seconds it lasts at the present draw.
    fn left_s(&self) -> Option<f64> {
        let told = self.number("time_to_empty_now").or(self.number("time_to_empty_avg")).filter(|left| *left > 0.0);
        let by_draw = || {
            let pair = |now: &str, draw: &str| Some((self.number(now)?, self.number(draw)?.abs()));
            let (now, draw) = pair("energy_now", "power_now").or(pair("charge_now", "current_now"))?;
            (draw > 0.0).then(|| 3_600.0 * now / draw)
        };
        told.or_else(by_draw)
    }
}

/// Every folder, by name; none where there is no such class.
fn devices(root: &Path) -> Vec<Device> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<Device> = entries.filter_map(|entry| Device::read(&entry.path())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn choose<'a>(all: &'a [Device], battery: Option<&str>) -> Result<&'a Device, String> {
    let batteries: Vec<&Device> = all.iter().filter(|device| device.is_battery()).collect();
    let names = batteries.iter().map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ");
    match (battery, batteries.as_slice()) {
        (_, []) => Err("this host's kernel sees no battery (/sys/class/power_supply)".to_owned()),
        (Some(wanted), some) => some
            .iter()
            .find(|device| device.name == wanted)
            .copied()
            .ok_or_else(|| format!("this host has no battery {wanted}; it has: {names}")),
        (None, [one]) => Ok(one),
        (None, [first, ..]) => {
            Err(format!("this host has several batteries ({names}); name one: battery = \"{}\"", first.name))
        }
    }
}

/// What the kernel says, in NUT's names. Units: micro of each, and tenths of a degree.
fn variables(battery: &Device, all: &[Device]) -> Variables {
    let mut said = Variables::new();
    let mut put = |name: &str, value: Option<String>| said.extend(value.map(|value| (name.to_owned(), value)));
    let is_discharging = battery.text("status") == Some("Discharging");
    put("ups.status", status(battery, all));
    put("battery.charge", battery.number("capacity").map(|percent| percent.to_string()));
    put("battery.runtime", battery.left_s().filter(|_| is_discharging).map(|left| left.round().to_string()));
    put("battery.voltage", battery.number("voltage_now").map(|micro| (micro / 1e6).to_string()));
    put("battery.temperature", battery.number("temp").map(|tenths| (tenths / 10.0).to_string()));
    put("ups.realpower", battery.number("power_now").filter(|_| is_discharging).map(|micro| (micro / 1e6).to_string()));
    put("ups.mfr", battery.text("manufacturer").map(str::to_owned));
    put("ups.model", battery.text("model_name").map(str::to_owned));
    // Words of the kernel: Good, Unknown, Overheat, Dead, Over voltage, Cold, and more.
    let is_ill = |health: &&str| !matches!(*health, "Good" | "Unknown" | "Dead");
    put("ups.alarm", battery.text("health").filter(is_ill).map(str::to_owned));
    said
}

/// `None` where nobody says whence the power comes.
fn status(battery: &Device, all: &[Device]) -> Option<String> {
    let external: Vec<&Device> = all.iter().filter(|device| device.is_external()).collect();
    let is_fed = external.iter().any(|device| device.number("online").is_some_and(|online| online > 0.0));
    // A socket that nothing is plugged into says nothing of the others; a mains adapter does.
    let has_mains =
        external.iter().any(|device| device.text("type") == Some("Mains") && device.text("online").is_some());
    let state = battery.text("status");
    let mut words = match (is_fed, state) {
        (true, _) => vec!["OL"],
        (false, Some("Discharging")) => vec!["OB"],
        (false, _) if has_mains => vec!["OB"],
        (false, Some("Charging" | "Full" | "Not charging")) => vec!["OL"],
        (false, _) => return None,
    };
    match state {
        Some("Charging") => words.push("CHRG"),
        Some("Discharging") => words.push("DISCHRG"),
        Some(_) | None => {}
    }
    if battery.text("capacity_level") == Some("Critical") {
        words.push("LB");
    }
    if battery.text("health") == Some("Dead") {
        words.push("RB");
    }
    Some(words.join(" "))
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
