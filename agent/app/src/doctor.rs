//! `doctor`: what is wrong with this host as an agent, each with a command to run. It changes nothing.
//!
//! What the running agent knows is asked of it; the rest is looked at here. The exit code is that of the first thing
//! that is wrong.

#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::CryptoProvider;
use serde::Serialize;
use upheld_wire::v1::{Problem, codes};

use crate::{
    cli::Common,
    clocks,
    failure::{Code, Failure},
    http::{Doubt, NoAnswer},
    identity::TlsIdentity,
    output, platform, secret,
    settings::Settings,
    state::{Identity, StateFolder},
    uplink::{Reach, Uplink},
};

/// Clocks that differ by more are worth a person's look.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Free space under which the journal may soon not be written.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// CAP_NET_RAW's bit (capabilities(7)).
#[cfg(target_os = "linux")]
const NET_RAW: u64 = 1 << 13;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    is_ok: bool,
    says: String,
    /// A command to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
    #[serde(skip)]
    code: Code,
}

impl Finding {
    fn ok(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, is_ok: true, says: says.into(), todo: None, code: Code::Failed }
    }

    fn wrong(what: &'static str, code: Code, says: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what, is_ok: false, says: says.into(), todo: Some(todo.into()), code }
    }

    /// As another command would have failed.
    fn failed(what: &'static str, failure: &Failure) -> Self {
        let (says, todo) = failure.said();
        Self { what, is_ok: false, says, todo, code: failure.code() }
    }

    fn line(&self) -> String {
        let word = if self.is_ok { "ok" } else { "WRONG" };
        let todo = self.todo.iter().map(|todo| format!("\n{:22}do: {todo}", ""));
        format!("  {:12} {word:6} {}{}", self.what, self.says, todo.collect::<String>())
    }
}

/// Looks at everything and prints it.
pub(crate) async fn doctor(common: &Common, provider: &Arc<CryptoProvider>) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    let findings = look(common, &state, provider).await;
    if common.json {
        output::json(&serde_json::json!({ "schema": "upheld.agent-doctor/1", "findings": findings }))?;
    } else {
        output::lines(&findings.iter().map(Finding::line).collect::<Vec<_>>())?;
    }
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.is_ok).collect();
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(first.code, format!("{} of {} to put right", wrong.len(), findings.len()))
            .why(format!("{}: {}", first.what, first.says))
            .help(first.todo.clone().unwrap_or_default())),
    }
}

async fn look(common: &Common, state: &StateFolder, provider: &Arc<CryptoProvider>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let identity = match state.require_identity() {
        Ok(identity) => identity,
        Err(failure) => {
            findings.push(Finding::failed("enrolment", &failure));
            findings.push(disk(state));
            return findings;
        }
    };
    let who = format!("{} for {}, site {}", identity.agent, identity.client_name, identity.site_name);
    findings.push(Finding::ok("enrolment", who));
    match Settings::load(common, Some(&identity))
        .and_then(|settings| settings.allow_list(common, Some(&identity)).map(|_| settings))
    {
        Err(failure) => findings.push(Finding::failed("settings", &failure)),
        Ok(settings) => {
            let proxy = settings.proxy.as_ref().map_or("no proxy".to_owned(), |proxy| format!("proxy {proxy}"));
            findings.push(Finding::ok("settings", proxy));
            findings.extend(collector(state, &identity, &settings, provider).await);
        }
    }
    findings.extend(secrets(state, &identity));
    findings.push(service(state));
    findings.extend(rights(state));
    findings.push(disk(state));
    findings
}

/// What checks need in order to log in; nothing to say where none does and nothing is damaged.
fn secrets(state: &StateFolder, identity: &Identity) -> Option<Finding> {
    let wanted = secret::wanted(state);
    let (secrets, wrong) = secret::all(state, identity);
    let missing: Vec<_> = wanted.iter().filter_map(|name| Some((name, secrets.find(name).err()?))).collect();
    match (missing.first(), wrong) {
        (Some((name, why)), _) => {
            let others = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
            Some(Finding::wrong(
                "secrets",
                Code::Missing,
                format!("{why}{others}; checks that need it are unknown"),
                format!("upheld-agent secret set {name}"),
            ))
        }
        (None, Some(why)) => Some(Finding::wrong("secrets", Code::Invalid, why, "upheld-agent secret list")),
        (None, None) if wanted.is_empty() => None,
        (None, None) => Some(Finding::ok("secrets", format!("each of the {} that checks name is here", wanted.len()))),
    }
}

/// The line: name, proxy, TLS by the pinned root, our certificate; and the collector's clock beside ours.
async fn collector(
    state: &StateFolder,
    identity: &Identity,
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Vec<Finding> {
    let uplink = match Uplink::open(state, &Reach::of(identity, settings, provider)) {
        Ok(uplink) => uplink,
        Err(failure) => return vec![Finding::failed("collector", &failure)],
    };
    let at = &identity.collector;
    let answer = match uplink.fetch_config().await {
        Ok(answer) => answer,
        Err(error) if error.doubts_us() == Doubt::Said => return vec![certificate_refused(at, state)],
        Err(error) => return vec![unreached(at, &error)],
    };
    let mut findings = vec![match answer.status {
        200 => Finding::ok("collector", format!("{at} shows the provider's key and takes this host's certificate")),
        _ => refused(at, identity, &answer.problem()),
    }];
    if let Some(theirs) = answer.date {
        findings.push(clock_beside(theirs, clocks::wall()));
    }
    findings
}

/// The collector's no, with who can change it.
fn refused(at: &str, identity: &Identity, problem: &Problem) -> Finding {
    let todo = match problem.code.as_str() {
        codes::PENDING => format!("ask the provider: upheld-collector agent approve {}", identity.agent),
        codes::CERTIFICATE_EXPIRED | codes::CERTIFICATE_VOID | codes::QUARANTINED => {
            "the running agent asks to be taken back; see how that stands: upheld-agent status".to_owned()
        }
        _ => "ask the provider: upheld-collector agent list".to_owned(),
    };
    Finding::wrong("collector", Code::Refused, format!("{at} refuses this host: {}", problem.title), todo)
}

/// The collector ended the connection over this host's certificate.
fn certificate_refused(at: &str, state: &StateFolder) -> Finding {
    let ends = TlsIdentity::load(state).map(|held| held.not_after.strftime("%F %H:%M UTC").to_string());
    let ends = ends.map(|ends| format!(", which ends {ends}")).unwrap_or_default();
    Finding::wrong(
        "collector",
        Code::Refused,
        format!("{at} does not take this host's certificate{ends}"),
        "the running agent asks for another by itself; see how that stands: upheld-agent status",
    )
}

fn unreached(at: &str, error: &NoAnswer) -> Finding {
    let todo = match error {
        NoAnswer::Unreachable(_) | NoAnswer::Broken(_) | NoAnswer::TooLong => {
            format!("curl -kv https://{at}/healthz; a proxy stands in agent.toml: proxy = \"http://…\"")
        }
        NoAnswer::WrongRoot | NoAnswer::Certificate(_) | NoAnswer::Tls(_) => {
            format!("somebody else may answer there: curl -kv https://{at}/healthz; compare the key with the portal's")
        }
    };
    Finding::wrong("collector", Code::Unreachable, format!("{at}: {}", error.words()), todo)
}

fn clock_beside(theirs: Timestamp, ours: Timestamp) -> Finding {
    let apart = theirs.duration_since(ours);
    // Their answer names whole seconds.
    if apart.abs() <= SKEW_MAX {
        return Finding::ok("clock", format!("within {} s of the collector's", SKEW_MAX.as_secs()));
    }
    let (seconds, side) = (apart.abs().as_secs(), if apart.is_positive() { "behind" } else { "ahead of" });
    let says = format!("{seconds} s {side} the collector's");
    Finding::wrong("clock", Code::Failed, says, platform::SET_CLOCK)
}

fn service(state: &StateFolder) -> Finding {
    match state.holder() {
        Some(pid) => Finding::ok("service", format!("runs, process {pid}")),
        None => Finding::wrong(
            "service",
            Code::Failed,
            "no agent runs",
            format!("{}; where there is none: {}", platform::START_WITH_RIGHTS, platform::INSTALL_WITH_RIGHTS),
        ),
    }
}

/// What the running agent may do. One that does not run has no rights that could be looked at.
#[cfg(target_os = "linux")]
fn rights(state: &StateFolder) -> Option<Finding> {
    let pid = state.holder()?;
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).ok()?;
    Some(match may_echo(&status) {
        true => Finding::ok("rights", "echo requests may be sent"),
        false => Finding::wrong(
            "rights",
            Code::Missing,
            "the running agent may not send echo requests",
            "printf '[Service]\\nAmbientCapabilities=CAP_NET_RAW\\nCapabilityBoundingSet=CAP_NET_RAW\\n' | sudo systemctl edit --stdin upheld-agent; sudo systemctl restart upheld-agent",
        ),
    })
}

/// Whether others may enter the folder: it was given to somebody by hand, then.
#[cfg(windows)]
fn rights(state: &StateFolder) -> Option<Finding> {
    Some(match platform::security::others_in(state.root()) {
        Ok(others) if others.is_empty() => Finding::ok("rights", "only the service and administrators use its folder"),
        Ok(others) => Finding::wrong(
            "rights",
            Code::Failed,
            format!("{} is open to {}", state.root().display(), others.join(", ")),
            "as an administrator: upheld-agent service install",
        ),
        Err(error) => Finding::wrong(
            "rights",
            Code::Failed,
            format!("{}: {error}", state.root().display()),
            platform::WHO_MAY_ASK,
        ),
    })
}

#[cfg(not(any(target_os = "linux", windows)))]
fn rights(_: &StateFolder) -> Option<Finding> {
    None
}

/// Whether a process with this `/proc/PID/status` has CAP_NET_RAW.
#[cfg(target_os = "linux")]
fn may_echo(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|rights| rights & NET_RAW != 0)
}

fn disk(state: &StateFolder) -> Finding {
    let mut place = state.root();
    while let (false, Some(above)) = (place.exists(), place.parent()) {
        place = above;
    }
    match free_bytes(place) {
        Err(error) => {
            Finding::wrong("disk", Code::Failed, format!("{}: {error}", place.display()), platform::FREE_SPACE)
        }
        Ok(free) => {
            let says = format!("{} MiB free for {}", free >> 20, place.display());
            if free >= FREE_BYTES_MIN {
                return Finding::ok("disk", says);
            }
            let todo = format!("free some: {} {}", platform::LARGEST, place.display());
            Finding::wrong("disk", Code::TryAgain, says, todo)
        }
    }
}

#[cfg(unix)]
fn free_bytes(place: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(place)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(windows)]
use platform::machine::free_bytes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_apart_says_which_way() {
        let ours: Timestamp = "2026-11-16T16:10:00Z".parse().unwrap();
        let beside = |seconds| clock_beside(ours + SignedDuration::from_secs(seconds), ours);
        assert!(beside(59).is_ok && beside(-60).is_ok);
        assert_eq!(beside(61).says, "61 s behind the collector's");
        assert_eq!(beside(-7200).says, "7200 s ahead of the collector's");
        assert!(
            beside(61).line().contains("WRONG") && beside(61).line().contains(&format!("do: {}", platform::SET_CLOCK))
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_right_to_send_an_echo_is_one_bit() {
        assert!(may_echo("Name:\tx\nCapEff:\t0000000000002000\n"));
        assert!(!may_echo("CapEff:\t0000000000001000\n") && !may_echo(""));
    }
}
