//! One running program and its log.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::wait_for;

/// A program in the background; its output goes to a log file that survives restarts.
pub struct Program {
    name: String,
    log: PathBuf,
    child: Option<Child>,
    /// An ERROR with one of these in its line is what the test is about.
    expected: Vec<&'static str>,
}

impl Program {
    /// Starts `command` with its output appended to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("the log file");
        let child = command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("starting {name}: {error}"));
        Self { name: name.to_owned(), log: log.to_owned(), child: Some(child), expected: Vec::new() }
    }

    /// The process id while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).id()
    }

    /// Ends it without warning, as a power cut would end its process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("sending SIGKILL");
            child.wait().expect("reaping it");
        }
    }

    /// Asks it to end (SIGTERM) and waits; it must end well.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sending SIGTERM");
        let status = wait_for(&format!("{} ends after SIGTERM", self.name), Duration::from_secs(15), || {
            child.try_wait().expect("asking for its state")
        });
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log_text());
    }

    /// Its exit status, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("asking for its state")
    }

    /// Everything it has logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// An ERROR whose line says this is what the test is about: somebody has to act, and is told so.
    pub fn expect_error(&mut self, words: &'static str) {
        self.expected.push(words);
    }

    /// Fails the test when the log holds an ERROR or a panic that is not expected: someone would have to act.
    pub fn assert_no_errors(&self) {
        let text = self.log_text();
        let bad: Vec<&str> = text
            .lines()
            .filter(|line| line.split_whitespace().take(3).any(|word| word == "ERROR") || line.contains("panicked at"))
            .filter(|line| !self.expected.iter().any(|words| line.contains(words)))
            .collect();
        assert!(bad.is_empty(), "{} logged errors:\n{}", self.name, bad.join("\n"));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; there is nothing left to do then.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let text = self.log_text();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- last lines of {}\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        } else {
            self.assert_no_errors();
        }
    }
}

/// Runs a program to its end; gives exit code, standard output and standard error.
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    run_given(command, Stdio::null())
}

/// The same with a standard input.
pub fn run_given(command: &mut Command, input: impl Into<Stdio>) -> (Option<i32>, String, String) {
    let output = command.env("NO_COLOR", "1").stdin(input).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// How a command failed: what it said to a person, and to a machine.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code.
    pub code: i32,
    /// Standard error without `--json`.
    pub text: String,
    /// The last line of standard output with it.
    pub exit_error: serde_json::Value,
}

/// Runs a command that must fail twice, for a person and with `--json` for a machine, and holds both to UX 3.1: one
/// exit code, `Error` on standard error and nothing on standard output, or one `exit_error` as the last line there.
pub fn refused(command: impl Fn() -> Command) -> Refusal {
    let (code, out, text) = run(&mut command());
    assert!(text.lines().any(|line| line.starts_with("Error: ")), "no `Error: ` in {text:?}");
    assert_eq!(out, "", "a refusal is no result");
    let (again, out, _) = run(command().arg("--json"));
    assert_eq!(code, again, "one failure, two exit codes: {text}\n{out}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let is_error = |line: &&serde_json::Value| line["type"] == "exit_error";
    assert_eq!(lines.iter().filter(is_error).count(), 1, "{out}");
    let exit_error = lines.into_iter().next_back().expect("a line");
    let code = code.expect("an exit code");
    assert_eq!((&exit_error["type"], &exit_error["code"]), (&"exit_error".into(), &code.into()), "{out}");
    Refusal { code, text, exit_error }
}

/// As [`run`], but it must succeed and print one JSON document.
pub fn json(command: &mut Command) -> serde_json::Value {
    let (code, out, err) = run(command);
    assert_eq!(code, Some(0), "{command:?}\n{err}\n{out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{command:?} printed no JSON ({error}):\n{out}"))
}

/// Creates a file for reading in a place where only this test writes.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
    let mut file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("writing");
}
