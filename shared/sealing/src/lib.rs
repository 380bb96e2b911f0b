//! Secrets of a site's probes, sealed to one agent (SECURITY 4): who seals cannot open, and a box opens for no other agent,
//! site or name than it was made for.
//!
//! HPKE (RFC 9180) in its base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, by the crate `hpke`; no
//! cryptography of our own. What a box is for stands in its associated data and not in it. Base mode says nothing of who
//! sealed: whoever can write to the collector's database can put another value in a box's place, and reads none.
//! Randomness is an argument.
#![forbid(unsafe_code)]

mod key;
mod value;

pub use key::{KeyError, PublicKey, SealingKey};
pub use value::{VALUE_BYTES_MAX, ValueError, check_value};

use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{Kem, X25519HkdfSha256},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use upheld_model::{AgentId, ClientId, SecretName, SiteId};
use zeroize::Zeroizing;

/// What every box of this version is bound to besides its [`Purpose`].
const INFO: &[u8] = b"upheld-secret/1";
/// Bytes of the encapsulated key before the ciphertext.
const ENCAPPED_BYTES: usize = 32;
/// The longest box that is opened: key, value, tag.
const BOX_BYTES_MAX: usize = ENCAPPED_BYTES + VALUE_BYTES_MAX + 16;

/// What a box is for: it opens for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose<'a> {
    /// Whose site.
    pub client: &'a ClientId,
    /// The site.
    pub site: &'a SiteId,
    /// The agent that opens it.
    pub agent: &'a AgentId,
    /// The secret's name.
    pub name: &'a SecretName,
}

impl Purpose<'_> {
    /// Ids hold no zero byte, so that no two purposes give one text.
    fn associated(&self) -> Vec<u8> {
        [self.client.as_str(), self.site.as_str(), self.agent.as_str(), self.name.as_str()].join("\0").into_bytes()
    }
}

/// A sealed value: the encapsulated key and the ciphertext, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedBox(String);

impl SealedBox {
    /// A box as it was stored. Whether it is one shows when it is opened.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The box as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a value cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent's key cannot be sealed to")]
pub struct SealError;

/// Why a box does not open. It never says more: what was wrong is nobody's business who cannot open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the box is not for this agent, site and name, or it is damaged")]
pub struct OpenError;

/// Seals `value` to `key`, for `purpose` and nothing else.
pub fn seal(
    key: &PublicKey,
    purpose: Purpose<'_>,
    value: &str,
    random: &mut impl CryptoRng,
) -> Result<SealedBox, SealError> {
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(key.as_bytes()).map_err(|_| SealError)?;
    let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        INFO,
        value.as_bytes(),
        &purpose.associated(),
        random,
    )
    .map_err(|_| SealError)?;
    let mut bytes = encapped.to_bytes().to_vec();
    bytes.extend_from_slice(&ciphertext);
    Ok(SealedBox(key::to_hex(&bytes)))
}

/// Opens a box with the agent's own key.
pub fn open(key: &SealingKey, purpose: Purpose<'_>, sealed: &SealedBox) -> Result<Zeroizing<String>, OpenError> {
    if sealed.0.len() > 2 * BOX_BYTES_MAX {
        return Err(OpenError);
    }
    let bytes = key::from_hex(&sealed.0).ok_or(OpenError)?;
    let (encapped, ciphertext) = bytes.split_at_checked(ENCAPPED_BYTES).ok_or(OpenError)?;
    let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| OpenError)?;
    let value = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        key.private(),
        &encapped,
        INFO,
        ciphertext,
        &purpose.associated(),
    )
    .map_err(|_| OpenError)?;
    match String::from_utf8(value) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(OpenError)
        }
    }
}

#[cfg(test)]
mod tests;
