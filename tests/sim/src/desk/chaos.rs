//! What goes wrong when, drawn from the seed.

use super::{truth::Truth, world::World};
use crate::{
    Length,
    dice::Dice,
    faults::Fault,
    line::{HOUR, MINUTE},
};
use upheld_store::sqlite::faulty::Kill;

/// One run's circumstances.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) faulty_ms: u64,
    /// The mean time between two faults.
    every_ms: u64,
    /// The collector's wall clock is set.
    pub(super) has_wrong_clock: bool,
    /// Agents' wall clocks are set.
    steps: bool,
    /// Machines of agents are set back.
    pub(super) rolls_back: bool,
    is_long: bool,
}

impl Plan {
    pub(super) fn draw(length: Length, dice: &mut Dice) -> Self {
        let hours = match length {
            Length::Full => dice.between(12, 24),
            Length::Short => dice.between(4, 6),
        };
        let every_ms = [8 * MINUTE, 20 * MINUTE, 45 * MINUTE][usize::try_from(dice.roll(3)).unwrap_or(0)];
        let (has_wrong_clock, steps) = (dice.once_in(5), dice.once_in(3));
        Self {
            faulty_ms: hours * HOUR,
            every_ms,
            has_wrong_clock,
            // Two clocks that are off alike agree.
            steps: steps && !has_wrong_clock,
            rolls_back: dice.once_in(2),
            is_long: length == Length::Full,
        }
    }
}

/// When the next things go wrong.
pub(super) struct Chaos {
    next: u64,
    backup_at: u64,
    /// When the collector is away for long, and a line.
    long_away_at: u64,
    long_line_at: u64,
    /// When somebody sets the clock of a host whose line is down for long: much waits.
    set_at: Option<(usize, u64)>,
    /// When a wrong clock of the collector is put right.
    right_at: Option<u64>,
    /// One outage that a machine sees and, set back, knows nothing of: where, its snapshot's time, and when.
    forgets: Option<(usize, u64, u64)>,
}

impl Chaos {
    pub(super) fn new(plan: &Plan, truth: &Truth, dice: &mut Dice) -> Self {
        let chosen = usize::try_from(dice.roll(truth.0.len() as u64)).unwrap_or(0);
        let forgets = truth.0.get(chosen).filter(|_| plan.rolls_back);
        Self {
            forgets: forgets.map(|outage| (outage.site, outage.from - 5 * MINUTE, outage.to - MINUTE)),
            next: dice.wait(plan.every_ms),
            backup_at: 5 * MINUTE,
            long_away_at: dice.between(HOUR, plan.faulty_ms),
            long_line_at: dice.between(HOUR, plan.faulty_ms),
            set_at: None,
            right_at: None,
        }
    }

    pub(super) fn next(&self) -> u64 {
        let all = [self.next, self.backup_at, self.long_away_at, self.long_line_at];
        let forgets = self.forgets.map(|(_, snapshot, back)| snapshot.min(back));
        let set = self.set_at.map(|(_, at)| at);
        all.into_iter().chain(self.right_at).chain(forgets).chain(set).min().unwrap_or(self.next)
    }

    /// Does what is due.
    pub(super) fn strike(&mut self, world: &mut World) -> Result<(), String> {
        let now = world.now_ms;
        if self.right_at.is_some_and(|at| at <= now) {
            self.right_at = None;
            world.collector.off_ms = 0;
        }
        if let Some((site, snapshot, back)) = self.forgets {
            if snapshot <= now {
                let machine = world.posts[site].host.machine(now);
                world.posts[site].machines.push(machine);
                self.forgets = Some((site, u64::MAX, back));
            } else if back <= now {
                self.forgets = None;
                roll_back(world, site);
            }
        }
        if self.backup_at <= now {
            self.backup_at = now + world.dice.wait(world.plan.faulty_ms / 6);
            let backup = world.collector.house.backup()?;
            world.backups.push((now, backup));
        }
        if self.long_away_at <= now {
            self.long_away_at = u64::MAX;
            let longest = if world.plan.is_long { 2 * HOUR } else { HOUR };
            world.collector.goes(now, now + world.dice.between(longest / 2, longest + 1));
            world.counts.count(Fault::CollectorDown);
        }
        if self.long_line_at <= now {
            self.long_line_at = u64::MAX;
            let index = pick(world);
            let longest = if world.plan.is_long { 8 * HOUR } else { 2 * HOUR };
            let down = world.dice.between(longest / 2, longest + 1);
            world.posts[index].line_down_until = now + down;
            self.set_at = world.plan.steps.then(|| (index, now + world.dice.roll(down)));
            world.counts.count(Fault::LongPartition);
        }
        if let Some((index, _)) = self.set_at.take_if(|(_, at)| *at <= now) {
            set_clock(world, index);
        }
        if self.next <= now {
            self.next = now + world.dice.wait(world.plan.every_ms);
            self.one(world)?;
        }
        Ok(())
    }

    fn one(&mut self, world: &mut World) -> Result<(), String> {
        let (now, index) = (world.now_ms, pick(world));
        let kind = world.dice.roll(14);
        world.trace.note(now, kind);
        match kind {
            0 | 1 => {
                let (after, is_before) = (world.dice.roll(12), world.dice.once_in(2));
                let (kill, fault) = if is_before {
                    (Kill::BeforeCommit, Fault::KilledBeforeCommit)
                } else {
                    (Kill::AfterCommit, Fault::KilledAfterCommit)
                };
                if world.collector.house.is_up() {
                    world.collector.house.kill_at(after, kill);
                    world.counts.count(fault);
                }
            }
            2 => {
                world.collector.goes(now, now + world.dice.wait(4 * MINUTE));
                world.counts.count(Fault::CollectorDown);
            }
            3 => restore(world)?,
            4 | 5 => {
                let down = world.dice.wait(6 * MINUTE);
                let post = &mut world.posts[index];
                post.line_down_until = post.line_down_until.max(now + down);
                world.counts.count(Fault::Partition);
            }
            6 | 12 => {
                let disk = world.posts[index].host.agent.disk.clone();
                disk.crash_at(disk.ops() + world.dice.roll(12));
            }
            7 => {
                let machine = world.posts[index].host.machine(now);
                world.posts[index].machines.push(machine);
            }
            8 if world.plan.rolls_back => roll_back(world, index),
            9 | 13 if !world.posts[index].host.agent.is_asleep(now) => {
                let until = now + 10 * MINUTE + world.dice.wait(20 * MINUTE);
                world.posts[index].host.agent.sleep(until, now);
                world.counts.count(Fault::Suspended);
            }
            10 if world.plan.steps => set_clock(world, index),
            11 if world.plan.has_wrong_clock && self.right_at.is_none() => {
                let by = [3_600_000, -3_600_000, 90_000, -90_000][usize::try_from(world.dice.roll(4)).unwrap_or(0)];
                (world.collector.off_ms, world.collector.wrong_at) = (by, now);
                self.right_at = Some(now + MINUTE + world.dice.wait(10 * MINUTE));
                world.counts.count(Fault::CollectorClockStepped);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Somebody sets the clock of a host, or sets it right.
fn set_clock(world: &mut World, index: usize) {
    let hour = 3_600_000;
    let steps = [hour, -hour, 87_600 * hour, -87_600 * hour, 61_000, -1_000];
    let by = steps[usize::try_from(world.dice.roll(6)).unwrap_or(0)];
    let now_ms = world.now_ms;
    let agent = &mut world.posts[index].host.agent;
    // A machine that is off, or loses its power before it has written that down, forgets what would show that its clock was
    // set (README.md).
    if agent.is_up() && !agent.is_asleep(now_ms) {
        agent.disk.crash_at(u64::MAX);
        agent.wall_off_ms = if agent.wall_off_ms == 0 { by } else { 0 };
        world.counts.count(Fault::ClockStepped);
    }
}

fn pick(world: &mut World) -> usize {
    let agents = world.posts.len() as u64;
    usize::try_from(world.dice.roll(agents)).unwrap_or(0)
}

/// From one of the last backups; a person accepts it a while later.
fn restore(world: &mut World) -> Result<(), String> {
    let (now, back) = (world.now_ms, world.dice.roll(3));
    let Some(last) = world.backups.len().checked_sub(1) else { return Ok(()) };
    let chosen = last - usize::try_from(back).unwrap_or(0).min(last);
    world.backups.truncate(chosen + 1);
    let (taken_at, backup) = world.backups[chosen].clone();
    let accepted_at = now + MINUTE + world.dice.wait(8 * MINUTE);
    world.collector.set_back(&backup, taken_at, now, accepted_at)?;
    world.counts.count(Fault::CollectorSetBack);
    Ok(())
}

fn roll_back(world: &mut World, index: usize) {
    let (now, back, alike) = (world.now_ms, world.dice.roll(3), world.dice.once_in(2));
    let post = &mut world.posts[index];
    let Some(last) = post.machines.len().checked_sub(1) else { return };
    let chosen = last - usize::try_from(back).unwrap_or(0).min(last);
    let machine = post.machines[chosen].clone();
    post.machines.truncate(chosen + 1);
    post.host.restore(&machine, alike, now);
    post.troubled.push((machine.at, now + MINUTE));
    world.counts.count(if alike { Fault::RolledBackAlike } else { Fault::RolledBack });
}
