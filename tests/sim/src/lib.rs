//! The product's own code under every fault of DELIVERY 6, in virtual time; a run is a function of its seed.
//!
//! In rooms of their own: the line between agents and collector (real journals, couriers and senders against the real
//! `judge`), the desk (real engines before that line, the real desk over a real database behind it), and the tickets (that
//! desk's clocks and outbox, people, and a ticket system that goes wrong), each with the truth beside it. README.md says
//! which invariants of DELIVERY 5 are checked, and what is not modelled.

pub mod command;
#[cfg(feature = "desk")]
mod desk;
mod dice;
mod faults;
#[cfg(feature = "desk")]
mod house;
mod line;
pub mod mutants;
#[cfg(feature = "desk")]
mod tickets;

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

/// What is simulated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Agents' journals and senders before the collector's receiver.
    Line,
    /// Agents' engines, that line, and the desk over its database.
    #[cfg(feature = "desk")]
    Desk,
    /// The desk's clocks and outbox over its database, people, and a ticket system.
    #[cfg(feature = "desk")]
    Tickets,
}

impl Room {
    /// Every room that is built.
    pub const ALL: &'static [Self] = &[
        Self::Line,
        #[cfg(feature = "desk")]
        Self::Desk,
        #[cfg(feature = "desk")]
        Self::Tickets,
    ];

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            #[cfg(feature = "desk")]
            Self::Desk => "desk",
            #[cfg(feature = "desk")]
            Self::Tickets => "tickets",
        }
    }
}

/// Runs one seed in one room. What is `broken` must have been switched on with [`mutants::switch`].
pub fn run(room: Room, seed: u64, length: Length, broken: Broken) -> Ran {
    match room {
        Room::Line => line::run(seed, length, broken),
        #[cfg(feature = "desk")]
        Room::Desk => desk::run(seed, length),
        #[cfg(feature = "desk")]
        Room::Tickets => tickets::run(seed, length, broken),
    }
}
