//! Signed entries that a client can verify without trusting anyone.
#![forbid(unsafe_code)]
