//! Checking a backup and taking it apart.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read},
    path::{Component, Path},
};

use sha2::{Digest as _, Sha256};

use super::{FORMAT, MANIFEST, Manifest, SEAL, hex, seal};
use crate::{
    failure::{Exit, Failure},
    files::{FileError, create_private_folder, sync_folder},
};

/// More than any manifest.
const MANIFEST_MAX: u64 = 1 << 20;

/// A backup every byte of which has been read.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What is in it.
    pub(crate) manifest: Manifest,
}

/// Reads every byte. What is damaged is named: each part, or the archive itself.
pub(crate) fn check(path: &Path) -> Result<Checked, Failure> {
    let (manifest, damaged) = walk(path, None)?;
    if let Some(damaged) = damaged.into_iter().reduce(|all, one| format!("{all}; {one}")) {
        return Err(damage(path, damaged));
    }
    check_seal(path)?;
    refuse_newer(path, &manifest)?;
    Ok(Checked { manifest })
}

/// Unpacks a checked backup below `into`, each file for its owner alone and synced.
pub(crate) fn unpack(path: &Path, into: &Path) -> Result<Manifest, Failure> {
    let (manifest, damaged) = walk(path, Some(into))?;
    match damaged.into_iter().next() {
        Some(damaged) => Err(damage(path, damaged)),
        None => Ok(manifest),
    }
}

fn damage(path: &Path, what: String) -> Failure {
    Failure::new(Exit::Failed, format!("{} is damaged", path.display()))
        .because(what)
        .todo("nothing was restored: use another backup, or copy this one again from where it came")
}

fn refuse_newer(path: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let known = upheld_store::sqlite::SCHEMA_VERSION;
    if manifest.schema <= known {
        return Ok(());
    }
    let Manifest { upheld, schema, .. } = manifest;
    Err(Failure::new(Exit::Config, format!("{} was taken by a newer version", path.display()))
        .because(format!("it holds schema {schema}, of Upheld {upheld}; this version knows schemas up to {known}"))
        .todo(format!("restore it with Upheld {upheld} or newer")))
}

/// The manifest, and what of the parts is damaged.
fn walk(path: &Path, into: Option<&Path>) -> Result<(Manifest, Vec<String>), Failure> {
    let broken = |error: io::Error| damage(path, format!("the archive cannot be read: {error}"));
    let file = File::open(path).map_err(FileError::of("read", path))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut entries = archive.entries().map_err(broken)?;
    let mut first = match entries.next() {
        Some(entry) => entry.map_err(broken)?,
        None => return Err(damage(path, "it is empty".to_owned())),
    };
    let mut text = Vec::new();
    first.by_ref().take(MANIFEST_MAX).read_to_end(&mut text).map_err(broken)?;
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() {
        return Err(damage(path, format!("{MANIFEST} is not at its beginning: is it a backup of Upheld?")));
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| damage(path, format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT {
        return Err(damage(path, format!("{MANIFEST} says format {:?}, this version reads {FORMAT}", manifest.format)));
    }
    let mut damaged = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == SEAL {
            break;
        }
        let Some(part) = manifest.parts.iter().find(|part| part.name == name).filter(|_| is_inside(&name)) else {
            damaged.push(format!("{name:?} is not in the manifest"));
            continue;
        };
        seen.insert(name.clone());
        let mut digest = Sha256::new();
        let bytes = match into {
            None => io::copy(&mut entry, &mut digest).map_err(broken)?,
            Some(into) => keep(&mut entry, &mut digest, &into.join(&name))?,
        };
        if bytes != part.bytes || hex(&digest.finalize()) != part.sha256 {
            damaged.push(format!("{name} is not what the manifest says: its SHA-256 differs"));
        }
    }
    damaged.extend(
        manifest.parts.iter().filter(|part| !seen.contains(&part.name)).map(|part| format!("{} is missing", part.name)),
    );
    Ok((manifest, damaged))
}

/// Whether a name stays below the folder it is joined to.
fn is_inside(name: &str) -> bool {
    Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

fn keep(entry: &mut impl Read, digest: &mut Sha256, to: &Path) -> Result<u64, Failure> {
    let folder = to.parent().unwrap_or(Path::new("."));
    create_private_folder(folder)?;
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let written = how.open(to).and_then(|mut file| {
        let mut tee = Tee { file: &mut file, digest };
        let bytes = io::copy(entry, &mut tee)?;
        file.sync_all()?;
        Ok(bytes)
    });
    let bytes = written.map_err(FileError::of("write", to))?;
    sync_folder(folder).map_err(FileError::of("sync the folder", folder))?;
    Ok(bytes)
}

/// Writes to a file and a digest.
struct Tee<'a> {
    file: &'a mut File,
    digest: &'a mut Sha256,
}

impl io::Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = io::Write::write(self.file, bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the last bytes are the seal of all that stands before them.
fn check_seal(path: &Path) -> Result<(), Failure> {
    let unreadable = || FileError::of("read", path);
    let length = fs::metadata(path).map_err(unreadable())?.len();
    let sealed = seal(&"0".repeat(64)).map_err(unreadable())?.len() as u64;
    let mut file = BufReader::new(File::open(path).map_err(unreadable())?);
    let mut digest = Sha256::new();
    io::copy(&mut file.by_ref().take(length.saturating_sub(sealed)), &mut digest).map_err(unreadable())?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).map_err(unreadable())?;
    if end == seal(&hex(&digest.finalize())).map_err(unreadable())? {
        return Ok(());
    }
    Err(damage(
        path,
        "the archive's own frame: its SHA-256 differs, though each part is as the manifest says".to_owned(),
    ))
}
