//! Following a collector with its facts in a file into a folder: a copy of the whole, then segments, for as long as it runs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use upheld_store::sqlite::follow::{FollowError, Follower, Pending};

use super::{Archive, own::Own, segments::Folder, write};
use crate::{
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::create_private_folder,
};

/// How often is looked.
const POLL: Duration = Duration::from_millis(500);
/// How old `head.json` may become while nothing is written.
const HEAD_EVERY: SignedDuration = SignedDuration::from_secs(2);
/// How long after one copy of the whole the next one is taken.
pub(super) const BASE_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// After trouble.
const RETRY: Duration = Duration::from_secs(5);
/// The most pages that are waited for while they cannot be kept (1 GiB of usual ones): then the collector's log is let
/// go, and a new copy of the whole begins when there is room again.
const WAITING_MAX: u64 = 262_144;

/// What a follower tells.
#[derive(Debug)]
pub(crate) enum News {
    /// A copy of the whole is in its place.
    Base(PathBuf),
    /// Segments up to this one are; how many pages came with it.
    Segment(u64, u64),
    /// It cannot go on, and tries again.
    Trouble(String),
    /// What is followed, and by which means; or that it goes on again.
    Follows(String),
    /// Something that a person should know, and that stops nothing.
    Warning(String),
}

/// Follows until `stop`. What is wrong at the beginning is a failure; what goes wrong later is told and tried again.
pub(crate) fn follow(
    data: &DataDir,
    into: &Path,
    keep: usize,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(News) -> Result<(), Failure>,
) -> Result<(), Failure> {
    data.config()?;
    refuse_inside(data, into)?;
    if Archive::at(into).is_some() {
        return Err(Failure::new(Exit::Failed, format!("{} is not empty", into.display()))
            .because("a PostgreSQL was followed into it, and this collector's facts are in a file")
            .todo("name a folder that does not exist yet: upheld-collector backup --follow DIR"));
    }
    create_private_folder(into)?;
    let folder = Folder::at(into);
    let mut last = folder.segments()?.keys().next_back().copied().unwrap_or(0);
    last = last.max(folder.bases()?.last().map_or(0, |base| base.to));
    let mut run = Run::begin(data, folder.clone(), keep, last)?;
    run.take_base(data, tell)?;
    let mut told = None;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(POLL);
        let Err(trouble) = run.look(data, tell) else {
            if told.take().is_some() {
                tell(News::Follows(format!("{} follows again", into.display())))?;
            }
            continue;
        };
        let is_over = trouble.is_over;
        say(trouble.text, &mut told, tell)?;
        if is_over {
            let last = run.last;
            drop(run);
            run = loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                thread::sleep(RETRY);
                let again = Run::begin(data, folder.clone(), keep, last);
                match again.and_then(|mut run| run.take_base(data, tell).map(|()| run)) {
                    Ok(run) => break run,
                    Err(failure) => say(failure.text(false), &mut told, tell)?,
                }
            };
        } else {
            thread::sleep(RETRY);
        }
    }
    run.look(data, tell).map_err(|trouble| Failure::new(Exit::Failed, trouble.text))
}

/// Tells trouble that lasts once.
fn say(
    text: String,
    told: &mut Option<String>,
    tell: &mut dyn FnMut(News) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if told.as_ref() == Some(&text) {
        return Ok(());
    }
    *told = Some(text.clone());
    tell(News::Trouble(text))
}

struct Trouble {
    text: String,
    /// Whether a new copy of the whole is needed.
    is_over: bool,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { text: failure.text(false), is_over: false }
    }
}

/// One run of segments, each of which names the one before it.
struct Run {
    follower: Follower,
    folder: Folder,
    keep: usize,
    from: u64,
    last: u64,
    previous: String,
    has_base: bool,
    head_at: Timestamp,
    base_at: Timestamp,
    files: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl Run {
    fn begin(data: &DataDir, folder: Folder, keep: usize, last: u64) -> Result<Self, Failure> {
        let follower = Follower::begin(&data.database())?;
        let (head_at, base_at) = (Timestamp::MIN, Timestamp::MIN);
        let (previous, files) = (String::new(), BTreeMap::new());
        Ok(Self { follower, folder, keep, from: last, last, previous, has_base: false, head_at, base_at, files })
    }

    /// Copies the whole: with the segments that are written meanwhile it is of one moment.
    fn take_base(&mut self, data: &DataDir, tell: &mut dyn FnMut(News) -> Result<(), Failure>) -> Result<(), Failure> {
        let now = Timestamp::now();
        let files = Own::of(data)?.stamps();
        let new = self.folder.new_base();
        // What an interrupted run left may have what segments need.
        write::remove_left_over(&new)?;
        self.ship(now, tell)?;
        let from = self.last;
        // It may take minutes; what is committed meanwhile is kept as ever.
        thread::scope(|scope| {
            let copying = scope.spawn(|| write(data, &new, now));
            while !copying.is_finished() {
                thread::sleep(POLL);
                self.ship(Timestamp::now(), tell)?;
            }
            copying.join().unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "the copy ended in a panic")))
        })?;
        self.ship(Timestamp::now(), tell)?;
        let path = self.folder.name_base(&new, from, self.last)?;
        self.has_base = true;
        self.folder.prune(self.keep)?;
        (self.base_at, self.files) = (now, files);
        tell(News::Base(path))
    }

    fn look(&mut self, data: &DataDir, tell: &mut dyn FnMut(News) -> Result<(), Failure>) -> Result<(), Trouble> {
        let now = Timestamp::now();
        match self.ship(now, tell) {
            Ok(()) => {}
            Err(error) => {
                let waiting = self.follower.waiting().unwrap_or(u64::MAX);
                let is_over = matches!(error, ShipError::Follow(FollowError::Lost)) || waiting > WAITING_MAX;
                return Err(Trouble { text: self.told(error).text(false), is_over });
            }
        }
        if now.duration_since(self.base_at) >= BASE_EVERY || Own::of(data)?.stamps() != self.files {
            self.take_base(data, tell)?;
        }
        Ok(())
    }

    fn told(&self, error: ShipError) -> Failure {
        let ShipError::Follow(FollowError::Keep(why)) = error else { return error.into() };
        Failure::new(Exit::Failed, format!("{} cannot be written to", self.folder.path().display()))
            .because(why.to_string())
            .todo("make room there, or see to its disk: what is committed meanwhile is kept for it, up to 1 GiB")
    }

    /// Keeps what was committed up to `now`, and says so.
    fn ship(&mut self, now: Timestamp, tell: &mut dyn FnMut(News) -> Result<(), Failure>) -> Result<(), ShipError> {
        let Self { follower, folder, last, previous, .. } = self;
        let before = *last;
        let mut pages = 0;
        let mut keep = |follower: &Follower, pending: &Pending| -> Result<(), FollowError> {
            *previous = folder.write(follower, pending, (*last + 1, previous), now)?;
            *last += 1;
            pages += pending.frames;
            Ok(())
        };
        follower.follow(&mut keep)?;
        follower.shorten(&mut keep)?;
        if *last > before {
            tell(News::Segment(*last, pages)).map_err(ShipError::Tell)?;
        }
        if self.has_base && (self.last > before || now.duration_since(self.head_at) >= HEAD_EVERY) {
            self.folder.set_head(self.from, self.last, now).map_err(|error| ShipError::Tell(error.into()))?;
            self.head_at = now;
        }
        Ok(())
    }
}

enum ShipError {
    Follow(FollowError),
    Tell(Failure),
}

impl From<FollowError> for ShipError {
    fn from(error: FollowError) -> Self {
        Self::Follow(error)
    }
}

impl From<ShipError> for Failure {
    fn from(error: ShipError) -> Self {
        match error {
            ShipError::Follow(error) => error.into(),
            ShipError::Tell(failure) => failure,
        }
    }
}

pub(super) fn refuse_inside(data: &DataDir, into: &Path) -> Result<(), Failure> {
    let data_path = fs::canonicalize(data.path()).unwrap_or_else(|_| data.path().to_owned());
    let inside = into.ancestors().filter_map(|path| fs::canonicalize(path).ok()).any(|path| path == data_path);
    if !inside {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("{} is inside the collector's own folder", into.display()))
        .because("what is lost with it saves nothing")
        .todo("name a folder on another disk, or of another machine"))
}
