//! How often one agent, or one address at the enrolment door, may ask (SECURITY 20): a bucket of tokens each.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A bucket per name.
pub(super) struct Rate<K> {
    per_second: f64,
    burst: f64,
    buckets: Mutex<BTreeMap<K, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Buckets kept at once; beyond it the full ones are thrown away, which changes nothing for their owners.
const BUCKETS_MAX: usize = 10_000;

impl<K: Ord + Clone> Rate<K> {
    /// So many requests a second, and so many at once after a rest.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.into(), burst: burst.into(), buckets: Mutex::default() }
    }

    /// Takes a token, or says how long to wait for one.
    pub(super) fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        // A panic while the lock was held cannot have left a bucket half changed: each is two plain numbers.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| self.tokens(bucket, now) < self.burst);
        }
        let bucket = buckets.entry(who.clone()).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = self.tokens(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }

    fn tokens(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + since * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_20_a_burst_is_taken_then_the_rate_holds_and_others_are_untouched() {
        let rate = Rate::new(2, 3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rate.take(&"a", start), Ok(()));
        }
        assert_eq!(rate.take(&"a", start), Err(Duration::from_millis(500)));
        assert_eq!(rate.take(&"b", start), Ok(()));
        assert_eq!(rate.take(&"a", start + Duration::from_millis(500)), Ok(()));
        assert!(rate.take(&"a", start + Duration::from_millis(500)).is_err());
    }

    #[test]
    fn names_that_rest_are_forgotten_before_memory_grows() {
        let rate = Rate::new(1, 1);
        let start = Instant::now();
        for name in 0..BUCKETS_MAX {
            rate.take(&name, start).unwrap();
        }
        rate.take(&BUCKETS_MAX, start + Duration::from_secs(2)).unwrap();
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
