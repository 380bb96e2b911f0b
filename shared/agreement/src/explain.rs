//! Explanations (stub while the rest is written).

/// A duration as people read it.
pub fn duration(seconds: u64) -> String {
    format!("{seconds} s")
}
