//! The end of one run, which every phase of a probe shares.

use std::time::{Duration, Instant};

/// A moment by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// A deadline so much later than this moment.
    pub(crate) fn after(left: Duration) -> Self {
        Self(Instant::now() + left)
    }

    /// The time that is left; zero when it has passed.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// An earlier deadline: this one's remaining time divided by `parts`.
    pub(crate) fn share(self, parts: usize) -> Self {
        Self::after(self.left() / u32::try_from(parts.max(1)).unwrap_or(u32::MAX))
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.left().is_zero()
    }

    /// Runs something up to the deadline; `None` when it did not end in time.
    pub(crate) async fn bound<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.left(), work).await.ok()
    }
}
