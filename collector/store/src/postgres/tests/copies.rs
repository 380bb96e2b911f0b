//! A provider moves: every table, every value, and what is counted goes on.

use rusqlite::Connection;

use super::{held, options, server::Server};
use crate::{
    StoreError,
    audit::AuditRow,
    conformance::agent,
    postgres::{
        copy::{Source, copy},
        export, open,
    },
    sqlite,
};

/// A file with rows in each table, of values that are easily lost.
fn full_file(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("upheld.db");
    drop(sqlite::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for table in tables {
        for number in [7_i64, 8] {
            fill(&connection, &table, number);
        }
    }
    path
}

/// One row in which each column has a value of its own.
fn fill(connection: &Connection, table: &str, number: i64) {
    let mut statement = connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)").unwrap();
    let columns: Vec<(String, String, bool, bool)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let names: Vec<_> = columns.iter().map(|column| column.0.as_str()).collect();
    let values: Vec<_> = columns
        .iter()
        .map(|(name, kind, required, key)| match (table, name.as_str(), kind.as_str()) {
            ("users", "role", _) => "'technician'".to_owned(),
            ("users", "client", _) => "NULL".to_owned(),
            ("agents", "status", _) => "'active'".to_owned(),
            (_, "client" | "agent" | "site", _) => format!("'c-{number}'"),
            (_, _, _) if !required && !key && number == 8 => "NULL".to_owned(),
            (_, _, "TEXT") => format!("'Łódź \"{number}\" \\ 𝄞' || char(10)"),
            (_, _, "BLOB") => format!("x'00ff{number:02}{}'", "7f".repeat(29)),
            // The bits of a number beyond the signed ones.
            ("heads", "epoch", _) => format!("-{number}"),
            (_, _, _) => format!("{number}"),
        })
        .collect();
    let text = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    connection.execute(&text, []).unwrap_or_else(|error| panic!("{text}: {error}"));
}

fn entry() -> AuditRow {
    AuditRow {
        at: jiff::Timestamp::UNIX_EPOCH,
        who: "p".to_owned(),
        client: None,
        what: "x".to_owned(),
        detail: "{}".to_owned(),
    }
}

#[tokio::test]
async fn every_table_arrives_whole_and_what_is_counted_goes_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = full_file(folder.path());
    let server = Server::shared();
    let address = server.database();
    let copied = copy(&path, &address, &options(&server)).unwrap();
    assert!(copied.len() > 35 && copied.iter().all(|table| table.rows == 2), "{copied:?}");
    let again = copy(&path, &address, &options(&server));
    assert!(matches!(again, Err(StoreError::Unreachable { .. })), "{again:?}");

    let store = open(&address, &options(&server)).unwrap();
    assert_eq!(held(&store).await, 2);
    let entry = entry();
    store
        .write::<_, StoreError, _>("goes on", move |tx| {
            tx.append_audit(&entry)?;
            tx.insert_agent(&agent("acme", "a-1"))
        })
        .await
        .unwrap();
    let database = address.rsplit('/').next().unwrap();
    assert_eq!(server.sql(database, "SELECT max(entry) FROM audit"), "9");
}

#[test]
fn a_row_that_did_not_arrive_as_it_was_undoes_the_whole() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = full_file(folder.path());
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    let database = address.rsplit('/').next().unwrap();
    // Something on the way changes a value.
    server.sql(
        database,
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := 'x' || NEW.person; RETURN NEW; END $$; \
         CREATE TRIGGER forge BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION forge()",
    );
    let refused = copy(&path, &address, &options(&server));
    assert!(matches!(&refused, Err(StoreError::Damaged { why, .. }) if why.contains("people")), "{refused:?}");
    assert_eq!(server.sql(database, "SELECT count(*) FROM agents"), "0");
}

#[tokio::test]
async fn the_way_back_brings_every_value_and_what_it_brings_is_of_one_moment() {
    let folder = tempfile::TempDir::new().unwrap();
    let (path, back) = (full_file(folder.path()), folder.path().join("back.db"));
    let server = Server::shared();
    let address = server.database();
    copy(&path, &address, &options(&server)).unwrap();
    assert_eq!(export(&address, &options(&server), &back).unwrap(), sqlite::SCHEMA_VERSION);
    let [was, is] = [&path, &back].map(|path| Source::open(path).unwrap());
    for table in was.tables().unwrap() {
        let columns = was.columns(&table).unwrap();
        assert_eq!(was.sum(&table, &columns).unwrap(), is.sum(&table, &columns).unwrap());
    }
    drop((was, is));
    assert_eq!(sqlite::backup::inspect(&back).unwrap(), sqlite::SCHEMA_VERSION);

    // Each transaction brings an agent and an entry of the audit: at each moment there are as many of the one as of the
    // other.
    let store = open(&address, &options(&server)).unwrap();
    let busy = tokio::spawn(async move {
        for number in 0..400 {
            let (row, entry) = (agent("acme", &format!("b-{number}")), entry());
            let write = store.write::<_, StoreError, _>("pair", move |tx| {
                tx.insert_agent(&row)?;
                tx.append_audit(&entry)
            });
            write.await.unwrap();
        }
    });
    let mut met = 0;
    while !busy.is_finished() {
        let options = options(&server);
        let (address, to) = (address.clone(), back.clone());
        tokio::task::spawn_blocking(move || export(&address, &options, &to).map(drop)).await.unwrap().unwrap();
        let count = |table: &str| -> i64 {
            let text = format!("SELECT count(*) FROM {table}");
            Connection::open(&back).unwrap().query_row(&text, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("agents"), count("audit"));
        met += usize::from((3..402).contains(&count("agents")));
    }
    busy.await.unwrap();
    println!("{met} exports while it was written");
    assert!(met > 0, "none of them met a writer");
}

#[test]
fn a_database_without_facts_is_not_backed_up() {
    let server = Server::shared();
    let folder = tempfile::TempDir::new().unwrap();
    let refused = export(&server.database(), &options(&server), &folder.path().join("back.db"));
    let Err(StoreError::Unreachable { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("no facts"));
}
