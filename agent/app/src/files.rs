//! Private files: a folder only this user enters, files only this user reads, replaced whole or not at all.
//!
//! Every error names the path. Nothing here knows what the files hold.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file operation that failed: what was tried, on which path, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", path.display())]
pub(crate) struct FileError {
    /// What was tried.
    pub(crate) verb: &'static str,
    /// On which path.
    pub(crate) path: PathBuf,
    /// The system's answer.
    #[source]
    pub(crate) source: io::Error,
}

impl FileError {
    /// For `map_err`: an error of `verb` on `path`.
    pub(crate) fn of<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { verb, path: path.to_owned(), source }
    }
}

/// Makes a folder with mode 0700, parents included, and tightens an existing one. On Windows: for SYSTEM, administrators
/// and the service alone, with all that is made in it.
pub(crate) fn private_folder(path: &Path) -> Result<(), FileError> {
    #[cfg(windows)]
    {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(FileError::of("create folder", parent))?;
        }
        crate::platform::security::private_folder(path).map_err(FileError::of("make private", path))
    }
    #[cfg(not(windows))]
    {
        fs::create_dir_all(path).map_err(FileError::of("create folder", path))?;
        tighten(path, 0o700)
    }
}

/// Puts `content` at `path` with mode 0600 so that after a crash either the old or the new content is there:
/// temporary file, fsync, rename, fsync of the folder.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = private_options().truncate(true).open(&temporary).map_err(FileError::of("create", &temporary))?;
    give_to_owner_of_folder(&file, &temporary)?;
    file.write_all(content).map_err(FileError::of("write", &temporary))?;
    file.sync_all().map_err(FileError::of("sync", &temporary))?;
    drop(file);
    fs::rename(&temporary, path).map_err(FileError::of("put in place", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// The file's text, or `None` when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error)),
    }
}

/// Makes the folder's entries durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    // Windows cannot open a folder as a file, and NTFS journals its entries.
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(FileError::of("sync folder", path))?;
    }
    Ok(())
}

/// Gives a file that root made to whoever owns its folder: what `enroll` writes belongs to the service's own user.
pub(crate) fn give_to_owner_of_folder(file: &File, path: &Path) -> Result<(), FileError> {
    // On Windows a file belongs to whoever its folder's access list names, whoever made it.
    #[cfg(not(unix))]
    let _ = (file, path);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let Some(folder) = path.parent() else { return Ok(()) };
        let owned = fs::metadata(folder).map_err(FileError::of("look at", folder))?;
        let made = file.metadata().map_err(FileError::of("look at", path))?;
        // Only root's files are given away, and only root can.
        if made.uid() == 0 && owned.uid() != 0 {
            fchown(file, Some(owned.uid()), Some(owned.gid())).map_err(FileError::of("give away", path))?;
        }
    }
    Ok(())
}

/// The same for a folder.
pub(crate) fn give_folder_to_owner_of_its_folder(path: &Path) -> Result<(), FileError> {
    // Windows cannot open a folder as a file.
    if cfg!(unix) {
        let folder = File::open(path).map_err(FileError::of("open", path))?;
        give_to_owner_of_folder(&folder, path)?;
    }
    Ok(())
}

/// Options for a file that only this user may read. On Windows it inherits from its folder who may.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn tighten(path: &Path, mode: u32) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(FileError::of("restrict access to", path))
}

#[cfg(not(any(unix, windows)))]
fn tighten(_path: &Path, _mode: u32) -> Result<(), FileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_replaced_file_is_whole_private_and_leaves_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        private_folder(&state).unwrap();
        let file = state.join("identity.json");
        replace(&file, b"old").unwrap();
        replace(&file, b"new").unwrap();
        assert_eq!(read_if_there(&file).unwrap().as_deref(), Some("new"));
        assert_eq!((mode(&state), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let error = replace(Path::new("/nonexistent/x.json"), b"").unwrap_err();
        assert_eq!(error.to_string(), "cannot create /nonexistent/x.json.new");
    }
}
