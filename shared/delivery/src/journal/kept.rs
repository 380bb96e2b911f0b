//! What is left of samples that were given up for room, in a file of its own until it lies in a record: their bodies are
//! gone once their segment is replaced, and a process that is killed then tells nothing of them.

use upheld_model::{AgentEvent, DeviceText, RecordId, Sample};
use upheld_wire::v1::limits::BODY_BYTES_MAX;

use super::{
    Journal,
    codec::Codec,
    format::{SUMMARY, Stored},
    segments::{Thinned, read_all},
};
use crate::storage::{Fault, Storage, StorageError};

const KEPT: &str = "kept";

impl<S: Storage> Journal<S> {
    /// Makes durable what is left of the samples of a segment that is about to give them up.
    ///
    /// # Errors
    /// The disk's: nothing may be given up then.
    pub(super) fn keep_samples(&mut self, segment: u64, samples: Vec<Sample>) -> Result<(), StorageError> {
        if samples.is_empty() {
            return Ok(());
        }
        self.kept.push((segment, samples));
        let mut bytes = Vec::new();
        self.kept.iter().for_each(|(segment, samples)| encode(&mut self.codec, *segment, samples, &mut bytes));
        self.replace(KEPT, &bytes)
    }

    /// What was pending of them lies in a record now. A file that the disk does not let go is said once more at the next
    /// start.
    pub(super) fn count_kept_samples(&mut self) {
        if std::mem::take(&mut self.is_saying_samples) && self.owed_samples.is_empty() {
            self.kept.clear();
            let _ = self.storage.remove(KEPT);
        }
    }

    /// After opening: what a killed process had still to say. A segment that it did not come to replace has its samples.
    pub(super) fn recollect_kept_samples(&mut self) {
        let bytes = match read_all(&self.storage, KEPT) {
            Ok(bytes) => bytes,
            Err(error) if error.fault == Fault::Missing => return,
            Err(_) => Vec::new(),
        };
        let found = decode(&mut self.codec, &bytes);
        let is_whole = |number: u64| {
            let segment = self.segments.iter().find(|segment| segment.number == number);
            segment.is_some_and(|segment| segment.thinned == Thinned::Nothing)
        };
        let is_read = found.is_some();
        self.kept = found.into_iter().flatten().filter(|(segment, _)| !is_whole(*segment)).collect();
        self.owed_samples = self.kept.iter().flat_map(|(_, samples)| samples).cloned().collect();
        if self.kept.is_empty() {
            let _ = self.storage.remove(KEPT);
        }
        let what = match self.owed_samples.len() {
            _ if !is_read => "what was left of samples that were thinned for room could not be read".to_owned(),
            0 => return,
            count => format!("{count} samples are kept of those that were thinned for room before the start"),
        };
        self.owe(AgentEvent::Journal { at: self.now.wall, what: DeviceText::new(&what) });
    }
}

/// As records of a segment lie, each with its CRC and the number of the segment; as many as their bounds ask for.
fn encode(codec: &mut Codec, segment: u64, samples: &[Sample], out: &mut Vec<u8>) {
    let text = serde_json::to_string(samples).unwrap_or_default();
    if text.len() > BODY_BYTES_MAX && samples.len() > 1 {
        let (left, right) = samples.split_at(samples.len() / 2);
        encode(codec, segment, left, out);
        return encode(codec, segment, right, out);
    }
    let nobody = RecordId([0; 16]);
    let (body, packed) = codec.pack(text.as_bytes());
    Stored { flags: packed | SUMMARY, seq: segment, at_ms: 0, record_id: nobody, salt: nobody, body }.encode(out);
}

/// All of them, each with its segment's number, or nothing where one byte is not as it was written.
fn decode(codec: &mut Codec, bytes: &[u8]) -> Option<Vec<(u64, Vec<Sample>)>> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    loop {
        let record = Stored::decode(rest)?;
        found.push((record.seq, serde_json::from_str(&codec.unpack(&record)?).ok()?));
        rest = &rest[record.len()..];
        if rest.is_empty() {
            return Some(found);
        }
    }
}
