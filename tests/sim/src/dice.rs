//! The only source of chance in a run.

use upheld_delivery::storage::sim::next;

/// A sequence of numbers that is a function of its seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, room: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x1234_5678_9abc_def1) ^ room.rotate_left(32));
        dice.draw();
        dice
    }

    pub(crate) fn draw(&mut self) -> u64 {
        next(&mut self.0)
    }

    /// 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.draw() % sides.max(1)
    }

    /// One time in `of`.
    pub(crate) fn once_in(&mut self, of: u64) -> bool {
        self.roll(of) == 0
    }

    /// From `least` to below `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll(most - least)
    }

    /// A wait with this mean, memoryless but for a cut at six times the mean.
    pub(crate) fn wait(&mut self, mean: u64) -> u64 {
        // 53 bits, so that the quotient is exact; never 0.
        #[allow(clippy::cast_precision_loss)]
        let share = ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let wait = (mean as f64 * -share.ln()) as u64;
        wait.clamp(1, mean * 6)
    }
}

/// What happened in a run, mixed to one number: the same seed must give the same one (I14).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) fn note(&mut self, at_ms: u64, what: u64) {
        let mut mixed = self.0 ^ what ^ at_ms.rotate_left(17);
        self.0 = next(&mut mixed);
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}
