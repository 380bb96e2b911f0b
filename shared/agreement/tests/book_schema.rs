//! The schemas say what the reader reads: the sample is valid under them, and a key that nobody knows is not.
#![expect(clippy::disallowed_methods, reason = "a test may read the sample and the sources")]

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};
use upheld_agreement::book::schema::{KINDS, schema};

#[test]
fn every_file_of_the_sample_is_valid_under_its_schema_and_a_strange_key_is_not() {
    let mut seen = BTreeSet::new();
    for (path, text) in sample() {
        let kind = kind_of(&path);
        seen.insert(kind);
        let schema = schema(kind).unwrap();
        let file = json_of(&toml::from_str::<toml::Value>(&text).unwrap());
        assert!(is_valid(&schema, &schema, &file), "{path}");
        for strange in strangers(&file) {
            assert!(!is_valid(&schema, &schema, &strange), "{path}: {strange}");
        }
    }
    assert_eq!(seen.len(), KINDS.len(), "the sample has a file of every kind");
    assert_eq!(schema("prices"), None);
}

#[test]
fn what_a_file_needs_stands_in_its_schema() {
    let schema = schema("plan").unwrap();
    let valid = |plan: Value| is_valid(&schema, &schema, &plan);
    let target = json!({ "stage": "respond", "within": "4h", "calendar": "business" });
    assert!(valid(json!({ "name": "Gold", "target": [target] })));
    assert!(!valid(json!({ "target": [target] })), "a plan has a name");
    assert!(!valid(json!({ "name": "Gold", "target": [{ "stage": "respond", "within": "4h" }] })), "no calendar");
    assert!(!valid(
        json!({ "name": "Gold", "target": [{ "stage": "reply", "within": "4h", "calendar": "business" }] })
    ));
    assert!(!valid(json!({ "name": 7 })));
}

/// Each table that the sources read has its place in a schema: none is missing because the sample does not use it.
#[test]
fn every_table_of_the_language_is_in_a_schema() {
    let schemas: Vec<Value> = KINDS.iter().map(|kind| schema(kind).unwrap()).collect();
    let known: BTreeSet<&str> =
        schemas.iter().flat_map(|one| one["$defs"].as_object().unwrap().keys()).map(String::as_str).collect();
    let mut missing = Vec::new();
    for text in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/book"))) {
        for after in text.split("Fields::of(").chain(text.split("Fields::top(")).skip(1) {
            let Some(call) = after.split(')').next().filter(|call| call.contains('"')) else { continue };
            let what = call.split('"').nth(1).unwrap_or_default();
            if call.contains(", \"") && !known.contains(what) {
                missing.push(what.to_owned());
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn sample() -> Vec<(String, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sample-book"));
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|end| end == "toml") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn kind_of(path: &str) -> &'static str {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["provider.toml"] => "provider",
        ["catalogue.toml"] => "catalogue",
        ["calendars", _] => "calendar",
        ["holidays", _] => "holidays",
        ["plans", _] => "plan",
        ["manufacturers", _] => "manufacturer",
        ["clients", _, "client.toml"] => "client",
        ["clients", _, "ssa.toml"] => "ssa",
        ["clients", _, "sites", _] => "site",
        _ => panic!("what is {path}?"),
    }
}

/// The file as an editor gives it to a schema: dates and times are text.
fn json_of(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(at) => json!(at.to_string()),
        toml::Value::Array(items) => items.iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), json_of(value))).collect())
        }
    }
}

/// The file with a key that nobody knows, at its top and in each table of its lists.
fn strangers(file: &Value) -> Vec<Value> {
    let mut found = vec![file.clone()];
    found[0]["no_such_key"] = json!(1);
    for (key, value) in file.as_object().unwrap() {
        // A check takes any key, because nobody knows yet what one of its kind will need.
        for at in 0..value.as_array().map_or(0, Vec::len) {
            if value[at].is_object() {
                let mut other = file.clone();
                other[key][at]["no_such_key"] = json!(1);
                found.push(other);
            }
        }
    }
    found
}

/// As much of JSON Schema as the schemas use.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(to) = schema["$ref"].as_str() {
        let pointer = to.trim_start_matches('#').replace("%20", " ").replace("%27", "'");
        return is_valid(root, root.pointer(&pointer).unwrap_or_else(|| panic!("{to} leads nowhere")), value);
    }
    let of_type = match schema["type"].as_str() {
        None => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.as_u64().is_some(),
        Some("array") => {
            value.as_array().is_some_and(|items| items.iter().all(|item| is_valid(root, &schema["items"], item)))
        }
        Some("object") => value.as_object().is_some_and(|table| is_table(root, schema, table)),
        Some(other) => panic!("{other} is not used"),
    };
    let in_any = schema["anyOf"].as_array().is_none_or(|any| any.iter().any(|one| is_valid(root, one, value)));
    of_type && in_any && schema["enum"].as_array().is_none_or(|words| words.contains(value))
}

fn is_table(root: &Value, schema: &Value, table: &serde_json::Map<String, Value>) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    let entry = |(key, value): (&String, &Value)| match (&schema["properties"][key], &schema["additionalProperties"]) {
        (Value::Null, Value::Bool(is_open)) => *is_open,
        (Value::Null, of_any) => is_valid(root, of_any, value),
        (known, _) => is_valid(root, known, value),
    };
    required.into_iter().all(|key| table.contains_key(key.as_str().unwrap())) && table.iter().all(entry)
}
