//! Small files that must never be half written or readable by others: keys, certificates, configuration.
//!
//! It knows nothing of their content. A write is whole or absent: temporary file in the same folder, synced, renamed,
//! folder synced. A failure names the path and what to do.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}")]
pub(crate) struct FileError {
    /// The verb: `read`, `write`, `create the folder`.
    pub(crate) doing: &'static str,
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// What the system said.
    #[source]
    pub(crate) source: io::Error,
}

impl FileError {
    /// Binds a verb and a path to an error of the system.
    pub(crate) fn of(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }
}

/// How the names end of files that are being written.
pub(crate) const TEMPORARY: &str = ".new";

/// Replaces `path` by `content`, readable by its owner only. Another process may do the same at this moment: one of the two
/// stays, and it is whole.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = || FileError::of("write", path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let made = tempfile::Builder::new().prefix(&name).suffix(TEMPORARY).tempfile_in(folder);
    let mut file = made.map_err(failed())?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    sync_folder(folder).map_err(FileError::of("sync the folder", folder))
}

/// Creates a folder, and its parents, that only its owner may enter; an existing one stays as it is.
pub(crate) fn create_private_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(FileError::of("create the folder", path))
}

/// Reads a whole file as text.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::of("read", path))
}

#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows makes a rename durable with the file itself and cannot open a folder as a file.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_replaced_whole_and_unreadable_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn of_two_who_write_the_same_file_at_once_one_stays_whole_and_both_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doors.pem");
        let contents: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 10_000 + usize::from(number)]).collect();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                let writers: Vec<_> =
                    contents.iter().map(|content| scope.spawn(|| write_private(&path, content))).collect();
                writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
            });
            assert!(contents.contains(&fs::read(&path).unwrap()));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_failed_write_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/key.pem");
        let error = write_private(&missing, b"x").unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", missing.display()));
    }
}
