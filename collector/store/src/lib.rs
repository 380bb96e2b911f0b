//! Facts and rows behind narrow traits: the embedded database, or PostgreSQL.
//!
//! A [`Store`] runs closures in transactions: [`Store::write`] hands out a [`Tx`], [`Store::read`] a [`ReadTx`]. The
//! closures are synchronous on purpose: the desk's code is written once, whatever database is beneath. Answers come after
//! the commit, and a commit is synced.
//!
//! One module per aggregate holds its row types, its traits and its SQL. The crate knows nothing of what rows mean:
//! it stores judgements as text that others write and read, beside the few columns that it indexes. It fails with
//! [`StoreError`], whose variants are what a caller may do differently. Where to look next: `sql` for how a query is
//! written once for all databases; [`sqlite`] for files and locks; [`postgres`] for a server; `writer` for group
//! commit; the `conformance` tests for what every backend must do.

pub mod acceptances;
pub mod access;
pub mod agents;
pub mod ahead;
pub mod audit;
mod backend;
pub mod books;
pub mod certificates;
pub mod clocks;
pub mod commands;
#[cfg(test)]
mod conformance;
pub mod digests;
mod error;
pub mod facts;
pub mod findings;
pub mod forgotten;
#[cfg(test)]
mod golden;
mod handle;
#[cfg(test)]
mod hot;
pub mod incidents;
pub mod jobs;
pub mod leases;
pub mod ledger;
pub mod maintenance;
pub mod outages;
pub mod outbox;
pub mod people;
pub mod postgres;
pub mod proposals;
pub mod records;
pub mod restores;
pub mod retention;
pub mod runs;
pub mod sealed;
pub mod site_tokens;
mod sql;
pub mod sqlite;
pub mod tokens;
mod tx;
pub mod users;
mod writer;

pub use error::StoreError;
pub use handle::Store;
pub use tx::{ReadTx, Tx};
