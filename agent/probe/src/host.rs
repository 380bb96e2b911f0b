//! `host`: this host's processor, memory, disks, uptime and boot.
//!
//! Bad is what stops a recorder while everything else looks well: a file system that is full, will be within three days,
//! or turned read-only although it should not be; memory of which hardly any is left; a RAID without one of its disks; a
//! part that is too hot. The check's own count (`fail_after`) makes ten minutes of it. A warning is a file system that
//! will be full within a fortnight, and a processor that had no rest for ten minutes: busy is not broken. All else that
//! is measured, load and swap among it, is told and not judged: hosts differ too much.

mod filling;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(not(windows))]
mod heat;
mod mounts;
#[cfg(windows)]
mod processor;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod raid;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sysinfo::{DiskRefreshKind, Disks, MemoryRefreshKind, System};
use upheld_model::{BootId, Outcome, UnknownReason};

use crate::{ProbeResult, blocking::Blocking, deadline::Deadline};
pub(crate) use filling::DiskMemory;
use mounts::Mount;

/// The values of so many file systems are sent; the others count for the outcome only.
const MOUNTS_MAX: usize = 16;
/// With less than this left, in percent, memory is short.
const MEMORY_LEFT_PERCENT: f64 = 3.0;
/// A processor at this for [`BUSY_FOR`] has no rest.
const BUSY_PERCENT: f64 = 95.0;
const BUSY_FOR: Duration = Duration::from_secs(600);
/// A week is far enough to look ahead many times over.
const DAYS_MAX: f64 = 365.0;

/// The name of this boot. On Linux the kernel's own; elsewhere the boot's time in seconds, `boot-1763390000`.
pub fn boot_id() -> BootId {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().and_then(|id| id.parse().ok());
    kernel.unwrap_or_else(|| {
        let by_time = format!("boot-{}", System::boot_time().unwrap_or(0));
        // At most 25 printable ASCII characters, which is within a boot id's form.
        by_time.parse().unwrap()
    })
}

/// What is kept between runs: the processor's share is a difference, and a file system is read-only "again" only
/// to one who saw it otherwise.
pub(crate) struct Host {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    system: Option<System>,
    disks: Option<Disks>,
    #[cfg(not(windows))]
    has_cpu: bool,
    #[cfg(windows)]
    processor: Option<processor::Times>,
    writable_before: mounts::Seen,
    disks_before: DiskMemory,
    #[cfg(not(windows))]
    components: Option<sysinfo::Components>,
    /// Since when the processor has had no rest.
    busy_since: Option<Instant>,
}

/// What one look found worth a word.
#[derive(Debug, Default)]
struct Found {
    faults: Vec<String>,
    warnings: Vec<String>,
    /// Neither good nor bad.
    notes: Vec<String>,
}

impl Found {
    /// The judgement, with the words for it.
    fn result(self) -> ProbeResult {
        let Self { mut faults, mut warnings, notes } = self;
        match (faults.is_empty(), warnings.is_empty(), notes.is_empty()) {
            (true, true, true) => ProbeResult::new(Outcome::Ok),
            (true, true, false) => ProbeResult::new(Outcome::Ok).evidence(notes.join("; ")),
            (true, false, _) => ProbeResult::new(Outcome::Warn).evidence(warnings.join("; ")),
            (false, _, _) => {
                faults.append(&mut warnings);
                ProbeResult::bad(faults.join("; "))
            }
        }
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> DiskMemory {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).disks_before.clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: DiskMemory) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).disks_before = memory;
    }

    /// Asking a file system for its size can hang with the disk, so it is done off the runtime's thread.
    pub(crate) async fn run(&self, blocking: &Blocking, disk_bad_percent: u8, deadline: Deadline) -> ProbeResult {
        let state = Arc::clone(&self.state);
        let look = move || state.lock().unwrap_or_else(PoisonError::into_inner).look(disk_bad_percent);
        blocking.run("this host", deadline, look).await
    }
}

impl State {
    fn look(&mut self, disk_bad_percent: u8) -> ProbeResult {
        let mounts = match self.mounts() {
            Ok(mounts) => mounts,
            Err(error) => {
                let why = format!("the file systems cannot be listed: {error}");
                return ProbeResult::unknown(UnknownReason::Local, why);
            }
        };
        let mut found = judge_mounts(&mounts, disk_bad_percent, &mut self.writable_before);
        let hour = jiff::Timestamp::now().as_second() / 3_600;
        let mut values = ProbeResult::new(Outcome::Ok);
        self.fill(&mounts, hour, &mut found, &mut values);
        self.parts(&mut found, &mut values);
        values = self.system_values(values, &mut found);
        let mut result = found.result();
        result.values = values.values;
        for mount in mounts.iter().take(MOUNTS_MAX) {
            result = result.value(format!("disk_used_percent {}", mount.point), one_decimal(mount.used_percent));
            if let Some(inodes) = mount.inodes_used_percent {
                result = result.value(format!("inodes_used_percent {}", mount.point), one_decimal(inodes));
            }
        }
        result
    }

    /// In how many days each file system is full.
    fn fill(&mut self, mounts: &[Mount], hour: i64, found: &mut Found, values: &mut ProbeResult) {
        for mount in mounts.iter().filter(|mount| !mount.is_read_only) {
            filling::note(&mut self.disks_before, &mount.point, mount.used_percent, hour);
            let days = filling::days_to_full(&self.disks_before, &mount.point, mount.used_percent);
            let Some(days) = days.filter(|days| *days <= DAYS_MAX) else { continue };
            values.put(format!("disk_days_to_full {}", mount.point), one_decimal(days));
            let why = format!("{} will be full in {} if it goes on as in the last week", mount.point, in_days(days));
            if days < filling::BAD_DAYS {
                found.faults.push(why);
            } else if days < filling::WARN_DAYS {
                found.warnings.push(why);
            }
        }
        filling::forget(&mut self.disks_before, hour);
    }

    /// RAID, temperatures, and whether a restart is due.
    fn parts(&mut self, found: &mut Found, values: &mut ProbeResult) {
        #[cfg(target_os = "linux")]
        for array in raid::read(&std::fs::read_to_string("/proc/mdstat").unwrap_or_default()) {
            found.faults.extend(array.fault());
            values.put(format!("raid_disks_missing {}", array.name), f64::from(array.missing()));
        }
        #[cfg(not(windows))]
        for sensor in heat::sensors(&mut self.components) {
            found.faults.extend(sensor.fault());
            let celsius = one_decimal(f64::from(sensor.celsius));
            values.put(format!("temperature_c {}", sensor.label), celsius);
        }
        // Debian's, after an update that a running system does not take.
        if std::path::Path::new("/run/reboot-required").exists() {
            found.notes.push("an update waits for a restart of this host".to_owned());
            values.put("reboot_pending", 1.0);
        }
    }

    fn mounts(&mut self) -> Result<Vec<Mount>, sysinfo::Error> {
        let storage = DiskRefreshKind::nothing().with_storage();
        let disks = match &mut self.disks {
            Some(disks) => {
                disks.refresh_specifics(true, storage);
                disks
            }
            none @ None => none.insert(Disks::new_with_refreshed_list_specifics(storage)?),
        };
        Ok(mounts::real(disks))
    }

    fn system_values(&mut self, mut result: ProbeResult, found: &mut Found) -> ProbeResult {
        if self.system.is_none() {
            self.system = System::new().ok();
        }
        if let Some(system) = &mut self.system {
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram().with_swap());
            let (total, available) = (system.total_memory(), system.available_memory());
            result = result.value("memory_used_percent", one_decimal(percent(total.saturating_sub(available), total)));
            found.faults.extend(short_of_memory(available, total));
            result = result.value("memory_available_mb", (available / 1_000_000) as f64);
            if system.total_swap() > 0 {
                let used = percent(system.used_swap(), system.total_swap());
                result = result.value("swap_used_percent", one_decimal(used));
            }
        }
        if let Some(percent) = self.processor_percent() {
            found.warnings.extend(without_rest(&mut self.busy_since, percent, Instant::now()));
            result = result.value("cpu_percent", one_decimal(percent));
        }
        // Windows has no such thing, and sysinfo's copy of it wakes up every 5 s.
        #[cfg(not(windows))]
        if let Ok(load) = System::load_average() {
            result = result.value("load_1", load.one).value("load_5", load.five).value("load_15", load.fifteen);
        }
        if let Ok(uptime) = System::uptime() {
            result = result.value("uptime_s", uptime as f64);
        }
        result.value("boot_id", boot_id().as_str())
    }
}

impl State {
    /// The share since the look before; a first look has nothing to compare with.
    #[cfg(not(windows))]
    fn processor_percent(&mut self) -> Option<f64> {
        let system = self.system.as_mut()?;
        system.refresh_cpu_usage();
        std::mem::replace(&mut self.has_cpu, true).then(|| f64::from(system.global_cpu_usage()))
    }

    #[cfg(windows)]
    fn processor_percent(&mut self) -> Option<f64> {
        let now = processor::Times::now()?;
        self.processor.replace(now).map(|before| now.busy_percent_since(before))
    }
}

/// That hardly any memory is left, in a sentence.
fn short_of_memory(available: u64, total: u64) -> Option<String> {
    let left = percent(available, total);
    (total > 0 && left < MEMORY_LEFT_PERCENT).then(|| format!("only {left:.1} % of the memory is left"))
}

/// That the processor has had no rest for so long, in a sentence.
fn without_rest(busy_since: &mut Option<Instant>, percent: f64, now: Instant) -> Option<String> {
    if percent < BUSY_PERCENT {
        *busy_since = None;
        return None;
    }
    let lasts = now.saturating_duration_since(*busy_since.get_or_insert(now));
    (lasts >= BUSY_FOR).then(|| format!("the processor has had no rest for {} minutes", lasts.as_secs() / 60))
}

/// In days, or in hours where there are few.
fn in_days(days: f64) -> String {
    if days < 2.0 { format!("{:.0} hours", days * 24.0) } else { format!("{days:.0} days") }
}

fn judge_mounts(mounts: &[Mount], disk_bad_percent: u8, writable_before: &mut mounts::Seen) -> Found {
    let mut faults = Vec::new();
    for mount in mounts {
        if writable_before.turned_read_only(mount) {
            faults.push(format!("{} has become read-only", mount.point));
        }
        if !mount.is_read_only && mount.used_percent >= f64::from(disk_bad_percent) {
            faults.push(format!("{} is {:.1} % full", mount.point, mount.used_percent));
        }
        if let Some(inodes) = mount.inodes_used_percent.filter(|used| *used >= f64::from(disk_bad_percent)) {
            faults.push(format!("{} has used {inodes:.1} % of its inodes", mount.point));
        }
    }
    Found { faults, ..Found::default() }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn one_decimal(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use upheld_model::{CheckSpec, ProbeSpec};

    use super::*;
    use crate::testing::{self, evidence, number};

    fn host(disk_bad_percent: u8) -> CheckSpec {
        testing::check(ProbeSpec::Host { disk_bad_percent })
    }

    fn mount(point: &str, used_percent: f64) -> Mount {
        Mount {
            point: point.to_owned(),
            used_percent,
            inodes_used_percent: None,
            is_read_only: false,
            is_meant_read_only: false,
        }
    }

    fn judged(mounts: &[Mount]) -> ProbeResult {
        judge_mounts(mounts, 95, &mut mounts::Seen::default()).result()
    }

    #[test]
    fn hardly_any_memory_is_bad_and_a_processor_without_rest_for_ten_minutes_a_warning() {
        assert_eq!(short_of_memory(31, 1_000), None);
        assert_eq!(short_of_memory(20, 1_000).unwrap(), "only 2.0 % of the memory is left");
        assert_eq!(short_of_memory(0, 0), None, "nobody knows");
        let begin = Instant::now();
        let mut since = None;
        let mut look = |percent, second| without_rest(&mut since, percent, begin + Duration::from_secs(second));
        assert_eq!(look(99.0, 0), None);
        assert_eq!(look(99.0, 599), None);
        assert_eq!(look(99.0, 660).unwrap(), "the processor has had no rest for 11 minutes");
        assert_eq!(look(50.0, 690), None);
        assert_eq!(look(99.0, 720), None, "it begins anew");
    }

    #[test]
    fn a_file_system_that_fills_is_told_in_days_and_remembered_over_a_restart() {
        let mut state = State::default();
        let mut found = Found::default();
        let mut values = ProbeResult::new(Outcome::Ok);
        // Half a percent an hour: 12 % a day, and 14 % are left at the end.
        (0..=72).for_each(|hour| {
            let used = 50.0 + f64::from(hour) / 2.0;
            found = Found::default();
            state.fill(&[mount("/srv", used)], 490_000 + i64::from(hour), &mut found, &mut values);
        });
        assert_eq!(found.faults, ["/srv will be full in 28 hours if it goes on as in the last week"]);
        assert_eq!(values.values["disk_days_to_full /srv"], 1.2.into());
        let host = Host::new();
        host.recall(serde_json_free(&state.disks_before));
        assert_eq!(host.memory(), state.disks_before);
        let slow = |hour: i64| if hour < 0 { 0.0 } else { 60.0 + hour as f64 / 8.0 };
        let mut state = State::default();
        (0..=72).for_each(|hour| {
            found = Found::default();
            state.fill(&[mount("/srv", slow(hour))], 490_000 + hour, &mut found, &mut values);
        });
        assert_eq!(found.warnings, ["/srv will be full in 10 days if it goes on as in the last week"]);
        assert_eq!(found.result().outcome, Outcome::Warn);
    }

    /// As the memory goes through its file.
    fn serde_json_free(memory: &DiskMemory) -> DiskMemory {
        let text = toml::to_string(memory).unwrap();
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_full_file_system_is_bad_and_named() {
        assert_eq!(judged(&[mount("/", 94.9)]).outcome, Outcome::Ok);
        let full = judged(&[mount("/", 10.0), mount("/srv/rec3", 95.0)]);
        assert_eq!(full.outcome, Outcome::Bad);
        assert_eq!(evidence(&full), "/srv/rec3 is 95.0 % full");
        let inodes = judged(&[Mount { inodes_used_percent: Some(99.5), ..mount("/var", 3.0) }]);
        assert_eq!(evidence(&inodes), "/var has used 99.5 % of its inodes");
    }

    #[test]
    fn a_file_system_that_turns_read_only_stays_bad_until_it_is_writable_again() {
        let mut seen = mounts::Seen::default();
        let (writable, read_only) = (mount("/srv", 1.0), Mount { is_read_only: true, ..mount("/srv", 1.0) });
        let mut outcome = |mount: &Mount| judge_mounts(std::slice::from_ref(mount), 95, &mut seen).result().outcome;
        assert_eq!(outcome(&read_only), Outcome::Ok, "nothing says that it was ever writable");
        assert_eq!(outcome(&writable), Outcome::Ok);
        assert_eq!(outcome(&read_only), Outcome::Bad);
        assert_eq!(outcome(&read_only), Outcome::Bad);
        assert_eq!(outcome(&writable), Outcome::Ok);
        assert_eq!(outcome(&Mount { is_meant_read_only: true, ..read_only.clone() }), Outcome::Ok);
    }

    #[tokio::test]
    async fn this_very_host_is_measured() {
        let prober = testing::prober("");
        let first = prober.run(&host(100)).await;
        assert!(matches!(first.outcome, Outcome::Ok | Outcome::Bad), "{first:?}");
        assert!(!first.values.contains_key("cpu_percent"));
        let second = prober.run(&host(100)).await;
        for name in ["cpu_percent", "memory_used_percent"] {
            assert!((0.0..=100.0).contains(&number(&second, name)), "{name}: {second:?}");
        }
        assert!(number(&second, "uptime_s") > 0.0 && number(&second, "memory_available_mb") > 0.0);
        assert_eq!(second.values["boot_id"], boot_id().as_str().into());
    }

    #[test]
    fn a_small_file_system_that_fills_and_turns_read_only_is_seen() {
        let name = "host::tests::a_small_file_system_that_fills_and_turns_read_only_is_seen";
        // ext4 in a file, mounted in a mount namespace of the test's own.
        let setup = "dir=$(mktemp -d /tmp/upheld-mount-XXXXXX); export UPHELD_TEST_DIR=$dir
            truncate -s 8M $dir/image && mkfs.ext4 -q -O ^has_journal $dir/image && mkdir $dir/mount
            mount -o loop $dir/image $dir/mount";
        testing::in_mount_namespace(name, setup, async || {
            let dir = std::path::PathBuf::from(std::env::var_os("UPHELD_TEST_DIR").unwrap());
            let at = dir.join("mount").to_string_lossy().into_owned();
            let prober = testing::prober("");
            let used = |result: &ProbeResult| number(result, &format!("disk_used_percent {at}"));
            let before = prober.run(&host(90)).await;
            assert!(used(&before) < 50.0 && !evidence(&before).contains(&at), "{before:?}");
            while std::fs::write(dir.join("mount").join(format!("{:?}", Instant::now())), [0; 65_536]).is_ok() {}
            let full = prober.run(&host(90)).await;
            assert_eq!(full.outcome, Outcome::Bad);
            assert!(used(&full) > 90.0 && evidence(&full).contains(&format!("{at} is ")), "{full:?}");
            let remount = std::process::Command::new("mount").args(["-o", "remount,ro", &at]).status().unwrap();
            assert!(remount.success());
            let read_only = prober.run(&host(90)).await;
            assert!(evidence(&read_only).contains(&format!("{at} has become read-only")), "{read_only:?}");
            assert!(std::process::Command::new("umount").arg(&at).status().unwrap().success());
            std::fs::remove_dir_all(&dir).unwrap();
        });
    }
}
