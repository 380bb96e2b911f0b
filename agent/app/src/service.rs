//! `service install | start | stop | status | uninstall`: this program as a service of its host, where no package brought it.
//!
//! The platform's half is behind [`Services`]; a platform without one answers with an error that says so. All of
//! them may be done twice. None of them touches the state folder: what waits in the journal is sent by whoever runs next.

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod systemd;
#[cfg(windows)]
mod windows;

use serde::Serialize;

use crate::{
    cli::{Common, ServiceVerb},
    failure::{Code, Failure},
    output, platform,
};

/// What a platform's service manager can do for this program.
trait Services {
    /// Makes this program a service that starts with the host; an older one is replaced.
    async fn install(&self) -> Result<Vec<String>, Failure>;
    /// Starts it, and waits until it runs.
    async fn start(&self) -> Result<Vec<String>, Failure>;
    /// Stops it, and waits until it has said its last words.
    async fn stop(&self) -> Result<Vec<String>, Failure>;
    /// How the service is.
    async fn state(&self) -> Result<State, Failure>;
    /// Takes back what [`Services::install`] made; keys and journal stay.
    async fn uninstall(&self) -> Result<Vec<String>, Failure>;
}

/// How the service is.
#[derive(Debug, Serialize)]
struct State {
    schema: &'static str,
    /// Where its definition is; `None` when it is not installed.
    installed: Option<String>,
    /// The manager's own words: `active`, `inactive`, `failed`, …
    active: String,
    /// The service's own line.
    says: String,
    /// How often the manager has started it anew; `None` where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u32>,
}

/// Does what was asked and prints the result.
pub(crate) async fn service(common: &Common, verb: &ServiceVerb) -> Result<(), Failure> {
    let services = here();
    let done = match verb {
        ServiceVerb::Install => services.install().await?,
        ServiceVerb::Start => services.start().await?,
        ServiceVerb::Stop => services.stop().await?,
        ServiceVerb::Uninstall => services.uninstall().await?,
        ServiceVerb::Status => return say(common, &services.state().await?),
    };
    if common.json {
        return output::json(&serde_json::json!({ "schema": "upheld.agent-service-change/1", "done": done }));
    }
    output::lines(&done)
}

fn say(common: &Common, state: &State) -> Result<(), Failure> {
    let Some(place) = &state.installed else {
        return Err(
            Failure::new(Code::Missing, "upheld-agent is no service of this host").help(platform::INSTALL_OR_PACKAGE)
        );
    };
    if common.json {
        output::json(state)?;
    } else {
        let says = if state.says.is_empty() { String::new() } else { format!(": {}", state.says) };
        let anew = state.restarts.map(|times| format!("; started anew {times} times")).unwrap_or_default();
        output::lines(&[format!("{}{says}{anew}; {place}", state.active)])?;
    }
    if state.active == "active" {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, format!("the service is {}", state.active)).help(format!(
        "{}; why it ended: {}",
        platform::START_WITH_RIGHTS,
        platform::WHY_IT_ENDED
    )))
}

#[cfg(target_os = "linux")]
fn here() -> impl Services {
    systemd::Systemd
}

/// Why this process was asked to end by SIGTERM, in the words that the collector knows: whether its host goes down.
#[cfg(target_os = "linux")]
pub(crate) async fn why_terminated() -> &'static str {
    if bus::is_host_going_down().await { "shutdown requested" } else { "SIGTERM" }
}

/// The same where no manager can be asked.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) async fn why_terminated() -> &'static str {
    "SIGTERM"
}

#[cfg(windows)]
fn here() -> impl Services {
    windows::Manager
}

#[cfg(not(any(target_os = "linux", windows)))]
fn here() -> impl Services {
    NotBuilt
}

/// A platform whose half is not written.
#[cfg(not(any(target_os = "linux", windows)))]
struct NotBuilt;

#[cfg(not(any(target_os = "linux", windows)))]
impl NotBuilt {
    fn refusal<T>() -> Result<T, Failure> {
        let what = format!("`upheld-agent service` is not built for {} in this version", std::env::consts::OS);
        Err(Failure::new(Code::Missing, what).help("run it in the foreground: upheld-agent run"))
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
impl Services for NotBuilt {
    async fn install(&self) -> Result<Vec<String>, Failure> {
        Self::refusal()
    }

    async fn start(&self) -> Result<Vec<String>, Failure> {
        Self::refusal()
    }

    async fn stop(&self) -> Result<Vec<String>, Failure> {
        Self::refusal()
    }

    async fn state(&self) -> Result<State, Failure> {
        Self::refusal()
    }

    async fn uninstall(&self) -> Result<Vec<String>, Failure> {
        Self::refusal()
    }
}
