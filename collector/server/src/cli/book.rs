//! `book check | plan | apply | explain | diff | fmt | export | new | schema`.

mod diff;
mod export;
pub(super) mod folder;
mod form;
mod plan;
mod schema;
mod start;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use upheld_agreement::{
    book::{Book, Diagnostic, Files},
    explain,
};
use upheld_desk::book::{Acceptance, read_files};
use upheld_model::ClientId;

use super::{Context, typist};
use crate::{
    config::MAIL_NEEDED,
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
    /// What an application would change: files, promises, open incidents, checks. Touches nothing.
    Plan {
        /// The book's folder.
        dir: PathBuf,
    },
    /// Two versions of an agreement, or two folders, in plain words.
    Diff(diff::Args),
    /// Put the files into their usual form; comments and order stay.
    Fmt {
        /// The book's folder.
        dir: PathBuf,
        /// Only say which files are not; fail if there are any.
        #[arg(long)]
        check: bool,
    },
    /// Write the book in force back as files.
    Export {
        /// A folder that is empty or does not exist.
        dir: PathBuf,
    },
    /// A filled-in start for a client, which `book check` accepts.
    New(start::Args),
    /// A JSON Schema of each kind of file, for editors.
    Schema(schema::Args),
}

/// The files of a folder, for whoever else reads one.
pub(crate) fn read_folder(dir: &Path) -> Result<Files, Failure> {
    Ok(BookFolder::read(dir)?.files)
}

pub(super) use export::write_files as write_folder;
pub(super) use start::starter;

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Check { dir } => check(&BookFolder::read(&dir)?, context),
        Command::Apply { dir } => apply(BookFolder::read(&dir)?, context),
        Command::Explain { client, at, book } => in_words(&client, at.as_deref(), book, context),
        Command::Plan { dir } => plan::run(&BookFolder::read(&dir)?, context),
        Command::Diff(args) => diff::run(&args, context),
        Command::Fmt { dir, check } => form::run(&dir, check, context),
        Command::Export { dir } => export::run(&dir, context),
        Command::New(args) => start::run(&args, context),
        Command::Schema(args) => schema::run(&args, context),
    }
}

fn check(folder: &BookFolder, context: &Context) -> Result<Exit, Failure> {
    let report = Report::of(folder, context);
    context.output.result(&report.text(context), || report.document("upheld.book-check/1"))?;
    report.outcome().map(|()| Exit::Ok)
}

fn apply(folder: BookFolder, context: &Context) -> Result<Exit, Failure> {
    let report = Report::of(&folder, context);
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
    // A folder on its own knows no acceptances.
    let accepted = match folder {
        Some(_) => None,
        None => Some(context.with_desk(async |desk, _| desk.acceptances(client).await)?),
    };
    read_book(folder.as_deref(), context, |book| {
        let at = match at {
            Some(text) => when::instant(text, &provider_zone(book))?,
            None => Timestamp::now(),
        };
        let mut said = explain::plain(book, client, at).map_err(|error| Failure::of(Exit::Failed, &error))?;
        // The newest acceptance of this version: by its hash, or of another text and then said so.
        let of_version = |one: &&Acceptance| one.agreement == said.agreement && one.version == said.version;
        let acceptance =
            accepted.iter().flatten().filter(of_version).max_by_key(|one| (Some(one.hash) == said.hash, one.at));
        if let Some(Acceptance { by, at, hash, .. }) = acceptance {
            said = said.accepted(by, *at, hash, &provider_zone(book));
        }
        let words = said.text();
        if let (None, Some(_), Some(hash)) = (acceptance, &accepted, said.hash) {
            let (version, data) = (said.version, context.data_option());
            context.output.say(&format!(
                "Not accepted by the client yet: upheld-collector{data} accept {client} {version} --hash {hash} --by WHO"
            ));
        }
        context.output.result(&words, || {
            json!({
                "schema": "upheld.book-explain/1",
                "client": client,
                "at": at,
                "agreement": said.agreement,
                "version": said.version,
                "hash": said.hash,
                "accepted": acceptance,
                "sections": said.sections,
                "text": words,
            })
        })?;
        Ok(Exit::Ok)
    })
}

/// Hands out the book of a folder, or the one in force.
fn read_book<T>(
    dir: Option<&Path>,
    context: &Context,
    work: impl FnOnce(&Book) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match dir {
        Some(dir) => {
            let book = read_files(&BookFolder::read(dir)?.files).map_err(|refused| {
                Failure::new(Exit::Config, refused.to_string())
                    .todo(format!("upheld-collector book check {}", dir.display()))
            })?;
            work(&book)
        }
        None => work(&context.with_desk(async |desk, _| desk.current_book().await)?.book),
    }
}

/// The zone in which the provider reads times without one.
pub(super) fn provider_zone(book: &Book) -> TimeZone {
    TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC)
}

/// What is to be said of a book.
struct Report<'a> {
    folder: &'a BookFolder,
    zone: TimeZone,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    not_acted_on: Vec<String>,
    /// The book names mail addresses, and the collector that is here has no mail server.
    lacks_mail: bool,
}

impl<'a> Report<'a> {
    fn of(folder: &'a BookFolder, context: &Context) -> Self {
        // A book is checked without a collector too; then nobody knows.
        let has_mail =
            || !context.data.is_initialised() || context.data.config().is_ok_and(|config| config.mail.is_some());
        match read_files(&folder.files) {
            Ok(book) => {
                let zone = provider_zone(&book);
                let today = Timestamp::now().to_zoned(zone.clone()).date();
                let warnings = [book.warnings().to_vec(), book.warnings_on(today)].concat();
                let not_acted_on = book.not_acted_on().iter().map(ToString::to_string).collect();
                let lacks_mail = book.tells_by_mail() && !has_mail();
                Self { folder, zone, errors: Vec::new(), warnings, not_acted_on, lacks_mail }
            }
            Err(refused) => {
                let (errors, warnings) = (refused.errors, refused.warnings);
                let zone = TimeZone::UTC;
                Self { folder, zone, errors, warnings, not_acted_on: Vec::new(), lacks_mail: false }
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
        lines.extend(self.lacks_mail.then(|| format!("warning: {MAIL_NEEDED}")));
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
            "lacks_mail_server": self.lacks_mail,
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
