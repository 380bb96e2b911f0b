//! The built binary, from outside: what it prints, how it exits, what it leaves on disk, what it sends.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the tests start the agent; it starts nothing")]

mod collector;
mod discover;
mod enroll;
mod pki;
mod run;
mod secret;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A host of its own: a state folder, and the agent if it runs.
struct Host {
    folder: TempDir,
    running: Option<Child>,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: TempDir::new().expect("a folder"), running: None };
        fs::write(host.path("allow.toml"), "loopback_echo = true\n").expect("an allow file");
        host
    }

    /// A host that is enrolled at `collector`.
    fn enrolled(collector: &collector::Collector) -> Self {
        let host = Self::new();
        let ended = host.agent(&["enroll", &collector.link()]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upheld-agent"));
        command.arg("--state").arg(self.state()).arg("--allow").arg(self.path("allow.toml")).args(arguments);
        command
    }

    /// Runs a command to its end.
    fn agent(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs a command that reads `input`.
    fn agent_given(&self, arguments: &[&str], input: &str) -> Ended {
        use std::io::Write;

        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // One that refuses its arguments reads nothing.
        let _ = child.stdin.take().expect("an input").write_all(input.as_bytes());
        Ended::from(child.wait_with_output().expect("it ends"))
    }

    /// Starts the agent itself.
    fn run(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log")).expect("a log");
        let child = self.command(&["run", "--log", "debug"]).stderr(log).stdout(Stdio::null()).spawn();
        self.running = Some(child.expect("the binary runs"));
    }

    /// Sends the agent a signal and waits for its end.
    fn end(&mut self, signal: &str) -> Option<i32> {
        let mut child = self.running.take().expect("the agent runs");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        child.wait().expect("it ends").code()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Waits until `status --json` shows what is looked for.
    fn wait_for_status<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        wait(what, || {
            let ended = self.agent(&["status", "--json"]);
            (ended.code == Some(0)).then(|| look(&ended.json()))?
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // The test has failed or is done with it; its state folder goes away next.
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                eprintln!("the agent's log:\n{}", self.log());
            }
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// The one document on stdout.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}", self.out))
    }

    /// The last line of a failed run with `--json`.
    fn exit_error(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_default();
        let line: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {:?}", self.out));
        assert_eq!((line["type"].as_str(), line["code"].as_i64()), (Some("exit_error"), self.code.map(i64::from)));
        line
    }
}

/// Waits for a level; fails with `what` after half a minute.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}
