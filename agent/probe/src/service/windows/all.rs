//! All services of a Windows host: `EnumServicesStatusExW`, and of each how it starts.
//!
//! The crate `windows-service` opens services by name and lists none, therefore `unsafe`.
#![allow(unsafe_code)]

use std::{
    io,
    ptr::{null, null_mut},
    time::Duration,
};

use upheld_model::UnknownReason;
use windows_service::{
    service::{Service, ServiceAccess, ServiceStartType},
    service_manager::{ServiceManager, ServiceManagerAccess},
};
use windows_sys::Win32::{
    Foundation::ERROR_MORE_DATA,
    System::Services::{
        CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW, QueryServiceConfig2W,
        SC_ENUM_PROCESS_INFO, SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_ENUMERATE_SERVICE,
        SERVICE_CONFIG_DELAYED_AUTO_START_INFO, SERVICE_CONFIG_TRIGGER_INFO, SERVICE_DELAYED_AUTO_START_INFO,
        SERVICE_PAUSED, SERVICE_RUNNING, SERVICE_STATE_ALL, SERVICE_STOPPED, SERVICE_TRIGGER_INFO, SERVICE_WIN32,
    },
};

use super::super::scm::{Automatic, State, judge};
use crate::{ProbeResult, fault};

/// What one answer of the manager may hold: 256 KiB is its own bound.
const ANSWER_WORDS: usize = (256 << 10) / size_of::<u64>();
/// More services than any host has.
const SERVICES_MAX: usize = 4_096;
/// Room for what is told of a service's triggers, of which only the number is read.
const TRIGGERS_WORDS: usize = 1_024;

/// Asks about all services that start with this host.
pub(in crate::service) fn look() -> ProbeResult {
    let looked = listed().and_then(|found| {
        let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT);
        let manager = manager.map_err(io::Error::other)?;
        Ok(found.into_iter().filter_map(|found| automatic(&manager, found)).collect::<Vec<_>>())
    });
    match looked {
        Ok(services) => judge(&services, sysinfo::System::uptime().map_or(Duration::MAX, Duration::from_secs)),
        Err(error) => {
            let why = format!("the service manager cannot be asked: {}", fault::in_words(&error));
            ProbeResult::unknown(UnknownReason::Local, why)
        }
    }
}

/// A service with its start, if that is automatic. One that may not be asked about is left out: Windows keeps a few so.
fn automatic(manager: &ServiceManager, found: Automatic) -> Option<Automatic> {
    let service = manager.open_service(&found.name, ServiceAccess::QUERY_CONFIG).ok()?;
    if service.query_config().ok()?.start_type != ServiceStartType::AutoStart {
        return None;
    }
    let delayed: Option<SERVICE_DELAYED_AUTO_START_INFO> = config(&service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO);
    let triggers: Option<SERVICE_TRIGGER_INFO> = config(&service, SERVICE_CONFIG_TRIGGER_INFO);
    Some(Automatic {
        is_delayed: delayed.is_some_and(|info| info.fDelayedAutostart != 0),
        is_triggered: triggers.is_some_and(|info| info.cTriggers > 0),
        ..found
    })
}

/// One structure of a service's configuration; `None` where Windows does not tell.
fn config<T: Copy>(service: &Service, what: u32) -> Option<T> {
    // Of words, so that the structure at its begin is aligned.
    let mut answer = vec![0_u64; TRIGGERS_WORDS];
    let mut needed = 0_u32;
    // SAFETY: the handle is open, and the buffer has as many bytes as are said.
    let is_told = unsafe {
        let room = (TRIGGERS_WORDS * size_of::<u64>()) as u32;
        QueryServiceConfig2W(service.raw_handle(), what, answer.as_mut_ptr().cast(), room, &mut needed)
    };
    // SAFETY: the structure that `what` names is at the begin of the buffer, which is large enough and aligned for it.
    (is_told != 0).then(|| unsafe { answer.as_ptr().cast::<T>().read() })
}

/// All services that are no drivers, with what they do.
fn listed() -> io::Result<Vec<Automatic>> {
    let manager = Manager::open()?;
    let (mut found, mut resume) = (Vec::new(), 0_u32);
    loop {
        // Of words, so that the rows at its begin are aligned.
        let mut answer = vec![0_u64; ANSWER_WORDS];
        let (mut needed, mut count) = (0_u32, 0_u32);
        // SAFETY: the handle is open, the buffer has as many bytes as are said, and no group is named.
        let is_all = unsafe {
            EnumServicesStatusExW(
                manager.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32,
                SERVICE_STATE_ALL,
                answer.as_mut_ptr().cast(),
                (ANSWER_WORDS * size_of::<u64>()) as u32,
                &mut needed,
                &mut count,
                &mut resume,
                null(),
            )
        };
        if is_all == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error().map(i32::cast_unsigned) != Some(ERROR_MORE_DATA) {
                return Err(error);
            }
        }
        // SAFETY: as many rows as are said are at the begin of the buffer.
        let rows: &[ENUM_SERVICE_STATUS_PROCESSW] =
            unsafe { std::slice::from_raw_parts(answer.as_ptr().cast(), count as usize) };
        found.extend(rows.iter().map(row));
        if is_all != 0 || count == 0 || found.len() >= SERVICES_MAX {
            return Ok(found);
        }
    }
}

fn row(row: &ENUM_SERVICE_STATUS_PROCESSW) -> Automatic {
    let status = &row.ServiceStatusProcess;
    Automatic {
        name: text(row.lpServiceName),
        state: match status.dwCurrentState {
            SERVICE_RUNNING => State::Running,
            SERVICE_PAUSED => State::Paused,
            SERVICE_STOPPED => State::Stopped,
            _ => State::Turning,
        },
        exit: status.dwWin32ExitCode,
        own_exit: status.dwServiceSpecificExitCode,
        is_delayed: false,
        is_triggered: false,
    }
}

/// A text within the manager's answer, which outlives this call.
fn text(at: *const u16) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: the manager ends each text with a zero, and none is longer than its answer.
    let units = unsafe {
        let length = (0..ANSWER_WORDS * 4).take_while(|unit| *at.add(*unit) != 0).count();
        std::slice::from_raw_parts(at, length)
    };
    String::from_utf16_lossy(units)
}

/// The service manager, closed when dropped.
struct Manager(SC_HANDLE);

impl Manager {
    fn open() -> io::Result<Self> {
        // SAFETY: this host's own manager and its usual database.
        let handle = unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE) };
        if handle == null_mut() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once.
        unsafe { CloseServiceHandle(self.0) };
    }
}
