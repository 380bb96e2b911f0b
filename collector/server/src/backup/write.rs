//! Taking a backup: copied under a temporary name, synced, read back, and only then given its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{DATABASE, FORMAT, MANIFEST, Manifest, Part, check, header, hex, own::Own, seal};
use crate::{
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, sync_folder},
};

/// How the name ends of the copy of a database while a backup is written.
const COPY: &str = ".partial-db";
/// How that of the backup ends until it is whole.
const PARTIAL: &str = ".partial";

/// A backup that is in its place.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) bytes: u64,
    /// What is in it.
    pub(crate) manifest: Manifest,
}

/// Writes a backup of the folder to `out`, which must not exist. A collector may be serving the folder.
pub(crate) fn write(data: &DataDir, out: &Path, now: Timestamp) -> Result<Written, Failure> {
    let config = data.config()?;
    refuse_existing(out)?;
    let copy = Removed(with_end(out, COPY));
    let schema = match &config.database {
        None => upheld_store::sqlite::backup::snapshot(&data.database(), &copy.0)?,
        Some(database) => database.copy_to(&copy.0, &config.outbound)?,
    };
    upheld_store::sqlite::backup::inspect(&copy.0)?;
    let mut own = Own::of(data)?;
    own.files.push((DATABASE.to_owned(), copy.0.clone()));
    write_parts(own, schema, out, now)
}

/// Removes what was being written to `out` when its writer was killed.
pub(super) fn remove_left_over(out: &Path) -> Result<(), Failure> {
    for path in [out.to_owned(), with_end(out, COPY), with_end(out, PARTIAL)] {
        if path.exists() {
            fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes the folder's own files without facts to `out`, which must not exist.
pub(super) fn write_own(data: &DataDir, out: &Path, now: Timestamp) -> Result<Written, Failure> {
    refuse_existing(out)?;
    write_parts(Own::of(data)?, 0, out, now)
}

fn refuse_existing(out: &Path) -> Result<(), Failure> {
    if !out.exists() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{} exists already", out.display()))
        .because("a backup never replaces another one")
        .todo("name another file, or a folder: a name with the time is found for it"))
}

fn write_parts(own: Own, schema: i64, out: &Path, now: Timestamp) -> Result<Written, Failure> {
    let Own { files: sources, left } = own;
    let parts = sources.iter().map(|(name, path)| measure(name, path)).collect::<Result<_, _>>()?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        upheld: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        taken_at: now,
        parts,
        left,
    };
    let partial = Removed(with_end(out, PARTIAL));
    pack(&partial.0, &manifest, &sources).map_err(FileError::of("write", &partial.0))?;
    check(&partial.0)?;
    fs::rename(&partial.0, out).map_err(FileError::of("name", out))?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(folder).map_err(FileError::of("sync the folder", folder))?;
    let bytes = fs::metadata(out).map_err(FileError::of("read", out))?.len();
    Ok(Written { path: out.to_owned(), bytes, manifest })
}

/// A file that goes away with this, if it is still there.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Most often it has been renamed; a left-over is written over by the next backup of that name.
        let _ = fs::remove_file(&self.0);
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn measure(name: &str, path: &Path) -> Result<Part, Failure> {
    let mut digest = Sha256::new();
    let bytes =
        File::open(path).and_then(|mut file| io::copy(&mut file, &mut digest)).map_err(FileError::of("read", path))?;
    Ok(Part { name: name.to_owned(), bytes, sha256: hex(&digest.finalize()) })
}

fn pack(path: &Path, manifest: &Manifest, sources: &[(String, PathBuf)]) -> io::Result<()> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let mut file = how.open(path)?;
    let mut archive = tar::Builder::new(&mut file);
    let text = serde_json::to_vec_pretty(manifest)?;
    archive.append(&header(MANIFEST, text.len() as u64)?, text.as_slice())?;
    for (part, (name, source)) in manifest.parts.iter().zip(sources) {
        // A file that changed its length meanwhile does not fit; the check afterwards refuses it.
        archive.append(&header(name, part.bytes)?, File::open(source)?.take(part.bytes))?;
    }
    // The archive's own end is written by the seal.
    archive.finish()?;
    drop(archive);
    let length = file.seek(SeekFrom::End(0))?.saturating_sub(END);
    file.set_len(length)?;
    file.seek(SeekFrom::Start(0))?;
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    file.write_all(&seal(&hex(&digest.finalize()))?)?;
    file.sync_all()
}

/// The two empty blocks that end a tar archive.
const END: u64 = 1_024;
