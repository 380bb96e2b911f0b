//! The file systems that hold something: those of real disks, not those that the kernel or a network makes up.

use std::collections::BTreeSet;

use sysinfo::{Disk, Disks};

use super::percent;

/// One mounted file system.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mount {
    /// Where it is mounted.
    pub(super) point: String,
    /// How full it is for everyone but root: what is reserved counts as used.
    pub(super) used_percent: f64,
    /// How many of its inodes are used; `None` where there is no such limit.
    pub(super) inodes_used_percent: Option<f64>,
    pub(super) is_read_only: bool,
    /// `/etc/fstab` mounts it so, or its kind cannot be written.
    pub(super) is_meant_read_only: bool,
}

/// Local file systems that keep data. Network ones are somebody else's disk, and asking them can hang.
const REAL: [&str; 17] = [
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fat32", "hfs", "jfs", "ntfs", "ntfs3",
    "refs", "vfat", "xfs", "zfs",
];

/// The real file systems, each once: a device that is mounted in several places is listed at the first.
pub(super) fn real(disks: &Disks) -> Vec<Mount> {
    let meant_read_only = std::fs::read_to_string("/etc/fstab").map(|text| read_only_in(&text)).unwrap_or_default();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut devices = BTreeSet::new();
    let mut mounts = Vec::new();
    for disk in disks.iter() {
        let kind = disk.file_system().to_string_lossy().to_ascii_lowercase();
        let point = disk.mount_point().to_string_lossy().into_owned();
        // Inside a container the root is an overlay on the host's disk, and the only view of it there is.
        let is_real = REAL.contains(&kind.as_str()) || (kind == "overlay" && point == "/");
        if is_real && disk.total_space() > 0 && devices.insert((disk.name().to_owned(), disk.total_space())) {
            mounts.push(mount(disk, point, &meant_read_only, &table));
        }
    }
    mounts
}

fn mount(disk: &Disk, point: String, meant_read_only: &BTreeSet<String>, table: &str) -> Mount {
    let total = disk.total_space();
    let (inodes_used_percent, is_seen_read_only) = inodes_and_mode(disk);
    // A service manager shows this agent every file system read-only (ProtectSystem=strict): what counts is the file
    // system itself.
    let is_read_only = is_file_system_read_only(table, &point).unwrap_or(is_seen_read_only);
    Mount {
        used_percent: percent(total.saturating_sub(disk.available_space()), total),
        inodes_used_percent,
        is_read_only,
        is_meant_read_only: meant_read_only.contains(&point),
        point,
    }
}

/// The used share of the inodes, if there is such a limit, and whether the file system is read-only: sysinfo 0.40
/// reads the latter only when it first sees a disk.
#[cfg(unix)]
fn inodes_and_mode(disk: &Disk) -> (Option<f64>, bool) {
    let Ok(stat) = rustix::fs::statvfs(disk.mount_point()) else { return (None, disk.is_read_only()) };
    let used = (stat.f_files > 0).then(|| percent(stat.f_files.saturating_sub(stat.f_favail), stat.f_files));
    (used, stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
fn inodes_and_mode(disk: &Disk) -> (Option<f64>, bool) {
    (None, disk.is_read_only())
}

/// Whether the file system that is mounted last at `point` is read-only itself, by a table in the form of
/// `/proc/self/mountinfo` (proc(5)); `None` where the table does not have it.
pub(super) fn is_file_system_read_only(table: &str, point: &str) -> Option<bool> {
    let options = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_here = mount.split(' ').nth(4)?.replace("\\040", " ") == point;
        let options = file_system.split(' ').nth(2)?.split(',').any(|option| option == "ro");
        is_here.then_some(options)
    };
    table.lines().rev().find_map(options)
}

/// The mount points that a table in the form of fstab(5) mounts read-only.
pub(super) fn read_only_in(table: &str) -> BTreeSet<String> {
    let point = |line: &str| {
        let mut fields = line.split_whitespace();
        let (device, point, _, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_read_only = !device.starts_with('#') && options.split(',').any(|option| option == "ro");
        is_read_only.then(|| point.replace("\\040", " "))
    };
    table.lines().filter_map(point).collect()
}

/// The file systems that were seen writable since this process began. One that was mounted read-only before is
/// not accused: somebody may have meant it.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeSet<String>);

impl Seen {
    /// Whether this one was writable and is not any more, without `/etc/fstab` saying so.
    pub(super) fn turned_read_only(&mut self, mount: &Mount) -> bool {
        if !mount.is_read_only {
            self.0.insert(mount.point.clone());
        }
        mount.is_read_only && !mount.is_meant_read_only && self.0.contains(&mount.point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_is_shown_read_only_is_not_a_file_system_that_turned_so() {
        let table = "31 1 254:0 / / ro,relatime shared:1 - ext4 /dev/vda rw,discard\n\
            32 31 254:1 / /my\\040disk rw,relatime - ext4 /dev/vdb ro\n\
            40 31 254:2 / /over rw - ext4 /dev/vdc rw\n41 40 254:3 / /over rw - ext4 /dev/vdd ro\nshort\n";
        for (point, is_read_only) in
            [("/", Some(false)), ("/my disk", Some(true)), ("/over", Some(true)), ("/none", None)]
        {
            assert_eq!(is_file_system_read_only(table, point), is_read_only, "{point}");
        }
    }

    #[test]
    fn finds_what_fstab_mounts_read_only() {
        let table = "# /dev/sda9 /old ext4 ro 0 0\n/dev/sda1 / ext4 errors=remount-ro 0 1\n\
            UUID=1 /usr ext4 noatime,ro 0 2\n/dev/sdb1 /my\\040disk ntfs ro 0 0\nshort line\n";
        assert_eq!(read_only_in(table), BTreeSet::from(["/usr".to_owned(), "/my disk".to_owned()]));
    }
}
