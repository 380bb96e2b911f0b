//! Bad input, from outside, with the real programs: each is said with what to do, ends with the exit code of
//! docs/exit-codes.md, and loses nothing.
//!
//! What one program can show alone stands in its own tests (`collector/server/tests/cli.rs`,
//! `agent/app/tests/agent/`); docs/security.md says where.

#[path = "bad_input/clock.rs"]
mod clock;
#[path = "bad_input/database.rs"]
mod database;
#[path = "bad_input/door.rs"]
mod door;
#[path = "bad_input/enrolment.rs"]
mod enrolment;
#[path = "bad_input/journal.rs"]
mod journal;
#[path = "bad_input/words.rs"]
mod words;

use upheld_tests::watched::{allow, collector, serving_with, tcp_asset};
