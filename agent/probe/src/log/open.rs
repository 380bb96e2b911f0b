//! Opens a log and nothing else (SECURITY 8): no step of its path may be a link, and what is there must be an ordinary
//! file. Whoever may write beside a log could else have the agent read, or hang at, what he likes.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Which file it is, whatever it is called meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FileId {
    device: u64,
    /// On Windows, which tells no number without unsafe code, when it was made.
    number: u64,
}

/// A log that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) id: FileId,
    pub(super) size: u64,
}

/// Why a log is not read.
#[derive(Debug)]
pub(super) enum Refused {
    Link { part: PathBuf },
    NotAFile,
    Permission { part: PathBuf },
    Io { part: PathBuf, error: io::Error },
}

impl Refused {
    fn from_io(error: io::Error, part: &Path) -> Self {
        let part = part.to_owned();
        if error.kind() == io::ErrorKind::PermissionDenied {
            Self::Permission { part }
        } else {
            Self::Io { part, error }
        }
    }
}

/// Opens the file; `None` where there is none.
pub(super) fn open(path: &Path) -> Result<Option<Opened>, Refused> {
    let Some(file) = system::open(path)? else { return Ok(None) };
    let known = file.metadata().map_err(|error| Refused::from_io(error, path))?;
    if !known.is_file() {
        return Err(Refused::NotAFile);
    }
    Ok(Some(Opened { id: system::id(&known), size: known.len(), file }))
}

#[cfg(unix)]
mod system {
    use std::{
        fs::{File, Metadata},
        os::{fd::OwnedFd, unix::fs::MetadataExt},
        path::{Component, Path, PathBuf},
    };

    use rustix::{
        fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat},
        io::Errno,
    };

    use super::{FileId, Refused};

    /// A folder that is only passed through need not be readable.
    #[cfg(target_os = "linux")]
    const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const PASS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    /// A pipe without a writer would hold up the thread.
    const READ: OFlags =
        OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

    pub(super) fn open(path: &Path) -> Result<Option<File>, Refused> {
        let mut part = PathBuf::from("/");
        let root = openat(CWD, &part, PASS, Mode::empty());
        let mut folder: OwnedFd = root.map_err(|error| Refused::from_io(error.into(), &part))?;
        let mut steps = path.components().filter(|step| *step != Component::RootDir).peekable();
        while let Some(step) = steps.next() {
            let Component::Normal(name) = step else { return Err(Refused::NotAFile) };
            part.push(name);
            let kind = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(error) => return Err(Refused::from_io(error.into(), &part)),
            };
            let is_last = steps.peek().is_none();
            if kind == FileType::Symlink {
                return Err(Refused::Link { part });
            }
            // A device is not even opened: a tape would wind back.
            if is_last && kind != FileType::RegularFile {
                return Err(Refused::NotAFile);
            }
            match openat(&folder, name, if is_last { READ } else { PASS }, Mode::empty()) {
                Ok(opened) if is_last => return Ok(Some(opened.into())),
                Ok(opened) => folder = opened,
                // What was looked at a moment ago has been replaced.
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(Errno::LOOP) => return Err(Refused::Link { part }),
                Err(error) => return Err(Refused::from_io(error.into(), &part)),
            }
        }
        Err(Refused::NotAFile)
    }

    pub(super) fn id(known: &Metadata) -> FileId {
        FileId { device: known.dev(), number: known.ino() }
    }
}

#[cfg(not(unix))]
mod system {
    //! By paths: each step is looked at before the file is opened, which leaves a moment in between.

    use std::{
        fs::{self, File, Metadata},
        io,
        path::{Path, PathBuf},
        time::UNIX_EPOCH,
    };

    use super::{FileId, Refused};

    pub(super) fn open(path: &Path) -> Result<Option<File>, Refused> {
        let mut part = PathBuf::new();
        for step in path.components() {
            part.push(step);
            match fs::symlink_metadata(&part) {
                Ok(known) if known.is_symlink() => return Err(Refused::Link { part }),
                Ok(known) if part == path && !known.is_file() => return Err(Refused::NotAFile),
                // The first parts, `C:` alone among them, are no files.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Refused::from_io(error, &part)),
            }
        }
        File::open(path).map(Some).map_err(|error| Refused::from_io(error, path))
    }

    pub(super) fn id(known: &Metadata) -> FileId {
        let made = known.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        FileId { device: 0, number: made.map_or(0, |made| u64::try_from(made.as_nanos()).unwrap_or(u64::MAX)) }
    }
}
