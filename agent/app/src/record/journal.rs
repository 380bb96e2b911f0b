//! Samples out of this host's journal, which may be written to by a running agent meanwhile.
//!
//! The journal's own reader opens it, over a disk that takes every change and makes none: what opening would mend or
//! begin stays a thought. A record that is being written while it is read is not whole and is left out.

use jiff::Timestamp;
use upheld_delivery::{
    Moment,
    journal::{Journal, JournalError, Position, Settings},
    storage::{Storage, StorageError},
};
use upheld_model::{AgentEvent, ObservedAt};

use super::out::Out;
use crate::{
    clocks,
    disk::Disk,
    failure::{Code, Failure},
    state::StateFolder,
};

pub(super) fn write(state: &StateFolder, since: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let folder = state.journal();
    if !folder.exists() {
        return Err(Failure::new(Code::Failed, format!("there is no journal in {}", folder.display()))
            .help("run the agent first, or record without --since"));
    }
    let unreadable = |error: JournalError| {
        Failure::new(Code::Failed, format!("cannot read the journal in {}", folder.display()))
            .because(error)
            .help("an agent that runs may just have given up a part of it: try again")
    };
    let disk = Disk::open(&folder).map_err(|error| state.unusable(error))?;
    let now = Moment { mono: clocks::mono(), wall: ObservedAt(clocks::wall()) };
    // Names of epochs that are drawn here are written nowhere.
    let random = Box::new(|bytes: &mut [u8]| bytes.fill(0));
    let (mut journal, _) = Journal::open(OnlyRead(disk), Settings::default(), random, now).map_err(unreadable)?;
    let mut written = Ok(());
    let read = journal.each_body_since(Position::BEGIN, |body| {
        for sample in body.samples.iter().filter(|sample| sample.at.0 >= since) {
            if written.is_ok() {
                written = out.sample(sample);
            }
        }
        for event in &body.events {
            if let AgentEvent::Ran { at, job, ended, started, printed: _ } = event
                && at.0 >= since
                && written.is_ok()
            {
                written = out.run(job, *at, *ended, *started);
            }
        }
    });
    read.map_err(unreadable)?;
    written
}

/// A disk that is only read.
struct OnlyRead(Disk);

impl Storage for OnlyRead {
    fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        self.0.list()
    }

    fn read(&self, name: &str, at: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        self.0.read(name, at, into)
    }

    fn create(&mut self, _: &str) -> Result<(), StorageError> {
        Ok(())
    }

    fn append(&mut self, _: &str, _: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }

    fn sync(&mut self, _: &str) -> Result<(), StorageError> {
        Ok(())
    }

    fn truncate(&mut self, _: &str, _: u64) -> Result<(), StorageError> {
        Ok(())
    }

    fn rename(&mut self, _: &str, _: &str) -> Result<(), StorageError> {
        Ok(())
    }

    fn remove(&mut self, _: &str) -> Result<(), StorageError> {
        Ok(())
    }

    fn sync_dir(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
