//! `status`: asks the running agent and prints its answer for a person or a machine.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_wire::v1::{AgentConfig, codes};

use super::{Check, Document, StandingWord, socket};
use crate::{
    alarm::AlarmTarget,
    cli::Common,
    clocks,
    failure::{Code, Failure},
    output, platform, sends,
    settings::Settings,
    state::StateFolder,
    words,
};

/// `status --sends --json`.
#[derive(Debug, Serialize)]
struct Sends<'a> {
    schema: &'static str,
    to: &'a str,
    /// Who is told of failures of critical assets while the collector is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_to: Option<String>,
    always: &'a [&'a str],
    checks: Vec<CheckSends>,
    never: &'a str,
}

#[derive(Debug, Serialize)]
struct CheckSends {
    check: String,
    sends: String,
}

/// Prints how the agent is, or what it sends.
pub(crate) fn status(common: &Common, sends: bool, exit_code: bool) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    let identity = state.require_identity()?;
    if sends {
        let config = state.config()?;
        let alarm = Settings::load(common, Some(&identity))?.alarm;
        return print_sends(common, &identity.collector, alarm.as_ref(), config.as_ref());
    }
    let asked = socket::ask(&state, socket::STATUS).map_err(|error| {
        Failure::new(Code::Failed, format!("cannot ask the agent on {}", state.root().display()))
            .because(error)
            .help(platform::WHO_MAY_ASK)
    })?;
    let document = match asked {
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            Failure::new(Code::TryAgain, "the agent gave no answer that can be read")
                .because(error)
                .help("it may be stopping; ask again in a moment")
        })?,
        None => Document::resting(&identity),
    };
    if common.json {
        output::json(&document)?;
    } else {
        output::lines(&lines(&document, clocks::wall()))?;
    }
    judge(common, &state, &document, exit_code)
}

fn judge(common: &Common, state: &StateFolder, document: &Document, exit_code: bool) -> Result<(), Failure> {
    if !document.is_running {
        let what = match state.holder() {
            Some(pid) => format!("the agent on {} is starting or stopping (process {pid})", state.root().display()),
            None => format!("no agent runs on {}", state.root().display()),
        };
        return Err(Failure::new(Code::Failed, what).help(format!(
            "{}, or: upheld-agent --state {} run",
            platform::START,
            common.state.display()
        )));
    }
    let unwell = document.checks.iter().filter(|check| check.state != "ok").count();
    if exit_code && unwell > 0 {
        return Err(Failure::new(Code::NotOk, format!("{unwell} of {} checks are not ok", document.checks.len())));
    }
    Ok(())
}

fn lines(document: &Document, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("{:20} {}", document.host, standing(document, now))];
    lines.push(format!("  {:18} {}, site {}", "for", document.client_name, document.site_name));
    lines.extend(document.checks.iter().map(|check| check_line(check, now)));
    if let Some(waiting) = document.waiting {
        let oldest = document.oldest_waiting.map(|at| format!(", the oldest for {}", ago(at.0, now)));
        let oldest = oldest.filter(|_| waiting > 0).unwrap_or_default();
        lines.push(format!("  {:18} {waiting} reports waiting{oldest}{}", "queue", process(document)));
    }
    lines.extend(document.ailments.iter().map(|ailment| format!("  {:18} {ailment}", "ailment")));
    lines
}

fn standing(document: &Document, now: Timestamp) -> String {
    let accepted = match document.last_accepted {
        Some(at) => format!("last accepted {} ago", ago(at, now)),
        None => "nothing accepted since the start".to_owned(),
    };
    match &document.standing {
        StandingWord::Unknown => format!("enrolled, asking {}", document.collector),
        StandingWord::Good => format!("enrolled, reporting, {accepted}"),
        StandingWord::Unreachable { why } => {
            format!("enrolled, {} not reached ({why}), reports are kept, {accepted}", document.collector)
        }
        StandingWord::Refused { code } if code == codes::PENDING => {
            format!(
                "waits to be approved at {} (upheld-collector agent approve {}); what it sees is kept",
                document.collector, document.agent
            )
        }
        StandingWord::Refused { code } => {
            format!("refused by {} ({code}), observing goes on, {accepted}", document.collector)
        }
        StandingWord::Quarantined => {
            "quarantined: two hosts use this identity; ask the provider which one is real".to_owned()
        }
        StandingWord::NotRunning => format!("enrolled as {} at {}, not running", document.agent, document.collector),
    }
}

fn check_line(check: &Check, now: Timestamp) -> String {
    let reason = check.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("  {:32} {:10} for {}{reason}", check.check, check.state, ago(check.since.0, now))
}

fn process(document: &Document) -> String {
    let Some(process) = &document.process else { return String::new() };
    let memory = process.memory_bytes.map(|bytes| format!(", {:.1} MB memory", bytes as f64 / 1e6));
    let processor = process.processor_percent.map(|percent| format!(", {percent} % CPU"));
    format!("{}{}", memory.unwrap_or_default(), processor.unwrap_or_default())
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(at).max(SignedDuration::ZERO).unsigned_abs();
    words::duration(Duration::from_secs(passed.as_secs()))
}

fn print_sends(
    common: &Common,
    collector: &str,
    alarm: Option<&AlarmTarget>,
    config: Option<&AgentConfig>,
) -> Result<(), Failure> {
    let checks = config.map(sends::lines).unwrap_or_default();
    if common.json {
        let checks = checks.into_iter().map(|(check, sends)| CheckSends { check, sends }).collect();
        return output::json(&Sends {
            schema: "upheld.agent-sends/1",
            to: collector,
            alarm_to: alarm.map(AlarmTarget::host),
            always: sends::ALWAYS,
            checks,
            never: sends::NEVER,
        });
    }
    let others = match alarm {
        None => "and to nobody else".to_owned(),
        Some(alarm) => format!("and failures of critical assets to {} while that is away for 15 minutes", alarm.host()),
    };
    let mut lines = vec![format!("This host sends to {collector}, {others}:")];
    lines.extend(sends::ALWAYS.iter().map(|always| format!("  {always}")));
    lines.extend(checks.iter().map(|(check, sends)| format!("  {check:32} {sends}")));
    lines.push(sends::NEVER.to_owned());
    output::lines(&lines)
}

#[cfg(test)]
mod tests {
    use upheld_model::UnknownReason;

    use super::*;

    #[test]
    fn a_check_that_could_not_be_judged_says_why() {
        let now: Timestamp = "2026-11-16T16:12:12Z".parse().unwrap();
        let check = Check {
            check: "nvr-02/net.icmp".parse().unwrap(),
            kind: "net.icmp".to_owned(),
            state: "unknown".to_owned(),
            reason: Some(UnknownReason::CannotProbe),
            since: upheld_model::ObservedAt("2026-11-16T16:10:07Z".parse().unwrap()),
        };
        assert_eq!(
            check_line(&check, now),
            "  nvr-02/net.icmp                  unknown    for 2 min 5 s (cannot probe)"
        );
    }
}
