//! Following a collector whose facts are in PostgreSQL: by PostgreSQL's own programs, into a folder.
//!
//! ```text
//! archive.json              which server, which slot: written once
//! base-20261128T220500Z/    a copy of the whole server by pg_basebackup; PostgreSQL's data directory
//! wal/                      its log by pg_receivewal, to the last commit
//! wal-until-…/              the log before a gap, until there is a copy of the whole behind it
//! own-20261128T220500Z.backup   the collector's settings, secrets and keys: a backup without facts
//! head.json                 up to which moment everything is there
//! follow.lock               held by the one that follows
//! ```
//!
//! The server keeps for its slot what is not in the folder yet, so a follower that was away goes on where it ended.

mod child;
mod folder;
mod log;
mod program;
mod programs;
mod ready;
mod restore;
mod run;
mod slot;
mod standing;
mod verify;

pub(crate) use folder::Archive;
pub(crate) use restore::{Made, make};
pub(crate) use run::{How, follow};
pub(crate) use slot::SLOTS;
pub(crate) use standing::held_back;
pub(crate) use verify::check;
