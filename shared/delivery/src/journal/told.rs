//! What the journal says of itself: events it owes, and the losses it told of.
//!
//! A gap lies in a record like any other, and that record may be given up or damaged in its turn, when the collector no
//! longer holds it. So gaps that were told are remembered in the state, and every new loss tells them once more.

use serde::{Deserialize, Serialize};
use upheld_model::{
    AgentEvent, DeviceText, UnknownReason,
    mutant::{Rule, is_broken},
};
use upheld_wire::v1::Body;

use super::{
    Journal, JournalError, Opened, Urgency, at_of,
    format::TRANSITION,
    segments::{Flow, Segment, name_of},
    state::State,
};
use crate::storage::Storage;

/// So many gaps are remembered one by one; beyond, the two that are nearest to each other become one.
const TOLD_MAX: usize = 32;

/// A gap that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) reason: UnknownReason,
    /// How long the journal had been running when it was told last.
    pub(super) age_s: u64,
}

impl Told {
    /// What an event told, if it is a gap.
    fn of(event: &AgentEvent) -> Option<Self> {
        let AgentEvent::Gap { from, to, reason } = event else { return None };
        let (from_ms, to_ms) = (from.0.as_millisecond(), to.0.as_millisecond());
        Some(Self { from_ms, to_ms, reason: *reason, age_s: 0 })
    }

    fn event(&self) -> AgentEvent {
        AgentEvent::Gap { from: at_of(self.from_ms), to: at_of(self.to_ms), reason: self.reason }
    }

    /// Both in one, where they have no instant between them.
    fn meets(&self, other: &Self) -> bool {
        self.reason == other.reason && self.from_ms <= other.to_ms && other.from_ms <= self.to_ms
    }

    fn take_in(&mut self, other: &Self) {
        self.from_ms = self.from_ms.min(other.from_ms);
        self.to_ms = self.to_ms.max(other.to_ms);
        self.age_s = self.age_s.max(other.age_s);
    }
}

impl<S: Storage> Journal<S> {
    /// Says in events what opening found wrong.
    pub(super) fn tell_wounds(&mut self, opened: &Opened, has_state: bool, is_state_wounded: bool) {
        let mut what = Vec::new();
        if opened.torn_bytes > 0 {
            what.push(format!("cut {} bytes of a torn tail", opened.torn_bytes));
            // Whether they were ever synced nobody can tell: a byte that flipped in the last record looks the same.
            let mut good_ms =
                self.segments.iter().flat_map(|segment| segment.extents.last()).map(|extent| extent.last_ms);
            let began_ms = self.epochs.last().map(|epoch| epoch.began_ms);
            let (from, to) = (good_ms.next_back().or(began_ms), self.now.wall.0.as_millisecond());
            self.owe_gaps(&[(from.unwrap_or(to), to)], UnknownReason::Corrupt);
        }
        if opened.damaged > 0 {
            what.push(format!("stepped over {} damaged places", opened.damaged));
        }
        if !has_state && !self.segments.is_empty() {
            what.push("its state file was missing or damaged; records are sent again".to_owned());
        }
        if is_state_wounded {
            what.push("one of the two copies of its state was damaged".to_owned());
        }
        if !what.is_empty() {
            self.owe(AgentEvent::Journal { at: self.now.wall, what: DeviceText::new(&what.join("; ")) });
        }
    }

    /// Says that a file of which nothing can be read held records: all that lies between its neighbours. Where both are of
    /// one epoch their places say what is missing, if anything: a sync that failed leaves such a file behind as well.
    pub(super) fn tell_lost_file(&mut self, number: u64, state: &State) {
        let what = format!("nothing could be read of {}: it is removed", name_of(number));
        self.owe(AgentEvent::Journal { at: self.now.wall, what: DeviceText::new(&what) });
        let before = self.segments.iter().filter(|segment| segment.number < number).flat_map(Segment::pieces).last();
        let after = self.segments.iter().filter(|segment| segment.number > number).flat_map(Segment::pieces).next();
        let is_by_place =
            before.zip(after).is_some_and(|(before, after)| before.epoch.is_some() && before.epoch == after.epoch);
        let is_held = state.acked.iter().any(|(segment, _)| *segment == number);
        if is_by_place || is_held {
            return;
        }
        let began_ms = self.epochs.iter().map(|epoch| epoch.began_ms).min();
        let now_ms = self.now.wall.0.as_millisecond();
        let from_ms = before.map(|piece| self.last_ms(&piece)).or(began_ms).unwrap_or(now_ms);
        let to_ms = after.map_or(now_ms, |piece| self.first_ms(&piece));
        self.owe_gaps(&[(from_ms, to_ms)], UnknownReason::Corrupt);
    }

    pub(super) fn owe(&mut self, event: AgentEvent) {
        if !self.owed.contains(&event) {
            self.owed.push(event);
        }
    }

    /// Tells stretches of which nothing is left, in milliseconds; and once more those that were told before, for the
    /// records that told of them may be among what is lost.
    pub(super) fn owe_gaps(&mut self, gaps: &[(i64, i64)], reason: UnknownReason) {
        if !gaps.is_empty() {
            let earlier = self.told.clone();
            self.owe_again(earlier);
        }
        gaps.iter().for_each(|gap| self.owe_gap(*gap, reason));
    }

    /// Tells a stretch of which nothing is left.
    pub(super) fn owe_gap(&mut self, (from_ms, to_ms): (i64, i64), reason: UnknownReason) {
        if is_broken(Rule::LossIsTold) {
            return;
        }
        let told = Told { from_ms, to_ms: to_ms.max(from_ms), reason, age_s: self.age_s() };
        self.owe(told.event());
        let (age_s, kept_for) = (told.age_s, self.settings.waiting_for.as_secs());
        self.told.retain(|told| age_s.saturating_sub(told.age_s) <= kept_for);
        remember(&mut self.told, told);
    }

    /// Tells once more what these events told: the record in which they stood is given up.
    pub(super) fn owe_gaps_of(&mut self, lost: &[AgentEvent]) {
        let is_lost = |told: &&Told| lost.iter().filter_map(Told::of).any(|gap| told.meets(&gap));
        let again: Vec<Told> = self.told.iter().filter(is_lost).cloned().collect();
        self.owe_again(again);
    }

    fn owe_again(&mut self, again: Vec<Told>) {
        if is_broken(Rule::GapIsToldAgain) || is_broken(Rule::LossIsTold) {
            return;
        }
        let age_s = self.age_s();
        for told in again {
            self.owe(told.event());
            self.told.iter_mut().filter(|known| **known == told).for_each(|known| known.age_s = age_s);
        }
    }

    /// Finds the gaps that were told in records that the state may not know of: it was written when the segment `next_number`
    /// was still to come, or it is lost (0).
    pub(super) fn recollect_gaps(&mut self, next_number: u64) {
        let age_s = self.age_s();
        let Self { segments, storage, codec, told, .. } = self;
        for segment in segments.iter().filter(|segment| segment.number + 1 >= next_number) {
            for piece in segment.pieces() {
                // What cannot be read is met again where it matters.
                let _ = segment.walk(storage, piece.from, piece.to, |record| {
                    let text = if record.is(TRANSITION) { codec.unpack(record) } else { None };
                    let body: Body = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                    let gaps = body.events.iter().filter_map(Told::of);
                    gaps.for_each(|gap| remember(told, Told { age_s, ..gap }));
                    Flow::On
                });
            }
        }
    }

    /// Appends what the journal has to say of itself. A refusal here is the next append's as well.
    pub(super) fn append_owed(&mut self) {
        if !self.owed.is_empty() {
            let events = std::mem::take(&mut self.owed);
            let now = self.now;
            match self.enqueue(&Body { samples: Vec::new(), events: events.clone() }, Urgency::Now, now) {
                Err(JournalError::Lost(_)) => self.owed = events,
                Ok(()) | Err(_) => self.saying.extend(events),
            }
        }
        // While no disk takes it, it would only take the place of what is seen now.
        if !self.owed_samples.is_empty() && self.volatile.is_none() {
            let samples = std::mem::take(&mut self.owed_samples);
            self.is_saying_samples = true;
            // One sample that alone is larger than a record never was in one.
            drop(self.enqueue_summary(samples, self.now));
        }
    }
}

/// Adds a gap to those that were told; what overlaps becomes one.
fn remember(all: &mut Vec<Told>, mut fresh: Told) {
    while let Some(at) = all.iter().position(|told| told.meets(&fresh)) {
        fresh.take_in(&all.swap_remove(at));
    }
    all.push(fresh);
    all.sort_by_key(|told| (told.from_ms, told.to_ms));
    while all.len() > TOLD_MAX {
        let between = |at: &usize| all[at + 1].from_ms.saturating_sub(all[*at].to_ms);
        let Some(at) = (0..all.len() - 1).min_by_key(between) else { return };
        let later = all.remove(at + 1);
        all[at].take_in(&later);
    }
}
