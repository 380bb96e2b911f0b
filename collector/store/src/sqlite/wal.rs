//! The write-ahead log's format (<https://www.sqlite.org/fileformat2.html#walformat>): which of its frames are
//! committed. It reads bytes and nothing else.

use std::io::{self, Read};

/// The header's length.
pub(super) const HEADER: u64 = 32;
/// The length of what stands before each page.
const FRAME: usize = 24;
/// The least and the largest page.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// The running checksum.
pub(super) type Sum = (u32, u32);

/// What stands at the beginning of a log. Each time that the log is begun anew its salts change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of a page.
    pub(super) page_size: u32,
    /// What tells this log's frames from those of the log before it, which may still stand behind them.
    pub(super) salts: [u32; 2],
    /// The checksum with which the first frame's begins.
    pub(super) sum: Sum,
    is_big_endian: bool,
}

impl Header {
    /// Reads it; `None` for what is no whole header, as it looks while it is being written.
    pub(super) fn read(bytes: &[u8; HEADER as usize]) -> Option<Self> {
        let is_big_endian = match word(bytes, 0)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let sum = sum_of(is_big_endian, (0, 0), bytes.get(..24)?);
        let page_size = word(bytes, 8)?;
        if sum != (word(bytes, 24)?, word(bytes, 28)?) || !PAGE_SIZES.contains(&page_size) {
            return None;
        }
        Some(Self { page_size, salts: [word(bytes, 16)?, word(bytes, 20)?], sum, is_big_endian })
    }

    /// Where a frame begins, by its place from 0.
    pub(super) fn place_of(&self, frame: u64) -> u64 {
        HEADER + frame * (FRAME as u64 + u64::from(self.page_size))
    }
}

/// A frame: one page as a transaction left it.
#[derive(Debug)]
pub(super) struct Frame {
    /// The page's number, from 1.
    pub(super) page: u32,
    /// The database's length in pages after the transaction that this frame ends; 0 within a transaction.
    pub(super) pages_after: u32,
    /// The checksum up to here.
    pub(super) sum: Sum,
    bytes: Vec<u8>,
}

impl Frame {
    /// The page.
    pub(super) fn content(&self) -> &[u8] {
        self.bytes.get(FRAME..).unwrap_or_default()
    }

    /// The next frame behind one whose checksum is `sum`; `None` where the log ends, which is where bytes stand that
    /// no writer of this log has finished.
    pub(super) fn next(from: &mut impl Read, header: &Header, sum: Sum) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; FRAME + header.page_size as usize];
        match from.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Self::of(bytes, header, sum))
    }

    fn of(bytes: Vec<u8>, header: &Header, sum: Sum) -> Option<Self> {
        let sum = sum_of(header.is_big_endian, sum, bytes.get(..8)?);
        let sum = sum_of(header.is_big_endian, sum, bytes.get(FRAME..)?);
        let salts = [word(&bytes, 8)?, word(&bytes, 12)?];
        let (page, pages_after) = (word(&bytes, 0)?, word(&bytes, 4)?);
        let is_ours = salts == header.salts && sum == (word(&bytes, 16)?, word(&bytes, 20)?) && page > 0;
        is_ours.then_some(Self { page, pages_after, sum, bytes })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn sum_of(is_big_endian: bool, (mut one, mut two): Sum, bytes: &[u8]) -> Sum {
    let read = if is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    for pair in bytes.as_chunks::<8>().0 {
        let [a, b, c, d, e, f, g, h] = *pair;
        one = one.wrapping_add(read([a, b, c, d])).wrapping_add(two);
        two = two.wrapping_add(read([e, f, g, h])).wrapping_add(one);
    }
    (one, two)
}
