//! The log of a service that has no console: a file that never holds more than it may, and the one before it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What one file may hold.
const BYTES_MAX: u64 = 4 << 20;

/// A file that is written to its end; when it is full it becomes `NAME.1`, and a new one begins.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    held: u64,
    file: File,
}

impl LogFile {
    /// Goes on with the file at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, BYTES_MAX)
    }

    fn open_with(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        let held = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), bytes_max, held, file })
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut before = self.path.as_os_str().to_owned();
        before.push(".1");
        fs::rename(&self.path, before)?;
        *self = Self::open_with(&self.path, self.bytes_max)?;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held >= self.bytes_max {
            // Where it cannot be put aside, somebody reads it: it grows until he is done.
            let _ = self.begin_anew();
        }
        let written = self.file.write(bytes)?;
        self.held += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_put_aside_and_the_one_before_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        let mut log = LogFile::open_with(&path, 8).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        drop(log);
        LogFile::open(&path).unwrap().write_all(b"six\n").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read("agent.log.1"), read("agent.log")), ("three\nfour\n".to_owned(), "five\nsix\n".to_owned()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
