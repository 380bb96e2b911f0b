//! `host`: this host's processor, memory, disks, uptime and boot.
//!
//! Bad is a file system that is full, or that turned read-only although it should not be: the two things that stop a
//! recorder while everything else looks well. Processor and memory are measured and judged elsewhere, over time.

mod mounts;
#[cfg(windows)]
mod processor;

use std::sync::{Arc, Mutex, PoisonError};

use sysinfo::{DiskRefreshKind, Disks, MemoryRefreshKind, System};
use upheld_model::{BootId, Outcome, UnknownReason};

use crate::{ProbeResult, blocking::Blocking, deadline::Deadline};
use mounts::Mount;

/// The values of so many file systems are sent; the others count for the outcome only.
const MOUNTS_MAX: usize = 16;

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
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default() }
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
        let mut result = judge_mounts(&mounts, disk_bad_percent, &mut self.writable_before);
        for mount in mounts.iter().take(MOUNTS_MAX) {
            result = result.value(format!("disk_used_percent {}", mount.point), one_decimal(mount.used_percent));
            if let Some(inodes) = mount.inodes_used_percent {
                result = result.value(format!("inodes_used_percent {}", mount.point), one_decimal(inodes));
            }
        }
        self.system_values(result)
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

    fn system_values(&mut self, mut result: ProbeResult) -> ProbeResult {
        if self.system.is_none() {
            self.system = System::new().ok();
        }
        if let Some(system) = &mut self.system {
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram().with_swap());
            let (total, available) = (system.total_memory(), system.available_memory());
            result = result.value("memory_used_percent", one_decimal(percent(total.saturating_sub(available), total)));
            result = result.value("memory_available_mb", (available / 1_000_000) as f64);
            if system.total_swap() > 0 {
                let used = percent(system.used_swap(), system.total_swap());
                result = result.value("swap_used_percent", one_decimal(used));
            }
        }
        if let Some(percent) = self.processor_percent() {
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

fn judge_mounts(mounts: &[Mount], disk_bad_percent: u8, writable_before: &mut mounts::Seen) -> ProbeResult {
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
    if faults.is_empty() { ProbeResult::new(Outcome::Ok) } else { ProbeResult::bad(faults.join("; ")) }
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
        judge_mounts(mounts, 95, &mut mounts::Seen::default())
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
        let mut outcome = |mount: &Mount| judge_mounts(std::slice::from_ref(mount), 95, &mut seen).outcome;
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
            while std::fs::write(dir.join("mount").join(format!("{:?}", std::time::Instant::now())), [0; 65_536])
                .is_ok()
            {}
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
