//! The table is whole, and docs/routes.md prints it.

use std::collections::BTreeSet;

use super::{Route, routes};

#[test]
fn no_route_is_there_twice_and_each_says_what_it_is() {
    let mut seen = BTreeSet::new();
    for Route { method, path, what, .. } in routes() {
        assert!(seen.insert((method, path)), "{method} {path} stands twice in the table");
        assert!(!what.is_empty(), "{method} {path}");
    }
}

#[test]
fn the_page_about_routes_prints_the_table() {
    let row = |Route { method, path, who, what }| format!("| `{method} {path}` | {what} | {} |\n", who.words());
    let table: String = routes().map(row).collect();
    let page = include_str!("../../../../docs/routes.md");
    assert!(page.contains(&table), "docs/routes.md is not the table any more; it must have:\n{table}");
}
