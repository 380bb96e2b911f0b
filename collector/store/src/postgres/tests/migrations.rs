//! The schema: the same as SQLite's, and brought forward while others use it.

use std::collections::BTreeSet;

use super::{held, insert, options, server::Server};
use crate::{
    StoreError,
    postgres::{
        connect::{Address, Place},
        migrate, open,
    },
    sqlite,
};

#[test]
fn both_databases_have_the_same_tables_columns_and_indices() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("upheld.db");
    drop(sqlite::open(&path).unwrap());
    let embedded = rusqlite::Connection::open(path).unwrap();
    let of_sqlite = |sql: &str| -> BTreeSet<String> {
        let mut statement = embedded.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    let of_postgresql = |sql: &str| -> BTreeSet<String> {
        let database = address.rsplit('/').next().unwrap();
        server.sql(database, sql).lines().map(str::to_owned).collect()
    };

    let columns = of_sqlite(
        "SELECT t.name || '.' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' \
         WHEN 'TEXT' THEN 'text C' END || CASE WHEN c.\"notnull\" OR c.pk THEN '' ELSE '?' END \
         FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    );
    let mut theirs = of_postgresql(
        "SELECT table_name || '.' || column_name || ' ' || data_type || coalesce(' ' || collation_name, '') \
         || CASE is_nullable WHEN 'NO' THEN '' ELSE '?' END \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'upheld_%'",
    );
    assert!(theirs.remove("incidents.rowid bigint"), "what SQLite has by itself");
    assert!(columns.len() > 200, "{}", columns.len());
    assert_eq!(columns, theirs);

    let indices = of_sqlite("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL");
    let theirs =
        of_postgresql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey'");
    assert_eq!(indices, theirs);
    assert_eq!(migrate::STEPS.last().unwrap().0, sqlite::SCHEMA_VERSION, "one number is one set of tables");
}

#[tokio::test]
async fn a_step_is_taken_once_while_others_read_and_write() {
    let server = Server::shared();
    let address = server.database();
    let store = open(&address, &options(&server)).unwrap();
    insert(&store, "a-1").await.unwrap();
    let pool = Address::read(&address, None).unwrap().pool(&options(&server), 2, Place::None).unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let next = migrate::STEPS.last().unwrap().0 + 1;
    let mut steps = migrate::STEPS.to_vec();
    steps.push((next, "ALTER TABLE agents ADD COLUMN later BIGINT; CREATE TABLE later (a BIGINT)"));
    // Two collectors of the next version come at once, while one of this version goes on writing.
    let writing = async {
        for id in ["a-2", "a-3", "a-4", "a-5"] {
            insert(&store, id).await.unwrap();
            held(&store).await;
        }
    };
    let (first, second, ()) =
        tokio::join!(migrate::migrate(&one, "one", &steps), migrate::migrate(&two, "two", &steps), writing);
    first.unwrap();
    second.unwrap();
    assert_eq!(held(&store).await, 5);
    let database = address.rsplit('/').next().unwrap();
    let versions =
        server.sql(database, "SELECT string_agg(version::text, ' ' ORDER BY version) FROM upheld_migrations");
    let expected: Vec<String> = steps.iter().map(|step| step.0.to_string()).collect();
    assert_eq!(versions, expected.join(" "));
    // Whoever starts this version now finds a newer one.
    let refused = open(&address, &options(&server)).err();
    assert!(matches!(refused, Some(StoreError::NewerSchema { found, .. }) if found == next), "{refused:?}");
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_database_as_it_was() {
    let server = Server::shared();
    let address = server.database();
    let store = open(&address, &options(&server)).unwrap();
    let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
    let client = pool.get().await.unwrap();
    let mut steps = migrate::STEPS.to_vec();
    steps.push((99, "CREATE TABLE half (a BIGINT); SELECT 1 / 0"));
    let failed = migrate::migrate(&client, "here", &steps).await;
    assert!(matches!(failed, Err(StoreError::Database { name: "open.migrate", .. })), "{failed:?}");
    let database = address.rsplit('/').next().unwrap();
    assert_eq!(server.sql(database, "SELECT count(*) FROM pg_tables WHERE tablename = 'half'"), "0");
    insert(&store, "a-1").await.unwrap();
}

#[test]
fn a_database_that_is_not_ours_is_refused_and_left_alone() {
    let server = Server::shared();
    let address = server.database();
    let database = address.rsplit('/').next().unwrap();
    server.sql(database, "CREATE TABLE theirs (a BIGINT)");
    let refused = open(&address, &options(&server)).err();
    assert!(matches!(refused, Some(StoreError::Foreign { .. })), "{refused:?}");
    assert_eq!(server.sql(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1");
}
