//! `book diff`: two books, or two versions of a client's agreement, in plain words.

use std::path::{Path, PathBuf};

use serde_json::json;
use upheld_agreement::book::{
    Book,
    changes::{FileChange, changes},
    compare::{Side, VersionDiff, versions},
};
use upheld_model::ClientId;

use super::{Context, folder::BookFolder, plan::file_in_words, read_book};
use crate::failure::{Exit, Failure};

/// What to compare.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A client and two version numbers, or two folders: northgate 1 2, or old/ new/.
    #[arg(num_args = 2..=3, required = true, value_names = ["CLIENT|DIR", "V1|DIR", "V2"])]
    what: Vec<String>,
    /// Read this folder in place of the book in force.
    #[arg(long, value_name = "DIR")]
    book: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match args.what.as_slice() {
        [client, one, two] => of_versions(client, one, two, args.book.as_deref(), context),
        [one, two] => of_folders(Path::new(one), Path::new(two), context),
        // The grammar takes two or three.
        _ => Err(usage()),
    }
}

fn usage() -> Failure {
    Failure::new(Exit::Usage, "name a client and two versions, or two folders")
        .todo("upheld-collector book diff northgate 1 2")
        .todo("upheld-collector book diff old/ new/")
}

fn of_versions(client: &str, one: &str, two: &str, dir: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    let client: ClientId = client.parse().map_err(|error| usage().because(format!("{error}")))?;
    let number = |text: &str| {
        text.trim_start_matches('v').parse::<u32>().map_err(|_| usage().because(format!("{text:?} is no version")))
    };
    let (one, two) = (number(one)?, number(two)?);
    let diff = read_book(dir, context, |book| {
        let side = |version| Side { book, version };
        versions(&client, side(one), side(two)).map_err(|error| Failure::of(Exit::Failed, &error))
    })?;
    context.output.result(&diff.text(), || document(&[], std::slice::from_ref(&diff)))?;
    Ok(Exit::Ok)
}

fn of_folders(one: &Path, two: &Path, context: &Context) -> Result<Exit, Failure> {
    let (one, two) = (BookFolder::read(one)?, BookFolder::read(two)?);
    let files = changes(&one.files, &two.files);
    // Books with mistakes are compared by their files alone.
    let agreements = match (Book::read(&one.files), Book::read(&two.files)) {
        (Ok(one), Ok(two)) => of_books(&one, &two),
        (Err(_), _) | (_, Err(_)) => {
            context.output.say("One of the two has mistakes: their files are compared, their agreements are not.");
            Vec::new()
        }
    };
    let mut text: Vec<String> = files.iter().map(file_in_words).collect();
    text.extend(agreements.iter().map(VersionDiff::text));
    if text.is_empty() {
        text.push("Nothing differs.".to_owned());
    }
    context.output.result(&text.join("\n"), || document(&files, &agreements))?;
    Ok(Exit::Ok)
}

/// The versions that both books have and that promise different things.
fn of_books(one: &Book, two: &Book) -> Vec<VersionDiff> {
    let old = one.versions();
    let new = two.versions().into_iter();
    let both = new.filter(|new| {
        old.iter().any(|old| (&old.client, old.version) == (&new.client, new.version) && old.hash != new.hash)
    });
    let side = |book, version| Side { book, version };
    both.filter_map(|new| versions(&new.client, side(one, new.version), side(two, new.version)).ok())
        .filter(|diff| !diff.is_empty())
        .collect()
}

fn document(files: &[FileChange], agreements: &[VersionDiff]) -> serde_json::Value {
    json!({ "schema": "upheld.book-diff/1", "files": files, "agreements": agreements })
}
