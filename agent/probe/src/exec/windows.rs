//! The one place of the agent that starts a program on Windows.
//!
//! Without a shell, with an environment of few words, nothing to read, no window, and in a job of its own: it stands still
//! until it belongs to the job, so nothing that it starts is outside. When the program ends, or its time does, the whole
//! job is ended; should the agent die meanwhile, Windows ends the job when its last handle is gone. It runs under the
//! agent's own account: a restricted one is not made here.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    io::{self, Read},
    os::windows::{
        io::{AsRawHandle, FromRawHandle, OwnedHandle},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
    ptr::null,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT},
    System::{
        Diagnostics::ToolHelp::{
            CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
        },
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_UILIMIT_DESKTOP, JOB_OBJECT_UILIMIT_EXITWINDOWS,
            JOB_OBJECT_UILIMIT_HANDLES, JOB_OBJECT_UILIMIT_READCLIPBOARD, JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS,
            JOB_OBJECT_UILIMIT_WRITECLIPBOARD, JOBOBJECT_BASIC_UI_RESTRICTIONS, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
            JOBOBJECTINFOCLASS, JobObjectBasicUIRestrictions, JobObjectExtendedLimitInformation,
            SetInformationJobObject, TerminateJobObject,
        },
        Threading::{
            CREATE_NO_WINDOW, CREATE_SUSPENDED, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME, WaitForSingleObject,
        },
    },
};

use super::ran::{COMPLAINT_MAX, End, Ran};
use crate::deadline::Deadline;

/// Programs that a plugin and its own may be at once.
const PROCESSES_MAX: u32 = 64;
/// What the readers have for the rest, once nobody can write any more.
const READ_ON: Duration = Duration::from_secs(2);
/// What of the agent's own environment a program is given: without the first three most do not start.
const PASSED_ON: &[&str] = &["SystemRoot", "SystemDrive", "windir", "TEMP", "TMP"];

/// Runs a program to its end, or to a little before the deadline. Call it on a thread that does nothing else.
/// `out_max` bytes of what it prints are kept.
pub(super) fn run(argv: &[String], out_max: usize, deadline: Deadline) -> io::Result<Ran> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    if !super::is_windows_program(program) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let job = Job::new()?;
    let windows = std::env::var("SystemRoot").unwrap_or_else(|_| "C:\\Windows".to_owned());
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs([("LANG", "C"), ("PATH", &format!("{windows}\\System32;{windows}"))]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.current_dir(&windows).creation_flags(CREATE_SUSPENDED | CREATE_NO_WINDOW);
    let mut child = command.spawn()?;
    if let Err(error) = job.take(&child).and_then(|()| resume(child.id())) {
        // It has not run yet.
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe).map(|from| read(from, out_max))?;
    let err = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe).map(|from| read(from, COMPLAINT_MAX))?;
    let is_late = wait(&child, deadline);
    job.end();
    let status = child.wait()?;
    let (out, is_cut) = out.recv_timeout(READ_ON).unwrap_or_default();
    let (complaint, _) = err.recv_timeout(READ_ON).unwrap_or_default();
    let end = if is_late? { End::TooLate } else { End::Exited(status.code().unwrap_or(-1)) };
    Ok(Ran { end, out, is_cut, complaint: String::from_utf8_lossy(&complaint).trim().to_owned() })
}

/// Whether its time ended before the program did. Some of the time is for ending it.
fn wait(child: &Child, deadline: Deadline) -> io::Result<bool> {
    let reserve = (deadline.left() / 10).min(Duration::from_millis(300));
    let left = deadline.left().saturating_sub(reserve);
    let millis = u32::try_from(left.as_millis()).unwrap_or(u32::MAX - 1);
    // SAFETY: the child's handle is open for as long as the child is here.
    match unsafe { WaitForSingleObject(child.as_raw_handle(), millis) } {
        WAIT_OBJECT_0 => Ok(false),
        WAIT_TIMEOUT => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a stream to its end on a thread of its own; its begin is told, and whether there was more.
fn read(mut from: impl Read + Send + 'static, max: usize) -> Receiver<(Vec<u8>, bool)> {
    let (tell, told) = channel();
    let work = move || {
        let (mut kept, mut is_cut, mut piece) = (Vec::new(), false, [0; 1024]);
        while let Ok(number @ 1..) = from.read(&mut piece) {
            let fits = number.min(max - kept.len());
            kept.extend_from_slice(&piece[..fits]);
            is_cut |= fits < number;
        }
        // Whoever asked may have gone.
        let _ = tell.send((kept, is_cut));
    };
    // Without a thread nothing is read, and the receiver says so at once.
    let _ = std::thread::Builder::new().name("plugin's output".to_owned()).stack_size(64 << 10).spawn(work);
    told
}

/// Processes that end together.
struct Job(OwnedHandle);

impl Job {
    fn new() -> io::Result<Self> {
        // SAFETY: without a name, with the usual access.
        let job = Self(owned(unsafe { CreateJobObjectW(null(), null()) })?);
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
        limits.BasicLimitInformation.ActiveProcessLimit = PROCESSES_MAX;
        job.set(JobObjectExtendedLimitInformation, &limits)?;
        // It has no business with the desktop, and does not end the host.
        let screen = JOB_OBJECT_UILIMIT_DESKTOP
            | JOB_OBJECT_UILIMIT_EXITWINDOWS
            | JOB_OBJECT_UILIMIT_HANDLES
            | JOB_OBJECT_UILIMIT_READCLIPBOARD
            | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS
            | JOB_OBJECT_UILIMIT_WRITECLIPBOARD;
        job.set(JobObjectBasicUIRestrictions, &JOBOBJECT_BASIC_UI_RESTRICTIONS { UIRestrictionsClass: screen })?;
        Ok(job)
    }

    fn set<T>(&self, what: JOBOBJECTINFOCLASS, value: &T) -> io::Result<()> {
        // SAFETY: the handle is open; the value is of the kind that `what` names, and as long as is said.
        done(unsafe {
            SetInformationJobObject(self.0.as_raw_handle(), what, (&raw const *value).cast(), size_of::<T>() as u32)
        })
    }

    fn take(&self, child: &Child) -> io::Result<()> {
        // SAFETY: both handles are open.
        done(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), child.as_raw_handle()) })
    }

    /// Ends all that is left of it.
    fn end(&self) {
        // SAFETY: the handle is open. A job that is empty already is what is wanted.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) };
    }
}

/// Lets a process go that was started standing still: it has one thread.
fn resume(process: u32) -> io::Result<()> {
    // SAFETY: a list of all threads; of this process nothing is copied.
    let threads = owned(unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) })?;
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..THREADENTRY32::default() };
    // SAFETY: the list is open, and the entry says how long it is.
    let mut is_there = unsafe { Thread32First(threads.as_raw_handle(), &mut entry) };
    while is_there != 0 {
        if entry.th32OwnerProcessID == process {
            // SAFETY: no handle is inherited.
            let thread = owned(unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, entry.th32ThreadID) })?;
            // SAFETY: the handle is open and may do that.
            if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
                return Err(io::Error::last_os_error());
            }
            return Ok(());
        }
        // SAFETY: as above.
        is_there = unsafe { Thread32Next(threads.as_raw_handle(), &mut entry) };
    }
    Err(io::ErrorKind::NotFound.into())
}

/// A handle that a call has just given.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: given by the call to us alone.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn done(is_done: i32) -> io::Result<()> {
    if is_done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
