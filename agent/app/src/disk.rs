//! The journal's folder on a real disk: `upheld_delivery`'s storage over `std::fs`.
//!
//! One file stays open for appending, the newest segment. Nothing is believed to be durable before its sync said so;
//! that the journal never trusts a file again after a failed sync is its own rule.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use upheld_delivery::storage::{Fault, Storage, StorageError};

use crate::files;

/// Linux' numbers for descriptors and memory that are used up; the standard library has no kind for the first two.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOMEM: i32 = 12;

/// A folder of append-only files.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    appending: Option<(String, File)>,
}

impl Disk {
    /// The folder, made if it is not there, for this user alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, files::FileError> {
        files::private_folder(folder)?;
        if let Some(parent) = folder.parent() {
            files::sync_folder(parent)?;
        }
        Ok(Self { folder: folder.to_owned(), appending: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The open file for appending to `name`.
    fn appending(&mut self, name: &str) -> io::Result<&mut File> {
        let held = match self.appending.take() {
            Some(held) if held.0 == name => held,
            Some(_) | None => (name.to_owned(), File::options().append(true).open(self.path(name))?),
        };
        Ok(&mut self.appending.insert(held).1)
    }

    /// Forgets the open file when `name` is about to mean another one.
    fn close(&mut self, name: &str) {
        self.appending.take_if(|(held, _)| held == name);
    }
}

impl Storage for Disk {
    fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let failed = |error| fault("list", "the folder", error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            // A name that is not UTF-8 is none of the journal's.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                found.push((name, metadata.len()));
            }
        }
        Ok(found)
    }

    fn read(&self, name: &str, at: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        let read = || {
            let mut file = File::open(self.path(name))?;
            file.seek(SeekFrom::Start(at))?;
            let mut filled = 0;
            while filled < into.len() {
                match file.read(&mut into[filled..]) {
                    Ok(0) => break,
                    Ok(more) => filled += more,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        };
        call(read).map_err(|error| fault("read", name, error))
    }

    fn create(&mut self, name: &str) -> Result<(), StorageError> {
        self.close(name);
        let path = self.path(name);
        files::private_options().truncate(true).open(path).map(drop).map_err(|error| fault("create", name, error))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.appending(name).and_then(|file| file.write_all(bytes));
        written.map_err(|error| fault("append to", name, error))
    }

    fn sync(&mut self, name: &str) -> Result<(), StorageError> {
        let synced = self.appending(name).and_then(|file| file.sync_data());
        if synced.is_err() {
            // The kernel reports a lost write to one descriptor once: this one has had its answer.
            self.close(name);
        }
        synced.map_err(|error| fault("sync", name, error))
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), StorageError> {
        self.close(name);
        let cut = File::options().write(true).open(self.path(name)).and_then(|file| file.set_len(len));
        cut.map_err(|error| fault("cut", name, error))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        self.close(from);
        self.close(to);
        fs::rename(self.path(from), self.path(to)).map_err(|error| fault("rename", from, error))
    }

    fn remove(&mut self, name: &str) -> Result<(), StorageError> {
        self.close(name);
        fs::remove_file(self.path(name)).map_err(|error| fault("remove", name, error))
    }

    fn sync_dir(&mut self) -> Result<(), StorageError> {
        files::sync_folder(&self.folder).map_err(|error| fault("sync", "the folder", error.source))
    }
}

fn call<T>(io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    io()
}

fn fault(what: &'static str, name: &str, error: io::Error) -> StorageError {
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    let fault = if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        Fault::Full
    } else if is(&[ErrorKind::NotFound]) {
        Fault::Missing
    } else if is(&[ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied]) {
        Fault::Refused
    } else if matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM)) || is(&[ErrorKind::OutOfMemory]) {
        Fault::Starved
    } else {
        // Whatever else the kernel says, the file is not to be trusted.
        Fault::Broken
    };
    StorageError { what, name: name.to_owned(), fault, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(&folder.path().join("journal")).unwrap();
        (folder, disk)
    }

    fn content(disk: &Disk, name: &str) -> Vec<u8> {
        let mut buffer = [0; 64];
        let read = disk.read(name, 0, &mut buffer).unwrap();
        buffer[..read].to_vec()
    }

    #[test]
    fn appends_go_to_the_end_whatever_was_cut_before() {
        let (_folder, mut disk) = disk();
        disk.create("a.seg").unwrap();
        disk.append("a.seg", b"hello world").unwrap();
        disk.truncate("a.seg", 5).unwrap();
        disk.append("a.seg", b"!").unwrap();
        disk.sync("a.seg").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(content(&disk, "a.seg"), b"hello!");
        assert_eq!(disk.list().unwrap(), [("a.seg".to_owned(), 6)]);
    }

    #[test]
    fn a_renamed_file_takes_its_name_with_it() {
        let (_folder, mut disk) = disk();
        for (name, bytes) in [("new", b"new"), ("old", b"old")] {
            disk.create(name).unwrap();
            disk.append(name, bytes).unwrap();
        }
        disk.rename("new", "old").unwrap();
        disk.append("old", b"er").unwrap();
        assert_eq!(content(&disk, "old"), b"newer");
        assert_eq!(disk.remove("new").unwrap_err().fault, Fault::Missing);
    }

    #[test]
    fn descriptors_that_are_used_up_say_nothing_of_the_file() {
        for (number, meant) in
            [(24, Fault::Starved), (12, Fault::Starved), (5, Fault::Broken), (28, Fault::Full), (30, Fault::Refused)]
        {
            assert_eq!(fault("read", "a", io::Error::from_raw_os_error(number)).fault, meant, "{number}");
        }
    }

    #[test]
    fn reading_past_the_end_reads_nothing() {
        let (_folder, mut disk) = disk();
        disk.create("a").unwrap();
        assert_eq!(disk.read("a", 100, &mut [0; 4]).unwrap(), 0);
        assert_eq!(disk.read("b", 0, &mut [0; 4]).unwrap_err().fault, Fault::Missing);
    }
}
