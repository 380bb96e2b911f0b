//! Every query that is written, as each database is told it, with the way that SQLite goes for it: a change of a text,
//! of an index or of a plan is read in review.

use std::{fs, path::Path};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::{hot, postgres::query::spoken};

/// A query as it stands in the source.
pub(crate) struct Written {
    pub(crate) name: String,
    /// What both databases are told, with its name as a comment in front.
    pub(crate) sql: String,
}

/// All `query!` in the aggregates' files.
pub(crate) fn written() -> Vec<Written> {
    let mut found = Vec::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") || path.ends_with("sql.rs") || path.ends_with("golden.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for block in source.split("query!(").skip(1) {
            let literals: Vec<_> = block.split("\n)").next().unwrap().split('"').skip(1).step_by(2).collect();
            let [name, sql, ..] = literals[..] else { continue };
            let lines: Vec<_> = sql.split("\\\n").map(str::trim_start).collect();
            found.push(Written { name: name.to_owned(), sql: format!("/* {name} */ {}", lines.concat()) });
        }
    }
    found
}

#[test]
fn every_query_is_told_and_read_as_it_was_reviewed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("golden.db");
    drop(crate::sqlite::open(&path).unwrap());
    let connection = Connection::open(path).unwrap();
    let (mut written, hot) = (written(), hot::queries().collect::<Vec<_>>());
    for query in &hot {
        match written.iter().find(|written| written.name == query.name) {
            Some(found) => assert_eq!(found.sql, query.sql, "the reading of the source finds what runs"),
            // Made by a macro of its file's own.
            None => written.push(Written { name: query.name.to_owned(), sql: query.sql.to_owned() }),
        }
    }
    written.sort_by(|a, b| a.name.cmp(&b.name));
    let twice: Vec<_> =
        written.windows(2).filter(|pair| pair[0].name == pair[1].name).map(|pair| &pair[0].name).collect();
    assert!(twice.is_empty(), "each name is of one query: {twice:?}");

    let mut golden = String::new();
    for Written { name, sql } in &written {
        let often = if hot.iter().any(|query| query.name == name) { ", often" } else { "" };
        golden.push_str(&format!("-- {name}{often}\n{}\n", plain(sql)));
        let postgres = spoken(sql);
        if postgres.replace('$', "?") != *sql {
            golden.push_str(&format!("-- PostgreSQL: {}\n", plain(&postgres)));
        }
        for step in plan(&connection, sql) {
            golden.push_str(&format!("--   {step}\n"));
        }
        golden.push('\n');
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("queries", golden);
    });
}

/// Without the name in front.
fn plain(sql: &str) -> &str {
    sql.split_once("*/ ").map_or(sql, |(_, text)| text)
}

/// The steps of SQLite's plan, deeper ones further in.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let mut depths = std::collections::HashMap::from([(0, 0)]);
    let mut steps = Vec::new();
    let mut rows = statement.query(rusqlite::params_from_iter(nulls)).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (id, parent): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        let depth = depths[&parent] + 1;
        depths.insert(id, depth);
        steps.push(format!("{:1$}{2}", "", 2 * (depth - 1), row.get::<_, String>(3).unwrap()));
    }
    steps
}
