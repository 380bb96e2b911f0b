//! The service control manager, from inside a service: it starts this process, is told how it goes, and asks it to end.
//!
//! One `unsafe` stands here, in the macro of `windows-service` that makes the function which Windows calls.
#![allow(unsafe_code)]

use std::{
    ffi::OsString,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use windows_service::{
    define_windows_service,
    service::{ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType},
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
};

use crate::failure::{Code, Failure};

/// The service's name for the manager.
pub(crate) const NAME: &str = "UpheldAgent";
/// How long the manager waits for a start or an end before it calls this process hung. An end takes 23 s at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

type Work = Box<dyn FnOnce() -> Result<(), Failure> + Send>;

/// What the service does; Windows calls [`service_main`] without an argument of ours.
static WORK: Mutex<Option<Work>> = Mutex::new(None);
static INSIDE: OnceLock<Inside> = OnceLock::new();

/// Why the manager asks for the end; `None` while it does not.
type Asked = Option<&'static str>;

#[derive(Debug)]
struct Inside {
    handle: ServiceStatusHandle,
    asked: watch::Sender<Asked>,
}

/// Does `work` as the service; fails where the manager did not start this process.
pub(crate) fn serve(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(work));
    service_dispatcher::start(NAME, service_entry).map_err(|error| {
        Failure::new(Code::Failed, "this process was not started by the service manager")
            .because(error)
            .help("upheld-agent service start; in the foreground: upheld-agent run")
    })
}

define_windows_service!(service_entry, service_main);

fn service_main(_: Vec<OsString>) {
    let asked = watch::Sender::new(None);
    let ask = asked.clone();
    let take = move |control| {
        let reason = match control {
            ServiceControl::Stop => "service stopped",
            // The words that the collector knows: the host goes down.
            ServiceControl::Preshutdown | ServiceControl::Shutdown => "shutdown requested",
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        ask.send_replace(Some(reason));
        ServiceControlHandlerResult::NoError
    };
    let Some(work) = WORK.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // Without a handle nobody can be told anything, and the manager ends this process by itself.
    let Ok(handle) = service_control_handler::register(NAME, take) else { return };
    let _ = INSIDE.set(Inside { handle, asked });
    say(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
    let exit_code = match work() {
        Ok(()) => ServiceExitCode::NO_ERROR,
        Err(failure) if failure.code() == Code::NotEnrolled => {
            // Nothing is wrong: to be started anew again and again would help nobody.
            tracing::warn!("{failure}");
            ServiceExitCode::NO_ERROR
        }
        Err(failure) => {
            tracing::error!("{failure}");
            ServiceExitCode::ServiceSpecific(failure.code() as u32)
        }
    };
    say(ServiceState::Stopped, exit_code);
}

/// Whether the manager started this process.
pub(crate) fn is_here() -> bool {
    INSIDE.get().is_some()
}

/// The service runs.
pub(crate) fn ready() {
    say(ServiceState::Running, ServiceExitCode::NO_ERROR);
}

/// The service was told to end, or ends by itself.
pub(crate) fn stopping() {
    say(ServiceState::StopPending, ServiceExitCode::NO_ERROR);
}

/// Waits until the manager asks for the end; for ever where there is none.
pub(crate) async fn asked_to_end() -> &'static str {
    if let Some(inside) = INSIDE.get() {
        let mut asked = inside.asked.subscribe();
        if let Ok(reason) = asked.wait_for(Option::is_some).await
            && let Some(reason) = *reason
        {
            return reason;
        }
    }
    std::future::pending().await
}

fn say(state: ServiceState, exit_code: ServiceExitCode) {
    let Some(inside) = INSIDE.get() else { return };
    let is_pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
    let controls_accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted,
        exit_code,
        checkpoint: u32::from(is_pending),
        wait_hint: if is_pending { PATIENCE } else { Duration::ZERO },
        process_id: None,
    };
    // A manager that cannot be told acts by itself, at its own deadline.
    if let Err(error) = inside.handle.set_service_status(status) {
        tracing::debug!(%error, "The service manager was not told.");
    }
}
