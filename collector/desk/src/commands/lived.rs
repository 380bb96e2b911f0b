//! How long a command's key is remembered: by hours that collectors have lived, which no wall clock can skip.
//!
//! The database holds one clock of lived time. It stands still while no collector runs, and it never runs faster than
//! time does, however many collectors share it: each remembers what it read there last, and when by its own monotonic
//! clock, and puts it forward to that and the time since, if it is not further already. A key is stamped with what it
//! shows, so it stays for at least [`KEY_KEPT`] that were truly lived. Whoever is started again every few minutes puts
//! nothing forward, and keys stay longer.

use std::sync::PoisonError;

use jiff::Timestamp;
use upheld_model::Mono;
use upheld_store::Tx;

use super::{KEY_KEPT, LIVED_EVERY};
use crate::{Desk, DeskError};

/// What a collector read on the clock of lived time last, and when by its own monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lived {
    shown: Timestamp,
    at: Mono,
}

impl Lived {
    /// What the clock shows now, where it says `stored`.
    fn now(self, stored: Timestamp, now: Mono) -> Timestamp {
        let since = now.since(self.at);
        stored.max(self.shown.saturating_add(since).unwrap_or(stored))
    }
}

impl Desk {
    /// Puts the clock of lived time forward, and forgets keys that are older by it than [`KEY_KEPT`]. Call it each hour: it
    /// counts the time between two calls.
    pub(crate) async fn live(&self, wall: Timestamp) -> Result<u64, DeskError> {
        let Some(mono) = self.own().reading.map(|reading| reading.mono) else { return Ok(0) };
        let before = *self.shared.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let (shown, forgotten) = self
            .store
            .write("desk.live", move |tx| {
                let stored = shown(tx, wall)?;
                let now = before.map_or(stored, |before| before.now(stored, mono));
                tx.set_lived(now)?;
                let forgotten = tx.forget_commands(kept_since(now))?;
                Ok::<_, DeskError>((now, forgotten))
            })
            .await?;
        *self.shared.lived.lock().unwrap_or_else(PoisonError::into_inner) = Some(Lived { shown, at: mono });
        Ok(forgotten)
    }
}

/// What the clock of lived time shows; it begins with the wall clock's time, and is none from then on.
pub(super) fn shown(tx: &mut dyn Tx, wall: Timestamp) -> Result<Timestamp, DeskError> {
    if let Some(shown) = tx.lived()? {
        return Ok(shown);
    }
    tx.set_lived(wall)?;
    Ok(wall)
}

/// Keys that were stamped earlier are forgotten. The clock is put forward by the hour: a stamp may be older than its key.
pub(super) fn kept_since(shown: Timestamp) -> Timestamp {
    shown.saturating_sub(KEY_KEPT.saturating_add(LIVED_EVERY)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn mono(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn several_collectors_put_it_forward_by_no_more_than_the_time_that_passed() {
        // One lives from 0 on and the other from 1,800 s on, each by a clock of its own; both look every hour.
        let (mut first, mut second) = (Lived { shown: at(0), at: mono(7) }, Lived { shown: at(0), at: mono(500_000) });
        let mut stored = at(0);
        for hour in 1..50u64 {
            stored = first.now(stored, mono(7 + hour * 3_600));
            first = Lived { shown: stored, at: mono(7 + hour * 3_600) };
            assert_eq!(stored, at(i64::try_from(hour * 3_600).unwrap()));
            stored = second.now(stored, mono(500_000 + hour * 3_600));
            second = Lived { shown: stored, at: mono(500_000 + hour * 3_600) };
            assert!(stored <= at(i64::try_from(hour * 3_600 + 1_800).unwrap()));
        }
    }

    #[test]
    fn what_another_has_put_further_stays() {
        assert_eq!(Lived { shown: at(10), at: mono(1) }.now(at(5_000), mono(100)), at(5_000));
    }
}
