//! The slot by which a server keeps its log for whoever follows: made, taken up again, or found to be gone.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use upheld_store::postgres::follow::{Server, Slot};

use super::{
    folder::{Archive, Identity},
    log::log_files,
    run::Tell,
};
use crate::{
    backup::{News, hex},
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, create_private_folder},
};

/// How the names of all followers' slots begin.
pub(crate) const SLOTS: &str = "upheld_";
/// How long another reader of our slot is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether it is gone.
const POLL: Duration = Duration::from_millis(500);

/// A server, and the folder into which it is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) folder: Archive,
    pub(super) identity: Identity,
    pub(super) server: Server,
}

impl Followed {
    /// Makes the slot, or finds whether the log goes on from what is in the folder. Answers when the newest copy was begun
    /// that it goes on from; `None` where one is to be taken.
    pub(super) fn take_slot(&self, tell: Tell<'_>) -> Result<Option<Timestamp>, Failure> {
        let slot = &self.identity.slot;
        let found = self.wait_for_the_reader_to_go()?;
        let usable = found.as_ref().filter(|slot| slot.kept.is_some() && slot.state != "lost");
        let newest = self.folder.bases()?.pop();
        if let Some(usable) = usable
            && self.log_goes_on_from(usable)?
        {
            let gap = self.folder.logs_aside()?.pop().map(|(until, _)| until);
            return Ok(newest.map(|base| base.at).filter(|at| gap.is_none_or(|gap| *at >= gap)));
        }
        let is_new = newest.is_none() && log_files(&self.folder.log(), self.identity.segment)?.is_empty();
        if !is_new {
            self.folder.set_log_aside(Timestamp::now())?;
            create_private_folder(&self.folder.log())?;
            tell(News::Warning(format!(
                "The server no longer has the log that follows what is in {} (slot {slot}): a new copy of the whole is \
                 taken. Until it is there, only what was followed before can be restored.",
                self.folder.path().display()
            )))?;
        }
        if usable.is_none() {
            if found.is_some() {
                self.server.drop_slot(slot)?;
            }
            self.server.make_slot(slot)?;
        }
        Ok(None)
    }

    fn log_goes_on_from(&self, slot: &Slot) -> Result<bool, Failure> {
        let Some(kept) = slot.kept else { return Ok(false) };
        let segment = self.identity.segment;
        // pg_receivewal begins a file that is not whole again, and else the next one.
        match log_files(&self.folder.log(), segment)?.last() {
            Some((number, file)) => Ok(number + u64::from(!file.is_partial) >= kept.0 / segment),
            None => Ok(self.folder.bases()?.is_empty()),
        }
    }

    /// The slot, once nobody else reads by it: whoever followed before us is gone a moment later.
    fn wait_for_the_reader_to_go(&self) -> Result<Option<Slot>, Failure> {
        let begun = Instant::now();
        loop {
            let slot = self.server.standing(&self.identity.slot)?.slot;
            let Some(reader) = slot.as_ref().and_then(|slot| slot.reader) else { return Ok(slot) };
            if begun.elapsed() > PATIENCE {
                let slot = &self.identity.slot;
                return Err(Failure::new(
                    Exit::AlreadyRunning,
                    format!("the slot {slot} is being read by another program"),
                )
                .because(format!("session {reader} of {} reads by it", self.server.shown()))
                .todo("stop the other `backup --follow` first")
                .todo(format!(
                    "or end that session, if nothing is left of it: psql -c 'SELECT pg_terminate_backend({reader})'"
                )));
            }
            thread::sleep(POLL);
        }
    }
}

/// The slot of this collector for this folder of this host: found again where the folder was lost.
pub(super) fn name_of_slot(data: &DataDir, into: &Path) -> Result<String, Failure> {
    let root = data.pki().join("root.pem");
    let mut digest = Sha256::new();
    digest.update(fs::read(&root).map_err(FileError::of("read", &root))?);
    #[cfg(unix)]
    digest.update(rustix::system::uname().nodename().to_bytes());
    let path = std::path::absolute(into).unwrap_or_else(|_| into.to_owned());
    digest.update(path.as_os_str().as_encoded_bytes());
    let name = hex(&digest.finalize());
    Ok(format!("{SLOTS}{}", name.get(..12).unwrap_or(&name)))
}
