//! The product's own code under every fault of DELIVERY 6, in virtual time; a run is a function of its seed.
//!
//! The line between agents and collector is simulated: real journals, couriers and senders against the real `judge`, with
//! the truth beside them. README.md says which invariants of DELIVERY 5 are checked, and what is not modelled.

pub mod command;
mod dice;
mod faults;
#[cfg(feature = "desk")]
#[expect(dead_code, reason = "the desk room and the ticket room are built on it")]
mod house;
mod line;
pub mod mutants;

pub use faults::{Counts, Fault};
pub use mutants::{Broken, Seam};

/// How long a run lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As in `cargo sim`.
    Full,
    /// As in everyday tests.
    Short,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// Virtual hours, times agents.
    pub agent_hours: f64,
    /// How often each fault happened.
    pub counts: Counts,
    /// The same for the same seed (I14).
    pub trace: u64,
    /// What did not hold.
    pub violation: Option<String>,
}

/// Runs one seed. What is `broken` must have been switched on with [`mutants::switch`].
pub fn run(seed: u64, length: Length, broken: Broken) -> Ran {
    line::run(seed, length, broken)
}
