//! Whether the database is still the one that was written to. A server that was put back to an earlier moment, or a
//! replica that took over without the last commits, says nothing of that by itself.
//!
//! Each commit leaves a mark: a number that counts up, and the server's clock. Whoever wrote or saw one remembers it, in
//! memory and in a file of the data folder. A later transaction that does not find it there knows that commits are gone,
//! and of those the last one that held more than what comes again by itself ([`Watch::comes_again`]).
//!
//! A database that answers from another server, or another timeline, may lack what only another collector saw: who finds all of
//! his own marks there says that too, once ([`Lost::NothingSeen`]).
//!
//! Where nothing is remembered, the mark's home (the server's system and its timeline) says whether another server, or the
//! same one after a restore, is what answers.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;

use super::{WRITERS, meaning::meaning};
use crate::{StoreError, Tx};

/// How many marks are kept: a collector that was away for fewer commits of others finds its own.
const SLOTS: i64 = 1 << 16;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS upheld_marks (slot BIGINT NOT NULL PRIMARY KEY, number BIGINT NOT NULL, \
                     at BIGINT NOT NULL, kept_number BIGINT NOT NULL, kept_at BIGINT NOT NULL, home TEXT NOT NULL)";

/// What is done when commits are gone.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The file that remembers the last mark while nobody runs.
    pub file: PathBuf,
    /// Whether what a transaction of this name writes is sent or computed again by itself.
    pub comes_again: fn(&str) -> bool,
    /// Runs before anything else is written.
    pub went_back: fn(&mut dyn Tx, &WentBack) -> Result<(), StoreError>,
}

/// What of the commits that were there is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing that was seen from here; it is another server or another timeline, and others may have seen more.
    NothingSeen,
    /// Commits of transactions alone whose facts come again by themselves.
    ComesAgain,
    /// One of them may have held what does not come again: a person has to see that.
    ForAPerson,
}

/// Commits are gone that were there, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WentBack {
    /// From this instant on commits may be missing, by the database's clock.
    pub missing_from: Timestamp,
    /// When that was seen.
    pub now: Timestamp,
    /// What is gone.
    pub lost: Lost,
}

/// One commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    number: i64,
    /// Microseconds.
    at: i64,
}

/// A commit, and the last one up to it whose loss a person has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    last: Mark,
    kept: Mark,
}

/// What a transaction finds when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) transaction: String,
    now: i64,
    home: String,
    head: Option<(Seen, String)>,
    /// What stands where the remembered marks were.
    there: Option<Mark>,
    kept_there: Option<Mark>,
}

/// What was remembered, beside what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    /// Something may be gone.
    Gone(Lost),
}

fn judge(remembered: Option<Seen>, found: &Found) -> Verdict {
    let is_elsewhere =
        found.head.as_ref().is_some_and(|(_, home)| !home.is_empty() && !found.home.is_empty() && *home != found.home);
    let Some(Seen { last, kept }) = remembered else {
        return if is_elsewhere { Verdict::Gone(Lost::ForAPerson) } else { Verdict::Same };
    };
    // A later mark in its place: so many commits ago that nobody can tell.
    let is_there = found.there.is_some_and(|there| there == last || there.number > last.number);
    if is_there {
        return if is_elsewhere { Verdict::Gone(Lost::NothingSeen) } else { Verdict::Same };
    }
    let was_before = |there: Mark| there == kept || (kept.number < there.number && there.number < last.number);
    let kept_is_there = kept.number == 0 || (kept != last && found.kept_there.is_some_and(was_before));
    Verdict::Gone(if kept_is_there { Lost::ComesAgain } else { Lost::ForAPerson })
}

/// Makes the table where it is missing.
pub(super) async fn make(client: &ClientWrapper) -> Result<(), StoreError> {
    let name = "open.marks";
    let asked = client.query_one("SELECT to_regclass('upheld_marks') IS NULL", &[]).await;
    if !asked.map_err(|error| meaning(name, error))?.get::<_, bool>(0) {
        return Ok(());
    }
    let text = format!("BEGIN; SELECT pg_advisory_xact_lock({WRITERS}); {TABLE}; COMMIT");
    client.batch_execute(&text).await.map_err(|error| meaning(name, error))
}

/// Which words ask a server for its home; an empty text where it may not be asked.
pub(super) async fn home(client: &ClientWrapper) -> &'static str {
    const HOME: &str = "(SELECT system_identifier::text FROM pg_control_system()) || '/' || \
                        substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";
    let asked = client.query_one(&format!("SELECT {HOME}"), &[]).await;
    if asked.is_ok() { HOME } else { "''" }
}

/// What the transaction that stands remembers and will leave.
pub(super) struct Marks {
    watch: Option<Watch>,
    memory: Option<File>,
    seen: Option<Seen>,
    home: &'static str,
}

impl Marks {
    pub(super) fn new(watch: Option<Watch>, home: &'static str) -> Self {
        let mut marks = Self { watch, memory: None, seen: None, home };
        let Some(watch) = &marks.watch else { return marks };
        match open_memory(&watch.file) {
            Ok(mut memory) => {
                marks.seen = recall(&mut memory);
                marks.memory = Some(memory);
            }
            Err(error) => {
                let file = watch.file.display();
                tracing::warn!(%file, %error, "the last commit cannot be remembered there");
            }
        }
        marks
    }

    /// The words that begin a transaction and ask for [`Found`].
    pub(super) fn begin(&self) -> String {
        let Seen { last, kept } = self.seen.unwrap_or_default();
        format!(
            "BEGIN; SELECT pg_advisory_xact_lock({WRITERS}); \
             SELECT pg_current_xact_id(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, {}, \
             h.number, h.at, h.kept_number, h.kept_at, h.home, l.number, l.at, k.number, k.at \
             FROM (SELECT 1) one LEFT JOIN upheld_marks h ON h.slot = 0 LEFT JOIN upheld_marks l ON l.slot = {} \
             LEFT JOIN upheld_marks k ON k.slot = {}",
            self.home,
            slot(last.number),
            slot(kept.number)
        )
    }

    /// Whether commits are gone, or may be. Where none are that were remembered, the newest one that was found is.
    pub(super) fn look(&mut self, found: &Found) -> Option<Gone> {
        self.watch.as_ref()?;
        let verdict = judge(self.seen, found);
        if matches!(verdict, Verdict::Same | Verdict::Gone(Lost::NothingSeen)) {
            self.seen = found.head.as_ref().map(|(seen, _)| *seen).or(self.seen);
        }
        match verdict {
            Verdict::Same => None,
            Verdict::Gone(lost) => {
                let before = self.seen.map_or(Mark { number: i64::MAX, at: i64::MAX }, |seen| seen.last);
                Some(Gone { before, lost })
            }
        }
    }

    /// What is done first when commits are gone.
    pub(super) fn went_back(&self, tx: &mut dyn Tx, back: &WentBack) -> Result<(), StoreError> {
        match &self.watch {
            Some(watch) => (watch.went_back)(tx, back),
            None => Ok(()),
        }
    }

    /// Whether a transaction of this name holds more than what comes again by itself.
    pub(super) fn is_kept(&self, name: &str) -> bool {
        self.watch.as_ref().is_none_or(|watch| !(watch.comes_again)(name))
    }

    /// The mark of the transaction that began with `found`, and the words that leave it.
    pub(super) fn leave(found: &Found, is_kept: bool) -> (Seen, String) {
        let before = found.head.as_ref().map(|(seen, _)| *seen).unwrap_or_default();
        let last = Mark { number: before.last.number + 1, at: found.now };
        let seen = Seen { last, kept: if is_kept { last } else { before.kept } };
        let row = |slot: i64| {
            let Seen { last, kept } = seen;
            format!("({slot}, {}, {}, {}, {}, '{}')", last.number, last.at, kept.number, kept.at, found.home)
        };
        let text = format!(
            "INSERT INTO upheld_marks (slot, number, at, kept_number, kept_at, home) VALUES {}, {} ON CONFLICT (slot) \
             DO UPDATE SET number = excluded.number, at = excluded.at, kept_number = excluded.kept_number, \
             kept_at = excluded.kept_at, home = excluded.home",
            row(0),
            row(slot(last.number))
        );
        (seen, text)
    }

    /// It was committed.
    pub(super) fn committed(&mut self, seen: Seen) {
        self.seen = Some(seen);
        if let Some(memory) = &mut self.memory
            && let Err(error) = remember(memory, seen)
        {
            tracing::warn!(%error, "the last commit could not be remembered beside the settings");
        }
    }
}

/// Commits that are gone, or may be, before it is known since when.
pub(super) struct Gone {
    before: Mark,
    lost: Lost,
}

impl Gone {
    /// The words that ask since when: the last mark that was there before them, or when the tables were made.
    pub(super) fn since(&self) -> String {
        let Mark { number, at } = self.before;
        format!(
            "SELECT coalesce((SELECT max(at) FROM upheld_marks WHERE number < {number} AND at <= {at}), \
             (SELECT max(applied_at) FROM upheld_migrations))"
        )
    }

    pub(super) fn known(&self, since: Option<&str>, found: &Found) -> WentBack {
        let instant = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let since = since.and_then(|since| since.parse().ok()).map_or(Timestamp::UNIX_EPOCH, instant);
        let now = instant(found.now);
        WentBack { missing_from: since.min(now), now, lost: self.lost }
    }
}

impl Found {
    /// Reads the answer to [`Marks::begin`].
    pub(super) fn read(cells: &[Option<&str>]) -> Option<Self> {
        let text = |at: usize| cells.get(at).copied().flatten();
        let number = |at: usize| text(at)?.parse::<i64>().ok();
        let mark = |at: usize| Some(Mark { number: number(at)?, at: number(at + 1)? });
        let seen = |at: usize| Some(Seen { last: mark(at)?, kept: mark(at + 2)? });
        Some(Self {
            transaction: text(0)?.to_owned(),
            now: number(1)?,
            home: text(2).unwrap_or_default().to_owned(),
            head: seen(3).map(|seen| (seen, text(7).unwrap_or_default().to_owned())),
            there: mark(8),
            kept_there: mark(10),
        })
    }
}

/// Where a mark stands; the newest one of all stands at 0 too.
fn slot(number: i64) -> i64 {
    1 + number.rem_euclid(SLOTS)
}

const FORMAT: &str = "upheld.mark/1";

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last, kept } = self;
        // Always as long: it is written over.
        writeln!(f, "{FORMAT} {:020} {:020} {:020} {:020}", last.number, last.at, kept.number, kept.at)
    }
}

fn open_memory(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let file = how.open(path)?;
    #[cfg(unix)]
    if is_new && let Some(folder) = path.parent() {
        use std::os::unix::fs::MetadataExt as _;
        let of = std::fs::metadata(folder)?;
        // Made by root it would be nothing that the service could write; where we are not root it is ours already.
        drop(std::os::unix::fs::chown(path, Some(of.uid()), Some(of.gid())));
    }
    Ok(file)
}

/// What the file remembers; nothing where it is new, or where its machine lost power while it was written.
fn recall(memory: &mut File) -> Option<Seen> {
    let mut text = String::new();
    memory.take(256).read_to_string(&mut text).ok()?;
    let numbers = text.strip_suffix('\n')?.strip_prefix(FORMAT)?.split(' ').skip(1);
    let numbers: Vec<i64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[number, at, kept_number, kept_at] = numbers.as_slice() else { return None };
    Some(Seen { last: Mark { number, at }, kept: Mark { number: kept_number, at: kept_at } })
}

/// Not synced: it outlives the process, and where the machine goes too an older mark is as good.
fn remember(memory: &mut File, seen: Seen) -> io::Result<()> {
    memory.rewind()?;
    memory.write_all(seen.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: i64) -> Mark {
        Mark { number, at: 1_000 * number }
    }

    fn found(there: Option<Mark>, kept_there: Option<Mark>) -> Found {
        let head = Some((Seen { last: mark(100), kept: mark(90) }, "1/1".to_owned()));
        Found { transaction: "7".to_owned(), now: 1, home: "1/1".to_owned(), head, there, kept_there }
    }

    #[test]
    fn what_is_gone_is_told_from_what_is_there_or_was_too_long_ago() {
        let seen = Seen { last: mark(100), kept: mark(90) };
        let other = |number| Some(Mark { number, at: 5 });
        let gone = |is_for_a_person| Verdict::Gone(if is_for_a_person { Lost::ForAPerson } else { Lost::ComesAgain });
        for (why, there, kept_there, verdict) in [
            ("as it was left", Some(mark(100)), Some(mark(90)), Verdict::Same),
            ("65,536 commits of others later", other(100 + SLOTS), Some(mark(90)), Verdict::Same),
            ("the last ones gone", None, Some(mark(90)), gone(false)),
            ("the last ones gone and others in their place", other(100), Some(mark(90)), gone(false)),
            ("what stood there before", other(100 - SLOTS), Some(mark(90)), gone(false)),
            ("what a person has to see gone too", None, None, gone(true)),
            ("and another one in its place", other(100), other(90), gone(true)),
        ] {
            assert_eq!(judge(Some(seen), &found(there, kept_there)), verdict, "{why}");
        }
        let both = Seen { last: mark(100), kept: mark(100) };
        assert_eq!(judge(Some(both), &found(other(100), other(100))), gone(true));
        let long_ago = Seen { last: mark(100 + SLOTS), kept: mark(90) };
        assert_eq!(judge(Some(long_ago), &found(None, other(90 + SLOTS))), gone(false), "behind which we saw others");
        let never = Seen { last: mark(100), kept: Mark::default() };
        assert_eq!(judge(Some(never), &found(None, None)), gone(false));
    }

    #[test]
    fn who_remembers_nothing_asks_whether_it_is_the_same_server() {
        let same = found(None, None);
        assert_eq!(judge(None, &same), Verdict::Same);
        let elsewhere = Found { home: "1/2".to_owned(), ..same.clone() };
        assert_eq!(judge(None, &elsewhere), Verdict::Gone(Lost::ForAPerson));
        let not_told = Found { home: String::new(), ..same };
        assert_eq!(judge(None, &not_told), Verdict::Same);
        assert_eq!(judge(None, &Found { head: None, ..elsewhere }), Verdict::Same, "a new database");
    }

    #[test]
    fn who_finds_all_his_marks_on_another_timeline_says_that_others_may_miss_some() {
        let seen = Seen { last: mark(100), kept: mark(90) };
        let moved = Found { home: "1/2".to_owned(), ..found(Some(mark(100)), Some(mark(90))) };
        assert_eq!(judge(Some(seen), &moved), Verdict::Gone(Lost::NothingSeen));
        let gone = Found { there: None, ..moved.clone() };
        assert_eq!(judge(Some(seen), &gone), Verdict::Gone(Lost::ComesAgain));
        // The first commit there leaves its home: it is said once.
        let head = moved.head.clone().map(|(seen, _)| (seen, "1/2".to_owned()));
        assert_eq!(judge(Some(seen), &Found { head, ..moved }), Verdict::Same);
    }

    #[test]
    fn a_mark_is_remembered_over_a_restart_and_half_a_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.mark");
        let mut memory = open_memory(&path).unwrap();
        assert_eq!(recall(&mut memory), None);
        for number in [3, 400] {
            let seen = Seen { last: mark(number), kept: mark(2) };
            remember(&mut memory, seen).unwrap();
            assert_eq!(recall(&mut open_memory(&path).unwrap()), Some(seen));
        }
        std::fs::write(&path, "upheld.mark/1 0000").unwrap();
        assert_eq!(recall(&mut open_memory(&path).unwrap()), None);
    }
}
