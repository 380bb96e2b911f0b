//! A real NUT server with its dummy driver, for one supply (tests/peers/nut.sh).

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;

use crate::{free_port, peer, program, wait_for};

/// The supply's name at the server.
pub const UPS: &str = "ups1";

/// A NUT server and its driver; both end with it.
pub struct Nut {
    /// Where the server listens.
    pub port: u16,
    work: TempDir,
}

impl Nut {
    /// Starts server and driver; the supply is on mains.
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    /// The same at this port.
    pub fn start_at(port: u16) -> Self {
        let nut = Self { port, work: TempDir::new().expect("a folder") };
        nut.script(&["start", &nut.port.to_string()]);
        nut.wait_for_status("OL");
        nut
    }

    /// Writes the supply's status where the driver reads it, once a second.
    pub fn set(&self, status: &str) {
        self.say("ups.status", status);
    }

    /// The same of any variable.
    pub fn say(&self, name: &str, value: &str) {
        let folder = self.work.path().join("etc");
        let device = std::fs::read_to_string(folder.join("ups1.dev")).expect("the driver's file");
        let mut lines: Vec<&str> = device.lines().filter(|line| !line.starts_with(&format!("{name}:"))).collect();
        let said = format!("{name}: {value}\n");
        lines.push(&said);
        std::fs::write(folder.join("new"), lines.join("\n")).expect("a file beside it");
        std::fs::rename(folder.join("new"), folder.join("ups1.dev")).expect("in its place");
    }

    /// Kills the driver.
    pub fn kill_driver(&self) {
        self.script(&["dead"]);
    }

    /// Starts the driver again.
    pub fn start_driver(&self) {
        self.script(&["driver"]);
    }

    /// Ends the server; its driver goes on.
    pub fn stop_server(&self) {
        self.script(&["server"]);
        wait_for("the NUT server ends", Duration::from_secs(10), || {
            TcpStream::connect(("127.0.0.1", self.port)).is_err().then_some(())
        });
    }

    /// Waits until the server itself says so.
    pub fn wait_for_status(&self, status: &str) {
        wait_for(&format!("the NUT server says {status}"), Duration::from_secs(15), || {
            (ask(&self.client()?, UPS)? == status).then_some(())
        });
    }

    /// Somebody else who asks the server every few milliseconds how often the supply went on battery.
    pub fn witness(&self) -> Witness {
        let client = self.client().expect("the NUT server takes a connection");
        Witness::begin(client)
    }

    fn client(&self) -> Option<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).ok()
    }

    fn script(&self, arguments: &[&str]) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/nut.sh");
        let mut command = Command::new("bash");
        command.arg(script).arg(self.work.path()).args(arguments).env("PATH", path());
        let (code, out, err) = program::run(&mut command);
        assert_eq!(code, Some(0), "nut.sh {arguments:?}: {out}{err}");
    }
}

impl Drop for Nut {
    fn drop(&mut self) {
        self.script(&["stop"]);
    }
}

/// Where the script finds NUT's programs: those that were unpacked, or those of an installed package.
fn path() -> OsString {
    let unpacked = peer("dummy-ups");
    let own = unpacked.parent().map(Path::to_owned).into_iter().chain([PathBuf::from("/lib/nut")]);
    let system: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    std::env::join_paths(own.chain(system)).expect("a PATH")
}

/// The status that the server tells; `None` when it tells none.
fn ask(client: &TcpStream, ups: &str) -> Option<String> {
    let mut asking = client;
    writeln!(asking, "GET VAR {ups} ups.status").ok()?;
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).ok()?;
    line.trim().strip_prefix(&format!("VAR {ups} ups.status "))?.trim_matches('"').to_owned().into()
}

/// Watches a server until it is asked what it saw.
pub struct Witness {
    transfers: Arc<AtomicU64>,
    latest: Arc<Mutex<String>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    fn begin(client: TcpStream) -> Self {
        let (transfers, latest, is_over) = <(Arc<AtomicU64>, Arc<Mutex<String>>, Arc<AtomicBool>)>::default();
        let (counted, said, over) = (Arc::clone(&transfers), Arc::clone(&latest), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let is_on_battery = |status: &str| status.split(' ').any(|word| word == "OB");
            while !over.load(Ordering::SeqCst) {
                if let Some(status) = ask(&client, UPS) {
                    let mut before = said.lock().expect("a status");
                    counted.fetch_add(u64::from(is_on_battery(&status) && !is_on_battery(&before)), Ordering::SeqCst);
                    *before = status;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { transfers, latest, is_over, thread: Some(thread) }
    }

    /// How often the supply went on battery.
    pub fn transfers(&self) -> u64 {
        self.transfers.load(Ordering::SeqCst)
    }

    /// What the server said last.
    pub fn status(&self) -> String {
        self.latest.lock().expect("a status").clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It only failed if its test fails as well.
            let _ = thread.join();
        }
    }
}
