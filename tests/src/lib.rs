//! End to end: the real binaries against real peers.
