//! The book's folder, read whole: TOML and iCalendar files with their paths within it. Bounded, because a person may
//! name his home by mistake.

use std::{
    fs,
    path::{Path, PathBuf},
};

use upheld_agreement::book::{BOOK_BYTES_MAX, FILE_BYTES_MAX, FILES_MAX, Files};

use crate::{
    failure::{Exit, Failure},
    files::FileError,
};

/// Folders within folders; `clients/<client>/sites` is three.
const DEPTH_MAX: usize = 8;

/// A folder and its files.
#[derive(Debug, Clone)]
pub(in crate::cli) struct BookFolder {
    /// The folder as the person named it, with a slash at its end: what paths are shown under.
    pub(in crate::cli) shown: String,
    /// Path within the book to text.
    pub(in crate::cli) files: Files,
}

impl BookFolder {
    /// Reads the folder. Hidden files and what is neither TOML nor iCalendar are no part of a book.
    pub(in crate::cli) fn read(dir: &Path) -> Result<Self, Failure> {
        let (mut files, mut bytes) = (Files::new(), 0);
        if !dir.is_dir() {
            let what = if dir.exists() { "is not a folder" } else { "does not exist" };
            return Err(Failure::new(Exit::Failed, format!("{} {what}", dir.display()))
                .todo("name the book's folder, the one with provider.toml"));
        }
        gather(dir, "", 0, &mut files, &mut bytes)?;
        if files.is_empty() {
            return Err(Failure::new(Exit::Config, format!("there is no book in {}", dir.display()))
                .because("it holds no .toml file")
                .todo("name the book's folder, the one with provider.toml"));
        }
        let shown = format!("{}/", dir.display().to_string().trim_end_matches('/'));
        Ok(Self { shown, files })
    }
}

fn gather(dir: &Path, prefix: &str, depth: usize, files: &mut Files, bytes: &mut usize) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(FileError::of("read the folder", dir))? {
        let entry = entry.map_err(FileError::of("read the folder", dir))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let kind = entry.file_type().map_err(FileError::of("look at", &path))?;
        if name.starts_with('.') {
            continue;
        }
        let within = format!("{prefix}{name}");
        // A link to a folder could lead in a circle; a link to a file is read as the file.
        if kind.is_dir() {
            if depth >= DEPTH_MAX {
                return Err(too_much(&path, format!("folders are nested deeper than {DEPTH_MAX}")));
            }
            gather(&path, &format!("{within}/"), depth + 1, files, bytes)?;
        } else if name.ends_with(".toml") || name.ends_with(".ics") {
            let text = text(&path)?;
            *bytes += text.len();
            files.insert(within, text);
        }
        if files.len() > FILES_MAX {
            return Err(too_much(dir, format!("more than {FILES_MAX} files")));
        }
        if *bytes > BOOK_BYTES_MAX {
            return Err(too_much(dir, format!("more than {BOOK_BYTES_MAX} bytes in all")));
        }
    }
    Ok(())
}

fn text(path: &PathBuf) -> Result<String, Failure> {
    let length = fs::metadata(path).map_err(FileError::of("look at", path))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(too_much(path, format!("{length} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    let bytes = fs::read(path).map_err(FileError::of("read", path))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::Config, format!("{} is not UTF-8 text", path.display()))
            .because(format!("byte {at} cannot be read"))
            .todo(format!("save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {}", path.display()))
    })
}

fn too_much(path: &Path, why: String) -> Failure {
    Failure::new(Exit::Config, format!("{} cannot be part of a book", path.display()))
        .because(why)
        .todo("name the book's folder, the one with provider.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_paths_within_it_and_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("clients/north/sites")).unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        for (path, text) in [
            ("provider.toml", "a"),
            ("clients/north/sites/plant.toml", "b"),
            ("README.md", "c"),
            (".git/config.toml", "d"),
        ] {
            fs::write(folder.path().join(path), text).unwrap();
        }
        let read = BookFolder::read(folder.path()).unwrap();
        let paths: Vec<&str> = read.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["clients/north/sites/plant.toml", "provider.toml"]);
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("bok");
        assert!(BookFolder::read(&missing).unwrap_err().text(false).contains("bok does not exist"));
        assert!(BookFolder::read(folder.path()).unwrap_err().text(false).contains("no .toml file"));
        fs::write(folder.path().join("a.toml"), b"name = \"\xe9\"").unwrap();
        assert!(BookFolder::read(folder.path()).unwrap_err().text(false).contains("byte 8"));
    }
}
