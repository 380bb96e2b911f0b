//! The desk as a whole, over a real database and in virtual time.

mod access;
mod chain;
mod clocks;
mod delivery;
mod enrolment;
mod maintenance;
mod outbox;
mod people;
mod silence;
mod world;
