//! The loops around the tasks: by period, by signal, until they are stopped.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use upheld_detection::own::Reading;
use upheld_model::mutant::{Rule, is_broken};
use upheld_store::StoreError;

use super::{Report, Surroundings, among::WhileHeld, run::ALIVE_EVERY};
use crate::{Desk, DeskError};

/// Workers that empty the outbox side by side, so that one slow receiver does not hold up the others.
const DELIVERERS: usize = 4;
/// How often it is looked whether a week is over: a digest may come a minute late.
const DIGESTS_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked what is past its time.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// Messages that a worker takes at once.
const MESSAGES_MAX: u32 = 16;

/// Tells the loops that there may be something to do.
#[derive(Debug)]
pub(crate) struct Wake(watch::Sender<u64>);

impl Default for Wake {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Wake {
    /// Wakes every loop that waits for work.
    pub(crate) fn all(&self) {
        self.0.send_modify(|generation| *generation = generation.wrapping_add(1));
    }
}

/// The loops, running. Dropping it stops them at their next wait.
pub struct Tasks {
    stop: watch::Sender<bool>,
    handles: Vec<JoinHandle<()>>,
    /// What keeps the leases, until the others have ended.
    keeper: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Tasks {
    /// Takes no more work, lets what is begun finish, and says when all loops have ended.
    pub async fn stop(self) {
        let Self { stop, handles, keeper } = self;
        stop.send_replace(true);
        for handle in handles {
            end(handle).await;
        }
        if let Some((stop, keeper)) = keeper {
            stop.send_replace(true);
            end(keeper).await;
        }
    }
}

async fn end(handle: JoinHandle<()>) {
    if let Err(error) = handle.await {
        tracing::error!(%error, "a task's loop ended in a panic");
    }
}

/// The names of the tasks that one of several collectors does for all.
pub(super) fn leased() -> impl Iterator<Item = &'static str> {
    Task::LEASED.into_iter().map(Task::name)
}

/// The tasks that have a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Says that the collector lives and receives: [`Desk::alive_once`].
    Alive,
    /// Writes whom the collector heard: [`Desk::seen_once`].
    Seen,
    /// Announces what falls due on clocks: [`Desk::clocks_once`].
    Clocks,
    /// Judges sites at their deadlines: [`Desk::watch_once`].
    Watch,
    /// Opens incidents for who is silent: [`Desk::silence_once`].
    Silence,
    /// Stores what is wrong with the collector itself: [`Desk::own_once`].
    Own,
    /// Asks the anchors: [`Desk::line_once`].
    Line,
    /// Sends the collector's own sign of life: [`Desk::beat_once`].
    Beat,
    /// Makes digests of weeks that are over: [`Desk::digests_once`].
    Digests,
    /// Takes away what is past its time: [`Desk::retention_once`].
    Retention,
    /// Empties the outbox: [`Desk::deliver_outbox_once`].
    Deliverer,
}

/// Looks at the clocks before anything is judged by them.
fn look(desk: &Desk, around: &Surroundings) -> Reading {
    let reading = around.reading();
    desk.observe(reading);
    desk.clocks_are(around);
    reading
}

impl Task {
    /// Those that one of several collectors does for all. The others are about this process: that it lives, whom it heard,
    /// and whether its line is there.
    const LEASED: [Self; 8] = [
        Self::Clocks,
        Self::Watch,
        Self::Silence,
        Self::Own,
        Self::Beat,
        Self::Digests,
        Self::Retention,
        Self::Deliverer,
    ];

    /// Its name, in reports and on the status page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Seen => "seen",
            Self::Clocks => "clocks",
            Self::Watch => "watch",
            Self::Silence => "silence",
            Self::Own => "own",
            Self::Line => "line",
            Self::Beat => "heartbeat",
            Self::Digests => "digests",
            Self::Retention => "retention",
            Self::Deliverer => "deliverer",
        }
    }

    /// The longest wait without a signal, where `every` is the usual one. A sign of life is not asked for more often than it
    /// says something.
    pub fn period(self, every: Duration) -> Duration {
        match self {
            Self::Alive => Duration::try_from(ALIVE_EVERY).unwrap_or(every),
            Self::Digests => DIGESTS_EVERY.max(every),
            Self::Retention => RETENTION_EVERY.max(every),
            Self::Seen
            | Self::Clocks
            | Self::Watch
            | Self::Silence
            | Self::Own
            | Self::Line
            | Self::Beat
            | Self::Deliverer => every,
        }
    }

    /// Whether it has work when something happened; the others go by the time alone.
    pub fn is_woken(self) -> bool {
        match self {
            Self::Clocks | Self::Watch | Self::Silence | Self::Deliverer => true,
            Self::Alive | Self::Seen | Self::Own | Self::Line | Self::Beat | Self::Digests | Self::Retention => false,
        }
    }

    fn is_leased(self) -> bool {
        Self::LEASED.contains(&self)
    }

    /// Goes round while another collector does it: what stands in this process's memory is kept right.
    async fn stand_by(self, desk: &Desk, around: &Surroundings) -> Result<Report, DeskError> {
        let reading = look(desk, around);
        if self == Self::Own {
            desk.own_beside(reading.wall).await?;
        }
        Ok(Report::of(self.name()))
    }

    async fn run(self, desk: &Desk, around: &Surroundings, worker: &str) -> Result<Report, DeskError> {
        let now = look(desk, around).wall;
        let waits_for_a_person = match self {
            Self::Alive | Self::Seen | Self::Own | Self::Line | Self::Beat => false,
            Self::Clocks | Self::Watch | Self::Silence | Self::Digests | Self::Retention | Self::Deliverer => {
                desk.recovery().await?.is_some()
            }
        };
        if waits_for_a_person && !is_broken(Rule::RecoveryIsSilent) {
            return Ok(Report::of(self.name()));
        }
        match self {
            Self::Alive => desk.alive_once(now).await,
            Self::Seen => desk.seen_once(now).await,
            Self::Clocks => desk.clocks_once(now).await,
            Self::Watch => desk.watch_once(now).await,
            Self::Silence => desk.silence_once(now).await,
            Self::Own => desk.own_once(now).await,
            Self::Line => desk.line_once(&around.outside, now).await,
            Self::Beat => desk.beat_once(&around.outside, now).await,
            Self::Digests => desk.digests_once(now).await,
            Self::Retention => desk.retention_once(now).await,
            Self::Deliverer => {
                let (channel, secrets) = (around.channel.as_ref(), around.secrets.as_ref());
                desk.deliver_outbox_once(worker, channel, secrets, MESSAGES_MAX, now).await
            }
        }
    }
}

impl Desk {
    /// Starts every loop on the current tokio runtime; `every` is the longest that a loop waits without a signal.
    pub fn spawn_tasks(&self, around: Surroundings, every: Duration) -> Tasks {
        let stop = watch::Sender::new(false);
        let around = Arc::new(around);
        let mut tasks = vec![Task::Alive, Task::Clocks, Task::Watch, Task::Silence, Task::Own, Task::Line, Task::Beat];
        tasks.extend([Task::Seen, Task::Digests, Task::Retention]);
        self.signs_wait(true);
        tasks.extend([Task::Deliverer; DELIVERERS]);
        let handles = tasks.into_iter().enumerate().map(|(number, task)| {
            let (desk, around, stopped) = (self.clone(), Arc::clone(&around), stop.subscribe());
            tokio::spawn(desk.run_loop(task, around, every, stopped, number))
        });
        let handles = handles.collect();
        let keeper = around.among.clone().map(|among| {
            // It cannot have been set to anything else.
            let _ = self.shared.is_among_others.set(());
            let (stop, leased) = (watch::Sender::new(false), Task::LEASED.map(Task::name).to_vec());
            let keeping = self.clone().keep_leases(among, leased, Arc::clone(&around), stop.subscribe());
            (stop, tokio::spawn(keeping))
        });
        Tasks { handles, stop, keeper }
    }

    /// One turn of a task, as its loop does it in a collector that is alone on its database. `worker` is who takes messages
    /// from the outbox.
    pub async fn run_task(&self, task: Task, around: &Surroundings, worker: &str) -> Result<Report, DeskError> {
        let ran = task.run(self, around, worker).await;
        self.note_run(task.name(), &ran, (around.clock)());
        ran
    }

    /// Does a task where it is this collector's, and stands by where it is not. `held` is the fence of the last time.
    async fn run_if_held(
        &self,
        task: Task,
        around: &Arc<Surroundings>,
        worker: &str,
        held: &mut Option<i64>,
    ) -> Result<Report, DeskError> {
        let Some(fence) = self.fence_of(task.name(), around) else {
            *held = None;
            return task.stand_by(self, around).await;
        };
        let (desk, ways) = (self.of_task(task.name(), fence), WhileHeld::around(self, task.name(), fence, around));
        if *held != Some(fence) && task == Task::Own {
            desk.own_taken(around.reading().wall).await?;
        }
        *held = Some(fence);
        match task.run(&desk, &ways, worker).await {
            // It is another one's by now, who does what was left.
            Err(DeskError::Store(StoreError::Fenced { .. })) => Ok(Report::of(task.name())),
            Ok(report) if self.fence_of(task.name(), around) != Some(fence) => {
                Ok(Report { failures: Vec::new(), ..report })
            }
            ran @ (Ok(_) | Err(_)) => ran,
        }
    }

    async fn run_loop(
        self,
        task: Task,
        around: Arc<Surroundings>,
        every: Duration,
        mut stopped: watch::Receiver<bool>,
        number: usize,
    ) {
        let mut woken = self.shared.wake.0.subscribe();
        let worker = match &around.among {
            Some(among) => format!("{}-{number} of {}", task.name(), among.name),
            None => format!("{}-{}-{number}", task.name(), std::process::id()),
        };
        let mut held = None;
        let mut ticks = interval(task.period(every));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // The sender lives in the desk that this loop holds.
                _ = woken.changed(), if task.is_woken() => {}
                _ = stopped.changed() => return self.last_round(task, &around).await,
            }
            woken.mark_unchanged();
            if around.among.is_some() && task.is_leased() {
                let ran = self.run_if_held(task, &around, &worker, &mut held).await;
                self.note_run(task.name(), &ran, (around.clock)());
            } else {
                // What failed stands in the desk's health.
                drop(self.run_task(task, &around, &worker).await);
            }
            if *stopped.borrow() {
                return self.last_round(task, &around).await;
            }
        }
    }

    /// What a task still does when it is stopped: nothing that waits in memory alone is left there.
    async fn last_round(&self, task: Task, around: &Surroundings) {
        if task == Task::Seen {
            self.signs_wait(false);
            let now = (around.clock)();
            self.note_run(task.name(), &self.seen_once(now).await, now);
        }
    }
}
