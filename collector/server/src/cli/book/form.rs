//! `book fmt`: the files in their usual form.

use std::{fs, path::Path};

use serde_json::json;
use upheld_agreement::book::form::usual_form;

use super::{Context, folder::BookFolder};
use crate::{
    failure::{Exit, Failure},
    files::FileError,
};

pub(super) fn run(dir: &Path, check_only: bool, context: &Context) -> Result<Exit, Failure> {
    let folder = BookFolder::read(dir)?;
    let mut other = Vec::new();
    let mut unread = Vec::new();
    for (path, text) in folder.files.iter().filter(|(path, _)| path.ends_with(".toml")) {
        match usual_form(text) {
            None => unread.push(path.clone()),
            Some(usual) if usual == *text => {}
            Some(usual) => {
                if !check_only {
                    let file = dir.join(path);
                    fs::write(&file, usual).map_err(FileError::of("write", &file))?;
                }
                other.push(path.clone());
            }
        }
    }
    let verb = if check_only { "is not in its usual form" } else { "rewritten" };
    let mut lines: Vec<String> = other.iter().map(|path| format!("{}{path}: {verb}", folder.shown)).collect();
    lines.extend(unread.iter().map(|path| format!("{}{path}: left as it is, it is not TOML", folder.shown)));
    if lines.is_empty() {
        lines.push("Every file is in its usual form.".to_owned());
    }
    context.output.result(
        &lines.join("\n"),
        || json!({ "schema": "upheld.book-fmt/1", "changed": other, "unreadable": unread, "check": check_only }),
    )?;
    if check_only && !other.is_empty() {
        let what = format!("{} file(s) are not in their usual form", other.len());
        return Err(Failure::new(Exit::Failed, what).todo(format!("upheld-collector book fmt {}", dir.display())));
    }
    if unread.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Config, format!("{} file(s) are not TOML", unread.len()))
        .todo(format!("upheld-collector book check {}", dir.display())))
}
