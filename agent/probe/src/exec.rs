//! `exec.nagios`: a monitoring plugin of this host, by the name under which the site's own file spells it out.
//!
//! What is run stands in `allow.toml` alone, which the collector neither reads nor writes (SECURITY 1): a check of the
//! book only says the name. Where that file names no command and no unit's journal, this module starts nothing, ever. A plugin's exit status
//! is the judgement (Monitoring Plugins Development Guidelines): 0 ok, 1 warn, 2 bad; 3 and whatever else can happen
//! to a program is unknown. Its performance data become values (`perf_s time`) and counters (`perf octets`).

#[cfg(all(target_os = "linux", any(test, feature = "fuzzing")))]
pub(crate) mod fuzzing;
#[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code))]
mod output;
#[cfg(target_os = "linux")]
mod process;
#[cfg(any(target_os = "linux", windows))]
mod ran;
#[cfg(windows)]
mod windows;

#[cfg(any(target_os = "linux", windows))]
use std::{io, sync::Arc};

#[cfg(any(target_os = "linux", windows))]
use tokio::sync::{Semaphore, oneshot};
use upheld_model::UnknownReason;
#[cfg(any(target_os = "linux", windows))]
use upheld_model::{Counter, Outcome};

use crate::{AllowList, ProbeResult, deadline::Deadline};
#[cfg(target_os = "linux")]
use process::run;
#[cfg(windows)]
use windows::run;

/// The most that is kept of what a plugin prints.
#[cfg(any(target_os = "linux", windows))]
const OUT_MAX: usize = 8 << 10;

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// All that it printed.
    pub(crate) out: Vec<u8>,
    /// The beginning of what it wrote to its standard error.
    pub(crate) complaint: String,
}

/// The program that reads the systemd journal.
#[cfg(target_os = "linux")]
const JOURNALCTL: &str = "/usr/bin/journalctl";

/// What journalctl answered.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Answer {
    /// It ended with an error, which its complaint tells.
    pub(crate) is_refused: bool,
    /// The beginning of what it printed.
    pub(crate) out: Vec<u8>,
    /// It printed more than that.
    pub(crate) is_cut: bool,
    /// The beginning of what it wrote to its standard error.
    pub(crate) complaint: String,
}

/// Plugins that run at once; a fifth waits.
#[cfg(any(target_os = "linux", windows))]
const AT_ONCE: usize = 4;

/// The checks by plugins.
pub(crate) struct Plugins {
    #[cfg(any(target_os = "linux", windows))]
    places: Arc<Semaphore>,
}

#[cfg(not(any(target_os = "linux", windows)))]
impl Plugins {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) async fn run(&self, _: &AllowList, _: &str, _: Deadline) -> ProbeResult {
        ProbeResult::unknown(
            UnknownReason::CannotProbe,
            "monitoring plugins are run on Linux and Windows only in this version",
        )
    }

    pub(crate) async fn print(
        &self,
        _: &AllowList,
        _: &str,
        _: &str,
        _: usize,
        _: Deadline,
    ) -> Result<Printed, ProbeResult> {
        let why = "commands of the site are run on Linux and Windows only in this version";
        Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
    }
}

#[cfg(any(target_os = "linux", windows))]
impl Plugins {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs the command of this name as a plugin, if the site's administrator has spelt it out.
    pub(crate) async fn run(&self, allow: &AllowList, command: &str, deadline: Deadline) -> ProbeResult {
        let example = if cfg!(windows) {
            format!("[\"C:/plugins/{command}.exe\"]")
        } else {
            format!("[\"/usr/lib/nagios/plugins/{command}\"]")
        };
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
            ran::End::Exited(_) if ran.is_cut => {
                let why = format!("{command} printed more than {} KiB", out_max >> 10);
                Err(ProbeResult::unknown(UnknownReason::CannotProbe, why))
            }
            ran::End::Exited(_) => Ok(Printed { out: ran.out, complaint: ran.complaint }),
            ran::End::Signal(_) | ran::End::TooLate => Err(judge(command, &ran)),
        }
    }

    /// Asks the systemd journal, which the site's own file allows by naming it among its logs; `question` are words of
    /// this program's own and the unit that stands there. Of what it prints the beginning, and whether there was more.
    #[cfg(target_os = "linux")]
    pub(crate) async fn journalctl(
        &self,
        question: &[String],
        out_max: usize,
        deadline: Deadline,
    ) -> Result<Answer, ProbeResult> {
        let argv = [JOURNALCTL.to_owned()].into_iter().chain(question.iter().cloned()).collect();
        let ran = self.start("journalctl", argv, out_max, deadline).await?;
        match ran.end {
            ran::End::Exited(status) => {
                Ok(Answer { is_refused: status != 0, out: ran.out, is_cut: ran.is_cut, complaint: ran.complaint })
            }
            ran::End::Signal(_) | ran::End::TooLate => Err(judge("journalctl", &ran)),
        }
    }

    async fn ran(
        &self,
        allow: &AllowList,
        command: &str,
        example: &str,
        out_max: usize,
        deadline: Deadline,
    ) -> Result<ran::Ran, ProbeResult> {
        let Some(argv) = allow.command(command).map(<[String]>::to_vec) else {
            let why = format!(
                "the site's allow.toml has no command {command}; its administrator would write there: [commands] \
                 {command} = {example}"
            );
            return Err(ProbeResult::unknown(UnknownReason::NotAllowed, why));
        };
        self.start(command, argv, out_max, deadline).await
    }

    /// Runs these words, which the site's own file spells out: the caller has looked. `command` is what they are called.
    async fn start(
        &self,
        command: &str,
        argv: Vec<String>,
        out_max: usize,
        deadline: Deadline,
    ) -> Result<ran::Ran, ProbeResult> {
        let Some(Ok(place)) = deadline.bound(Arc::clone(&self.places).acquire_owned()).await else {
            let why = format!("{command} did not get its turn: {AT_ONCE} other commands take long");
            return Err(ProbeResult::unknown(UnknownReason::Local, why));
        };
        let (tell, told) = oneshot::channel();
        // A thread of its own: it gives up rights before it starts the program, and the program may hang.
        let begun = std::thread::Builder::new().name("plugin".to_owned()).stack_size(128 << 10).spawn(move || {
            let ran = run(&argv, out_max, deadline);
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

#[cfg(any(target_os = "linux", windows))]
fn not_run(command: &str, error: &io::Error) -> ProbeResult {
    let words = crate::fault::in_words(error);
    let why = if error.kind() == io::ErrorKind::NotFound {
        "its program is not on this host"
    } else if error.kind() == io::ErrorKind::InvalidInput {
        "on Windows a program ends with .exe and lies on a drive of this host; what a script would need quotes for is not run"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "the agent's user may not run its program"
    } else {
        &words
    };
    ProbeResult::unknown(UnknownReason::CannotProbe, format!("{command} could not be run: {why}"))
}

/// What a run of a plugin is worth.
#[cfg(any(target_os = "linux", windows))]
fn judge(command: &str, ran: &ran::Ran) -> ProbeResult {
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
        ran::End::Exited(0) => ProbeResult::new(Outcome::Ok).evidence(format!("{command}: {said}")),
        ran::End::Exited(1) => ProbeResult::new(Outcome::Warn).evidence(format!("{command}: {said}")),
        ran::End::Exited(2) => ProbeResult::bad(format!("{command}: {said}")),
        ran::End::Exited(3) => {
            let why = format!("{command} says that it cannot tell: {said}");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        ran::End::Exited(status) => {
            let why = format!("{command} ended with status {status}, which says nothing (0 to 3 do): {said}");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        ran::End::Signal(signal) => {
            let why = format!("{command} was ended by signal {signal}: {said}");
            return ProbeResult::unknown(UnknownReason::Local, why);
        }
        ran::End::TooLate => {
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

/// Whether Windows can be asked to start this without a shell: a program on a drive of this host. A `.bat` or `.cmd` is
/// read by `cmd.exe`, for which no argument can be quoted safely.
#[cfg_attr(not(windows), allow(dead_code))]
pub(crate) fn is_windows_program(program: &str) -> bool {
    let bytes = program.as_bytes();
    let is_on_drive = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':');
    // `x.bat.exe ` or `x.exe.`: Windows drops spaces and dots at the end, so what ends otherwise is another file.
    is_on_drive && program.to_ascii_lowercase().ends_with(".exe") && !program[2..].contains(':')
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
