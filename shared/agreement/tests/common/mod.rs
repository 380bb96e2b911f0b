//! The sample book for tests: as it stands, and as far as it is built.
#![allow(unreachable_pub, dead_code, reason = "a module of several test programs, each of which uses its own part")]

use upheld_agreement::book::{Book, Files};

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        Files::from([$(($path.to_owned(), include_str!(concat!("../../sample-book/", $path)).to_owned())),+])
    };
}

/// The sample book with one client who has one site: in it single rules have single mistakes.
pub fn sample() -> Files {
    let mut files = files![
        "provider.toml",
        "catalogue.toml",
        "calendars/24x7.toml",
        "calendars/business.toml",
        "holidays/us-2026.toml",
        "manufacturers/example-recorders.toml",
        "plans/gold.toml",
        "plans/premium-response.toml",
        "clients/northgate/client.toml",
        "clients/northgate/ssa.toml",
        "clients/northgate/sites/plant-2.toml",
    ];
    edit(&mut files, "clients/northgate/ssa.toml", "sites = [\"plant-1\", \"plant-2\"]", "sites = [\"plant-2\"]");
    files
}

/// The whole sample book, with all its clients.
pub fn whole() -> Files {
    files![
        "calendars/24x7.toml",
        "calendars/business.toml",
        "calendars/hospital-24x7.toml",
        "calendars/hospital-days.toml",
        "calendars/office-pacific.toml",
        "catalogue.toml",
        "clients/harbor-dental/client.toml",
        "clients/harbor-dental/sites/office.toml",
        "clients/harbor-dental/ssa.toml",
        "clients/northgate/client.toml",
        "clients/northgate/sites/plant-1.toml",
        "clients/northgate/sites/plant-2.toml",
        "clients/northgate/ssa.toml",
        "clients/st-brendan/client.toml",
        "clients/st-brendan/sites/main-campus.toml",
        "clients/st-brendan/ssa.toml",
        "holidays/us-2026.toml",
        "holidays/us-federal.ics",
        "manufacturers/example-access.toml",
        "manufacturers/example-recorders.toml",
        "plans/gold.toml",
        "plans/platinum.toml",
        "plans/premium-response.toml",
        "plans/silver.toml",
        "provider.toml",
    ]
}

/// The sample book without the checks that are not built.
pub fn built() -> Files {
    let mut files = sample();
    for line in [
        r#"checks = [{ kind = "ups.nut", target = "127.0.0.1", ups = "ups1" }]"#,
        r#"  { kind = "backup.restic", job = "vms", schedule = "cron 0 2 * * *", grace = "2h" },"#,
        r#"  { kind = "restore", recipe = "vms-weekly" },"#,
    ] {
        edit(&mut files, "clients/northgate/sites/plant-2.toml", line, "");
    }
    files
}

/// Replaces a text that must be there.
pub fn edit(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = files.get_mut(path).unwrap_or_else(|| panic!("no {path}"));
    assert!(text.contains(from), "{path} has no {from:?}");
    *text = text.replacen(from, to, 1);
}

/// The sample book as far as it is built, after edits of `(path, from, to)`.
pub fn book(edits: &[(&str, &str, &str)]) -> Book {
    let mut files = built();
    for (path, from, to) in edits {
        edit(&mut files, path, from, to);
    }
    match Book::read(&files) {
        Ok(book) => book,
        Err(refused) => {
            let rendered: Vec<String> = refused.errors.iter().map(|error| error.render(&files, false)).collect();
            panic!("{}", rendered.join("\n"))
        }
    }
}

/// An instant.
pub fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The recorder of the sample fails: class recording, kind down, alone.
pub fn recorder_down(detected: &str) -> upheld_agreement::matching::MatchQuery {
    use upheld_agreement::matching::{Affected, Detected, MatchQuery};
    MatchQuery {
        client: "northgate".parse().unwrap(),
        site: "plant-2".parse().unwrap(),
        asset: Some("nvr-02".parse().unwrap()),
        detected: Detected::at(at(detected)),
        class: upheld_model::IncidentClass::Recording,
        kind: upheld_model::IncidentKind::Down,
        check: Some("rec.freshness".parse().unwrap()),
        affected: Affected::one(),
    }
}
