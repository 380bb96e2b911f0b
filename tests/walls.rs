//! The walls of DESIGN.md, held by what cargo resolves: who may depend on whom, and what a pure crate may not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Crates that know no runtime, network, file, database or random source.
const PURE: &[&str] = &[
    "upheld-model",
    "upheld-wire",
    "upheld-delivery",
    "upheld-detection",
    "upheld-agreement",
    "upheld-evidence",
    "upheld-sealing",
    "upheld-engine",
];

/// What would make a crate impure, anywhere below it.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "hyper",
    "reqwest",
    "axum",
    "rustls",
    "socket2",
    "surge-ping",
    "rusqlite",
    "tokio-postgres",
    "sysinfo",
    "tracing-subscriber",
    "rand",
    "fastrand",
    "tempfile",
];

/// `(from, to)`: `from` must not reach `to`, directly or not.
const FORBIDDEN: &[(&str, &str)] = &[
    ("upheld-detection", "upheld-agreement"),
    ("upheld-agreement", "upheld-detection"),
    ("upheld-agent", "upheld-agreement"),
    ("upheld-agent", "upheld-collector"),
    ("upheld-agent", "upheld-store"),
    ("upheld-agent", "upheld-desk"),
    ("upheld-collector", "upheld-agent"),
    ("upheld-collector", "upheld-engine"),
    ("upheld-collector", "upheld-probe"),
    ("upheld-probe", "upheld-delivery"),
    ("upheld-probe", "upheld-wire"),
    ("upheld-probe", "upheld-engine"),
    ("upheld-store", "upheld-desk"),
    ("upheld-store", "upheld-web"),
    ("upheld-store", "upheld-outbound"),
    ("upheld-outbound", "upheld-store"),
    ("upheld-outbound", "upheld-desk"),
    ("upheld-quickstart", "upheld-agent"),
    ("upheld-quickstart", "upheld-collector"),
    ("upheld-verify", "upheld-desk"),
    ("upheld-verify", "upheld-store"),
];

/// The normal (not dev, not build) dependencies of every package, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (package["id"].as_str().expect("id"), package["name"].as_str().expect("name")))
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let from = names[node["id"].as_str().expect("id")];
        let to = graph.entry(from.to_owned()).or_default();
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("dep_kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                to.insert(names[dependency["pkg"].as_str().expect("pkg")].to_owned());
            }
        }
    }
    graph
}

/// The way from one package to another, if there is one.
fn way(graph: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(so_far) = ways.pop() {
        let last = so_far.last().expect("a way has a start");
        if last == to {
            return Some(so_far);
        }
        if seen.insert(last.clone()) {
            for next in graph.get(last).into_iter().flatten() {
                ways.push(so_far.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

#[test]
fn a_pure_crate_reaches_nothing_impure() {
    let graph = dependencies();
    for pure in PURE {
        assert!(graph.contains_key(*pure), "{pure} is not in the workspace: correct the list");
        for impure in IMPURE {
            assert_eq!(way(&graph, pure, impure), None, "{pure} must not reach {impure}");
        }
    }
}

#[test]
fn no_forbidden_direction_is_taken() {
    let graph = dependencies();
    for (from, to) in FORBIDDEN {
        assert!(graph.contains_key(*from) && graph.contains_key(*to), "{from} or {to} is gone: correct the table");
        assert_eq!(way(&graph, from, to), None, "{from} must not depend on {to}");
    }
}

#[test]
fn nothing_depends_on_a_binary() {
    let graph = dependencies();
    for (package, below) in &graph {
        for binary in ["upheld-agent", "upheld-collector", "upheld-verify", "upheld-quickstart"] {
            assert!(!below.contains(binary), "{package} depends on the program {binary}");
        }
    }
}

#[test]
fn the_search_for_a_way_finds_one() {
    let graph = dependencies();
    assert!(way(&graph, "upheld-collector", "upheld-agreement").is_some(), "the table above proves nothing otherwise");
}

/// `fuzzing` opens parsers to tests/fuzz, which is a workspace of its own.
#[test]
fn nothing_of_this_workspace_turns_fuzzing_on() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let workspace = std::fs::read_to_string(format!("{root}/Cargo.toml")).expect("the workspace");
    let members = workspace.lines().map(str::trim).skip_while(|line| !line.starts_with("members")).skip(1);
    let members: Vec<&str> =
        members.take_while(|line| *line != "]").map(|line| line.trim_matches(['"', ','])).collect();
    assert!(members.contains(&"agent/app"), "{members:?}");
    let manifests = members.iter().map(|member| format!("{member}/Cargo.toml")).chain(["Cargo.toml".to_owned()]);
    for manifest in manifests {
        let text = std::fs::read_to_string(format!("{root}/{manifest}")).expect("a manifest");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let named: Vec<&str> = lines.filter(|line| line.contains("fuzzing")).collect();
        let is_declared = manifest == "agent/probe/Cargo.toml" && named == ["fuzzing = []"];
        assert!(named.is_empty() || is_declared, "{manifest}: {named:?}");
    }
}

/// `mutants` lets tests/sim break the product's rules, `faulty` lets it kill a collector at a commit.
#[test]
fn nothing_but_the_simulator_turns_mutants_or_kills_on() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let workspace = std::fs::read_to_string(format!("{root}/Cargo.toml")).expect("the workspace");
    let members = workspace.lines().map(str::trim).skip_while(|line| !line.starts_with("members")).skip(1);
    let members: Vec<&str> =
        members.take_while(|line| *line != "]").map(|line| line.trim_matches(['"', ','])).collect();
    assert!(members.contains(&"tests/sim"), "{members:?}");
    for member in members.into_iter().filter(|member| *member != "tests/sim") {
        let text = std::fs::read_to_string(format!("{root}/{member}/Cargo.toml")).expect("a manifest");
        assert!(!text.contains("mutants") || member == "shared/model", "{member} names the feature mutants");
        assert!(!text.contains("faulty") || member == "collector/store", "{member} names the feature faulty");
    }
}

#[test]
fn every_pure_crate_repeats_the_bans_and_forbids_unsafe_code() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for pure in PURE {
        let folder = match pure.strip_prefix("upheld-").expect("a package of ours") {
            "engine" => "agent/engine".to_owned(),
            name => format!("shared/{name}"),
        };
        let bans = std::fs::read_to_string(format!("{root}/{folder}/clippy.toml")).expect("its clippy.toml");
        for ban in ["jiff::Timestamp::now", "std::time::SystemTime::now", "std::fs::File", "std::collections::HashMap"]
        {
            assert!(bans.contains(ban), "{folder}/clippy.toml lacks {ban}");
        }
        let lib = std::fs::read_to_string(format!("{root}/{folder}/src/lib.rs")).expect("its lib.rs");
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{folder} must forbid unsafe code");
    }
}

/// What reads for everybody, whoever asks: the command line's, never the portal's (SECURITY 23).
const FOR_EVERYBODY: &[&str] = &["current_book", "CurrentBook", ".store()", "upheld_store::sqlite"];

#[test]
fn security_23_the_portal_names_nothing_that_reads_for_everybody() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../collector/web/src"))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the portal's folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            // Its tests make the books that they read.
            let text = text.split("#[cfg(test)]").next().expect("a beginning");
            files += 1;
            for name in FOR_EVERYBODY.iter().filter(|_| !path.ends_with("tests.rs")) {
                assert!(!text.contains(name), "{} names {name}: ask a call that takes a scope", path.display());
            }
        }
    }
    assert!(files > 30, "{files} files were read: is the portal still there?");
}
