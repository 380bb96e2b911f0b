//! The files of a server's log, and whether they go on without a gap.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use upheld_store::postgres::follow::Lsn;

use super::folder::names_in;
use crate::{failure::Failure, files::FileError};

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) timeline: u32,
    /// The last one, which is still being written.
    pub(super) is_partial: bool,
}

/// The files of a log, by the number of their place in it; of several of one number that of the newest timeline, and a
/// whole one before one that is being written. One that nothing has been written into yet is none.
pub(super) fn log_files(folder: &Path, segment: u64) -> Result<Vec<(u64, LogFile)>, Failure> {
    let mut files = Vec::new();
    for (number, file) in named_files(folder, segment)? {
        if !is_unfilled(&file, segment)? {
            files.push((number, file));
        }
    }
    files.sort_by_key(|(number, file)| (*number, file.timeline, !file.is_partial));
    Ok(files)
}

/// Removes files that nothing has been written into yet, where no receiver runs: no later one would take them up.
pub(super) fn remove_unfilled(folder: &Path, segment: u64) -> Result<(), Failure> {
    for (_, file) in named_files(folder, segment)? {
        if is_unfilled(&file, segment)? {
            fs::remove_file(&file.path).map_err(FileError::of("remove", &file.path))?;
        }
    }
    Ok(())
}

/// All files with the name of one, in no order.
pub(super) fn named_files(folder: &Path, segment: u64) -> Result<Vec<(u64, LogFile)>, Failure> {
    let file = |name: &String| {
        let (name_alone, is_partial) = match name.strip_suffix(".partial") {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let (timeline, number) = place_of(name_alone, segment)?;
        Some((number, LogFile { path: folder.join(name), timeline, is_partial }))
    };
    Ok(names_in(folder)?.iter().filter_map(file).collect())
}

/// `pg_receivewal` makes a file as long as it will be, with zeros, before it writes into it. Where it ended at that (a full
/// disk, a kill) the file is short, with nothing but zeros in it.
fn is_unfilled(file: &LogFile, segment: u64) -> Result<bool, Failure> {
    let unread = || FileError::of("read", &file.path);
    if !file.is_partial || fs::metadata(&file.path).map_err(unread())?.len() >= segment {
        return Ok(false);
    }
    Ok(fs::read(&file.path).map_err(unread())?.iter().all(|byte| *byte == 0))
}

/// The timeline and the number of a file of the log, by its name.
fn place_of(name: &str, segment: u64) -> Option<(u32, u64)> {
    if name.len() != 24 || !name.is_ascii() {
        return None;
    }
    let part = |at: usize| u32::from_str_radix(name.get(at..at + 8)?, 16).ok();
    let (timeline, high, low) = (part(0)?, u64::from(part(8)?), u64::from(part(16)?));
    let in_a_part = (1_u64 << 32).checked_div(segment)?;
    Some((timeline, high * in_a_part + low))
}

/// The name of a file of the log.
pub(super) fn name_of(timeline: u32, number: u64, segment: u64) -> String {
    let in_a_part = (1_u64 << 32).checked_div(segment).unwrap_or(1);
    format!("{timeline:08X}{:08X}{:08X}", number / in_a_part, number % in_a_part)
}

/// What is wrong with a log that must go from one place to another: the first file that is missing or too short.
pub(super) fn gap(files: &BTreeMap<u64, PathBuf>, from: Lsn, to: Lsn, segment: u64) -> Result<Option<u64>, Failure> {
    let last = files.keys().next_back().copied().unwrap_or(0).max(to.0.saturating_sub(1) / segment);
    for number in from.0 / segment..=last {
        let Some(path) = files.get(&number) else { return Ok(Some(number)) };
        if fs::metadata(path).map_err(FileError::of("read", path))?.len() != segment {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const SEGMENT: u64 = 16 << 20;

    #[test]
    fn files_of_the_log_are_known_by_their_names() {
        for (name, segment, place) in [
            ("00000001000000000000000A", SEGMENT, Some((1, 10))),
            ("0000000200000001000000FF", SEGMENT, Some((2, 511))),
            ("000000020000000100000003", 1 << 30, Some((2, 7))),
            ("00000002.history", SEGMENT, None),
            ("00000001000000000000000A.00000028.backup", SEGMENT, None),
        ] {
            assert_eq!(place_of(name, segment), place, "{name}");
            if let Some((timeline, number)) = place {
                assert_eq!(name_of(timeline, number, segment), name);
            }
        }
    }

    #[test]
    fn what_a_receiver_had_not_filled_goes_and_what_holds_anything_stays() {
        let folder = tempfile::tempdir().unwrap();
        let segment = 1 << 20;
        let file = |number: u32, bytes: &[u8], end: &str| {
            fs::write(folder.path().join(format!("{:024X}{end}", (1_u128 << 64) + u128::from(number))), bytes).unwrap();
        };
        file(1, &vec![0; 1 << 20], "");
        file(2, &[0; 4096], "");
        file(3, &vec![0; 1 << 20], ".partial");
        file(4, &[], ".partial");
        file(5, &[0, 0, 7, 0], ".partial");
        file(6, &[0; 4096], ".partial");
        let numbers = |files: Vec<(u64, LogFile)>| files.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers(log_files(folder.path(), segment).unwrap()), [1, 2, 3, 5]);
        remove_unfilled(folder.path(), segment).unwrap();
        let mut left = numbers(named_files(folder.path(), segment).unwrap());
        left.sort_unstable();
        assert_eq!(left, [1, 2, 3, 5]);
    }

    #[test]
    fn a_log_with_a_hole_a_short_file_or_no_end_is_told_by_the_file_that_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let file = |number: u64, length: u64| {
            let path = folder.path().join(format!("{number}-{length}"));
            File::create(&path).unwrap().set_len(length).unwrap();
            (number, path)
        };
        let (from, to) = (Lsn(2 * SEGMENT + 0x28), Lsn(4 * SEGMENT));
        let of = |files: &[(u64, PathBuf)]| gap(&files.iter().cloned().collect(), from, to, SEGMENT).unwrap();
        assert_eq!(of(&[file(2, SEGMENT), file(3, SEGMENT)]), None);
        assert_eq!(of(&[file(2, SEGMENT), file(3, SEGMENT), file(4, SEGMENT)]), None, "it may have gone on");
        assert_eq!(of(&[file(2, SEGMENT)]), Some(3), "the head says that it went on");
        assert_eq!(of(&[file(3, SEGMENT)]), Some(2));
        assert_eq!(of(&[file(2, SEGMENT), file(3, 12)]), Some(3));
        assert_eq!(of(&[file(2, SEGMENT), file(3, SEGMENT), file(5, SEGMENT)]), Some(4));
    }
}
