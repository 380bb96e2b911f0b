//! `book export`: the book in force as the files that were applied, to the letter.

use std::{fs, path::Path};

use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    files::FileError,
};

pub(super) fn run(dir: &Path, context: &Context) -> Result<Exit, Failure> {
    let applied = context.with_desk(async |desk, _| desk.current_book().await)?;
    if dir.exists() && fs::read_dir(dir).map_err(FileError::of("read the folder", dir))?.next().is_some() {
        return Err(Failure::new(Exit::Failed, format!("{} is not empty", dir.display()))
            .because("an export never writes over files")
            .todo("name a folder that does not exist yet"));
    }
    write_files(dir, &applied.files)?;
    let (version, count) = (applied.version, applied.files.len());
    let text = format!(
        "Book version {version} ({count} files, applied {}) is in {}.\nCompare it with yours: upheld-collector book diff {} DIR",
        applied.applied_at.strftime("%Y-%m-%d %H:%M UTC"),
        dir.display(),
        dir.display()
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.book-export/1",
            "version": version,
            "hash": applied.hash,
            "applied_at": applied.applied_at,
            "files": applied.files.keys().collect::<Vec<_>>(),
        })
    })?;
    Ok(Exit::Ok)
}

/// Writes files below a folder; their paths are the book's, which has no `..` in them.
pub(in crate::cli) fn write_files(
    dir: &Path,
    files: &std::collections::BTreeMap<String, String>,
) -> Result<(), Failure> {
    for (path, text) in files {
        let file = dir.join(path);
        let parent = file.parent().unwrap_or(dir);
        fs::create_dir_all(parent).map_err(FileError::of("create the folder", parent))?;
        fs::write(&file, text).map_err(FileError::of("write", &file))?;
    }
    Ok(())
}
