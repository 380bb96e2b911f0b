//! The bounds of one request's bytes, before anything believes them (SECURITY 18), and the agent's side of the same.
//!
//! A body that would inflate to a gibibyte costs what the limit allows and no more: the output grows only up to the
//! limit, and a frame that asks for a large window is refused before any memory is given to it.

use std::io::{Read, Write as _};

use upheld_wire::v1::{
    DeliverRequest,
    limits::{DEPTH_MAX, INFLATED_BYTES_MAX, INFLATION_MAX, WIRE_BYTES_MAX},
};

/// The largest window a sender may ask for: 2 MiB. Ours asks for [`SENT_WINDOW_LOG`].
const WINDOW_LOG_MAX: u32 = 21;
/// 128 KiB: what keeps an agent small.
const SENT_WINDOW_LOG: u32 = 17;
/// The level at which an agent compresses.
const SENT_LEVEL: i32 = 3;

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
    let mut decoder = zstd::stream::read::Decoder::new(body).map_err(IntakeError::NotZstd)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(IntakeError::NotZstd)?;
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

/// Reads an inflated body.
pub fn read_request(inflated: &[u8]) -> Result<DeliverRequest, IntakeError> {
    if inflated.len() > INFLATED_BYTES_MAX {
        return Err(IntakeError::TooLarge { what: "inflated bytes", limit: INFLATED_BYTES_MAX });
    }
    if depth(inflated) > DEPTH_MAX {
        return Err(IntakeError::TooLarge { what: "nesting of the JSON", limit: DEPTH_MAX });
    }
    serde_json::from_slice(inflated).map_err(IntakeError::NotJson)
}

/// Writes a request as it goes over the wire, for `content-encoding: zstd`.
///
/// # Errors
/// Only when memory is out: the window is 128 KiB and the input is in memory already.
pub fn deflate(request: &DeliverRequest) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), SENT_LEVEL)?;
    encoder.window_log(SENT_WINDOW_LOG)?;
    let mut inflated = 0;
    {
        let counted = Counted { to: &mut encoder, bytes: &mut inflated };
        let mut buffered = std::io::BufWriter::with_capacity(8 << 10, counted);
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
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_size_within_the_limits_is_inflated() {
        // The smallest bodies have the lowest limit by their ratio.
        for size in [0, 1, 40, 400, 20_000, 300_000] {
            let text: Vec<u8> = (0..size).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            let packed = zstd::bulk::compress(&text, 1).unwrap();
            assert_eq!(inflate(&packed).unwrap(), text);
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio() {
        let packed = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
        assert!(inflate(&packed).unwrap_err().is_too_large());
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 1).unwrap()
    }

    fn request() -> DeliverRequest {
        let json = r#"{"protocol":1,"heads":[],"clock":{"wall":"2026-11-16T16:10:07Z","mono":1,"boot":"b"},
            "now":{},"records":[],"batch_digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_request_survives_the_wire() {
        let wire = deflate(&request()).unwrap();
        let read = read_request(&inflate(&wire).unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&request()).unwrap());
    }

    #[test]
    fn a_request_that_compresses_too_well_still_passes_the_ratio() {
        let mut large = request();
        large.now.ailments = vec!["the same words again and again".to_owned(); 40_000];
        let wire = deflate(&large).unwrap();
        let read = read_request(&inflate(&wire).unwrap()).unwrap();
        assert_eq!(read.now, large.now);
    }

    #[test]
    fn each_limit_has_its_name() {
        let limit = |result: Result<Vec<u8>, IntakeError>| {
            let Err(IntakeError::TooLarge { what, .. }) = result else {
                panic!("{:?}", result.map(|bytes| bytes.len()))
            };
            what
        };
        assert_eq!(limit(inflate(&vec![0; WIRE_BYTES_MAX + 1])), "bytes on the wire");
        assert_eq!(limit(inflate(&packed(&vec![b' '; 100_000]))), "inflated bytes for this many on the wire");
        let mut dice = 1;
        let noise: Vec<u8> = (0..400_000).map(|_| (crate::spread::next(&mut dice) % 251) as u8).collect();
        let large = [noise, vec![b' '; INFLATED_BYTES_MAX]].concat();
        assert_eq!(limit(inflate(&packed(&large))), "inflated bytes");
    }

    #[test]
    fn what_is_not_zstd_or_wants_a_large_window_is_refused() {
        assert!(matches!(inflate(b"{}"), Err(IntakeError::NotZstd(_))));
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let wide = encoder.finish().unwrap();
        assert!(matches!(inflate(&wide), Err(IntakeError::NotZstd(_))));
        let cut = &packed(&[b'x'; 100])[..10];
        assert!(inflate(cut).is_err());
    }

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        assert_eq!(depth(br#"{"a":[["[[[\"[["]]}"#), 3);
        let deep = "[".repeat(17) + &"]".repeat(17);
        assert!(read_request(deep.as_bytes()).unwrap_err().is_too_large());
        assert!(!read_request(b"{}").unwrap_err().is_too_large());
    }
}
