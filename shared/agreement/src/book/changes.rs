//! What differs between two books, file by file, in the words and units of the book.
//!
//! Files are compared by what they say: comments, order of keys and form do not count. Entries of a list are matched by
//! what names them (an id, a date, a stage with its priorities), so that a new target in the middle is one change and
//! not ten. Nothing is left out: whatever two texts say differently is in the answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use toml::Value;

use super::source::Files;

/// What happened to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path within the book.
    pub file: String,
    /// New, gone or different.
    pub what: FileVerb,
    /// Every difference, a line each; empty where a file is new or gone.
    pub lines: Vec<String>,
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileVerb {
    /// Only the second book has it.
    New,
    /// Only the first one has it.
    Gone,
    /// They say different things.
    Changed,
    /// They say the same in another form.
    Rewritten,
}

/// The most lines of one file; the rest is counted.
const LINES_MAX: usize = 200;

/// What differs between two books, in the order of the paths; files that are the same to the letter are left out.
pub fn changes(before: &Files, after: &Files) -> Vec<FileChange> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter_map(|path| change(path, before.get(path), after.get(path))).collect()
}

fn change(path: &str, before: Option<&String>, after: Option<&String>) -> Option<FileChange> {
    let (what, mut lines) = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => (FileVerb::New, Vec::new()),
        (Some(_), None) => (FileVerb::Gone, Vec::new()),
        (Some(before), Some(after)) if before == after => return None,
        (Some(before), Some(after)) => {
            let mut lines = Vec::new();
            match (read(path, before), read(path, after)) {
                (Some(before), Some(after)) => compare(&mut Vec::new(), &before, &after, &mut lines),
                (None, _) | (_, None) => lines.push("cannot be read".to_owned()),
            }
            (if lines.is_empty() { FileVerb::Rewritten } else { FileVerb::Changed }, lines)
        }
    };
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more"));
    }
    Some(FileChange { file: path.to_owned(), what, lines })
}

/// The file as a value; an iCalendar file as its lines, which are what people compare in it.
fn read(path: &str, text: &str) -> Option<Value> {
    if path.ends_with(".ics") {
        let lines = text.lines().map(|line| Value::String(line.trim_end().to_owned()));
        return Some(Value::Array(lines.collect()));
    }
    text.parse::<toml::Table>().ok().map(Value::Table)
}

fn compare(path: &mut Vec<String>, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        (Value::Table(before), Value::Table(after)) => {
            let keys: Vec<&String> =
                before.keys().chain(after.keys().filter(|key| !before.contains_key(key.as_str()))).collect();
            for key in keys {
                path.push(key.clone());
                one(path, before.get(key), after.get(key), lines);
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) => arrays(path, before, after, lines),
        (before, after) if before == after => {}
        (before, after) => lines.push(format!("{}: {} → {}", said(path), shown(before), shown(after))),
    }
}

fn one(path: &mut Vec<String>, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    match (before, after) {
        (Some(before), Some(after)) => compare(path, before, after, lines),
        // A list that is new or gone is told entry by entry, like one that grew or shrank.
        (Some(Value::Array(items)), None) => arrays(path, items, &[], lines),
        (None, Some(Value::Array(items))) => arrays(path, &[], items, lines),
        (Some(before), None) => lines.push(format!("{}: no longer {}", said(path), shown(before))),
        (None, Some(after)) => lines.push(format!("{}: {} is new", said(path), shown(after))),
        (None, None) => {}
    }
}

fn arrays(path: &mut Vec<String>, before: &[Value], after: &[Value], lines: &mut Vec<String>) {
    let (old, new) = (named(before), named(after));
    let keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    for key in keys {
        let (old, new) = (old.get(key).copied(), new.get(key).copied());
        match (old, new) {
            (Some(old @ Value::Table(_)), Some(new @ Value::Table(_))) => {
                path.push(key.clone());
                compare(path, old, new, lines);
                path.pop();
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(old), None) => lines.push(format!("{}: without {}", said(path), shown(old))),
            (None, Some(new)) => lines.push(format!("{}: with {}", said(path), shown(new))),
        }
    }
    let in_both = |from: &[Value], other: &BTreeMap<String, &Value>| -> Vec<String> {
        let names = named_in_order(from);
        names.into_iter().map(|(name, _)| name).filter(|name| other.contains_key(name)).collect()
    };
    let (then, now) = (in_both(before, &new), in_both(after, &old));
    if then != now {
        lines.push(format!("{}: in another order, {}", said(path), now.join(", ")));
    }
}

fn named(items: &[Value]) -> BTreeMap<String, &Value> {
    named_in_order(items).into_iter().collect()
}

/// The entries with what names each; those of one name are numbered.
fn named_in_order(items: &[Value]) -> Vec<(String, &Value)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    items
        .iter()
        .map(|item| {
            let name = name_of(item);
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            (if *count == 1 { name } else { format!("{name} ({count})") }, item)
        })
        .collect()
}

/// What names an entry: its own name, or what it is about.
fn name_of(item: &Value) -> String {
    let Value::Table(table) = item else { return shown(item) };
    let get = |key: &str| table.get(key).map(plain);
    let together = |keys: &[&str]| {
        let all: Vec<String> = keys.iter().filter_map(|key| get(key)).collect();
        (!all.is_empty()).then(|| all.join(" "))
    };
    get("id")
        .or_else(|| get("effective_from").map(|from| format!("from {from}")))
        .or_else(|| together(&["stage", "priority"]))
        .or_else(|| get("asset"))
        .or_else(|| get("when"))
        .or_else(|| get("band"))
        .or_else(|| together(&["date", "yearly"]))
        .or_else(|| get("mail"))
        .or_else(|| together(&["at", "to"]))
        .or_else(|| get("name"))
        .or_else(|| get("kind"))
        .or_else(|| get("rrule"))
        .unwrap_or_else(|| shown(item))
}

/// `target respond P1, P2: within`.
fn said(path: &[String]) -> String {
    if path.is_empty() { "the file".to_owned() } else { path.join(" · ") }
}

/// A value as the book writes it.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => plain(value),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    };
    super::fields::shown(&text)
}

/// A value inside a name: without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => super::fields::shown(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(moment) => moment.to_string(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Table(_) => shown(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> Vec<String> {
        let book = |text: &str| Files::from([("plans/gold.toml".to_owned(), text.to_owned())]);
        changes(&book(before), &book(after)).into_iter().flat_map(|change| change.lines).collect()
    }

    #[test]
    fn each_difference_is_a_line_in_the_words_of_the_book() {
        let before = "name = \"Gold\"\nrates = 1\n[[target]]\nstage = \"respond\"\npriority = [\"P1\", \"P2\"]\nwithin = \"4h\"\n";
        let after = "name = \"Gold\"\n[[target]]\nstage = \"respond\"\npriority = [\"P1\", \"P2\"]\nwithin = \"3h\"\ngrace = \"5min\"\n[[target]]\nstage = \"resolve\"\nwithin = \"8h\"\n";
        assert_eq!(
            lines(before, after),
            [
                "rates: no longer 1",
                "target · respond P1, P2 · within: \"4h\" → \"3h\"",
                "target · respond P1, P2 · grace: \"5min\" is new",
                "target: with { stage = \"resolve\", within = \"8h\" }",
            ]
        );
    }

    #[test]
    fn comments_and_form_are_no_differences() {
        let before = Files::from([("provider.toml".to_owned(), "name = \"A\" # one\nx = 1".to_owned())]);
        let after = Files::from([("provider.toml".to_owned(), "x = 1\nname = 'A'".to_owned())]);
        assert_eq!(changes(&before, &before), []);
        let rewritten = changes(&before, &after);
        assert_eq!((rewritten[0].what, rewritten[0].lines.len()), (FileVerb::Rewritten, 0));
    }

    #[test]
    fn the_order_of_a_catalogue_is_told_because_the_first_match_wins() {
        let issue = |id: &str| format!("[[issue]]\nid = \"{id}\"\n");
        let said = lines(&(issue("A") + &issue("B")), &(issue("B") + &issue("A") + &issue("C")));
        assert_eq!(said, ["issue: with { id = \"C\" }", "issue: in another order, B, A"]);
    }

    #[test]
    fn two_entries_of_one_name_are_told_apart() {
        let target = |within: &str| format!("[[target]]\nstage = \"respond\"\nwithin = \"{within}\"\n");
        let said = lines(&(target("1h") + &target("2h")), &(target("1h") + &target("3h")));
        assert_eq!(said, ["target · respond (2) · within: \"2h\" → \"3h\""]);
    }
}
