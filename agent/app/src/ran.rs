//! `ran`, `ping` and [`http`]: a job on this host tells that it ran. The running agent puts that into its journal, whether
//! its collector is to be reached or not; who asks is told at once whether the book knows the job.

pub(crate) mod http;
pub(crate) mod open;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, ObservedAt, RunEnd};

use crate::{
    cli::Common,
    failure::{Code, Failure},
    output,
    state::StateFolder,
    status::ask,
};

/// How long an agent that is being restarted is waited for.
const WAIT: Duration = Duration::from_secs(30);
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the job says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    pub(crate) job: String,
    /// Under the key by which older agents know an end.
    #[serde(rename = "ended")]
    pub(crate) step: Step,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<ObservedAt>,
    /// Which run, where several of a job overlap: the same for its begin and its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// What it printed.
    #[serde(skip)]
    pub(crate) printed: String,
}

/// Where in its run the job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// It begins.
    Start,
    /// It says something, and goes on.
    Log,
    Ok,
    Failed,
}

impl Step {
    /// How it ended, if it did.
    pub(crate) fn end(self) -> Option<RunEnd> {
        match self {
            Self::Start | Self::Log => None,
            Self::Ok => Some(RunEnd::Ok),
            Self::Failed => Some(RunEnd::Failed),
        }
    }
}

/// What the agent answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It is in the journal's hands.
    Taken(CheckId),
    /// It is not, and why.
    Refused(String),
}

/// `ran --json`.
#[derive(Debug, Serialize)]
struct Told {
    schema: &'static str,
    job: CheckId,
    ended: Step,
}

/// Tells the running agent.
pub(crate) fn ran(
    common: &Common,
    job: &str,
    step: Step,
    started: Option<&str>,
    run: Option<&str>,
) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    state.require_identity()?;
    let started = started.map(instant).transpose()?;
    let word = Word { job: job.to_owned(), step, started, run: run.map(str::to_owned), printed: String::new() };
    let question =
        serde_json::to_string(&word).map_err(|error| Failure::new(Code::Failed, "cannot ask").because(error))?;
    let answer = answer(&state, &format!("ran {question}\n"))?;
    match answer {
        Answer::Taken(job) if common.json => output::json(&Told { schema: "upheld.agent-ran/1", job, ended: step }),
        Answer::Taken(job) => {
            let told = "recorded, and told to the collector as soon as it is reached";
            output::lines(&[match step {
                Step::Start | Step::Log => format!("{job} began: kept by the agent, and told with its end"),
                Step::Ok => format!("{job} ran: {told}"),
                Step::Failed => format!("{job} failed: {told}"),
            }])
        }
        Answer::Refused(why) => Err(Failure::new(Code::Failed, "the agent does not take this word of a run")
            .why(why)
            .help("write the job into the site's file in the book and apply it; `upheld-agent status --sends` lists the jobs it has")),
    }
}

/// Asks until somebody answers: a job must not be lost because the agent is just being restarted.
fn answer(state: &StateFolder, question: &str) -> Result<Answer, Failure> {
    let begun = Instant::now();
    loop {
        let asked = ask(state, question).map_err(|error| {
            Failure::new(Code::Failed, format!("cannot tell the agent on {}", state.root().display()))
                .because(error)
                .help("tell it as the agent's own user, or as root")
        })?;
        if let Some(text) = asked.filter(|text| !text.is_empty()) {
            return serde_json::from_str(&text).map_err(|error| {
                Failure::new(Code::Failed, "the agent gave no answer that can be read")
                    .because(error)
                    .help("an older agent runs: restart it with this version")
            });
        }
        if begun.elapsed() > WAIT {
            return Err(Failure::new(Code::TryAgain, format!("no agent runs on {}", state.root().display()))
                .why("nothing was recorded")
                .help(format!("{}, and tell it again", crate::platform::START)));
        }
        std::thread::sleep(AGAIN_AFTER);
    }
}

/// `date +%s`, or any instant with its offset.
fn instant(text: &str) -> Result<ObservedAt, Failure> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.or_else(|| text.parse().ok()).map(ObservedAt).ok_or_else(|| {
        Failure::new(Code::Failed, format!("--started {text:?} is no instant"))
            .help("give it seconds, $(date +%s), or an instant with its offset, $(date -Is)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_what_date_prints() {
        let at = ObservedAt("2026-11-28T02:00:00Z".parse().unwrap());
        assert_eq!(instant(&at.0.as_second().to_string()).unwrap(), at);
        assert_eq!(instant("2026-11-27T20:00:00-06:00").unwrap(), at);
        assert!(instant("yesterday").unwrap_err().to_string().contains("date +%s"));
    }
}
