//! A bar on standard error for long replays: on a terminal only, so that what is piped stays clean.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// The time between two drawings: a person sees it move, and drawing costs nothing beside the work.
const EVERY: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// How far it is.
pub(super) struct Progress {
    what: &'static str,
    is_shown: bool,
    done: u64,
    drawn: Option<Instant>,
}

impl Progress {
    /// A bar that is drawn only where somebody looks.
    pub(super) fn new(what: &'static str, is_hidden: bool) -> Self {
        Self { what, is_shown: !is_hidden && io::stderr().is_terminal(), done: 0, drawn: None }
    }

    /// One more is done; `part` of all in thousandths, where that is known.
    pub(super) fn one(&mut self, part: Option<u64>) {
        self.done += 1;
        if !self.is_shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        // A terminal that has gone away is no failure of the replay.
        let _ = write!(io::stderr(), "\r{}", bar(self.done, self.what, part));
    }

    /// Leaves the line empty.
    pub(super) fn end(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r{:width$}\r", "", width = WIDTH + 40);
        }
    }
}

fn bar(done: u64, what: &str, part: Option<u64>) -> String {
    match part {
        Some(part) => {
            let full = usize::try_from(part.min(1000)).unwrap_or(0) * WIDTH / 1000;
            format!("[{}{}] {:>3} %  {done} {what}", "#".repeat(full), " ".repeat(WIDTH - full), part.min(1000) / 10)
        }
        None => format!("{done} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_bar_fills_and_never_overflows() {
        assert_eq!(bar(3, "incidents", Some(500)), "[###############               ]  50 %  3 incidents");
        assert_eq!(bar(3, "incidents", Some(2_000)).matches('#').count(), 30);
        assert_eq!(bar(3, "incidents", None), "3 incidents");
    }
}
