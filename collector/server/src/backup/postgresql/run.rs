//! Following: `pg_receivewal` by a slot, a copy of the whole each day by `pg_basebackup`, and up to when all is there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use upheld_store::postgres::follow::{Environment, Lsn, Ready, Standing};

use super::{
    folder::{Archive, Identity, remove_folder},
    log::remove_unfilled,
    program::Program,
    programs::Programs,
    ready::{no_copy, refuse_unready, refuse_without_room, room},
    slot::{Followed, name_of_slot},
    standing::{Awaited, held_back},
};
use crate::{
    backup::{
        News,
        follow::{BASE_EVERY, refuse_inside},
        own::Own,
        write::write_own,
    },
    config::Database,
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, create_private_folder, sync_folder},
};

/// How often is looked.
const POLL: Duration = Duration::from_millis(500);
/// How old `head.json` may become while the folder follows.
const HEAD_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How often is told that a copy cannot be taken, while it cannot.
const NO_COPY_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How long the log is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Whom news are told.
pub(super) type Tell<'a> = &'a mut dyn FnMut(News) -> Result<(), Failure>;

/// What is followed, and how.
#[derive(Debug)]
pub(crate) struct How<'a> {
    /// The collector.
    pub(crate) data: &'a DataDir,
    /// The folder.
    pub(crate) into: &'a Path,
    /// How many copies of the whole are kept.
    pub(crate) keep: usize,
    /// Where its database is, or the same one by another address or role.
    pub(crate) database: &'a Database,
    /// Where PostgreSQL's programs are, if that is said.
    pub(crate) programs: Option<&'a Path>,
}

/// Follows until `stop`. What is wrong at the beginning is a failure; what goes wrong later is told and tried again.
pub(crate) fn follow(how: &How<'_>, stop: &AtomicBool, tell: Tell<'_>) -> Result<(), Failure> {
    let mut run = Run::begin(how, stop, tell)?;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(POLL);
        if let Err(trouble) = run.look(tell) {
            run.meets(Part::Log, trouble, tell)?;
            continue;
        }
        run.goes_on(tell)?;
        // Whatever is wrong with a copy, the log is followed.
        if let Err(trouble) = run.look_at_the_copy(tell) {
            run.meets(Part::Copy, trouble, tell)?;
        }
    }
    run.end()
}

/// What something is wrong with.
enum Part {
    Log,
    Copy,
}

struct Run<'a> {
    how: &'a How<'a>,
    of: Followed,
    environment: Environment,
    programs: Programs,
    receiver: Program,
    basebackup: Program,
    /// When the copy that is being taken was begun.
    taking: Option<Timestamp>,
    /// When the newest copy was begun that the log goes on from.
    base_at: Option<Timestamp>,
    /// Whether there has been one, so that trouble is told and no more an end.
    is_begun: bool,
    awaited: Awaited,
    /// Whether the log has come since it was last in trouble.
    is_reached: bool,
    head_at: Timestamp,
    own_files: BTreeMap<PathBuf, (SystemTime, u64)>,
    /// What is wrong with the log, as it was told.
    trouble: Option<String>,
    /// Since when the copy that is due cannot be taken, or since it was told last.
    no_copy_at: Option<Timestamp>,
    is_warned: bool,
    // Last: what it protects ends before it.
    _lock: File,
}

impl<'a> Run<'a> {
    fn begin(how: &'a How<'a>, stop: &AtomicBool, tell: Tell<'_>) -> Result<Self, Failure> {
        let How { data, into, database, .. } = how;
        refuse_inside(data, into)?;
        let folder = Archive::to_follow_into(into)?;
        let (server, environment) = database.server(&data.config()?.outbound)?;
        let ready = server.ready()?;
        let known = folder.identity()?;
        refuse_another(known.as_ref(), &ready, into)?;
        let programs = Programs::that_follow(ready.major, how.programs)?;
        let now = Timestamp::now();
        let identity = match known {
            Some(known) => known,
            None => Identity::new(ready.system.clone(), ready.major, name_of_slot(data, into)?, ready.segment, now),
        };
        let has_slot = server.standing(&identity.slot)?.slot.is_some();
        let existing = into.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let has_base = into.exists() && !folder.bases()?.is_empty();
        refuse_unready(&ready, server.shown(), room(existing)?, (has_slot, has_base))?;
        create_private_folder(into)?;
        let lock = folder.lock()?;
        folder.set_identity(&identity)?;
        create_private_folder(&folder.log())?;
        let mut run = Self {
            how,
            of: Followed { folder, identity, server },
            environment,
            programs,
            receiver: Program::default(),
            basebackup: Program::default(),
            taking: None,
            base_at: None,
            is_begun: false,
            awaited: Awaited::default(),
            is_reached: false,
            head_at: Timestamp::MIN,
            own_files: BTreeMap::new(),
            trouble: None,
            no_copy_at: None,
            is_warned: false,
            _lock: lock,
        };
        run.base_at = run.of.take_slot(tell)?;
        run.is_begun = run.base_at.is_some();
        let reads = run.start_receiver().and_then(|()| run.wait_for_the_log(stop));
        if let Err(failure) = reads {
            run.give_up_slot();
            return Err(failure);
        }
        tell(News::Follows(run.said()))?;
        run.say_whether_the_server_waits(&ready, tell)?;
        Ok(run)
    }

    /// A slot that nobody ever read by would hold back the server's log until its disk is full.
    fn give_up_slot(&mut self) {
        self.receiver.end();
        if !self.is_begun {
            // The failure that is told already is the one that counts.
            let _ = self.of.server.drop_slot(&self.of.identity.slot);
        }
    }

    fn start_receiver(&mut self) -> Result<(), Failure> {
        let log = self.of.folder.log();
        remove_unfilled(&log, self.of.identity.segment)?;
        let log = log.display().to_string();
        let arguments =
            ["--synchronous", "--no-loop", "--no-password", "--slot", &self.of.identity.slot, "--directory", &log];
        let environment = self.environment_as(&self.of.identity.slot);
        self.receiver.start(&self.programs.path("pg_receivewal"), &arguments, &environment)
    }

    /// The name by which the server may wait for whoever follows is that of the slot.
    fn environment_as(&self, name: &str) -> Environment {
        let mut environment = self.environment.clone();
        environment.push(("PGAPPNAME", name.to_owned()));
        environment
    }

    fn wait_for_the_log(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if let Some(why) = self.receiver.ended() {
                return Err(self.cannot_read(why));
            }
            if self.of.server.standing(&self.of.identity.slot)?.slot.is_some_and(|slot| slot.reader.is_some()) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.cannot_read("pg_receivewal: the server has not answered".to_owned()));
            }
            thread::sleep(POLL / 5);
        }
        Ok(())
    }

    fn cannot_read(&self, why: String) -> Failure {
        let user =
            self.environment.iter().find(|(name, _)| *name == "PGUSER").map_or("USER", |(_, user)| user.as_str());
        let is_refused = why.contains("pg_hba.conf");
        let failure =
            Failure::new(Exit::Failed, format!("the log of {} cannot be read", self.of.server.shown())).because(why);
        if !is_refused {
            return failure;
        }
        failure
            .todo(format!(
                "add a line to the server's pg_hba.conf, where `all` does not mean replication: hostssl replication {user} \
                 ADDRESS/32 scram-sha-256"
            ))
            .todo("psql -c 'SELECT pg_reload_conf()'")
    }

    /// One look at everything.
    fn look(&mut self, tell: Tell<'_>) -> Result<(), Failure> {
        let asked_at = Timestamp::now();
        let ended = self.receiver.ended();
        let standing = self.of.server.standing(&self.of.identity.slot)?;
        if standing.system != self.of.identity.system {
            self.receiver.end();
            return Err(another(&self.of.identity, &standing.system, self.how.into));
        }
        if standing.slot.as_ref().is_none_or(|slot| slot.state == "lost") {
            self.begin_anew(tell)?;
            return Ok(());
        }
        if let Some(why) = ended {
            return Err(self.cannot_read(why));
        }
        if self.receiver.is_due() {
            self.start_receiver()?;
        }
        self.note_head(&standing, asked_at)?;
        self.warn_of_what_is_held_back(&standing, tell)?;
        self.copy_own_files()
    }

    /// The server has no slot of ours any more, and so not all of the log.
    fn begin_anew(&mut self, tell: Tell<'_>) -> Result<(), Failure> {
        self.receiver.end();
        self.basebackup.end();
        (self.taking, self.base_at) = (None, None);
        (self.is_reached, self.awaited) = (false, Awaited::default());
        self.base_at = self.of.take_slot(tell)?;
        self.start_receiver()
    }

    fn refuse_without_room(&self) -> Result<(), Failure> {
        refuse_without_room(&self.of.server.ready()?, self.of.server.shown(), room(self.how.into)?)
    }

    /// Takes a copy of the whole when one is due, and gives it its name when it is there.
    fn look_at_the_copy(&mut self, tell: Tell<'_>) -> Result<(), Failure> {
        let now = Timestamp::now();
        let new = self.of.folder.new_base();
        let Some(begun_at) = self.taking else {
            let is_due = self.base_at.is_none_or(|at| now.duration_since(at) >= BASE_EVERY);
            if !is_due || !self.basebackup.is_due() {
                return Ok(());
            }
            remove_folder(&new)?;
            self.refuse_without_room().inspect_err(|_| self.basebackup.put_off())?;
            let into = new.display().to_string();
            let arguments = [
                "--pgdata",
                &into,
                "--wal-method",
                "stream",
                "--checkpoint",
                "fast",
                "--no-password",
                "--manifest-checksums",
                "SHA256",
            ];
            let environment = self.environment_as("upheld_base");
            self.basebackup.start(&self.programs.path("pg_basebackup"), &arguments, &environment)?;
            self.taking = Some(now);
            return Ok(());
        };
        match self.basebackup.finished() {
            None => return Ok(()),
            Some(Err(why)) => {
                self.taking = None;
                // Half of it is none, and the log may need its room.
                remove_folder(&new)?;
                return Err(Failure::new(Exit::Failed, no_copy(self.of.server.shown())).because(why));
            }
            Some(Ok(())) => self.taking = None,
        }
        let place = self.of.folder.place_of_base(begun_at);
        fs::rename(&new, &place).map_err(FileError::of("name", &place))?;
        sync_folder(self.how.into).map_err(FileError::of("sync the folder", self.how.into))?;
        (self.base_at, self.is_begun, self.no_copy_at) = (Some(begun_at), true, None);
        tell(News::Base(place))?;
        self.of.folder.prune(self.how.keep, self.of.identity.segment)
    }

    fn note_head(&mut self, standing: &Standing, asked_at: Timestamp) -> Result<(), Failure> {
        let kept = standing.slot.as_ref().and_then(|slot| slot.kept).unwrap_or(Lsn(0));
        let Some((lsn, seen_at)) = self.awaited.reached(kept, (standing.written, asked_at)) else { return Ok(()) };
        if self.base_at.is_some() {
            if asked_at.duration_since(self.head_at) < HEAD_EVERY {
                return Ok(());
            }
            self.of.folder.set_head(lsn, seen_at)?;
            self.head_at = asked_at;
        }
        self.is_reached = true;
        Ok(())
    }

    fn warn_of_what_is_held_back(&mut self, standing: &Standing, tell: Tell<'_>) -> Result<(), Failure> {
        let Some(slot) = &standing.slot else { return Ok(()) };
        let said = held_back(slot);
        let was_warned = std::mem::replace(&mut self.is_warned, said.is_some());
        let Some(said) = said.filter(|_| !was_warned) else { return Ok(()) };
        let name = &self.of.identity.slot;
        tell(News::Warning(format!(
            "{} holds back its log for {} (slot {name}): {said}. Where the folder is not to follow it any more: psql -c \"SELECT \
             pg_drop_replication_slot('{name}')\"",
            self.of.server.shown(),
            self.how.into.display()
        )))
    }

    fn copy_own_files(&mut self) -> Result<(), Failure> {
        let (now, files) = (Timestamp::now(), Own::of(self.how.data)?.stamps());
        let place = self.of.folder.place_of_own(now);
        if files == self.own_files || place.exists() {
            return Ok(());
        }
        write_own(self.how.data, &place, now)?;
        self.own_files = files;
        Ok(())
    }

    /// Whatever was committed before we were told to stop is in the folder when we end.
    fn end(mut self) -> Result<(), Failure> {
        self.receiver.end();
        self.basebackup.end();
        if !self.is_begun {
            self.give_up_slot();
            return Ok(());
        }
        let asked_at = Timestamp::now();
        // Of a server that is away there is nothing more to say: the head stays as it is.
        let Ok(standing) = self.of.server.standing(&self.of.identity.slot) else { return Ok(()) };
        self.head_at = Timestamp::MIN;
        self.note_head(&standing, asked_at)
    }

    fn said(&self) -> String {
        let Identity { major, slot, .. } = &self.of.identity;
        let from = match self.of.folder.head() {
            Ok(Some(head)) => format!("; it goes on from {:.0}", head.seen_at),
            _ => String::new(),
        };
        format!(
            "{} follows {} (PostgreSQL {major}) by the slot {slot}{from}",
            self.how.into.display(),
            self.of.server.shown()
        )
    }

    fn say_whether_the_server_waits(&self, ready: &Ready, tell: Tell<'_>) -> Result<(), Failure> {
        let slot = &self.of.identity.slot;
        if ready.waits_for.contains('*') || ready.waits_for.contains(slot.as_str()) {
            return Ok(());
        }
        tell(News::Warning(format!(
            "The server does not wait for this folder: the last moments before its disk is lost may be missing here. To have \
             every answered write here: psql -c \"ALTER SYSTEM SET synchronous_standby_names = '{slot}'\" -c 'SELECT \
             pg_reload_conf()'. While nobody follows, every write then waits."
        )))
    }

    /// Trouble ends what never began; else it is told, and what it hinders tried again.
    fn meets(&mut self, part: Part, trouble: Failure, tell: Tell<'_>) -> Result<(), Failure> {
        if !self.is_begun {
            self.give_up_slot();
            return Err(trouble);
        }
        let text = trouble.text(false);
        match part {
            Part::Log => {
                self.is_reached = false;
                if self.trouble.as_ref() == Some(&text) {
                    return Ok(());
                }
                (self.trouble, self.awaited) = (Some(text.clone()), Awaited::default());
            }
            Part::Copy => {
                let now = Timestamp::now();
                if self.no_copy_at.is_some_and(|at| now.duration_since(at) < NO_COPY_EVERY) {
                    return Ok(());
                }
                self.no_copy_at = Some(now);
            }
        }
        tell(News::Trouble(text))
    }

    /// After trouble: once the log has come.
    fn goes_on(&mut self, tell: Tell<'_>) -> Result<(), Failure> {
        if self.is_reached && self.trouble.take().is_some() {
            tell(News::Follows(self.said()))?;
        }
        Ok(())
    }
}

fn refuse_another(known: Option<&Identity>, ready: &Ready, into: &Path) -> Result<(), Failure> {
    match known {
        Some(known) if known.system != ready.system => Err(another(known, &ready.system, into)),
        _ => Ok(()),
    }
}

fn another(known: &Identity, system: &str, into: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{} follows another server", into.display()))
        .because(format!("it follows the server {}, and what answers is the server {system}", known.system))
        .todo("name another folder: upheld-collector backup --follow DIR")
        .todo("or look at [database] url in collector.toml, where the wrong server answers")
}
