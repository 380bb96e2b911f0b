//! Which file of a book is what (TERMS 1).

use std::sync::Arc;

use upheld_model::{ClientId, SiteId};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    nearest::nearest,
    source::{Files, Place},
};
use crate::words::BookName;

/// The most files of a book: a provider of 1,000 clients with 3 sites each has 5,000.
pub const FILES_MAX: usize = 50_000;

/// The most bytes of one of them: 10,000 holidays as an iCalendar file are a third of it.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// The most bytes of all of them.
pub const BOOK_BYTES_MAX: usize = 64 << 20;

/// What a file of the book is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Provider,
    Catalogue,
    Calendar(BookName),
    Holidays(BookName),
    Plan(BookName),
    Manufacturer(BookName),
    Client(ClientId),
    Agreement(ClientId),
    Site(ClientId, SiteId),
}

/// Every file that the book reads, with its path. Files beside the language (documentation, hidden files) are left
/// alone; a TOML file in the wrong place is refused, because its author believes that it holds.
pub(crate) fn roles(files: &Files, found: &mut Vec<Diagnostic>) -> Vec<(Role, Arc<str>)> {
    let mut roles = Vec::new();
    let bytes: usize = files.values().map(String::len).sum();
    let too_large = match (files.len(), bytes) {
        (count, _) if count > FILES_MAX => Some(format!("the book has {count} files; at most {FILES_MAX} are read")),
        (_, bytes) if bytes > BOOK_BYTES_MAX => {
            Some(format!("the book has {bytes} bytes; at most {BOOK_BYTES_MAX} are read"))
        }
        (_, _) => None,
    };
    if let Some(message) = too_large {
        let place = Place { file: Arc::from(""), from: 0, to: 0 };
        let refused = Diagnostic::new(Code::TooLarge, &place, message);
        found.push(refused.help("name the book's folder, the one with provider.toml"));
        return roles;
    }
    for (path, text) in files.iter().filter(|(path, _)| !is_beside_the_language(path)) {
        let file: Arc<str> = Arc::from(path.as_str());
        let place = Place { file: Arc::clone(&file), from: 0, to: 0 };
        if text.len() > FILE_BYTES_MAX {
            let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
            let refused = Diagnostic::new(Code::TooLarge, &place, message);
            found.push(refused.help("split it: a list of holidays, a plan or a site is a file each"));
            continue;
        }
        match role(path) {
            Ok(role) => roles.push((role, file)),
            Err(Misplaced { code, message, help }) => {
                found.push(Diagnostic::new(code, &place, message).help(help));
            }
        }
    }
    for (role, path) in [(Role::Provider, "provider.toml"), (Role::Catalogue, "catalogue.toml")] {
        if !roles.iter().any(|(there, _)| *there == role) && !files.contains_key(path) {
            let place = Place { file: Arc::from(path), from: 0, to: 0 };
            found.push(Diagnostic::new(Code::MissingFile, &place, format!("the book has no {path}")));
        }
    }
    roles
}

/// Whether a file is none of the book's business: hidden, or neither TOML nor a calendar.
fn is_beside_the_language(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.')) || !(path.ends_with(".toml") || path.ends_with(".ics"))
}

struct Misplaced {
    code: Code,
    message: String,
    help: String,
}

fn role(path: &str) -> Result<Role, Misplaced> {
    let parts: Vec<&str> = path.split('/').collect();
    if let ["holidays", file] = parts.as_slice()
        && let Some(stem) = file.strip_suffix(".ics")
    {
        return named(stem).map(Role::Holidays);
    }
    if path.ends_with(".ics") {
        return Err(Misplaced { help: "holidays stand in the folder holidays".to_owned(), ..misplaced(&parts) });
    }
    let stem = parts.last().and_then(|name| name.strip_suffix(".toml")).unwrap_or_default();
    match parts.as_slice() {
        ["provider.toml"] => Ok(Role::Provider),
        ["catalogue.toml"] => Ok(Role::Catalogue),
        ["calendars", _] => named(stem).map(Role::Calendar),
        ["holidays", _] => named(stem).map(Role::Holidays),
        ["plans", _] => named(stem).map(Role::Plan),
        ["manufacturers", _] => named(stem).map(Role::Manufacturer),
        ["clients", "collector", _] | ["clients", "collector", "sites", _] => Err(Misplaced {
            code: Code::BadName,
            message: "`collector` is the collector itself: its own incidents stand under this name".to_owned(),
            help: "rename the client's folder".to_owned(),
        }),
        ["clients", client, "client.toml"] => named(client).map(Role::Client),
        ["clients", client, "ssa.toml"] => named(client).map(Role::Agreement),
        ["clients", client, "sites", _] => Ok(Role::Site(named(client)?, named(stem)?)),
        _ => Err(misplaced(&parts)),
    }
}

fn named<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Misplaced> {
    text.parse().map_err(|error: T::Err| Misplaced {
        code: Code::BadName,
        message: error.to_string(),
        help: "rename the file or folder".to_owned(),
    })
}

fn misplaced(parts: &[&str]) -> Misplaced {
    let known: &[&str] = match parts {
        ["clients", _, _] => &["client.toml", "ssa.toml"],
        _ => &["provider.toml", "catalogue.toml", "calendars", "holidays", "plans", "manufacturers", "clients"],
    };
    let part = if parts.first() == Some(&"clients") { parts.last() } else { parts.first() };
    let meant = part.and_then(|part| nearest(part, known.iter().copied()));
    Misplaced {
        code: Code::UnknownFile,
        message: "the book has no file of this name, so nobody would read it".to_owned(),
        help: match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here are {}", known.join(", ")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_one_role_by_its_path() {
        let client: ClientId = "northgate".parse().unwrap();
        let cases = [
            ("provider.toml", Some(Role::Provider)),
            ("plans/gold.toml", Some(Role::Plan("gold".parse().unwrap()))),
            ("clients/northgate/ssa.toml", Some(Role::Agreement(client.clone()))),
            ("clients/northgate/sites/plant-2.toml", Some(Role::Site(client, "plant-2".parse().unwrap()))),
            ("plans/deep/gold.toml", None),
            ("plan/gold.toml", None),
            ("clients/northgate/sla.toml", None),
            ("clients/north gate/ssa.toml", None),
            ("holidays/us.ics", Some(Role::Holidays("us".parse().unwrap()))),
            ("calendars/us.ics", None),
        ];
        for (path, expected) in cases {
            assert_eq!(role(path).ok(), expected, "{path}");
        }
    }

    #[test]
    fn a_book_that_is_too_large_is_refused_before_it_is_read() {
        let mut found = Vec::new();
        let many: Files = (0..=FILES_MAX).map(|n| (format!("plans/p{n}.toml"), String::new())).collect();
        assert!(roles(&many, &mut found).is_empty());
        assert_eq!(found[0].code, Code::TooLarge);
        found.clear();
        let files = Files::from([("plans/gold.toml".to_owned(), " ".repeat(FILE_BYTES_MAX + 1))]);
        roles(&files, &mut found);
        assert_eq!(found[0].code, Code::TooLarge);
    }
}
