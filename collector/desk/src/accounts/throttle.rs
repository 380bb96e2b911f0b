//! How often a password may be tried (SECURITY 27): a pure machine, bounded in memory, which forgets when the program
//! ends.
//!
//! Each try counts as a failure from the moment it begins, so that a hundred at once are a hundred; a success takes it
//! back. Three counts hold a try up, each after some free ones for the double of the last wait, at most [`WAIT_MAX`]:
//!
//! - of the source's address, whatever account it asks for;
//! - of the account, from all addresses from which it was not entered before;
//! - of the account from one address from which it was entered within [`KNOWN_FOR`]. There the other two do not hold.
//!
//! So nobody locks an owner out of his account by failing in his name: from where he logs in every day he waits for his
//! own failures only. From elsewhere he may have to wait while such an attack lasts; the one-time links of the host's
//! command line and the links of a reset are never held up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};
use upheld_model::Digest;

/// Failures of one account, or of one account at one address, before a wait.
pub const FREE_OF_ACCOUNT: u32 = 5;
/// Failures of one address before a wait: a whole office may stand behind it.
pub const FREE_OF_SOURCE: u32 = 20;
/// The first wait; each further failure doubles it.
pub const WAIT_FIRST: SignedDuration = SignedDuration::from_secs(2);
/// The longest wait: about a hundred tries a day against one account.
pub const WAIT_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Failures are forgotten so long after the last one's wait.
pub const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// An address is known to an account for so long after it was entered from there.
pub const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How many counts, and how many known addresses, are kept; the ones that say least go first.
pub const KEPT: usize = 10_000;

/// Where a try comes from: an address, of IPv6 its network of 64 bits, which is what one line is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source([u8; 8]);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                // 0::/32 is given to nobody: no network of IPv6 looks so.
                Self([0, 0, 0, 0, a, b, c, d])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Whether a try may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes; it counts as a failure until [`Throttle::succeeded`].
    Go,
    /// Not before this instant.
    Wait {
        /// Whose end is told to whoever asks.
        until: Timestamp,
        /// Whether this wait is told for the first time: for the audit, which a flood must not fill.
        is_news: bool,
    },
}

/// Whose failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Source(Source),
    Account(Digest),
    Pair(Digest, Source),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    failures: u32,
    last: Timestamp,
    is_told: bool,
}

/// The counts.
#[derive(Debug, Default)]
pub struct Throttle {
    counts: BTreeMap<Key, Count>,
    /// The same by the last failure, so that the stalest is found.
    by_last: BTreeSet<(Timestamp, Key)>,
    known: BTreeMap<(Digest, Source), Timestamp>,
    by_entry: BTreeSet<(Timestamp, (Digest, Source))>,
}

impl Throttle {
    /// A try to enter `account` (a hash of the name that was typed) from `source`, which begins if the answer is
    /// [`Answer::Go`].
    pub fn begin(&mut self, account: Digest, source: Source, now: Timestamp) -> Answer {
        let keys = self.keys(account, source, now);
        for key in keys.iter().flatten() {
            self.heed_a_clock_set_back(*key, now);
        }
        let held = keys.iter().flatten().filter_map(|key| self.wait_of(key, now).map(|until| (until, *key)));
        if let Some((until, key)) = held.max() {
            let count = self.counts.get_mut(&key);
            let is_news = count.is_some_and(|count| !std::mem::replace(&mut count.is_told, true));
            return Answer::Wait { until, is_news };
        }
        for key in keys.into_iter().flatten() {
            self.fail(key, now);
        }
        Answer::Go
    }

    /// The try succeeded: it was no failure, and the account is known at this address.
    pub fn succeeded(&mut self, account: Digest, source: Source, now: Timestamp) {
        // Whoever may enter has not guessed; failures of others at the account and at the address stay.
        self.take_back(Key::Account(account));
        self.take_back(Key::Source(source));
        self.forget(Key::Pair(account, source));
        let pair = (account, source);
        if let Some(before) = self.known.insert(pair, now) {
            self.by_entry.remove(&(before, pair));
        }
        self.by_entry.insert((now, pair));
        if self.known.len() > KEPT
            && let Some((_, stalest)) = self.by_entry.pop_first()
        {
            self.known.remove(&stalest);
        }
    }

    /// How many counts are kept.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nobody failed lately.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn keys(&self, account: Digest, source: Source, now: Timestamp) -> [Option<Key>; 2] {
        let entered = self.known.get(&(account, source));
        if entered.is_some_and(|entered| now.duration_since(*entered) < KNOWN_FOR) {
            [Some(Key::Pair(account, source)), None]
        } else {
            [Some(Key::Source(source)), Some(Key::Account(account))]
        }
    }

    /// What failed in the future failed now: a clock that was set back prolongs no wait.
    fn heed_a_clock_set_back(&mut self, key: Key, now: Timestamp) {
        if let Some(count) = self.counts.get_mut(&key).filter(|count| count.last > now) {
            self.by_last.remove(&(count.last, key));
            count.last = now;
            self.by_last.insert((now, key));
        }
    }

    /// Until when a count holds a try up.
    fn wait_of(&self, key: &Key, now: Timestamp) -> Option<Timestamp> {
        let count = self.counts.get(key)?;
        let wait = wait_after(key, count.failures);
        let until = count.last.saturating_add(wait).ok()?;
        (until > now).then_some(until)
    }

    fn fail(&mut self, key: Key, now: Timestamp) {
        let before = self.counts.get(&key).copied();
        let still =
            before.filter(|count| now.duration_since(count.last) < wait_after(&key, count.failures) + FORGET_AFTER);
        let failures = still.map_or(0, |count| count.failures).saturating_add(1);
        if let Some(count) = before {
            self.by_last.remove(&(count.last, key));
        }
        self.counts.insert(key, Count { failures, last: now, is_told: false });
        self.by_last.insert((now, key));
        if self.counts.len() > KEPT
            && let Some((_, stalest)) = self.by_last.pop_first()
        {
            self.counts.remove(&stalest);
        }
    }

    fn take_back(&mut self, key: Key) {
        if let Some(count) = self.counts.get_mut(&key) {
            count.failures = count.failures.saturating_sub(1);
            if count.failures == 0 {
                self.forget(key);
            }
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(count) = self.counts.remove(&key) {
            self.by_last.remove(&(count.last, key));
        }
    }
}

/// How long nothing may be tried after that many failures.
fn wait_after(key: &Key, failures: u32) -> SignedDuration {
    let free = match key {
        Key::Source(_) => FREE_OF_SOURCE,
        Key::Account(_) | Key::Pair(..) => FREE_OF_ACCOUNT,
    };
    let Some(doublings) = failures.checked_sub(free) else { return SignedDuration::ZERO };
    let factor = 1_i32.checked_shl(doublings.min(30)).unwrap_or(i32::MAX);
    WAIT_FIRST.saturating_mul(factor).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn after_the_free_tries_each_failure_doubles_the_wait() {
        let (mut throttle, mut now) = (Throttle::default(), start());
        let mut waits = Vec::new();
        for _ in 0..FREE_OF_ACCOUNT {
            assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go);
        }
        for _ in 0..12 {
            let Answer::Wait { until, is_news: true } = throttle.begin(ANA, from(1), now) else { panic!("no wait") };
            assert_eq!(throttle.begin(ANA, from(1), now), Answer::Wait { until, is_news: false }, "told once");
            waits.push(until.duration_since(now).as_secs());
            now = until;
            assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go, "the wait is over when it was said to be");
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        now += WAIT_MAX + FORGET_AFTER;
        for _ in 0..FREE_OF_ACCOUNT {
            assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go, "all of it is forgotten");
        }
    }

    #[test]
    fn tries_that_begin_at_once_are_counted_at_once() {
        let mut throttle = Throttle::default();
        let begun = (0..100).filter(|_| throttle.begin(ANA, from(1), start()) == Answer::Go).count();
        assert_eq!(begun, FREE_OF_ACCOUNT as usize);
    }

    #[test]
    fn strangers_who_fail_in_an_owners_name_do_not_hold_him_up_where_he_is_known() {
        let (mut throttle, now) = (Throttle::default(), start());
        assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go);
        throttle.succeeded(ANA, from(1), now);
        for stranger in 10..60 {
            throttle.begin(ANA, from(stranger), now);
        }
        assert!(matches!(throttle.begin(ANA, from(99), now), Answer::Wait { .. }), "other addresses wait");
        assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go);
        throttle.succeeded(ANA, from(1), now);
        for _ in 0..FREE_OF_ACCOUNT {
            assert_eq!(throttle.begin(ANA, from(1), now), Answer::Go, "his own failures count from none");
        }
        assert!(matches!(throttle.begin(ANA, from(1), now), Answer::Wait { .. }), "and then hold him up too");
        let later = now + KNOWN_FOR;
        for stranger in 10..60 {
            throttle.begin(ANA, from(stranger), later);
        }
        assert!(matches!(throttle.begin(ANA, from(1), later), Answer::Wait { .. }), "after a month he is a stranger");
    }

    #[test]
    fn one_address_that_tries_many_names_waits_and_others_do_not() {
        let (mut throttle, now) = (Throttle::default(), start());
        let begun = (0..100).filter(|name| throttle.begin(Digest([*name; 32]), from(1), now) == Answer::Go).count();
        assert_eq!(begun, FREE_OF_SOURCE as usize);
        assert_eq!(throttle.begin(ANA, from(2), now), Answer::Go);
    }

    #[test]
    fn people_of_one_office_who_log_in_do_not_use_up_its_tries() {
        let (mut throttle, now) = (Throttle::default(), start());
        for name in 0..200 {
            let account = Digest([name; 32]);
            assert_eq!(throttle.begin(account, from(1), now), Answer::Go, "{name}");
            throttle.succeeded(account, from(1), now);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_wait() {
        let (mut throttle, now) = (Throttle::default(), start());
        for _ in 0..FREE_OF_ACCOUNT {
            throttle.begin(ANA, from(1), now);
        }
        let before = now - SignedDuration::from_hours(24);
        let Answer::Wait { until, .. } = throttle.begin(ANA, from(1), before) else { panic!("no wait") };
        assert_eq!(until, before + WAIT_FIRST);
        assert_eq!(throttle.begin(ANA, from(1), until), Answer::Go);
    }

    #[test]
    fn one_line_of_ipv6_is_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.7"), source("192.0.2.7"));
    }

    proptest! {
        /// Whatever is tried, whenever, also by a clock that goes back: memory is bounded, no wait is longer than said,
        /// and whoever waits as long as he is told may try.
        #[test]
        fn memory_is_bounded_and_no_wait_lasts_for_ever(tries in prop::collection::vec((0u8..4, 0u8..30, -400i64..4_000, any::<bool>()), 1..400)) {
            let (mut throttle, mut now) = (Throttle::default(), start());
            for (name, address, seconds, is_right) in tries {
                now += SignedDuration::from_secs(seconds);
                let (account, source) = (Digest([name; 32]), from(address));
                match throttle.begin(account, source, now) {
                    Answer::Go if is_right => throttle.succeeded(account, source, now),
                    Answer::Go => {}
                    Answer::Wait { until, .. } => {
                        prop_assert!(until > now && until.duration_since(now) <= WAIT_MAX);
                        prop_assert_eq!(throttle.begin(account, source, until), Answer::Go);
                    }
                }
                prop_assert!(throttle.len() <= KEPT);
                prop_assert_eq!(throttle.counts.len(), throttle.by_last.len());
                prop_assert_eq!(throttle.known.len(), throttle.by_entry.len());
            }
        }
    }

    #[test]
    fn a_flood_of_names_and_addresses_is_forgotten_from_its_stale_end() {
        let (mut throttle, now) = (Throttle::default(), start());
        for count in 0..30_000_u32 {
            let mut name = [0; 32];
            name[..4].copy_from_slice(&count.to_be_bytes());
            let source = Source::from(IpAddr::from(count.to_be_bytes()));
            let at = now + SignedDuration::from_millis(i64::from(count));
            assert_eq!(throttle.begin(Digest(name), source, at), Answer::Go);
            throttle.succeeded(Digest(name), source, at);
            throttle.begin(Digest(name), Source::from(IpAddr::from((count + 1).to_be_bytes())), at);
        }
        assert!(throttle.len() <= KEPT, "{}", throttle.len());
        assert_eq!(throttle.known.len(), KEPT);
    }

    const ANA: Digest = Digest([0xaa; 32]);

    fn start() -> Timestamp {
        "2026-11-28T09:00:00Z".parse().unwrap()
    }

    fn from(last: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, last]))
    }
}
