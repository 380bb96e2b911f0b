//! `backup`: one file of one moment, a folder that follows, and whether they are whole.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Context;
use crate::{
    backup::{
        self, Archive, DATABASE, Folder, Manifest, News,
        postgresql::{self, How},
    },
    config::Database,
    failure::{Exit, Failure},
    files::FileError,
    service::told_to_stop,
    when,
};

/// What to write, where.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// The file to write, or the folder to write it into.
    #[arg(long, value_name = "FILE|DIR", default_value = ".")]
    out: PathBuf,
    /// Follow the collector into this folder until told to stop: copies of the whole, and after them whatever is
    /// committed, within a second.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    follow: Option<PathBuf>,
    /// How many copies of the whole are kept, with what is needed after them.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "follow")]
    keep: usize,
    /// Of facts in PostgreSQL: follow by this address, for a role that may replicate or past a pooler:
    /// postgres://USER@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", requires = "follow")]
    database: Option<String>,
    /// With --database: the file that holds its password.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password_file: Option<PathBuf>,
    /// With --database: the authority of its certificate, where that is none of the public ones.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
    /// Of facts in PostgreSQL: where pg_basebackup and pg_receivewal are, if not where packages put them.
    #[arg(long, value_name = "DIR", requires = "follow")]
    programs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every byte of a backup, or of a folder that follows, and say whether it is whole.
    Verify {
        /// The backup, or the folder that `backup --follow` writes.
        file: PathBuf,
        /// Of such a folder: exit 4 when it follows no further than up to so long ago, for example 5m.
        #[arg(long, value_name = "TIME", value_parser = when::span)]
        max_age: Option<SignedDuration>,
        /// Of a folder that follows a PostgreSQL: where pg_verifybackup is, if not where packages put it.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
}

pub(super) fn run(args: &BackupArgs, context: &Context) -> Result<Exit, Failure> {
    if let Some(Command::Verify { file, max_age, programs }) = &args.command {
        if let Some(archive) = Archive::at(file) {
            return verify_archive(&archive, file, *max_age, programs.as_deref(), context);
        }
        return match max_age {
            _ if file.is_dir() => verify_folder(file, *max_age, context),
            Some(_) => Err(Failure::new(Exit::Usage, "--max-age is of a folder that follows; this is one file")),
            None => verify(file, context),
        };
    }
    if let Some(into) = &args.follow {
        return follow(args, into, context);
    }
    let now = Timestamp::now();
    let out = if args.out.is_dir() {
        args.out.join(format!("upheld-{}.backup", now.strftime("%Y%m%dT%H%M%SZ")))
    } else {
        args.out.clone()
    };
    let written = backup::write(&context.data, &out, now)?;
    let path = written.path.display();
    let text = format!(
        "{path}: {} bytes, {} parts, schema {}; written, synced and read back.\n\
         It holds the collector's keys and secrets: only its owner may read it (mode 0600); keep it like the keys.\n\
         Check it at any time: upheld-collector backup verify {path}{}",
        written.bytes,
        written.manifest.parts.len(),
        written.manifest.schema,
        written.manifest.left_out()
    );
    context.output.result(&text, || document(&written.path, &written.manifest))?;
    Ok(Exit::Ok)
}

fn document(path: &Path, manifest: &Manifest) -> serde_json::Value {
    json!({ "schema": "upheld.backup-report/1", "file": path, "manifest": manifest })
}

fn verify(file: &Path, context: &Context) -> Result<Exit, Failure> {
    let manifest = backup::check(file)?.manifest;
    // A name that nobody can foresee: the keys lie there for a moment.
    let scratch = tempfile::tempdir().map_err(FileError::of("make a folder in", &std::env::temp_dir()))?;
    backup::unpack(file, scratch.path())?;
    let Manifest { upheld, schema, taken_at, parts, .. } = &manifest;
    let (path, parts, left) = (file.display(), parts.len(), manifest.left_out());
    let text = if manifest.has_facts() {
        upheld_store::sqlite::backup::inspect(&scratch.path().join(DATABASE))?;
        format!(
            "{path} is whole: taken {taken_at:.0} by Upheld {upheld}, schema {schema}, {parts} parts; its database was \
             opened and every page of it read.{left}"
        )
    } else {
        format!(
            "{path} is whole: taken {taken_at:.0} by Upheld {upheld}, {parts} parts: a collector's settings, secrets and \
             keys. Its facts are in the PostgreSQL that the same folder follows.{left}"
        )
    };
    context.output.result(&text, || document(file, &manifest))?;
    Ok(Exit::Ok)
}

fn verify_folder(path: &Path, max_age: Option<SignedDuration>, context: &Context) -> Result<Exit, Failure> {
    let folder = Folder::at(path);
    let base = folder.base(None)?;
    backup::check(&base.path)?;
    let scratch = tempfile::tempdir().map_err(FileError::of("make a folder in", &std::env::temp_dir()))?;
    backup::unpack(&base.path, scratch.path())?;
    let database = scratch.path().join(DATABASE);
    let applied = folder.apply(&base, &database, false)?;
    upheld_store::sqlite::backup::inspect(&database)?;
    let age = Timestamp::now().duration_since(applied.up_to);
    let text = format!(
        "{} is whole: {} and {} segments after it were read and put together, and every page of the database.\n\
         It follows up to {:.0}, {} s ago.",
        path.display(),
        base.path.display(),
        applied.segments,
        applied.up_to,
        age.as_secs()
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.follow-report/1", "folder": path, "base": base.path, "segments": applied.segments,
            "up_to": applied.up_to,
        })
    })?;
    Ok(if max_age.is_some_and(|max_age| age > max_age) { Exit::Holds } else { Exit::Ok })
}

fn verify_archive(
    archive: &Archive,
    path: &Path,
    max_age: Option<SignedDuration>,
    programs: Option<&Path>,
    context: &Context,
) -> Result<Exit, Failure> {
    let checked = postgresql::check(archive, programs)?;
    let age = Timestamp::now().duration_since(checked.up_to);
    let how = if checked.is_read {
        "each record of all but the last one was read"
    } else {
        "none is missing or too short (pg_waldump, which reads each record, is not here, or there are several timelines)"
    };
    let text = format!(
        "{} is whole: every byte of {} was read; {} files of the log follow it, {how}.\n\
         It follows up to {:.0}, {} s ago.",
        path.display(),
        checked.base.display(),
        checked.files,
        checked.up_to,
        age.as_secs()
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.follow-report/1", "folder": path, "base": checked.base, "files": checked.files,
            "up_to": checked.up_to,
        })
    })?;
    Ok(if max_age.is_some_and(|max_age| age > max_age) { Exit::Holds } else { Exit::Ok })
}

/// The PostgreSQL that is followed; `None` where the facts are in a file.
fn followed(args: &BackupArgs, context: &Context) -> Result<Option<Database>, Failure> {
    let own = context.data.config()?.database;
    let of_a_file = [("--database", args.database.is_some()), ("--programs", args.programs.is_some())];
    if let (None, Some((option, _))) = (&own, of_a_file.iter().find(|(_, is_given)| *is_given)) {
        return Err(Failure::new(Exit::Usage, format!("{option} is for a collector whose facts are in PostgreSQL"))
            .because("this one's are in a file of its data folder"));
    }
    let (ca, password) = (args.database_ca.as_deref(), args.database_password_file.as_deref());
    args.database.as_deref().map_or(Ok(own), |url| Database::given(url, ca, password).map(Some))
}

fn follow(args: &BackupArgs, into: &Path, context: &Context) -> Result<Exit, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let output = context.output;
    let database = followed(args, context)?;
    let (keep, programs) = (args.keep, args.programs.clone());
    let mut tell = move |news: News| match news {
        News::Base(path) => output.result(
            &format!("{}: a copy of the whole; what is committed from now on follows it", path.display()),
            || json!({ "schema": "upheld.follow/1", "type": "base", "file": path }),
        ),
        News::Segment(number, pages) if output.json => output
            .result("", || json!({ "schema": "upheld.follow/1", "type": "segment", "number": number, "pages": pages })),
        News::Segment(..) => Ok(()),
        News::Trouble(text) if output.json => {
            output.result("", || json!({ "schema": "upheld.follow/1", "type": "trouble", "text": text }))
        }
        // Not for --quiet to hide.
        News::Trouble(text) => {
            eprintln!("{text}  It is tried again.");
            Ok(())
        }
        News::Follows(text) => {
            output.result(&text, || json!({ "schema": "upheld.follow/1", "type": "follows", "text": text }))
        }
        News::Warning(text) if output.json => {
            output.result("", || json!({ "schema": "upheld.follow/1", "type": "warning", "text": text }))
        }
        News::Warning(text) => {
            eprintln!("Warning: {text}");
            Ok(())
        }
    };
    super::runtime()?.block_on(async {
        let (data, into, stopping) = (context.data.clone(), into.to_owned(), Arc::clone(&stop));
        let mut following = tokio::task::spawn_blocking(move || match &database {
            None => backup::follow(&data, &into, keep, &stopping, &mut tell),
            Some(database) => {
                let how = How { data: &data, into: &into, keep, database, programs: programs.as_deref() };
                postgresql::follow(&how, &stopping, &mut tell)
            }
        });
        let ended = tokio::select! {
            ended = &mut following => ended,
            _ = told_to_stop() => {
                stop.store(true, Ordering::Relaxed);
                following.await
            }
        };
        ended.map_err(|error| Failure::new(Exit::Failed, "following ended in a panic").because(error.to_string()))?
    })?;
    Ok(Exit::Ok)
}
