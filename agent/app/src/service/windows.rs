//! Windows' half: the service control manager, from outside.
//!
//! The service runs under an account of its own, `NT SERVICE\UpheldAgent`, which Windows makes and which may do nothing
//! but what its folder's access list says. Its program lies where only administrators write.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use windows_service::{
    service::{
        Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
        ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceSidType, ServiceStartType, ServiceState,
        ServiceStatus, ServiceType,
    },
    service_manager::{ServiceManager, ServiceManagerAccess},
};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_MARKED_FOR_DELETE,
    ERROR_SERVICE_NOT_ACTIVE,
};

use super::{Services, State};
use crate::{
    failure::{Code, Failure},
    platform::{self, manager},
    state::StateFolder,
};

const ACCOUNT: &str = r"NT SERVICE\UpheldAgent";
const SHOWN: &str = "Upheld agent";
const DESCRIPTION: &str = "Watches this site for its provider, works alone when the line is down, loses nothing.";
/// Where the program is put: what a service runs must not lie where users write.
const PROGRAM: &str = r"C:\Program Files\Upheld\upheld-agent.exe";
/// When the manager starts it anew after a first, a second and each later failure.
const ANEW: [u64; 3] = [5, 30, 60];
/// Failures older than this do not count.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than the service may take.
const WAIT: Duration = manager::PATIENCE.saturating_add(Duration::from_secs(10));

/// The service control manager of this host.
pub(super) struct Manager;

impl Services for Manager {
    async fn install(&self) -> Result<Vec<String>, Failure> {
        let manager = connect("install", ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
        let mut done = Vec::new();
        StateFolder::new(Path::new(platform::STATE_FOLDER)).create()?;
        let access = ServiceAccess::QUERY_STATUS
            | ServiceAccess::QUERY_CONFIG
            | ServiceAccess::CHANGE_CONFIG
            | ServiceAccess::START
            | ServiceAccess::STOP;
        let there = open(&manager, "install", access)?;
        if let Some(service) = &there {
            // A program that runs cannot be replaced; the older one says its last words first.
            stop_and_wait(service).await?;
        }
        if put_program()? {
            done.push(format!("this program is in {PROGRAM}"));
        }
        let service = match there {
            Some(service) => {
                service.change_config(&wanted()).map_err(|error| asked("install", error))?;
                service
            }
            None => {
                done.push(format!("{} is a service, as {ACCOUNT}", manager::NAME));
                manager.create_service(&wanted(), access).map_err(|error| asked("install", error))?
            }
        };
        configure(&service).map_err(|error| asked("install", error))?;
        if !StateFolder::new(Path::new(platform::STATE_FOLDER)).has_identity() {
            done.push("the service starts with this host".to_owned());
            done.push("it begins once this host is enrolled: upheld-agent enroll \"<link>\"; then: upheld-agent service start".to_owned());
            return Ok(done);
        }
        start_and_wait(&service).await?;
        done.push("the service starts with this host; see: upheld-agent service status".to_owned());
        Ok(done)
    }

    async fn start(&self) -> Result<Vec<String>, Failure> {
        let manager = connect("start", ServiceManagerAccess::CONNECT)?;
        let service = existing(&manager, "start", ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
        start_and_wait(&service).await?;
        Ok(vec!["the service runs".to_owned()])
    }

    async fn stop(&self) -> Result<Vec<String>, Failure> {
        let manager = connect("stop", ServiceManagerAccess::CONNECT)?;
        let service = existing(&manager, "stop", ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?;
        stop_and_wait(&service).await?;
        Ok(vec!["the service is stopped until this host's next start, or: upheld-agent service start".to_owned()])
    }

    async fn state(&self) -> Result<State, Failure> {
        let manager = connect("status", ServiceManagerAccess::CONNECT)?;
        let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
        let Some(service) = open(&manager, "status", access)? else {
            let (active, says) = ("inactive".to_owned(), String::new());
            return Ok(State { schema: "upheld.agent-service/1", active, says, restarts: None, installed: None });
        };
        let status = service.query_status().map_err(|error| asked("status", error))?;
        let config = service.query_config().map_err(|error| asked("status", error))?;
        let account = config.account_name.unwrap_or_default();
        Ok(State {
            schema: "upheld.agent-service/1",
            active: word(&status).to_owned(),
            says: format!("{}, as {}", says(&status), account.display()),
            // The manager counts, and tells nobody.
            restarts: None,
            installed: Some(config.executable_path.display().to_string()),
        })
    }

    async fn uninstall(&self) -> Result<Vec<String>, Failure> {
        let manager = connect("uninstall", ServiceManagerAccess::CONNECT)?;
        let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE;
        let Some(service) = open(&manager, "uninstall", access)? else {
            return Ok(vec!["upheld-agent is no service of this host; nothing was changed".to_owned()]);
        };
        stop_and_wait(&service).await?;
        service.delete().map_err(|error| asked("uninstall", error))?;
        let mut done = vec![format!("{} is no service any more", manager::NAME)];
        done.push(remove_program());
        done.push(format!("kept: {} (keys, journal, settings)", platform::STATE_FOLDER));
        Ok(done)
    }
}

/// The service as it is to be.
fn wanted() -> ServiceInfo {
    ServiceInfo {
        name: manager::NAME.into(),
        display_name: SHOWN.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: PathBuf::from(PROGRAM),
        launch_arguments: ["run", "--service"].map(OsString::from).to_vec(),
        dependencies: Vec::new(),
        account_name: Some(ACCOUNT.into()),
        account_password: None,
    }
}

/// What goes beyond its definition: words, delayed start, restarts, identifier, patience.
fn configure(service: &Service) -> windows_service::Result<()> {
    let anew = |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
    service.set_description(DESCRIPTION)?;
    may_lack("a delayed start", service.set_delayed_auto_start(true))?;
    service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGOTTEN),
        reboot_msg: None,
        command: None,
        actions: Some(ANEW.map(anew).to_vec()),
    })?;
    // An agent that ends with an error has failed, as one that crashed.
    may_lack("restarts after an error", service.set_failure_actions_on_non_crash_failures(true))?;
    may_lack("its own identifier", service.set_config_service_sid_info(ServiceSidType::Unrestricted))?;
    may_lack("time for last words", service.set_preshutdown_timeout(manager::PATIENCE))
}

/// Some of what is asked for is younger than the oldest Windows, and no reason to have no service.
fn may_lack(what: &str, done: windows_service::Result<()>) -> windows_service::Result<()> {
    match done {
        Err(windows_service::Error::Winapi(error)) if error.raw_os_error() != Some(ERROR_ACCESS_DENIED as i32) => {
            tracing::warn!(%error, "This Windows does not take one of the service's settings: {what}.");
            Ok(())
        }
        done => done,
    }
}

fn word(status: &ServiceStatus) -> &'static str {
    match status.current_state {
        ServiceState::Running => "active",
        ServiceState::StartPending | ServiceState::ContinuePending => "activating",
        ServiceState::StopPending | ServiceState::PausePending => "deactivating",
        ServiceState::Paused => "paused",
        ServiceState::Stopped if is_never_started(status) || status.exit_code == ServiceExitCode::NO_ERROR => {
            "inactive"
        }
        ServiceState::Stopped => "failed",
    }
}

/// ERROR_SERVICE_NEVER_STARTED: since this host's boot.
fn is_never_started(status: &ServiceStatus) -> bool {
    status.exit_code == ServiceExitCode::Win32(windows_sys::Win32::Foundation::ERROR_SERVICE_NEVER_STARTED)
}

fn says(status: &ServiceStatus) -> String {
    match (&status.exit_code, status.process_id) {
        (_, Some(pid)) if pid != 0 => format!("process {pid}"),
        (ServiceExitCode::Win32(0), _) => "ended without an error".to_owned(),
        (ServiceExitCode::Win32(_), _) if is_never_started(status) => "not started since this host's boot".to_owned(),
        (ServiceExitCode::Win32(code), _) => format!("ended with Windows' error {code}"),
        (ServiceExitCode::ServiceSpecific(code), _) => format!("ended with the agent's exit code {code}"),
    }
}

async fn start_and_wait(service: &Service) -> Result<(), Failure> {
    match service.start::<OsString>(&[]) {
        Err(error) if !is(&error, ERROR_SERVICE_ALREADY_RUNNING) => return Err(asked("start", error)),
        Ok(()) | Err(_) => {}
    }
    let status = wait_until(service, &[ServiceState::Running, ServiceState::Stopped]).await?;
    if status.current_state == ServiceState::Running {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, "the service did not stay up")
        .why(says(&status))
        .help(format!("is this host enrolled? upheld-agent status; why it ended: {}", platform::WHY_IT_ENDED)))
}

async fn stop_and_wait(service: &Service) -> Result<(), Failure> {
    match service.stop() {
        Err(error) if !is(&error, ERROR_SERVICE_NOT_ACTIVE) => return Err(asked("stop", error)),
        Ok(_) | Err(_) => {}
    }
    wait_until(service, &[ServiceState::Stopped]).await.map(drop)
}

async fn wait_until(service: &Service, states: &[ServiceState]) -> Result<ServiceStatus, Failure> {
    let until = Instant::now() + WAIT;
    loop {
        let status = service.query_status().map_err(|error| asked("status", error))?;
        if states.contains(&status.current_state) {
            return Ok(status);
        }
        if until <= Instant::now() {
            let what = format!("the service manager was not done within {} s", WAIT.as_secs());
            return Err(Failure::new(Code::TryAgain, what).help("the same command once more"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn connect(verb: &str, access: ServiceManagerAccess) -> Result<ServiceManager, Failure> {
    ServiceManager::local_computer(None::<&str>, access).map_err(|error| asked(verb, error))
}

/// The service, if it is there.
fn open(manager: &ServiceManager, verb: &str, access: ServiceAccess) -> Result<Option<Service>, Failure> {
    match manager.open_service(manager::NAME, access) {
        Ok(service) => Ok(Some(service)),
        Err(error) if is(&error, ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        Err(error) => Err(asked(verb, error)),
    }
}

fn existing(manager: &ServiceManager, verb: &str, access: ServiceAccess) -> Result<Service, Failure> {
    open(manager, verb, access)?.ok_or_else(|| {
        Failure::new(Code::Missing, "upheld-agent is no service of this host").help(platform::INSTALL_WITH_RIGHTS)
    })
}

fn is(error: &windows_service::Error, code: u32) -> bool {
    matches!(error, windows_service::Error::Winapi(error) if error.raw_os_error() == Some(code as i32))
}

fn asked(verb: &str, error: windows_service::Error) -> Failure {
    if is(&error, ERROR_ACCESS_DENIED) {
        return Failure::new(Code::Failed, format!("only an administrator may {verb} a service; nothing was changed"))
            .help(format!(
                "open a terminal as administrator (Start, type cmd, Ctrl+Shift+Enter), there: upheld-agent service {verb}"
            ));
    }
    if is(&error, ERROR_SERVICE_MARKED_FOR_DELETE) {
        return Failure::new(Code::TryAgain, "the service is being removed, and somebody still looks at it")
            .help("close the Services window and the Task Manager, then the same command again");
    }
    let failure = Failure::new(Code::Failed, "the service manager did not do what it was asked");
    match error {
        windows_service::Error::Winapi(error) => failure.because(error),
        error => failure.because(error),
    }
    .help(format!("look at it by hand: sc.exe qc {0}; sc.exe query {0}", manager::NAME))
}

/// Copies this program to its place, unless it is there; whether it did.
fn put_program() -> Result<bool, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Code::Failed, format!("cannot change {PROGRAM}"))
            .because(error)
            .help("end what still runs from there, then the same command again")
    };
    let own = std::env::current_exe().map_err(failed)?;
    let place = Path::new(PROGRAM);
    if is_same(&own, place) {
        return Ok(false);
    }
    let bytes = fs::read(&own).map_err(failed)?;
    if fs::read(place).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder).map_err(failed)?;
    let new = place.with_extension("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, place)).map_err(failed)?;
    Ok(true)
}

/// Removes the program, where it is not the one that runs: Windows keeps that.
fn remove_program() -> String {
    let place = Path::new(PROGRAM);
    let is_own = std::env::current_exe().is_ok_and(|own| is_same(&own, place));
    match fs::remove_file(place) {
        Ok(()) => format!("{PROGRAM} is removed"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("{PROGRAM} was not there"),
        Err(_) if is_own => format!("{PROGRAM} runs this very command; to remove it: del \"{PROGRAM}\""),
        Err(error) => format!("{PROGRAM} stays ({error}); to remove it: del \"{PROGRAM}\""),
    }
}

/// Whether two paths name one file, as Windows compares names.
fn is_same(one: &Path, other: &Path) -> bool {
    one.to_string_lossy().eq_ignore_ascii_case(&other.to_string_lossy())
}
