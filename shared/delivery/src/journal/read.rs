//! Reading records back exactly as they were, and the chain at any place.

use serde_json::value::RawValue;
use upheld_model::{Digest, Epoch, Seq};
use upheld_wire::v1::{
    Omitted, Record,
    record::{chain, content_hash, root},
};

use super::{
    Journal, JournalError,
    codec::Codec,
    format::{Stored, THINNED},
    segments::{Broken, Flow, Piece, Segment},
    state::EpochState,
};
use crate::{
    sender::Batch,
    storage::{Fault, Storage, StorageError},
};

/// What a record takes in a request besides its body, about.
const ENVELOPE_BYTES: usize = 420;

/// Why records could not be read.
pub(super) enum Trouble {
    Storage(StorageError),
    /// Something is damaged that was good when the segment was scanned.
    Damaged(Damage),
}

/// Where damage was met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) segment: u64,
    /// The stored place of a record whose body cannot be unpacked although its CRC is right: no other look at the
    /// segment would show it.
    pub(super) place: Option<u64>,
}

impl<S: Storage> Journal<S> {
    /// Records from the journal, unsigned, as many as the batch allows; at least one if there is one.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: what was damaged is told and stepped over; plan anew. [`JournalError::Storage`].
    pub fn read(&mut self, batch: &Batch) -> Result<Vec<Record>, JournalError> {
        match self.try_read(batch) {
            Ok(records) => {
                self.segments.iter_mut().for_each(Segment::is_readable);
                Ok(records)
            }
            Err(Trouble::Storage(error)) => Err(error.into()),
            Err(Trouble::Damaged(damage)) => {
                self.step_over(damage)?;
                self.heal(upheld_model::UnknownReason::Corrupt)?;
                Err(JournalError::Damaged { epoch: batch.epoch })
            }
        }
    }

    fn try_read(&mut self, batch: &Batch) -> Result<Vec<Record>, Trouble> {
        let Some(state) = self.epochs.iter().find(|epoch| epoch.epoch == batch.epoch).cloned() else {
            return Ok(Vec::new());
        };
        let pieces = self.pieces_of(batch.epoch);
        let mut writer = Writer { state: &state, bytes: 0, batch, records: Vec::new(), before: Digest::ZERO };
        let mut place = batch.from.0;
        writer.before = match self.chain_at(&state, place)? {
            Some(chain) => chain,
            None => {
                let segment = pieces.last().map_or(0, |piece| piece.segment);
                return Err(Trouble::Damaged(Damage { segment, place: None }));
            }
        };
        let Self { segments, storage, codec, pending, epochs, volatile, .. } = self;
        while let Some(piece) = pieces.iter().find(|piece| (piece.first..piece.end()).contains(&place)) {
            let piece = piece.starting(place);
            let segment = segments.iter().find(|segment| segment.number == piece.segment);
            let Some(segment) = segment else { break };
            let (mut is_full, mut damaged) = (false, None);
            let walked =
                segment.walk(storage, piece.from, piece.to, |record| match writer.take(codec, record, place) {
                    Some(Flow::On) => {
                        place += 1;
                        Flow::On
                    }
                    Some(Flow::Stop) => {
                        is_full = true;
                        Flow::Stop
                    }
                    None => {
                        damaged = Some(record.seq);
                        Flow::Stop
                    }
                });
            trouble(walked, piece.segment)?;
            if damaged.is_some() {
                return Err(Trouble::Damaged(Damage { segment: piece.segment, place: damaged }));
            }
            if is_full {
                return Ok(writer.records);
            }
        }
        let is_current = epochs.last().is_some_and(|last| last.epoch == batch.epoch);
        if is_current && volatile.is_some() && place >= state.len {
            for record in pending.records().filter(|record| record.seq >= place) {
                if !matches!(writer.take(codec, &record, record.seq), Some(Flow::On)) {
                    break;
                }
            }
        }
        Ok(writer.records)
    }

    /// The chain after `len` records of an epoch (its root for 0); `None` when nothing tells it any more.
    pub(super) fn chain_at(&mut self, epoch: &EpochState, len: u64) -> Result<Option<Digest>, Trouble> {
        if len == 0 {
            return Ok(Some(root(epoch.epoch, epoch.previous.as_ref())));
        }
        if len == epoch.acked.len {
            return Ok(Some(epoch.acked.chain));
        }
        if len == epoch.len && epoch.tip != Digest::ZERO {
            return Ok(Some(epoch.tip));
        }
        let Some(piece) = self.pieces_of(epoch.epoch).into_iter().find(|piece| piece.first < len && len <= piece.end())
        else {
            return Ok(None);
        };
        let piece = if (piece.first..len).contains(&epoch.acked.len) { piece.starting(epoch.acked.len) } else { piece };
        let known = match piece.before {
            Some(before) => Some(before),
            None => self.chain_at(epoch, piece.first)?,
        };
        let Some(before) = known else { return Ok(None) };
        self.chain_over(&Piece { to: piece.from + (len - piece.first), ..piece }, before).map(|(chain, _)| Some(chain))
    }

    /// The chain over all records of a piece, and how many there were.
    pub(super) fn chain_over(&mut self, piece: &Piece, before: Digest) -> Result<(Digest, u64), Trouble> {
        let Self { segments, storage, codec, .. } = self;
        let Some(segment) = segments.iter().find(|segment| segment.number == piece.segment) else {
            return Err(Trouble::Damaged(Damage { segment: piece.segment, place: None }));
        };
        let (mut tip, mut count, mut damaged) = (before, 0, None);
        let walked = segment.walk(storage, piece.from, piece.to, |record| match codec.content(record) {
            Some(content) => {
                tip = chain(&tip, &record.record_id, &content);
                count += 1;
                Flow::On
            }
            None => {
                damaged = Some(record.seq);
                Flow::Stop
            }
        });
        trouble(walked, piece.segment)?;
        match damaged {
            Some(_) => Err(Trouble::Damaged(Damage { segment: piece.segment, place: damaged })),
            None => Ok((tip, count)),
        }
    }

    /// When the first record of a piece was written, in milliseconds; later, where that cannot be read.
    pub(super) fn first_ms(&self, piece: &Piece) -> i64 {
        self.ms_at(piece, piece.from).unwrap_or(piece.last_ms)
    }

    /// When the last record of a piece was written, in milliseconds; earlier, where that cannot be read.
    pub(super) fn last_ms(&self, piece: &Piece) -> i64 {
        self.ms_at(piece, piece.to - 1).unwrap_or(piece.first_ms)
    }

    fn ms_at(&self, piece: &Piece, place: u64) -> Option<i64> {
        let segment = self.segments.iter().find(|segment| segment.number == piece.segment)?;
        let mut found = None;
        let walked = segment.walk(&self.storage, place, place + 1, |record| {
            found = Some(record.at_ms);
            Flow::Stop
        });
        walked.ok().and(found)
    }

    /// An epoch's records on disk, in their order.
    pub(super) fn pieces_of(&self, epoch: Epoch) -> Vec<Piece> {
        let all = self.segments.iter().flat_map(Segment::pieces);
        let mut pieces: Vec<Piece> = all.filter(|piece| piece.epoch == Some(epoch)).collect();
        pieces.sort_by_key(|piece| piece.first);
        pieces
    }
}

pub(super) fn trouble(walked: Result<(), Broken>, segment: u64) -> Result<(), Trouble> {
    walked.map_err(|broken| match broken {
        Broken::Storage(error) if error.fault != Fault::Broken => Trouble::Storage(error),
        // What a disk cannot read is damage; the next scan tells a bad sector from a disk that is away.
        Broken::Storage(_) | Broken::Damaged => Trouble::Damaged(Damage { segment, place: None }),
    })
}

/// Puts records together for a batch, within its bounds.
struct Writer<'a> {
    state: &'a EpochState,
    batch: &'a Batch,
    before: Digest,
    bytes: usize,
    records: Vec<Record>,
}

impl Writer<'_> {
    /// Adds a stored record under its place; `None` when its body is not what was packed.
    fn take(&mut self, codec: &mut Codec, stored: &Stored<'_>, place: u64) -> Option<Flow> {
        if self.records.len() >= self.batch.records_max {
            return Some(Flow::Stop);
        }
        let (text, omitted) = if stored.is(THINNED) {
            ("null".to_owned(), Some(Omitted::Thinned))
        } else {
            (codec.unpack(stored)?, None)
        };
        if !self.records.is_empty() && self.bytes + text.len() + ENVELOPE_BYTES > self.batch.bytes_max {
            return Some(Flow::Stop);
        }
        self.bytes += text.len() + ENVELOPE_BYTES;
        let content = match omitted {
            Some(Omitted::Thinned) => stored.body.try_into().ok().map(Digest)?,
            None => content_hash(&stored.salt, &text),
        };
        self.before = chain(&self.before, &stored.record_id, &content);
        self.records.push(Record {
            epoch: self.state.epoch,
            seq: Seq(place),
            record_id: stored.record_id,
            content_hash: content,
            chain: self.before,
            previous: if place == 0 { self.state.previous } else { None },
            sig: None,
            salt: stored.salt,
            omitted,
            body: RawValue::from_string(text).ok()?,
        });
        Some(Flow::On)
    }
}
