//! Which processes there are, by the table that this host keeps of them.

use std::{ffi::OsStr, path::Path};

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};
use upheld_model::{UnknownReason, check::ProcessSpec};

use crate::ProbeResult;

/// The kernel keeps so many bytes of a program's name.
const SHORT_NAME: usize = 15;

/// One process that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) pid: u32,
    /// When it started, by the host's clock, in seconds since 1970.
    pub(super) started: u64,
    /// The same in a form that no step of the clock changes: on Linux seconds since the boot.
    pub(super) birth: u64,
    pub(super) memory: u64,
    /// The processor time that it has taken, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) running: Vec<Running>,
    /// Those that have ended and that nobody has asked about yet.
    pub(super) ended: usize,
}

/// Looks for the processes that are meant. The error is the result of a run that cannot see them.
pub(super) fn look(spec: &ProcessSpec) -> Result<Found, ProbeResult> {
    refuse_blindness()?;
    let user = spec.user.as_deref().map(user_id).transpose()?;
    let mut system = System::new().map_err(|error| {
        ProbeResult::unknown(UnknownReason::Local, format!("this host's processes cannot be listed: {error}"))
    })?;
    let names = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, false, names);
    let candidates: Vec<Pid> = system
        .processes()
        .iter()
        .filter(|(_, process)| may_be(process.name(), &spec.process))
        .map(|(pid, _)| *pid)
        .collect();
    if candidates.is_empty() {
        return Ok(Found::default());
    }
    let details = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_memory()
        .with_cpu()
        .with_user(UpdateKind::Always)
        .with_cmd(UpdateKind::Always)
        .with_exe(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&candidates), true, details);
    let boot = if cfg!(target_os = "linux") { System::boot_time().unwrap_or(0) } else { 0 };
    let mut found = Found::default();
    for (pid, process) in candidates.iter().filter_map(|pid| Some((pid, system.process(*pid)?))) {
        // It has ended, its parent has not asked how, and nothing is left of it but its short name.
        if matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead) {
            found.ended += usize::from(spec.argument.is_none());
            continue;
        }
        if !is_meant(process, spec) || user.as_ref().is_some_and(|user| !is_user(process, user)) {
            continue;
        }
        let started = process.start_time();
        let birth = started.saturating_sub(boot);
        let (memory, cpu_ms) = (process.memory(), process.accumulated_cpu_time());
        found.running.push(Running { pid: pid.as_u32(), started, birth, memory, cpu_ms });
    }
    found.running.sort_by_key(|running| (running.birth, running.pid));
    Ok(found)
}

/// Whether a process of this (shortened) name may be the program.
fn may_be(shown: &OsStr, wanted: &str) -> bool {
    if cfg!(windows) {
        return is_windows_name(&shown.to_string_lossy(), wanted);
    }
    let (shown, wanted) = (shown.as_encoded_bytes(), wanted.as_bytes());
    shown == wanted || (shown.len() == SHORT_NAME && wanted.starts_with(shown))
}

fn is_windows_name(shown: &str, wanted: &str) -> bool {
    let bare = |name: &str| {
        let name = name.to_lowercase();
        name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
    };
    bare(shown) == bare(wanted)
}

fn is_meant(process: &Process, spec: &ProcessSpec) -> bool {
    let shown = process.name().as_encoded_bytes();
    // A name that the kernel has cut is known by its file or by the first word of its command line.
    let is_whole = cfg!(windows) || shown == spec.process.as_bytes() || {
        let is_it = |path: &Path| path.file_name() == Some(OsStr::new(&spec.process));
        process.exe().is_some_and(is_it) || process.cmd().iter().take(2).any(|word| is_it(Path::new(word)))
    };
    let has_argument = |argument: &String| process.cmd().iter().skip(1).any(|word| word == OsStr::new(argument));
    is_whole && spec.argument.as_ref().is_none_or(has_argument)
}

/// Other users' processes can be hidden from the agent: by its unit (`ProtectProc`), by the mount (`hidepid`).
#[cfg(target_os = "linux")]
fn refuse_blindness() -> Result<(), ProbeResult> {
    if std::fs::read("/proc/1/stat").is_ok() {
        return Ok(());
    }
    let why = "this host hides other users' processes from the agent. Under systemd: systemctl edit upheld-agent, \
               write [Service] and ProtectProc=default, restart it; else look for hidepid at /proc";
    Err(ProbeResult::unknown(UnknownReason::Permission, why))
}

#[cfg(not(target_os = "linux"))]
fn refuse_blindness() -> Result<(), ProbeResult> {
    Ok(())
}

/// A user of this host, by its number.
#[cfg(unix)]
type User = u32;
#[cfg(not(unix))]
type User = std::convert::Infallible;

#[cfg(unix)]
fn user_id(user: &str) -> Result<User, ProbeResult> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&users, user).ok_or_else(|| {
        let why = format!(
            "this host has no user {user} of its own (/etc/passwd); one of a directory is named by its number: id -u \
             {user}"
        );
        ProbeResult::unknown(UnknownReason::CannotProbe, why)
    })
}

#[cfg(unix)]
fn named(users: &str, name: &str) -> Option<User> {
    let of = |line: &str| {
        let mut parts = line.split(':');
        (parts.next()? == name).then(|| parts.nth(1)?.parse().ok()).flatten()
    };
    users.lines().find_map(of)
}

#[cfg(unix)]
fn is_user(process: &Process, user: &User) -> bool {
    process.effective_user_id().or(process.user_id()).is_some_and(|id| **id == *user)
}

#[cfg(not(unix))]
fn user_id(_: &str) -> Result<User, ProbeResult> {
    let why = "processes by their user are not built on Windows in this version: take `user` out";
    Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
}

#[cfg(not(unix))]
fn is_user(_: &Process, user: &User) -> bool {
    match *user {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_and_a_long_one_is_compared_as_far_as_the_kernel_keeps_it() {
        let may_be = |shown: &str, wanted: &str| may_be(OsStr::new(shown), wanted);
        assert!(may_be("nginx", "nginx"));
        assert!(!may_be("nginx-debug", "nginx") && !may_be("ngin", "nginx"));
        assert!(may_be("milestone-recor", "milestone-recorder"));
        assert!(!may_be("milestone-reco", "milestone-recorder"));
    }

    #[test]
    fn on_windows_a_name_is_compared_without_its_ending_and_case() {
        assert!(is_windows_name("VideoOS.Recorder.Service.exe", "videoos.recorder.service"));
        assert!(is_windows_name("nginx.exe", "nginx.EXE"));
        assert!(!is_windows_name("nginx2.exe", "nginx"));
    }

    #[cfg(unix)]
    #[test]
    fn a_user_is_a_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nbad:x::\n";
        assert_eq!(named(users, "www-data"), Some(33));
        assert_eq!(named(users, "www"), None);
        assert_eq!(named(users, "bad"), None);
    }
}
