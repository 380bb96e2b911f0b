//! The ticket room: the real desk with its clocks and its outbox over a real database, people who ask it, and a ticket
//! system that goes wrong (I2, I5, I10, I13; F6 and F11 of the terms).

mod agent;
mod chaos;
mod checks;
mod people;
mod place;
mod server;
mod world;

use crate::{Broken, Counts, Length, Ran};

/// One run of this room.
pub(crate) fn run(seed: u64, length: Length, broken: Broken) -> Ran {
    match world::World::new(seed, length, broken) {
        Ok(world) => world.run(),
        Err(why) => {
            let violation = Some(format!("the run does not begin: {why}"));
            Ran { agent_hours: 0.0, counts: Counts::default(), trace: 0, violation }
        }
    }
}
