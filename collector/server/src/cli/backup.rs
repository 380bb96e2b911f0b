//! `backup` and `restore`: one file of one moment, and a collector made of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use upheld_desk::Desk;

use super::{Context, unbuilt};
use crate::{
    backup::{self, DATABASE, Manifest},
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, create_private_folder, sync_folder},
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
    /// (not built yet) Ship facts continuously as segments.
    #[arg(long, value_name = "DIR", hide = true)]
    follow: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every byte of a backup and say whether it is whole.
    Verify {
        /// The backup.
        file: PathBuf,
    },
}

/// From what, to where.
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// The folder to make; it must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// (not built yet) Apply shipped segments after the backup.
    #[arg(long, value_name = "DIR", hide = true)]
    segments: Option<PathBuf>,
}

pub(super) fn run(args: &BackupArgs, context: &Context) -> Result<Exit, Failure> {
    if let Some(Command::Verify { file }) = &args.command {
        return verify(file, context);
    }
    if args.follow.is_some() {
        return Err(unbuilt::not_built("backup --follow"));
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
         Check it at any time: upheld-collector backup verify {path}",
        written.bytes,
        written.manifest.parts.len(),
        written.manifest.schema
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
    upheld_store::sqlite::backup::inspect(&scratch.path().join(DATABASE))?;
    let Manifest { upheld, schema, taken_at, parts, .. } = &manifest;
    let text = format!(
        "{} is whole: taken {taken_at:.0} by Upheld {upheld}, schema {schema}, {} parts; its database was opened and every \
         page of it read.",
        file.display(),
        parts.len()
    );
    context.output.result(&text, || document(file, &manifest))?;
    Ok(Exit::Ok)
}

pub(super) fn restore(args: &RestoreArgs, context: &Context) -> Result<Exit, Failure> {
    if args.segments.is_some() {
        return Err(unbuilt::not_built("restore --segments"));
    }
    let into = &args.into;
    refuse_what_is_not_empty(into)?;
    backup::check(&args.file)?;
    // Made beside its place and moved there whole: a restore that is killed leaves no folder that would serve.
    let scratch = Scratch::beside(into)?;
    let manifest = backup::unpack(&args.file, &scratch.0)?;
    upheld_store::sqlite::backup::inspect(&scratch.0.join(DATABASE))?;
    DataDir::at(scratch.0.clone()).config()?;
    let now = Timestamp::now();
    let voided = {
        // Opening migrates what an older version wrote.
        let desk = Desk::new(upheld_store::sqlite::open(&scratch.0.join(DATABASE))?);
        super::runtime()?.block_on(desk.begin_recovery(manifest.taken_at, now))?
    };
    let folder = into.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(&scratch.0, into).map_err(FileError::of("name", into))?;
    sync_folder(folder).map_err(FileError::of("sync the folder", folder))?;
    let path = into.display();
    let text = format!(
        "{path} is restored from {}, and in recovery.\n\
         Facts that may be missing: from {:.0} to {now:.0}.\n\
         Void since then: {} enrolment tokens, {} log-in links, {} sessions, {} API tokens; {} waiting messages are looked \
         up before they are sent.\n\
         Next: upheld-collector recovery show --data {path}",
        args.file.display(),
        manifest.taken_at,
        voided.tokens,
        voided.login_links,
        voided.sessions,
        voided.api_tokens,
        voided.doubted
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.restore/1", "into": into, "missing_from": manifest.taken_at, "missing_to": now,
            "voided": voided,
        })
    })?;
    Ok(Exit::Ok)
}

fn refuse_what_is_not_empty(into: &Path) -> Result<(), Failure> {
    if !into.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(into).map_err(FileError::of("read the folder", into))?;
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{} is not empty", into.display()))
        .because("a restore never writes over a collector")
        .todo("name a folder that does not exist yet, or move that one away"))
}

/// A private folder that goes away with this, unless it was moved.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(path: &Path) -> Result<Self, Failure> {
        let mut name = path.as_os_str().to_owned();
        name.push(".restoring");
        let folder = PathBuf::from(name);
        // What an interrupted restore left.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(FileError::of("remove", &folder))?;
        }
        create_private_folder(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a restore it has been moved away.
        let _ = fs::remove_dir_all(&self.0);
    }
}
