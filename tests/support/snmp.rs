//! A real SNMP agent (net-snmp) whose tables are lines of a file (tests/peers/snmpd.sh), and a real apcupsd in front of it
//! (tests/peers/apcupsd.sh).

use std::{
    collections::BTreeMap,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use tempfile::TempDir;

use crate::{free_port, peer, program, wait_for};

/// A supply on mains, by UPS-MIB (RFC 1628).
pub const UPS: &str = "\
.1.3.6.1.2.1.33.1.1.1.0 string Upheld Test
.1.3.6.1.2.1.33.1.1.2.0 string RFC1628 1500
.1.3.6.1.2.1.33.1.1.5.0 string rack-ups
.1.3.6.1.2.1.33.1.2.1.0 integer 2
.1.3.6.1.2.1.33.1.2.2.0 integer 0
.1.3.6.1.2.1.33.1.2.3.0 integer 60
.1.3.6.1.2.1.33.1.2.4.0 integer 100
.1.3.6.1.2.1.33.1.2.5.0 integer 273
.1.3.6.1.2.1.33.1.2.7.0 integer 25
.1.3.6.1.2.1.33.1.3.1.0 counter 0
.1.3.6.1.2.1.33.1.3.2.0 integer 1
.1.3.6.1.2.1.33.1.3.3.1.2.1 integer 500
.1.3.6.1.2.1.33.1.3.3.1.3.1 integer 230
.1.3.6.1.2.1.33.1.4.1.0 integer 3
.1.3.6.1.2.1.33.1.4.2.0 integer 500
.1.3.6.1.2.1.33.1.4.3.0 integer 1
.1.3.6.1.2.1.33.1.4.4.1.2.1 integer 230
.1.3.6.1.2.1.33.1.4.4.1.5.1 integer 21
.1.3.6.1.2.1.33.1.6.1.0 gauge 0
.1.3.6.1.2.1.33.1.7.3.0 integer 1
";
/// Where a supply says what feeds its output: 3 mains, 5 battery.
pub const OUTPUT_SOURCE: &str = ".1.3.6.1.2.1.33.1.4.1.0";

/// An SNMP agent; it ends with it.
pub struct Snmpd {
    /// Where it listens, by UDP.
    pub port: u16,
    object_id: String,
    rows: Mutex<BTreeMap<String, String>>,
    work: TempDir,
}

impl Snmpd {
    /// Starts an agent that answers from these lines, `OID TYPE VALUE`; `object_id` is what it says it is, or net-snmp's own
    /// where that is empty.
    pub fn start(lines: &str, object_id: &str) -> Self {
        Self::start_at(free_port(), lines, object_id)
    }

    /// The same at a port of its own, such as 161 in a network of one's own.
    pub fn start_at(port: u16, lines: &str, object_id: &str) -> Self {
        let rows = lines.lines().filter_map(|line| line.split_once(' '));
        let rows = rows.map(|(oid, value)| (oid.to_owned(), value.to_owned())).collect();
        let work = TempDir::new().expect("a folder");
        let agent = Self { port, object_id: object_id.to_owned(), rows: Mutex::new(rows), work };
        agent.write();
        agent.begin();
        agent
    }

    /// Starts it again after [`Snmpd::stop`].
    pub fn begin(&self) {
        self.script(&["start", &self.port.to_string(), &self.object_id]);
    }

    /// Puts a row in place of the one before: `("…4.1.0", "integer 5")`.
    pub fn set(&self, oid: &str, value: &str) {
        self.rows.lock().expect("its rows").insert(oid.to_owned(), value.to_owned());
        self.write();
    }

    /// Takes a row away.
    pub fn remove(&self, oid: &str) {
        self.rows.lock().expect("its rows").remove(oid);
        self.write();
    }

    /// Ends it: nothing answers at its port any more.
    pub fn stop(&self) {
        self.script(&["stop"]);
    }

    fn write(&self) {
        let rows = self.rows.lock().expect("its rows");
        let text: String = rows.iter().map(|(oid, value)| format!("{oid} {value}\n")).collect();
        std::fs::write(self.work.path().join("new"), text).expect("its tables");
        std::fs::rename(self.work.path().join("new"), self.work.path().join("data")).expect("in their place");
    }

    fn script(&self, arguments: &[&str]) {
        script("snmpd.sh", self.work.path(), arguments);
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An apcupsd; it ends with it.
pub struct Apcupsd {
    /// Where it listens, by TCP.
    pub port: u16,
    work: TempDir,
}

impl Apcupsd {
    /// Starts one in front of this agent; of apcupsd's own supply that never changes where there is none.
    pub fn start(supply: Option<&Snmpd>) -> Self {
        let apcupsd = Self { port: free_port(), work: TempDir::new().expect("a folder") };
        let supply = supply.map_or("test".to_owned(), |agent| agent.port.to_string());
        script("apcupsd.sh", apcupsd.work.path(), &["start", &apcupsd.port.to_string(), &supply]);
        wait_for("apcupsd takes a connection", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", apcupsd.port)).ok().map(drop)
        });
        apcupsd
    }

    /// Ends it.
    pub fn stop(&self) {
        script("apcupsd.sh", self.work.path(), &["stop"]);
    }
}

impl Drop for Apcupsd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn script(name: &str, work: &Path, arguments: &[&str]) {
    let mut command = Command::new("bash");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    let own = ["snmpd", "snmpget", "apcupsd"].map(|program| peer(program).parent().map(Path::to_owned));
    let system = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(own.into_iter().flatten().chain(std::env::split_paths(&system))).expect("a PATH");
    command.arg(script).arg(work).args(arguments).env("PATH", path);
    let (code, out, err) = program::run(&mut command);
    assert_eq!(code, Some(0), "{name} {arguments:?}: {out}{err}");
}
