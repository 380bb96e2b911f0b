//! What the disk thread does with its commands.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use upheld_delivery::{
    Moment,
    courier::Courier,
    intake,
    journal::JournalError,
    sender::{Answer, Event, Post},
};
use upheld_engine::EngineSnapshot;
use upheld_model::ObservedAt;
use upheld_wire::v1::{ClockReading, Now};

use super::{Command, Progress, Report};
use crate::{clocks, disk::Disk, failure, memory::Memory, state::StateFolder};

/// The journal's owner.
pub(super) struct DiskThread {
    courier: Courier<Disk>,
    state: StateFolder,
    reports: mpsc::Sender<Report>,
    progress: Arc<Mutex<Progress>>,
    done: u64,
    last: Moment,
    is_volatile: bool,
    /// The last fault that was only worth a warning.
    minor: Option<String>,
}

impl DiskThread {
    pub(super) fn new(
        courier: Courier<Disk>,
        state: StateFolder,
        reports: mpsc::Sender<Report>,
        progress: Arc<Mutex<Progress>>,
        now: Moment,
    ) -> Self {
        Self { courier, state, reports, progress, done: 0, last: now, is_volatile: false, minor: None }
    }

    /// Carries out commands until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self, inbox: &Receiver<(Moment, Command)>) {
        loop {
            let wait = self.courier.poll_timeout().map(|at| at.since(clocks::mono()));
            let next = match wait {
                Some(wait) => inbox.recv_timeout(wait),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok((now, Command::Close)) => return self.close(now),
                Ok((now, command)) => {
                    self.last = now;
                    self.carry_out(command);
                    self.done += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The agent is gone without a word: what is synced is synced.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.now();
            if self.courier.poll_timeout().is_some_and(|at| at <= now.mono) {
                let kept = self.courier.handle_timeout(now);
                self.note(kept);
            }
            if !self.say() {
                return;
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Append { body, urgency } => {
                let written = self.courier.append(&body, urgency, now);
                self.note(written);
            }
            Command::Tell(event) => self.courier.handle(event, now),
            Command::Build { post, clock, now: header } => self.build(&post, clock, *header),
            Command::KeepConfig(config) => {
                if let Err(failure) = self.state.save_config(&config) {
                    tracing::warn!(%failure, "The configuration could not be kept; it will be asked for again.");
                }
            }
            Command::KeepProbes(memory) => {
                if let Err(failure) = self.state.save_probes(&memory) {
                    tracing::warn!(%failure, "What probes have learned could not be kept; it is tried again.");
                }
            }
            Command::Remember(snapshot) => self.remember(*snapshot, now),
            Command::Answer(asker, said) => {
                // Whoever asked may have gone.
                let _ = asker.send(said);
            }
            // Taken by the loop.
            Command::Close => {}
        }
    }

    /// Keeps the checks' states, unless the journal cannot be made durable up to here: a memory ahead of it would hide
    /// a transition that never got there.
    fn remember(&mut self, snapshot: EngineSnapshot, now: Moment) {
        let position = self.courier.position(now);
        if let Ok(position) = position
            && let Err(error) = Memory::new(snapshot, position).keep(&self.state)
        {
            let error = failure::chain_of(&error);
            tracing::warn!(error, "The checks' states could not be kept; a restart folds more of the journal again.");
        }
        self.note(position.map(drop));
    }

    fn build(&mut self, post: &Post, clock: ClockReading, header: Now) {
        let body =
            self.courier.request(post, clock, header).map_err(|error| failure::chain_of(&error)).and_then(|request| {
                intake::deflate(&request, self.courier.dictionary()).map_err(|error| error.to_string())
            });
        match body {
            Ok(body) => {
                // A full inbox empties: its reader never waits for this thread. A closed one ends the loop later.
                let _ = self.reports.blocking_send(Report::Ready { no: post.no, body });
            }
            Err(what) => {
                tracing::warn!(what, "A report could not be read from the journal.");
                // Of a journal that cannot be read the sender knows; of a body that cannot be packed it is told.
                let answer = Answer::Failed { what };
                let now = self.now();
                self.courier.handle(Event::Answered { no: post.no, answer }, now);
            }
        }
    }

    /// Notices when the journal becomes volatile and when it is itself again, each once.
    fn note(&mut self, written: Result<(), JournalError>) {
        let volatile = match written {
            // A batch of samples that was taken into memory has not shown whether the disk is back.
            Ok(()) if self.courier.is_volatile() => return,
            Ok(()) => None,
            Err(error @ (JournalError::Volatile(_) | JournalError::Lost(_))) => Some(error),
            Err(
                error @ (JournalError::Storage(_)
                | JournalError::TooLarge { .. }
                | JournalError::Damaged { .. }
                | JournalError::Newer { .. }),
            ) => return self.note_minor(&error),
        };
        match (std::mem::replace(&mut self.is_volatile, volatile.is_some()), volatile) {
            (false, Some(error)) => {
                let error = failure::chain_of(&error);
                tracing::error!(
                    error,
                    "The journal cannot be written; observing goes on in memory. Look at this host's disk."
                );
            }
            (true, None) => tracing::info!("The journal is written again."),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The records are safe, but something beside them is not as it should be; the status has it as an ailment.
    fn note_minor(&mut self, error: &JournalError) {
        let error = failure::chain_of(error);
        if self.minor.as_ref() != Some(&error) {
            tracing::warn!(error, "The journal coped with a fault of its disk or its content.");
            self.minor = Some(error);
        }
    }

    /// Hands out effects and the status; `false` when nobody listens.
    fn say(&mut self) -> bool {
        let progress = Progress { done: self.done, status: self.courier.status() };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        while let Some(effect) = self.courier.poll_effect() {
            if self.reports.blocking_send(Report::Effect(effect)).is_err() {
                return false;
            }
        }
        true
    }

    fn close(self, now: Moment) {
        let closed = self.courier.close(now);
        let _ = self.reports.blocking_send(Report::Closed(closed));
    }

    /// The agent's time: as of the last command, plus what passed since.
    fn now(&self) -> Moment {
        let mono = clocks::mono();
        let passed: Duration = mono.since(self.last.mono);
        let wall = self.last.wall.0.saturating_add(passed).map_or(self.last.wall, ObservedAt);
        Moment { mono, wall }
    }
}
