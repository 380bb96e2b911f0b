//! A backup: one file, of one moment, that says of itself whether it is whole.
//!
//! It is a tar archive that `tar` reads too: `manifest.json` first, then each part, then `sha256`, the digest over every
//! byte before it. So a flipped bit anywhere is seen, and the manifest says in which part. It holds keys and secrets:
//! mode 0600, always.

mod follow;
mod own;
pub(crate) mod postgresql;
mod read;
mod segments;
mod write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use follow::{News, follow};
pub(crate) use postgresql::Archive;
pub(crate) use read::{check, unpack};
pub(crate) use segments::Folder;
pub(crate) use write::write;

/// The format's name; another one is refused.
const FORMAT: &str = "upheld.backup/1";
/// The manifest's place in the archive.
const MANIFEST: &str = "manifest.json";
/// The place of the digest over all that stands before it.
const SEAL: &str = "sha256";
/// The database's place.
pub(crate) const DATABASE: &str = "upheld.db";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`].
    format: String,
    /// The version of Upheld that wrote it.
    pub(crate) upheld: String,
    /// The database's schema.
    pub(crate) schema: i64,
    /// The moment before which everything committed is in it.
    pub(crate) taken_at: Timestamp,
    /// The parts, in their order.
    pub(crate) parts: Vec<Part>,
    /// Packages that new hosts install and that are too large to be in it, by the names of their `.deb`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left: Vec<String>,
}

impl Manifest {
    /// What is not in it, and how it comes back; nothing where all is.
    pub(crate) fn left_out(&self) -> String {
        if self.left.is_empty() {
            return String::new();
        }
        let most = own::PACKAGES_MAX >> 20;
        let one = self.left.first().map_or("", String::as_str);
        format!(
            "\nNot in it, since a backup takes {most} MiB of packages at most: {}. Keep them where they were built, and offer \
             them again after a restore: upheld-collector package add {one}",
            self.left.join(", ")
        )
    }

    /// Whether facts are in it; else it holds a collector's own files alone, whose facts are elsewhere.
    pub(crate) fn has_facts(&self) -> bool {
        self.parts.iter().any(|part| part.name == DATABASE)
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Its place below the data folder.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its digest, hexadecimal.
    pub(crate) sha256: String,
}

/// The header of an archive's entry: always the same for the same name and length.
fn header(name: &str, bytes: u64) -> std::io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_cksum();
    Ok(header)
}

/// The end of an archive whose bytes before it have this digest.
fn seal(digest: &str) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let content = format!("{digest}\n");
    builder.append(&header(SEAL, content.len() as u64)?, content.as_bytes())?;
    builder.into_inner()
}

/// Digits of a digest.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
