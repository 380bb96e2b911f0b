//! The stage: everything that runs during a demonstration, set up and torn down in one place.

use std::{
    collections::BTreeMap,
    fs,
    io::IsTerminal,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    book::{self, Calendar, Facts, Sample},
    programs::{Programs, Running},
    receiver::Receiver,
    service::Service,
    ups::{Nut, Ups},
};

/// The longest wait for something that should take seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// A message for the person who watches; results go to standard output, these do not.
pub(crate) fn say(message: &str) {
    eprintln!("{message}");
}

/// All that runs.
pub(crate) struct Stage {
    /// The two binaries.
    pub(crate) programs: Programs,
    /// The ticket system.
    pub(crate) receiver: Receiver,
    /// The devices of the site that this machine plays, by their assets; absent while a drill has stopped them.
    pub(crate) devices: BTreeMap<String, Service>,
    /// Where the device listened that a drill leaves down for a while.
    pub(crate) lost: Option<SocketAddr>,
    /// The supply on which they hang, where the drill needs one.
    pub(crate) ups: Option<Ups>,
    /// The calendar that the agreement uses.
    pub(crate) calendar: Calendar,
    /// The moment for which the book was written.
    pub(crate) since: Timestamp,
    /// The book that was made true for this machine.
    pub(crate) sample: Sample,
    folder: PathBuf,
    portal: String,
    keep: bool,
    collector: Option<Running>,
    agent: Option<Running>,
}

impl Stage {
    /// Builds, writes the book, starts collector and agent. `loopback_only` leaves the gateway alone; with `nut` there is
    /// a supply.
    pub(crate) async fn set_up(calendar: Calendar, loopback_only: bool, keep: bool, nut: Option<Nut>) -> Result<Self> {
        say("Building the two programs (a few minutes the first time) …");
        let programs = Programs::build().await?;
        let since = Timestamp::now();
        let folder = fresh_folder(since)?;
        let receiver = Receiver::start().await?;
        let sample = Sample::read()?;
        let mut devices = BTreeMap::new();
        for asset in sample.devices() {
            devices.insert(asset, Service::start().await?);
        }
        let ups = match nut {
            Some(nut) => Some(nut.start(&folder.join("nut")).await?),
            None => None,
        };
        let port = free_port()?;
        let mut stage = Self {
            programs,
            receiver,
            devices,
            lost: None,
            ups,
            calendar,
            since,
            sample,
            portal: format!("https://127.0.0.1:{port}"),
            folder,
            keep,
            collector: None,
            agent: None,
        };
        let started = stage.start(port, loopback_only).await;
        match started {
            Ok(()) => Ok(stage),
            Err(error) => {
                // The first error is the one to read; what tearing down adds is not.
                let _ = stage.tear_down(true).await;
                Err(error)
            }
        }
    }

    async fn start(&mut self, port: u16, loopback_only: bool) -> Result<()> {
        let backup = self.folder.join("backup");
        fs::create_dir_all(&backup)?;
        fs::write(backup.join("last-night.tar"), vec![0x55; 64 * 1024])?;
        let devices: BTreeMap<String, u16> =
            self.devices.iter().map(|(asset, device)| (asset.clone(), device.address.port())).collect();
        let facts = Facts {
            webhook_url: &self.receiver.url(),
            devices: &devices,
            ups_port: self.ups.as_ref().map(|ups| ups.port),
            portal_url: &self.portal,
            backup_folder: &backup,
            gateway: !loopback_only && Path::new("/proc/net/route").exists(),
            calendar: self.calendar,
            now: self.since,
        };
        self.sample.write(&self.folder.join("book"), &facts)?;

        let listen = format!("127.0.0.1:{port}");
        let data = self.path("data");
        let init = ["init", "--data", &data, "--listen", &listen, "--webhook-private-host", "127.0.0.1", "--json"];
        self.collector(&init).await?;
        self.write_collector_settings()?;
        self.collector(&["book", "apply", &self.path("book"), "--data", &data, "--json"]).await?;
        self.collector = Some(self.programs.start("upheld-collector", &["serve", "--data", &data], &self.folder)?);
        say(&format!("Collector on {}, data in {}", self.portal, data));

        let token = self
            .collector(&["agent", "token", "--client", book::CLIENT, "--site", book::SITE, "--data", &data, "--json"])
            .await?;
        let link = token["link"].as_str().context("`agent token --json` gave no link")?.to_owned();
        let ports = devices.values().copied().chain(facts.ups_port).chain([port]).collect();
        let allow = self.write_allow(ports, &backup)?;
        let state = self.path("agent");
        self.enroll(&link, &state, &allow).await?;
        self.agent = Some(self.programs.start("upheld-agent", &["run", "--state", &state], &self.folder)?);
        say("Agent enrolled and running; waiting for the first round of checks …");
        Ok(())
    }

    /// Waits until every check of this machine has been found good once.
    pub(crate) async fn wait_until_well(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            self.check_programs()?;
            let status = self.agent_status().await;
            let unwell = match &status {
                Ok(status) => unwell(status),
                Err(error) => vec![format!("{error:#}")],
            };
            if unwell.is_empty() {
                say("Every check of this machine is good.");
                return Ok(());
            }
            if started.elapsed() > WITHIN {
                bail!("not every check became good within {} s: {}", WITHIN.as_secs(), unwell.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Prints where to look, what this machine plays and what to try.
    pub(crate) async fn introduce(&self) -> Result<()> {
        let link = self.collector(&["login-link", "--data", &self.path("data"), "--json"]).await?;
        let link = link["link"].as_str().context("`login-link --json` gave no link")?;
        println!("The queue of clocks:  {}", self.portal);
        println!("Log in once with:     {link}");
        println!("                      (the certificate is self-made: the browser will ask)");
        println!("This machine plays:   {}/{}, one of three clients of the sample book", book::CLIENT, book::SITE);
        println!("What was promised:    upheld-collector book explain {} --data {}", book::CLIENT, self.path("data"));
        println!("Break something:      cargo quickstart --drill          a door controller, to the ticket and back");
        println!("                      cargo quickstart --drill=power    the UPS and all that hangs on it");
        println!("Logs, book, database: {}", self.folder.display());
        Ok(())
    }

    /// Runs the collector's command line on the demonstration's data and reads its JSON.
    pub(crate) async fn collector(&self, arguments: &[&str]) -> Result<Value> {
        self.programs.json("upheld-collector", arguments).await
    }

    /// The collector's data folder.
    pub(crate) fn data(&self) -> String {
        self.path("data")
    }

    /// Waits for `found` to answer; fails with `what` after `within`, or as soon as a program ends by itself.
    pub(crate) async fn wait_within<T>(
        &mut self,
        within: Duration,
        what: &str,
        mut found: impl AsyncFnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            self.check_programs()?;
            if let Some(value) = found(self).await? {
                return Ok(value);
            }
            if started.elapsed() > within {
                bail!("{what} did not happen within {} s", within.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Fails when one of the two programs has ended by itself.
    pub(crate) fn check_programs(&mut self) -> Result<()> {
        for program in [&mut self.collector, &mut self.agent].into_iter().flatten() {
            program.check()?;
        }
        Ok(())
    }

    /// Returns only when a program has ended by itself.
    pub(crate) async fn watch_programs(&mut self, every: Duration) -> Result<()> {
        loop {
            self.check_programs()?;
            tokio::time::sleep(every).await;
        }
    }

    /// Ends the agent, then the collector; removes the folder unless something failed or it is to be kept.
    pub(crate) async fn tear_down(mut self, failed: bool) -> Result<()> {
        let mut errors = Vec::new();
        let mut outcome = match self.ups.take() {
            Some(ups) => ups.stop().await,
            None => Ok(()),
        };
        for program in [self.agent.take(), self.collector.take()].into_iter().flatten() {
            let said = program.errors();
            outcome = outcome.and(program.stop().await);
            errors.extend(said);
        }
        if outcome.is_ok() && !errors.is_empty() {
            outcome = Err(anyhow::anyhow!("a program logged an error:\n{}", errors.join("\n")));
        }
        if failed || outcome.is_err() || self.keep {
            say(&format!("Logs, book and database are kept in {}", self.folder.display()));
        } else {
            fs::remove_dir_all(&self.folder).with_context(|| format!("removing {}", self.folder.display()))?;
        }
        outcome
    }

    async fn enroll(&self, link: &str, state: &str, allow: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let outcome = self
                .programs
                .json("upheld-agent", &["enroll", link, "--state", state, "--allow", allow, "--json"])
                .await;
            match outcome {
                Ok(_) => return Ok(()),
                // The collector may not listen yet.
                Err(error) if started.elapsed() < Duration::from_secs(15) && format!("{error:#}").contains("13") => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the agent says of its checks.
    pub(crate) async fn agent_status(&self) -> Result<Value> {
        self.programs.json("upheld-agent", &["status", "--state", &self.path("agent"), "--json"]).await
    }

    /// The agent watches loopback only because this file, written by the site's administrator (us), says so.
    fn write_allow(&self, mut ports: Vec<u16>, backup: &Path) -> Result<String> {
        let path = self.folder.join("allow.toml");
        ports.sort_unstable();
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let text = format!(
            "# Written by the quickstart for its own agent: what it may reach beyond the defaults.\n\
             loopback_ports = [{}]\n\
             paths = [\"{}\"]\n",
            ports.join(", "),
            backup.display()
        );
        fs::write(&path, &text)?;
        if std::io::stderr().is_terminal() {
            say(&format!("The agent's allow.toml:\n{text}"));
        }
        Ok(path.display().to_string())
    }

    fn write_collector_settings(&self) -> Result<()> {
        let path = self.folder.join("data/secrets.toml");
        fs::write(&path, format!("{} = \"{}\"\n", book::SECRET_NAME, self.receiver.secret))
            .with_context(|| format!("writing {}", path.display()))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The checks that are not good, in words.
fn unwell(status: &Value) -> Vec<String> {
    let Some(checks) = status["checks"].as_array().filter(|checks| !checks.is_empty()) else {
        return vec!["no check has run".to_owned()];
    };
    checks
        .iter()
        .filter(|check| check["state"] != "ok")
        .map(|check| format!("{} {}", check["check"], check["state"]))
        .collect()
}

fn fresh_folder(now: Timestamp) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("this program does not stand in a target folder")?;
    let folder = target.join("quickstart").join(now.strftime("%Y%m%dT%H%M%S%3fZ").to_string());
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    folder.canonicalize().context("finding the folder's full path")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("finding a free port")?.local_addr()?.port())
}
