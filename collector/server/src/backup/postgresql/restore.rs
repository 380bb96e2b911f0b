//! A data directory of PostgreSQL's, and a collector's own folder, made of what followed them.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    folder::Archive,
    log::{log_files, name_of},
    programs::Programs,
    verify::{check_base, read_log, refuse_gap},
};
use crate::{
    failure::Failure,
    files::{FileError, sync_folder},
};

/// What lets the server go through the log that lies in its own folder, to its end, and then begin a timeline of its own.
const SETTINGS: &str = "\n# upheld-collector restore: all of the log lies in pg_wal already.\n\
                        restore_command = 'false'\nrecovery_target_timeline = 'latest'\n\
                        # Nobody follows this server yet.\n\
                        synchronous_standby_names = ''\n";

/// A data directory that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// Of which copy.
    pub(crate) base: PathBuf,
    /// How many files of the log lie in it.
    pub(crate) files: u64,
    /// Everything that was committed before this moment is there; `None` where the log was not whole.
    pub(crate) up_to: Option<Timestamp>,
    /// The server's version.
    pub(crate) major: i32,
    /// Whether its settings lie in it, and not elsewhere on the lost host.
    pub(crate) has_settings: bool,
}

/// Makes a data directory at `into`, which must not exist, of the newest copy in the folder (or of the one that is named)
/// and all of the log behind it. With `as_far_as_whole` a log that is missing in part, or damaged, is taken as far as it
/// goes.
pub(crate) fn make(
    folder: &Archive,
    named: Option<&Path>,
    into: &Path,
    programs: Option<&Path>,
    as_far_as_whole: bool,
) -> Result<Made, Failure> {
    let identity = folder.known()?;
    let base = folder.base(named)?;
    let programs = Programs::that_serve(identity.major, programs)?;
    check_base(&base, &programs)?;
    let log = folder.log_of(&base)?;
    let (start, timeline) = base.start()?;
    let segment = identity.segment;
    let head = folder.head()?.filter(|_| log == folder.log());
    let files = log_files(&log, segment)?;
    let whole = refuse_gap(&log, &base, &files, head.as_ref().map_or(start, |head| head.lsn()), segment);
    let is_whole = whole.is_ok();
    if !as_far_as_whole {
        whole.map_err(as_far)?;
    }
    copy_folder(&base.path, into)?;
    let own = into.join("pg_wal");
    let mut laid: BTreeMap<u64, u32> = BTreeMap::new();
    for (number, file) in &files {
        if *number < start.0 / segment {
            continue;
        }
        // The last one is whole but for its name.
        let place = own.join(name_of(file.timeline, *number, segment));
        copy_file(&file.path, &place)?;
        laid.insert(*number, file.timeline);
    }
    copy_histories(&log, &own)?;
    sync_folder(&own).map_err(FileError::of("sync the folder", &own))?;
    let is_one = laid.values().all(|of| *of == timeline);
    if let Some(head) = head.as_ref().filter(|head| is_whole && is_one && head.lsn() > start) {
        let read = read_log(&programs, &own, (start, head.lsn()), timeline);
        if !as_far_as_whole {
            read.map_err(as_far)?;
        }
    }
    set(into)?;
    let files = laid.len() as u64;
    let up_to = head.filter(|_| is_whole).map(|head| head.seen_at);
    let has_settings = into.join("postgresql.conf").exists();
    Ok(Made { base: base.path, files, up_to, major: identity.major, has_settings })
}

fn as_far(failure: Failure) -> Failure {
    failure.todo("find it, or restore what was there before it: add --as-far-as-whole")
}

/// Tells the server what it is to do when it is started.
fn set(into: &Path) -> Result<(), Failure> {
    let path = into.join("postgresql.auto.conf");
    let mut settings =
        OpenOptions::new().append(true).create(true).open(&path).map_err(FileError::of("open", &path))?;
    settings
        .write_all(SETTINGS.as_bytes())
        .and_then(|()| settings.sync_all())
        .map_err(FileError::of("write", &path))?;
    let signal = into.join("recovery.signal");
    File::create(&signal).and_then(|file| file.sync_all()).map_err(FileError::of("write", &signal))?;
    Ok(sync_folder(into).map_err(FileError::of("sync the folder", into))?)
}

/// Which timeline began where stands in files of their own.
fn copy_histories(from: &Path, to: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(from).map_err(FileError::of("read the folder", from))? {
        let entry = entry.map_err(FileError::of("read the folder", from))?;
        if entry.path().extension().is_some_and(|end| end == "history") {
            copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies a folder with all that is in it, each file synced. A copy that `pg_basebackup` took of a server without
/// tablespaces has nothing but files and folders in it.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    crate::files::create_private_folder(to)?;
    for entry in fs::read_dir(from).map_err(FileError::of("read the folder", from))? {
        let entry = entry.map_err(FileError::of("read the folder", from))?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(FileError::of("read", &path))?;
        if kind.is_dir() { copy_folder(&path, &place)? } else { copy_file(&path, &place)? }
    }
    Ok(sync_folder(to).map_err(FileError::of("sync the folder", to))?)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map_err(FileError::of("copy", from))?;
    let synced = OpenOptions::new().write(true).open(to).and_then(|file| file.sync_all());
    Ok(synced.map_err(FileError::of("sync", to))?)
}
