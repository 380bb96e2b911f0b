//! How often a database over a line is asked for one upload: each time is a wait, and what an upload costs there is waits.

#[path = "../../../store/src/postgres/tests/proxy.rs"]
#[expect(dead_code, reason = "the store's tests use the same file")]
mod proxy;
#[path = "../../../../tests/support/postgresql.rs"]
#[expect(unreachable_pub, dead_code, reason = "the end-to-end tests and the benches use the same file")]
mod server;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proxy::Proxy;
use server::Server;
use tempfile::TempDir;
use upheld_model::{Outcome, Sample};
use upheld_store::postgres::{self, Options};

use super::world::{Agent, World, book, delivered};

/// Uploads that are counted, each by itself.
const UPLOADS: usize = 10;
/// Uploads before those, with which everything is asked for the first time.
const FIRST: usize = 3;
/// How long an answer waits, for what is sent together to be counted once also where a busy machine sends it in pieces.
const HOLD: Duration = Duration::from_millis(50);

struct Line {
    world: World,
    agent: Agent,
    proxy: Proxy,
    _server: Arc<Server>,
}

impl Line {
    async fn new() -> Self {
        let server = Server::shared();
        let proxy = Proxy::to(server.port);
        let address = server.database().replace(&format!(":{}/", server.port), &format!(":{}/", proxy.port));
        let options = Options { readers: 1, ..Options::default() };
        let store = postgres::open(&format!("{address}?sslmode=disable"), &options).unwrap();
        let world = World::over(store, book(), Arc::new(TempDir::new().unwrap())).await;
        let agent = world.agent("acme", "north").await;
        Self { world, agent, proxy, _server: server }
    }

    /// A live agent's upload: one record of samples that say what those before said.
    async fn upload(&mut self, by: By) {
        self.world.pass(10);
        let sample = |number: u64| Sample {
            check: format!("cam-{number}/net.icmp").parse().unwrap(),
            at: self.agent.claims(self.world.now),
            took_us: 900,
            outcome: Outcome::Ok,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            evidence: None,
        };
        let samples = (0..20).map(sample).collect();
        let record = self.agent.sampled(samples);
        let request = self.agent.request(vec![record], self.world.now);
        let answer = match by {
            By::Peer => self.world.deliver(&self.agent, request).await,
            By::Certificate => {
                let (desk, now) = (&self.world.desk, self.world.now);
                desk.deliver_showing(&self.agent.peer.agent, now, request, now).await.unwrap()
            }
        };
        self.agent.believe(&delivered(answer));
    }

    /// The exchanges that each of several uploads takes, one after the other.
    async fn exchanges(&mut self, by: By) -> Vec<u64> {
        for _ in 0..FIRST {
            self.upload(by).await;
        }
        self.proxy.hold_back(HOLD);
        let mut counted = Vec::with_capacity(UPLOADS);
        for _ in 0..UPLOADS {
            let before = self.proxy.turns();
            self.upload(by).await;
            counted.push(self.proxy.turns() - before);
        }
        self.proxy.hold_back(Duration::ZERO);
        counted
    }
}

/// How it is known whose an upload is.
#[derive(Clone, Copy)]
enum By {
    Peer,
    Certificate,
}

/// One to judge it, and two to write: the begin with its lock and what has to be as it was, and all changes with their commit.
#[tokio::test]
async fn an_upload_of_one_record_asks_a_database_over_a_line_three_times() {
    let mut line = Line::new().await;
    assert_eq!(line.exchanges(By::Peer).await, [3; UPLOADS]);
    // As the door does it: the certificate alone does not say of which client its agent is.
    assert_eq!(line.exchanges(By::Certificate).await, [4; UPLOADS]);
    assert_eq!(line.world.held(&line.agent).await, 2 * (FIRST + UPLOADS) as u64);
}
