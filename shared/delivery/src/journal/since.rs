//! What was journalled after a place in the journal: for an engine that goes on from a snapshot.

use serde::{Deserialize, Serialize};
use upheld_wire::v1::Body;

use super::{Journal, JournalError, format::SUMMARY, segments::Flow};
use crate::{Moment, storage::Storage};

/// A place between two records of this journal. It stays good when records are put under another epoch, and is
/// harmless when they are given up: what is gone is not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    segment: u64,
    /// The stored place of the next record there.
    place: u64,
}

impl Position {
    /// Before everything that a journal holds.
    pub const BEGIN: Self = Self { segment: 0, place: 0 };
}

impl<S: Storage> Journal<S> {
    /// The end of the journal, after a flush: every body appended so far is durable and before it.
    ///
    /// # Errors
    /// [`JournalError::Volatile`]: they are not durable, and there is no such place.
    pub fn position(&mut self, now: Moment) -> Result<Position, JournalError> {
        self.append_owed();
        self.flush(now)?;
        let end = self.segments.last().and_then(|last| Some((last.number, last.extents.last()?.to)));
        let (segment, place) = end.unwrap_or((0, 0));
        Ok(Position { segment, place })
    }

    /// The bodies that are held from `position` on, oldest first. One that was thinned or is damaged is left out: an
    /// event among the others tells of it. So is what was left of thinned samples, which is older than its neighbours.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn bodies_since(&mut self, position: Position) -> Result<Vec<Body>, JournalError> {
        let mut bodies = Vec::new();
        self.each_body_since(position, |body| bodies.push(body))?;
        Ok(bodies)
    }

    /// The same, one after the other, for a journal that does not fit into memory.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn each_body_since(&mut self, position: Position, mut take: impl FnMut(Body)) -> Result<(), JournalError> {
        let Self { segments, storage, codec, .. } = self;
        for segment in segments.iter().filter(|segment| segment.number >= position.segment) {
            let start = if segment.number == position.segment { position.place } else { 0 };
            // A piece without an epoch is what a failed sync left behind; its records lie in a later segment as well.
            let pieces = segment.pieces().filter(|piece| piece.epoch.is_some() && piece.to > start);
            for piece in pieces {
                let walked = segment.walk(storage, piece.from.max(start), piece.to, |record| {
                    let is_news = !record.is(SUMMARY);
                    let body =
                        codec.unpack(record).filter(|_| is_news).and_then(|text| serde_json::from_str(&text).ok());
                    if let Some(body) = body {
                        take(body);
                    }
                    Flow::On
                });
                match super::read::trouble(walked, segment.number) {
                    Ok(()) | Err(super::read::Trouble::Damaged(_)) => {}
                    Err(super::read::Trouble::Storage(error)) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::{AgentEvent, Mono, ObservedAt};

    use super::*;
    use crate::{
        journal::{Settings, Urgency},
        storage::sim::{SimStorage, next},
    };

    fn moment(second: u64) -> Moment {
        let wall = jiff::Timestamp::from_second(1_795_300_000 + second as i64).unwrap();
        Moment { mono: Mono(second * 1_000_000_000), wall: ObservedAt(wall) }
    }

    /// Segments of a few records, so that every test crosses their borders.
    fn open(disk: &SimStorage, second: u64) -> Journal<SimStorage> {
        let mut dice = second;
        let random = Box::new(move |bytes: &mut [u8]| bytes.fill(next(&mut dice) as u8));
        let settings = Settings { segment_bytes: 600, ..Settings::default() };
        Journal::open(disk.clone(), settings, random, moment(second)).unwrap().0
    }

    fn body(second: u64) -> Body {
        let event = AgentEvent::Stopping { at: moment(second).wall, reason: "x".into() };
        Body { samples: Vec::new(), events: vec![event] }
    }

    fn fill(journal: &mut Journal<SimStorage>, seconds: std::ops::Range<u64>) {
        for second in seconds {
            journal.append(&body(second), Urgency::Soon, moment(second)).unwrap();
        }
    }

    #[test]
    fn what_was_journalled_after_a_position_is_given_back_in_order_after_a_restart() {
        for before in [0, 1, 7, 20] {
            let disk = SimStorage::new(before);
            let mut journal = open(&disk, 0);
            fill(&mut journal, 0..before);
            let position = journal.position(moment(before)).unwrap();
            fill(&mut journal, before..before + 20);
            journal.flush(moment(before + 20)).unwrap();
            drop(journal);
            let found = open(&disk, 50).bodies_since(position).unwrap();
            assert_eq!(found, (before..before + 20).map(body).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_position_is_after_everything_appended_so_far() {
        let disk = SimStorage::new(1);
        let mut journal = open(&disk, 0);
        fill(&mut journal, 0..9);
        let position = journal.position(moment(9)).unwrap();
        drop(journal);
        assert_eq!(open(&disk, 50).bodies_since(position).unwrap(), []);
    }

    #[test]
    fn a_new_epoch_hides_nothing() {
        let disk = SimStorage::new(1);
        let mut journal = open(&disk, 0);
        fill(&mut journal, 0..5);
        let position = journal.position(moment(5)).unwrap();
        fill(&mut journal, 5..12);
        journal.flush(moment(12)).unwrap();
        journal.part(journal.epochs[0].acked).unwrap();
        fill(&mut journal, 12..15);
        journal.flush(moment(15)).unwrap();
        // Among them the journal's own word on the new epoch.
        let mut found = journal.bodies_since(position).unwrap();
        found.retain(|body| matches!(body.events[..], [AgentEvent::Stopping { .. }]));
        assert_eq!(found, (5..15).map(body).collect::<Vec<_>>());
    }
}
