//! The service desk: what the collector does between a report that arrives and a person who answers it.
//!
//! [`Desk`] takes agents' deliveries (DELIVERY 2), turns findings into incidents, finds the client's terms, runs the
//! clocks, fills and empties the outbox, and carries out the commands that people give. Facts are stored,
//! judgements are computed from them; a command appends a fact and replays, it never edits a result.
//!
//! It knows no socket and no clock: every public call takes `now`, and only the loops of [`tasks`] are handed one.
//! It reaches the world through two traits that the server gives it: [`Secrets`] and [`deliverer::Channel`]. Every
//! failure is typed; nothing is acknowledged before its commit. Where to look next: [`deliver`] for the way in,
//! [`commands`] for people, [`tasks`] for what happens by itself, `upheld-store` for the rows.

pub mod access;
pub mod accounts;
pub mod actor;
pub mod agents;
pub mod audit;
pub mod authority;
pub mod book;
mod case;
mod clock;
pub mod commands;
pub mod commissioning;
pub mod deliver;
pub mod digest;
mod drill;
pub mod enroll;
mod error;
mod facts;
pub mod figures;
pub mod jobs;
pub mod maintenance;
pub mod notify;
pub mod own;
pub mod plan;
mod problem;
pub mod proposals;
mod random;
pub mod recovery;
pub mod roles;
pub mod said;
pub mod sealed;
pub mod secrets;
mod site;
pub mod tasks;
pub mod views;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock};

use upheld_store::Store;

pub use access::{ApiToken, Rights, SignedIn};
pub use accounts::{AccountError, Keeper, Reach, Role};
pub use actor::Actor;
pub use agents::{AgentPeer, AgentView, DeadLetter, Shown};
pub use book::{AcceptError, ApplyError, CurrentBook};
pub use commands::{Command, CommandError, Given, Pause, ProblemReport, Response, work::WorkEntry};
pub use commissioning::{AsFound, CommissionError, CommissioningReminder};
pub use deliver::DeliverAnswer;
pub use digest::Digest;
pub use enroll::{Asking, Certificate, DecideError, Decided, NewToken, SiteTokenTerms, TokenError, WaitingHost};
pub use error::DeskError;
pub use facts::SiteHistory;
pub use problem::unavailable;
pub use recovery::{Recovery, Voided, comes_again, went_back};
pub use secrets::{Secret, Secrets};
pub use tasks::deliverer;
pub use views::{ClockView, IncidentView, Queue, QueueRow, Scope};

/// The desk over one store. Cheap to clone; every clone is the same desk.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    shared: Arc<Shared>,
    /// The key under which the next command is given ([`Desk::once`]).
    once: Option<Arc<str>>,
}

/// What all clones of a desk share besides the store.
#[derive(Default)]
struct Shared {
    books: book::BookCache,
    /// Where the collector's own starter book lies, where there is one.
    beside: OnceLock<Arc<dyn proposals::BookBeside>>,
    wake: tasks::Wake,
    /// The tasks that are this collector's, where there are several.
    grants: Mutex<tasks::Grants>,
    /// Whether there may be several.
    is_among_others: OnceLock<()>,
    run: Mutex<Option<tasks::Run>>,
    health: Mutex<tasks::Health>,
    own: Mutex<own::Own>,
    /// How the clocks are read.
    clocks: OnceLock<own::Clocks>,
    /// What was read last on the clock of lived time.
    lived: Mutex<Option<commands::Lived>>,
    /// Signs of life that are answered and not written yet.
    seen: Mutex<deliver::Seen>,
    /// The sites of the last message about a common silence. After a restart nobody is called silent at first, and a
    /// message more is better than one less.
    told_silent: Mutex<Option<tasks::Told>>,
    hasher: accounts::Hasher,
    throttle: Mutex<accounts::throttle::Throttle>,
    /// The queue of this moment, for all who listen.
    moments: views::Moments,
}

impl Desk {
    /// A desk over an open store. Call [`Desk::start_run`] before it serves agents.
    pub fn new(store: Store) -> Self {
        Self { store, shared: Arc::default(), once: None }
    }

    /// Whether its store has a book or a host: not one that a new collector begins with.
    pub async fn is_in_use(&self) -> Result<bool, DeskError> {
        self.store.read("desk.is_in_use", |tx| Ok(tx.book_version()? > 0 || !tx.agents(None)?.is_empty())).await
    }

    /// The same with passwords hashed at another cost than the usual one ([`accounts::Cost`]).
    pub fn with_cost(store: Store, cost: accounts::Cost) -> Self {
        let shared = Shared { hasher: accounts::Hasher::at(cost), ..Shared::default() };
        Self { store, shared: Arc::new(shared), once: None }
    }

    /// The same desk, for one command that is carried out once under this key of its giver's, however often it is
    /// given within [`commands::KEY_KEPT`] (the API's `Idempotency-Key`, UX 3.4). A repetition answers with the incident
    /// as it stands; another command under the same key is [`CommandError::KeyReused`].
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        Self { once: Some(Arc::from(key)), ..self.clone() }
    }

    /// The store beneath: for tests and tools that read for everybody. The portal never does (a wall).
    pub fn store(&self) -> &Store {
        &self.store
    }
}
