//! `exec.nagios`: a monitoring plugin of this host, by the name under which the site's own file spells it out.
//!
//! What is run stands in `allow.toml` alone, which the collector neither reads nor writes (SECURITY 1): a check of the
//! book only says the name. Where that file names no command, this module starts nothing, ever. A plugin's exit status
//! is the judgement (Monitoring Plugins Development Guidelines): 0 ok, 1 warn, 2 bad; 3 and whatever else can happen
//! to a program is unknown. Its performance data become values (`perf_s time`) and counters (`perf octets`).

#[cfg(all(target_os = "linux", any(test, feature = "fuzzing")))]
pub(crate) mod fuzzing;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod output;
#[cfg(target_os = "linux")]
mod process;

#[cfg(target_os = "linux")]
use std::{io, sync::Arc};

#[cfg(target_os = "linux")]
use tokio::sync::{Semaphore, oneshot};
use upheld_model::UnknownReason;
#[cfg(target_os = "linux")]
use upheld_model::{Counter, Outcome};

use crate::{AllowList, ProbeResult, deadline::Deadline};

/// The most that is kept of what a plugin prints.
#[cfg(target_os = "linux")]
const OUT_MAX: usize = 8 << 10;

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// All that it printed.
    pub(crate) out: Vec<u8>,
    /// The beginning of what it wrote to its standard error.
    pub(crate) complaint: String,
}

/// Plugins that run at once; a fifth waits.
#[cfg(target_os = "linux")]
const AT_ONCE: usize = 4;

/// The checks by plugins.
pub(crate) struct Plugins {
    #[cfg(target_os = "linux")]
    places: Arc<Semaphore>,
}

#[cfg(not(target_os = "linux"))]
impl Plugins {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) async fn run(&self, _: &AllowList, _: &str, _: Deadline) -> ProbeResult {
        ProbeResult::unknown(UnknownReason::CannotProbe, "monitoring plugins are run on Linux only in this version")
    }

    pub(crate) async fn print(
        &self,
        _: &AllowList,
        _: &str,
        _: &str,
        _: usize,
        _: Deadline,
    ) -> Result<Printed, ProbeResult> {
        let why = "commands of the site are run on Linux only in this version";
        Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
    }
}

#[cfg(target_os = "linux")]
impl Plugins {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs the command of this name as a plugin, if the site's administrator has spelt it out.
    pub(crate) async fn run(&self, allow: &AllowList, command: &str, deadline: Deadline) -> ProbeResult {
        let example = format!("[\"/usr/lib/nagios/plugins/{command}\"]");
        match self.ran(allow, command, &example, OUT_MAX, deadline).await {
            Ok(ran) => judge(command, &ran),
            Err(result) => result,
        }
    }

    /// What the command of this name prints, however it ends by itself; `example` is what its administrator might write.
    pub(crate) async fn print(
        &self,
        allow: &AllowList,
        command: &str,
        example: &str,
        out_max: usize,
        deadline: Deadline,
    ) -> Result<Printed, ProbeResult> {
        let ran = self.ran(allow, command, example, out_max, deadline).await?;
        match ran.end {
            process::End::Exited(_) if ran.is_cut => {
                let why = format!("{command} printed more than {} KiB", out_max >> 10);
                Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
            }
            process::End::Exited(_) => Ok(Printed { out: ran.out, complaint: ran.complaint }),
            process::End::Signal(_) | process::End::TooLate => Err(judge(command, &ran)),
        }
    }

    async fn ran(
        &self,
        allow: &AllowList,
        command: &str,
        example: &str,
        out_max: usize,
        deadline: Deadline,
    ) -> Result<process::Ran, ProbeResult> {
        let Some(argv) = allow.command(command).map(<[String]>::to_vec) else {
            let why = format!(
                "the site's allow.toml has no command {command}; its administrator would write there: [commands] \
                 {command} = {example}"
            );
            return Err(ProbeResult::unknown(UnknownReason::NotAllowed, why));
        };
        let Some(Ok(place)) = deadline.bound(Arc::clone(&self.places).acquire_owned()).await else {
            let why = format!("{command} did not get its turn: {AT_ONCE} other commands take long");
            return Err(ProbeResult::unknown(UnknownReason::Local, why));
        };
        let (tell, told) = oneshot::channel();
        // A thread of its own: it gives up rights before it starts the program, and the program may hang.
        let begun = std::thread::Builder::new().name("plugin".to_owned()).stack_size(128 << 10).spawn(move || {
            let ran = process::run(&argv, out_max, deadline);
            drop(place);
            // Nobody listens when the run was given up.
            let _ = tell.send(ran);
        });
        if let Err(error) = begun {
            return Err(ProbeResult::unknown(UnknownReason::Local, format!("{command}: no thread for it: {error}")));
        }
        match told.await {
            Ok(Ok(ran)) => Ok(ran),
            Ok(Err(error)) => Err(not_run(command, &error)),
            Err(_) => {
                let why = format!("{command}: its thread ended early");
                Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn not_run(command: &str, error: &io::Error) -> ProbeResult {
    let words = crate::fault::in_words(error);
    let why = if error.kind() == io::ErrorKind::NotFound {
        "its program is not on this host"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "the agent's user may not run its program"
    } else {
        &words
    };
    ProbeResult::unknown(UnknownReason::CannotProbe, format!("{command} could not be run: {why}"))
}

/// What a run of a plugin is worth.
#[cfg(target_os = "linux")]
fn judge(command: &str, ran: &process::Ran) -> ProbeResult {
    let output = output::read(&ran.out);
    let said = match (output.text.as_str(), ran.complaint.as_str()) {
        ("", "") => "it printed nothing".to_owned(),
        ("", complaint) => format!("it printed nothing but: {complaint}"),
        // One line: evidence has no line ends.
        (text, _) => text.replace('\n', "; "),
    };
    // In front of it: what is said in evidence is cut behind.
    let said = if ran.is_cut { format!("(of more than 8 KiB that it printed) {said}") } else { said };
    let result = match ran.end {
        process::End::Exited(0) => ProbeResult::new(Outcome::Ok).evidence(format!("{command}: {said}")),
        process::End::Exited(1) => ProbeResult::new(Outcome::Warn).evidence(format!("{command}: {said}")),
        process::End::Exited(2) => ProbeResult::bad(format!("{command}: {said}")),
        process::End::Exited(3) => {
            let why = format!("{command} says that it cannot tell: {said}");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        process::End::Exited(status) => {
            let why = format!("{command} ended with status {status}, which says nothing (0 to 3 do): {said}");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        process::End::Signal(signal) => {
            let why = format!("{command} was ended by signal {signal}: {said}");
            return ProbeResult::unknown(UnknownReason::Local, why);
        }
        process::End::TooLate => {
            let why = format!("{command} did not end in time: it was ended, with all that it had started");
            return ProbeResult::unknown(UnknownReason::Local, why);
        }
    };
    output.perf.into_iter().fold(result, |result, perf| match perf.measured {
        output::Measured::Number { value, unit } if unit.is_empty() => {
            result.value(format!("perf {}", perf.label), value)
        }
        output::Measured::Number { value, unit } => result.value(format!("perf_{unit} {}", perf.label), value),
        // Of whose start nobody knows: a count that goes back is no difference.
        output::Measured::Count(count) => {
            let epoch = crate::host::boot_id();
            result.counter(&format!("perf {}", perf.label), Counter(epoch.as_str().into(), count))
        }
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
