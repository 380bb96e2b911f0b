//! Messages to people and systems that keep no ticket of ours. A folder per integration.

pub mod heartbeat;
pub mod webhook;
