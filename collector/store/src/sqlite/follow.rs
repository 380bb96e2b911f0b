//! Following a database: every committed page, in the order of the commits, read from the write-ahead log beside the
//! programs that write (DELIVERY 4, `backup --follow`).
//!
//! A log is begun anew, and so written over, only after all of it was carried over into the database, and while nobody
//! reads from it. SQLite carries nothing over that came after the oldest read. So a follower always has a read open, and
//! begins the next one before it looks: what may be carried over at any time has been read, whoever does it. A read that
//! began when everything was carried over does not keep a log from being begun anew, and needs not to.
//!
//! Thus nothing is asked of those who write. The price: while somebody follows, only he makes the log short
//! ([`Follower::shorten`]).

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Options,
    columns::Named,
    open,
    wal::{Frame, HEADER, Header, Sum},
};
use crate::StoreError;

/// A log of so many pages is carried over into the database.
pub const LONG_LOG: u64 = 4_000;

/// Why a database cannot be followed, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Somebody else follows it.
    #[error("{} is being followed already: one follower at a time", .0.display())]
    Followed(PathBuf),
    /// The log changed under an open read, which SQLite forbids: begin again from a copy of the whole database.
    #[error("the database's log was changed while it was read: a new copy of the database is needed")]
    Lost,
    /// The log, or what is beside it, cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was read cannot be written where the caller keeps it.
    #[error("what was read cannot be kept")]
    Keep(#[source] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Committed pages behind the place up to which all were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// How many pages.
    pub frames: u64,
    /// The database's length in pages after the last of them.
    pub pages_after: u32,
    /// The length of a page.
    pub page_size: u32,
    from: Place,
    to: Place,
}

/// Up to where a log was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    salts: [u32; 2],
    frames: u64,
    sum: Sum,
}

/// Follows one database.
#[derive(Debug)]
pub struct Follower {
    _lock: File,
    reading: Connection,
    idle: Connection,
    blocking: Connection,
    database: PathBuf,
    place: Option<Place>,
}

impl Follower {
    /// Begins at the end of what is committed now: a copy of the database that is taken afterwards, and every page
    /// that is followed from here on, are the database.
    pub fn begin(database: &Path) -> Result<Self, FollowError> {
        let mut follower = Self {
            _lock: lock(database)?,
            reading: connect(database)?,
            idle: connect(database)?,
            blocking: connect(database)?,
            database: database.to_owned(),
            place: None,
        };
        hold(&follower.reading)?;
        if let Some(pending) = follower.pending()? {
            follower.place = Some(pending.to);
        }
        Ok(follower)
    }

    /// Looks at what was committed behind the place, has it kept, and moves the place; `None` for nothing. When it is
    /// not kept the place stays, and so does the log.
    pub fn follow<E: From<FollowError>>(
        &mut self,
        keep: impl FnOnce(&Self, &Pending) -> Result<(), E>,
    ) -> Result<Option<Pending>, E> {
        hold(&self.idle)?;
        let kept = self.pending().map_err(E::from).and_then(|pending| match pending {
            Some(pending) => keep(self, &pending).map(|()| Some(pending)),
            None => Ok(None),
        });
        if kept.is_ok() {
            std::mem::swap(&mut self.reading, &mut self.idle);
        }
        let done = release(&self.idle);
        let pending = kept?;
        done?;
        if let Some(pending) = pending {
            self.place = Some(pending.to);
        }
        Ok(pending)
    }

    /// Carries a log of [`LONG_LOG`] pages over into the database, so that the next commit begins it anew. Nobody writes
    /// meanwhile; `keep` may be called twice. Whether it was done: not while another process writes for seconds.
    pub fn shorten<E: From<FollowError>>(
        &mut self,
        keep: impl FnMut(&Self, &Pending) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.place.is_none_or(|place| place.frames < LONG_LOG) {
            return Ok(false);
        }
        self.carry_over(keep)
    }

    fn carry_over<E: From<FollowError>>(
        &mut self,
        mut keep: impl FnMut(&Self, &Pending) -> Result<(), E>,
    ) -> Result<bool, E> {
        match self.blocking.execute_batch("BEGIN IMMEDIATE").named("follow.block") {
            Ok(()) => {}
            Err(StoreError::Locked) => return Ok(false),
            Err(error) => return Err(E::from(error.into())),
        }
        // The first look reads to the end, so that all of it may be carried over; with the second the open read begins
        // after that.
        let outcome = self.follow(&mut keep).and_then(|_| {
            let carried = self.idle.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            carried.named("follow.carry_over").map_err(|error| E::from(error.into()))
        });
        let outcome = outcome.and_then(|()| self.follow(&mut keep));
        let released = release(&self.blocking);
        outcome?;
        released?;
        Ok(true)
    }

    /// How many committed pages are behind the place.
    pub fn waiting(&self) -> Result<u64, FollowError> {
        Ok(self.pending()?.map_or(0, |pending| pending.frames))
    }

    fn pending(&self) -> Result<Option<Pending>, FollowError> {
        let Some((mut log, header)) = self.log()? else { return Ok(None) };
        let from = self.place.filter(|place| place.salts == header.salts).unwrap_or(Place {
            salts: header.salts,
            frames: 0,
            sum: header.sum,
        });
        log.seek(SeekFrom::Start(header.place_of(from.frames))).map_err(self.unread())?;
        let (mut place, mut last) = (from, None);
        while let Some(frame) = Frame::next(&mut log, &header, place.sum).map_err(self.unread())? {
            place = Place { frames: place.frames + 1, sum: frame.sum, ..place };
            if frame.pages_after > 0 {
                last = Some((place, frame.pages_after));
            }
        }
        Ok(last.map(|(to, pages_after)| Pending {
            frames: to.frames - from.frames,
            pages_after,
            page_size: header.page_size,
            from,
            to,
        }))
    }

    /// Copies the pending pages: for each its number and 0, or the database's length after it where a transaction ends
    /// (both as four bytes, the highest first), then the page.
    pub fn copy(&self, pending: &Pending, to: &mut impl Write) -> Result<(), FollowError> {
        let Some((mut log, header)) = self.log()?.filter(|(_, header)| header.salts == pending.from.salts) else {
            return Err(FollowError::Lost);
        };
        log.seek(SeekFrom::Start(header.place_of(pending.from.frames))).map_err(self.unread())?;
        let mut sum = pending.from.sum;
        for _ in 0..pending.frames {
            let frame = Frame::next(&mut log, &header, sum).map_err(self.unread())?.ok_or(FollowError::Lost)?;
            sum = frame.sum;
            to.write_all(&frame.page.to_be_bytes())
                .and_then(|()| to.write_all(&frame.pages_after.to_be_bytes()))
                .and_then(|()| to.write_all(frame.content()))
                .map_err(FollowError::Keep)?;
        }
        if sum == pending.to.sum { Ok(()) } else { Err(FollowError::Lost) }
    }

    /// The log from its first frame on, and its header; `None` while there is none, or while it is being begun.
    fn log(&self) -> Result<Option<(BufReader<File>, Header)>, FollowError> {
        let file = match File::open(beside(&self.database, "-wal")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unread()(error)),
        };
        let mut log = BufReader::with_capacity(1 << 16, file);
        let mut bytes = [0; HEADER as usize];
        match log.read_exact(&mut bytes) {
            Ok(()) => Ok(Header::read(&bytes).map(|header| (log, header))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(self.unread()(error)),
        }
    }

    fn unread(&self) -> impl Fn(io::Error) -> FollowError + use<> {
        let path = beside(&self.database, "-wal");
        move |source| FollowError::Read { path: path.clone(), source }
    }
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn connect(database: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(database, flags)
        .map_err(|error| StoreError::Open { path: database.to_owned(), source: Arc::new(error) })?;
    opened.busy_timeout(Options::default().lock_wait).named("follow.wait")?;
    open::refuse_what_is_not_ours(&opened, database)?;
    Ok(opened)
}

fn hold(reading: &Connection) -> Result<(), FollowError> {
    reading.execute_batch("BEGIN").named("follow.hold")?;
    // The read begins with the first look, not with BEGIN.
    Ok(reading.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).named("follow.hold")?)
}

fn release(reading: &Connection) -> Result<(), FollowError> {
    Ok(reading.execute_batch("ROLLBACK").named("follow.release")?)
}

fn lock(database: &Path) -> Result<File, FollowError> {
    let path = beside(database, "-follow");
    let unopened = |source| FollowError::Read { path: path.clone(), source };
    let mut how = OpenOptions::new();
    how.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let file = how.open(&path).map_err(unopened)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FollowError::Followed(database.to_owned())),
        Err(TryLockError::Error(source)) => Err(unopened(source)),
    }
}

#[cfg(test)]
mod tests;
