//! Mails: to whom, of what, in which words. The transport is `upheld_outbound::notify::mail`; the outbox and its
//! deliverer carry mails as they carry webhooks ([`crate::deliverer`]).
//!
//! The book says who is told (`[channels.NAME] mail`, and each client's `[mail.NAME]`) and of which kinds;
//! [`kinds`] says of which kind a message is, [`letters`] what it says. A letter to a client's people is made from his
//! own incidents alone and names nobody else.

mod channel;
pub(crate) mod failed;
pub(crate) mod kinds;
pub(crate) mod letters;
mod look;
mod weekly;

pub(crate) use channel::{Audience, ways};
pub use channel::{ChannelName, NotAChannel};
pub use look::{NotifyError, Preview, PreviewKind, Tested};
