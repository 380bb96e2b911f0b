//! The desk as a whole, over a real database and in virtual time.

mod access;
mod accounts;
mod book;
mod chain;
mod clocks;
mod commands;
mod commissioning;
mod delivery;
mod drill;
mod enrolment;
mod facts;
mod figures;
mod jobs;
mod judging;
mod mail;
mod maintenance;
mod off;
mod outbox;
mod own;
mod passwords;
mod people;
mod recovery;
mod silence;
mod storm;
mod weekly;
pub(crate) mod world;
