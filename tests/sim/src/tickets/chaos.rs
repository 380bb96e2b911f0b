//! What goes wrong in a step: kills, restores, clocks that are set, and what the ticket system and its people do.

use upheld_store::sqlite::faulty::Kill;

use super::{
    checks::Seen,
    server::Mood,
    world::{HOUR, MINUTE, SECOND, World, stamp},
};
use crate::{Fault, house::Dead};

/// How old a backup may be that is restored.
const BACKUP_AGE_MAX: u64 = 47 * HOUR;

impl World {
    /// What goes wrong in this step.
    pub(super) fn faults(&mut self) -> Result<(), String> {
        if self.dice.once_in(12) {
            let kill = if self.dice.once_in(2) { Kill::BeforeCommit } else { Kill::AfterCommit };
            self.house.kill_at(self.dice.roll(8), kill);
        }
        if self.now_ms >= self.mood_until {
            let mood = match self.dice.roll(8) {
                0 => Mood::Down,
                1 => Mood::Busy,
                2..=4 => Mood::Bad,
                _ => Mood::Well,
            };
            let hours = mood == Mood::Down && self.dice.once_in(3);
            let lasts = if hours { self.dice.between(HOUR, 3 * HOUR) } else { self.dice.between(MINUTE, 10 * MINUTE) };
            self.mood_until = self.now_ms + lasts;
            self.server.inside().mood = mood;
        }
        if self.dice.once_in(25) {
            let (nth, is_deletion) = (self.dice.draw(), self.dice.once_in(2));
            self.server.inside().by_hand(nth, is_deletion);
        }
        self.clock_faults();
        if self.dice.once_in(60) {
            let backup = self.house.backup()?;
            self.backups.push((self.now_ms, backup));
        }
        if self.dice.once_in(220) {
            self.away();
        }
        if self.dice.once_in(180) {
            self.restore()?;
        }
        Ok(())
    }

    fn clock_faults(&mut self) {
        if self.clock_right_at.is_some_and(|at| at <= self.now_ms) {
            (self.off_ms, self.clock_right_at) = (0, None);
        }
        if self.clock_right_at.is_none() && self.dice.once_in(150) {
            let hour = i64::try_from(HOUR).unwrap_or(0);
            let off = if self.dice.once_in(2) { hour } else { 10 * 365 * 24 * hour };
            self.off_ms = if self.dice.once_in(2) { off } else { -off };
            self.clock_right_at = Some(self.now_ms + self.dice.between(10 * SECOND, 40 * MINUTE));
            self.counts.count(Fault::CollectorClockStepped);
        }
    }

    /// The collector does not run for two hours; agents go on.
    fn away(&mut self) {
        self.counts.count(Fault::CollectorDown);
        self.house.kill();
        let back_at = self.now_ms + 2 * HOUR;
        while self.now_ms < back_at {
            self.now_ms += self.dice.between(MINUTE, 20 * MINUTE);
            self.sights();
        }
        self.start_at = Some(self.now_ms);
    }

    /// The file is set back to a backup: with everything since, or without it and in recovery.
    fn restore(&mut self) -> Result<(), String> {
        if self.dice.once_in(3) {
            let whole = self.house.backup()?;
            self.house.set_back(&whole)?;
            self.house.kill();
            self.start_at = Some(self.now_ms);
            self.counts.count(Fault::RestoredWhole);
            return Ok(());
        }
        let of = self.backups.len() as u64;
        let Some((at, backup)) = self.backups.get(usize::try_from(self.dice.roll(of)).unwrap_or(0)).cloned() else {
            return Ok(());
        };
        if self.now_ms - at > BACKUP_AGE_MAX {
            return Ok(());
        }
        if self.dice.once_in(3) {
            // It is not there for long.
            let most = BACKUP_AGE_MAX - (self.now_ms - at);
            self.now_ms += self.dice.roll(most);
        }
        // Whoever restores has a machine whose clock is right.
        (self.off_ms, self.clock_right_at) = (0, None);
        self.house.set_back(&backup)?;
        self.house.set_clocks(self.wall(), self.mono());
        let (missing_from, now) = (stamp(at, 0), self.wall());
        let begun = self.house.call(async |desk| desk.begin_recovery(missing_from, now).await);
        begun.map_err(|Dead| "it died in a restore".to_owned())?.map_err(|error| error.to_string())?;
        self.house.kill();
        self.start_at = Some(self.now_ms);
        self.accept_at = Some(self.now_ms + self.dice.between(MINUTE, 30 * MINUTE));
        self.counts.count(Fault::RestoredWithoutSegments);
        self.losses += 1;
        // What happened since is gone, and whoever did it enters it again if he likes.
        self.asked.retain(|asked| asked.at_ms < at);
        for asked in
            self.asked.iter_mut().filter(|asked| asked.answered_at.is_some_and(|answered_at| answered_at >= at))
        {
            (asked.answered_at, asked.is_unclear) = (None, true);
        }
        self.seen = Seen::default();
        let mut server = self.server.inside();
        server.settled.retain(|_, told_at| *told_at < at);
        (server.is_recovering, server.lost_at_ms) = (true, self.now_ms);
        Ok(())
    }
}
