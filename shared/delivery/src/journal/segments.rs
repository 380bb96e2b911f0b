//! Segment files as the journal sees them: where good records lie, and which place of which epoch each one has.
//!
//! A record's stored place is its place in the epoch that the segment's header names. [`Span`]s map stretches of
//! stored places to places in an epoch; one span, straight from the header, is the rule. Records that must travel
//! under another epoch are tagged anew by a span, not copied.

use upheld_model::{Digest, Epoch};

use super::{
    JournalError,
    format::{FORMAT, Opening, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, Stored, find_record, length_at},
};
use crate::storage::{Fault, Storage, StorageError};

/// Every so many records the index keeps an offset.
const MARK_EVERY: u64 = 64;
/// Bytes that a reader asks the disk for at a time.
const PIECE: usize = 32 << 10;
/// What a disk loses at a time: a sector, as most of today are.
const SECTOR: usize = 4 << 10;
/// How often a file that cannot be read at all is tried before it counts as damaged.
const REFUSALS_MAX: u8 = 3;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) header: Option<SegmentHeader>,
    /// The end of the last good record.
    pub(super) bytes: u64,
    pub(super) file_bytes: u64,
    /// How long the journal had been running when it began.
    pub(super) age_s: u64,
    /// How long it had been running when all of it was acknowledged.
    pub(super) acked_age_s: Option<u64>,
    pub(super) extents: Vec<Extent>,
    pub(super) spans: Vec<Span>,
    /// Whether records lie in it whose bodies were given up.
    pub(super) thinned: Thinned,
    /// Stored places of records whose CRC is right and whose body is not what was packed.
    pub(super) unreadable: Vec<u64>,
    /// How often nothing of the file could be read.
    refusals: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thinned {
    Nothing,
    Samples,
    /// The samples that were left of others, too.
    Summaries,
    Everything,
}

/// Good records with contiguous stored places `from..to`.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Offsets of the records `from`, `from + 64`, …
    marks: Vec<u32>,
}

/// The stored places `from..to` are `first..` of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
    /// `None`: the header is damaged and nothing says which epoch it was.
    pub(super) tag: Option<Tag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) epoch: Epoch,
    pub(super) first: u64,
    /// The chain before `first`.
    pub(super) before: Digest,
}

/// Good records of one tag that lie in one extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) segment: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) epoch: Option<Epoch>,
    /// The place of `from` in the epoch.
    pub(super) first: u64,
    /// The chain before it, where a header or tag says so.
    pub(super) before: Option<Digest>,
    /// Not of the piece but of the extent that it lies in: no record of it is earlier,
    pub(super) first_ms: i64,
    /// and none is later.
    pub(super) last_ms: i64,
}

/// Why a walk over records ended early.
pub(super) enum Broken {
    Storage(StorageError),
    /// A record that was good when the segment was scanned is not any more.
    Damaged,
}

/// What a scan found besides good records.
#[derive(Debug, Default)]
pub(super) struct Wounds {
    /// Bad places with good records after them, and a damaged header.
    pub(super) damaged: u64,
    /// Bytes after the last good record.
    pub(super) tail: u64,
}

#[cfg(test)]
impl Extent {
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }
}

impl Piece {
    /// The place after its last record.
    pub(super) fn end(&self) -> u64 {
        self.first + (self.to - self.from)
    }

    /// The part from this place in the epoch on.
    pub(super) fn starting(mut self, place: u64) -> Self {
        if place > self.first {
            self.from += place - self.first;
            self.first = place;
            self.before = None;
        }
        self
    }
}

pub(super) fn name_of(number: u64) -> String {
    format!("{number:010}.seg")
}

pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".seg").filter(|digits| digits.len() == 10)?.parse().ok()
}

impl Segment {
    /// A segment that was just written.
    pub(super) fn fresh(header: SegmentHeader) -> Self {
        let tag = Tag { epoch: header.epoch, first: header.first_seq, before: header.before };
        Self {
            number: header.number,
            header: Some(header),
            bytes: SEGMENT_HEADER as u64,
            file_bytes: SEGMENT_HEADER as u64,
            age_s: header.age_s,
            acked_age_s: None,
            extents: Vec::new(),
            spans: vec![Span { from: header.first_seq, to: u64::MAX, tag: Some(tag) }],
            thinned: Thinned::Nothing,
            unreadable: Vec::new(),
            refusals: 0,
        }
    }

    /// Reads a whole file and finds its good records, stepping over damage and the records that are known to be
    /// `unreadable`.
    ///
    /// # Errors
    /// A newer version's file, and one of which nothing can be read.
    pub(super) fn scan(
        storage: &impl Storage,
        number: u64,
        unreadable: Vec<u64>,
    ) -> Result<(Self, Wounds), JournalError> {
        let name = name_of(number);
        Self::scan_bytes(&salvage(storage, &name)?.bytes, name, number, unreadable)
    }

    fn scan_bytes(
        bytes: &[u8],
        name: String,
        number: u64,
        unreadable: Vec<u64>,
    ) -> Result<(Self, Wounds), JournalError> {
        let mut wounds = Wounds::default();
        let mut segment = match SegmentHeader::decode(bytes) {
            Opening::Readable(header) if header.number == number => Self::fresh(header),
            Opening::Newer(found) => return Err(JournalError::Newer { name, found, known: FORMAT }),
            Opening::Readable(_) | Opening::Damaged => {
                wounds.damaged += u64::from(bytes.len() >= SEGMENT_HEADER);
                Self {
                    number,
                    header: None,
                    bytes: 0,
                    file_bytes: 0,
                    age_s: 0,
                    acked_age_s: None,
                    extents: Vec::new(),
                    spans: vec![Span { from: 0, to: u64::MAX, tag: None }],
                    thinned: Thinned::Nothing,
                    unreadable: Vec::new(),
                    refusals: 0,
                }
            }
        };
        segment.unreadable = unreadable;
        segment.find_extents(bytes, &mut wounds);
        segment.file_bytes = bytes.len() as u64;
        wounds.tail = segment.file_bytes - segment.bytes;
        Ok((segment, wounds))
    }

    /// Scans again after damage was met or bodies were given up; what the records are called stays. A file of which
    /// nothing can be read may be a disk that is away for a moment: it counts as damaged when that is so again and again.
    pub(super) fn rescan(&mut self, storage: &impl Storage) -> Result<(), JournalError> {
        let name = name_of(self.number);
        let bytes = match salvage(storage, &name) {
            Ok(salvaged) => salvaged.bytes,
            Err(error) => {
                self.refusals = self.refusals.saturating_add(1);
                if self.refusals < REFUSALS_MAX || error.fault != Fault::Broken {
                    return Err(error.into());
                }
                Vec::new()
            }
        };
        self.is_readable();
        let (fresh, _) = Self::scan_bytes(&bytes, name, self.number, self.unreadable.clone())?;
        (self.bytes, self.file_bytes, self.extents, self.thinned) =
            (fresh.bytes, fresh.file_bytes, fresh.extents, fresh.thinned);
        Ok(())
    }

    /// It was read: what is refused from now on is a trouble of its own.
    pub(super) fn is_readable(&mut self) {
        self.refusals = 0;
    }

    /// Which places hold good records.
    pub(super) fn places(&self) -> Vec<(u64, u64)> {
        self.extents.iter().map(|extent| (extent.from, extent.to)).collect()
    }

    fn find_extents(&mut self, bytes: &[u8], wounds: &mut Wounds) {
        let mut at = if self.header.is_some() { SEGMENT_HEADER } else { 0 };
        while at < bytes.len() {
            let Some(record) = Stored::decode(&bytes[at..]) else {
                let Some(next) = find_record(bytes, at + 1) else { break };
                wounds.damaged += u64::from(self.header.is_some() || at > 0);
                at = next;
                continue;
            };
            // A place that is taken already is a copy: the first stands, for a walk looks records up by their place.
            let is_copy = self.extents.iter().any(|extent| (extent.from..extent.to).contains(&record.seq));
            if is_copy || self.unreadable.contains(&record.seq) {
                wounds.damaged += 1;
            } else {
                self.note(&record, at as u64);
            }
            at += record.len();
        }
    }

    /// Adds a good record to the index.
    pub(super) fn note(&mut self, record: &Stored<'_>, offset: u64) {
        // What follows by its place may lie behind damage (a copy of a damaged record): a walk cannot cross that.
        let is_next_to_it = offset == self.bytes;
        self.bytes = offset + record.len() as u64;
        if record.is(super::format::THINNED) {
            self.thinned = self.thinned.max(Thinned::Samples);
        }
        // Segments are a few mebibytes at most.
        let mark = u32::try_from(offset).unwrap_or(u32::MAX);
        match self.extents.last_mut() {
            Some(extent) if extent.to == record.seq && is_next_to_it => {
                if (record.seq - extent.from).is_multiple_of(MARK_EVERY) {
                    extent.marks.push(mark);
                }
                extent.to += 1;
                extent.last_ms = record.at_ms;
            }
            Some(_) | None => self.extents.push(Extent {
                from: record.seq,
                to: record.seq + 1,
                first_ms: record.at_ms,
                last_ms: record.at_ms,
                marks: vec![mark],
            }),
        }
    }

    /// Gives the stored places `from..to` another name, or with `None` no name at all.
    pub(super) fn retag(&mut self, from: u64, to: u64, tag: Option<Tag>) {
        let mut spans = Vec::with_capacity(self.spans.len() + 2);
        for span in self.spans.drain(..) {
            if span.from < from {
                spans.push(Span { to: span.to.min(from), ..span });
            }
            if span.to > to {
                let moved = span.tag.map(|tag| (tag, to.saturating_sub(span.from)));
                spans.push(match moved {
                    Some((tag, by)) if by > 0 && span.from < to => Span {
                        from: to,
                        to: span.to,
                        tag: Some(Tag { first: tag.first + by, before: Digest::ZERO, ..tag }),
                    },
                    Some(_) | None => Span { from: span.from.max(to), ..span },
                });
            }
        }
        spans.extend(tag.map(|tag| Span { from, to, tag: Some(tag) }));
        spans.sort_by_key(|span| span.from);
        self.spans = spans;
    }

    /// Whether its spans are what its header says, so that nobody needs to remember them.
    pub(super) fn is_as_its_header_says(&self) -> bool {
        self.header.is_some_and(|header| Self::fresh(header).spans == self.spans)
    }

    /// The good records by name, in the order in which they lie.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        self.extents.iter().flat_map(move |extent| {
            self.spans.iter().filter_map(move |span| {
                let (from, to) = (extent.from.max(span.from), extent.to.min(span.to));
                (from < to).then(|| Piece {
                    segment: self.number,
                    from,
                    to,
                    epoch: span.tag.map(|tag| tag.epoch),
                    first: span.tag.map_or(0, |tag| tag.first + (from - span.from)),
                    before: span
                        .tag
                        .filter(|tag| from == span.from && tag.before != Digest::ZERO)
                        .map(|tag| tag.before),
                    first_ms: extent.first_ms,
                    last_ms: extent.last_ms,
                })
            })
        })
    }

    /// Calls `each` with the records whose stored places are `from..to`, in order, until it says stop.
    pub(super) fn walk(
        &self,
        storage: &impl Storage,
        from: u64,
        to: u64,
        mut each: impl FnMut(&Stored<'_>) -> Flow,
    ) -> Result<(), Broken> {
        let extent =
            self.extents.iter().find(|extent| (extent.from..extent.to).contains(&from)).ok_or(Broken::Damaged)?;
        let mark = usize::try_from((from - extent.from) / MARK_EVERY).unwrap_or(usize::MAX);
        let mut window = Window {
            name: name_of(self.number),
            at: u64::from(*extent.marks.get(mark).ok_or(Broken::Damaged)?),
            bytes: Vec::new(),
            used: 0,
        };
        loop {
            let record = window.next(storage)?;
            if record.seq >= from && (record.seq >= to || matches!(each(&record), Flow::Stop)) {
                return Ok(());
            }
            if record.seq + 1 >= to {
                return Ok(());
            }
        }
    }
}

/// Whether a walk goes on.
pub(super) enum Flow {
    On,
    Stop,
}

/// Reads a file forward in pieces.
struct Window {
    name: String,
    /// The file offset behind `bytes`' first unused one.
    at: u64,
    bytes: Vec<u8>,
    used: usize,
}

impl Window {
    fn next(&mut self, storage: &impl Storage) -> Result<Stored<'_>, Broken> {
        self.need(storage, RECORD_HEADER)?;
        let len = length_at(&self.bytes[self.used..]).ok_or(Broken::Damaged)?;
        self.need(storage, len)?;
        let start = self.used;
        self.used += len;
        self.at += len as u64;
        Stored::decode(&self.bytes[start..]).ok_or(Broken::Damaged)
    }

    fn need(&mut self, storage: &impl Storage, count: usize) -> Result<(), Broken> {
        if self.bytes.len() - self.used >= count {
            return Ok(());
        }
        let unused = &self.bytes[self.used..];
        let have = unused.len();
        // Zeros from the allocator cost nothing; filling a buffer anew for each piece does.
        let mut bytes = vec![0; count.max(PIECE)];
        bytes[..have].copy_from_slice(unused);
        let at = self.at + have as u64;
        let read = storage.read(&self.name, at, &mut bytes[have..]).or_else(|error| {
            // A bad sector further on is none of this record's.
            if error.fault == Fault::Broken {
                storage.read(&self.name, at, &mut bytes[have..count])
            } else {
                Err(error)
            }
        });
        let read = read.map_err(Broken::Storage)?;
        bytes.truncate(have + read);
        (self.bytes, self.used) = (bytes, 0);
        if self.bytes.len() < count { Err(Broken::Damaged) } else { Ok(()) }
    }
}

/// A whole file; segments are a few mebibytes at most.
pub(super) fn read_all(storage: &impl Storage, name: &str) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = vec![0; 4 * PIECE];
        let read = storage.read(name, bytes.len() as u64, &mut piece)?;
        let is_last = read < piece.len();
        piece.truncate(read);
        if bytes.is_empty() {
            bytes = piece;
        } else {
            bytes.extend_from_slice(&piece);
        }
        if is_last {
            return Ok(bytes);
        }
    }
}

/// What can be read of a file.
pub(super) struct Salvaged {
    /// Zeros stand where the disk gave nothing.
    pub(super) bytes: Vec<u8>,
    pub(super) is_whole: bool,
}

/// As [`read_all`], around sectors that the disk cannot read any more.
///
/// # Errors
/// Nothing at all could be read.
pub(super) fn salvage(storage: &impl Storage, name: &str) -> Result<Salvaged, StorageError> {
    let error = match read_all(storage, name) {
        Ok(bytes) => return Ok(Salvaged { bytes, is_whole: true }),
        Err(error) => error,
    };
    if error.fault != Fault::Broken {
        return Err(error);
    }
    let len = storage.list()?.into_iter().find(|(found, _)| found == name).map_or(0, |(_, len)| len);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let (mut at, mut has_read) = (0, false);
    for sector in bytes.chunks_mut(SECTOR) {
        match storage.read(name, at, sector) {
            Ok(_) => has_read = true,
            Err(error) if error.fault == Fault::Broken => {}
            // It says nothing of the file.
            Err(error) => return Err(error),
        }
        at += sector.len() as u64;
    }
    if has_read { Ok(Salvaged { bytes, is_whole: false }) } else { Err(error) }
}
