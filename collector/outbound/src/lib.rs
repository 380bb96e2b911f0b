//! Integrations: an owned delivery in, an outcome out.
//!
//! An integration is a folder (`notify/`, `tickets/`), takes a [`Delivery`] that owns all it says, and answers with
//! an [`Outcome`]. It never sees the store, never decides when to try again ([`retry::next_attempt`] does, for all of
//! them), and marks nothing as sent: the caller does that after the effect.
//!
//! The contract that makes one incident one ticket (DELIVERY 3): the caller notes its intent before it calls, gives
//! every try of one delivery the same [`DeliveryKey`], and after anything unclear waits and calls
//! [`notify::webhook::Webhook::look_up_then_send`].

pub mod anchor;
mod delivery;
pub mod notify;
pub mod retry;

pub use delivery::{Delivery, DeliveryKey, EventKind, KeyError, LookUp, Outcome};
