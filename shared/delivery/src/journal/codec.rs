//! Bodies smaller, where that pays: zstd level 1 with a window of at most 128 KiB, the contexts kept.

use upheld_model::Digest;
use upheld_wire::v1::{limits::BODY_BYTES_MAX, record::content_hash};
use zstd::bulk::{Compressor, Decompressor};

use super::format::{COMPRESSED, Stored, THINNED};

const LEVEL: i32 = 1;
const WINDOW_LOG: u32 = 17;

pub(super) struct Codec {
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
    buffer: Vec<u8>,
}

impl Codec {
    /// A codec that takes its memory at first use.
    pub(super) fn new() -> Self {
        Self { compressor: None, decompressor: None, buffer: Vec::new() }
    }

    /// The bytes to store and their flag: compressed only where that is smaller. A compressor that cannot be had
    /// (memory) costs room, never a record.
    pub(super) fn pack<'a>(&'a mut self, body: &'a [u8]) -> (&'a [u8], u8) {
        if self.compressor.is_none() {
            self.compressor =
                Compressor::new(LEVEL).ok().and_then(|mut fresh| fresh.window_log(WINDOW_LOG).ok().map(|()| fresh));
        }
        let Some(compressor) = &mut self.compressor else { return (body, 0) };
        self.buffer.clear();
        self.buffer.reserve(zstd::compress_bound(body.len()));
        match compressor.compress_to_buffer(body, &mut self.buffer) {
            Ok(_) if self.buffer.len() < body.len() => (&self.buffer, COMPRESSED),
            Ok(_) | Err(_) => (body, 0),
        }
    }

    /// The body's text; `None` when it was thinned or is not what was packed.
    pub(super) fn unpack(&mut self, record: &Stored<'_>) -> Option<String> {
        if record.is(THINNED) {
            return None;
        }
        let bytes = if record.is(COMPRESSED) {
            if self.decompressor.is_none() {
                self.decompressor = Decompressor::new().ok();
            }
            self.decompressor.as_mut()?.decompress(record.body, BODY_BYTES_MAX).ok()?
        } else {
            record.body.to_vec()
        };
        String::from_utf8(bytes).ok()
    }

    /// The record's content hash; `None` when its body is not what was packed.
    pub(super) fn content(&mut self, record: &Stored<'_>) -> Option<Digest> {
        if record.is(THINNED) {
            return record.body.try_into().ok().map(Digest);
        }
        self.unpack(record).map(|body| content_hash(&record.salt, &body))
    }
}
