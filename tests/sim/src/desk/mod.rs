//! The desk room: agents' real engines, journals and senders before the collector's real desk over a real database, and
//! beside them what truly happened (I2, I4 to I7, I9, I11, I13).

mod chaos;
mod checks;
mod collector;
mod host;
mod place;
mod truth;
mod world;

use crate::{Counts, Length, Ran};

/// One run of this room.
pub(crate) fn run(seed: u64, length: Length) -> Ran {
    match world::World::new(seed, length) {
        Ok(world) => world.run(),
        Err(why) => {
            let violation = Some(format!("the run does not begin: {why}"));
            Ran { agent_hours: 0.0, counts: Counts::default(), trace: 0, violation }
        }
    }
}
