//! The line: agents' real journals, senders and couriers, the collector's real `judge`, and everything between them that
//! can go wrong (I1 to I3, I8, I12, I13).

pub(crate) mod agent;
mod chaos;
mod checks;
mod collector;
mod traffic;
mod world;

#[cfg(feature = "desk")]
pub(crate) use world::{HOUR, MINUTE};

use crate::{Broken, Ran};

/// One run of this room.
pub(crate) fn run(seed: u64, length: crate::Length, broken: Broken) -> Ran {
    world::World::new(seed, length, broken).run()
}
