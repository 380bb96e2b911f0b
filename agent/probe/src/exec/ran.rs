//! What a run of a program came to, whatever system ran it.

/// The most that is kept of what it complains about.
pub(super) const COMPLAINT_MAX: usize = 512;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    /// Windows has none.
    #[cfg_attr(windows, allow(dead_code))]
    Signal(i32),
    /// It was ended at its deadline.
    TooLate,
}

/// A run, and what it printed.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    /// At most as many bytes as were asked for.
    pub(super) out: Vec<u8>,
    /// Whether it printed more than that.
    pub(super) is_cut: bool,
    /// The beginning of what it wrote to its standard error.
    pub(super) complaint: String,
}
