//! Messages to people and systems that keep no ticket of ours. A folder per integration.

pub(crate) mod destination;
pub mod heartbeat;
pub mod mail;
pub mod webhook;
