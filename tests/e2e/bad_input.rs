//! Bad input, from outside, with the real programs: each is said with what to do, ends with the exit code of
//! docs/exit-codes.md, and loses nothing.
//!
//! What one program can show alone stands in its own tests (`collector/server/tests/cli.rs`,
//! `agent/app/tests/agent/`); docs/security.md says where.

#[path = "bad_input/clock.rs"]
mod clock;
#[path = "bad_input/database.rs"]
mod database;
#[path = "bad_input/door.rs"]
mod door;
#[path = "bad_input/enrolment.rs"]
mod enrolment;
#[path = "bad_input/journal.rs"]
mod journal;
#[path = "bad_input/words.rs"]
mod words;

use upheld_tests::{Collector, book};

/// A serving collector with a book of one site; its one asset is checked every second on a port of loopback.
fn collector(port: u16) -> Collector {
    serving_with(Collector::new(), &tcp_asset(port))
}

/// The same in a folder that was made before, with these assets.
fn serving_with(mut collector: Collector, assets: &str) -> Collector {
    let folder = collector.folder().join("book");
    book::write_book(&folder, assets, None);
    collector.apply(&folder);
    collector.serve();
    collector
}

fn tcp_asset(port: u16) -> String {
    format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {port}, every = \"1s\", timeout = \"1s\", fail_after = 1, recover_after = 1 }},\n]\n"
    )
}

/// What lets the check of [`tcp_asset`] through.
fn allow(port: u16) -> String {
    format!("loopback_ports = [{port}]\n")
}
