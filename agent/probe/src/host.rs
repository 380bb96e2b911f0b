//! This host: processor, memory, disks, uptime, boot.

use upheld_model::BootId;

/// The name of this boot. On Linux the kernel's own; elsewhere the boot's time in seconds, `boot-1763390000`.
pub fn boot_id() -> BootId {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().and_then(|id| id.parse().ok());
    kernel.unwrap_or_else(|| {
        let by_time = format!("boot-{}", sysinfo::System::boot_time().unwrap_or(0));
        // At most 25 printable ASCII characters, which is within a boot id's form.
        by_time.parse().unwrap()
    })
}
