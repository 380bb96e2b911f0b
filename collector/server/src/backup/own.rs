//! What a collector owns beside its facts: settings, secrets, keys, and the packages that new hosts install.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    data_dir::DataDir,
    failure::Failure,
    files::{FileError, TEMPORARY},
    packages::{Packages, RELEASE_KEY},
};

/// The most bytes of packages that a copy takes along: those of one version for a few kinds of machines. What is signed
/// can be had again from where it was built.
pub(super) const PACKAGES_MAX: u64 = 64 << 20;

/// The files, each with its place below the folder, and what is left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) files: Vec<(String, PathBuf)>,
    /// Packages for which a copy has no room, by the name of their `.deb`.
    pub(super) left: Vec<String>,
}

impl Own {
    /// As they stand.
    pub(super) fn of(data: &DataDir) -> Result<Self, Failure> {
        let mut files = vec![("collector.toml".to_owned(), data.config_file())];
        let secrets = data.config()?.outbound.secrets_file;
        if let Some(name) = secrets.file_name().filter(|_| secrets.exists()) {
            files.push((name.to_string_lossy().into_owned(), secrets.clone()));
        }
        let mut keys = names_in(&data.pki())?;
        // One that is being written has its name in a moment, or was left by who was killed.
        keys.retain(|name| !name.ends_with(TEMPORARY));
        keys.sort();
        files.extend(keys.into_iter().map(|name| (format!("pki/{name}"), data.pki().join(&name))));
        let mut own = Self { files, left: Vec::new() };
        own.add_packages(data);
        Ok(own)
    }

    fn add_packages(&mut self, data: &DataDir) {
        let folder = data.packages();
        let place = |name: &str| (format!("packages/{name}"), folder.join(name));
        if folder.join(RELEASE_KEY).exists() {
            self.files.push(place(RELEASE_KEY));
        }
        let mut room = PACKAGES_MAX;
        for offered in Packages::of(data).list() {
            let names = ["deb", "sig", "manifest"].map(|end| format!("{}_{}.{end}", offered.name, offered.arch));
            let lengths: Option<Vec<u64>> =
                names.iter().map(|name| fs::metadata(folder.join(name)).ok().map(|meta| meta.len())).collect();
            // One of which a part is missing is nothing that a host could install.
            let Some(lengths) = lengths else { continue };
            match room.checked_sub(lengths.iter().sum()) {
                Some(rest) => {
                    room = rest;
                    self.files.extend(names.iter().map(|name| place(name)));
                }
                None => self.left.extend(names.into_iter().take(1)),
            }
        }
    }

    /// How each of them stands: when one changes, a new copy is taken.
    pub(super) fn stamps(&self) -> BTreeMap<PathBuf, (SystemTime, u64)> {
        let stamped = |(_, path): &(String, PathBuf)| {
            let meta = fs::metadata(path).ok()?;
            Some((path.clone(), (meta.modified().ok()?, meta.len())))
        };
        self.files.iter().filter_map(stamped).collect()
    }
}

/// The names of the files in a folder.
fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::of("read the folder", folder))? {
        let entry = entry.map_err(FileError::of("read the folder", folder))?;
        if entry.path().is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
