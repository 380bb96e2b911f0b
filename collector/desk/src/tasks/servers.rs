//! Who serves a database and does what, for people: the command line, the page and `/healthz` say the same.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_store::leases::{CollectorRow, LeaseRow};

use super::{lease::LEASE, loops};
use crate::{Desk, DeskError};

/// Collectors that gave no sign of life for so long are not listed any more.
pub(super) const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A collector says every 2 s that it lives; one that is later than this has missed one.
const LATE_AFTER: SignedDuration = SignedDuration::from_secs(4);
/// A task that is handed over is free for some seconds; for longer than this nobody takes it.
const FREE_FOR: SignedDuration = SignedDuration::from_secs(15);

/// A collector that serves the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serving {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Its last sign of life.
    pub seen_at: Timestamp,
    /// Whether that is older than a lease: it is stopped, frozen or cut off.
    pub is_away: bool,
    /// Whether it has missed to say that it lives, and still may have what it had.
    pub is_late: bool,
    /// The tasks that it does.
    pub tasks: Vec<String>,
}

/// A task that one collector does for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leased {
    /// Which.
    pub task: String,
    /// Who does it at this moment, by name; `None`: nobody.
    pub holder: Option<String>,
    /// Since when, or since when nobody does; `None` where nobody ever did.
    pub since: Option<Timestamp>,
    /// Until when it is the holder's, if he does not prolong it.
    pub until: Option<Timestamp>,
}

/// Who serves a database and does what. All by the database's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Servers {
    /// Each collector, by name.
    pub collectors: Vec<Serving>,
    /// Each task, by name; none where no collector among several has served yet.
    pub tasks: Vec<Leased>,
    /// Tasks that nobody does at this moment.
    pub free: Vec<String>,
    /// The moment by which all this is said.
    pub as_of: Option<Timestamp>,
}

/// Something that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwell {
    /// Nobody serves.
    NobodyServes,
    /// Nobody does this task, since then.
    NobodyDoes {
        /// Which.
        task: String,
        /// `None`: nobody ever did.
        since: Option<Timestamp>,
    },
    /// A collector has ended without handing back, or hangs, or is cut off from the database.
    Away {
        /// Which.
        collector: String,
        /// Its last sign of life.
        since: Timestamp,
    },
    /// A collector says later than it should that it lives.
    Late {
        /// Which.
        collector: String,
        /// Its last sign of life.
        since: Timestamp,
    },
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyServes => write!(f, "no collector serves this database"),
            Self::NobodyDoes { task, since: Some(since) } => write!(f, "nobody does {task} since {since:.0}"),
            Self::NobodyDoes { task, since: None } => write!(f, "nobody has ever done {task}"),
            Self::Away { collector, since } => {
                write!(f, "{collector} is away since {since:.0}: killed, frozen, or cut off from the database")
            }
            Self::Late { collector, since } => {
                write!(f, "{collector} is late: it said last at {since:.0} that it lives, which it does every 2 s")
            }
        }
    }
}

impl Unwell {
    /// What is looked at: a task by its name, or collectors.
    pub fn what(&self) -> &str {
        match self {
            Self::NobodyDoes { task, .. } => task,
            Self::NobodyServes | Self::Away { .. } | Self::Late { .. } => "collector",
        }
    }

    /// What to do about it.
    pub fn todo(&self) -> &'static str {
        match self {
            Self::NobodyServes => "upheld-collector serve",
            Self::NobodyDoes { .. } => {
                "look at the log of each collector that serves, e.g.: journalctl -u upheld-collector -p warning -n 50"
            }
            Self::Away { .. } => {
                "on its host: systemctl restart upheld-collector (one that was taken away for good is forgotten in a day)"
            }
            Self::Late { .. } => {
                "on its host, look at load and at the line to the database: systemctl status upheld-collector"
            }
        }
    }
}

impl Servers {
    /// Whether no collector among several has served: one serves alone, from a file.
    pub fn is_alone(&self) -> bool {
        self.collectors.is_empty() && self.tasks.is_empty()
    }

    /// What of it a person has to look at, the worst first.
    pub fn unwell(&self) -> Vec<Unwell> {
        let Some(now) = self.as_of else { return Vec::new() };
        if self.collectors.iter().all(|one| one.is_away) {
            return vec![Unwell::NobodyServes];
        }
        let is_left =
            |task: &&Leased| task.holder.is_none() && task.since.is_none_or(|at| now.duration_since(at) > FREE_FOR);
        let left = self.tasks.iter().filter(is_left);
        let left = left.map(|task| Unwell::NobodyDoes { task: task.task.clone(), since: task.since });
        let named = |one: &Serving| (one.name.clone(), one.seen_at);
        let away = self.collectors.iter().filter(|one| one.is_away).map(named);
        let late = self.collectors.iter().filter(|one| one.is_late).map(named);
        left.chain(away.map(|(collector, since)| Unwell::Away { collector, since }))
            .chain(late.map(|(collector, since)| Unwell::Late { collector, since }))
            .collect()
    }
}

impl Desk {
    /// Who serves this database and does what. Without collectors and tasks where one serves alone, from a file.
    pub async fn servers(&self) -> Result<Servers, DeskError> {
        self.store
            .read("desk.servers", |tx| {
                let now = tx.database_now()?;
                let since = now.saturating_sub(FORGOTTEN_AFTER).unwrap_or(now);
                Ok(servers(tx.collectors(since)?, &tx.leases()?, now))
            })
            .await
    }
}

fn servers(collectors: Vec<CollectorRow>, leases: &[LeaseRow], now: Timestamp) -> Servers {
    let of = |name: &str| {
        let held = leases.iter().filter(|lease| lease.holder == name && now < lease.until);
        held.map(|lease| lease.task.clone()).collect()
    };
    let serving = |row: CollectorRow| {
        let unseen = now.duration_since(row.seen_at);
        let is_away = unseen > LEASE;
        Serving {
            tasks: of(&row.name),
            is_away,
            is_late: !is_away && unseen > LATE_AFTER,
            name: row.name,
            address: row.address,
            started_at: row.started_at,
            seen_at: row.seen_at,
        }
    };
    let leased = |task: &str| {
        let row = leases.iter().find(|lease| lease.task == task);
        match row.filter(|row| now < row.until) {
            Some(row) => Leased {
                task: task.to_owned(),
                holder: Some(row.holder.clone()),
                since: Some(row.taken_at),
                until: Some(row.until),
            },
            None => Leased { task: task.to_owned(), holder: None, since: row.map(|row| row.until), until: None },
        }
    };
    let is_among = !collectors.is_empty() || !leases.is_empty();
    let mut names: Vec<&str> = if is_among { loops::leased().collect() } else { Vec::new() };
    names.sort_unstable();
    let tasks: Vec<Leased> = names.into_iter().map(leased).collect();
    let free = tasks.iter().filter(|task| task.holder.is_none() && task.since.is_some());
    Servers {
        free: free.map(|task| task.task.clone()).collect(),
        collectors: collectors.into_iter().map(serving).collect(),
        tasks,
        as_of: Some(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn collector(name: &str, seen: i64) -> CollectorRow {
        CollectorRow { name: name.into(), address: name.into(), started_at: at(-600), seen_at: at(seen) }
    }

    fn lease(task: &str, holder: &str, until: i64) -> LeaseRow {
        LeaseRow { task: task.into(), holder: holder.into(), fence: 1, taken_at: at(-300), until: at(until) }
    }

    #[test]
    fn what_nobody_does_and_who_is_late_or_away_is_said_with_what_to_do() {
        let every = |holder: &str, until| loops::leased().map(|task| lease(task, holder, until)).collect::<Vec<_>>();
        let well = servers(vec![collector("a", -1), collector("b", -2)], &every("a", 4), at(0));
        assert_eq!((well.unwell(), well.free.len(), well.tasks.len()), (vec![], 0, 8));
        assert!(well.tasks.iter().all(|task| task.holder.as_deref() == Some("a") && task.since == Some(at(-300))));

        let handing_over = servers(vec![collector("b", 0)], &every("a", -14), at(0));
        assert_eq!((handing_over.unwell(), handing_over.free.len()), (vec![], 8), "it has its seconds");

        let mut leases = every("a", 4);
        leases[2].until = at(-16);
        leases.pop();
        let (left, never) = (leases[2].task.clone(), loops::leased().last().unwrap().to_owned());
        let ill = servers(vec![collector("a", -5), collector("b", -7)], &leases, at(0)).unwell();
        let expected = [
            Unwell::NobodyDoes { task: never.clone(), since: None },
            Unwell::NobodyDoes { task: left.clone(), since: Some(at(-16)) },
            Unwell::Away { collector: "b".into(), since: at(-7) },
            Unwell::Late { collector: "a".into(), since: at(-5) },
        ];
        assert_eq!(ill, expected, "{never} {left}");
        assert!(ill.iter().all(|one| !one.todo().is_empty()));

        let none = servers(vec![collector("a", -60)], &every("a", -54), at(0));
        assert_eq!(none.unwell(), [Unwell::NobodyServes]);
        assert_eq!(servers(vec![], &[], at(0)).tasks, [], "a file is served by one");
    }
}
