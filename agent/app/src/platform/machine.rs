//! What Windows says of its clocks, its name, this process and a disk.
//!
//! Calls of Windows, each of which fills a number or a buffer of ours: the standard library has none of them.
#![allow(unsafe_code)]

use std::{io, os::windows::ffi::OsStrExt, path::Path, ptr::null_mut, time::Duration};

use upheld_model::Mono;
use windows_sys::Win32::{
    Foundation::FILETIME,
    Storage::FileSystem::GetDiskFreeSpaceExW,
    System::{
        ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
        SystemInformation::{ComputerNamePhysicalDnsFullyQualified, GetComputerNameExW, GetTickCount64},
        Threading::{GetCurrentProcess, GetProcessTimes},
        WindowsProgramming::QueryUnbiasedInterruptTime,
    },
};

/// A tick of most of Windows' clocks is 100 ns.
const TICK_NS: u64 = 100;

/// Since the boot, without the time that the machine slept.
pub(crate) fn mono() -> Mono {
    let mut ticks = 0;
    // SAFETY: the call writes the one number that it is given.
    unsafe { QueryUnbiasedInterruptTime(&mut ticks) };
    Mono(0).plus(Duration::from_nanos(ticks.saturating_mul(TICK_NS)))
}

/// Since the boot, with the time that the machine slept; up to 16 ms behind.
pub(crate) fn boottime() -> Option<Mono> {
    // SAFETY: a call without arguments.
    let milliseconds = unsafe { GetTickCount64() };
    Some(Mono(0).plus(Duration::from_millis(milliseconds)))
}

/// The processor time that this process has used.
pub(crate) fn processor_time() -> Option<Duration> {
    let mut times = [FILETIME::default(); 4];
    let [created, ended, kernel, user] = &mut times;
    // SAFETY: the pseudo handle needs no closing, and each of the four is written by the call.
    let is_told = unsafe { GetProcessTimes(GetCurrentProcess(), created, ended, kernel, user) } != 0;
    let ticks = |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    is_told.then(|| Duration::from_nanos((ticks(&times[2]) + ticks(&times[3])).saturating_mul(TICK_NS)))
}

/// The memory that this process holds: its working set.
pub(crate) fn memory_bytes() -> Option<u64> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: the pseudo handle needs no closing, and the call writes at most the size that it is told.
    let is_told = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) } != 0;
    is_told.then_some(counters.WorkingSetSize as u64)
}

/// The name this host has for itself, with its domain where it is in one.
pub(crate) fn host_name() -> String {
    let mut name = [0_u16; 256];
    let mut length = name.len() as u32;
    // SAFETY: the call writes at most `length` characters and then says how many.
    let is_told = unsafe { GetComputerNameExW(ComputerNamePhysicalDnsFullyQualified, name.as_mut_ptr(), &mut length) };
    let told = name.get(..length as usize).filter(|told| is_told != 0 && !told.is_empty());
    told.map_or_else(
        || std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unnamed".to_owned()),
        String::from_utf16_lossy,
    )
}

/// The bytes that this process may still write where `folder` is.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let path = wide(folder);
    let mut free = 0;
    // SAFETY: the path ends with a zero, and the call writes the one number that it is given.
    if unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut free, null_mut(), null_mut()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(free)
}

/// A path as Windows' calls take it.
pub(super) fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}
