//! The transaction as the desk sees it: the sum of the aggregates' traits.

/// A snapshot to read from.
pub trait ReadTx {}

/// A transaction to read and write in.
pub trait Tx: ReadTx {}
