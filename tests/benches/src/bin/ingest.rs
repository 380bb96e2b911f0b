//! The desk's ingest beside the raw database, for the same rows in the same run: SQLite by rusqlite, PostgreSQL 15 by
//! tokio-postgres. Usage: `ingest [RECORDS]` (default 10,000; a tenth of it in single records, half of it on PostgreSQL).
//! Each of the four settings begins no further round after half a minute, so that a slow machine takes three minutes at most.
//!
//! A row is a record of 20 samples, signed and chained as an agent writes it. The ceiling inserts the same rows into
//! the same table, commits synced, and does nothing else; the desk checks hashes, chain and signature, folds, and
//! answers after the commit. The requests are made beforehand and are not timed. On PostgreSQL many rows have two ceilings:
//! each row waited for before the next is sent, and all rows of a transaction sent at once, as the store does it.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use tempfile::TempDir;
use tokio_postgres::NoTls;
use upheld_benches::{Usage, median};
use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event},
    storage::sim::SimStorage,
};
use upheld_desk::{Actor, AgentPeer, DeliverAnswer, Desk, enroll::Certificate};
use upheld_evidence::{SigningKey, sign_enrolment};
use upheld_model::{BootId, CheckId, Mono, ObservedAt, Outcome, Sample, sample::Value};
use upheld_store::{Store, postgres};
use upheld_tests::{book, postgresql::Server};
use upheld_wire::v1::{Body, ClockReading, DeliverRequest, Delivered, Head, Now, Record, enroll::EnrollRequest};

/// As the collector has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const AGENTS: usize = 20;
const ROUNDS: usize = 5;
/// A setting that took so long begins no further round.
const ENOUGH: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let records: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    println!(
        "{AGENTS} agents, {records} records of 20 samples each (half on PostgreSQL), medians of {ROUNDS} rounds at most"
    );
    println!(
        "| database | records a request | raw, rows/s | desk, rows/s | ratio | us CPU of the desk a record | rounds |"
    );
    println!("|---|---|---|---|---|---|---|");
    let server = Server::durable();
    for (database, records) in [(Database::Sqlite, records), (Database::Postgres(&server), records / 2)] {
        for batch in [1, 100] {
            // One record a request costs a round trip each: fewer of them tell as much.
            let per_agent = (if batch == 1 { records / 10 } else { records }) / AGENTS;
            let mut rounds = Vec::new();
            let began = Instant::now();
            while rounds.is_empty() || (rounds.len() < ROUNDS && began.elapsed() < ENOUGH) {
                rounds.push(Box::pin(round(database, per_agent.max(batch), batch)).await);
            }
            let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
            let (desk, cpu_us) = (middle(&|round| round.desk), middle(&|round| round.cpu_us));
            for (index, (name, _)) in rounds[0].ceilings.iter().enumerate() {
                let raw = middle(&|round| round.ceilings[index].1);
                println!(
                    "| {name} | {batch} | {raw:.0} | {desk:.0} | {:.2} | {cpu_us:.1} | {} |",
                    desk / raw,
                    rounds.len()
                );
            }
        }
    }
}

/// Where the rows go.
#[derive(Clone, Copy)]
enum Database<'a> {
    Sqlite,
    Postgres(&'a Server),
}

/// One round's figures.
struct Round {
    /// Rows a second of each ceiling, by its name.
    ceilings: Vec<(&'static str, f64)>,
    /// Rows a second of the desk.
    desk: f64,
    /// Processor time of this process for a record, in microseconds; PostgreSQL's own is not in it.
    cpu_us: f64,
}

type Uploads = Vec<(AgentPeer, Vec<DeliverRequest>)>;

async fn round(database: Database<'_>, per_agent: usize, batch: usize) -> Round {
    let folder = TempDir::new().expect("a folder");
    let desk = Desk::new(match database {
        Database::Sqlite => upheld_store::sqlite::open(&folder.path().join("desk.db")).expect("a database"),
        Database::Postgres(server) => open_postgres(&address(server)),
    });
    let now = Timestamp::now();
    desk.apply_book(upheld_benches::read_book(folder.path()), &Actor::person("bench"), now)
        .await
        .expect("the book is applied");
    desk.start_run(now).await.expect("the run starts");
    let mut agents: Uploads = Vec::new();
    for number in 0..AGENTS {
        let key = SigningKey::from_seed(&[u8::try_from(number).expect("small") + 1; 32]).expect("a key");
        let peer = enroll(&desk, &key, now).await;
        agents.push((peer, requests(key, number, per_agent, batch)));
    }
    let count = (AGENTS * per_agent) as f64;
    let rate = |took: Duration| count / took.as_secs_f64();
    let ceilings = match database {
        Database::Sqlite => vec![("SQLite", rate(raw_sqlite(&folder.path().join("raw.db"), &agents, batch)))],
        Database::Postgres(server) => {
            let mut ceilings = Vec::new();
            // A transaction of one row is sent no differently at once.
            let ways: &[_] = match batch {
                1 => &[("PostgreSQL", false)],
                _many => &[("PostgreSQL, row by row", false), ("PostgreSQL, rows sent at once", true)],
            };
            for &(name, at_once) in ways {
                ceilings.push((name, rate(raw_postgres(&address(server), &agents, batch, at_once).await)));
            }
            ceilings
        }
    };

    let pid = std::process::id();
    let before = Usage::of(pid).expect("this process");
    let started = Instant::now();
    let senders: Vec<_> = agents
        .into_iter()
        .map(|(peer, requests)| {
            let desk = desk.clone();
            tokio::spawn(async move {
                for request in requests {
                    let answer = desk.deliver(&peer, request, Timestamp::now()).await;
                    assert!(matches!(answer, DeliverAnswer::Delivered(_)), "{answer:?}");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("every upload is taken");
    }
    let elapsed = started.elapsed();
    let used = Usage::of(pid).expect("this process").since(before);
    Round { ceilings, desk: rate(elapsed), cpu_us: used.cpu.as_secs_f64() * 1e6 / count }
}

/// Inserts the same rows into the same table, a transaction a batch, one thread.
fn raw_sqlite(path: &Path, agents: &Uploads, batch: usize) -> Duration {
    // The same schema as the desk's: only its table of records is used.
    drop(upheld_store::sqlite::open(path).expect("a database"));
    let mut database = rusqlite::Connection::open(path).expect("a database");
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").expect("the pragmas");
    let started = Instant::now();
    for rows in rows_of(agents).chunks(batch) {
        let transaction = database.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO records (client, agent, epoch, seq, record_id, content_hash, chain, salt, sig, previous, received_at, offset_ms, body) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, 0, 0, ?10)",
                )
                .expect("the statement");
            for (peer, record) in rows {
                insert
                    .execute(params![
                        peer.client.as_str(),
                        peer.agent.as_str(),
                        record.epoch.0 as i64,
                        record.seq.0 as i64,
                        record.record_id.0,
                        record.content_hash.0,
                        record.chain.0,
                        record.salt.0,
                        record.sig,
                        record.body.get(),
                    ])
                    .expect("the row");
            }
        }
        transaction.commit().expect("the commit");
    }
    started.elapsed()
}

/// The same on PostgreSQL: one connection, one prepared statement, a synced commit a batch.
async fn raw_postgres(url: &str, agents: &Uploads, batch: usize, at_once: bool) -> Duration {
    drop(open_postgres(url));
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let synced = client.query_one("SHOW synchronous_commit", &[]).await.expect("the setting");
    assert_eq!((synced.get::<_, &str>(0), fsync(&client).await.as_str()), ("on", "on"));
    let insert = client
        .prepare(
            "INSERT INTO records (client, agent, epoch, seq, record_id, content_hash, chain, salt, sig, previous, received_at, offset_ms, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, 0, 0, $10)",
        )
        .await
        .expect("the statement");
    let started = Instant::now();
    for rows in rows_of(agents).chunks(batch) {
        let transaction = client.transaction().await.expect("a transaction");
        let put = async |(peer, record): &(&AgentPeer, &Record)| {
            let (epoch, seq) = (record.epoch.0 as i64, record.seq.0 as i64);
            let (id, hash, chain, salt) =
                (&record.record_id.0[..], &record.content_hash.0[..], &record.chain.0[..], &record.salt.0[..]);
            let (client, agent, body) = (peer.client.as_str(), peer.agent.as_str(), record.body.get());
            transaction
                .execute(&insert, &[&client, &agent, &epoch, &seq, &id, &hash, &chain, &salt, &record.sig, &body])
                .await
                .expect("the row");
        };
        if at_once {
            join_all(rows.iter().map(put)).await;
        } else {
            for row in rows {
                put(row).await;
            }
        }
        transaction.commit().await.expect("the commit");
    }
    started.elapsed()
}

async fn fsync(client: &tokio_postgres::Client) -> String {
    client.query_one("SHOW fsync", &[]).await.expect("the setting").get(0)
}

fn rows_of(agents: &Uploads) -> Vec<(&AgentPeer, &Record)> {
    agents
        .iter()
        .flat_map(|(peer, requests)| requests.iter().flat_map(move |r| r.records.iter().map(move |x| (peer, x))))
        .collect()
}

/// A new database, without TLS on either side.
fn address(server: &Server) -> String {
    format!("{}?sslmode=disable", server.database())
}

fn open_postgres(url: &str) -> Store {
    postgres::open(url, &postgres::Options::default()).expect("a database")
}

async fn enroll(desk: &Desk, key: &SigningKey, now: Timestamp) -> AgentPeer {
    let (client, site) = (book::CLIENT.parse().expect("an id"), book::SITE.parse().expect("an id"));
    let ttl = SignedDuration::from_hours(1);
    let token = desk.new_token(&client, &site, ttl, &Actor::person("bench"), now).await.expect("a token").token;
    let csr_pem = "not looked at here: no certificate is made".to_owned();
    let request = EnrollRequest {
        protocol: 1,
        signing_key: key.public().to_string(),
        signing_proof: sign_enrolment(key, &token, &csr_pem).to_string(),
        token,
        csr_pem,
        host: "bench".to_owned(),
        version: "0".to_owned(),
        wall: now,
    };
    let certificate =
        Certificate { chain_pem: String::new(), roots_pem: String::new(), issued_at: now, ends: Timestamp::MAX };
    let loopback = std::net::Ipv4Addr::LOCALHOST.into();
    let answer =
        desk.enroll(request, loopback, now, |_: &_, _: &_| Ok(certificate)).await.expect("the agent is enrolled");
    AgentPeer { agent: answer.agent, client, site }
}

/// The uploads of one agent, made by the agent's own machine with every answer good.
fn requests(key: SigningKey, number: usize, count: usize, batch: usize) -> Vec<DeliverRequest> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    let random = Box::new(move |into: &mut [u8]| {
        for byte in into {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (seed >> 56) as u8;
        }
    });
    let begun = Timestamp::now() - SignedDuration::from_secs(10 * i64::try_from(count).expect("small"));
    let moment = |round: usize| {
        let after = SignedDuration::from_secs(10 * i64::try_from(round).expect("small"));
        // The monotonic clock hardly moves: no heartbeat falls due between two batches.
        Moment { mono: Mono(1_000 * (round as u64 + 1)), wall: ObservedAt(begun + after) }
    };
    let storage = SimStorage::new(number as u64);
    let (mut courier, _) =
        Courier::open(storage, key, Settings::default(), random, moment(0)).expect("a journal in memory");
    let mut made = Vec::new();
    for round in 0..count {
        // Sent at once when single; gathered until the batch is full otherwise.
        let is_full = (round + 1) % batch == 0;
        let urgency = if is_full { Urgency::Now } else { Urgency::Soon };
        courier.append(&body(moment(round).wall), urgency, moment(round)).expect("memory takes it");
        if !is_full {
            continue;
        }
        let now = moment(round);
        courier.handle_timeout(now).expect("memory takes it");
        while let Some(effect) = courier.poll_effect() {
            let Effect::Post(post) = effect else { continue };
            let clock = ClockReading { wall: now.wall, mono: now.mono, boot: boot() };
            let request = courier.request(&post, clock, Now::default()).expect("a request");
            let head =
                request.records.last().map(|last| Head { epoch: last.epoch, len: last.seq.0 + 1, chain: last.chain });
            let answer = Delivered {
                batch_digest: request.batch_digest,
                head,
                refused: Vec::new(),
                receipt: None,
                renew: false,
                config_version: 0,
                secrets: None,
                present: None,
                dictionary: None,
                collector_time: now.wall.0,
            };
            courier.handle(Event::Answered { no: post.no, answer: Answer::Delivered(answer) }, now);
            if head.is_some() {
                made.push(request);
            }
        }
    }
    let records: usize = made.iter().map(|request| request.records.len()).sum();
    assert_eq!(records, count / batch * batch, "every record stands in a request");
    made
}

fn boot() -> BootId {
    "bench".parse().expect("a boot id")
}

fn body(at: ObservedAt) -> Body {
    let sample = |number: usize| Sample {
        check: format!("cam-{number}/net.icmp").parse::<CheckId>().expect("a check"),
        at,
        took_us: 900 + number as u64,
        outcome: Outcome::Ok,
        values: [("rtt_median_ms".to_owned(), Value::from(0.4 + number as f64 / 100.0))].into(),
        counters: BTreeMap::new(),
        evidence: None,
    };
    Body { samples: (0..20).map(sample).collect(), ..Body::default() }
}
