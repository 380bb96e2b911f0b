//! How records lie in a segment. Little-endian throughout.
//!
//! ```text
//! segment   "UPHELDJ\n"  version u16, its complement u16  number u64  epoch u64  first_seq u64  age_s u64
//!           has_previous u8  before [32]  previous: epoch u64, len u64, chain [32]  crc32 u32
//! record    FF F5  flags u8  body_len u24  crc32 u32  seq u64  at_ms i64  record_id [16]  salt [16]  body
//! ```
//! The marker's first byte never occurs in UTF-8, so a record cannot be forged by text inside another. The CRC covers
//! the whole record but itself. Hash, chain and signature are not stored: they follow from the content, the segment's
//! `before` and the key (Ed25519 gives the same bytes each time), and are rebuilt exactly.

use upheld_model::{Digest, Epoch, RecordId};
use upheld_wire::v1::{EpochLink, limits::BODY_BYTES_MAX};

/// The newest format that is read and the one that is written.
pub(super) const FORMAT: u16 = 1;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 129;
/// Bytes of a record before its body.
pub(super) const RECORD_HEADER: usize = 58;

const MAGIC: &[u8; 8] = b"UPHELDJ\n";
const MARKER: [u8; 2] = [0xff, 0xf5];
const CRC_AT: usize = 6;

/// The body is compressed.
pub(super) const COMPRESSED: u8 = 1;
/// The body was given up; its content hash stands in its place.
pub(super) const THINNED: u8 = 2;
/// The record holds a transition.
pub(super) const TRANSITION: u8 = 4;
/// The record holds what is left of samples that were given up.
pub(super) const SUMMARY: u8 = 8;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    /// The first record's place in the epoch.
    pub(super) first_seq: u64,
    /// How long this journal had been running when the segment began, in seconds.
    pub(super) age_s: u64,
    /// The chain before the first record.
    pub(super) before: Digest,
    pub(super) previous: Option<EpochLink>,
}

/// What stands at the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Readable(SegmentHeader),
    /// Written by a later version.
    Newer(u16),
    Damaged,
}

/// One record as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) flags: u8,
    /// Its place in the epoch of the segment's header.
    pub(super) seq: u64,
    pub(super) at_ms: i64,
    pub(super) record_id: RecordId,
    pub(super) salt: RecordId,
    pub(super) body: &'a [u8],
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend(MAGIC);
        out.extend(FORMAT.to_le_bytes());
        out.extend((!FORMAT).to_le_bytes());
        for number in [self.number, self.epoch.0, self.first_seq, self.age_s] {
            out.extend(number.to_le_bytes());
        }
        let link = self.previous.unwrap_or(EpochLink { epoch: Epoch(0), len: 0, chain: Digest::ZERO });
        out.push(u8::from(self.previous.is_some()));
        out.extend(self.before.0);
        out.extend(link.epoch.0.to_le_bytes());
        out.extend(link.len.to_le_bytes());
        out.extend(link.chain.0);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        debug_assert_eq!(out.len(), SEGMENT_HEADER);
        out
    }

    /// Reads what stands at the beginning of a file. The version is believed when its complement agrees, so that no
    /// flipped bit makes a journal look newer.
    pub(super) fn decode(bytes: &[u8]) -> Opening {
        let mut cut = Cut(bytes);
        let (Some(magic), Some(version), Some(complement)) = (cut.array::<8>(), cut.u16(), cut.u16()) else {
            return Opening::Damaged;
        };
        if &magic != MAGIC || version != !complement || version == 0 {
            return Opening::Damaged;
        }
        if version > FORMAT {
            return Opening::Newer(version);
        }
        Self::decode_fields(bytes, cut).map_or(Opening::Damaged, Opening::Readable)
    }

    fn decode_fields(bytes: &[u8], mut cut: Cut<'_>) -> Option<Self> {
        let header = Self {
            number: cut.u64()?,
            epoch: Epoch(cut.u64()?),
            first_seq: cut.u64()?,
            age_s: cut.u64()?,
            previous: None,
            before: Digest::ZERO,
        };
        let has_previous = cut.array::<1>()?[0] == 1;
        let before = Digest(cut.array()?);
        let link = EpochLink { epoch: Epoch(cut.u64()?), len: cut.u64()?, chain: Digest(cut.array()?) };
        let crc = u32::from_le_bytes(cut.array()?);
        let covered = bytes.get(..SEGMENT_HEADER - 4)?;
        (crc32fast::hash(covered) == crc).then_some(Self { before, previous: has_previous.then_some(link), ..header })
    }
}

impl<'a> Stored<'a> {
    /// Adds the record to `out`. A body is at most [`BODY_BYTES_MAX`] bytes, which fits into 24 bits.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let body_len = u32::try_from(self.body.len()).unwrap_or(u32::MAX).to_le_bytes();
        out.extend(MARKER);
        out.push(self.flags);
        out.extend(&body_len[..3]);
        out.extend([0; 4]);
        out.extend(self.seq.to_le_bytes());
        out.extend(self.at_ms.to_le_bytes());
        out.extend(self.record_id.0);
        out.extend(self.salt.0);
        out.extend(self.body);
        let crc = crc_of(&out[start..]).to_le_bytes();
        out[start + CRC_AT..start + CRC_AT + 4].copy_from_slice(&crc);
    }

    /// The record at the beginning of `bytes`; `None` when there is no whole and good one.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let len = length_at(bytes)?;
        let whole = bytes.get(..len)?;
        let mut cut = Cut(whole.get(CRC_AT..)?);
        if u32::from_le_bytes(cut.array()?) != crc_of(whole) {
            return None;
        }
        Some(Self {
            flags: whole[2],
            seq: cut.u64()?,
            at_ms: i64::from_le_bytes(cut.array()?),
            record_id: RecordId(cut.array()?),
            salt: RecordId(cut.array()?),
            body: cut.0,
        })
    }

    /// Bytes that the record takes.
    pub(super) fn len(&self) -> usize {
        RECORD_HEADER + self.body.len()
    }

    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The length that the record at the beginning of `bytes` claims; `None` when no record begins there.
pub(super) fn length_at(bytes: &[u8]) -> Option<usize> {
    let [m0, m1, _, a, b, c] = *bytes.first_chunk::<6>()?;
    let body = u32::from_le_bytes([a, b, c, 0]) as usize;
    ([m0, m1] == MARKER && body <= BODY_BYTES_MAX).then_some(RECORD_HEADER + body)
}

/// The first place at or after `from` where a good record begins.
pub(super) fn find_record(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..)?.windows(2).position(|pair| pair == MARKER) {
        at += found;
        if Stored::decode(&bytes[at..]).is_some() {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn crc_of(whole: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&whole[..CRC_AT]);
    crc.update(&whole[CRC_AT + 4..]);
    crc.finalize()
}

/// Takes bytes off the front of a slice.
struct Cut<'a>(&'a [u8]);

impl Cut<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 3,
            epoch: Epoch(7),
            first_seq: 40,
            age_s: 99,
            before: Digest([5; 32]),
            previous: Some(EpochLink { epoch: Epoch(6), len: 12, chain: Digest([4; 32]) }),
        }
    }

    fn record(body: &[u8]) -> Stored<'_> {
        Stored {
            flags: TRANSITION,
            seq: 41,
            at_ms: 1_795_300_000_000,
            record_id: RecordId([1; 16]),
            salt: RecordId([2; 16]),
            body,
        }
    }

    #[test]
    fn a_segment_header_survives_and_no_flipped_bit_passes_or_looks_newer() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Opening::Readable(header()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Opening::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_recognised() {
        let mut bytes = header().encode();
        bytes[8..10].copy_from_slice(&2u16.to_le_bytes());
        bytes[10..12].copy_from_slice(&(!2u16).to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Opening::Newer(2));
    }

    #[test]
    fn no_flipped_bit_of_a_record_passes_and_the_next_one_is_found() {
        let mut bytes = Vec::new();
        record(b"{\"samples\":[]}").encode(&mut bytes);
        let second = bytes.len();
        record(b"{}").encode(&mut bytes);
        assert_eq!(Stored::decode(&bytes).unwrap().body, b"{\"samples\":[]}");
        for bit in 0..second * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Stored::decode(&flipped).is_none(), "bit {bit}");
            assert_eq!(find_record(&flipped, 0), Some(second), "bit {bit}");
        }
    }
}
