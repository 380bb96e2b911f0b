//! A program of PostgreSQL's that runs beside us: started without a shell, ended when we end.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child as Process, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::failure::{Exit, Failure};

/// Ends a program when the thread ends that started it: nothing is left behind when we are killed.
const WITH_US: &str = "/usr/bin/setpriv";
/// How many lines of what it says are kept.
const LINES: usize = 8;
/// The longest line that is kept.
const LINE_MAX: u64 = 1_000;
/// How long one that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Surroundings of a program: nothing of ours but these.
pub(super) type Surroundings = [(&'static str, String)];

/// A running program.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: Process,
    said: Arc<Mutex<VecDeque<String>>>,
    hearing: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts it. The thread that calls must live as long as the program shall.
    pub(super) fn start(program: &Path, arguments: &[&str], environment: &Surroundings) -> Result<Self, Failure> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = command(program, environment);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|error| Failure::new(Exit::Failed, format!("{name} cannot start")).because(error.to_string()))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let hearing = process.stderr.take().map(|stderr| {
            let said = Arc::clone(&said);
            thread::spawn(move || hear(BufReader::new(stderr), &said))
        });
        Ok(Self { name, process, said, hearing })
    }

    /// Whether it has ended: well, or with why it did not.
    pub(super) fn ended(&mut self) -> Option<Result<(), String>> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(self.verdict(status)),
            Err(error) => Some(Err(format!("{} cannot be waited for: {error}", self.name))),
        }
    }

    fn verdict(&mut self, status: ExitStatus) -> Result<(), String> {
        if status.success() {
            return Ok(());
        }
        // A program of its own may hold the other end open for longer than it lives.
        let begun = Instant::now();
        while self.hearing.as_ref().is_some_and(|hearing| !hearing.is_finished()) && begun.elapsed() < PATIENCE / 10 {
            thread::sleep(Duration::from_millis(5));
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> =
            said.iter().map(|line| line.strip_prefix(&format!("{}: ", self.name)).unwrap_or(line)).collect();
        let said = if lines.is_empty() { status.to_string() } else { lines.join("\n") };
        Err(format!("{} ended: {said}", self.name))
    }

    /// Ends it as its user would, so that what it wrote is whole.
    pub(super) fn end(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            interrupt(&mut self.process);
            let begun = Instant::now();
            while matches!(self.process.try_wait(), Ok(None)) {
                if begun.elapsed() > PATIENCE {
                    // What it had not finished is finished by the next one.
                    let _ = self.process.kill();
                    let _ = self.process.wait();
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a program to its end; what it said where it failed.
pub(super) fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ended = command(program, &[]).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("{name} cannot start: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let lines: Vec<_> =
        said.lines().take(LINES).map(|line| line.strip_prefix(&format!("{name}: ")).unwrap_or(line)).collect();
    Err(if lines.is_empty() { format!("{name}: {}", ended.status) } else { format!("{name}: {}", lines.join("\n")) })
}

fn command(program: &Path, environment: &Surroundings) -> Command {
    let mut command = if Path::new(WITH_US).is_file() {
        let mut command = Command::new(WITH_US);
        command.args(["--pdeathsig", "INT", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // A password goes this way: its command line is everybody's to read.
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command.env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    // Ctrl-C is for us, and we end it then.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

fn hear(mut stderr: impl std::io::BufRead, said: &Mutex<VecDeque<String>>) {
    loop {
        let mut line = Vec::new();
        match stderr.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() == LINES {
                    said.pop_front();
                }
                said.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }
}

#[cfg(unix)]
fn interrupt(process: &mut Process) {
    let pid = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw);
    // It has not been waited for: the number is still its own. Where it cannot be told it is killed later.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::INT));
}

#[cfg(not(unix))]
fn interrupt(process: &mut Process) {
    // There is no gentler way.
    let _ = process.kill();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn ended(child: &mut Child) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Some(ended) = child.ended() {
                return ended;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_that_fails_says_why_and_has_nothing_of_our_surroundings() {
        let mut child = Child::start(
            Path::new("/bin/sh"),
            &["-c", "echo \"sh: $PGUSER${HOME-}\" >&2; exit 3"],
            &[("PGUSER", "upheld".to_owned())],
        )
        .unwrap();
        assert_eq!(ended(&mut child), Err("sh ended: upheld".to_owned()));
        assert_eq!(run(Path::new("/bin/sh"), &["-c", "echo 'no room' >&2; exit 1"]), Err("sh: no room".to_owned()));
        assert_eq!(run(Path::new("/bin/true"), &[]), Ok(()));
    }

    #[test]
    fn it_ends_with_whoever_holds_it() {
        let child = Child::start(Path::new("/bin/sleep"), &["600"], &[]).unwrap();
        let process = format!("/proc/{}", child.process.id());
        assert!(Path::new(&process).exists());
        drop(child);
        assert!(!Path::new(&process).exists());
    }
}
