//! The sample book is the language: all of it must be readable.

use upheld_agreement::book::{Book, Code, Files};

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        Files::from([$(($path.to_owned(), include_str!(concat!("sample-book/", $path)).to_owned())),+])
    };
}

fn sample() -> Files {
    files![
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
    ]
}

#[test]
fn the_sample_is_refused_for_the_checks_that_are_not_built_and_for_nothing_else() {
    let files = sample();
    let refused = Book::read(&files).unwrap_err();
    let lines: Vec<_> = refused
        .errors
        .iter()
        .map(|error| format!("{}:{} {error}", error.line_column(&files).0, error.line_column(&files).1))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(refused.errors.iter().all(|error| error.code == Code::NotBuilt));
    assert!(refused.warnings.is_empty());
}
