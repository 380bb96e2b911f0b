//! Support for the end-to-end tests: the two real programs in folders of their own, a line between them that can be
//! cut, and the rule that any `ERROR` in a log fails the test.
//!
//! Everything listens on loopback and on free ports. A program is ended when its handle is dropped; `-9` is what
//! [`Program::kill`] sends.

pub mod agent;
pub mod book;
pub mod chaos;
pub mod collector;
pub mod day;
pub mod door;
pub mod follower;
pub mod held;
pub mod journal;
pub mod line;
pub mod machine;
pub mod namespace;
pub mod nginx;
pub mod nut;
pub mod office;
pub mod on_postgresql;
pub mod peers;
pub mod postgresql;
pub mod program;
pub mod receiver;
mod relay;
pub mod sink;
pub mod snmp;
pub mod watched;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use agent::Agent;
pub use collector::Collector;
pub use line::Line;
pub use nginx::Nginx;
pub use peers::{peer, peer_module};
pub use program::Program;

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// Whether this test may make machines and namespaces.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of this workspace, of the same profile as the running test or bench; beside a release build the agent as
/// it is shipped, which has a profile of its own.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own file");
    // A test stands in target/PROFILE/deps, a bench in target/PROFILE.
    let folders = test.ancestors().skip(1).take(2).map(Path::to_owned);
    if name == "upheld-agent" && folders.clone().any(|folder| folder.ends_with("release")) {
        let shipped = test.with_file_name("../agent/upheld-agent");
        assert!(shipped.exists(), "the agent is missing: run `cargo build --profile agent -p upheld-agent` first");
        return shipped;
    }
    let found = folders.map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing beside {}: run `cargo build --bins` first", test.display()))
}

/// Waits for a level, never for an edge: until `reached` gives a value, or fails saying `what` was waited for.
pub fn wait_for<T>(what: &str, within: Duration, mut reached: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = reached() {
            return value;
        }
        assert!(started.elapsed() < within, "{what}: not within {} s", within.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
