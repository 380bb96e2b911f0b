//! When it is tried again: a pure function of how often it was tried and what went wrong.

use std::time::Duration;

/// Tries after the first one to begin a transaction: 1.6 s in all.
pub(super) const TO_BEGIN: u32 = 5;
/// Tries to learn what became of a commit: 26 s in all, in which a server that crashed is back.
pub(super) const TO_SETTLE: u32 = 9;
/// Before the second try; each later wait is twice as long.
const FIRST: Duration = Duration::from_millis(50);

/// What went wrong before anything of a transaction was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The database chose this transaction to give way: 40001, 40P01.
    GaveWay,
    /// The connection was lost, or the server is starting or stopping.
    Lost,
    /// Anything else: it would go wrong again.
    Other,
}

/// How long to wait before the try after `tried` ones that failed, of `most` and one; `None` when it is not tried again.
pub(super) fn wait(tried: u32, most: u32, trouble: Trouble) -> Option<Duration> {
    match trouble {
        Trouble::GaveWay | Trouble::Lost if (1..=most).contains(&tried) => Some(FIRST * 2_u32.pow(tried - 1)),
        Trouble::GaveWay | Trouble::Lost | Trouble::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_a_bounded_number_of_times_and_ever_later() {
        for trouble in [Trouble::GaveWay, Trouble::Lost] {
            let waits: Vec<_> = (1..100).map_while(|tried| wait(tried, TO_BEGIN, trouble)).collect();
            assert_eq!(waits.len(), 5);
            assert!(waits.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(waits.iter().sum::<Duration>() < Duration::from_secs(2));
        }
        assert_eq!(wait(1, TO_SETTLE, Trouble::Other), None);
        assert_eq!(wait(0, TO_SETTLE, Trouble::Lost), None);
    }
}
