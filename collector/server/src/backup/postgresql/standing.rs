//! What a server's answers mean for the folder that follows it.

use jiff::Timestamp;
use upheld_store::postgres::follow::{Lsn, Slot};

/// So much of its log held back for us is worth a word.
const MUCH: u64 = 1 << 30;

/// What the server had written at a moment, and the folder has not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Awaited(Option<(Lsn, Timestamp)>);

impl Awaited {
    /// The latest moment up to which everything is in the folder, by what its slot says is `kept`: what the server had
    /// written then is before that place. `now` is what it has written, and when that was asked. `None` while it is not
    /// known.
    pub(super) fn reached(&mut self, kept: Lsn, now: (Lsn, Timestamp)) -> Option<(Lsn, Timestamp)> {
        let there = if kept >= now.0 { Some(now) } else { self.0.filter(|(written, _)| kept >= *written) };
        if there.is_some() || self.0.is_none() {
            self.0 = Some(now);
        }
        there
    }
}

/// Whether a server holds back so much of its log that somebody should know: how much, and what comes of it.
pub(crate) fn held_back(slot: &Slot) -> Option<String> {
    let Slot { behind, room, state, .. } = slot;
    let is_near = room.is_some_and(|room| room < MUCH.cast_signed()) && *behind > MUCH / 4;
    if *behind < MUCH && !is_near && state != "unreserved" {
        return None;
    }
    let held = behind >> 20;
    Some(match room {
        Some(room) => {
            let room = (*room).max(0) >> 20;
            format!("{held} MiB, and after {room} MiB more it throws them away (max_slot_wal_keep_size)")
        }
        None => format!("{held} MiB, and more until its disk is full: set max_slot_wal_keep_size"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_folder_that_is_behind_says_no_moment_whose_log_it_lacks() {
        let mut awaited = Awaited::default();
        assert_eq!(awaited.reached(Lsn(50), (Lsn(100), at(1))), None, "nothing is known yet");
        assert_eq!(awaited.reached(Lsn(90), (Lsn(200), at(2))), None);
        assert_eq!(awaited.reached(Lsn(150), (Lsn(300), at(3))), Some((Lsn(100), at(1))), "what was asked first");
        assert_eq!(
            awaited.reached(Lsn(250), (Lsn(400), at(4))),
            None,
            "behind the third, and the second was not kept in mind"
        );
        assert_eq!(awaited.reached(Lsn(300), (Lsn(500), at(5))), Some((Lsn(300), at(3))));
        assert_eq!(awaited.reached(Lsn(600), (Lsn(600), at(6))), Some((Lsn(600), at(6))), "all of it");
        assert_eq!(awaited.reached(Lsn(600), (Lsn(600), at(7))), Some((Lsn(600), at(7))), "nothing is written");
    }

    #[test]
    fn much_that_is_held_back_is_said_and_what_comes_of_it() {
        let slot = |behind: u64, room: Option<i64>, state: &str| Slot {
            reader: None,
            kept: Some(Lsn(0)),
            state: state.to_owned(),
            behind,
            room,
        };
        assert_eq!(held_back(&slot(100 << 20, None, "reserved")), None);
        assert_eq!(held_back(&slot(100 << 20, Some(900 << 20), "extended")), None, "a small bound that is not near");
        assert!(
            held_back(&slot(2 << 30, None, "extended")).unwrap().contains("2048 MiB, and more until its disk is full")
        );
        assert!(held_back(&slot(600 << 20, Some(400 << 20), "extended")).unwrap().contains("after 400 MiB more"));
        assert!(held_back(&slot(10, Some(-5), "unreserved")).unwrap().contains("after 0 MiB more"));
    }
}
