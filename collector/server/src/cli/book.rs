//! `book check | apply | explain`.

pub(super) mod folder;

use std::path::PathBuf;

use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use upheld_agreement::{
    book::{Book, Diagnostic},
    explain,
};
use upheld_model::ClientId;

use super::{Context, typist, unbuilt};
use crate::{
    failure::{Exit, Failure},
    when,
};
use folder::BookFolder;

/// What can be done with the book.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the book and say what is wrong, all of it at once. Touches nothing.
    Check {
        /// The book's folder.
        dir: PathBuf,
    },
    /// Make the folder the book in force, in one transaction.
    Apply {
        /// The book's folder.
        dir: PathBuf,
    },
    /// Print a client's agreement as a person would say it.
    Explain {
        /// The client.
        client: ClientId,
        /// As it is at this time.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Read this folder in place of the book in force.
        #[arg(long, value_name = "DIR")]
        book: Option<PathBuf>,
    },
    /// (not built yet) What an application would change.
    #[command(hide = true)]
    Plan(Anything),
    /// (not built yet) Put the files into their usual form.
    #[command(hide = true)]
    Fmt(Anything),
    /// (not built yet) Two versions in plain words.
    #[command(hide = true)]
    Diff(Anything),
}

#[derive(Debug, clap::Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Check { dir } => check(&BookFolder::read(&dir)?, context),
        Command::Apply { dir } => apply(BookFolder::read(&dir)?, context),
        Command::Explain { client, at, book } => in_words(&client, at.as_deref(), book, context),
        Command::Plan(_) => Err(unbuilt::not_built("book plan")),
        Command::Fmt(_) => Err(unbuilt::not_built("book fmt")),
        Command::Diff(_) => Err(unbuilt::not_built("book diff")),
    }
}

fn check(folder: &BookFolder, context: &Context) -> Result<Exit, Failure> {
    let report = Report::of(folder);
    context.output.result(&report.text(context), || report.document("upheld.book-check/1"))?;
    report.outcome().map(|()| Exit::Ok)
}

fn apply(folder: BookFolder, context: &Context) -> Result<Exit, Failure> {
    let report = Report::of(&folder);
    if report.outcome().is_err() {
        context.output.result(&report.text(context), || report.document("upheld.book-apply/1"))?;
        return report.outcome().map(|()| Exit::Ok);
    }
    for line in report.notes(context) {
        context.output.say(&line);
    }
    let files = folder.files.clone();
    let applied = context.with_desk(async |desk, now| desk.apply_book(files, &typist(), now).await)?;
    let text = if applied.changed {
        format!("Book version {} is in force ({} files).", applied.version, folder.files.len())
    } else {
        format!("Nothing changed: book version {} holds these files already.", applied.version)
    };
    context.output.result(&text, || {
        let mut document = report.document("upheld.book-apply/1");
        document["version"] = json!(applied.version);
        document["hash"] = json!(applied.hash);
        document["changed"] = json!(applied.changed);
        document
    })?;
    Ok(Exit::Ok)
}

fn in_words(client: &ClientId, at: Option<&str>, folder: Option<PathBuf>, context: &Context) -> Result<Exit, Failure> {
    let (applied, read);
    let book = match folder {
        Some(dir) => {
            read = Book::read(&BookFolder::read(&dir)?.files).map_err(|refused| {
                Failure::new(Exit::Config, refused.to_string())
                    .todo(format!("upheld-collector book check {}", dir.display()))
            })?;
            &read
        }
        None => {
            applied = context.with_desk(async |desk, _| desk.current_book().await)?;
            &applied.book
        }
    };
    let at = match at {
        Some(text) => when::instant(text, &provider_zone(book))?,
        None => Timestamp::now(),
    };
    let said = explain::plain(book, client, at).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let words = said.text();
    context.output.result(&words, || {
        json!({
            "schema": "upheld.book-explain/1",
            "client": client,
            "at": at,
            "agreement": said.agreement,
            "version": said.version,
            "hash": said.hash,
            "sections": said.sections,
            "text": words,
        })
    })?;
    Ok(Exit::Ok)
}

/// The zone in which the provider reads times without one.
pub(super) fn provider_zone(book: &Book) -> TimeZone {
    TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC)
}

/// What is to be said of a book.
struct Report<'a> {
    folder: &'a BookFolder,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    not_acted_on: Vec<String>,
}

impl<'a> Report<'a> {
    fn of(folder: &'a BookFolder) -> Self {
        match Book::read(&folder.files) {
            Ok(book) => {
                let today = Timestamp::now().to_zoned(provider_zone(&book)).date();
                let warnings = [book.warnings().to_vec(), book.warnings_on(today)].concat();
                let not_acted_on = book.not_acted_on().iter().map(ToString::to_string).collect();
                Self { folder, errors: Vec::new(), warnings, not_acted_on }
            }
            Err(refused) => {
                Self { folder, errors: refused.errors, warnings: refused.warnings, not_acted_on: Vec::new() }
            }
        }
    }

    fn count(&self) -> String {
        let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        format!(
            "{}, {}, {}.",
            many(self.folder.files.len(), "file"),
            many(self.errors.len(), "error"),
            many(self.warnings.len(), "warning")
        )
    }

    fn text(&self, context: &Context) -> String {
        let mut lines: Vec<String> = self.errors.iter().map(|one| self.rendered(one, context)).collect();
        lines.extend(self.notes(context));
        lines.push(self.count());
        lines.join("\n")
    }

    /// Warnings, and what the book says that this version keeps without acting on it.
    fn notes(&self, context: &Context) -> Vec<String> {
        let mut lines: Vec<String> = self.warnings.iter().map(|one| self.rendered(one, context)).collect();
        lines.extend(self.not_acted_on.iter().map(|one| format!("note: {one}")));
        lines
    }

    fn rendered(&self, one: &Diagnostic, context: &Context) -> String {
        one.render_under(&self.folder.shown, &self.folder.files, context.output.is_coloured())
    }

    fn document(&self, schema: &str) -> Value {
        let said = |all: &[Diagnostic]| -> Vec<Value> { all.iter().map(|one| self.entry(one)).collect() };
        json!({
            "schema": schema,
            "ok": self.errors.is_empty(),
            "files": self.folder.files.len(),
            "errors": said(&self.errors),
            "warnings": said(&self.warnings),
            "not_acted_on": self.not_acted_on,
        })
    }

    fn entry(&self, one: &Diagnostic) -> Value {
        let (line, column) = one.line_column(&self.folder.files);
        json!({
            "code": one.code.as_str(),
            "message": one.message,
            "file": one.primary.place.file.to_string(),
            "line": line,
            "column": column,
            "help": one.help,
        })
    }

    fn outcome(&self) -> Result<(), Failure> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let what = format!("the book in {} is refused: {}", self.folder.shown, self.count());
        Err(Failure::new(Exit::Config, what)
            .todo(format!("put right what is shown, then: upheld-collector book check {}", self.folder.shown)))
    }
}
