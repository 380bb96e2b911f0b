//! Journal and sender in one, as the agent's disk thread owns them.
//!
//! The shell's loop: append what the engine records; `poll_effect` and carry out; wait until `poll_timeout` or the
//! next message; `handle_timeout`. Every call that may touch the disk is here, so that a disk that takes five seconds
//! to sync delays nobody else.

use upheld_evidence::SigningKey;
use upheld_model::Mono;
use upheld_wire::v1::{Body, ClockReading, DeliverRequest, Now};

use crate::{
    Moment, Random,
    journal::{Journal, JournalError, Opened, Settings, Status, Urgency},
    sender::{Effect, Event, Post, Sender},
    storage::Storage,
};

/// An agent's journal and what sends it.
pub struct Courier<S> {
    journal: Journal<S>,
    sender: Sender,
    key: SigningKey,
}

impl<S: Storage> Courier<S> {
    /// Opens the journal in `storage`, or begins one. Damage that was found is told by `Gap` and `Journal` events
    /// that are already appended; [`Opened`] says the rest, for `AgentEvent::Started`.
    ///
    /// # Errors
    /// [`JournalError::Newer`] when a newer version wrote it: it is left as it was (SECURITY 10).
    /// [`JournalError::Storage`] when the folder cannot be read.
    pub fn open(
        storage: S,
        key: SigningKey,
        settings: Settings,
        random: Random,
        now: Moment,
    ) -> Result<(Self, Opened), JournalError> {
        let (journal, opened) = Journal::open(storage, settings, random, now)?;
        let sender = Sender::new(0, now.mono);
        Ok((Self { journal, sender, key }, opened))
    }

    /// Takes a body down. [`Urgency::Now`] returns after the sync, so that the caller may act on it;
    /// [`Urgency::Soon`] is synced within a second, by `handle_timeout`. A body that is too large for one record is
    /// split between its samples.
    ///
    /// # Errors
    /// The body is not durable; [`JournalError::is_volatile`] tells whether it is at least kept in memory and will be
    /// sent. Observing goes on either way.
    pub fn append(&mut self, body: &Body, urgency: Urgency, now: Moment) -> Result<(), JournalError> {
        self.journal.append(body, urgency, now)
    }

    /// Tells the sender what happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        self.sender.handle(event, now.mono);
    }

    /// The next thing to do, if any; call until `None` after every other call.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.sender.poll_effect()
    }

    /// When [`Courier::handle_timeout`] must be called at the latest; changes with every call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.journal.poll_timeout(), self.sender.poll_timeout()].into_iter().flatten().min()
    }

    /// Flushes, keeps house, and sends what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.sender.handle_timeout(now.mono);
    }

    /// The request that a [`Effect::Post`] asks for, with the newest state in its header. To be sent at once; the
    /// answer comes back as [`Event::Answered`] with the post's number.
    ///
    /// # Errors
    /// The records could not be read. Tell the sender with [`Event::Answered`] and `Answer::Failed`.
    pub fn request(&mut self, post: &Post, clock: ClockReading, now: Now) -> Result<DeliverRequest, JournalError> {
        let _ = (post, clock, now, &self.key);
        Err(JournalError::NotBuilt)
    }

    /// What a status page says about delivery.
    pub fn status(&self) -> Status {
        self.journal.status()
    }

    /// Flushes and notes that the end was asked for. The next `open` says `clean`.
    ///
    /// # Errors
    /// The last records or the note could not be synced.
    pub fn close(mut self, now: Moment) -> Result<(), JournalError> {
        self.journal.close(now)
    }
}
