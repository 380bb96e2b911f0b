//! The folder that holds everything a collector owns.
//!
//! ```text
//! collector.toml   listen, public names            secrets.toml   what the book names but never contains
//! upheld.db        facts                           pki/           keys and certificates
//! serve.lock       held by the one that serves     packages/      what new hosts install, and who signed it
//! book/            the starter book, where `init --serve` made one
//! database.mark    the last commit, where the facts are in PostgreSQL
//! ```

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use upheld_desk::Desk;

use crate::{
    beside::StarterBook,
    config::{Config, Database, Outbound},
    failure::{Exit, Failure},
    files::{FileError, create_private_folder},
};

/// The folder of one collector.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// Held while a process serves this folder; the operating system lets go of it even after kill -9.
#[derive(Debug)]
pub(crate) struct ServeLock {
    _file: File,
}

impl DataDir {
    /// The folder at this path, which may not exist yet.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path as the person gave it.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder, for its owner only.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        Ok(create_private_folder(&self.0)?)
    }

    /// Whether a collector has been made here.
    pub(crate) fn is_initialised(&self) -> bool {
        self.config_file().exists()
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("collector.toml")
    }

    /// The folder of keys and certificates.
    pub(crate) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The folder of the packages that hosts install.
    pub(crate) fn packages(&self) -> PathBuf {
        self.0.join("packages")
    }

    /// The database, where it is a file.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("upheld.db")
    }

    /// What is done with the file alone is refused where the facts are in PostgreSQL.
    pub(crate) fn only_with_a_file(&self, what: &str) -> Result<(), Failure> {
        if self.config()?.database.is_none() {
            return Ok(());
        }
        Err(Failure::new(Exit::Missing, format!("`upheld-collector {what}` is for a database in the data folder"))
            .because("this collector's facts are in PostgreSQL, which has its own backup, replicas and archive")
            .todo("see docs/postgresql.md, \"Backup\""))
    }

    /// The secrets of a folder whose configuration is being made.
    pub(crate) fn usual_secrets(&self) -> Outbound {
        Outbound::usual(&self.0)
    }

    /// The configuration; a folder without one is told how to get one.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        if !self.is_initialised() {
            return Err(Failure::new(Exit::Config, format!("there is no collector in {}", self.0.display()))
                .because(format!("{} does not exist", self.config_file().display()))
                .todo(format!("upheld-collector init --data {}", self.0.display()))
                .todo("or name the folder of the one you mean: --data DIR, or UPHELD_DATA"));
        }
        Config::read(&self.config_file())
    }

    /// The desk over this folder's database, beside a running server or without one.
    pub(crate) fn desk(&self) -> Result<Desk, Failure> {
        let Config { database, outbound, .. } = self.config()?;
        self.open_database(database.as_ref(), &outbound)
    }

    /// The desk of the one who serves.
    pub(crate) fn serving_desk(&self, config: &Config) -> Result<Desk, Failure> {
        self.desk_over(config.database.as_ref(), &config.outbound, true)
    }

    /// The desk of a folder whose configuration is being made.
    pub(crate) fn open_database(&self, database: Option<&Database>, outbound: &Outbound) -> Result<Desk, Failure> {
        self.desk_over(database, outbound, false)
    }

    /// A desk over the facts of this folder, wherever they are kept.
    fn desk_over(&self, database: Option<&Database>, outbound: &Outbound, serves: bool) -> Result<Desk, Failure> {
        let desk = Desk::new(match database {
            Some(database) => database.open(outbound, serves, self.0.join("database.mark"))?,
            None => upheld_store::sqlite::open(&self.database())?,
        });
        desk.keeps_book_in(Arc::new(StarterBook(self.book())));
        Ok(desk)
    }

    /// Where `init --serve` writes its starter book.
    pub(crate) fn book(&self) -> PathBuf {
        self.0.join("book")
    }

    /// Takes the right to serve, or says who has it.
    pub(crate) fn lock(&self) -> Result<ServeLock, Failure> {
        let path = self.0.join("serve.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(FileError::of("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.already_served(&mut file)),
            Err(TryLockError::Error(source)) => return Err(FileError::of("lock", &path)(source).into()),
        }
        // The number only helps a person who meets the lock; the lock is what counts.
        let _ = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        Ok(ServeLock { _file: file })
    }

    fn already_served(&self, file: &mut File) -> Failure {
        let mut process = String::new();
        // An unreadable number leaves the sentence without it.
        let _ = file.read_to_string(&mut process);
        let by = if process.is_empty() { String::new() } else { format!(" by process {process}") };
        Failure::new(Exit::AlreadyRunning, format!("{} is being served already{by}", self.0.display()))
            .because("two servers on one folder would send messages twice")
            .todo("stop that one first, or start this one with another folder: --data DIR")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_serves_and_exits_11() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::at(folder.path().to_owned());
        let held = data.lock().unwrap();
        let failure = data.lock().unwrap_err();
        assert_eq!(failure.exit(), Exit::AlreadyRunning);
        assert!(failure.text(false).contains(&format!("by process {}", std::process::id())));
        drop(held);
        data.lock().expect("the lock goes with its holder");
    }

    #[test]
    fn a_folder_without_a_collector_names_the_command_that_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        let failure = DataDir::at(folder.path().to_owned()).config().unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.text(false).contains("upheld-collector init --data"));
    }
}
