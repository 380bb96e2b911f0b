//! The bounds of one request's bytes, before anything believes them (SECURITY 18), and the agent's side of the same.
//!
//! A body that would inflate to a gibibyte costs what the limit allows and no more: the output grows only up to the
//! limit, and a frame that asks for a large window is refused before any memory is given to it.

use std::{
    io::{Read, Write as _},
    sync::LazyLock,
};

use upheld_wire::v1::{
    DeliverRequest, Record, dictionary,
    limits::{DEPTH_MAX, INFLATED_BYTES_MAX, INFLATION_MAX, WIRE_BYTES_MAX},
};

/// The largest window a sender may ask for: 2 MiB. Ours asks for [`SENT_WINDOW_LOG`].
const WINDOW_LOG_MAX: u32 = 21;
/// 128 KiB: what keeps an agent small.
const SENT_WINDOW_LOG: u32 = 17;
/// The level at which an agent compresses a backlog.
const SENT_LEVEL: i32 = 3;
/// So many bytes are a usual report: a tenth less on the wire is worth the millisecond, and its tables stay small.
const USUAL_BYTES: usize = 64 << 10;
/// The level at which an agent compresses a usual report.
const USUAL_LEVEL: i32 = 7;

/// Why bytes are no delivery.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// 413: over a limit.
    #[error("{what}: the limit is {limit}")]
    TooLarge {
        /// Which measure.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// 400: not a zstd frame, or one with a window over 2 MiB.
    #[error("the body is not zstd with a window of at most 2 MiB")]
    NotZstd(#[source] std::io::Error),
    /// 415: packed with a dictionary that is not known here.
    #[error("the body was packed with dictionary {0}, which is not known here; send it without one")]
    Dictionary(u32),
    /// 400: not a request of this version.
    #[error("the body is not a delivery of version 1")]
    NotJson(#[source] serde_json::Error),
}

impl IntakeError {
    /// Whether the answer is 413; otherwise 400.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

/// Dictionaries as they are unpacked with, each with its id; made once, for good.
static KNOWN: LazyLock<Vec<(u16, zstd::dict::DecoderDictionary<'static>)>> = LazyLock::new(|| {
    dictionary::ALL.iter().map(|(id, bytes)| (*id, zstd::dict::DecoderDictionary::copy(bytes))).collect()
});

/// What unpacks a frame, with the dictionary that it names.
fn decoder(body: &[u8]) -> Result<zstd::stream::read::Decoder<'static, &[u8]>, IntakeError> {
    let named = zstd::zstd_safe::get_dict_id_from_frame(body);
    let made = match named {
        None => zstd::stream::read::Decoder::with_buffer(body),
        Some(id) => {
            let known = KNOWN.iter().find(|(known, _)| u32::from(*known) == id.get());
            let (_, known) = known.ok_or(IntakeError::Dictionary(id.get()))?;
            zstd::stream::read::Decoder::with_prepared_dictionary(body, known)
        }
    };
    let mut decoder = made.map_err(IntakeError::NotZstd)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(IntakeError::NotZstd)?;
    Ok(decoder)
}

/// Decompresses a body (`content-encoding: zstd`) within the limits. Costs less than 16 MiB whatever it is given.
pub fn inflate(body: &[u8]) -> Result<Vec<u8>, IntakeError> {
    if body.len() > WIRE_BYTES_MAX {
        return Err(IntakeError::TooLarge { what: "bytes on the wire", limit: WIRE_BYTES_MAX });
    }
    let by_ratio = body.len().saturating_mul(INFLATION_MAX);
    let (what, limit) = if by_ratio < INFLATED_BYTES_MAX {
        ("inflated bytes for this many on the wire", by_ratio)
    } else {
        ("inflated bytes", INFLATED_BYTES_MAX)
    };
    let mut decoder = decoder(body)?;
    let mut inflated = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let read = decoder.read(&mut piece).map_err(IntakeError::NotZstd)?;
        if read == 0 {
            return Ok(inflated);
        }
        if inflated.len() + read > limit {
            return Err(IntakeError::TooLarge { what, limit });
        }
        if inflated.capacity() - inflated.len() < read {
            let wanted = (2 * inflated.capacity()).max(64 << 10).min(limit.max(inflated.len() + read));
            inflated.reserve_exact(wanted.saturating_sub(inflated.len()).max(read));
        }
        inflated.extend_from_slice(&piece[..read]);
    }
}

/// Reads an inflated body, and completes what it leaves to be made of the rest.
pub fn read_request(inflated: &[u8]) -> Result<DeliverRequest, IntakeError> {
    if inflated.len() > INFLATED_BYTES_MAX {
        return Err(IntakeError::TooLarge { what: "inflated bytes", limit: INFLATED_BYTES_MAX });
    }
    if depth(inflated) > DEPTH_MAX {
        return Err(IntakeError::TooLarge { what: "nesting of the JSON", limit: DEPTH_MAX });
    }
    let mut request: DeliverRequest = serde_json::from_slice(inflated).map_err(IntakeError::NotJson)?;
    request.records.iter_mut().for_each(Record::complete);
    Ok(request)
}

/// Writes a request as it goes over the wire, for `content-encoding: zstd`, with a dictionary that the collector said it has
/// ([`crate::courier::Courier::dictionary`]); one that is not known here is none.
///
/// # Errors
/// Only when memory is out: the window is 128 KiB and the input is in memory already.
pub fn deflate(request: &DeliverRequest, dictionary: Option<u16>) -> std::io::Result<Vec<u8>> {
    // Written twice, first to be counted: who knows the size chooses tables and window for it, and packs small requests
    // better and in less memory.
    let mut inflated = 0;
    serde_json::to_writer(Counted { to: &mut std::io::sink(), bytes: &mut inflated }, request)?;
    let level = if inflated <= USUAL_BYTES { USUAL_LEVEL } else { SENT_LEVEL };
    let mut encoder = match dictionary.and_then(dictionary::bytes) {
        Some(bytes) => zstd::stream::write::Encoder::with_dictionary(Vec::new(), level, bytes)?,
        None => zstd::stream::write::Encoder::new(Vec::new(), level)?,
    };
    encoder.window_log(SENT_WINDOW_LOG)?;
    encoder.set_pledged_src_size(u64::try_from(inflated).ok())?;
    {
        let mut buffered = std::io::BufWriter::with_capacity(8 << 10, &mut encoder);
        serde_json::to_writer(&mut buffered, request)?;
        buffered.flush()?;
    }
    let mut body = encoder.finish()?;
    pad(&mut body, inflated);
    Ok(body)
}

/// Two thousand checks in the same state compress better than a receiver may believe ([`INFLATION_MAX`]): a skippable
/// frame (RFC 8878, 3.1.2) brings the body up to its ratio.
fn pad(body: &mut Vec<u8>, inflated: usize) {
    let missing = (inflated / INFLATION_MAX + 1).saturating_sub(body.len());
    if missing > 0 {
        body.extend(0x184d_2a50_u32.to_le_bytes());
        // At most INFLATED_BYTES_MAX / INFLATION_MAX, far below 4 GiB.
        body.extend(u32::try_from(missing).unwrap_or(0).to_le_bytes());
        body.resize(body.len() + missing, 0);
    }
}

/// Counts what it passes on.
struct Counted<'a, W> {
    to: &'a mut W,
    bytes: &'a mut usize,
}

impl<W: std::io::Write> std::io::Write for Counted<'_, W> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(piece)?;
        *self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// The deepest nesting of brackets outside strings. Of bytes that are not JSON it says something harmless.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests;
