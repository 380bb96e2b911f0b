//! The real NUT server with its dummy driver, as Debian packages them: the supply of the drill `power`.
//!
//! Both run in the foreground as children of the demonstration, on loopback, with their files in a folder of their own,
//! and end with it. They are looked for in `target/peers` (where `tests/run --peers` puts them) and on the system.

use std::{
    fmt, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::book::UPS_NAME;

/// How long driver and server may take to answer.
const WITHIN: Duration = Duration::from_secs(15);

/// The two programs.
pub(crate) struct Nut {
    driver: PathBuf,
    server: PathBuf,
}

/// A running supply.
pub(crate) struct Ups {
    /// Where its server listens.
    pub(crate) port: u16,
    folder: PathBuf,
    driver: Child,
    server: Child,
}

/// A program that the demonstration needs and does not find.
#[derive(Debug)]
pub(crate) struct Missing;

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the drill `power` needs the NUT server and its dummy driver, which are not on this machine. \
             Unpack them into target/peers with: tests/run --peers  (or install them with: apt-get install \
             --no-install-recommends nut-server)",
        )
    }
}

impl std::error::Error for Missing {}

impl Nut {
    /// Finds the programs, `target/peers` first.
    pub(crate) fn find() -> Result<Self> {
        let peers = target_folder()?.join("peers/bin");
        // /sbin/upsd only starts what /etc/nut names.
        let folders = [peers, PathBuf::from("/lib/nut"), PathBuf::from("/usr/lib/nut")];
        let program = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        match (program("dummy-ups"), program("upsd")) {
            (Some(driver), Some(server)) => Ok(Self { driver, server }),
            (None, _) | (_, None) => Err(Missing.into()),
        }
    }

    /// Starts the supply on line, its files in `folder`.
    pub(crate) async fn start(&self, folder: &Path) -> Result<Ups> {
        let port = TcpListener::bind("127.0.0.1:0").context("finding a free port")?.local_addr()?.port();
        fs::create_dir_all(folder.join("etc"))?;
        fs::create_dir_all(folder.join("run"))?;
        let write = |name: &str, text: String| fs::write(folder.join("etc").join(name), text);
        write(
            "ups.conf",
            format!(
                "pollinterval = 1\nmaxretry = 3\n[{UPS_NAME}]\n  driver = dummy-ups\n  port = {UPS_NAME}.dev\n  \
                 mode = dummy-once\n"
            ),
        )?;
        write(&format!("{UPS_NAME}.dev"), device("OL"))?;
        write("upsd.conf", format!("LISTEN 127.0.0.1 {port}\nSTATEPATH {}\nMAXAGE 5\n", folder.join("run").display()))?;
        write("upsd.users", String::new())?;
        restrict(&folder.join("run"), 0o750)?;
        for name in ["upsd.conf", "upsd.users"] {
            restrict(&folder.join("etc").join(name), 0o640)?;
        }
        let user = user();
        let driver = run(&self.driver, &["-F", "-a", UPS_NAME, "-u", &user], folder, "driver.log")?;
        let server = run(&self.server, &["-F", "-u", &user], folder, "upsd.log")?;
        let mut ups = Ups { port, folder: folder.to_owned(), driver, server };
        ups.wait_for("OL").await?;
        Ok(ups)
    }
}

impl Ups {
    /// Puts the supply on battery or back, and waits until its server says so.
    pub(crate) async fn set(&mut self, status: &str) -> Result<()> {
        let path = self.folder.join("etc").join(format!("{UPS_NAME}.dev"));
        let new = path.with_extension("new");
        fs::write(&new, device(status))?;
        fs::rename(&new, &path)?;
        self.wait_for(status).await
    }

    /// Ends both programs.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.server.kill().await.context("ending upsd")?;
        self.driver.kill().await.context("ending dummy-ups")
    }

    async fn wait_for(&mut self, status: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            for (name, child) in [("dummy-ups", &mut self.driver), ("upsd", &mut self.server)] {
                if let Some(ended) = child.try_wait()? {
                    bail!("{name} ended by itself ({ended}); its log is in {}", self.folder.display());
                }
            }
            let said = self.status().await;
            if said.as_deref().is_ok_and(|said| said == status) {
                return Ok(());
            }
            if started.elapsed() > WITHIN {
                let said = said.unwrap_or_else(|error| format!("{error:#}"));
                bail!("the NUT server did not say {status:?} within {} s: {said}", WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn status(&self) -> Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
        stream.write_all(format!("GET VAR {UPS_NAME} ups.status\n").as_bytes()).await?;
        let mut line = String::new();
        tokio::time::timeout(Duration::from_secs(2), stream.read_line(&mut line)).await.context("no answer")??;
        // VAR ups1 ups.status "OB DISCHRG"
        let status = line.split('"').nth(1).with_context(|| line.trim().to_owned())?;
        Ok(status.to_owned())
    }
}

fn device(status: &str) -> String {
    format!(
        "ups.mfr: Upheld quickstart\nups.model: Dummy 1500\nbattery.charge: 100\nbattery.runtime: 3600\n\
         battery.voltage: 27.3\ninput.voltage: 230.1\noutput.voltage: 230.0\nups.load: 21\nups.status: {status}\n"
    )
}

fn run(program: &Path, arguments: &[&str], folder: &Path, log: &str) -> Result<Child> {
    let log = fs::File::create(folder.join(log))?;
    let environment = [("NUT_CONFPATH", "etc"), ("NUT_STATEPATH", "run"), ("NUT_ALTPIDPATH", "run")];
    Command::new(program)
        .args(arguments)
        .envs(environment.map(|(name, within)| (name, folder.join(within))))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// NUT gives up root for a user of its own unless it is told another: the files here are ours.
fn user() -> String {
    let own = rustix::process::getuid().as_raw();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(own)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| "root".to_owned())
}

fn restrict(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("restricting {}", path.display()))
}

fn target_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(2).context("this program does not stand in a target folder")?.to_owned())
}
