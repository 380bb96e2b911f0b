//! One incident is one message, whenever the collector dies: between the noted intent and the call, and after the receiver
//! has taken it and before that is noted. A real receiver counts, by the id that each message has in its header.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Command,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use upheld_tests::{Agent, Collector, Program, book, peer, program, wait_for};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// What is unclear waits for two minutes, so that the indexes of ticket systems have caught up.
const LONG: Duration = Duration::from_secs(240);

/// Takes messages; what it is told to hold is taken and not answered until the test lets it go.
struct Desk {
    port: u16,
    taken: Arc<Mutex<Vec<(String, String)>>>,
    held: Receiver<()>,
    go: Sender<()>,
}

impl Desk {
    fn start(hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let taken = Arc::<Mutex<Vec<(String, String)>>>::default();
        let (keep, (tell, held), (go, going)) = (Arc::clone(&taken), channel(), channel());
        std::thread::spawn(move || {
            let mut holds = hold;
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some(message) = read(&mut reader) else { continue };
                keep.lock().expect("nobody panicked").push(message);
                if std::mem::take(&mut holds) {
                    tell.send(())
                        .and_then(|()| going.recv().map_err(|_| std::sync::mpsc::SendError(())))
                        .expect("a test");
                }
                // Who has died meanwhile hears nothing.
                let _ =
                    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { port, taken, held, go }
    }

    /// The ids of what was taken, and the bodies.
    fn taken(&self) -> Vec<(String, String)> {
        self.taken.lock().expect("nobody panicked").clone()
    }
}

/// The id and the body of a request.
fn read(reader: &mut BufReader<std::net::TcpStream>) -> Option<(String, String)> {
    let (mut length, mut id, mut line) = (0, String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if lower.starts_with("webhook-id:") {
            line["webhook-id:".len()..].trim().clone_into(&mut id);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((id, String::from_utf8(body).ok()?))
}

/// A collector that tells the desk, and an agent of a site where a service is away; neither runs.
fn site(desk: &Desk) -> (Collector, Agent) {
    let away = upheld_tests::free_port();
    let mut collector = Collector::new();
    let config = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let allowed = text.replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    std::fs::write(&config, allowed).expect("writing the configuration");
    let secrets = collector.data().join("secrets.toml");
    program::write(&secrets, &format!("desk = \"{SECRET}\"\n"));
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's only");
    let folder = collector.folder().join("book");
    let url = format!("http://127.0.0.1:{}/hook", desk.port);
    let asset = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{{ kind = \"net.tcp\", target = \"127.0.0.1\", port = {away}, \
         every = \"1s\", timeout = \"1s\", fail_after = 1 }}]\n"
    );
    book::write_book(&folder, &asset, Some((&url, "desk")));
    collector.apply(&folder);
    collector.serve();
    let agent = Agent::enroll(&collector.link(collector.port), &format!("loopback_ports = [{away}]\n"));
    collector.program().stop();
    (collector, agent)
}

/// Messages of the outbox and what became of them.
fn outbox(collector: &Collector) -> Vec<(String, String, i64)> {
    let database = collector.database();
    let mut rows =
        database.prepare("SELECT event, status, attempts FROM outbox WHERE channel = 'desk'").expect("a query");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// In the end the outbox is done with it, one incident is there, and every message of it had the same id and words.
fn assert_one_ticket(collector: &Collector, desk: &Desk, calls: usize) {
    wait_for("the message is delivered", LONG, || {
        let outbox = outbox(collector);
        (!outbox.is_empty() && outbox.iter().all(|(_, status, _)| status == "delivered")).then_some(())
    });
    let incidents: i64 =
        collector.database().query_row("SELECT count(*) FROM incidents", [], |row| row.get(0)).expect("a count");
    let taken = desk.taken();
    let different: BTreeSet<&(String, String)> = taken.iter().collect();
    println!(
        "{incidents} incident, {} calls, {} message; outbox {:?}",
        taken.len(),
        different.len(),
        outbox(collector)
    );
    assert_eq!((incidents, taken.len(), different.len()), (1, calls, 1), "{taken:?}");
}

#[test]
fn killed_between_the_intent_and_the_call_it_tells_once() {
    let desk = Desk::start(false);
    let (mut collector, mut agent) = site(&desk);
    let serve = collector.command(&["serve"]);
    let mut traced = Command::new(peer("strace"));
    // The only thing that this collector connects to is the desk.
    traced.args(["-D", "-f", "-qq", "-e", "trace=connect", "-e", "inject=connect:signal=SIGKILL:when=1", "-o"]);
    traced.arg(collector.folder().join("trace")).arg(serve.get_program()).args(serve.get_args());
    let mut dying = Program::start("upheld-collector", &mut traced, &collector.folder().join("traced.log"));
    agent.run();
    wait_for("the collector dies as it calls", Duration::from_secs(60), || dying.ended());
    let attempts = "SELECT count(*) FROM attempts WHERE ended_at IS NULL";
    let noted: i64 = collector.database().query_row(attempts, [], |row| row.get(0)).expect("a count");
    assert_eq!((noted, desk.taken().len()), (1, 0), "the intent is noted and nothing was said");
    collector.serve();
    assert_one_ticket(&collector, &desk, 1);
    agent.program().stop();
    collector.program().stop();
}

#[test]
fn killed_after_the_ticket_and_before_the_mark_it_tells_the_same_again_under_the_same_id() {
    let desk = Desk::start(true);
    let (mut collector, mut agent) = site(&desk);
    collector.serve();
    agent.run();
    desk.held.recv_timeout(Duration::from_secs(60)).expect("the desk has the message");
    collector.kill();
    desk.go.send(()).expect("the desk goes on");
    assert!(outbox(&collector).iter().all(|(_, status, _)| status != "delivered"), "{:?}", outbox(&collector));
    collector.serve();
    // This desk cannot be asked: it hears the same id again, by which it knows that it has it.
    assert_one_ticket(&collector, &desk, 2);
    agent.program().stop();
    collector.program().stop();
}
