//! Building and running the two real binaries.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

/// How long a program may take to end by itself before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Where the binaries are: beside this one, so in the same profile.
pub(crate) struct Programs {
    folder: PathBuf,
}

/// A program that runs in the background, its log in a file.
pub(crate) struct Running {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Programs {
    /// Builds both binaries; cargo's own progress goes to stderr.
    pub(crate) async fn build() -> Result<Self> {
        let own = std::env::current_exe().context("finding this program's own file")?;
        let folder = own.parent().context("this program has no folder")?.to_owned();
        let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        cargo.current_dir(workspace()).args(["build", "--bin", "upheld-agent", "--bin", "upheld-collector"]);
        // What `cargo run` says of this package is not true of the packages built here; a build script that asks
        // (ring's does) would build half the tree again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|own| text.starts_with(own)) {
                cargo.env_remove(&name);
            }
        }
        if folder.file_name() == Some(OsStr::new("release")) {
            cargo.arg("--release");
        }
        let status = cargo.stdout(Stdio::null()).status().await.context("starting cargo")?;
        if !status.success() {
            bail!("the binaries could not be built (cargo ended with {status})");
        }
        Ok(Self { folder })
    }

    /// Runs a program to its end and reads its one JSON document.
    pub(crate) async fn json(&self, name: &'static str, arguments: &[&str]) -> Result<Value> {
        self.json_with_input(name, arguments, "").await
    }

    /// As [`Programs::json`], with text on standard input.
    pub(crate) async fn json_with_input(&self, name: &'static str, arguments: &[&str], input: &str) -> Result<Value> {
        let mut child = Command::new(self.folder.join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let mut stdin = child.stdin.take().context("standard input was asked for above")?;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await.context("writing its input")?;
        drop(stdin);
        let output = child.wait_with_output().await.with_context(|| format!("waiting for {name}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!(
                "`{name} {}` ended with {}:\n{}{}",
                arguments.join(" "),
                output.status,
                said,
                String::from_utf8_lossy(&output.stdout)
            );
        }
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("`{name} {}` did not print JSON: {}", arguments.join(" "), String::from_utf8_lossy(&output.stdout))
        })
    }

    /// Starts a program in the background with its log in `folder`.
    pub(crate) fn start(&self, name: &'static str, arguments: &[&str], folder: &Path) -> Result<Running> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = Command::new(self.folder.join(name))
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Running { name, log, child })
    }
}

impl Running {
    /// Fails with the log's last lines when the program has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status}); its last words:\n{}", self.name, self.tail()),
        }
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Lines of its log that say ERROR: someone would have to act.
    pub(crate) fn errors(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .filter(|line| line.split_whitespace().take(3).any(|word| word == "ERROR"))
            .map(str::to_owned)
            .collect()
    }

    /// Asks the program to end and waits; kills it when it does not.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(pid) =
            self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended this very moment (Ctrl-C reaches the whole group): waiting tells.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => bail!("{} ended with {}:\n{}", self.name, status?, self.tail()),
            Err(_) => {
                self.child.kill().await?;
                bail!("{} did not end within {} s and was killed:\n{}", self.name, STOP_WITHIN.as_secs(), self.tail())
            }
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
