//! `drill`: a person plays an outage at this host and sees how far it goes: detect, match, clock, delivery (UX 3.2).
//!
//! The running agent does it ([`crate::run`]); this command asks it again and again, says each step as it ends with the
//! seconds since it began, and after a minute which step did not.

mod steps;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use upheld_model::DrillId;
use upheld_wire::v1::drill::DrillReport;

use crate::{
    cli::Common,
    clocks,
    failure::{Code, Failure},
    output,
    state::{Identity, StateFolder},
    status::ask,
};
use steps::{End, Step, Watch};

/// How long a drill is waited for (UX 1: within 60 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often the agent is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a drill is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The collector is asked whether it knows drills.
    Asking,
    /// The journal tells of it.
    Recorded {
        /// What the collector made of it.
        report: Option<Box<DrillReport>>,
        /// Why it could not be asked a moment ago.
        trouble: Option<String>,
    },
    /// Nothing was recorded.
    Refused(Refusal),
}

/// Why there is no drill, with the exit code and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    pub(crate) why: String,
}

/// Who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RefusalKind {
    /// This host.
    Local,
    /// Nobody answers.
    Unreachable,
    /// The collector takes nothing for now.
    Unavailable,
    /// The collector, this agent.
    Refused,
    /// It does not know drills.
    Older,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// One has begun.
    Begun {
        /// Which.
        id: DrillId,
    },
    /// One is under way.
    UnderWay {
        /// Which.
        id: DrillId,
        /// For how long.
        for_s: u64,
    },
    /// How far it is.
    Stands(Phase),
    /// None is played.
    Refused(Refusal),
}

impl Phase {
    /// Whether nothing comes after it.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Asking => false,
            Self::Refused(_) => true,
            Self::Recorded { report, .. } => {
                let opened = report.as_ref().and_then(|report| report.opened.as_ref());
                opened.is_some_and(|opened| opened.deliveries.iter().all(steps::is_settled))
            }
        }
    }
}

impl Refusal {
    pub(crate) fn local(why: String) -> Self {
        Self { kind: RefusalKind::Local, why }
    }

    pub(crate) fn unreachable(why: String) -> Self {
        Self { kind: RefusalKind::Unreachable, why }
    }

    pub(crate) fn unavailable(why: String) -> Self {
        Self { kind: RefusalKind::Unavailable, why }
    }

    pub(crate) fn refused(why: String) -> Self {
        Self { kind: RefusalKind::Refused, why }
    }

    pub(crate) fn older() -> Self {
        Self { kind: RefusalKind::Older, why: "the collector is older than this agent and knows no drills".to_owned() }
    }

    fn code(&self) -> Code {
        match self.kind {
            RefusalKind::Local | RefusalKind::Unavailable => Code::TryAgain,
            RefusalKind::Unreachable => Code::Unreachable,
            RefusalKind::Refused => Code::Refused,
            RefusalKind::Older => Code::Missing,
        }
    }

    fn todo(&self) -> &'static str {
        match self.kind {
            RefusalKind::Local => "upheld-agent drill, once more in a moment",
            RefusalKind::Unreachable | RefusalKind::Refused => "upheld-agent doctor",
            RefusalKind::Unavailable => {
                "ask the provider: upheld-collector queue says what the collector waits for; then upheld-agent drill"
            }
            RefusalKind::Older => "ask the provider to upgrade the collector; nothing was recorded",
        }
    }
}

/// `drill --json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    drill: DrillId,
    result: &'static str,
    seconds: f64,
    incident: Option<&'a str>,
    steps: &'a [Step],
    notes: &'a [String],
    todo: Vec<&'a str>,
}

/// Plays a drill to its end.
pub(crate) fn drill(common: &Common) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    let identity = state.require_identity()?;
    let begun = Instant::now();
    let id = match question(&state, "drill\n")? {
        Answer::Begun { id } => id,
        Answer::UnderWay { id, for_s } => {
            return Err(Failure::new(Code::TryAgain, "another drill of this host is under way")
                .why(format!("drill {id} began {for_s} s ago"))
                .help("wait until it has ended, a minute at most, then: upheld-agent drill"));
        }
        Answer::Refused(refusal) => return Err(failed_at("detect", &refusal.why, refusal.todo(), refusal.code())),
        Answer::Stands(_) => return Err(unreadable("it answered something else")),
    };
    let mut watch = Watch::default();
    let mut is_said = common.json;
    let trouble = loop {
        let trouble = match question(&state, &format!("drill {id}\n"))? {
            Answer::Stands(Phase::Asking) => Some("the collector has not answered yet".to_owned()),
            Answer::Stands(Phase::Recorded { report, trouble }) => {
                if !std::mem::replace(&mut is_said, true) {
                    output::lines(&[headline(&identity, id)])?;
                }
                let after = begun.elapsed();
                for step in watch.look(report.as_deref(), after) {
                    if !common.json {
                        print_step(step)?;
                    }
                }
                trouble
            }
            Answer::Stands(Phase::Refused(refusal)) | Answer::Refused(refusal) => {
                return Err(failed_at("detect", &refusal.why, refusal.todo(), refusal.code()));
            }
            Answer::Begun { .. } | Answer::UnderWay { .. } => return Err(unreadable("it answered something else")),
        };
        if watch.is_over() || begun.elapsed() >= PATIENCE {
            break trouble;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if let Some(step) = watch.give_up(trouble, begun.elapsed())
        && !common.json
    {
        print_step(step)?;
    }
    end(common, id, &watch, begun.elapsed())
}

fn end(common: &Common, id: DrillId, watch: &Watch, took: Duration) -> Result<(), Failure> {
    let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
    let worst = watch.worst();
    if common.json {
        let todo = worst.iter().filter_map(|step| step.todo.as_deref()).collect();
        let result = worst.map_or("ok", |step| step.end.word());
        output::json(&Document {
            schema: "upheld.agent-drill/1",
            drill: id,
            result,
            seconds,
            incident: watch.incident(),
            steps: watch.steps(),
            notes: watch.notes(),
            todo,
        })?;
    } else {
        let notes: Vec<String> = watch.notes().iter().map(|note| format!("  but       {note}")).collect();
        output::lines(&notes)?;
    }
    match worst {
        None if common.json => Ok(()),
        None => output::lines(&[format!(
            "ok: from the fault to the ticket in {seconds} s (60 s are allowed). It ends by itself and counts nowhere."
        )]),
        Some(step) => {
            let code = if step.end == End::Missing { Code::Partial } else { Code::Failed };
            Err(failed_at(step.step, &step.said, step.todo.as_deref().unwrap_or("upheld-agent doctor"), code))
        }
    }
}

fn headline(identity: &Identity, id: DrillId) -> String {
    let short = &id.to_string()[..8];
    format!(
        "Drill {short}: {} ({}, {}) plays an outage, marked as a drill everywhere.",
        clocks::host_name(),
        identity.client_name,
        identity.site_name
    )
}

fn print_step(step: &Step) -> Result<(), Failure> {
    output::lines(&[format!("  {:<8}  {:<7}  {:>4.1} s  {}", step.step, step.end.word(), step.after_s, step.said)])?;
    // Each step is seen as it ends, also through a pipe.
    std::io::stdout().flush().or(Ok(()))
}

fn failed_at(step: &str, why: &str, todo: &str, code: Code) -> Failure {
    Failure::new(code, format!("the drill did not get past {step}")).why(why).help(todo)
}

fn question(state: &StateFolder, question: &str) -> Result<Answer, Failure> {
    let asked = ask(state, question).map_err(|error| {
        Failure::new(Code::Failed, format!("cannot ask the agent on {}", state.root().display()))
            .because(error)
            .help("ask as the agent's own user, or as root")
    })?;
    let Some(text) = asked.filter(|text| !text.is_empty()) else {
        return Err(Failure::new(Code::TryAgain, format!("no agent runs on {}", state.root().display()))
            .why("a drill is played by the running agent; nothing was recorded")
            .help(format!("{}, then: upheld-agent drill", crate::platform::START)));
    };
    serde_json::from_str(&text).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(why: &str) -> Failure {
    Failure::new(Code::Failed, "the agent gave no answer that can be read")
        .why(why)
        .help("an older agent runs: systemctl restart upheld-agent, then: upheld-agent drill")
}
