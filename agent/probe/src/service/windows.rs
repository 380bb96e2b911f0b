//! Services as Windows' manager tells.

mod all;

use std::sync::Mutex;

use upheld_model::{CheckId, Outcome, UnknownReason};
use windows_service::{
    service::{ServiceAccess, ServiceExitCode, ServiceStartType, ServiceState},
    service_manager::{ServiceManager, ServiceManagerAccess},
};

use super::State;
use crate::ProbeResult;
pub(in crate::service) use all::look as all;

/// Windows' number for "no such service" (ERROR_SERVICE_DOES_NOT_EXIST).
const NO_SUCH_SERVICE: i32 = 1060;
/// Windows' number for "access is denied" (ERROR_ACCESS_DENIED).
const DENIED: i32 = 5;

/// One service that is meant to run, by its name (not the one that the console shows).
pub(super) fn look(state: &Mutex<State>, check: &CheckId, name: &str) -> ProbeResult {
    match asked(name) {
        Ok(result) => {
            super::found(state, check, name);
            result
        }
        Err(error) => match &error {
            windows_service::Error::Winapi(cause) if cause.raw_os_error() == Some(NO_SUCH_SERVICE) => {
                super::missing(state, check, name)
            }
            windows_service::Error::Winapi(cause) if cause.raw_os_error() == Some(DENIED) => {
                ProbeResult::unknown(UnknownReason::Permission, format!("{name} may not be asked about: {cause}"))
            }
            _ => ProbeResult::unknown(UnknownReason::Local, format!("{name} cannot be asked about: {error}")),
        },
    }
}

fn asked(name: &str) -> windows_service::Result<ProbeResult> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)?;
    let service = manager.open_service(name, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG)?;
    let (status, config) = (service.query_status()?, service.query_config()?);
    let start = match config.start_type {
        ServiceStartType::AutoStart | ServiceStartType::SystemStart | ServiceStartType::BootStart => "automatic",
        ServiceStartType::OnDemand => "manual",
        ServiceStartType::Disabled => "disabled",
    };
    let (word, result) = match status.current_state {
        ServiceState::Running => ("running", ProbeResult::new(Outcome::Ok).evidence(format!("{name} runs"))),
        ServiceState::Stopped => {
            let how = match status.exit_code {
                ServiceExitCode::Win32(0) => String::new(),
                ServiceExitCode::Win32(code) => format!("; it ended with error {code}"),
                ServiceExitCode::ServiceSpecific(code) => format!("; it ended with its own error {code}"),
            };
            ("stopped", ProbeResult::bad(format!("{name} does not run (its start is {start}){how}")))
        }
        ServiceState::Paused => ("paused", ProbeResult::bad(format!("{name} is paused"))),
        ServiceState::StartPending | ServiceState::ContinuePending => ("starting", turning(name, "starting")),
        ServiceState::StopPending | ServiceState::PausePending => ("stopping", turning(name, "stopping")),
    };
    Ok(result.value("state", word).value("start_type", start))
}

fn turning(name: &str, how: &str) -> ProbeResult {
    ProbeResult::new(Outcome::Warn).evidence(format!("{name} is {how}"))
}
