//! One incident is one ticket, whenever the collector dies: between the noted intent and the call, and after the receiver
//! has taken it and before that is noted. A real receiver counts, by the id that each message has in its header; where the
//! book says so it is asked first.

use std::{process::Command, time::Duration};

use upheld_tests::{
    Agent, Collector, Program, book, peer,
    receiver::{self, Receiver},
    wait_for,
};

/// What is unclear waits for two minutes, so that the indexes of ticket systems have caught up.
const LONG: Duration = Duration::from_secs(240);

/// A collector that tells the desk, and an agent of a site where a service is away; neither runs.
fn site(desk: &Receiver, can_be_asked: bool) -> (Collector, Agent) {
    let away = upheld_tests::free_port();
    let mut collector = Collector::new();
    receiver::allow(&collector);
    let folder = collector.folder().join("book");
    let asset = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{{ kind = \"net.tcp\", target = \"127.0.0.1\", port = {away}, \
         every = \"1s\", timeout = \"1s\", fail_after = 1 }}]\n"
    );
    book::write_book(&folder, &asset, Some((&receiver::url(desk.port), "desk")));
    if can_be_asked {
        receiver::can_be_asked(&folder, desk.port);
    }
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

/// In the end the outbox is done with it, one incident is there, every message of it had the same id and words, and the
/// desk was asked for this id so many times.
fn assert_one_ticket(collector: &Collector, desk: &Receiver, calls: usize, asked: usize) {
    wait_for("the message is delivered", LONG, || {
        let outbox = outbox(collector);
        (!outbox.is_empty() && outbox.iter().all(|(_, status, _)| status == "delivered")).then_some(())
    });
    let incidents: i64 =
        collector.database().query_row("SELECT count(*) FROM incidents", [], |row| row.get(0)).expect("a count");
    let taken = desk.all();
    println!(
        "{incidents} incident, {} calls, asked for {:?}; outbox {:?}",
        taken.len(),
        desk.asked(),
        outbox(collector)
    );
    assert_eq!((incidents, taken.len()), (1, calls), "{taken:?}");
    assert!(taken.iter().all(|message| *message == taken[0]), "{taken:?}");
    assert_eq!(desk.asked(), vec![taken[0].id.clone(); asked]);
}

#[test]
fn killed_between_the_intent_and_the_call_it_asks_and_tells_once() {
    let desk = Receiver::start();
    let (mut collector, mut agent) = site(&desk, true);
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
    assert_eq!((noted, desk.all().len()), (1, 0), "the intent is noted and nothing was said");
    collector.serve();
    // It says that it has no such ticket, and gets it.
    assert_one_ticket(&collector, &desk, 1, 1);
    agent.program().stop();
    collector.program().stop();
}

/// The collector dies when the desk has the ticket and has not answered; another one goes on.
fn killed_after_the_ticket(can_be_asked: bool, calls: usize, asked: usize) {
    let (desk, held) = Receiver::holding();
    let (mut collector, mut agent) = site(&desk, can_be_asked);
    collector.serve();
    agent.run();
    held.has_it();
    collector.kill();
    held.go();
    assert!(outbox(&collector).iter().all(|(_, status, _)| status != "delivered"), "{:?}", outbox(&collector));
    collector.serve();
    assert_one_ticket(&collector, &desk, calls, asked);
    agent.program().stop();
    collector.program().stop();
}

#[test]
fn killed_after_the_ticket_and_before_the_mark_it_asks_and_tells_no_second_time() {
    killed_after_the_ticket(true, 1, 1);
}

#[test]
fn killed_after_the_ticket_it_tells_who_cannot_be_asked_the_same_again_under_the_same_id() {
    // The desk knows by the id that it has it.
    killed_after_the_ticket(false, 2, 0);
}
