//! Whether a folder that follows is whole: the newest copy by `pg_verifybackup`, the log file by file and record by record.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use upheld_store::postgres::follow::Lsn;

use super::{
    child,
    folder::{Archive, Base, damaged},
    log::{LogFile, gap, log_files, name_of},
    programs::Programs,
};
use crate::{
    backup::read,
    failure::{Exit, Failure},
};

/// A folder that was read through.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The newest copy of the whole.
    pub(crate) base: PathBuf,
    /// How many files of the log follow it.
    pub(crate) files: u64,
    /// Everything that was committed before this moment is there.
    pub(crate) up_to: Timestamp,
    /// Whether each record of the log was read, but for those of the last file; else it was looked at file by file.
    pub(crate) is_read: bool,
}

/// Reads the newest copy, the log behind it and the newest copy of the collector's own files.
pub(crate) fn check(folder: &Archive, programs: Option<&Path>) -> Result<Checked, Failure> {
    let identity = folder.known()?;
    let base = folder.base(None)?;
    let programs = Programs::that_check(identity.major, programs)?;
    check_base(&base, &programs)?;
    let log = folder.log_of(&base)?;
    let (start, timeline) = base.start()?;
    let head = folder.head()?.filter(|_| log == folder.log());
    let Some(head) = head else {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} does not follow to the last commit", folder.path().display()),
        )
        .because("its newest copy of the whole is from before a gap in the log, and nothing says up to where it goes")
        .todo("let it follow until it says that there is a new copy: upheld-collector backup --follow DIR"));
    };
    let files = log_files(&log, identity.segment)?;
    refuse_gap(&log, &base, &files, head.lsn(), identity.segment)?;
    let behind: Vec<_> = files.iter().filter(|(number, _)| *number >= start.0 / identity.segment).collect();
    // The last file is read once it is whole: until then it has another name.
    let last = Lsn(head.lsn().0 / identity.segment * identity.segment);
    let is_one = behind.iter().all(|(_, file)| file.timeline == timeline);
    let is_read = programs.has("pg_waldump") && is_one;
    if is_read && last > start {
        read_log(&programs, &log, (start, last), timeline)?;
    }
    read::check(&folder.own()?)?;
    Ok(Checked { base: base.path, files: behind.len() as u64, up_to: head.seen_at, is_read })
}

/// Has every byte of a copy checked by the program that is made for it.
pub(super) fn check_base(base: &Base, programs: &Programs) -> Result<(), Failure> {
    let path = base.path.display().to_string();
    let mut arguments = vec!["--quiet", "--exit-on-error"];
    if !programs.has("pg_waldump") {
        arguments.push("--no-parse-wal");
    }
    arguments.push(&path);
    child::run(&programs.path("pg_verifybackup"), &arguments)
        .map_err(|why| damaged(&base.path, &why).todo("take another copy of this folder: name its base-…"))
}

/// Has each record of a log of one timeline read.
pub(super) fn read_log(programs: &Programs, log: &Path, (from, to): (Lsn, Lsn), timeline: u32) -> Result<(), Failure> {
    let (path, from, to, timeline) =
        (log.display().to_string(), from.to_string(), to.to_string(), timeline.to_string());
    let arguments = ["--quiet", "--path", &path, "--start", &from, "--end", &to, "--timeline", &timeline];
    child::run(&programs.path("pg_waldump"), &arguments).map_err(|why| damaged(log, &why))
}

/// Refuses a log that does not go from the copy to where the folder says that it goes.
pub(super) fn refuse_gap(
    log: &Path,
    base: &Base,
    files: &[(u64, LogFile)],
    to: Lsn,
    segment: u64,
) -> Result<(), Failure> {
    let (start, timeline) = base.start()?;
    // The copy has the log of the time in which it was taken.
    let mut all: BTreeMap<_, _> =
        log_files(&base.path.join("pg_wal"), segment)?.into_iter().map(|(number, file)| (number, file.path)).collect();
    all.extend(files.iter().map(|(number, file)| (*number, file.path.clone())));
    let Some(missing) = gap(&all, start, to, segment)? else { return Ok(()) };
    let timeline = files.iter().rev().find(|(number, _)| *number < missing).map_or(timeline, |(_, file)| file.timeline);
    Err(Failure::new(Exit::Failed, format!("{} is damaged", log.display())).because(format!(
        "{} is missing or too short, of what should go from {start} to {to}",
        name_of(timeline, missing, segment)
    )))
}
