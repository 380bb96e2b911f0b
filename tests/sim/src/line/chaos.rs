//! What goes wrong when, drawn from the seed.

use upheld_delivery::storage::{Fault as DiskFault, Storage as _, sim::SimStorage};

use super::{
    agent::Agent,
    world::{HOUR, MINUTE, World},
};
use crate::{Broken, Length, Seam, dice::Dice, faults::Fault};

/// The oldest backup that a collector is restored from (DELIVERY 6): agents keep what they delivered for 72 hours.
pub(super) const BACKUP_AGE_MAX: u64 = 47 * HOUR;
/// The journal's files that are no segments.
const STATE: &str = "state";
const RESERVE: &str = "reserve";
/// After a restore no line goes down for long before the agents have had time to send again.
const AFTER_RESTORE: u64 = 2 * HOUR;

/// One run's circumstances.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) agents: usize,
    pub(super) faulty_ms: u64,
    /// The mean time between two faults.
    every_ms: u64,
    pub(super) sight_ms: u64,
    pub(super) heartbeat_ms: u64,
    /// What a sample tells besides its number: a short run fills a small budget only when samples are large. What stays of
    /// one that is given up, its hash, is not, and there is room for that of them all.
    pub(super) evidence_bytes: usize,
    /// Segments are small, so that there are many.
    pub(super) segment_bytes: u64,
    /// The disk budget is small: samples are given up.
    pub(super) is_tight: bool,
    /// Disks fill up.
    fills_up: bool,
    /// Bytes flip.
    pub(super) flips: bool,
    /// The longest that a line is down.
    pub(super) longest_ms: u64,
}

impl Plan {
    pub(super) fn draw(seed: u64, length: Length, dice: &mut Dice) -> Self {
        let is_month = length == Length::Full && seed % 25 == 24;
        let (hours, agents) = match length {
            Length::Full if is_month => (dice.between(14, 32) * 24, 1),
            Length::Full => (dice.between(26, 38), 3),
            Length::Short => (dice.between(10, 14), 1),
        };
        let every_ms = [MINUTE, 4 * MINUTE, 12 * MINUTE][usize::try_from(dice.roll(3)).unwrap_or(0)];
        let is_tight = dice.once_in(4);
        let is_short = length == Length::Short;
        Self {
            agents,
            faulty_ms: hours * HOUR,
            every_ms: if is_month { 2 * HOUR } else { every_ms },
            sight_ms: if is_month { 10 * MINUTE } else { 100_000 },
            heartbeat_ms: if is_month { 300_000 } else { 60_000 },
            evidence_bytes: if is_tight && is_short { 240 } else { 0 },
            segment_bytes: if is_short { 3 << 10 } else { 8 << 10 },
            is_tight,
            fills_up: dice.once_in(5),
            flips: dice.once_in(6),
            longest_ms: if is_month { (hours - 48) * HOUR } else { 14 * HOUR },
        }
    }

    /// Whether something durable of this kind may be gone, if that is said. Transitions go last: a small budget alone has
    /// room for all that were never held by the collector.
    pub(super) fn may_lose(&self, is_transition: bool, was_held: bool) -> bool {
        self.fills_up || self.flips || (self.is_tight && (!is_transition || was_held))
    }

    /// A budget that has room for the transitions of the longest time without a line, and not for the samples.
    pub(super) fn tight_bytes(&self) -> Option<u64> {
        let bytes = if self.longest_ms > 24 * HOUR { 160 << 10 } else { 80 << 10 };
        self.is_tight.then_some(bytes)
    }

    /// Whether samples may be thinned for room.
    pub(super) fn may_thin(&self) -> bool {
        self.fills_up || self.is_tight
    }

    /// Whether a disk may lose what it had taken.
    pub(super) fn is_lossy(&self) -> bool {
        self.fills_up || self.flips || self.is_tight
    }
}

/// When the next things go wrong.
pub(super) struct Chaos {
    next: u64,
    backup_at: u64,
    /// When full or read-only disks are well again: agent and time.
    mends: Vec<(usize, u64)>,
    restored_at: Option<u64>,
    /// One long stretch without a line, at this time.
    long_at: u64,
}

impl Chaos {
    pub(super) fn new(plan: &Plan, dice: &mut Dice) -> Self {
        let long_at = dice.between(HOUR, plan.faulty_ms / 3);
        Self { next: dice.wait(plan.every_ms), backup_at: 0, mends: Vec::new(), restored_at: None, long_at }
    }

    pub(super) fn next(&self) -> u64 {
        let mends = self.mends.iter().map(|(_, at)| *at);
        mends.chain([self.next, self.backup_at, self.long_at]).min().unwrap_or(self.next)
    }

    /// Does what is due.
    pub(super) fn strike(&mut self, world: &mut World) {
        let now = world.now_ms;
        self.mends.retain(|(index, at)| {
            if *at <= now {
                let disk = &world.posts[*index].agent.disk;
                disk.refuse(None);
                disk.set_capacity(None);
            }
            *at > now
        });
        if self.backup_at <= now {
            self.backup_at = now + world.dice.wait(world.plan.faulty_ms / 12);
            let marks = world.posts.iter().map(|post| post.tables.mark()).collect();
            world.backups.push((now, marks));
        }
        if self.long_at <= now {
            self.long_at = u64::MAX;
            let index = pick(world);
            let longest = world.plan.longest_ms;
            world.posts[index].line_down_until = now + world.dice.between(longest.min(8 * HOUR), longest);
            world.counts.count(Fault::LongPartition);
        }
        if self.next <= now {
            self.next = now + world.dice.wait(world.plan.every_ms);
            self.one(world);
        }
    }

    fn one(&mut self, world: &mut World) {
        let (now, index) = (world.now_ms, pick(world));
        let kind = world.dice.roll(17);
        world.trace.note(now, kind);
        let is_lossy = world.plan.is_lossy();
        let disk = world.posts[index].agent.disk.clone();
        match kind {
            0..=2 => disk.crash_at(disk.ops() + world.dice.roll(12)),
            3 => {
                disk.fail_syncs(1);
                world.counts.count(Fault::SyncFails);
            }
            4 => {
                let down = world.dice.wait(3 * MINUTE);
                world.posts[index].line_down_until = world.posts[index].line_down_until.max(now + down);
                world.counts.count(Fault::Partition);
            }
            5 => {
                world.collector_down_until = now + world.dice.wait(MINUTE);
                world.counts.count(Fault::CollectorDown);
                if world.broken == Broken::Seam(Seam::QuarantineForgotten) {
                    world.posts.iter_mut().for_each(|post| post.tables.is_quarantined = false);
                }
            }
            6 => self.restore(world),
            7 => {
                let snapshot = world.posts[index].agent.snapshot();
                world.posts[index].snapshots.push(snapshot);
            }
            8 => roll_back(world, index),
            9 => clone(world, index),
            10 if world.plan.fills_up => {
                disk.set_capacity(Some(disk.used() + world.dice.roll(2_000)));
                self.mends.push((index, now + world.dice.wait(20 * MINUTE)));
                world.counts.count(Fault::DiskFull);
            }
            11 => {
                disk.refuse(Some(DiskFault::Refused));
                self.mends.push((index, now + world.dice.wait(5 * MINUTE)));
                world.counts.count(Fault::DiskReadOnly);
            }
            12 if world.plan.flips => flip(world, index),
            13 if !world.posts[index].agent.is_asleep(now) => {
                let until = now + world.dice.wait(2 * HOUR);
                world.posts[index].agent.sleep(until, now);
                world.counts.count(Fault::Suspended);
            }
            14 if !is_lossy => {
                let hour = 3_600_000;
                let steps = [hour, -hour, 87_600 * hour, -87_600 * hour, 61_000, -1_000];
                let by = steps[usize::try_from(world.dice.roll(6)).unwrap_or(0)];
                let agent = &mut world.posts[index].agent;
                agent.wall_off_ms = if agent.wall_off_ms == 0 { by } else { 0 };
                world.counts.count(Fault::ClockStepped);
            }
            // Of a copy that is as idle as the real host nothing shows.
            15 if world.posts[index].clone.is_none() => {
                let quiet = world.dice.wait(HOUR);
                world.posts[index].next_sight = world.posts[index].next_sight.max(now) + quiet;
            }
            16 => {
                world.busy_until = now + world.dice.wait(10_000);
                world.counts.count(Fault::Busy);
            }
            _ => {}
        }
    }

    /// From a backup that is young enough. While a line is down for long, only from one that was made since: what was
    /// delivered before it may be gone from the agent by the time that it is back.
    fn restore(&mut self, world: &mut World) {
        let now = world.now_ms;
        if self.long_at != u64::MAX && self.long_at < now + AFTER_RESTORE {
            return;
        }
        let away = world.posts.iter().map(|post| post.line_down_until).max().unwrap_or(0);
        let is_away = away > now + AFTER_RESTORE;
        let youngest = if is_away { now.saturating_sub(HOUR) } else { now.saturating_sub(BACKUP_AGE_MAX) };
        // One of the last three as a rule, and now and then any.
        let among = if world.dice.once_in(3) { world.backups.len() as u64 } else { 3 };
        let back = world.dice.roll(among);
        let fit: Vec<usize> = (0..world.backups.len()).rev().filter(|at| world.backups[*at].0 >= youngest).collect();
        let Some(chosen) = fit.get(usize::try_from(back).unwrap_or(0)).or(fit.last()).copied() else { return };
        if is_away && self.restored_at.is_some_and(|at| now < at + AFTER_RESTORE) {
            return;
        }
        world.backups.truncate(chosen + 1);
        let marks = world.backups[chosen].1.clone();
        world.set_back(&marks);
        self.restored_at = Some(now);
        world.counts.count(Fault::CollectorSetBack);
    }
}

fn pick(world: &mut World) -> usize {
    let agents = world.posts.len() as u64;
    usize::try_from(world.dice.roll(agents)).unwrap_or(0)
}

fn roll_back(world: &mut World, index: usize) {
    let (now, back, alike) = (world.now_ms, world.dice.roll(3), world.dice.once_in(2));
    let post = &mut world.posts[index];
    // A copy that runs has a snapshot of its own.
    let Some(last) = post.snapshots.len().checked_sub(1).filter(|_| post.clone.is_none()) else { return };
    let chosen = last - usize::try_from(back).unwrap_or(0).min(last);
    let snapshot = post.snapshots[chosen].clone();
    post.snapshots.truncate(chosen + 1);
    post.agent.restore(&snapshot, alike, now);
    world.counts.count(if alike { Fault::RolledBackAlike } else { Fault::RolledBack });
}

/// At most one copy an agent, while both can be connected for an hour.
fn clone(world: &mut World, index: usize) {
    let (now, dice) = (world.now_ms, world.dice.draw());
    let ends = world.plan.faulty_ms;
    let post = &mut world.posts[index];
    let is_quiet = now > post.line_down_until && now < ends.saturating_sub(HOUR);
    if world.plan.heartbeat_ms > 60_000 || post.cloned_at.is_some() || !post.agent.is_up() || !is_quiet {
        return;
    }
    let copy: Agent = post.agent.copied(dice, now);
    post.clone = Some(copy);
    post.cloned_at = Some(now);
    post.together_ms = 0;
    post.next_sight = now;
    world.counts.count(Fault::Cloned);
}

/// A byte of a segment or the state. Of the state only while both its copies are good, which its next writing sees to: what
/// it alone knows (when an epoch began whose first records were given up) would be destroyed in both its places, and nobody
/// could tell of it.
fn flip(world: &mut World, index: usize) {
    let post = &mut world.posts[index];
    let is_wounded = post.flipped_states.contains(&content(&post.agent.disk, STATE));
    let may_flip = |name: &String| name != RESERVE && (name != STATE || !is_wounded);
    let files = post.agent.disk.files().into_iter().filter(|(name, _)| may_flip(name));
    let files: Vec<(String, u64)> = files.collect();
    let file = world.dice.roll(files.len() as u64);
    let Some((name, bytes)) = files.get(usize::try_from(file).unwrap_or(0)) else { return };
    let (at, bit) = (world.dice.roll(*bytes), world.dice.roll(8));
    let post = &mut world.posts[index];
    if post.agent.disk.flip(name, at, 1 << bit) {
        if name == STATE {
            post.flipped_states.push(content(&post.agent.disk, STATE));
        }
        world.counts.count(Fault::ByteFlipped);
    }
}

fn content(disk: &SimStorage, name: &str) -> Vec<u8> {
    let len = disk.files().into_iter().find(|(found, _)| found == name).map_or(0, |(_, len)| len);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = disk.read(name, 0, &mut bytes).unwrap_or(0);
    bytes.truncate(read);
    bytes
}
