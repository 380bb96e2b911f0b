//! What to say, in the order in which it must be journalled: samples gather in a batch, a transition closes the batch
//! before itself, so that no transition is on disk without the sample that made it.

use std::{collections::VecDeque, time::Duration};

use upheld_model::{AgentEvent, Mono, Sample, sample::Value};
use upheld_wire::v1::{Body, limits::BODY_BYTES_MAX};

use crate::{Effect, Urgency};

/// The longest that a sample waits for company (DELIVERY 1).
const GATHER: Duration = Duration::from_secs(10);
/// How much earlier a batch may be closed when the agent is awake anyway.
const EARLY: Duration = Duration::from_secs(1);
/// A batch is closed at this size, half of what one record may have, since sizes are estimated.
const BYTES_MAX: usize = BODY_BYTES_MAX / 2;

/// Samples that gather, and everything that waits to be fetched.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    samples: Vec<Sample>,
    bytes: usize,
    due: Option<Mono>,
    effects: VecDeque<Effect>,
}

impl Outgoing {
    /// Adds a sample to the batch.
    pub(crate) fn sample(&mut self, sample: Sample, now: Mono) {
        let bytes = estimate(&sample);
        if self.bytes + bytes > BYTES_MAX {
            self.flush();
        }
        self.bytes += bytes;
        self.due.get_or_insert_with(|| now.plus(GATHER));
        self.samples.push(sample);
    }

    /// Closes the batch, then says one transition in a record of its own.
    pub(crate) fn transition(&mut self, events: Vec<AgentEvent>) {
        if events.is_empty() {
            return;
        }
        self.flush();
        let body = Body { samples: Vec::new(), events };
        self.effects.push_back(Effect::Write { body, urgency: Urgency::AtOnce });
    }

    /// Closes the batch.
    pub(crate) fn flush(&mut self) {
        self.close(Urgency::Batch);
    }

    /// Closes the batch, to be synced and sent at once: there may be no later.
    pub(crate) fn flush_at_once(&mut self) {
        self.close(Urgency::AtOnce);
    }

    fn close(&mut self, urgency: Urgency) {
        self.due = None;
        self.bytes = 0;
        let samples = std::mem::take(&mut self.samples);
        if !samples.is_empty() {
            let body = Body { samples, events: Vec::new() };
            self.effects.push_back(Effect::Write { body, urgency });
        }
    }

    /// Closes the batch if it is due, or will be before long: an agent that is awake need not wake again for it.
    pub(crate) fn flush_due(&mut self, now: Mono) {
        if self.due.is_some_and(|due| due <= now.plus(EARLY)) {
            self.flush();
        }
    }

    /// When the batch must be closed.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Asks for a run of a check.
    pub(crate) fn probe(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
}

/// At least the bytes that a sample takes in JSON, give or take escapes.
fn estimate(sample: &Sample) -> usize {
    let values = sample.values.iter().map(|(name, value)| {
        name.len()
            + match value {
                Value::Number(_) => 32,
                Value::Text(text) => 8 + 2 * text.as_str().len(),
            }
    });
    let counters = sample.counters.iter().map(|(name, counter)| name.len() + 2 * counter.0.as_str().len() + 32);
    let evidence = sample.evidence.as_ref().map_or(0, |text| 2 * text.as_str().len());
    320 + values.sum::<usize>() + counters.sum::<usize>() + evidence
}
