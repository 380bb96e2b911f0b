//! The disk thread: it alone owns the journal, so that a disk that takes five seconds to sync delays no probe.
//!
//! Commands come in order and are carried out in order: a record is in the journal before anything acts on it, and a
//! memory is only kept when every record before it is. It reads no clock but the monotonic one; the wall it goes by
//! is the agent's, carried on from the last command.

mod thread;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    mpsc::{SyncSender, TrySendError, sync_channel},
};

use tokio::sync::{mpsc, oneshot};
use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::{JournalError, Opened, Settings, Status, Urgency},
    sender::{Effect, Event, Post},
};
use upheld_engine::EngineSnapshot;
use upheld_evidence::SigningKey;
use upheld_wire::v1::{AgentConfig, Body, ClockReading, Now};

use self::thread::DiskThread;
use crate::{
    disk::Disk,
    failure::{Code, Failure},
    memory::Memory,
    state::StateFolder,
};

/// Commands that may wait while the disk is slow: at a batch each ten seconds, hours. Beyond it observations are lost,
/// and that is said.
const COMMANDS_MAX: usize = 1_024;
/// The thread's stack; it reads and writes, and recurses nowhere.
const STACK_BYTES: usize = 512 << 10;

/// What the disk thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Journal this body.
    Append {
        /// The record's body.
        body: Box<Body>,
        /// How soon it must be durable.
        urgency: Urgency,
    },
    /// The sender must know this.
    Tell(Event),
    /// Write this request.
    Build {
        /// What the sender asked for.
        post: Post,
        /// The agent's clocks.
        clock: ClockReading,
        /// The present state.
        now: Box<Now>,
    },
    /// Keep this configuration for the next start.
    KeepConfig(Box<AgentConfig>),
    /// Keep what probes have learned for the next start.
    KeepProbes(Box<upheld_probe::Memory>),
    /// Keep this for the next start, if every record before is durable.
    Remember(Box<EngineSnapshot>),
    /// Say this to who waits for it: what was told before is carried out.
    Answer(oneshot::Sender<String>, String),
    /// Flush, and end.
    Close,
}

/// What the disk thread says.
#[derive(Debug)]
pub(crate) enum Report {
    /// Do this.
    Effect(Effect),
    /// Send this.
    Ready {
        /// The post's number.
        no: u64,
        /// The compressed body.
        body: Vec<u8>,
    },
    /// The end; nothing comes after it.
    Closed(Result<(), JournalError>),
}

/// The way to the disk thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    commands: SyncSender<(Moment, Command)>,
    told: u64,
    progress: Arc<Mutex<Progress>>,
    dropped: u64,
}

/// How far the disk thread is.
#[derive(Debug)]
struct Progress {
    done: u64,
    status: Status,
}

/// What opening the journal found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The journal's own account.
    pub(crate) opened: Opened,
    /// What was journalled after the memory was kept.
    pub(crate) tail: Vec<Body>,
}

impl Recorder {
    /// Opens the journal and starts the thread. Blocks until the journal is open: nothing may be observed before.
    pub(crate) fn start(
        state: &StateFolder,
        key: SigningKey,
        remembered: Option<&Memory>,
        budget_bytes: Option<u64>,
        now: Moment,
        reports: mpsc::Sender<Report>,
    ) -> Result<(Self, Recovered), Failure> {
        let disk = Disk::open(&state.journal()).map_err(|error| state.unusable(error))?;
        let random = Box::new(|bytes: &mut [u8]| fill_random(bytes));
        let bounds = Settings::default();
        let bounds = Settings { budget_bytes: budget_bytes.unwrap_or(bounds.budget_bytes), ..bounds };
        let opened = Courier::open(disk, key, bounds, random, now);
        let (mut courier, opened) = opened.map_err(|error| unusable(state, error))?;
        let tail = match remembered {
            Some(memory) => courier.bodies_since(memory.position).map_err(|error| unusable(state, error))?,
            None => Vec::new(),
        };
        let progress = Arc::new(Mutex::new(Progress { done: 0, status: courier.status() }));
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let thread = DiskThread::new(courier, state.clone(), reports, Arc::clone(&progress), now);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || thread.run(&inbox))
            .map_err(|error| Failure::new(Code::Failed, "cannot start the journal's thread").because(error))?;
        Ok((Self { commands, told: 0, progress, dropped: 0 }, Recovered { opened, tail }))
    }

    /// Tells the disk thread; never waits. `false` when it is too far behind, or gone.
    pub(crate) fn tell(&mut self, now: Moment, command: Command) -> bool {
        match self.commands.try_send((now, command)) {
            Ok(()) => {
                self.told += 1;
                true
            }
            Err(TrySendError::Full((_, Command::Append { .. }))) => {
                if self.dropped == 0 {
                    tracing::error!(
                        "The disk does not keep up: observations are being lost. Look at this host's disk."
                    );
                }
                self.dropped += 1;
                false
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// The journal's state as of its last command.
    pub(crate) fn status(&self) -> Status {
        self.progress().status.clone()
    }

    /// Whether every command so far was carried out.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.progress().done == self.told
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // The disk thread assigns whole values: a poisoned lock still guards one.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bodies that were lost because the disk did not keep up.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn fill_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Linux gives randomness to everybody once it has booted; an agent without cannot name its records.
        panic!("the system has no randomness: {error}");
    }
}

fn unusable(state: &StateFolder, error: JournalError) -> Failure {
    let what = format!("cannot open the journal in {}", state.journal().display());
    match &error {
        JournalError::Newer { .. } => Failure::new(Code::Invalid, what).because(error),
        JournalError::Volatile(_)
        | JournalError::Lost(_)
        | JournalError::Storage(_)
        | JournalError::TooLarge { .. }
        | JournalError::Damaged { .. } => Failure::new(Code::Failed, what)
            .because(error)
            .help(format!("is {} writable, and is there room? df -h {0}", state.root().display())),
    }
}
