//! Any text as what the kernel and the administrator say of disks.

use super::{Found, Mount, judge_mounts, mounts, raid};
use crate::fuzzing::hold;

/// Any text as `/proc/mdstat`.
pub(crate) fn mdstat(bytes: &[u8]) {
    let arrays = raid::read(&String::from_utf8_lossy(bytes));
    arrays.iter().for_each(|array| assert!(array.name.chars().count() <= 32 && array.failed.len() <= 16));
    let faults = arrays.iter().filter_map(raid::Array::fault).collect();
    hold(&Found { faults, ..Found::default() }.result());
}

/// Any text as `/proc/self/mountinfo` and `/etc/fstab`; each of its words as a place where something is mounted.
pub(crate) fn mounts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let meant = mounts::read_only_in(&text);
    let mut seen = mounts::Seen::default();
    for point in text.split_whitespace().take(64) {
        let mount = |is_read_only| Mount {
            point: point.to_owned(),
            used_percent: 99.0,
            inodes_used_percent: Some(99.0),
            is_read_only,
            is_meant_read_only: meant.contains(point),
        };
        let is_read_only = mounts::is_file_system_read_only(&text, point).unwrap_or(true);
        hold(&judge_mounts(&[mount(false)], 95, &mut seen).result());
        hold(&judge_mounts(&[mount(is_read_only)], 95, &mut seen).result());
    }
}
