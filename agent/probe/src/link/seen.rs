//! One interface at one moment, whatever system tells of it.

use std::io;

/// An interface at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The system's number for it: an adapter that is unplugged comes back with another.
    pub(super) index: u32,
    /// Its hardware address.
    pub(super) address: String,
    /// Whether it is meant to be up.
    pub(super) is_enabled: bool,
    pub(super) has_carrier: bool,
    /// `None` where there is no such thing: without carrier, on most virtual adapters, on radio.
    pub(super) speed_mbps: Option<u32>,
    pub(super) is_half_duplex: Option<bool>,
    /// By name, since the system made the interface.
    pub(super) counters: Vec<(&'static str, u64)>,
}

/// Why an interface cannot be told about.
#[derive(Debug)]
pub(super) enum Unseen {
    /// There is none of this name; these are there.
    Missing {
        others: Vec<String>,
    },
    /// What `/sys` shows are another namespace's interfaces.
    #[cfg(target_os = "linux")]
    OtherNamespace,
    Unreadable {
        error: io::Error,
    },
}
