//! The starter book of `init --serve`, in a folder beside the data: the one book into which the collector writes.

use std::path::PathBuf;

use upheld_agreement::book::Files;
use upheld_desk::proposals::BookBeside;

use crate::{cli::read_book_folder, files::write_private};

/// The folder.
#[derive(Debug)]
pub(crate) struct StarterBook(pub(crate) PathBuf);

impl BookBeside for StarterBook {
    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    fn files(&self) -> Result<Option<Files>, String> {
        // Whoever keeps it by git commits himself.
        if !self.0.join("provider.toml").is_file() || self.0.join(".git").exists() {
            return Ok(None);
        }
        read_book_folder(&self.0).map(Some).map_err(|failure| failure.text(false))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), String> {
        write_private(&self.0.join(path), text.as_bytes()).map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })
    }
}
