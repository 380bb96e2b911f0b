//! A folder that follows a collector: copies of the whole, and after them every committed page as it was written.
//!
//! `base-F-T.backup` is a backup taken while the segments up to F were there; with the segments F+1 to T it is of one
//! moment, and with those behind T of a later one. A segment is a line of JSON, the pages (zstd), and a SHA-256 over all
//! of that, which the next segment names: a segment that is missing or another one is seen. `head.json` says up to which
//! moment everything is there.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use upheld_store::sqlite::follow::{FollowError, Follower, Pending};

use super::hex;
use crate::{
    failure::{Exit, Failure},
    files::{FileError, read_text, sync_folder, write_private},
};

/// The format's name; another one is refused.
const FORMAT: &str = "upheld.segment/1";
const HEAD: &str = "head.json";
/// More than any segment's first line.
const LINE_MAX: u64 = 4_096;
/// The digest behind a segment.
const SEAL: u64 = 32;

/// The first line of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    format: String,
    number: u64,
    /// The digest of the segment before it, hexadecimal; empty where a run of the follower began.
    previous: String,
    page_size: u32,
    frames: u64,
    pages_after: u32,
    /// Everything that was committed before this moment is in it or before it.
    seen_at: Timestamp,
}

/// Up to where the folder follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    format: String,
    /// The last segment when the run of the follower began that wrote this.
    run_from: u64,
    /// The last segment; 0 for none.
    pub(crate) segment: u64,
    /// Everything that was committed before this moment is in the folder.
    pub(crate) seen_at: Timestamp,
}

/// A copy of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// The last segment that it holds whole.
    pub(crate) from: u64,
    /// The segment up to which it needs them to be of one moment.
    pub(crate) to: u64,
    /// Where.
    pub(crate) path: PathBuf,
}

/// What was put on top of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// How many segments.
    pub(crate) segments: u64,
    /// Everything that was committed before this moment is there.
    pub(crate) up_to: Timestamp,
}

/// A folder that follows.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder at a path.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Its copies of the whole, oldest first.
    pub(crate) fn bases(&self) -> Result<Vec<Base>, Failure> {
        let base = |name: &str| {
            let (from, to) = name.strip_prefix("base-")?.strip_suffix(".backup")?.split_once('-')?;
            Some(Base { from: from.parse().ok()?, to: to.parse().ok()?, path: self.0.join(name) })
        };
        let mut bases: Vec<_> = self.names()?.iter().filter_map(|name| base(name)).collect();
        bases.sort_by_key(|base| (base.from, base.to));
        Ok(bases)
    }

    /// The newest copy of the whole, or the one at `path`.
    pub(crate) fn base(&self, path: Option<&Path>) -> Result<Base, Failure> {
        let bases = self.bases()?;
        let wanted = |base: &&Base| path.is_none_or(|path| path.file_name() == base.path.file_name());
        bases.iter().rev().find(wanted).cloned().ok_or_else(|| {
            let names: Vec<_> = bases.iter().filter_map(|base| base.path.file_name()?.to_str()).collect();
            let here = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Failure::new(Exit::Failed, format!("{} has no such copy of a collector", self.0.display()))
                .because(format!("segments go on top of a base-….backup of their own folder; here are: {here}"))
                .todo("name the folder that `upheld-collector backup --follow` wrote, and leave FILE out")
        })
    }

    /// Its segments by number.
    pub(crate) fn segments(&self) -> Result<BTreeMap<u64, PathBuf>, Failure> {
        let number = |name: &str| name.strip_prefix("segment-")?.parse().ok();
        Ok(self.names()?.iter().filter_map(|name| Some((number(name)?, self.0.join(name)))).collect())
    }

    /// Up to where it follows; `None` before it does.
    pub(crate) fn head(&self) -> Result<Option<Head>, Failure> {
        let path = self.0.join(HEAD);
        if !path.exists() {
            return Ok(None);
        }
        let head: Head = serde_json::from_str(&read_text(&path)?)
            .map_err(|error| damaged(&path, format!("it is no head: {error}")))?;
        Ok(Some(head))
    }

    /// Says up to where it follows. Only after the first base of a run: of an older one it says nothing.
    pub(crate) fn set_head(&self, run_from: u64, segment: u64, seen_at: Timestamp) -> Result<(), FileError> {
        let head = Head { format: FORMAT.to_owned(), run_from, segment, seen_at };
        let text = serde_json::to_vec(&head).map_err(|error| FileError::of("write", &self.0)(error.into()))?;
        write_private(&self.0.join(HEAD), &text)
    }

    /// Writes a segment, synced; answers with its digest.
    pub(crate) fn write(
        &self,
        follower: &Follower,
        pending: &Pending,
        (number, previous): (u64, &str),
        seen_at: Timestamp,
    ) -> Result<String, FollowError> {
        let line = Line {
            format: FORMAT.to_owned(),
            number,
            previous: previous.to_owned(),
            page_size: pending.page_size,
            frames: pending.frames,
            pages_after: pending.pages_after,
            seen_at,
        };
        let partial = self.0.join("segment.partial");
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        let mut text = serde_json::to_vec(&line).map_err(|error| FollowError::Keep(error.into()))?;
        text.push(b'\n');
        let mut digesting = Digesting { inner: how.open(&partial).map_err(FollowError::Keep)?, digest: Sha256::new() };
        digesting.write_all(&text).map_err(FollowError::Keep)?;
        let mut pages = zstd::Encoder::new(digesting, 3).map_err(FollowError::Keep)?;
        follower.copy(pending, &mut pages)?;
        let end = |Digesting { mut inner, digest }: Digesting<File>| {
            let digest = digest.finalize();
            inner.write_all(&digest)?;
            inner.sync_all()?;
            fs::rename(&partial, self.0.join(format!("segment-{number:012}")))?;
            sync_folder(&self.0)?;
            Ok(hex(&digest))
        };
        pages.finish().and_then(end).map_err(FollowError::Keep)
    }

    /// Where a copy of the whole is made before it has its name.
    pub(crate) fn new_base(&self) -> PathBuf {
        self.0.join("base.new")
    }

    /// Gives a copy of the whole its name.
    pub(crate) fn name_base(&self, new: &Path, from: u64, to: u64) -> Result<PathBuf, Failure> {
        let path = self.0.join(format!("base-{from:012}-{to:012}.backup"));
        fs::rename(new, &path).map_err(FileError::of("name", &path))?;
        sync_folder(&self.0).map_err(FileError::of("sync the folder", &self.0))?;
        Ok(path)
    }

    /// Removes all copies but the newest ones, and the segments that only the removed ones needed.
    pub(crate) fn prune(&self, keep: usize) -> Result<(), Failure> {
        let bases = self.bases()?;
        let (old, kept) = bases.split_at(bases.len().saturating_sub(keep.max(1)));
        let needed_after = kept.first().map_or(0, |base| base.from);
        let segments = self.segments()?;
        let old = old.iter().map(|base| &base.path);
        for path in old.chain(segments.range(..=needed_after).map(|(_, path)| path)) {
            fs::remove_file(path).map_err(FileError::of("remove", path))?;
        }
        Ok(())
    }

    /// Puts the segments behind a base on top of its database. With `as_far_as_whole` it ends before the first one that
    /// is missing or damaged, where it otherwise refuses.
    pub(crate) fn apply(&self, base: &Base, database: &Path, as_far_as_whole: bool) -> Result<Applied, Failure> {
        let segments = self.segments()?;
        let mut pages =
            OpenOptions::new().read(true).write(true).open(database).map_err(FileError::of("open", database))?;
        let head = self.head()?;
        let last = segments.keys().next_back().copied().unwrap_or(0).max(head.as_ref().map_or(0, |head| head.segment));
        let (mut applied, mut previous, mut up_to) = (0, None::<String>, None);
        for number in base.from + 1..=last.max(base.to) {
            let outcome = match segments.get(&number) {
                None => Err(damaged(&self.0, format!("segment {number} is missing, of those up to {last}"))),
                Some(path) => check(path).and_then(|(line, digest)| {
                    let follows = previous.as_ref().is_none_or(|before| *before == line.previous);
                    if follows || line.previous.is_empty() && number > base.to {
                        return Ok((path, line, digest, follows));
                    }
                    Err(damaged(path, format!("it does not follow segment {}", number - 1)))
                }),
            };
            match outcome {
                // A later run of the follower: it has a base of its own.
                Ok((_, _, _, false)) => break,
                Ok((path, line, digest, true)) => {
                    write_pages(path, &line, &mut pages)?;
                    applied += 1;
                    up_to = Some(line.seen_at);
                    previous = Some(digest);
                }
                Err(_) if as_far_as_whole && number > base.to => break,
                Err(error) if number > base.to => {
                    return Err(error.todo(format!(
                        "find it, or restore what was there before it: add --as-far-as-whole ({applied} segments, up to {})",
                        up_to.map_or_else(|| "the base".to_owned(), |up_to| format!("{up_to:.0}"))
                    )));
                }
                Err(error) => return Err(error.todo("restore an older base of this folder: name its file")),
            }
        }
        pages.sync_all().map_err(FileError::of("sync", database))?;
        // The head is later than the last segment where nothing was written in between.
        let is_of_this = |head: &Head| head.segment == base.from + applied && base.from >= head.run_from;
        let whole = head.filter(is_of_this).map(|head| head.seen_at);
        match up_to.max(whole) {
            Some(up_to) => Ok(Applied { segments: applied, up_to }),
            None => Err(damaged(&self.0, format!("there is neither {HEAD} nor a segment behind the base"))),
        }
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        let unread = || FileError::of("read the folder", &self.0);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unread())? {
            names.push(entry.map_err(unread())?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }
}

fn damaged(path: &Path, why: String) -> Failure {
    Failure::new(Exit::Failed, format!("{} is damaged", path.display())).because(why)
}

/// Reads every byte of a segment: its line and its digest.
fn check(path: &Path) -> Result<(Line, String), Failure> {
    let unread = |error: io::Error| damaged(path, format!("it cannot be read: {error}"));
    let length = fs::metadata(path).map_err(FileError::of("read", path))?.len();
    let mut file = BufReader::new(File::open(path).map_err(FileError::of("read", path))?);
    let mut digest = Sha256::new();
    io::copy(&mut file.by_ref().take(length.saturating_sub(SEAL)), &mut digest).map_err(unread)?;
    let digest = digest.finalize();
    let mut seal = Vec::new();
    file.read_to_end(&mut seal).map_err(unread)?;
    if seal != digest.as_slice() {
        return Err(damaged(path, "its SHA-256 differs".to_owned()));
    }
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    Ok((line(&mut file, path)?, hex(&digest)))
}

fn line(file: &mut impl BufRead, path: &Path) -> Result<Line, Failure> {
    let mut text = Vec::new();
    file.take(LINE_MAX).read_until(b'\n', &mut text).map_err(FileError::of("read", path))?;
    let line: Line =
        serde_json::from_slice(&text).map_err(|error| damaged(path, format!("its first line: {error}")))?;
    if line.format == FORMAT {
        return Ok(line);
    }
    Err(damaged(path, format!("its first line says format {:?}, this version reads {FORMAT}", line.format)))
}

fn write_pages(path: &Path, line: &Line, database: &mut File) -> Result<(), Failure> {
    let broken = |error: io::Error| damaged(path, format!("its pages: {error}"));
    let length = fs::metadata(path).map_err(FileError::of("read", path))?.len();
    let mut file =
        BufReader::new(File::open(path).map_err(FileError::of("read", path))?.take(length.saturating_sub(SEAL)));
    self::line(&mut file, path)?;
    let mut pages = zstd::Decoder::with_buffer(file).map_err(broken)?;
    let size = u64::from(line.page_size);
    let mut page = vec![0; 8 + line.page_size as usize];
    for _ in 0..line.frames {
        pages.read_exact(&mut page).map_err(broken)?;
        let number = page.first_chunk().map_or(0, |number| u32::from_be_bytes(*number));
        let at = u64::from(number).checked_sub(1).ok_or_else(|| damaged(path, "a page has the number 0".to_owned()))?;
        let content = page.get(8..).unwrap_or_default();
        database
            .seek(SeekFrom::Start(at * size))
            .and_then(|_| database.write_all(content))
            .map_err(|error| Failure::new(Exit::Failed, "the database cannot be written").because(error.to_string()))?;
    }
    database
        .set_len(u64::from(line.pages_after) * size)
        .map_err(|error| Failure::new(Exit::Failed, "the database cannot be written").because(error.to_string()))
}

/// Writes on, and keeps the digest of what was written.
struct Digesting<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.digest.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
