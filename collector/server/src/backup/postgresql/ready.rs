//! Whether a server can be followed: everything that is missing at once, each with the command that makes it good.

use std::path::Path;

use upheld_store::postgres::follow::Ready;

use crate::{
    failure::{Exit, Failure},
    files::FileError,
};

/// Sessions that following takes: one for the log, two while a copy of the whole is taken.
const SENDERS: i64 = 3;
/// Slots: one for the log, one while a copy of the whole is taken.
const SLOTS: i64 = 2;

/// Something that is missing, and the command for it.
type Missing = (String, String);

/// Refuses a server that cannot be followed into a folder with so much room. `has_slot`, `has_base` where it was already.
pub(super) fn refuse_unready(
    ready: &Ready,
    shown: &str,
    room: Option<u64>,
    (has_slot, has_base): (bool, bool),
) -> Result<(), Failure> {
    let missing = missing(ready, room, (has_slot, has_base));
    if missing.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Exit::Config, format!("{shown} cannot be followed as it stands"));
    Err(missing.into_iter().fold(failure, |failure, (why, todo)| failure.because(why).todo(todo)))
}

fn missing(ready: &Ready, room: Option<u64>, (has_slot, has_base): (bool, bool)) -> Vec<Missing> {
    let Ready { role, wal_level, senders, slots, tablespaces, bytes, .. } = ready;
    let mut missing: Vec<Missing> = Vec::new();
    let mut lacks = |why: String, todo: String| missing.push((why, todo));
    if !ready.may_replicate {
        lacks(
            format!("the role {role} may not replicate"),
            format!(
                "psql -c 'ALTER ROLE {role} REPLICATION' as its administrator; or name another role: --database URL \
                 --database-password-file FILE"
            ),
        );
    }
    if wal_level == "minimal" {
        lacks(
            "wal_level is minimal: its log says too little to make a database of it".to_owned(),
            "psql -c \"ALTER SYSTEM SET wal_level = replica\", then restart PostgreSQL".to_owned(),
        );
    }
    let bounds = [
        ("max_wal_senders", *senders, SENDERS, "sessions that read its log"),
        ("max_replication_slots", *slots, SLOTS - i64::from(has_slot), "slots"),
    ];
    for (name, (most, used), needed, what) in bounds {
        if most - used < needed {
            lacks(
                format!("{name} is {most}, of which {used} are in use: following needs {needed} {what}"),
                format!("psql -c \"ALTER SYSTEM SET {name} = {}\", then restart PostgreSQL", used + needed),
            );
        }
    }
    if *tablespaces > 0 {
        lacks(
            format!("it has {tablespaces} tablespaces of its own, which lie outside its data directory"),
            "follow it with pg_basebackup --tablespace-mapping and pg_receivewal by hand: docs/postgresql.md"
                .to_owned(),
        );
    }
    if let Some((why, todo)) = no_room(*bytes, room).filter(|_| !has_base) {
        lacks(why, todo);
    }
    missing
}

/// Refuses a copy of the whole for which there is no room: half of one would take what the log needs.
pub(super) fn refuse_without_room(ready: &Ready, shown: &str, room: Option<u64>) -> Result<(), Failure> {
    match no_room(ready.bytes, room) {
        Some((why, todo)) => Err(Failure::new(Exit::Failed, no_copy(shown)).because(why).todo(todo)),
        None => Ok(()),
    }
}

/// What is said where no copy could be taken.
pub(super) fn no_copy(shown: &str) -> String {
    format!("no copy of {shown} could be taken")
}

fn no_room(bytes: u64, room: Option<u64>) -> Option<Missing> {
    let room = room.filter(|room| *room < bytes)?;
    Some((
        format!("a copy of it takes {} MiB, and the folder's disk has {} MiB left", bytes >> 20, room >> 20),
        "make room there, or name a folder on another disk".to_owned(),
    ))
}

/// How many bytes there is room for beside a folder.
pub(super) fn room(folder: &Path) -> Result<Option<u64>, Failure> {
    #[cfg(unix)]
    {
        let told =
            rustix::fs::statvfs(folder).map_err(|error| FileError::of("look at the disk of", folder)(error.into()))?;
        Ok(Some(told.f_bavail.saturating_mul(told.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = (folder, FileError::of("look at the disk of", folder));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Ready {
        Ready {
            major: 15,
            system: "7".to_owned(),
            wal_level: "replica".to_owned(),
            role: "upheld".to_owned(),
            may_replicate: true,
            senders: (10, 0),
            slots: (10, 0),
            tablespaces: 0,
            bytes: 100 << 20,
            segment: 16 << 20,
            waits_for: String::new(),
        }
    }

    #[test]
    fn all_that_is_missing_is_said_at_once_each_with_its_command() {
        assert_eq!(missing(&right(), Some(200 << 20), (false, false)), []);
        let wrong = Ready {
            wal_level: "minimal".to_owned(),
            may_replicate: false,
            senders: (0, 0),
            slots: (5, 4),
            tablespaces: 1,
            ..right()
        };
        let failure = refuse_unready(&wrong, "postgres://db/desk", Some(0), (false, false)).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        let text = failure.text(false);
        for part in [
            "ALTER ROLE upheld REPLICATION",
            "wal_level = replica",
            "max_wal_senders = 3",
            "max_replication_slots = 6",
            "tablespaces",
            "takes 100 MiB, and the folder's disk has 0 MiB left",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_there_already_is_not_asked_for_again() {
        let full = Ready { slots: (5, 4), ..right() };
        assert_eq!(missing(&full, Some(0), (true, true)), []);
        assert_eq!(missing(&full, Some(0), (false, true)).len(), 1);
    }
}
