//! Through a folder without ever leaving it (SECURITY 8).
//!
//! The root is what the site's administrator wrote and is opened as it stands. From there on each step is opened
//! relative to the folder before it and refuses links, so that nobody who can write beneath the root can lead the
//! walk elsewhere, not even between a look and the next step.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path, PathBuf},
};

use jiff::Timestamp;

use crate::deadline::Deadline;

/// More entries are not looked at: 100,000 take about a tenth of a second of processor time.
const ENTRIES_MAX: u64 = 100_000;
/// Camera, year, month, day and hour are five.
const DEPTH_MAX: usize = 10;

/// One file that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Its folder, relative to the one that was asked for.
    pub(super) folder: &'a Path,
    pub(super) name: &'a OsStr,
    pub(super) bytes: u64,
    pub(super) modified: Timestamp,
}

/// What could not be looked at on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Walked {
    pub(super) entries: u64,
    /// The first folder that may not be read.
    pub(super) unreadable: Option<PathBuf>,
    /// The bound at which the walk ended early.
    pub(super) cut_short: Option<&'static str>,
}

/// Why there was no walk; `part` is how far the path could be followed.
#[derive(Debug)]
pub(super) enum Refused {
    Missing { part: PathBuf },
    NotAFolder { part: PathBuf },
    Link { part: PathBuf },
    Outside,
    Permission { part: PathBuf },
    Io { part: PathBuf, error: io::Error },
}

impl Refused {
    fn from_io(error: io::Error, part: &Path) -> Self {
        let (kind, part) = (error.kind(), part.to_owned());
        if kind == io::ErrorKind::NotFound {
            Self::Missing { part }
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::Permission { part }
        } else if kind == io::ErrorKind::NotADirectory {
            Self::NotAFolder { part }
        } else {
            Self::Io { part, error }
        }
    }
}

/// Shows every file beneath `path`, which is `root` or lies beneath it, to `visit`. Links are passed by.
pub(super) fn walk(
    root: &Path,
    path: &Path,
    deadline: Deadline,
    mut visit: impl FnMut(Entry<'_>),
) -> Result<Walked, Refused> {
    let steps = path.strip_prefix(root).map_err(|_| Refused::Outside)?;
    let mut folder = system::Folder::root(root).map_err(|error| Refused::from_io(error, root))?;
    let mut part = root.to_owned();
    for step in steps.components() {
        let Component::Normal(name) = step else { return Err(Refused::Outside) };
        part.push(name);
        folder = match folder.enter(name) {
            Ok(inner) => inner,
            Err(_) if folder.is_link(name) => return Err(Refused::Link { part }),
            Err(error) => return Err(Refused::from_io(error, &part)),
        };
    }
    let mut walked = Walked::default();
    if let Err(error) = beneath(&folder, &mut PathBuf::new(), 0, deadline, &mut walked, &mut visit) {
        return Err(Refused::from_io(error, &part));
    }
    walked.unreadable = walked.unreadable.map(|inner| part.join(inner));
    Ok(walked)
}

fn beneath(
    folder: &system::Folder,
    at: &mut PathBuf,
    depth: usize,
    deadline: Deadline,
    walked: &mut Walked,
    visit: &mut impl FnMut(Entry<'_>),
) -> io::Result<()> {
    let mut folders = Vec::new();
    for found in folder.entries()? {
        let (name, kind) = found?;
        walked.entries += 1;
        if walked.entries > ENTRIES_MAX {
            walked.cut_short = Some("100,000 entries");
        } else if walked.entries.is_multiple_of(256) && deadline.has_passed() {
            walked.cut_short = Some("the check's timeout");
        }
        if walked.cut_short.is_some() {
            return Ok(());
        }
        match kind {
            system::Kind::Folder => folders.push(name),
            system::Kind::File { bytes, modified } => visit(Entry { folder: at, name: &name, bytes, modified }),
            system::Kind::Other => {}
        }
    }
    if depth == DEPTH_MAX && !folders.is_empty() {
        walked.cut_short = Some("10 folders deep");
        return Ok(());
    }
    for name in folders {
        at.push(&name);
        let inner = folder.enter(&name).and_then(|inner| beneath(&inner, at, depth + 1, deadline, walked, visit));
        match inner {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                walked.unreadable.get_or_insert_with(|| at.clone());
            }
            // Recorders delete old folders while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        at.pop();
        if walked.cut_short.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(unix)]
mod system {
    //! By descriptors: `openat` with `O_NOFOLLOW`, `fstatat` with `AT_SYMLINK_NOFOLLOW`.

    use std::{
        ffi::{OsStr, OsString},
        io,
        os::{fd::OwnedFd, unix::ffi::OsStringExt},
        path::Path,
    };

    use jiff::Timestamp;
    use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

    pub(super) struct Folder(OwnedFd);

    pub(super) enum Kind {
        Folder,
        File {
            bytes: u64,
            modified: Timestamp,
        },
        /// Links, sockets, devices.
        Other,
    }

    const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    impl Folder {
        pub(super) fn root(path: &Path) -> io::Result<Self> {
            Ok(Self(openat(CWD, path, OPEN, Mode::empty())?))
        }

        pub(super) fn enter(&self, name: &OsStr) -> io::Result<Self> {
            Ok(Self(openat(&self.0, name, OPEN | OFlags::NOFOLLOW, Mode::empty())?))
        }

        pub(super) fn is_link(&self, name: &OsStr) -> bool {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        }

        pub(super) fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<(OsString, Kind)>>> {
            let dir = Dir::read_from(&self.0)?;
            Ok(dir.filter_map(|entry| match entry {
                Err(error) => Some(Err(error.into())),
                Ok(entry) => {
                    let name = entry.file_name();
                    if matches!(name.to_bytes(), b"." | b"..") {
                        return None;
                    }
                    let kind = match entry.file_type() {
                        FileType::Directory => Kind::Folder,
                        FileType::RegularFile | FileType::Unknown => self.kind(name)?,
                        FileType::Symlink
                        | FileType::Fifo
                        | FileType::Socket
                        | FileType::CharacterDevice
                        | FileType::BlockDevice => Kind::Other,
                    };
                    Some(Ok((OsString::from_vec(name.to_bytes().to_vec()), kind)))
                }
            }))
        }

        /// `None` for what has gone meanwhile.
        fn kind(&self, name: &std::ffi::CStr) -> Option<Kind> {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            Some(if kind == FileType::Directory {
                Kind::Folder
            } else if kind == FileType::RegularFile {
                let bytes = u64::try_from(stat.st_size).unwrap_or(0);
                Kind::File { bytes, modified: instant(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0)) }
            } else {
                Kind::Other
            })
        }
    }

    /// A file's time; one outside of what a calendar knows is as far away as can be said.
    fn instant(seconds: i64, nanos: i32) -> Timestamp {
        let farthest = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::new(seconds, nanos).unwrap_or(farthest)
    }
}

#[cfg(not(unix))]
mod system {
    //! By paths: each step is looked at before it is taken, which leaves a moment in between.

    use std::{
        ffi::{OsStr, OsString},
        fs, io,
        path::{Path, PathBuf},
    };

    use jiff::Timestamp;

    pub(super) struct Folder(PathBuf);

    pub(super) enum Kind {
        Folder,
        File {
            bytes: u64,
            modified: Timestamp,
        },
        /// Links and whatever else there is.
        Other,
    }

    impl Folder {
        pub(super) fn root(path: &Path) -> io::Result<Self> {
            if fs::metadata(path)?.is_dir() {
                Ok(Self(path.to_owned()))
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }

        pub(super) fn enter(&self, name: &OsStr) -> io::Result<Self> {
            let path = self.0.join(name);
            if fs::symlink_metadata(&path)?.is_dir() {
                Ok(Self(path))
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }

        pub(super) fn is_link(&self, name: &OsStr) -> bool {
            fs::symlink_metadata(self.0.join(name)).is_ok_and(|found| found.is_symlink())
        }

        pub(super) fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<(OsString, Kind)>>> {
            Ok(fs::read_dir(&self.0)?.filter_map(|entry| match entry {
                Err(error) => Some(Err(error)),
                Ok(entry) => {
                    let found = entry.metadata().ok()?;
                    let kind = if found.is_dir() {
                        Kind::Folder
                    } else if found.is_file() {
                        let modified = found.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
                        Kind::File { bytes: found.len(), modified: modified.unwrap_or(Timestamp::MIN) }
                    } else {
                        Kind::Other
                    };
                    Some(Ok((entry.file_name(), kind)))
                }
            }))
        }
    }
}
