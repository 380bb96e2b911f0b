//! Both halves of the delivery protocol as machines, and the agent's journal over a storage trait (DELIVERY).
//!
//! Agent: a body goes into the [`journal::Journal`]; [`sender::Sender`] decides when to send what and what an answer
//! means; [`courier::Courier`] is both in one, as the agent's disk thread owns them. Collector: [`intake`] bounds and
//! reads a request's bytes, [`receiver::judge`] says what a request means against the history that is held.
//!
//! The crate knows no file, network, clock or random source. What it promises: an acknowledgement is only believed
//! for the batch it names; what was flushed is there once after any crash; whatever cannot be sent under its old name
//! is sent under a new one, and what is gone is said to be gone.
#![forbid(unsafe_code)]

pub mod courier;
pub mod intake;
pub mod journal;
pub mod receiver;
pub mod sender;
mod spread;
pub mod storage;

use upheld_model::{Mono, ObservedAt};

/// One moment on an agent's two clocks, as the shell reads them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For waiting: never steps.
    pub mono: Mono,
    /// For saying when.
    pub wall: ObservedAt,
}

/// Fills a slice from the kernel's generator (or a seeded one, in a simulation).
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;
