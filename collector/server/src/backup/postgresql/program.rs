//! A program that is started again when it ends, ever later.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::child::{Child, Surroundings};
use crate::failure::Failure;

/// How long to wait before a program that ended is started again; the last one for ever.
const AGAIN: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];
/// One that ran for so long has shown that it works.
const WORKS: Duration = Duration::from_secs(60);
/// A program of PostgreSQL's: running, or to be started again after a while.
#[derive(Debug, Default)]
pub(super) struct Program {
    child: Option<(Child, Instant)>,
    failures: usize,
    not_before: Option<Instant>,
}

impl Program {
    pub(super) fn start(&mut self, path: &Path, arguments: &[&str], environment: &Surroundings) -> Result<(), Failure> {
        self.child = Some((Child::start(path, arguments, environment)?, Instant::now()));
        Ok(())
    }

    pub(super) fn is_due(&self) -> bool {
        self.child.is_none() && self.not_before.is_none_or(|not_before| Instant::now() >= not_before)
    }

    /// Whether it has ended, and how.
    pub(super) fn finished(&mut self) -> Option<Result<(), String>> {
        let (child, since) = self.child.as_mut()?;
        let ended = child.ended()?;
        if ended.is_ok() || since.elapsed() >= WORKS {
            self.failures = 0;
        }
        self.child = None;
        self.put_off();
        Some(ended)
    }

    /// It could not have been started: after a while again, as if it had ended.
    pub(super) fn put_off(&mut self) {
        let wait = AGAIN.get(self.failures).or(AGAIN.last()).copied().unwrap_or(WORKS);
        self.not_before = Some(Instant::now() + wait);
        self.failures += 1;
    }

    /// Of one that never ends by itself: whether it has, and why.
    pub(super) fn ended(&mut self) -> Option<String> {
        let ended = self.finished()?;
        Some(ended.err().unwrap_or_else(|| "pg_receivewal ended".to_owned()))
    }

    pub(super) fn end(&mut self) {
        self.child = None;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_started_again_ever_later_and_what_ended_well_at_once() {
        let mut program = Program::default();
        assert!(program.is_due());
        for wait in [1, 2, 5, 15, 30, 30] {
            program.start(Path::new("/bin/false"), &[], &[]).unwrap();
            assert!(!program.is_due(), "it runs");
            let begun = Instant::now();
            while program.ended().is_none() {
                assert!(begun.elapsed() < WORKS, "it does not end");
            }
            let left = program.not_before.unwrap().duration_since(begun);
            assert!(!program.is_due() && left >= Duration::from_secs(wait), "{wait}: {left:?}");
        }
        program.start(Path::new("/bin/true"), &[], &[]).unwrap();
        while program.finished().is_none() {}
        assert_eq!(program.failures, 1);
    }
}
