//! Programs on another day.

use std::process::Command;

use crate::{Collector, peers::peer_library};

/// A command that reads another wall clock, moved by `offset` (`+60d`). Its monotonic clock stays the machine's: a real
/// wall clock that is wrong leaves that alone too, and a host that was off has a new one anyway.
pub fn on_another_day<'a>(command: &'a mut Command, offset: &str) -> &'a mut Command {
    command
        .env("LD_PRELOAD", peer_library("faketime/libfaketime.so.1"))
        .env("FAKETIME", offset)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
}

/// Starts the collector on another day, and gives its commands that day too.
pub fn serve_on_another_day(collector: &mut Collector, offset: &str) {
    let mut moved = Command::new("true");
    on_another_day(&mut moved, offset);
    collector
        .surroundings(moved.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect());
    collector.serve();
}
