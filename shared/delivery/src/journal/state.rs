//! The journal's small memory beside its records: what is acknowledged, which epochs there were, which stretches were
//! tagged anew. Written beside and renamed, so that it is always whole; twice in one file, so that a byte that flips in one
//! copy leaves the other.
//!
//! Nothing depends on it for safety. Lost, the records are sent again and recognised by their ids; older than the
//! records, the collector says `behind` or `fork` and all is put right by the protocol.

use serde::{Deserialize, Serialize};
use upheld_model::{AgentEvent, Digest, Epoch};
use upheld_wire::v1::{EpochLink, Head};

use super::{JournalError, format::FORMAT, told::Told};
use crate::storage::{Fault, Storage, StorageError};

pub(super) const STATE: &str = "state";
pub(super) const STATE_NEW: &str = "state.new";
const MAGIC: &[u8; 8] = b"UPHELDS\n";
const PREFIX: usize = 8 + 2 + 2 + 4;
/// More than 64 epochs and a tag for every segment of a full budget, twice.
const BYTES_MAX: u64 = 2 << 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Oldest first; the last one grows.
    pub(super) epochs: Vec<EpochState>,
    /// Stretches that are no longer what their segment's header says.
    pub(super) tags: Vec<TagState>,
    /// Records that are not what was packed although their CRC is right: segment and stored place.
    #[serde(default)]
    pub(super) unreadable: Vec<(u64, u64)>,
    /// The number of the next segment: none is given twice, since a [`super::Position`] names one.
    #[serde(default)]
    pub(super) next_number: u64,
    /// What the journal has to say of itself and has not appended durably yet: a gap whose epoch is cut here must not
    /// be forgotten by a kill.
    #[serde(default)]
    pub(super) owed: Vec<AgentEvent>,
    /// Segments that are acknowledged as a whole: number, and how long the journal had been running by then.
    #[serde(default)]
    pub(super) acked: Vec<(u64, u64)>,
    /// Losses that were told.
    #[serde(default)]
    pub(super) told: Vec<Told>,
    /// Only one copy of it was good.
    #[serde(skip)]
    pub(super) is_wounded: bool,
    /// How long this journal has been running, in seconds.
    pub(super) age_s: u64,
    /// The end of the records as the journal was closed by request: segment and bytes.
    pub(super) closed_at: Option<(u64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EpochState {
    pub(super) epoch: Epoch,
    pub(super) previous: Option<EpochLink>,
    /// Records in it, on disk or gone.
    pub(super) len: u64,
    /// The chain after the last of them.
    pub(super) tip: Digest,
    /// What the collector is known to hold.
    pub(super) acked: Head,
    /// When it began, in milliseconds.
    pub(super) began_ms: i64,
    /// When what it still names ended: set once the records behind have moved to a newer epoch, in milliseconds.
    #[serde(default)]
    pub(super) ended_ms: Option<i64>,
    /// Records up to here include a transition that is not acknowledged.
    #[serde(default)]
    pub(super) urgent_to: u64,
}

/// The records `from..to` of a segment, by their stored places, are `first..` of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TagState {
    pub(super) segment: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) epoch: Epoch,
    pub(super) first: u64,
    pub(super) before: Digest,
}

impl State {
    /// The state on disk; `None` when there is none or it is damaged.
    pub(super) fn read(storage: &impl Storage) -> Result<Option<Self>, JournalError> {
        let mut bytes = Vec::new();
        let mut piece = vec![0; 16 << 10];
        loop {
            let read = match storage.read(STATE, bytes.len() as u64, &mut piece) {
                Ok(read) => read,
                // One that cannot be read is as good as none; the next one is written beside it.
                Err(error) if matches!(error.fault, Fault::Missing | Fault::Broken) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            bytes.extend_from_slice(&piece[..read]);
            if read == 0 || bytes.len() as u64 > BYTES_MAX {
                return Self::decode(&bytes);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Option<Self>, JournalError> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        match (Self::decode_copy(first)?, Self::decode_copy(second)?) {
            (Some(first), second) => Ok(Some(Self { is_wounded: second.is_none(), ..first })),
            (None, second) => Ok(second.map(|second| Self { is_wounded: true, ..second })),
        }
    }

    fn decode_copy(bytes: &[u8]) -> Result<Option<Self>, JournalError> {
        let Some((prefix, json)) = bytes.split_at_checked(PREFIX) else { return Ok(None) };
        let version = u16::from_le_bytes([prefix[8], prefix[9]]);
        let complement = u16::from_le_bytes([prefix[10], prefix[11]]);
        if &prefix[..8] != MAGIC || version != !complement {
            return Ok(None);
        }
        if version > FORMAT {
            return Err(JournalError::Newer { name: STATE.to_owned(), found: version, known: FORMAT });
        }
        if crc32fast::hash(json).to_le_bytes() != prefix[12..] {
            return Ok(None);
        }
        Ok(serde_json::from_slice(json).ok())
    }

    fn encode(&self) -> Vec<u8> {
        // Numbers, lists and ids only: there is nothing in it that JSON cannot say.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Vec::with_capacity(PREFIX + json.len());
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend((!FORMAT).to_le_bytes());
        bytes.extend(crc32fast::hash(&json).to_le_bytes());
        bytes.extend(json);
        bytes.extend_from_within(..);
        bytes
    }

    pub(super) fn write(&self, storage: &mut impl Storage) -> Result<(), StorageError> {
        let made = storage.create(STATE_NEW).and_then(|()| storage.append(STATE_NEW, &self.encode()));
        if let Err(error) = made.and_then(|()| storage.sync(STATE_NEW)) {
            // Half of it would take room on a disk that has none.
            let _ = storage.remove(STATE_NEW);
            return Err(error);
        }
        storage.rename(STATE_NEW, STATE)?;
        storage.sync_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sim::SimStorage;

    #[test]
    fn a_flipped_byte_leaves_a_copy_of_the_state_two_leave_none_and_a_newer_one_is_refused() {
        let mut disk = SimStorage::new(1);
        let state = State { age_s: 7, ..State::default() };
        state.write(&mut disk).unwrap();
        assert_eq!(State::read(&disk), Ok(Some(state.clone())));
        let len = disk.files()[0].1;
        for at in 0..len {
            disk.flip(STATE, at, 0x10);
            let found = State::read(&disk).unwrap().unwrap();
            assert!(found.is_wounded, "byte {at}");
            assert_eq!(State { is_wounded: false, ..found }, state, "byte {at}");
            disk.flip(STATE, (at + len / 2) % len, 0x10);
            assert_eq!(State::read(&disk), Ok(None), "byte {at}");
            disk.flip(STATE, at, 0x10);
            disk.flip(STATE, (at + len / 2) % len, 0x10);
        }
        disk.flip(STATE, 8, 3);
        disk.flip(STATE, 10, 3);
        assert!(matches!(State::read(&disk), Err(JournalError::Newer { found: 2, .. })));
    }
}
