//! The one place of the agent that starts a program, where it is not Windows: one whose words stand under `[commands]` of
//! the site's own file, or `/usr/bin/journalctl`, which that file asks for where it names the journal under `[logs]`.
//!
//! Without a shell, with an environment of two words, nothing to read, a group of its own, and no more rights than any
//! user: the thread that starts it gives up its ambient rights (the service's right to send echoes) and the way to any
//! others (no_new_privs, so setuid programs stay what they are), and root hands over to `nobody`. When the program ends,
//! or its time does, its whole group is killed; what left the group (setsid) is not followed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

use super::ran::{COMPLAINT_MAX, End, Ran};
use crate::deadline::Deadline;

/// A program that prints without end is not read for longer than this before its end is looked for again.
const READS_AT_ONCE: usize = 64;
/// `nobody` and `nogroup` of Debian and of the kernel (the overflow ids).
const NOBODY: u32 = 65_534;

/// Runs a program to its end, or to a little before the deadline. Call it on a thread that does nothing else.
/// `out_max` bytes of what it prints are kept.
pub(super) fn run(argv: &[String], out_max: usize, deadline: Deadline) -> io::Result<Ran> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_no_new_privs(true)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs([("LANG", "C"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.current_dir("/").process_group(0);
    if rustix::process::geteuid().is_root() {
        // The library clears the supplementary groups where it changes the user.
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn()?;
    let attended = attend(&mut child, out_max, deadline);
    // The program is not waited for yet: its number, and its group's, is nobody else's.
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // Gone with all of its own: what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    let (mut pipes, is_late) = attended?;
    let [out, complaint] = &mut pipes;
    out.read_on();
    complaint.read_on();
    Ok(Ran {
        end: if is_late { End::TooLate } else { end_of(status) },
        out: std::mem::take(&mut out.kept),
        is_cut: out.is_cut,
        complaint: String::from_utf8_lossy(&complaint.kept).trim().to_owned(),
    })
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Signal(0),
    }
}

/// Reads what the program prints until it ends; whether its time ended before.
fn attend(child: &mut Child, out_max: usize, deadline: Deadline) -> io::Result<([Pipe; 2], bool)> {
    let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let err = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut pipes = [Pipe::new(out.into(), out_max)?, Pipe::new(err.into(), COMPLAINT_MAX)?];
    let number = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let ends = pidfd_open(number, PidfdFlags::empty())?;
    // Some of the time is for ending it.
    let reserve = (deadline.left() / 10).min(Duration::from_millis(300));
    loop {
        let left = deadline.left().saturating_sub(reserve);
        if left.is_zero() {
            return Ok((pipes, true));
        }
        let mut waits = vec![PollFd::new(&ends, PollFlags::IN)];
        waits.extend(pipes.iter().filter(|pipe| pipe.is_open).map(|pipe| PollFd::new(&pipe.from, PollFlags::IN)));
        let limit = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut waits, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_ended = waits.first().is_some_and(|end| !end.revents().is_empty());
        drop(waits);
        pipes.iter_mut().for_each(Pipe::read_on);
        if has_ended {
            return Ok((pipes, false));
        }
    }
}

/// One stream of the program, of which the beginning is kept.
struct Pipe {
    from: std::fs::File,
    kept: Vec<u8>,
    max: usize,
    is_cut: bool,
    is_open: bool,
}

impl Pipe {
    fn new(from: std::os::fd::OwnedFd, max: usize) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(from.as_fd(), true)?;
        Ok(Self { from: from.into(), kept: Vec::new(), max, is_cut: false, is_open: true })
    }

    /// Reads what is there, without waiting.
    fn read_on(&mut self) {
        let mut piece = [0; 1024];
        for _ in 0..READS_AT_ONCE {
            match self.from.read(&mut piece) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(number) => {
                    let fits = number.min(self.max.saturating_sub(self.kept.len()));
                    self.kept.extend_from_slice(&piece[..fits]);
                    self.is_cut |= fits < number;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nothing there yet, or nothing any more: its end is told elsewhere.
                Err(_) => return,
            }
        }
    }
}
