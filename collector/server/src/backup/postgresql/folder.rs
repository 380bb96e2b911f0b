//! What is in such a folder, and what of it is needed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_store::postgres::follow::Lsn;

use super::log::named_files;
use crate::{
    failure::{Exit, Failure},
    files::{FileError, read_text, sync_folder, write_private},
};

/// The format's name; another one is refused.
const FORMAT: &str = "upheld.archive/1";
const IDENTITY: &str = "archive.json";
const HEAD: &str = "head.json";
const LOCK: &str = "follow.lock";
const LOG: &str = "wal";
const UNTIL: &str = "wal-until-";
/// How moments are written in names.
const MOMENT: &str = "%Y%m%dT%H%M%SZ";

/// Which server is followed, and by which slot of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    format: String,
    /// The server's own number.
    pub(super) system: String,
    /// Its major version.
    pub(super) major: i32,
    /// The slot's name, which is the name of whoever follows as well.
    pub(super) slot: String,
    /// The length of a file of the log.
    pub(super) segment: u64,
    /// When it was followed first.
    pub(super) begun_at: Timestamp,
}

impl Identity {
    /// That of a folder that begins.
    pub(super) fn new(system: String, major: i32, slot: String, segment: u64, begun_at: Timestamp) -> Self {
        Self { format: FORMAT.to_owned(), system, major, slot, segment, begun_at }
    }
}

/// Up to where the folder follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    format: String,
    /// The log is there up to this place.
    lsn: String,
    /// Everything that was committed before this moment is in the folder.
    pub(crate) seen_at: Timestamp,
}

impl Head {
    /// The log is there up to this place.
    pub(super) fn lsn(&self) -> Lsn {
        self.lsn.parse().unwrap_or(Lsn(0))
    }
}

/// A copy of the whole: PostgreSQL's data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) path: PathBuf,
    /// When it was begun.
    pub(super) at: Timestamp,
}

impl Base {
    /// From where on it needs the log: the place, and the timeline.
    pub(super) fn start(&self) -> Result<(Lsn, u32), Failure> {
        let path = self.path.join("backup_label");
        let text = read_text(&path)?;
        let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let start = of("START WAL LOCATION: ").and_then(|place| place.parse().ok());
        let timeline = of("START TIMELINE: ").and_then(|timeline| timeline.parse().ok());
        start.zip(timeline).ok_or_else(|| damaged(&path, "it does not say where the log begins"))
    }
}

/// A folder that follows a PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) struct Archive(PathBuf);

impl Archive {
    /// The folder at a path, if a PostgreSQL is followed into it.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        path.join(IDENTITY).exists().then(|| Self(path.to_owned()))
    }

    /// A folder to follow into: new, empty, or one of these.
    pub(super) fn to_follow_into(path: &Path) -> Result<Self, Failure> {
        let folder = Self(path.to_owned());
        if !path.exists() || path.join(IDENTITY).exists() {
            return Ok(folder);
        }
        let names = folder.names()?;
        // What stands at the top of a disk of its own, and our own lock.
        let foreign: Vec<_> =
            names.iter().filter(|name| !["lost+found", LOCK].contains(&name.as_str())).take(3).collect();
        if foreign.is_empty() {
            return Ok(folder);
        }
        let is_of_a_file = names.iter().any(|name| name.starts_with("segment-") || name == HEAD);
        let shown: Vec<_> = foreign.iter().map(|name| name.as_str()).collect();
        let why = if is_of_a_file {
            "a collector with its facts in a file was followed into it: it holds segments".to_owned()
        } else {
            format!("it holds {}, which no follower wrote", shown.join(", "))
        };
        Err(Failure::new(Exit::Failed, format!("{} is not empty", path.display()))
            .because(why)
            .todo("name a folder that does not exist yet: upheld-collector backup --follow DIR"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Held while somebody follows into it.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        let path = self.0.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(FileError::of("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(Exit::AlreadyRunning, format!("{} is being followed into already", self.0.display()))
                    .todo("stop the other `backup --follow` first, or name another folder"))
            }
            Err(TryLockError::Error(source)) => Err(FileError::of("lock", &path)(source).into()),
        }
    }

    /// Which server it follows; `None` before it does.
    pub(super) fn identity(&self) -> Result<Option<Identity>, Failure> {
        let identity: Option<Identity> = self.read(IDENTITY)?;
        match identity {
            Some(identity) if identity.format != FORMAT => Err(damaged(
                &self.0.join(IDENTITY),
                &format!("it says format {:?}, this version reads {FORMAT}", identity.format),
            )),
            other => Ok(other),
        }
    }

    /// The same of a folder that must have one.
    pub(super) fn known(&self) -> Result<Identity, Failure> {
        self.identity()?.ok_or_else(|| damaged(&self.0, &format!("{IDENTITY} is missing")))
    }

    pub(super) fn set_identity(&self, identity: &Identity) -> Result<(), Failure> {
        self.write(IDENTITY, identity)
    }

    /// Up to where it follows; `None` before there is a copy of the whole.
    pub(crate) fn head(&self) -> Result<Option<Head>, Failure> {
        self.read(HEAD)
    }

    pub(super) fn set_head(&self, lsn: Lsn, seen_at: Timestamp) -> Result<(), Failure> {
        self.write(HEAD, &Head { format: FORMAT.to_owned(), lsn: lsn.to_string(), seen_at })
    }

    /// Its copies of the whole, oldest first.
    pub(super) fn bases(&self) -> Result<Vec<Base>, Failure> {
        let base = |name: &String| {
            let at = moment(name.strip_prefix("base-")?)?;
            Some(Base { path: self.0.join(name), at })
        };
        let mut bases: Vec<_> = self.names()?.iter().filter_map(base).collect();
        bases.sort_by_key(|base| base.at);
        Ok(bases)
    }

    /// The newest copy of the whole, or the one that is named.
    pub(super) fn base(&self, named: Option<&Path>) -> Result<Base, Failure> {
        let bases = self.bases()?;
        let wanted = |base: &&Base| named.is_none_or(|named| named.file_name() == base.path.file_name());
        bases.iter().rev().find(wanted).cloned().ok_or_else(|| {
            let names: Vec<_> = bases.iter().filter_map(|base| base.path.file_name()?.to_str()).collect();
            let here = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Failure::new(Exit::Failed, format!("{} has no such copy of a server", self.0.display()))
                .because(format!("here are: {here}"))
                .todo("name one of them, or leave it out for the newest one")
        })
    }

    /// Copies of the collector's own settings and keys, oldest first.
    pub(super) fn owns(&self) -> Result<Vec<PathBuf>, Failure> {
        let own = |name: &String| moment(name.strip_prefix("own-")?.strip_suffix(".backup")?);
        let mut owns: Vec<_> = self.names()?.iter().filter_map(|name| Some((own(name)?, self.0.join(name)))).collect();
        owns.sort();
        Ok(owns.into_iter().map(|(_, path)| path).collect())
    }

    /// The newest of them.
    pub(crate) fn own(&self) -> Result<PathBuf, Failure> {
        let why = "there is no own-….backup: the collector's settings, secrets and keys";
        self.owns()?.pop().ok_or_else(|| damaged(&self.0, why))
    }

    /// Where a copy of the whole that was begun at this moment has its place.
    pub(super) fn place_of_base(&self, at: Timestamp) -> PathBuf {
        self.0.join(format!("base-{}", at.strftime(MOMENT)))
    }

    /// Where it is made before.
    pub(super) fn new_base(&self) -> PathBuf {
        self.0.join("base.new")
    }

    /// Where a copy of the collector's own files of this moment has its place.
    pub(super) fn place_of_own(&self, at: Timestamp) -> PathBuf {
        self.0.join(format!("own-{}.backup", at.strftime(MOMENT)))
    }

    /// Where the log is written.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join(LOG)
    }

    /// Puts the log aside: what comes next does not go on from it.
    pub(super) fn set_log_aside(&self, at: Timestamp) -> Result<(), Failure> {
        let (log, aside) = (self.log(), self.0.join(format!("{UNTIL}{}", at.strftime(MOMENT))));
        if log.exists() {
            fs::rename(&log, &aside).map_err(FileError::of("name", &aside))?;
        }
        let head = self.0.join(HEAD);
        if head.exists() {
            // It said up to where that log went; the next one is written once there is a copy of the whole.
            fs::remove_file(&head).map_err(FileError::of("remove", &head))?;
        }
        Ok(sync_folder(&self.0).map_err(FileError::of("sync the folder", &self.0))?)
    }

    /// Logs that were put aside, by the moment.
    pub(super) fn logs_aside(&self) -> Result<Vec<(Timestamp, PathBuf)>, Failure> {
        let aside = |name: &String| Some((moment(name.strip_prefix(UNTIL)?)?, self.0.join(name)));
        let mut logs: Vec<_> = self.names()?.iter().filter_map(aside).collect();
        logs.sort();
        Ok(logs)
    }

    /// The log behind a base.
    pub(super) fn log_of(&self, base: &Base) -> Result<PathBuf, Failure> {
        let aside = self.logs_aside()?.into_iter().find(|(until, _)| *until > base.at);
        Ok(aside.map_or_else(|| self.log(), |(_, path)| path))
    }

    /// Removes what no kept copy needs: older copies of the whole, their log, older copies of the collector's own files.
    pub(super) fn prune(&self, keep: usize, segment: u64) -> Result<(), Failure> {
        let keep = keep.max(1);
        let bases = self.bases()?;
        let gap = self.logs_aside()?.pop().map(|(until, _)| until);
        let behind_gap = bases.iter().filter(|base| gap.is_none_or(|gap| base.at >= gap)).count();
        let (old, kept) = bases.split_at(bases.len().saturating_sub(keep.min(behind_gap)));
        let Some(first) = kept.first() else { return Ok(()) };
        let (start, _) = first.start()?;
        for (_, aside) in self.logs_aside()? {
            remove_folder(&aside)?;
        }
        for base in old {
            // Not `base-…` any more, so that nobody takes half of one for a copy.
            let going = self.0.join("base.old");
            remove_folder(&going)?;
            fs::rename(&base.path, &going).map_err(FileError::of("name", &going))?;
            remove_folder(&going)?;
        }
        for (number, file) in named_files(&self.log(), segment)? {
            if number < start.0 / segment {
                fs::remove_file(&file.path).map_err(FileError::of("remove", &file.path))?;
            }
        }
        let owns = self.owns()?;
        for path in owns.iter().take(owns.len().saturating_sub(keep)) {
            fs::remove_file(path).map_err(FileError::of("remove", path))?;
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        names_in(&self.0)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let path = self.0.join(name);
        if !path.exists() {
            return Ok(None);
        }
        serde_json::from_str(&read_text(&path)?).map(Some).map_err(|error| damaged(&path, &error.to_string()))
    }

    fn write(&self, name: &str, what: &impl Serialize) -> Result<(), Failure> {
        let path = self.0.join(name);
        let text = serde_json::to_vec(what).map_err(|error| FileError::of("write", &path)(error.into()))?;
        Ok(write_private(&path, &text)?)
    }
}

/// The names of what is in a folder.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let unread = || FileError::of("read the folder", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread())? {
        names.push(entry.map_err(unread())?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

pub(super) fn remove_folder(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        fs::remove_dir_all(path).map_err(FileError::of("remove", path))?;
    }
    Ok(())
}

fn moment(text: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime(MOMENT, text).ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

pub(super) fn damaged(path: &Path, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{} is damaged", path.display())).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 16 << 20;

    fn archive() -> (tempfile::TempDir, Archive) {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive(folder.path().to_owned());
        fs::create_dir(archive.log()).unwrap();
        (folder, archive)
    }

    fn base(archive: &Archive, at: &str, start: &str) {
        let path = archive.place_of_base(at.parse().unwrap());
        fs::create_dir(&path).unwrap();
        let label = format!("START WAL LOCATION: {start} (file x)\nCHECKPOINT LOCATION: 0/60\nSTART TIMELINE: 1\n");
        fs::write(path.join("backup_label"), label).unwrap();
    }

    fn log(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        names.iter().for_each(|name| fs::write(folder.join(name), "").unwrap());
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names = names_in(path).unwrap();
        names.sort();
        names
    }

    #[test]
    fn what_no_kept_copy_needs_goes_and_nothing_else() {
        let (_folder, archive) = archive();
        base(&archive, "2026-11-01T00:00:00Z", "0/2000028");
        base(&archive, "2026-11-02T00:00:00Z", "0/4000028");
        base(&archive, "2026-11-03T00:00:00Z", "0/7000028");
        log(&archive.log(), &["000000010000000000000002", "000000010000000000000003.partial", "00000002.history"]);
        log(
            &archive.log(),
            &["000000020000000000000003", "000000020000000000000004", "000000020000000000000005.partial"],
        );
        archive.prune(2, SEGMENT).unwrap();
        assert_eq!(names(&archive.0), ["base-20261102T000000Z", "base-20261103T000000Z", "wal"]);
        assert_eq!(
            names(&archive.log()),
            ["00000002.history", "000000020000000000000004", "000000020000000000000005.partial"]
        );
    }

    #[test]
    fn what_is_before_a_gap_stays_until_there_is_a_copy_behind_it() {
        let (_folder, archive) = archive();
        base(&archive, "2026-11-01T00:00:00Z", "0/2000028");
        log(&archive.log(), &["000000010000000000000002"]);
        archive.set_head(Lsn(0x0200_0100), Timestamp::UNIX_EPOCH).unwrap();
        archive.set_log_aside("2026-11-02T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(archive.head().unwrap(), None);
        log(&archive.log(), &["000000010000000000000009"]);
        archive.prune(2, SEGMENT).unwrap();
        let before = archive.base(None).unwrap();
        let aside = archive.log_of(&before).unwrap();
        assert_eq!(names(&aside), ["000000010000000000000002"]);

        base(&archive, "2026-11-02T00:00:05Z", "0/9000028");
        archive.prune(2, SEGMENT).unwrap();
        assert_eq!(names(&archive.0), ["base-20261102T000005Z", "wal"]);
        assert_eq!(archive.log_of(&archive.base(None).unwrap()).unwrap(), archive.log());
    }

    #[test]
    fn a_folder_of_something_else_is_not_followed_into() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Archive::to_follow_into(folder.path()).is_ok());
        fs::create_dir(folder.path().join("lost+found")).unwrap();
        assert!(Archive::to_follow_into(folder.path()).is_ok());
        fs::write(folder.path().join("photo.jpg"), "").unwrap();
        let text = Archive::to_follow_into(folder.path()).unwrap_err().text(false);
        assert!(text.contains("photo.jpg"), "{text}");
        fs::write(folder.path().join("segment-000000000001"), "").unwrap();
        let text = Archive::to_follow_into(folder.path()).unwrap_err().text(false);
        assert!(text.contains("in a file"), "{text}");
        let identity = Identity::new("7".to_owned(), 15, "upheld_1".to_owned(), SEGMENT, Timestamp::UNIX_EPOCH);
        Archive(folder.path().to_owned()).set_identity(&identity).unwrap();
        assert_eq!(Archive::to_follow_into(folder.path()).unwrap().known().unwrap(), identity);
    }
}
