//! A disk in memory that can crash, tear, flip, refuse and fill up, for simulations and tests.
//!
//! It is as unkind as POSIX allows: bytes are durable after `sync` of their file, names after `sync_dir`, and nothing
//! else is; after a failed `sync` the bytes stay readable until the next crash and are zeros after it, even when a
//! later `sync` said that all is well.

use std::{cell::RefCell, collections::BTreeMap, ops::Range, rc::Rc};

pub use crate::spread::next;

use super::{Fault, Storage, StorageError};

/// A handle on a disk; clones share it.
#[derive(Clone)]
pub struct SimStorage {
    disk: Rc<RefCell<Disk>>,
    watcher: Rc<RefCell<Option<Watcher>>>,
}

/// Sees the disk before each changing call, and what an append is about to add to which file.
type Watcher = Box<dyn FnMut(&Disk, Option<(&str, &[u8])>)>;

/// Changing calls that fail.
#[derive(Debug, Clone)]
pub struct Failing {
    /// Which ones, counted from 0 as by [`SimStorage::ops`].
    pub ops: Range<u64>,
    /// What they say.
    pub fault: Fault,
    /// How much of each happened all the same.
    pub done: Done,
}

/// How much of a failed call happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// Half of the bytes of an append (a short write, then an error); of other calls nothing.
    Half,
    /// All of it: only the answer was lost. A sync is none all the same: it dropped what it should have kept.
    All,
}

/// What a crash does to what was not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing: the process was killed, the kernel lives on.
    Kill,
    /// All of it is gone: the strictest power loss.
    Drop,
    /// Some of it is gone, by whole sectors of so many bytes (512 or 4096) and by names, at random.
    Tear(usize),
}

/// Everything on a disk, for a snapshot or a clone.
#[derive(Clone)]
pub struct Disk {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    next_inode: u64,
    ops: u64,
    crash_at: Option<u64>,
    is_down: bool,
    syncs_to_fail: u32,
    failing: Vec<Failing>,
    /// Stretches of files that cannot be read.
    unreadable: Vec<(String, Range<u64>, Fault)>,
    refusal: Option<Fault>,
    capacity: Option<u64>,
    dice: u64,
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Bytes below this one are the same in both.
    same_to: usize,
    /// Stretches that a failed sync dropped.
    dropped: Vec<(usize, usize)>,
}

impl SimStorage {
    /// An empty disk; `seed` decides what tears.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            next_inode: 0,
            ops: 0,
            crash_at: None,
            is_down: false,
            syncs_to_fail: 0,
            failing: Vec::new(),
            unreadable: Vec::new(),
            refusal: None,
            capacity: None,
            dice: seed,
        };
        Self::of(disk)
    }

    /// A disk with this content, for a clone of a machine or a restored snapshot.
    pub fn from_snapshot(snapshot: &Disk) -> Self {
        Self::of(snapshot.clone())
    }

    fn of(disk: Disk) -> Self {
        Self { disk: Rc::new(RefCell::new(disk)), watcher: Rc::new(RefCell::new(None)) }
    }

    /// Shows the disk before each changing call, so that one run gives the state of every crash point. What is shown is
    /// as it is, durable or not: [`SimStorage::from_snapshot`] and [`SimStorage::reboot`] make a crash of it.
    pub fn watch(&self, watcher: impl FnMut(&Disk, Option<(&str, &[u8])>) + 'static) {
        *self.watcher.borrow_mut() = Some(Box::new(watcher));
    }

    /// The disk as it is on the platters, as a snapshot of a running machine would have it.
    pub fn snapshot(&self) -> Disk {
        let mut disk = self.disk.borrow().clone();
        disk.lose(Crash::Drop);
        disk
    }

    /// How many changing calls were made so far.
    pub fn ops(&self) -> u64 {
        self.disk.borrow().ops
    }

    /// Lets the changing call with this number, counted from 0, fail and every call after it, as a killed process
    /// makes no more.
    pub fn crash_at(&self, op: u64) {
        self.disk.borrow_mut().crash_at = Some(op);
    }

    /// Whether the crash has come.
    pub fn is_down(&self) -> bool {
        self.disk.borrow().is_down
    }

    /// The machine comes back after a crash.
    pub fn reboot(&self, crash: Crash) {
        let mut disk = self.disk.borrow_mut();
        disk.lose(crash);
        disk.crash_at = None;
        disk.is_down = false;
    }

    /// The next `count` syncs of files fail with EIO and drop what they should have kept.
    pub fn fail_syncs(&self, count: u32) {
        self.disk.borrow_mut().syncs_to_fail = count;
    }

    /// Lets these changing calls fail.
    pub fn fail(&self, failing: Failing) {
        self.disk.borrow_mut().failing.push(failing);
    }

    /// No call fails any more.
    pub fn stop_failing(&self) {
        self.disk.borrow_mut().failing.clear();
    }

    /// Reads that touch these bytes of a file fail: [`Fault::Broken`] for a bad sector.
    pub fn make_unreadable(&self, name: &str, bytes: Range<u64>, fault: Fault) {
        self.disk.borrow_mut().unreadable.push((name.to_owned(), bytes, fault));
    }

    /// All can be read again.
    pub fn make_readable(&self) {
        self.disk.borrow_mut().unreadable.clear();
    }

    /// Every change is refused with this fault (a read-only disk), or no longer.
    pub fn refuse(&self, fault: Option<Fault>) {
        self.disk.borrow_mut().refusal = fault;
    }

    /// So many bytes fit on the disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.borrow_mut().capacity = bytes;
    }

    /// All bytes in files.
    pub fn used(&self) -> u64 {
        self.disk.borrow().used()
    }

    /// The names and lengths of the files, sorted.
    pub fn files(&self) -> Vec<(String, u64)> {
        let disk = self.disk.borrow();
        disk.names.iter().map(|(name, inode)| (name.clone(), disk.inodes[inode].bytes.len() as u64)).collect()
    }

    /// Changes one durable byte: a flip by `mask`. Says whether there was such a byte.
    pub fn flip(&self, name: &str, at: u64, mask: u8) -> bool {
        let mut disk = self.disk.borrow_mut();
        let Some(inode) = disk.names.get(name).copied() else { return false };
        let (Some(inode), Ok(at)) = (disk.inodes.get_mut(&inode), usize::try_from(at)) else { return false };
        let mut found = false;
        for bytes in [&mut inode.bytes, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
                found = true;
            }
        }
        found
    }

    fn change<T>(
        &self,
        what: &'static str,
        name: &str,
        act: impl FnOnce(&mut Disk) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        let mut disk = self.disk.borrow_mut();
        let op = disk.ops;
        disk.ops += 1;
        let result = if disk.is_down || disk.crash_at == Some(op) {
            disk.is_down = true;
            Err(Fault::Broken)
        } else if let Some(fault) = disk.refusal {
            Err(fault)
        } else if let Some(failing) = disk.failing_at(op) {
            let (fault, done) = (failing.fault, failing.done);
            if done == Done::All || (what == SYNC && name != FOLDER) || (done == Done::Half && what == APPEND) {
                let _ = act(&mut disk);
            }
            Err(fault)
        } else {
            act(&mut disk)
        };
        result.map_err(|fault| error(what, name, fault))
    }

    fn show(&self, append: Option<(&str, &[u8])>) {
        if let Some(watcher) = self.watcher.borrow_mut().as_mut() {
            watcher(&self.disk.borrow(), append);
        }
    }
}

const APPEND: &str = "append to";
const SYNC: &str = "sync";
const FOLDER: &str = "the folder";

fn error(what: &'static str, name: &str, fault: Fault) -> StorageError {
    StorageError { what, name: name.to_owned(), fault, detail: format!("simulated: {fault:?}") }
}

impl Storage for SimStorage {
    fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        if self.is_down() { Err(error("list", FOLDER, Fault::Broken)) } else { Ok(self.files()) }
    }

    fn read(&self, name: &str, at: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        let disk = self.disk.borrow();
        if disk.is_down {
            return Err(error("read", name, Fault::Broken));
        }
        let inode = disk.names.get(name).ok_or_else(|| error("read", name, Fault::Missing))?;
        let wanted = at..at.saturating_add(into.len() as u64);
        let is_bad = |(bad, bytes, _): &&(String, Range<u64>, Fault)| {
            bad == name && bytes.start < wanted.end && wanted.start < bytes.end
        };
        let bytes = &disk.inodes[inode].bytes;
        let bad = disk.unreadable.iter().find(is_bad).filter(|_| wanted.start < bytes.len() as u64);
        if let Some((_, _, fault)) = bad {
            return Err(error("read", name, *fault));
        }
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let count = into.len().min(bytes.len() - from);
        into[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn create(&mut self, name: &str) -> Result<(), StorageError> {
        self.show(None);
        self.change("create", name, |disk| {
            let inode = disk.next_inode;
            disk.next_inode += 1;
            disk.inodes.insert(inode, Inode::default());
            disk.names.insert(name.to_owned(), inode);
            Ok(())
        })
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.show(Some((name, bytes)));
        let is_half = {
            let disk = self.disk.borrow();
            disk.failing_at(disk.ops).is_some_and(|failing| failing.done == Done::Half)
        };
        let bytes = if is_half { &bytes[..bytes.len() / 2] } else { bytes };
        self.change(APPEND, name, |disk| {
            let room = disk.capacity.map_or(usize::MAX, |capacity| {
                usize::try_from(capacity.saturating_sub(disk.used())).unwrap_or(usize::MAX)
            });
            let inode = disk.inode(name)?;
            let fits = bytes.len().min(room);
            inode.bytes.extend_from_slice(&bytes[..fits]);
            if fits == bytes.len() { Ok(()) } else { Err(Fault::Full) }
        })
    }

    fn sync(&mut self, name: &str) -> Result<(), StorageError> {
        self.show(None);
        self.change(SYNC, name, |disk| {
            let fails = disk.syncs_to_fail > 0 || disk.failing_at(disk.ops - 1).is_some();
            disk.syncs_to_fail = disk.syncs_to_fail.saturating_sub(1);
            let inode = disk.inode(name)?;
            if fails {
                inode.dropped.push((inode.same_to, inode.bytes.len()));
                return Err(Fault::Broken);
            }
            inode.make_durable();
            Ok(())
        })
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), StorageError> {
        self.show(None);
        self.change("truncate", name, |disk| {
            let inode = disk.inode(name)?;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            inode.bytes.truncate(len);
            inode.same_to = inode.same_to.min(len);
            // What is written there from now on is written anew.
            inode.dropped.retain_mut(|(from, to)| {
                *to = len.min(*to);
                *from < *to
            });
            Ok(())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        self.show(None);
        self.change("rename", from, |disk| {
            let inode = disk.names.remove(from).ok_or(Fault::Missing)?;
            disk.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> Result<(), StorageError> {
        self.show(None);
        self.change("remove", name, |disk| disk.names.remove(name).map(|_| ()).ok_or(Fault::Missing))
    }

    fn sync_dir(&mut self) -> Result<(), StorageError> {
        self.show(None);
        self.change(SYNC, FOLDER, |disk| {
            disk.durable_names = disk.names.clone();
            let live: Vec<u64> = disk.names.values().copied().collect();
            disk.inodes.retain(|inode, _| live.contains(inode));
            Ok(())
        })
    }
}

impl Disk {
    fn inode(&mut self, name: &str) -> Result<&mut Inode, Fault> {
        let inode = self.names.get(name).ok_or(Fault::Missing)?;
        self.inodes.get_mut(inode).ok_or(Fault::Missing)
    }

    /// This disk where a process died within an append: so many of its bytes are there.
    pub fn within_append(&self, name: &str, bytes: &[u8], count: usize) -> Self {
        let mut disk = self.clone();
        if let Ok(inode) = disk.inode(name) {
            inode.bytes.extend_from_slice(&bytes[..count.min(bytes.len())]);
        }
        disk
    }

    fn failing_at(&self, op: u64) -> Option<&Failing> {
        self.failing.iter().find(|failing| failing.ops.contains(&op))
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[inode].bytes.len() as u64).sum()
    }

    fn lose(&mut self, crash: Crash) {
        let mut dice = self.dice;
        match crash {
            Crash::Kill => return,
            Crash::Drop => self.names = self.durable_names.clone(),
            Crash::Tear(_) => {
                let (mut torn, live) = (self.durable_names.clone(), self.names.clone());
                for (name, inode) in &live {
                    if next(&mut dice).is_multiple_of(2) {
                        torn.insert(name.clone(), *inode);
                    }
                }
                for name in self.durable_names.keys() {
                    if !live.contains_key(name) && next(&mut dice).is_multiple_of(2) {
                        torn.remove(name);
                    }
                }
                self.names = torn;
            }
        }
        for inode in self.inodes.values_mut() {
            match crash {
                Crash::Tear(sector) => inode.tear(sector, &mut dice),
                Crash::Kill | Crash::Drop => inode.bytes = inode.durable.clone(),
            }
            inode.durable = inode.bytes.clone();
            inode.same_to = inode.bytes.len();
            inode.dropped.clear();
        }
        self.durable_names = self.names.clone();
        self.dice = dice;
    }
}

impl Inode {
    fn make_durable(&mut self) {
        self.durable.truncate(self.same_to);
        self.durable.extend_from_slice(&self.bytes[self.same_to..]);
        self.same_to = self.bytes.len();
        for (from, to) in &self.dropped {
            let end = (*to).min(self.durable.len());
            if *from < end {
                self.durable[*from..end].fill(0);
            }
        }
    }

    /// Every sector of the live bytes that is not durable is kept, zero, or (with all behind it) missing.
    fn tear(&mut self, sector: usize, dice: &mut u64) {
        let mut torn = self.bytes.clone();
        let mut at = self.same_to;
        while at < torn.len() {
            let end = ((at / sector + 1) * sector).min(torn.len());
            match next(dice) % 4 {
                0 => torn[at..end].fill(0),
                1 => {
                    torn.truncate(at);
                    break;
                }
                _ => {}
            }
            at = end;
        }
        for (from, to) in &self.dropped {
            let end = (*to).min(torn.len());
            if *from < end {
                torn[*from..end].fill(0);
            }
        }
        self.bytes = torn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &SimStorage, name: &str) -> Vec<u8> {
        let mut bytes = [0; 64];
        disk.read(name, 0, &mut bytes).map(|count| bytes[..count].to_vec()).unwrap_or_default()
    }

    #[test]
    fn what_was_not_synced_is_gone_after_a_power_loss_and_kept_after_a_kill() {
        let mut disk = SimStorage::new(1);
        disk.create("a").unwrap();
        disk.append("a", b"one").unwrap();
        disk.sync("a").unwrap();
        disk.sync_dir().unwrap();
        disk.append("a", b"two").unwrap();
        disk.create("b").unwrap();
        disk.reboot(Crash::Kill);
        assert_eq!(content(&disk, "a"), b"onetwo");
        disk.reboot(Crash::Drop);
        assert_eq!(disk.files(), [("a".to_owned(), 3)]);
    }

    #[test]
    fn a_failed_sync_is_not_healed_by_the_next_one() {
        let mut disk = SimStorage::new(1);
        disk.create("a").unwrap();
        disk.sync_dir().unwrap();
        disk.append("a", b"one").unwrap();
        disk.fail_syncs(1);
        assert_eq!(disk.sync("a").unwrap_err().fault, Fault::Broken);
        disk.sync("a").unwrap();
        assert_eq!(content(&disk, "a"), b"one");
        disk.reboot(Crash::Drop);
        assert_eq!(content(&disk, "a"), [0, 0, 0]);
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_says_so() {
        let mut disk = SimStorage::new(1);
        disk.set_capacity(Some(4));
        disk.create("a").unwrap();
        assert_eq!(disk.append("a", b"sixsix").unwrap_err().fault, Fault::Full);
        assert_eq!(content(&disk, "a"), b"sixs");
    }
}
