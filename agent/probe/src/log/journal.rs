//! Reads on in the systemd journal, by `/usr/bin/journalctl` as it would be started by hand.
//!
//! That the agent may start it, and for which unit, stands in the site's `allow.toml` (SECURITY 1). A place is a cursor,
//! as journalctl gives one to each entry. It is asked for what begins *at* the last entry that was read: where that one
//! still is, it comes first and is passed over; where another comes first, the place has gone from the journal and that
//! is said. (`--after-cursor` could not tell, and older versions pass over an entry too many there.)
//!
//! Whoever may not read the system's journal is shown his own without a word, mostly an empty one. So whether the agent
//! may is asked of the files first: it is unknown, and never taken for a log in which nothing matches.

mod entries;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use jiff::Timestamp;
use upheld_model::UnknownReason;

use super::{Cursor, Matcher};
use crate::{
    ProbeResult,
    allow::LogSource,
    deadline::Deadline,
    exec::{Answer, Plugins},
};

/// So many entries, and bytes of them, are asked for at once; so often in one look. What comes after that is skipped.
const ENTRIES_MAX: usize = 4_000;
const OUT_MAX: usize = 4 << 20;
const PIECES_MAX: usize = 4;
/// Where journald keeps its files.
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// So many names of a folder are looked at.
const NAMES_MAX: usize = 1_000;

/// What a look found.
pub(super) struct Followed {
    pub(super) cursor: Cursor,
    /// It only took the place.
    pub(super) is_first: bool,
    pub(super) lines: u64,
    pub(super) matcher: Matcher,
    /// What is to be said beside the judgement.
    pub(super) notes: String,
}

/// Reads on behind `before`, or takes the place at the end where there is none yet.
pub(super) async fn read_on(
    plugins: &Plugins,
    unit: &str,
    before: Option<Cursor>,
    matcher: Matcher,
    deadline: Deadline,
) -> Result<Followed, ProbeResult> {
    elsewhere(may_read).await??;
    let Some(cursor) = before else {
        let (cursor, _) = end(plugins, unit, deadline).await?;
        return Ok(Followed { cursor, is_first: true, lines: 0, matcher, notes: String::new() });
    };
    let mut reading = Reading::new(cursor, matcher);
    for piece in 0..PIECES_MAX {
        let answer = match ask(plugins, &question(unit, &reading.cursor), deadline).await {
            Ok(answer) => answer,
            Err(_) if piece > 0 => return Ok(reading.done("; the rest is read at the next look")),
            Err(result) => return Err(result),
        };
        if answer.is_refused {
            let (cursor, _) = end(plugins, unit, deadline).await?;
            reading.cursor = cursor;
            return Ok(reading.done("; the place of the last look was lost: read from here on"));
        }
        let (taken, read) = elsewhere(move || reading.take(&answer)).await?;
        reading = read;
        match taken? {
            Taken::All => return Ok(reading.done("")),
            Taken::More => {}
            Taken::TooLarge => break,
        }
    }
    match end(plugins, unit, deadline).await {
        Ok((cursor, at)) => {
            let text = |at: Option<Timestamp>| at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            let from = text(reading.at).unwrap_or_else(|| "the last look".to_owned());
            let to = text(at).unwrap_or_else(|| "now".to_owned());
            reading.cursor = cursor;
            Ok(reading.done(&format!("; skipped what came from {from} to {to}: more than is read at once")))
        }
        Err(_) => Ok(reading.done("; the rest is read at the next look")),
    }
}

/// How much of what is there was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    More,
    /// There is more, and the next entry alone is more than is taken at once.
    TooLarge,
}

/// A look on its way.
struct Reading {
    cursor: Cursor,
    matcher: Matcher,
    lines: u64,
    /// When the last entry was logged.
    at: Option<Timestamp>,
    unread: u64,
    /// The entry of the last look is no longer there.
    is_gone: bool,
    complaint: String,
}

impl Reading {
    fn new(cursor: Cursor, matcher: Matcher) -> Self {
        Self { cursor, matcher, lines: 0, at: None, unread: 0, is_gone: false, complaint: String::new() }
    }

    /// Takes what journalctl answered.
    fn take(mut self, answer: &Answer) -> (Result<Taken, ProbeResult>, Self) {
        let (entries, unread) = entries::read(&answer.out, answer.is_cut);
        if entries.is_empty() && unread > 0 {
            let why = "journalctl printed no entries of the journal in JSON";
            return (Err(ProbeResult::unknown(UnknownReason::CannotProbe, why)), self);
        }
        let count = entries.len() as u64 + unread;
        let mut fresh = 0_u64;
        for (number, entry) in entries.into_iter().enumerate() {
            if number == 0 && entry.cursor == self.cursor.text {
                continue;
            }
            self.is_gone |= number == 0 && self.cursor.is_of_log;
            fresh += 1;
            for line in entry.message.0.iter().filter(|line| !line.is_empty()) {
                self.lines += 1;
                self.matcher.see(line);
            }
            self.at = entry.at();
            self.cursor = Cursor { text: entry.cursor, is_of_log: true };
        }
        self.unread += unread;
        self.complaint.clone_from(&answer.complaint);
        let taken = match answer.is_cut || count >= ENTRIES_MAX as u64 {
            true if fresh == 0 => Taken::TooLarge,
            true => Taken::More,
            false => Taken::All,
        };
        (Ok(taken), self)
    }

    fn done(self, note: &str) -> Followed {
        let mut notes = note.to_owned();
        if self.is_gone {
            notes.push_str("; where the last look ended was deleted from the journal meanwhile: read on behind it");
        }
        if self.unread > 0 {
            notes.push_str(&format!("; {} entries could not be read", self.unread));
        }
        if let Some(line) = self.complaint.lines().next() {
            notes.push_str(&format!("; journalctl says: {line}"));
        }
        Followed { cursor: self.cursor, is_first: false, lines: self.lines, matcher: self.matcher, notes }
    }
}

/// What is asked for the entries from a place on. Nothing of it is from the book.
fn question(unit: &str, from: &Cursor) -> Vec<String> {
    let mut question = words(&format!("--lines={ENTRIES_MAX} --output-fields=MESSAGE --all"));
    question.push(format!("--cursor={}", from.text));
    if unit != LogSource::WHOLE {
        question.push(format!("--unit={unit}"));
    }
    question
}

/// What is said at each question, and `more`.
fn words(more: &str) -> Vec<String> {
    format!("--output=json --no-pager {more}").split_whitespace().map(str::to_owned).collect()
}

/// The end of the journal, whatever unit wrote there: one that has not logged anything yet has no entry.
async fn end(plugins: &Plugins, unit: &str, deadline: Deadline) -> Result<(Cursor, Option<Timestamp>), ProbeResult> {
    // One field, which is not the message: that may be larger than anything.
    let answer = ask(plugins, &words("--lines=1 --output-fields=_BOOT_ID"), deadline).await?;
    let (entries, _) = entries::read(&answer.out, answer.is_cut);
    let Some(last) = entries.into_iter().next_back() else {
        let why = "the systemd journal of this host has no entries: journalctl -n 1";
        return Err(ProbeResult::unknown(UnknownReason::CannotProbe, why));
    };
    let at = last.at();
    Ok((Cursor { text: last.cursor, is_of_log: unit == LogSource::WHOLE }, at))
}

/// An answer that is entries, or one that says that the place is unknown ([`Answer::is_refused`]).
async fn ask(plugins: &Plugins, question: &[String], deadline: Deadline) -> Result<Answer, ProbeResult> {
    let answer = plugins.journalctl(question, OUT_MAX, deadline).await?;
    let complaint = answer.complaint.as_str();
    let says = |part: &str| complaint.contains(part);
    if says("insufficient permissions") || says("not seeing messages from other users") {
        return Err(not_permitted());
    }
    let is_lost = says("seek to cursor") || says("parse cursor");
    if says("No journal files") || (answer.is_refused && !is_lost) {
        let said = complaint.lines().next().unwrap_or("it ended with an error and said nothing");
        return Err(ProbeResult::unknown(UnknownReason::CannotProbe, format!("journalctl: {said}")));
    }
    Ok(answer)
}

/// Whether the agent's user may read what the system's services log.
fn may_read() -> Result<(), ProbeResult> {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let is_shut =
        rustix::process::geteuid().is_root() || FOLDERS.iter().any(|folder| is_shut(Path::new(folder), machine.trim()));
    if is_shut { Err(not_permitted()) } else { Ok(()) }
}

/// Whether a folder of journals, that of this machine in it, or a file of its system may not be read.
fn is_shut(folder: &Path, machine: &str) -> bool {
    let is_refusal = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    if let Err(error) = fs::read_dir(folder) {
        return is_refusal(&error);
    }
    let files = match fs::read_dir(folder.join(machine)) {
        Ok(files) => files,
        Err(error) => return is_refusal(&error),
    };
    files.take(NAMES_MAX).flatten().any(|file| {
        let name = file.file_name();
        let is_of_system = name.to_str().is_some_and(|name| name.starts_with("system") && name.ends_with(".journal"));
        is_of_system && File::open(file.path()).is_err_and(|error| is_refusal(&error))
    })
}

fn not_permitted() -> ProbeResult {
    let user = rustix::process::geteuid();
    let why = if user.is_root() {
        "root has journalctl run as nobody, who may not read the journal: run the agent as a user of its own".to_owned()
    } else {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        match name_of(&users, user.as_raw()) {
            Some(name) => format!(
                "{name} may not read the systemd journal: usermod -aG systemd-journal {name}; systemctl restart upheld-agent"
            ),
            // systemd makes it while the service runs.
            None => "the agent's user may not read the systemd journal: systemctl edit upheld-agent, there [Service] \
                     SupplementaryGroups=systemd-journal, and restart it"
                .to_owned(),
        }
    };
    ProbeResult::unknown(UnknownReason::Permission, why)
}

/// The user of this number in the text of `/etc/passwd`.
fn name_of(users: &str, number: u32) -> Option<&str> {
    let number = number.to_string();
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == number).then_some(name)
    })
}

/// Off the runtime's thread: megabytes are matched, or a disk is asked.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ProbeResult> {
    let failed = |error| ProbeResult::unknown(UnknownReason::Local, format!("the journal: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

#[cfg(test)]
mod tests;
