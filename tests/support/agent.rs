//! An agent of its own, in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binary,
    program::{self, Program},
};

/// An agent: its folder, and the running program if it runs.
pub struct Agent {
    program: Option<Program>,
    folder: TempDir,
    /// Where its state is, if not in its own folder.
    state: Option<PathBuf>,
}

impl Agent {
    /// Enrols with a link; what its checks may reach beyond the defaults stands in `allow` (TOML).
    pub fn enroll(link: &str, allow: &str) -> Self {
        let agent = Self::unenrolled(allow);
        let (code, out, err) = program::run(&mut agent.enrolment(link));
        assert_eq!(code, Some(0), "enrolment failed:\n{err}\n{out}");
        agent
    }

    /// A host that is no agent yet.
    pub fn unenrolled(allow: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        program::write(&folder.path().join("allow.toml"), allow);
        Self { program: None, folder, state: None }
    }

    /// A host with the state folder of another: a copy of its disk.
    pub fn at(state: PathBuf) -> Self {
        Self { program: None, folder: TempDir::new().expect("a folder"), state: Some(state) }
    }

    /// The command that enrols it.
    pub fn enrolment(&self, link: &str) -> Command {
        let mut command = self.command(&["enroll", link, "--allow"]);
        command.arg(self.folder.path().join("allow.toml"));
        command
    }

    /// Whether it is enrolled.
    pub fn is_enrolled(&self) -> bool {
        self.state().join("identity.json").exists()
    }

    /// The id that the collector gave it.
    pub fn id(&self) -> String {
        let text = std::fs::read_to_string(self.state().join("identity.json")).expect("its identity");
        let identity: Value = serde_json::from_str(&text).expect("JSON");
        identity["agent"].as_str().expect("an id").to_owned()
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.folder.path().join("state"))
    }

    /// A folder of this agent's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    pub fn run(&mut self) {
        let mut command = self.command(&["run"]);
        self.run_as(&mut command);
    }

    /// Starts it by another command (under strace, in a namespace).
    pub fn run_as(&mut self, command: &mut Command) {
        self.program = Some(Program::start("upheld-agent", command, &self.folder.path().join("agent.log")));
    }

    /// The running program.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the agent runs")
    }

    /// What `status --json` says; `None` while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let (code, out, _) = program::run(self.command(&["status"]).arg("--json"));
        (code == Some(0)).then(|| serde_json::from_str(&out).expect("status prints JSON"))
    }

    /// The command line on this agent's state.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("upheld-agent"));
        command.arg("--state").arg(self.state()).args(arguments);
        command
    }
}
