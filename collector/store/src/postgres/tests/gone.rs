//! A database that lacks commits which were there.

use std::path::Path;

use super::{agent, held, insert, options, server::Server};
use crate::{
    Store, StoreError, Tx,
    postgres::{Lost, Options, Watch, WentBack, open},
};

/// What is done leaves an agent, whose name says for whom.
fn went_back(tx: &mut dyn Tx, back: &WentBack) -> Result<(), StoreError> {
    assert!(back.missing_from < back.now);
    tx.insert_agent(&agent("acme", if back.lost == Lost::ForAPerson { "for-a-person" } else { "comes-again" }))
}

fn watched(server: &Server, address: &str, folder: &Path) -> Store {
    let watch = Watch { file: folder.join("database.mark"), comes_again: |name| name == "comes again", went_back };
    open(address, &Options { watch: Some(watch), ..options(server) }).unwrap()
}

async fn names(store: &Store) -> Vec<String> {
    let rows = store.read::<_, StoreError, _>("names", |tx| tx.agents(None)).await.unwrap();
    rows.into_iter().map(|row| row.agent.to_string()).collect()
}

async fn comes_again(store: &Store, id: &str) {
    let row = agent("acme", id);
    store.write::<_, StoreError, _>("comes again", move |tx| tx.insert_agent(&row)).await.unwrap();
}

/// A database as `CREATE DATABASE … TEMPLATE` copies it: one that was put back to this moment.
fn copied(server: &Server, address: &str) -> String {
    let name = address.rsplit('/').next().unwrap();
    let copy = format!("{name}_copy_{}", server.sql("postgres", "SELECT count(*) FROM pg_database"));
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
    server.sql("postgres", &format!("{cut}'{name}'"));
    server.sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {name} STRATEGY file_copy"));
    server.address(&copy)
}

#[tokio::test]
async fn commits_that_are_gone_are_missed_by_whoever_wrote_or_saw_them_and_told_apart() {
    let server = Server::shared();
    let folder = tempfile::tempdir().unwrap();
    let address = server.database();
    let store = watched(&server, &address, folder.path());
    insert(&store, "a-1").await.unwrap();
    comes_again(&store, "a-2").await;
    comes_again(&store, "a-3").await;
    let between = copied(&server, &address);

    // Nothing is gone: a line that was cut, a restart, and the command line beside it are not taken for it.
    let beside = watched(&server, &address, folder.path());
    insert(&beside, "a-4").await.unwrap();
    comes_again(&store, "a-5").await;
    drop((store, beside));
    let again = watched(&server, &address, folder.path());
    comes_again(&again, "a-6").await;
    assert_eq!(names(&again).await, ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6"]);
    drop(again);

    // The command line's commit is gone, which the last one of the server's had seen.
    let store = watched(&server, &between, folder.path());
    comes_again(&store, "b-1").await;
    assert_eq!(names(&store).await, ["a-1", "a-2", "a-3", "b-1", "for-a-person"]);
    comes_again(&store, "b-2").await;
    assert_eq!(held(&store).await, 6, "it is missed once");
    drop(store);

    // Only what comes again is gone.
    let other = tempfile::tempdir().unwrap();
    let source = server.database();
    let store = watched(&server, &source, other.path());
    insert(&store, "c-1").await.unwrap();
    let restored = copied(&server, &source);
    comes_again(&store, "c-2").await;
    drop(store);
    let store = watched(&server, &restored, other.path());
    insert(&store, "c-3").await.unwrap();
    assert_eq!(names(&store).await, ["c-1", "c-3", "comes-again"]);
}

#[tokio::test]
async fn a_line_that_was_cut_finds_the_same_database_and_a_place_of_no_memory_goes_by_the_server() {
    let server = Server::shared();
    let folder = tempfile::tempdir().unwrap();
    let address = server.database();
    let database = address.rsplit('/').next().unwrap().to_owned();
    let store = watched(&server, &address, folder.path());
    insert(&store, "a-1").await.unwrap();
    server.sql("postgres", &super::cut_all(&database));
    insert(&store, "a-2").await.unwrap();
    drop(store);
    let elsewhere = tempfile::tempdir().unwrap();
    let store = watched(&server, &address, elsewhere.path());
    insert(&store, "a-3").await.unwrap();
    assert_eq!(held(&store).await, 3, "the same server: nothing is gone");
    drop(store);
    server.sql(&database, "UPDATE upheld_marks SET home = '1/00000001' WHERE slot = 0");
    let third = tempfile::tempdir().unwrap();
    let store = watched(&server, &address, third.path());
    insert(&store, "a-4").await.unwrap();
    assert_eq!(names(&store).await, ["a-1", "a-2", "a-3", "a-4", "for-a-person"]);
}
