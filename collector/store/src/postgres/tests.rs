//! PostgreSQL's own promises, on a real server: the conformance suite, who may connect, migrations, plans, lost lines.

mod copies;
mod followed;
mod gone;
mod groups;
mod migrations;
mod plans;
mod proxy;
#[path = "../../../../tests/support/postgresql.rs"]
#[expect(unreachable_pub, dead_code, reason = "the end-to-end tests and the benches use the same file")]
mod server;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proxy::Proxy;
use server::Server;

use super::{Options, open};
use crate::{
    Store, StoreError,
    conformance::{self, agent},
};

fn options(server: &Server) -> Options {
    Options { ca: Some(server.ca()), readers: 2, ..Options::default() }
}

fn store(server: &Server) -> Store {
    open(&server.database(), &options(server)).unwrap()
}

async fn insert(store: &Store, id: &str) -> Result<(), StoreError> {
    let row = agent("acme", id);
    store.write("insert", move |tx| tx.insert_agent(&row)).await
}

async fn held(store: &Store) -> usize {
    store.read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_does_what_every_store_must() {
    let server = Server::shared();
    conformance::all(|| store(&server)).await;
}

#[tokio::test]
async fn a_store_works_on_a_runtime_of_one_thread_and_from_two_collectors() {
    let server = Server::shared();
    let address = server.database();
    let (one, two) = (open(&address, &options(&server)).unwrap(), open(&address, &options(&server)).unwrap());
    let (a, b) = tokio::join!(insert(&one, "a-1"), insert(&two, "a-1"));
    let refused = [a, b].into_iter().filter(|answer| matches!(answer, Err(StoreError::Exists { .. }))).count();
    assert_eq!(refused, 1);
    assert_eq!((held(&one).await, held(&two).await), (1, 1));
}

#[tokio::test]
async fn a_connection_that_is_cut_undoes_what_it_had_begun_and_the_store_goes_on() {
    let server = Server::shared();
    let address = server.database();
    let store = open(&address, &options(&server)).unwrap();
    insert(&store, "a-1").await.unwrap();
    let database = address.rsplit('/').next().unwrap().to_owned();
    let (cut_in, other) = (server.clone(), database.clone());
    let cut = store
        .write::<_, StoreError, _>("cut", move |tx| {
            tx.insert_agent(&agent("acme", "a-2"))?;
            cut_in.sql("postgres", &cut_all(&other));
            tx.insert_agent(&agent("acme", "a-3"))
        })
        .await;
    assert!(matches!(&cut, Err(error) if error.is_transient()), "{cut:?}");
    insert(&store, "a-4").await.unwrap();
    assert_eq!(held(&store).await, 2);
    // Readers meet a connection that was cut while it lay in the pool.
    server.sql("postgres", &cut_all(&database));
    assert_eq!(held(&store).await, 2);
    insert(&store, "a-5").await.unwrap();
}

fn cut_all(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_is_found_again() {
    let mut server = Server::start();
    let store = store(&server);
    insert(&store, "a-1").await.unwrap();
    server.crash();
    // It is answered from what was there before the crash, or refused as something that may go better.
    let mut tries = 0;
    loop {
        match insert(&store, "a-2").await {
            Ok(()) => break,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        tries += 1;
        assert!(tries < 50, "the server is not found again");
    }
    assert_eq!(held(&store).await, 2);
}

#[tokio::test]
async fn a_commit_that_was_done_and_not_answered_is_looked_up_and_answered() {
    let server = Server::shared();
    let proxy = Proxy::to(server.port);
    let address = server.database().replace(&format!(":{}/", server.port), &format!(":{}/", proxy.port));
    let store = open(&address, &options(&server)).unwrap();
    let database = address.rsplit('/').next().unwrap().to_owned();
    insert(&store, "a-1").await.unwrap();
    // Once it is committed, which its caller is not told, the line is cut.
    let (done, line) = (Arc::clone(&server), proxy.clone());
    let cut = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        while done.sql(&database, "SELECT count(*) FROM agents") != "2" {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is not committed");
        }
        line.cut();
    });
    store
        .write::<_, StoreError, _>("lost", move |tx| {
            tx.insert_agent(&agent("acme", "a-2"))?;
            proxy.fall_silent();
            Ok(())
        })
        .await
        .unwrap();
    cut.await.unwrap();
    assert_eq!(held(&store).await, 2);
}

#[tokio::test]
async fn a_commit_that_failed_and_was_not_answered_is_looked_up_and_called_undone() {
    let server = Server::shared();
    let address = server.database();
    let database = address.rsplit('/').next().unwrap().to_owned();
    let store = open(&address, &options(&server)).unwrap();
    // A trigger of the commit itself ends its own connection.
    server.sql(
        &database,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON agents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()",
    );
    let answer = insert(&store, "a-1").await;
    assert!(matches!(answer, Err(StoreError::Undone { name: "store.commit" })), "{answer:?}");
    server.sql(&database, "DROP TRIGGER cut ON agents");
    assert_eq!(held(&store).await, 0, "what was called undone is not there");
}

#[tokio::test]
async fn a_lock_that_another_holds_is_waited_for_and_then_named() {
    let server = Server::shared();
    let address = server.database();
    let quick = Options { lock_wait: Duration::from_millis(50), ..options(&server) };
    let (one, two) = (open(&address, &options(&server)).unwrap(), open(&address, &quick).unwrap());
    let refused = one
        .write::<_, StoreError, _>("holds the lock", move |tx| {
            tx.insert_agent(&agent("acme", "a-1"))?;
            let io = tokio::runtime::Builder::new_current_thread().build().unwrap();
            Ok(io.block_on(insert(&two, "a-2")))
        })
        .await
        .unwrap();
    assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    assert_eq!(held(&one).await, 1);
}

#[tokio::test]
async fn several_serve_and_whoever_copies_needs_the_database_alone() {
    let server = Server::shared();
    let address = server.database();
    let serving = Options { serves: true, ..options(&server) };
    let (first, second) = (open(&address, &serving).unwrap(), open(&address, &serving).unwrap());
    insert(&first, "a-1").await.unwrap();
    insert(&second, "a-2").await.unwrap();
    // The command line works beside them.
    insert(&open(&address, &options(&server)).unwrap(), "a-3").await.unwrap();
    assert_eq!(held(&first).await, 3);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("upheld.db");
    let copied = super::copy::copy(&file, &address, &options(&server));
    assert!(matches!(copied.as_ref().err(), Some(StoreError::Served { .. })), "{copied:?}");
    server.sql("postgres", &cut_all(address.rsplit('/').next().unwrap()));
    insert(&second, "a-4").await.unwrap();
    assert_eq!(held(&first).await, 4);
}

#[tokio::test]
async fn a_collector_that_freezes_in_a_transaction_holds_nobody_up_for_long_and_stores_nothing_of_it() {
    let server = Server::shared();
    let address = server.database();
    let serving = Options { serves: true, ..options(&server) };
    let (frozen, other) = (open(&address, &serving).unwrap(), open(&address, &serving).unwrap());
    let (began, begun) = std::sync::mpsc::channel();
    let (wake, woken) = std::sync::mpsc::channel();
    let late = tokio::spawn(async move {
        frozen
            .write::<_, StoreError, _>("freezes", move |tx| {
                tx.insert_agent(&agent("acme", "a-1"))?;
                began.send(()).unwrap();
                woken.recv().unwrap();
                tx.insert_agent(&agent("acme", "a-2"))
            })
            .await
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    let asked = Instant::now();
    insert(&other, "a-3").await.unwrap();
    println!("the other one wrote {:?} after it had asked", asked.elapsed());
    wake.send(()).unwrap();
    let late = late.await.unwrap();
    assert!(matches!(&late, Err(error) if error.is_transient()), "{late:?}");
    assert_eq!(held(&other).await, 1);
}

#[test]
fn a_server_that_the_authority_does_not_vouch_for_is_not_talked_to() {
    let server = Server::shared();
    let address = server.database();
    let why = |address: &str, options: &Options| match open(address, options).err() {
        Some(StoreError::Unreachable { source, address }) => {
            assert!(!address.contains("upheld:"), "no password is shown: {address}");
            let mut said = source.to_string();
            let mut next = source.source();
            while let Some(error) = next {
                said = format!("{said}: {error}");
                next = error.source();
            }
            said
        }
        other => panic!("{:?}", other.map(|error| error.to_string())),
    };
    let stranger = why(&address, &Options::default());
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    let by_another_name = why(&address.replace("localhost", "127.0.0.1"), &options(&server));
    assert!(by_another_name.contains("not valid for name"), "{by_another_name}");
    let password = why(&address.replace(":upheld@", ":guessed@"), &options(&server));
    assert!(password.contains("password authentication failed"), "{password}");
}

#[test]
fn ledger_audit_and_acceptances_refuse_to_be_rewritten() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    let database = address.rsplit('/').next().unwrap();
    server.sql(database, crate::forgotten::A_YEAR_LATER);
    for table in ["audit", "ledger", "acceptances"] {
        for rewrite in
            [format!("UPDATE {table} SET client = 'x'"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
        {
            let told = server.sql(
                database,
                &format!(
                    "DO $$ BEGIN {rewrite}; RAISE EXCEPTION 'it was rewritten'; \
                     EXCEPTION WHEN OTHERS THEN IF SQLERRM NOT LIKE '%append-only%' THEN RAISE; END IF; END $$; SELECT 'kept'"
                ),
            );
            assert_eq!(told, "kept");
        }
    }
}
