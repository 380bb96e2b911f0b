//! A collector that can die: the real [`Desk`] over a real SQLite file, whose calls are run to their end one by one.
//!
//! ```text
//! let mut house = House::build()?;                       // an empty database, in memory where the machine has a tmpfs
//! house.set_clocks(wall, mono);                          // what the collector's clocks show from here on
//! house.call(async |desk| desk.start_run(wall).await)?;  // Err(Dead): the process died in the call
//! house.kill_at(2, Kill::AfterCommit);                   // the third commit from here on is its last
//! house.task(Task::Watch, &around)?;                     // one turn of a task, as its loop does it
//! let backup = house.backup()?;                          // the file as it is now
//! house.reopen()?;                                       // after a death: the same file, nothing of the memory
//! house.set_back(&backup)?;                              // that file in its place; recovery is the caller's to begin
//! ```
//!
//! A call that a kill strikes ends at once and never again touches the world: its future is dropped when the commit was
//! (not) made, so that nothing is sent or answered afterwards. Until [`House::reopen`] every call is [`Dead`].
//! The house begins no run: a process that starts calls [`Desk::start_run`], as the server does.
//!
//! The same calls give the same database: one call at a time, one reader, one job a commit. What the desk draws by chance
//! (ids of agents that enrol, tokens) is the machine's, so give ids of your own where a trace depends on them.

use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use upheld_desk::{
    AgentPeer, Desk, DeskError, Secret, Secrets,
    deliverer::{Boxed, Channel},
    tasks::{Outside, Report, Surroundings, Task},
};
use upheld_model::Mono;
use upheld_store::sqlite::{
    self, Options,
    backup::snapshot,
    faulty::{self, Kill},
};

/// Where files cost no disk, on machines that have it.
const IN_MEMORY: &str = "/dev/shm";
/// Who takes messages from the outbox.
const WORKER: &str = "worker-1";

/// The process is dead, or died in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dead;

/// The database as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backup(PathBuf);

/// What the writer's thread asks at each commit.
#[derive(Debug, Default)]
struct Commits {
    made: u64,
    /// After how many more commits which kill strikes.
    kill: Option<(u64, Kill)>,
}

pub(crate) struct House {
    desk: Option<Desk>,
    runtime: Runtime,
    folder: TempDir,
    file: PathBuf,
    files: u64,
    commits: Arc<Mutex<Commits>>,
    is_dead: Arc<AtomicBool>,
    clocks: Arc<Clocks>,
}

#[derive(Debug, Default)]
struct Clocks {
    wall_us: AtomicI64,
    mono_ns: AtomicU64,
}

impl House {
    /// An empty database, and a process that has it open.
    pub(crate) fn build() -> Result<Self, String> {
        let in_memory = Path::new(IN_MEMORY).is_dir().then(|| TempDir::new_in(IN_MEMORY).ok()).flatten();
        let folder = match in_memory {
            Some(folder) => folder,
            None => TempDir::new().map_err(|error| format!("no folder for a database: {error}"))?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let mut house = Self {
            desk: None,
            runtime,
            file: folder.path().join("upheld-0.db"),
            folder,
            files: 0,
            commits: Arc::default(),
            is_dead: Arc::default(),
            clocks: Arc::default(),
        };
        house.reopen()?;
        Ok(house)
    }

    /// What the collector's clocks show, until the next time.
    pub(crate) fn set_clocks(&self, wall: Timestamp, mono: Mono) {
        self.clocks.wall_us.store(wall.as_microsecond(), Ordering::SeqCst);
        self.clocks.mono_ns.store(mono.0, Ordering::SeqCst);
    }

    pub(crate) fn is_up(&self) -> bool {
        !self.is_dead.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    /// Commits since the house was built, over all its lives.
    pub(crate) fn commits(&self) -> u64 {
        self.counted().made
    }

    /// Runs one call of the desk to its end, or to the process's.
    pub(crate) fn call<T>(&mut self, call: impl AsyncFnOnce(&Desk) -> T) -> Result<T, Dead> {
        let Some(desk) = self.desk.clone().filter(|_| self.is_up()) else { return Err(Dead) };
        let is_dead = Arc::clone(&self.is_dead);
        let ended = self.runtime.block_on(async {
            let mut call = pin!(call(&desk));
            std::future::poll_fn(|context| {
                if is_dead.load(Ordering::SeqCst) {
                    return Poll::Ready(Err(Dead));
                }
                // A call that did not wait for what killed it is over as well.
                call.as_mut()
                    .poll(context)
                    .map(|done| if is_dead.load(Ordering::SeqCst) { Err(Dead) } else { Ok(done) })
            })
            .await
        });
        drop(desk);
        if ended.is_err() {
            self.kill();
        }
        ended
    }

    /// One turn of a task by the clocks as they are set. Where a person has to accept a restore first, most do nothing.
    pub(crate) fn task(&mut self, task: Task, around: &Surroundings) -> Result<Result<Report, DeskError>, Dead> {
        self.call(async |desk| desk.run_task(task, around, WORKER).await)
    }

    /// What the tasks need, with the house's clocks; whom the outbox tells is the room's.
    pub(crate) fn surroundings(&self, channel: Arc<dyn Channel>) -> Surroundings {
        let (for_wall, for_mono) = (Arc::clone(&self.clocks), Arc::clone(&self.clocks));
        let wall = move || Timestamp::from_microsecond(for_wall.wall_us.load(Ordering::SeqCst));
        Surroundings {
            clock: Arc::new(move || wall().unwrap_or(Timestamp::UNIX_EPOCH)),
            mono: Arc::new(move || Mono(for_mono.mono_ns.load(Ordering::SeqCst))),
            outside: Arc::new(Nowhere),
            secrets: Arc::new(AllSecrets),
            channel,
            among: None,
        }
    }

    /// Between two calls, `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.desk = None;
        self.counted().kill = None;
    }

    /// The process dies after so many more commits, at the next one: it, or only its answer, is not any more.
    pub(crate) fn kill_at(&mut self, after: u64, kill: Kill) {
        self.counted().kill = Some((after, kill));
    }

    /// Takes back a kill that did not strike.
    pub(crate) fn spare(&mut self) {
        self.counted().kill = None;
    }

    /// A new process with the same file; the old one is killed where it lives.
    pub(crate) fn reopen(&mut self) -> Result<(), String> {
        self.kill();
        // A flag of its own: whatever is left of the old process stays dead.
        self.is_dead = Arc::default();
        let (commits, is_dead) = (Arc::clone(&self.commits), Arc::clone(&self.is_dead));
        let at_commit = move || {
            let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
            let kill = match &mut commits.kill {
                Some((0, kill)) => Some(*kill),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            };
            commits.made += u64::from(kill != Some(Kill::BeforeCommit));
            if kill.is_some() {
                commits.kill = None;
                is_dead.store(true, Ordering::SeqCst);
            }
            kill
        };
        let options = Options { readers: 1, ..Options::default() };
        let store = faulty::open(&self.file, &options, Box::new(at_commit)).map_err(|error| error.to_string())?;
        self.desk = Some(Desk::new(store));
        Ok(())
    }

    /// The file as it is now, whether the process lives or not.
    pub(crate) fn backup(&mut self) -> Result<Backup, String> {
        let to = self.next_file("backup");
        snapshot(&self.file, &to).map_err(|error| error.to_string())?;
        Ok(Backup(to))
    }

    /// A new process with the file of a backup in place of the present one. A backup may be taken again and again.
    pub(crate) fn set_back(&mut self, to: &Backup) -> Result<(), String> {
        self.kill();
        // A name of its own: a thread of the old process may still be about to close the old one.
        self.file = self.next_file("upheld");
        fs::copy(&to.0, &self.file).map_err(|error| format!("a backup cannot be copied: {error}"))?;
        self.reopen()
    }

    /// A desk that reads the file: the process's own while it lives, else one beside it, as the command line is. For
    /// checks, and for nothing that writes.
    pub(crate) fn reader(&self) -> Result<Desk, String> {
        match self.desk.clone().filter(|_| self.is_up()) {
            Some(desk) => Ok(desk),
            None => sqlite::open_with(&self.file, &Options { readers: 1, ..Options::default() })
                .map(Desk::new)
                .map_err(|error| error.to_string()),
        }
    }

    /// Runs a future that is none of the process's.
    pub(crate) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    fn next_file(&mut self, what: &str) -> PathBuf {
        self.files += 1;
        self.folder.path().join(format!("{what}-{}.db", self.files))
    }

    fn counted(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No anchor, no heartbeat.
struct Nowhere;

impl Outside for Nowhere {
    fn ask<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<bool, String>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn beat<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Every secret is its own name.
struct AllSecrets;

impl Secrets for AllSecrets {
    fn secret(&self, name: &str) -> Option<Secret> {
        Some(Secret::new(name))
    }
}

/// An agent of a client's site, as its certificate names it.
pub(crate) fn peer_of((agent, client, site): (&str, &str, &str)) -> AgentPeer {
    AgentPeer {
        agent: agent.parse().expect("an agent's id"),
        client: client.parse().expect("a client's id"),
        site: site.parse().expect("a site's id"),
    }
}

#[cfg(test)]
mod tests {
    use upheld_desk::Actor;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_300_000 + second).unwrap()
    }

    /// Gives a token of a client, in one commit.
    fn write(house: &mut House, second: i64) -> Result<(), Dead> {
        house
            .call(async |desk| desk.note_whole_restore(at(second), &Actor::person("ana"), at(second)).await)
            .map(|noted| noted.unwrap())
    }

    fn written(house: &House) -> Vec<Timestamp> {
        let desk = house.reader().unwrap();
        let rows =
            house.block_on(desk.store().read::<_, upheld_store::StoreError, _>("test.audit", |tx| tx.audit(100)));
        rows.unwrap().into_iter().rev().map(|row| row.at).collect()
    }

    #[test]
    fn a_kill_strikes_at_its_commit_and_the_file_has_what_was_committed() {
        for (kill, stored) in [(Kill::BeforeCommit, vec![at(1)]), (Kill::AfterCommit, vec![at(1), at(2)])] {
            let mut house = House::build().unwrap();
            house.kill_at(1, kill);
            assert_eq!(write(&mut house, 1), Ok(()));
            assert_eq!(write(&mut house, 2), Err(Dead));
            assert_eq!((house.is_up(), write(&mut house, 3)), (false, Err(Dead)));
            house.reopen().unwrap();
            assert_eq!(written(&house), stored);
            assert_eq!((house.is_up(), write(&mut house, 4)), (true, Ok(())));
        }
    }

    #[test]
    fn a_house_is_set_back_to_a_backup_as_often_as_one_likes() {
        let mut house = House::build().unwrap();
        write(&mut house, 1).unwrap();
        let backup = house.backup().unwrap();
        for second in 2..4 {
            write(&mut house, second).unwrap();
            house.set_back(&backup).unwrap();
            assert_eq!(written(&house), [at(1)]);
        }
        write(&mut house, 5).unwrap();
        house.kill();
        house.reopen().unwrap();
        assert_eq!(written(&house), [at(1), at(5)]);
    }

    #[test]
    fn what_was_spared_lives_and_commits_are_counted() {
        let mut house = House::build().unwrap();
        house.kill_at(0, Kill::BeforeCommit);
        house.spare();
        write(&mut house, 1).unwrap();
        assert_eq!(house.commits(), 1);
    }
}
