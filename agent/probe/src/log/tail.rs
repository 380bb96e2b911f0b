//! Reads on where the last look ended: over renaming (a new file under the old name), over emptying (`copytruncate`),
//! and over more than can be read.
//!
//! A file is known by its number and by the bytes before the place that was reached: one that was emptied and has grown
//! past that place again has others there, and so has a new file that was given the number of an old one.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    lines::{LINE_MAX, Lines},
    open::{FileId, Opened, Refused, open},
};
use crate::deadline::Deadline;

/// How many bytes before a place are compared.
const BEFORE: u64 = 64;
/// So many names of a log's folder are looked through for the file that it was.
const NAMES_MAX: usize = 10_000;

/// What one look may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// In bytes; of more than this the newest are read.
    pub(super) bytes: u64,
    /// Of one step.
    pub(super) chunk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, chunk: 64 << 10 }
    }
}

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    file: FileId,
    offset: u64,
    /// A sum of the bytes before it.
    before: u64,
    /// What stood behind it without an end of line.
    waiting: u64,
    /// Whether it lies within a line whose beginning was read.
    is_rest: bool,
}

/// What one look read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tailed {
    pub(super) place: Option<Place>,
    pub(super) lines: u64,
    pub(super) skipped_bytes: u64,
    pub(super) is_missing: bool,
    /// It was emptied, or written anew.
    is_anew: bool,
    /// Another file has its name, and the one before was not found.
    is_lost: bool,
    /// There was no time to read all of it.
    is_cut: bool,
}

impl Tailed {
    /// What is to be said beside the judgement.
    pub(super) fn notes(&self) -> String {
        let mut notes = String::new();
        if self.skipped_bytes > 0 {
            notes.push_str(&format!("; skipped {} bytes: more came than is read at once", self.skipped_bytes));
        }
        if self.is_lost {
            notes.push_str("; the file before was renamed out of its folder: its last lines were not read");
        }
        if self.is_anew {
            notes.push_str("; it was emptied and is read from its beginning");
        }
        if self.is_cut {
            notes.push_str("; the rest is read at the next look");
        }
        notes
    }
}

/// A stretch of a file that is to be read.
struct Stretch {
    opened: Opened,
    from: u64,
    is_rest: bool,
    /// Nothing more is written to it: what it ends with is a line.
    is_old: bool,
}

/// Shows each line since `place` to `see`; none at the first look of all, which only takes the place.
pub(super) fn read_on(
    path: &Path,
    place: Option<&Place>,
    is_first: bool,
    limits: Limits,
    deadline: Deadline,
    mut see: impl FnMut(&[u8]),
) -> Result<Tailed, Refused> {
    let mut tailed = Tailed::default();
    let at = |error: io::Error| Refused::Io { part: path.to_owned(), error };
    let mut stretches = Vec::new();
    let current = open(path)?;
    tailed.is_missing = current.is_none();
    let is_same = match (&current, place) {
        (Some(current), Some(place)) => current.id == place.file,
        (Some(_) | None, _) => false,
    };
    if let Some(place) = place.filter(|_| !is_same) {
        match renamed(path, place) {
            Some(opened) => {
                stretches.push(Stretch { opened, from: place.offset, is_rest: place.is_rest, is_old: true });
            }
            None => tailed.is_lost = current.is_some(),
        }
    }
    if let Some(mut current) = current {
        let (from, is_rest) = match place.filter(|_| is_same) {
            Some(place) if is_as_left(&mut current, place).map_err(at)? => (place.offset, place.is_rest),
            Some(_) => {
                tailed.is_anew = true;
                (0, false)
            }
            None if is_first => (end_of_lines(&mut current).map_err(at)?, false),
            None => (0, false),
        };
        stretches.push(Stretch { opened: current, from, is_rest, is_old: false });
    }
    let mut excess = stretches.iter().map(|stretch| stretch.opened.size.saturating_sub(stretch.from)).sum::<u64>();
    excess = excess.saturating_sub(limits.bytes);
    tailed.skipped_bytes = excess;
    for mut stretch in stretches {
        let skipped = excess.min(stretch.opened.size.saturating_sub(stretch.from));
        excess -= skipped;
        stretch.from += skipped;
        stretch.is_rest |= skipped > 0;
        let waited = place.filter(|place| place.file == stretch.opened.id && skipped == 0).map_or(0, |it| it.waiting);
        let is_whole = read(stretch, waited, limits, deadline, &mut tailed, &mut see).map_err(at)?;
        if !is_whole {
            tailed.is_cut = true;
            break;
        }
    }
    Ok(tailed)
}

/// Reads one stretch to its end; false when the time was over before.
fn read(
    stretch: Stretch,
    waited: u64,
    limits: Limits,
    deadline: Deadline,
    tailed: &mut Tailed,
    see: &mut impl FnMut(&[u8]),
) -> io::Result<bool> {
    let Stretch { opened: Opened { mut file, id, size }, from, is_rest, is_old } = stretch;
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Lines::new(is_rest);
    let mut chunk = vec![0; limits.chunk];
    let mut at = from;
    // Not beyond what was there when it was opened: a program may write as fast as this reads.
    while at < size && !deadline.has_passed() {
        let room = usize::try_from(size - at).unwrap_or(usize::MAX).min(chunk.len());
        let count = file.read(&mut chunk[..room])?;
        if count == 0 {
            break;
        }
        at += count as u64;
        lines.feed(&chunk[..count], see);
    }
    let is_whole = at >= size || !deadline.has_passed();
    // A program that died within a line will not end it: what has waited for a whole look is a line.
    if is_whole && (is_old || (waited > 0 && lines.waiting() == waited)) {
        lines.finish(see);
    }
    tailed.lines += lines.shown();
    let offset = at - lines.waiting();
    let before = sum_before(&mut file, offset)?;
    tailed.place = Some(Place { file: id, offset, before, waiting: lines.waiting(), is_rest: lines.is_rest() });
    Ok(is_whole)
}

/// Whether the file is still the one that was read up to this place.
fn is_as_left(opened: &mut Opened, place: &Place) -> io::Result<bool> {
    Ok(opened.size >= place.offset && sum_before(&mut opened.file, place.offset)? == place.before)
}

/// The file that had the log's name, under its new one: in the same folder, with a name that begins alike.
fn renamed(path: &Path, place: &Place) -> Option<Opened> {
    let name = path.file_name()?.to_str()?;
    let begins = name.split('.').next().filter(|begin| !begin.is_empty()).unwrap_or(name);
    let folder = std::fs::read_dir(path.parent()?).ok()?;
    let is_alike =
        |found: &PathBuf| found.file_name().and_then(|name| name.to_str()).is_some_and(|it| it.starts_with(begins));
    folder
        .take(NAMES_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_alike)
        .filter_map(|found| open(&found).ok().flatten())
        .find_map(|mut opened| {
            let is_it = opened.id == place.file && is_as_left(&mut opened, place).unwrap_or(false);
            is_it.then_some(opened)
        })
}

/// Behind the last line that has an end: what stands there is being written.
fn end_of_lines(opened: &mut Opened) -> io::Result<u64> {
    let from = opened.size.saturating_sub(LINE_MAX as u64);
    opened.file.seek(SeekFrom::Start(from))?;
    let mut last = Vec::new();
    (&mut opened.file).take(LINE_MAX as u64).read_to_end(&mut last)?;
    let end = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    Ok(if end == 0 && from > 0 { opened.size } else { from + end as u64 })
}

/// A sum of the bytes before a place (FNV-1a: nobody gains by making two alike but not having his own lines read).
fn sum_before(file: &mut File, offset: u64) -> io::Result<u64> {
    let from = offset.saturating_sub(BEFORE);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(offset - from).read_to_end(&mut bytes)?;
    Ok(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}
