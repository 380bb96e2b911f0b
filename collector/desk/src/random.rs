//! Secrets and ids from the kernel's generator, and the hashes under which secrets are kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use upheld_model::Digest;

use crate::DeskError;

/// 256 bits as 43 base64url characters.
pub(crate) fn secret() -> Result<String, DeskError> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A salt for a password: 128 bits.
pub(crate) fn salt() -> Result<[u8; 16], DeskError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// An id that nobody has: `prefix` and 64 random bits in hexadecimal.
pub(crate) fn id(prefix: &str) -> Result<String, DeskError> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(format!("{prefix}{:016x}", u64::from_be_bytes(bytes)))
}

/// What is stored of a secret. One hash is enough: a secret of 256 random bits cannot be guessed.
pub(crate) fn hash(secret: &str) -> Digest {
    Digest(Sha256::digest(secret.as_bytes()).into())
}

/// Whether there are random bytes: for libraries that take a source which cannot fail.
pub(crate) fn is_there() -> Result<(), DeskError> {
    fill(&mut [0; 1])
}

fn fill(bytes: &mut [u8]) -> Result<(), DeskError> {
    getrandom::fill(bytes).map_err(|error| DeskError::Random(error.to_string()))
}
