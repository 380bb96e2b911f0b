//! What is said together, and whose it was when something of it fails.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest, Epoch, SiteId};

use super::{Proxy, Server, cut_all, insert, options};
use crate::{
    ReadTx, Store, StoreError, Tx,
    ahead::{Ask, Foreseen},
    conformance::{agent, present, record},
    facts::SiteKey,
    postgres::{
        Options,
        connect::{Address, Place},
        line::{Line, Say},
        open,
        query::Blocking,
    },
    records::{AgentKey, HeadRow},
    sql::{Connection as _, Query, Value, query},
};

/// How long an answer waits, for what is sent together to be counted once.
const HOLD: Duration = Duration::from_millis(50);

/// A store over a line that counts, without TLS, whose writes are prepared.
async fn counted(server: &Server) -> (Store, Proxy) {
    let proxy = Proxy::to(server.port);
    let address = server.database().replace(&format!(":{}/", server.port), &format!(":{}/", proxy.port));
    let options = Options { readers: 1, ca: None, ..options(server) };
    let store = open(&format!("{address}?sslmode=disable"), &options).unwrap();
    for name in ["one", "two"] {
        put(&store, "prepared", name, 1).await.unwrap();
    }
    proxy.hold_back(HOLD);
    (store, proxy)
}

struct Names(ClientId, SiteId, AgentId);

impl Names {
    fn of(agent: &str) -> Self {
        Self("acme".parse().unwrap(), "north".parse().unwrap(), agent.parse().unwrap())
    }

    fn site(&self) -> SiteKey<'_> {
        SiteKey { client: &self.0, site: &self.1 }
    }

    fn key(&self) -> AgentKey<'_> {
        AgentKey { client: &self.0, agent: &self.2 }
    }
}

/// Writes so often, and asks nothing.
async fn put(store: &Store, agent: &'static str, body: &'static str, times: u32) -> Result<(), StoreError> {
    let work = move |tx: &mut dyn Tx| {
        let names = Names::of(agent);
        (0..times).try_for_each(|_| tx.put_kept_now(names.site(), &names.2, body))
    };
    store.write("put", work).await
}

async fn kept(store: &Store, agent: &str) -> Option<String> {
    let names = Names::of(agent);
    let read = move |tx: &dyn ReadTx| tx.kept_now(names.site(), &names.2);
    store.read::<_, StoreError, _>("kept", read).await.unwrap()
}

#[tokio::test]
async fn changes_that_nobody_waits_for_go_with_the_commit() {
    let server = Server::shared();
    let (store, proxy) = counted(&server).await;
    put(&store, "a-1", "prepared", 20).await.unwrap();
    let before = proxy.turns();
    put(&store, "a-1", "many", 20).await.unwrap();
    assert_eq!(proxy.turns() - before, 2, "the begin, and twenty changes with their commit");
    assert_eq!(kept(&store, "a-1").await.as_deref(), Some("many"));
}

#[tokio::test]
async fn what_was_asked_ahead_is_what_would_have_been_answered_also_after_a_change() {
    let server = Server::shared();
    let (store, proxy) = counted(&server).await;
    let work = move |tx: &mut dyn Tx| {
        let names = Names::of("prepared");
        tx.put_kept_now(names.site(), &names.2, "before")?;
        let before = proxy.turns();
        tx.ahead(&[Ask::KeptNow(names.site(), &names.2), Ask::Heads(names.key())])?;
        assert_eq!(tx.kept_now(names.site(), &names.2)?.as_deref(), Some("before"));
        tx.ahead(&[Ask::KeptNow(names.site(), &names.2), Ask::Heads(names.key())])?;
        tx.put_kept_now(names.site(), &names.2, "after")?;
        assert_eq!(tx.kept_now(names.site(), &names.2)?.as_deref(), Some("after"), "another than was asked ahead");
        let other = Names::of("nobody");
        assert_eq!(tx.kept_now(other.site(), &other.2)?, None, "with other values it is another question");
        let asked = proxy.turns();
        assert!(asked > before);
        assert_eq!(tx.heads(names.key())?, []);
        assert_eq!(proxy.turns(), asked, "it was answered already");
        Ok(())
    };
    store.write::<_, StoreError, _>("ahead", work).await.unwrap();
}

#[tokio::test]
async fn jobs_that_share_a_commit_are_undone_one_by_one_whenever_that_is_seen() {
    let server = Server::shared();
    let (store, proxy) = counted(&server).await;
    let (hold, held) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    let work = move |tx: &mut dyn Tx| {
        let names = Names::of("first");
        tx.insert_records(names.key(), &[record(0, 1)])?;
        tx.heads(names.key())?;
        began.send(()).unwrap();
        held.recv().unwrap();
        Ok(())
    };
    let one = store.clone();
    let first = tokio::spawn(async move { one.write::<_, StoreError, _>("first", work).await });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    // They wait for the writer, in this order, and then share a commit. Each puts a row of its own and a record, whose
    // place the first one has; `asks` says whether it asks something afterwards.
    let jobs = [("good-1", false, None), ("bad-1", false, Some("first")), ("good-2", true, None)];
    let jobs =
        jobs.into_iter().chain([("bad-2", true, Some("first")), ("good-3", false, None), ("refuses", false, None)]);
    let jobs = jobs.chain([("good-4", false, None), ("bad-3", false, Some("first"))]);
    let mut answers = Vec::new();
    for (name, asks, place) in jobs {
        let work = move |tx: &mut dyn Tx| {
            let names = Names::of(name);
            tx.put_kept_now(names.site(), &names.2, "{}")?;
            tx.insert_records(Names::of(place.unwrap_or(name)).key(), &[record(0, 1)])?;
            if asks {
                tx.heads(names.key())?;
            }
            if name == "refuses" { Err(StoreError::Locked) } else { Ok(()) }
        };
        let store = store.clone();
        answers.push((name, tokio::spawn(async move { store.write::<_, StoreError, _>(name, work).await })));
        // Each is in the queue before the next: a task of this one thread runs up to where it waits.
        tokio::task::yield_now().await;
    }
    let before = proxy.turns();
    hold.send(()).unwrap();
    first.await.unwrap().unwrap();
    for (name, answer) in answers {
        let answer = answer.await.unwrap();
        match name.split('-').next().unwrap() {
            "good" => answer.unwrap(),
            "refuses" => assert!(matches!(answer, Err(StoreError::Locked)), "{answer:?}"),
            _bad => assert!(matches!(answer, Err(StoreError::Exists { .. })), "{name}: {answer:?}"),
        }
    }
    // The first's commit, a begin, two that ask, three that are undone and what was refused behind them, the commit.
    assert_eq!(proxy.turns() - before, 10, "they shared a commit");
    for (name, there) in [("good-1", true), ("bad-1", false), ("good-2", true), ("bad-2", false), ("good-3", true)] {
        assert_eq!(kept(&store, name).await.is_some(), there, "{name}");
    }
    for (name, there) in [("refuses", false), ("good-4", true), ("bad-3", false)] {
        assert_eq!(kept(&store, name).await.is_some(), there, "{name}");
    }
}

/// Holds the writer in a job of its own until it is told to go on, so that what is queued meanwhile shares a commit.
async fn held_up(store: &Store) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (go, told) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    let store = store.clone();
    let work = move |_: &mut dyn Tx| {
        began.send(()).unwrap();
        told.recv().unwrap();
        Ok(())
    };
    let first = tokio::spawn(async move { store.write::<_, StoreError, _>("holds up", work).await.unwrap() });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    (go, first)
}

/// What is asked of an agent, and what it is answered.
fn asks(names: &Names) -> [Ask<'_>; 5] {
    let (site, key) = (names.site(), names.key());
    [Ask::Agent(&names.2), Ask::Heads(key), Ask::BookVersion, Ask::AgentNow(key), Ask::KeptNow(site, &names.2)]
}

fn answers(tx: &dyn ReadTx, names: &Names) -> String {
    let (agent, heads, book) = (tx.agent(&names.2), tx.heads(names.key()), tx.book_version());
    let (now, kept) = (tx.agent_now(&names.0, &names.2), tx.kept_now(names.site(), &names.2));
    format!("{:?} {:?} {:?} {:?} {:?}", agent.unwrap(), heads.unwrap(), book.unwrap(), now.unwrap(), kept.unwrap())
}

/// Writes all that is asked of an agent.
fn fill(tx: &mut dyn Tx, names: &Names, len: u64) -> Result<(), StoreError> {
    let begun = Timestamp::from_second(1).unwrap();
    for (ordinal, epoch) in [7, 3].into_iter().enumerate() {
        let chain = Digest([u8::try_from(epoch).unwrap(); 32]);
        let head = HeadRow { epoch: Epoch(epoch), len, chain, ordinal: ordinal as u64 };
        tx.put_head(names.key(), &head, begun)?;
    }
    let row = agent("acme", names.2.as_str());
    tx.put_agent_now(&present(&row, i64::try_from(len).unwrap()))?;
    tx.put_kept_now(names.site(), &names.2, &format!("kept {len}"))
}

#[tokio::test]
async fn jobs_that_share_a_commit_ask_together_as_it_begins_and_write_together_as_it_ends() {
    let server = Server::shared();
    let (store, proxy) = counted(&server).await;
    let agents = ["a-1", "a-2", "a-3", "a-4", "a-5"];
    for agent in agents {
        insert(&store, agent).await.unwrap();
    }
    let mut turns = Vec::new();
    for len in 1..=5 {
        let (go, first) = held_up(&store).await;
        let jobs = agents.map(|agent| {
            let foreseen = Foreseen::of(&asks(&Names::of(agent)));
            let work = move |tx: &mut dyn Tx| {
                let names = Names::of(agent);
                tx.ahead(&asks(&names))?;
                let before = tx.heads(names.key())?;
                assert!(before.iter().all(|head| head.len == len - 1), "{before:?}");
                assert!(before.is_empty() || before.iter().map(|head| head.epoch.0).eq([7, 3]), "{before:?}");
                assert_eq!(tx.kept_now(names.site(), &names.2)?, (len > 1).then(|| format!("kept {}", len - 1)));
                assert_eq!(tx.agent(&names.2)?.map(|row| row.agent), Some(names.2.clone()));
                fill(tx, &names, len)
            };
            let store = store.clone();
            tokio::spawn(async move { store.write_foreseeing::<_, StoreError, _>("job", foreseen, work).await })
        });
        tokio::task::yield_now().await;
        let before = proxy.turns();
        go.send(()).unwrap();
        first.await.unwrap();
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        turns.push(proxy.turns() - before);
    }
    // The first job's commit, the others' begin, their commit.
    assert_eq!(turns[1..], [3; 4], "{turns:?}");
    for agent in agents {
        let held = |tx: &dyn ReadTx| Ok(tx.heads(Names::of(agent).key())?.iter().map(|head| head.len).sum::<u64>());
        assert_eq!(store.read::<_, StoreError, _>("held", held).await.unwrap(), 10, "{agent}");
    }
}

#[tokio::test]
async fn what_was_foreseen_is_answered_as_though_it_were_asked_then() {
    let server = Server::shared();
    let (store, _proxy) = counted(&server).await;
    let both = ["a-1", "a-2"];
    for agent in both {
        insert(&store, agent).await.unwrap();
        store.write::<_, StoreError, _>("fill", |tx| fill(tx, &Names::of(agent), 1)).await.unwrap();
    }
    let plain = |store: &Store| {
        let store = store.clone();
        async move {
            let read = move |tx: &dyn ReadTx| Ok(both.map(|agent| answers(tx, &Names::of(agent))));
            store.read::<_, StoreError, _>("plain", read).await.unwrap()
        }
    };
    let before = plain(&store).await;
    let (go, first) = held_up(&store).await;
    // One looks, one changes the first agent, one is undone after it changed both, and one looks again.
    let mut jobs = Vec::new();
    for name in ["looks", "changes", "refuses", "again"] {
        let names = both.map(Names::of);
        let all: Vec<_> = names.iter().flat_map(asks).collect();
        let (foreseen, store) = (Foreseen::of(&all), store.clone());
        let work = move |tx: &mut dyn Tx| {
            match name {
                "changes" => fill(tx, &Names::of("a-1"), 2)?,
                "refuses" => both.iter().try_for_each(|agent| fill(tx, &Names::of(agent), 3))?,
                _looks => {}
            }
            let seen = both.map(|agent| answers(&*tx, &Names::of(agent)));
            if name == "refuses" { Err(StoreError::Locked) } else { Ok(seen) }
        };
        jobs.push(tokio::spawn(async move { store.write_foreseeing::<_, StoreError, _>(name, foreseen, work).await }));
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    first.await.unwrap();
    let mut seen = Vec::new();
    for job in jobs {
        seen.push(job.await.unwrap());
    }
    let after = plain(&store).await;
    assert_eq!(seen[0].as_ref().unwrap(), &before);
    assert_ne!(before[0], after[0]);
    assert_eq!((seen[1].as_ref().unwrap(), &after[1]), (&after, &before[1]));
    assert!(seen[2].is_err());
    assert_eq!(seen[3].as_ref().unwrap(), &after);
}

#[tokio::test]
async fn a_reader_whose_connection_died_in_the_pool_asks_again_on_another() {
    let server = Server::shared();
    let address = server.database();
    let store = open(&address, &options(&server)).unwrap();
    put(&store, "a-1", "{}", 1).await.unwrap();
    for _ in 0..3 {
        assert_eq!(kept(&store, "a-1").await.as_deref(), Some("{}"));
        server.sql("postgres", &cut_all(address.rsplit('/').next().unwrap()));
    }
}

#[tokio::test]
async fn a_transaction_in_which_nobody_reads_any_more_ends_by_itself() {
    let server = Server::shared();
    let address = server.database();
    let store = open(&address, &options(&server)).unwrap();
    let database = address.rsplit('/').next().unwrap();
    let ask = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state LIKE 'idle in%'");
    let stand = || server.sql("postgres", &ask);
    for name in ["{}", "later"] {
        put(&store, "a-1", name, 1).await.unwrap();
        assert_eq!(kept(&store, "a-1").await.as_deref(), Some(name), "not what the one before saw");
    }
    assert_eq!(stand(), "1");
    let began = Instant::now();
    while stand() != "0" {
        assert!(began.elapsed() < Duration::from_secs(30), "it stands for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kept(&store, "a-1").await.as_deref(), Some("later"));
}

/// What no database of ours can hold: a number that its column has no room for.
const TOO_LARGE: Query = query!(
    "test.too_large",
    "INSERT INTO late_hours (client, site, times) VALUES (?1, ?2, CAST(?3 AS INTEGER)) ON CONFLICT DO NOTHING"
);
const GOOD: Query = query!("test.good", "INSERT INTO late_hours (client, site, times) VALUES (?1, ?2, ?3)");

#[test]
fn a_value_that_cannot_be_said_undoes_its_own_job_and_nothing_is_taken_for_it() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    let io = super::super::runtime().unwrap();
    let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
    let client = io.block_on(pool.get()).unwrap();
    io.block_on(client.batch_execute("BEGIN")).unwrap();
    let connection = Blocking::over(Line::over(client, io.handle().clone()), Arc::default());
    for (job, site, last) in [(0, "a", &GOOD), (1, "b", &TOO_LARGE), (2, "c", &GOOD)] {
        connection.line.waiting.borrow_mut().open(job, "SAVEPOINT job");
        let row = |times| vec![Value::Text("acme"), Value::Text(site), Value::Int(times)];
        connection.later(&GOOD, &[row(1)]).unwrap();
        let later = vec![Value::Text("other"), Value::Text(site), Value::Int(i64::MAX)];
        connection.later(last, &[later]).unwrap();
        connection.line.waiting.borrow_mut().end("RELEASE job");
    }
    assert!(connection.line.exchange(&[Say::Words("test.commit", "COMMIT")]).is_ok());
    let undone = connection.line.waiting.borrow_mut().take_undone();
    assert!(matches!(undone[..], [(1, StoreError::Database { name: "test.too_large", .. })]), "{undone:?}");
    drop(connection);
    let database = address.rsplit('/').next().unwrap();
    let there = server.sql(database, "SELECT client || '/' || site FROM late_hours ORDER BY 1");
    assert_eq!(there, "acme/a\nacme/c\nother/a\nother/c");
}
