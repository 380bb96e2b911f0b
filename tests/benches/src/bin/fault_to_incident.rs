//! From the instant of a fault to its incident in the database and to its ticket at the receiver: the real agent and the
//! real collector, and faults that really happen (a listener closed, a server that begins to refuse, an address gone).
//! Usage: `fault_to_incident [FAULTS]` (default 100, for each of two settings), after `cargo build --release --bins` and
//! `cargo build --profile agent -p upheld-agent`.
//! Ends by itself within ten minutes. Needs root: it runs in network namespaces of its own.
//!
//! Each client has one site and at most twenty assets that hang on nothing, so that neither the brake on storms nor one
//! cause for several hides a fault.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use upheld_benches::median;
use upheld_tests::{Agent, Collector, book, namespace::sh, program, wait_for};

/// Assets of a client, one fault each; past the twentieth in five minutes the collector's brake on storms would act.
const OF_A_CLIENT: usize = 10;
/// Between two faults, on average. Ten clients fail independently.
const BETWEEN: Duration = Duration::from_millis(600);
/// Whoever is not told by then never will be.
const GIVEN_UP: Duration = Duration::from_secs(60);
/// Between two looks into the database: the measuring error.
const LOOK: Duration = Duration::from_millis(10);
/// The receiver's, who checks nothing.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "--inside";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let faults = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100).clamp(10, 200);
    if !arguments.iter().any(|argument| argument == INSIDE) {
        std::process::exit(inside_namespaces(faults));
    }
    // The mounts and this network are this process's own and end with it.
    sh(
        "ip link set lo up; mkdir -p /run/netns; mount -t tmpfs upheld-bench /run/netns
        ip netns add devices; ip -n devices link set lo up
        ip link add v0 type veth peer name v1 netns devices
        ip addr add 10.213.0.1/16 dev v0; ip link set v0 up
        ip -n devices addr add 10.213.0.2/16 dev v1; ip -n devices link set v1 up",
        &[],
    );
    println!("{faults} faults for each setting; the database is looked at every {} ms", LOOK.as_millis());
    run("defaults", 1, "", faults);
    run("every second", 2, ", every = \"1s\"", faults);
}

/// This program once more in a network of its own; everything in it ends with it.
fn inside_namespaces(faults: usize) -> i32 {
    let own = std::env::current_exe().expect("the bench's own file");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]).arg(own).args([INSIDE, &faults.to_string()]);
    command.status().expect("unshare runs").code().unwrap_or(1)
}

/// One way to fail.
enum Device {
    /// Takes connections until its listener is closed: from then on they are refused.
    Listener(Option<Listener>),
    /// Answers requests; after the fault with 503.
    Server(Arc<AtomicBool>),
    /// Answers echoes until its address is taken away: from then on nobody does.
    Address(String),
}

impl Device {
    fn kind(&self) -> &'static str {
        match self {
            Self::Listener(_) => "net.tcp, refused",
            Self::Server(_) => "net.http, 503",
            Self::Address(_) => "net.icmp, silent",
        }
    }

    fn fail(&mut self) {
        match self {
            Self::Listener(listener) => drop(listener.take()),
            Self::Server(fails) => fails.store(true, SeqCst),
            Self::Address(address) => sh("ip -n devices addr del $1/32 dev v1", &[address]),
        }
    }
}

/// A listener that takes connections on a thread of its own, and is closed when dropped.
struct Listener {
    ends: Arc<AtomicBool>,
    port: u16,
    taker: Option<thread::JoinHandle<()>>,
}

impl Listener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let taker = thread::spawn(move || {
            while !told.load(SeqCst) {
                drop(listener.accept());
            }
        });
        Self { ends, port, taker: Some(taker) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ends.store(true, SeqCst);
        // Wakes the thread, which then closes the listener.
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(taker) = self.taker.take() {
            taker.join().expect("it ends");
        }
    }
}

/// What the receiver took.
type Tickets = Arc<Mutex<Vec<(Instant, String)>>>;

/// One asset and what was seen of its fault.
struct Fault {
    client: String,
    asset: String,
    device: Device,
    at: Option<Instant>,
    /// Number and instant.
    seen: Option<(i64, Instant)>,
}

fn run(setting: &str, subnet: usize, every: &str, count: usize) {
    let clients = count.div_ceil(OF_A_CLIENT);
    let mut faults = Vec::new();
    let mut texts = BTreeMap::<String, (String, Vec<u16>)>::new();
    for number in 0..count {
        let (client, asset) = (format!("client-{}", number % clients), format!("thing-{number:03}"));
        let (text, ports) = texts.entry(client.clone()).or_default();
        let (device, check) = device(number, subnet, every, ports);
        *text += &format!("\n[[asset]]\nid = \"{asset}\"\nclass = \"server\"\nchecks = [{{ {check} }}]\n");
        faults.push(Fault { client, asset, device, at: None, seen: None });
    }
    let (receiver, tickets) = receiver();
    let mut collector = collector(&texts, receiver);
    let mut agents: Vec<Agent> = texts.iter().map(|(client, (_, ports))| agent(&collector, client, ports)).collect();
    for agent in &mut agents {
        agent.run();
    }
    wait_for("every check has run", Duration::from_secs(90), || {
        let all_well = agents.iter().all(|agent| {
            let status = agent.status().unwrap_or_default();
            let checks = status["checks"].as_array().cloned().unwrap_or_default();
            !checks.is_empty() && checks.iter().all(|check| check["state"] == "ok")
        });
        all_well.then_some(())
    });

    watch(&collector, &mut faults);
    wait_for("every ticket is posted", GIVEN_UP, || {
        let tickets = tickets.lock().expect("nobody panicked");
        let posted = faults.iter().filter(|fault| ticket(&tickets, fault).is_some()).count();
        (posted >= faults.iter().filter(|fault| fault.seen.is_some()).count()).then_some(())
    });
    report(setting, &faults, &tickets.lock().expect("nobody panicked"));
    for agent in &mut agents {
        agent.program().stop();
    }
    collector.program().stop();
}

/// The device of a number and the check that looks at it: of ten, six listeners, two servers, two addresses.
fn device(number: usize, subnet: usize, every: &str, ports: &mut Vec<u16>) -> (Device, String) {
    match number / 10 % 10 + number % 10 {
        place if place % 5 == 3 => {
            let (fails, port) = server();
            ports.push(port);
            (Device::Server(fails), format!("kind = \"net.http\", url = \"http://127.0.0.1:{port}/\"{every}"))
        }
        place if place % 5 == 4 => {
            let address = format!("10.213.{subnet}.{}", 1 + number);
            sh("ip -n devices addr add $1/32 dev v1", &[&address]);
            let check = format!("kind = \"net.icmp\", target = \"{address}\"{every}");
            (Device::Address(address), check)
        }
        _ => {
            let listener = Listener::new();
            ports.push(listener.port);
            let check = format!("kind = \"net.tcp\", target = \"127.0.0.1\", port = {}{every}", listener.port);
            (Device::Listener(Some(listener)), check)
        }
    }
}

/// Lets one after the other fail, at instants that no interval divides, and looks for their incidents meanwhile.
fn watch(collector: &Collector, faults: &mut [Fault]) {
    let database = collector.database();
    let (mut next, mut due, mut state) = (0, Instant::now(), 0x9e37_79b9_7f4a_7c15_u64);
    loop {
        if next < faults.len() && due <= Instant::now() {
            // Before: what the fault itself takes is in the figure.
            faults[next].at = Some(Instant::now());
            faults[next].device.fail();
            next += 1;
            // xorshift: anything that is not periodic will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            due += BETWEEN.mul_f64(2.0 * (state >> 11) as f64 / (1_u64 << 53) as f64);
        }
        look(&database, faults);
        let is_late = |fault: &Fault| fault.at.is_none_or(|at| fault.seen.is_none() && at.elapsed() < GIVEN_UP);
        if next == faults.len() && !faults.iter().any(is_late) {
            return;
        }
        thread::sleep(LOOK);
    }
}

fn look(database: &rusqlite::Connection, faults: &mut [Fault]) {
    let mut rows = database.prepare_cached("SELECT number, dedup FROM incidents").expect("the incidents");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("the incidents");
    let rows: Vec<(i64, String)> = rows.map(|row| row.expect("a row")).collect();
    let now = Instant::now();
    for fault in faults.iter_mut().filter(|fault| fault.at.is_some() && fault.seen.is_none()) {
        let about = format!("{0}/{0}-site/asset/{1}/down", fault.client, fault.asset);
        let row = rows.iter().find(|(_, dedup)| *dedup == about);
        fault.seen = row.map(|(number, _)| (*number, now));
    }
}

/// When the fault's ticket came.
fn ticket(tickets: &[(Instant, String)], fault: &Fault) -> Option<Instant> {
    let name = format!("\"{}/INC-{}\"", fault.client, fault.seen?.0);
    let is_it = |text: &String| text.contains("\"incident.opened\"") && text.contains(&name);
    tickets.iter().find(|(_, text)| is_it(text)).map(|(at, _)| *at)
}

fn report(setting: &str, faults: &[Fault], tickets: &[(Instant, String)]) {
    let mut of_kind = BTreeMap::<&str, Vec<f64>>::new();
    let (mut all, mut posted) = (Vec::new(), Vec::new());
    for fault in faults {
        let (Some(at), Some((_, seen))) = (fault.at, fault.seen) else {
            println!("{setting}: {} ({}) has no incident after {GIVEN_UP:?}", fault.asset, fault.device.kind());
            continue;
        };
        let took = seen.duration_since(at).as_secs_f64();
        of_kind.entry(fault.device.kind()).or_default().push(took);
        all.push(took);
        match ticket(tickets, fault) {
            Some(ticket) => posted.push(ticket.saturating_duration_since(seen).as_secs_f64()),
            None => println!("{setting}: {} has no ticket", fault.asset),
        }
    }
    println!("{setting}: {} of {} faults became an incident, {} a ticket", all.len(), faults.len(), posted.len());
    for (kind, took) in of_kind.into_iter().chain([("all", all)]) {
        println!("{setting}: fault to incident, {kind:<17} {}", spread(took));
    }
    println!("{setting}: incident to ticket                  {}", spread(posted));
}

/// Median, the 99th of a hundred, and the longest.
fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let p99 = figures.get((figures.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN);
    let longest = figures.last().copied().unwrap_or(f64::NAN);
    format!("median {:.3} s  p99 {p99:.3} s  max {longest:.3} s  ({})", median(figures.clone()), figures.len())
}

/// A collector with these clients, whose tickets go to a receiver on loopback.
fn collector(texts: &BTreeMap<String, (String, Vec<u16>)>, receiver: u16) -> Collector {
    let mut collector = Collector::new();
    let config = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let allowed = text.replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    program::write(&config, &allowed);
    let secrets = collector.data().join("secrets.toml");
    program::write(&secrets, &format!("desk = \"{SECRET}\"\n"));
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's only");
    let folder = collector.folder().join("book");
    let idle = "\n[[asset]]\nid = \"idle\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";
    book::write_book(&folder, idle, Some((&format!("http://127.0.0.1:{receiver}/hook"), "desk")));
    for (client, (assets, _)) in texts {
        write_client(&folder.join("clients").join(client), client, assets);
    }
    collector.apply(&folder);
    collector.serve();
    collector
}

fn write_client(folder: &Path, client: &str, assets: &str) {
    let site = format!("{client}-site");
    program::write(&folder.join("client.toml"), &format!("name = \"{client}\"\n"));
    program::write(
        &folder.join("ssa.toml"),
        &format!(
            "number = \"SSA-{client}\"\nsites = [\"{site}\"]\nfee = \"100.00/month\"\n\n\
             [[version]]\neffective_from = 2026-01-01\nplan = \"round-the-clock\"\n"
        ),
    );
    program::write(
        &folder.join(format!("sites/{site}.toml")),
        &format!("name = \"Site\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n{assets}"),
    );
}

fn agent(collector: &Collector, client: &str, ports: &[u16]) -> Agent {
    let site = format!("{client}-site");
    let token = collector.cli_json(&["agent", "token", "--client", client, "--site", &site, "--ttl", "1h"]);
    Agent::enroll(token["link"].as_str().expect("a link"), &format!("loopback_ports = {ports:?}\n"))
}

/// Whoever takes the tickets: each with the instant at which it was there whole.
fn receiver() -> (u16, Tickets) {
    let taken = Tickets::default();
    let keep = Arc::clone(&taken);
    let port = serve(move |request| {
        keep.lock().expect("nobody panicked").push((Instant::now(), request));
        "200 OK"
    });
    (port, taken)
}

/// A web server that is well until it is told to fail.
fn server() -> (Arc<AtomicBool>, u16) {
    let fails = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&fails);
    let port = serve(move |_| if told.load(SeqCst) { "503 Service Unavailable" } else { "200 OK" });
    (fails, port)
}

/// Serves one request a connection, each on a thread of its own.
fn serve(answer: impl Fn(String) -> &'static str + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let (mut length, mut line) = (0, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && !line.trim().is_empty() {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                // A visitor that only connects sends nothing.
                if line.is_empty() || reader.read_exact(&mut body).is_err() {
                    return;
                }
                let status = answer(String::from_utf8_lossy(&body).into_owned());
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // Who closed meanwhile has had his answer.
                let _ = reader.get_mut().write_all(head.as_bytes());
            });
        }
    });
    port
}
