//! A PostgreSQL of the tests' own: Debian's, in a temporary folder, on a free port of loopback, with TLS and scram.
//! The store's tests include this file by its path.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const GET_IT: &str = "PostgreSQL 15 is missing: apt-get install -y postgresql-15";
/// PostgreSQL refuses to run as root; its package has this user.
const USER: &str = "postgres";
/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It ends with the last test that holds it.
pub struct Server {
    folder: TempDir,
    options: Vec<String>,
    /// Its port.
    pub port: u16,
    process: u32,
    stop: Option<mpsc::Sender<()>>,
    waiter: Option<JoinHandle<()>>,
    databases: AtomicU32,
}

impl Server {
    /// The server that all tests of this process share.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server of one test's own, which it may stop and kill. It never waits for the disk.
    pub fn start() -> Self {
        Self::start_in(Self::folder(), &[])
    }

    /// One whose commits are synced, for figures.
    pub fn durable() -> Self {
        Self::start_in(Self::folder(), &["fsync=on"])
    }

    /// A place for a server's data.
    pub fn folder() -> TempDir {
        tempfile::Builder::new().prefix("upheld-pg").tempdir().unwrap()
    }

    /// A new server in this folder, with more settings (`NAME=VALUE`).
    pub fn start_in(folder: TempDir, settings: &[&str]) -> Self {
        assert!(Path::new(PROGRAMS).join("postgres").exists(), "{GET_IT}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(folder.path().join("password"), "upheld").unwrap();
        owned_by_postgres(&data);
        owned_by_postgres(&folder.path().join("password"));
        let made = program("initdb")
            .args(["--username=upheld", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"])
            .arg("--pwfile")
            .arg(folder.path().join("password"))
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        certificates(folder.path(), &data);
        Self::around(folder, free_port(), settings)
    }

    /// Starts a server on the data in a folder, wherever that came from.
    pub fn around(folder: TempDir, port: u16, settings: &[&str]) -> Self {
        let options: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let (stop, waiter, process) = run(folder.path(), port, &options);
        Self { folder, options, port, process, stop: Some(stop), waiter: Some(waiter), databases: AtomicU32::new(0) }
    }

    /// The address of a new database, whose locale sorts as a dictionary does.
    pub fn database(&self) -> String {
        let name = format!("desk_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(
            "postgres",
            &format!(
                "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' STRATEGY file_copy"
            ),
        );
        self.address(&name)
    }

    /// The address of one of its databases.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://upheld:upheld@localhost:{}/{database}", self.port)
    }

    /// The certificate of the authority that vouches for this server.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Runs a text as the administrator; what it answered.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let told = Command::new(Path::new(PROGRAMS).join("psql"))
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "upheld", "-d", database, "-c", text])
            .arg("-p")
            .arg(self.port.to_string())
            .env("PGPASSWORD", "upheld")
            .env("PGSSLMODE", "require")
            .output()
            .unwrap();
        assert!(told.status.success(), "{text}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    }

    /// Ends the server at once, as a crash does, and starts it again.
    pub fn crash(&mut self) {
        self.end("QUIT");
        self.begin();
    }

    /// Starts it where it was ended.
    pub fn begin(&mut self) {
        let (stop, waiter, process) = run(self.folder.path(), self.port, &self.options);
        (self.stop, self.waiter, self.process) = (Some(stop), Some(waiter), process);
    }

    /// Ends it by a signal, and waits until nothing of it is left.
    pub fn end(&mut self, signal: &str) {
        let children = format!("/proc/{0}/task/{0}/children", self.process);
        let children = fs::read_to_string(children).unwrap_or_default();
        let told = Command::new("kill").args(["-s", signal]).arg(self.process.to_string()).status();
        if let (Ok(_), Some(stop), Some(waiter)) = (told, self.stop.take(), self.waiter.take()) {
            let _ = stop.send(());
            drop(waiter.join());
        }
        let begun = Instant::now();
        for child in children.split_whitespace() {
            // They notice by themselves that their parent is gone.
            while Path::new("/proc").join(child).exists() && begun.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("INT");
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether a server takes connections there.
pub fn answers(port: u16) -> bool {
    let mut asked = Command::new(Path::new(PROGRAMS).join("pg_isready"));
    asked.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status().unwrap().success()
}

/// Starts the server; its thread waits for its end, and it ends when this process is killed.
fn run(folder: &Path, port: u16, options: &[String]) -> (mpsc::Sender<()>, JoinHandle<()>, u32) {
    let (stop, stopped) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let mut command = program("postgres");
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"])
        .args(["-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=400"])
        .args(options.iter().flat_map(|option| ["-c", option.as_str()]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let waiter = thread::spawn(move || {
        let mut child = command.spawn().unwrap();
        tell.send(child.id()).unwrap();
        // The kernel ends the child with the thread that made it, so this one stays.
        let _ = stopped.recv();
        drop(child.wait());
    });
    let process = told.recv().unwrap();
    let begun = Instant::now();
    loop {
        if answers(port) {
            return (stop, waiter, process);
        }
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start: {}", log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// A program of PostgreSQL's, as its own user when we are root, ended by the kernel when we are.
pub fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if is_root() {
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
    }
    // A client's programs look for certificates at home, and root's home is closed to them.
    command.arg("--").arg(Path::new(PROGRAMS).join(name)).current_dir("/").env("HOME", "/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata("/proc/self") {
        Ok(own) => own.uid() == 0,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => std::panic::panic_any(error.to_string()),
    }
}

/// Gives a file or folder to its user, for him alone.
pub fn owned_by_postgres(path: &Path) {
    if is_root() {
        let told = Command::new("chown").arg("-R").arg(format!("{USER}:")).arg(path).status().unwrap();
        assert!(told.success(), "{GET_IT}");
    }
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// An authority, and the server's certificate by it for `localhost` alone.
fn certificates(folder: &Path, data: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name of its own: OpenSSL, which PostgreSQL's programs use, takes a certificate for self-signed whose issuer has
    // the same.
    params.distinguished_name.push(DnType::CommonName, "the authority of these tests");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    fs::write(data.join("server.crt"), server.pem()).unwrap();
    fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
    for file in ["server.crt", "server.key"] {
        owned_by_postgres(&data.join(file));
    }
}
