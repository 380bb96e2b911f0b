//! docs/security.md says for each requirement which test shows it; this holds that it tells the truth.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// The requirements of the design.
const REQUIREMENTS: std::ops::RangeInclusive<u32> = 1..=40;

/// One row: a requirement, the tests that show it, what of it is not built.
struct Row {
    number: u32,
    tests: Vec<(String, String)>,
    not_built: String,
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rows() -> Vec<Row> {
    let page = text("docs/security.md");
    let cells = page.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .filter_map(|cells| {
            let [number, _what, shown, not_built] = cells[..] else { return None };
            Some(Row { number: number.parse().ok()?, tests: tests_in(shown), not_built: not_built.to_owned() })
        })
        .collect()
}

/// Every `file::function` in backquotes.
fn tests_in(cell: &str) -> Vec<(String, String)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|name| name.split_once(".rs::"))
        .map(|(file, test)| (format!("{file}.rs"), test.to_owned()))
        .collect()
}

/// Whether `file` has a test of that name: a function with a test's attribute above it.
fn has_test(file: &str, test: &str) -> bool {
    let is_head = |line: &str| line.trim_start().trim_start_matches("async ").starts_with(&format!("fn {test}("));
    let lines = text(file);
    let lines: Vec<&str> = lines.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let mut above = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
        is_head(line) && above.any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    })
}

#[test]
fn every_requirement_has_one_row_that_shows_something_or_says_what_is_not_built() {
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for row in rows() {
        *seen.entry(row.number).or_default() += 1;
        assert!(!row.tests.is_empty() || !row.not_built.is_empty(), "{}: no test, and not said why", row.number);
        let is_honest =
            row.not_built.is_empty() || (row.not_built.starts_with("not built: ") && row.not_built.contains("planned"));
        assert!(is_honest, "{}: write `not built: WHAT; planned`", row.number);
    }
    let numbers: Vec<(u32, usize)> = seen.into_iter().collect();
    assert_eq!(numbers, REQUIREMENTS.map(|number| (number, 1)).collect::<Vec<_>>(), "each number once");
}

#[test]
fn every_test_that_is_named_exists() {
    let page = text("docs/security.md");
    let named: Vec<(String, String)> = page.lines().flat_map(tests_in).collect();
    assert!(named.len() > 100, "{} tests named: the page is not read as it was", named.len());
    let missing: Vec<_> = named.iter().filter(|(file, test)| !root(file).exists() || !has_test(file, test)).collect();
    assert!(missing.is_empty(), "named, but not there: {missing:#?}");
}

#[test]
fn every_test_that_is_named_after_a_number_stands_in_its_row() {
    let rows = rows();
    let mut forgotten = Vec::new();
    for folder in ["agent", "collector", "shared", "tests"] {
        visit(&root(folder), &mut |path, source| {
            let names = source
                .lines()
                .filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn security_"));
            for name in names.filter_map(|rest| rest.split('(').next()) {
                let number: u32 = name.split('_').next().and_then(|digits| digits.parse().ok()).expect("a number");
                let test = format!("security_{name}");
                let is_there = |row: &Row| row.number == number && row.tests.iter().any(|(_, named)| *named == test);
                if !rows.iter().any(is_there) {
                    forgotten.push(format!("{}::{test}", path.display()));
                }
            }
        });
    }
    assert!(forgotten.is_empty(), "add to docs/security.md: {forgotten:#?}");
}

fn visit(folder: &std::path::Path, with: &mut impl FnMut(&std::path::Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            visit(&path, with);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            with(&path, &fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn a_test_that_is_not_there_is_not_found() {
    assert!(has_test("tests/security_table.rs", "a_test_that_is_not_there_is_not_found"));
    assert!(!has_test("tests/security_table.rs", "has_test"), "a function that is no test");
    assert!(!has_test("tests/security_table.rs", "a_test_that_was_never_written"));
}

#[test]
fn security_38_what_must_hold_before_anything_lands_checks_the_dependencies() {
    let gate = text(".ci/run");
    assert!(gate.lines().any(|line| line.starts_with("cargo deny ") && line.ends_with("check bans licenses sources")));
    let rules = text("deny.toml");
    for banned in ["aws-lc-rs", "openssl", "native-tls"] {
        assert!(rules.contains(&format!("\"{banned}\"")), "deny.toml no longer bans {banned}");
    }
}
