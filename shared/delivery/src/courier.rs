//! Journal and sender in one, as the agent's disk thread owns them.
//!
//! The shell's loop: append what the engine records; `poll_effect` and carry out; wait until `poll_timeout` or the
//! next message; `handle_timeout`. Every call that may touch the disk is here, so that a disk that takes five seconds
//! to sync delays nobody else.

use std::collections::VecDeque;

use jiff::SignedDuration;
use upheld_evidence::{SigningKey, sign_chain};
use upheld_model::{Mono, ObservedAt};
use upheld_wire::v1::{Body, ClockReading, DeliverRequest, Head, Now, PROTOCOL, Record, present, record::batch_digest};

use crate::{
    Moment, Random,
    journal::{Journal, JournalError, Opened, Position, Settings, Status, Urgency},
    sender::{Answer, Effect, Event, Post, Sender, Sent, Step},
    storage::Storage,
};

/// An agent's journal and what sends it.
pub struct Courier<S> {
    journal: Journal<S>,
    sender: Sender,
    key: SigningKey,
    now: Moment,
    effects: VecDeque<Effect>,
}

impl<S: Storage> Courier<S> {
    /// Opens the journal in `storage`, or begins one. Damage that was found is told by `Gap` and `Journal` events,
    /// appended with the first call of [`Courier::handle_timeout`]; [`Opened`] says the rest, for
    /// `AgentEvent::Started`.
    ///
    /// # Errors
    /// [`JournalError::Newer`] when a newer version wrote it: it is left as it was (SECURITY 10).
    /// [`JournalError::Storage`] when the folder cannot be read.
    pub fn open(
        storage: S,
        key: SigningKey,
        settings: Settings,
        mut random: Random,
        now: Moment,
    ) -> Result<(Self, Opened), JournalError> {
        let mut seed = [0; 8];
        random(&mut seed);
        let (journal, opened) = Journal::open(storage, settings, random, now)?;
        let mut sender = Sender::new(u64::from_le_bytes(seed), now.mono);
        sender.look(journal.view(), now.mono);
        let mut courier = Self { journal, sender, key, now, effects: VecDeque::new() };
        courier.settle();
        Ok((courier, opened))
    }

    /// Takes a body down. [`Urgency::Now`] returns after the sync, so that the caller may act on it;
    /// [`Urgency::Soon`] is synced within a second, by `handle_timeout`. A body that is too large for one record is
    /// split between its samples.
    ///
    /// # Errors
    /// The body is not durable; [`JournalError::is_volatile`] tells whether it is at least kept in memory and will be
    /// sent. Observing goes on either way.
    pub fn append(&mut self, body: &Body, urgency: Urgency, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        let appended = self.journal.append(body, urgency, now);
        self.sender.look(self.journal.view(), now.mono);
        self.settle();
        appended
    }

    /// Tells the sender what happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        self.now = now;
        self.sender.handle(event, now.mono);
        self.settle();
    }

    /// The next thing to do, if any; call until `None` after every other call.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Courier::handle_timeout`] must be called at the latest; changes with every call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.journal.poll_timeout(), self.sender.poll_timeout()].into_iter().flatten().min()
    }

    /// Flushes, keeps house, and sends what is due.
    ///
    /// # Errors
    /// The disk failed; see [`Courier::append`]. What is due is sent all the same, and the call is due again later.
    pub fn handle_timeout(&mut self, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        let kept = self.journal.handle_timeout(now);
        self.sender.look(self.journal.view(), now.mono);
        self.sender.handle_timeout(now.mono);
        self.settle();
        kept
    }

    /// The request that a [`Effect::Post`] asks for, with the newest state in its header, in full or by its name where the
    /// collector said that it holds it. Steps of the clock up to `clock` must have been appended. To be sent at once; the
    /// answer comes back as [`Event::Answered`] with the post's number.
    ///
    /// # Errors
    /// The records could not be read; the sender knows and tries again by itself.
    pub fn request(&mut self, post: &Post, clock: ClockReading, mut now: Now) -> Result<DeliverRequest, JournalError> {
        let mut records = match &post.batch {
            None => Vec::new(),
            Some(batch) => self.journal.read(batch).inspect_err(|error| {
                self.sender.look(self.journal.view(), self.now.mono);
                let answer = Answer::Failed { what: error.to_string() };
                self.sender.handle(Event::Answered { no: post.no, answer }, self.now.mono);
                self.settle();
            })?,
        };
        let head = records.last_mut().map(|last| {
            last.sig = Some(sign_chain(&self.key, &last.chain).to_string());
            Head { epoch: last.epoch, len: last.seq.0 + 1, chain: last.chain }
        });
        let last = records.last().map(|last| (last.epoch, last.seq));
        let set_since = last.map_or(SignedDuration::ZERO, |(epoch, seq)| self.journal.set_since(epoch, seq));
        // A clock that cannot be told of is left out, as by who does not know of this.
        let then = clock.wall.0.checked_sub(set_since).ok().filter(|_| !set_since.is_zero());
        let status = self.journal.status();
        now.waiting = status.waiting;
        now.oldest_waiting = status.oldest_waiting;
        now.ailments.extend(status.ailments);
        if self.sender.dictionary().is_some() {
            records.iter_mut().for_each(Record::shorten);
        }
        now.unchanged = present::name(&now.checks).filter(|name| self.sender.is_held(*name));
        if now.unchanged.is_some() {
            now.checks.clear();
        }
        let (digest, config_version, unchanged) = (batch_digest(&records), now.config_version, now.unchanged);
        self.sender.sent(post.no, Sent { digest, head, config_version, unchanged });
        let heads = post.heads.clone();
        Ok(DeliverRequest {
            protocol: PROTOCOL,
            heads,
            clock,
            seen_checkpoint: None,
            now,
            records,
            batch_digest: digest,
            clock_of_records: then.map(ObservedAt),
        })
    }

    /// The dictionary to pack that request with ([`crate::intake::deflate`]): one that the collector said it has.
    pub fn dictionary(&self) -> Option<u16> {
        self.sender.dictionary()
    }

    /// The end of the journal, to keep beside what was derived from it; see [`Journal::position`].
    ///
    /// # Errors
    /// [`JournalError::Volatile`]: not everything before it is durable.
    pub fn position(&mut self, now: Moment) -> Result<Position, JournalError> {
        self.now = now;
        let position = self.journal.position(now);
        self.sender.look(self.journal.view(), now.mono);
        self.settle();
        position
    }

    /// The bodies that were appended from `position` on, oldest first; see [`Journal::bodies_since`].
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn bodies_since(&mut self, position: Position) -> Result<Vec<Body>, JournalError> {
        self.journal.bodies_since(position)
    }

    /// Whether the disk refuses and records are kept in memory only.
    pub fn is_volatile(&self) -> bool {
        self.journal.is_volatile()
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

    /// Carries out what the sender asks of the journal, before anything else happens to either.
    fn settle(&mut self) {
        while let Some(step) = self.sender.poll_step() {
            // A disk that fails here is met again by the next request; the status says so meanwhile.
            match step {
                Step::Shell(effect) => {
                    self.effects.push_back(effect);
                    continue;
                }
                Step::Acknowledge(head) => self.journal.acknowledge(head),
                Step::Believe(heads) => drop(self.journal.believe(&heads)),
                Step::Part(held) => drop(self.journal.part(held)),
            }
            self.sender.look(self.journal.view(), self.now.mono);
        }
    }
}
