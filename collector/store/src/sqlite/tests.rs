//! SQLite's own promises: files that are not ours, locks, a full disk, plans, group commit.

use std::{path::PathBuf, time::Duration};

use rusqlite::{Connection, StatementStatus};
use tempfile::TempDir;

use super::{Options, open, open_with};
use crate::{
    Store, StoreError,
    conformance::{self, agent},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_does_what_every_store_must() {
    let folder = TempDir::new().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::all(|| {
        count.set(count.get() + 1);
        open(&folder.path().join(format!("{}.db", count.get()))).unwrap()
    })
    .await;
}

#[test]
fn no_hot_query_scans_a_table() {
    let (_folder, path) = empty_database();
    let connection = Connection::open(path).unwrap();
    let mut seen = 0;
    for query in crate::hot::queries() {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql)).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let bounded = |step: &String| !step.starts_with("SCAN") || is_bounded_by_limit(query.name, step);
        assert!(plan.iter().all(bounded), "{}: {plan:?}", query.name);
        assert!(
            !plan
                .iter()
                .any(|step| step.contains("TEMP B-TREE") && step.contains("ORDER BY") && query.sql.contains("LIMIT")),
            "{}: {plan:?}",
            query.name
        );
        assert!(query.sql.starts_with(&format!("/* {} */", query.name)));
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn a_hot_query_is_prepared_once_whatever_it_is_asked_with() {
    let (_folder, path) = empty_database();
    let connection = open::connect(&path, &Options::default()).unwrap();
    for query in crate::hot::queries().filter(|query| !query.sql.contains("INSERT")) {
        let mut statement = connection.prepare(query.sql).unwrap();
        for value in [1, 20] {
            let values = vec![value; statement.parameter_count()];
            statement.query(rusqlite::params_from_iter(values)).unwrap().next().unwrap();
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{}", query.name);
    }
}

/// Walking an index in order and stopping at a LIMIT reads no more rows than it returns.
fn is_bounded_by_limit(name: &str, step: &str) -> bool {
    matches!(name, "agent_now.last_seen_of_any" | "incidents.newest_all" | "clocks.next_deadline" | "outbox.next")
        && step.contains("USING")
        && step.contains("INDEX")
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let (_folder, path) = empty_database();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = open(&path).err().unwrap();
    assert!(matches!(refused, StoreError::NewerSchema { found: 99, .. }), "{refused:?}");
    assert!(refused.to_string().contains("run that version"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_an_older_version_is_brought_up_to_date_with_its_rows() {
    let folder = TempDir::new().unwrap();
    for version in 1..open::SCHEMA_VERSION {
        let path = folder.path().join(format!("{version}.db"));
        database_of(&path, version);
        let store = open(&path).unwrap();
        assert_eq!(store.read("people", |tx| tx.name_of("p-1")).await.unwrap().as_deref(), Some("Ana Example"));
        let key = |at: &str| (String::from("p-1"), String::from("k"), at.parse::<jiff::Timestamp>().unwrap());
        let (who, given, at) = key("2026-11-16T22:10:00Z");
        let asked = upheld_model::Digest([7; 32]);
        store.write("key", move |tx| tx.put_command(&who, &given, &asked, at)).await.unwrap();
        let (who, given, at) = key("2026-11-16T22:09:00Z");
        let noted = store.read("key", move |tx| tx.command(&who, &given, at)).await.unwrap();
        assert_eq!(noted, Some(upheld_model::Digest([7; 32])));
        let client = "acme".parse().unwrap();
        assert_eq!(store.read("windows", move |tx| tx.all_maintenance(Some(&client))).await.unwrap(), []);
        drop(store);
        let connection = Connection::open(&path).unwrap();
        let now: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(now, open::SCHEMA_VERSION);
    }
}

/// A database as the version of that number left it, with one row.
fn database_of(path: &std::path::Path, version: i64) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "application_id", 0x5550_4844).unwrap();
    for step in open::MIGRATIONS.iter().take(usize::try_from(version).unwrap()) {
        connection.execute_batch(step).unwrap();
    }
    connection.pragma_update(None, "user_version", version).unwrap();
    connection.execute("INSERT INTO people (person, name) VALUES ('p-1', 'Ana Example')", []).unwrap();
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is somebody's thesis, not a database, and long enough to be looked at").unwrap();
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    for path in [text, other] {
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open(&path).err(), Some(StoreError::Foreign { .. })), "{}", path.display());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let nowhere = open(&folder.path().join("missing/folder.db")).err();
    assert!(matches!(nowhere, Some(StoreError::Open { .. })), "{nowhere:?}");
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = empty_database();
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
}

#[tokio::test]
async fn a_locked_database_is_waited_for_and_then_named_and_the_store_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    let options = Options { lock_wait: Duration::from_millis(10), ..Options::default() };
    let store = open_with(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = insert(&store, "a-1").await;
    assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    assert!(StoreError::Locked.is_transient());
    other.execute_batch("ROLLBACK").unwrap();
    insert(&store, "a-1").await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_named_loses_nothing_and_the_store_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    let pages: u32 = {
        drop(open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    };
    let store = open_with(&path, &Options { pages_max: Some(pages + 2), ..Options::default() }).unwrap();
    insert(&store, "a-1").await.unwrap();
    let big = "x".repeat(64 << 10);
    let refused = store
        .write::<_, StoreError, _>("too big", move |tx| {
            let mut row = agent("acme", "a-2");
            row.host = big;
            tx.insert_agent(&row)
        })
        .await;
    assert!(matches!(refused, Err(StoreError::DiskFull)), "{refused:?}");
    insert(&store, "a-3").await.unwrap();
    let held = store.read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(held, [agent("acme", "a-1"), agent("acme", "a-3")]);
}

#[tokio::test]
async fn jobs_that_wait_share_a_commit_and_are_refused_one_by_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    let store = open(&path).unwrap();
    // The lock holds the writer in its BEGIN while the queue fills behind it.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let names = ["a-0", "a-1", "a-1", "a-2", "a-3", "a-3", "a-4"];
    let waiting: Vec<_> = names
        .iter()
        .map(|name| {
            let (store, name) = (store.clone(), (*name).to_owned());
            tokio::spawn(async move { insert(&store, &name).await })
        })
        .collect();
    tokio::task::yield_now().await;
    other.execute_batch("COMMIT").unwrap();
    let mut refused = 0;
    for handle in waiting {
        match handle.await.unwrap() {
            Ok(()) => {}
            Err(StoreError::Exists { .. }) => refused += 1,
            Err(other) => std::panic::panic_any(other),
        }
    }
    assert_eq!(refused, 2);
    let held = store.read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(held.len(), 5);
}

#[tokio::test]
async fn what_was_answered_is_there_when_the_file_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    let store = open(&path).unwrap();
    insert(&store, "a-1").await.unwrap();
    // A copy of the files as they lie is what a crash would leave.
    let crashed = folder.path().join("crashed.db");
    for end in ["", "-wal"] {
        std::fs::copy(with_end(&path, end), with_end(&crashed, end)).unwrap();
    }
    let held = open(&crashed).unwrap().read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(held, [agent("acme", "a-1")]);
}

#[tokio::test]
async fn a_damaged_value_is_named_by_query_and_column() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    let store = open(&path).unwrap();
    insert(&store, "a-1").await.unwrap();
    Connection::open(&path).unwrap().execute("UPDATE agents SET status = 'asleep'", []).unwrap();
    let error = store.read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { name: "agents.all", column: 4, .. }), "{error:?}");
    assert!(error.to_string().contains("asleep"), "{error}");
}

#[test]
fn ledger_and_audit_refuse_to_be_rewritten() {
    let (_folder, path) = empty_database();
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO audit (at, who, what, detail) VALUES (1, 'p', 'w', '{}');
             INSERT INTO ledger VALUES ('acme', 1, 0, 1, 1, 'note', 'p', '{}');",
        )
        .unwrap();
    for rewrite in
        ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "UPDATE ledger SET who = 'x'", "DELETE FROM ledger"]
    {
        let error = connection.execute(rewrite, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{rewrite}: {error}");
    }
}

async fn insert(store: &Store, id: &str) -> Result<(), StoreError> {
    let row = agent("acme", id);
    store.write("insert", move |tx| tx.insert_agent(&row)).await
}

fn empty_database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    drop(open(&path).unwrap());
    (folder, path)
}

fn with_end(path: &std::path::Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

#[test]
fn the_ledger_lets_go_of_nothing_whose_time_is_not_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upheld.db");
    drop(open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let filled = crate::forgotten::A_YEAR_LATER.replace("'1', 'a'", "x'01', 'a'").replace("'2', 'b'", "x'02', 'b'");
    connection.execute_batch(&filled.replace("'3', 'a'", "x'03', 'a'")).unwrap();
    for (client, number) in [("acme", 1), ("acme", 2), ("other", 1)] {
        let one = "DELETE FROM ledger WHERE client = ?1 AND number = ?2";
        let refused = connection.execute(one, rusqlite::params![client, number]).unwrap_err().to_string();
        assert_eq!(refused, "the ledger is append-only", "{client} {number}");
    }
    connection.execute("UPDATE incidents SET over_at = 99 WHERE client = 'acme' AND number = 1", []).unwrap();
    assert_eq!(connection.execute("DELETE FROM ledger WHERE client = 'acme' AND number = 1", []).unwrap(), 1);
}
