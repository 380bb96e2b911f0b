//! `doctor`: what is wrong with the collectors of this database, each with a command to run. It changes nothing.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use upheld_desk::{authority::RootInUse, tasks::Servers};

use super::{Context, ca};
use crate::{
    failure::{Exit, Failure},
    service::certificates::{another_root, copy_pki},
};

/// Clocks of collectors that differ by more are worth a person's look: what agents say is dated by them.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(5);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    is_ok: bool,
    says: String,
    /// A command to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Finding {
    fn ok(what: &str, says: impl Into<String>) -> Self {
        Self { what: what.to_owned(), is_ok: true, says: says.into(), todo: None }
    }

    fn wrong(what: &str, says: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.to_owned(), is_ok: false, says: says.into(), todo: Some(todo.into()) }
    }

    fn line(&self) -> String {
        let word = if self.is_ok { "ok" } else { "WRONG" };
        let todo = self.todo.iter().map(|todo| format!("\n{:22}do: {todo}", ""));
        format!("  {:12} {word:6} {}{}", self.what, self.says, todo.collect::<String>())
    }
}

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.data.config()?;
    let is_file = config.database.is_none();
    let (servers, in_use, now) = context.with_desk(async |desk, now| {
        Ok::<_, upheld_desk::DeskError>((desk.servers().await?, desk.root_in_use().await?, now))
    })?;
    let pki = ca::open(context)?;
    let mut findings = look(&servers, is_file, now);
    findings.extend(told_of(&servers, config.collectors.len()));
    findings.push(root(in_use.as_ref(), &pki.root_fingerprint(), &context.data.pki()));
    let lines: Vec<String> = findings.iter().map(Finding::line).collect();
    context
        .output
        .result(&lines.join("\n"), || json!({ "schema": "upheld.collector-doctor/1", "findings": findings }))?;
    Ok(if findings.iter().all(|finding| finding.is_ok) { Exit::Ok } else { Exit::Failed })
}

/// What is right and what is not; `now` by this host's clock.
fn look(servers: &Servers, is_file: bool, now: Timestamp) -> Vec<Finding> {
    if is_file {
        return vec![Finding::ok("tasks", "the facts are in a file, which one collector serves alone, with all tasks")];
    }
    let mut findings = vec![clock(servers, now)];
    findings.extend(servers.collectors.iter().filter(|one| !one.is_away && !one.is_late).map(|one| {
        Finding::ok(
            "collector",
            format!("{} serves since {:.0}, last heard {:.0}", one.name, one.started_at, one.seen_at),
        )
    }));
    for task in &servers.tasks {
        if let (Some(holder), Some(since), Some(until)) = (&task.holder, task.since, task.until) {
            findings.push(Finding::ok(
                &task.task,
                format!("{holder}, since {since:.0}, until {until:.0} if not prolonged"),
            ));
        }
    }
    for unwell in servers.unwell() {
        findings.push(Finding::wrong(unwell.what(), unwell.to_string(), unwell.todo()));
    }
    findings
}

/// Whether agents are told where the collectors are: one that knows a single address waits for that one. What a collector calls
/// itself is not always how agents find it, and before several may stand one that passes TCP on, so that only nothing is wrong.
fn told_of(servers: &Servers, named: usize) -> Option<Finding> {
    let serving = servers.collectors.iter().filter(|one| !one.is_away).count();
    (serving > 1 && named == 0).then(|| {
        Finding::wrong(
            "addresses",
            format!(
                "{serving} collectors serve and collector.toml names none: agents wait for the one that enrolled them"
            ),
            "write into every collector.toml how agents find each, collectors = [\"a.example:7443\", \"b.example:7443\"], \
             or the one load balancer before them; restart; hosts that are enrolled already: the same in agent.toml",
        )
    })
}

/// Whether this collector has the keys of the last change of the root.
fn root(in_use: Option<&RootInUse>, own: &str, folder: &Path) -> Finding {
    match in_use.filter(|in_use| in_use.root != own) {
        Some(in_use) => Finding::wrong("root", another_root(in_use, own), copy_pki(folder)),
        None => Finding::ok("root", format!("SHA256:{own}")),
    }
}

/// Leases go by the database's clock alone; what agents say is dated by the collectors' own.
fn clock(servers: &Servers, now: Timestamp) -> Finding {
    let Some(database) = servers.as_of else { return Finding::ok("clock", "not asked") };
    let skew = now.duration_since(database);
    if skew.abs() <= SKEW_MAX {
        return Finding::ok("clock", "this host's clock and the database's are together");
    }
    let (by, side) = (skew.abs().as_secs(), if skew.is_negative() { "behind" } else { "ahead of" });
    Finding::wrong("clock", format!("this host's clock is {by} s {side} the database's"), "timedatectl timesync-status")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do_and_the_rest_by_name() {
        let database = at("2026-11-16T16:00:00Z");
        let task = |task: &str, holder: Option<&str>| upheld_desk::tasks::Leased {
            task: task.to_owned(),
            holder: holder.map(str::to_owned),
            since: Some(database - SignedDuration::from_secs(60)),
            until: holder.map(|_| database + SignedDuration::from_secs(5)),
        };
        let serving = upheld_desk::tasks::Serving {
            name: "a.example:7443#1".to_owned(),
            address: "a.example:7443".to_owned(),
            started_at: database - SignedDuration::from_secs(600),
            seen_at: database,
            is_away: false,
            is_late: false,
            tasks: vec!["clocks".to_owned()],
        };
        let servers = Servers {
            collectors: vec![serving],
            tasks: vec![task("clocks", Some("a.example:7443#1")), task("silence", None)],
            free: vec!["silence".to_owned()],
            as_of: Some(database),
        };
        let findings = look(&servers, false, database + SignedDuration::from_secs(61));
        let lines: Vec<String> = findings.iter().map(Finding::line).collect();
        let said = [
            "  clock        WRONG  this host's clock is 61 s ahead of the database's",
            "  collector    ok     a.example:7443#1 serves since 2026-11-16T15:50:00Z, last heard 2026-11-16T16:00:00Z",
            "  clocks       ok     a.example:7443#1, since 2026-11-16T15:59:00Z, until 2026-11-16T16:00:05Z if not prolonged",
            "  silence      WRONG  nobody does silence since 2026-11-16T15:59:00Z",
        ];
        let first: Vec<&str> = lines.iter().filter_map(|line| line.lines().next()).collect();
        assert_eq!(first, said);
        let todo: Vec<_> =
            findings.iter().filter(|finding| !finding.is_ok).map(|finding| finding.todo.is_some()).collect();
        assert_eq!(todo, [true, true]);
    }

    #[test]
    fn collectors_that_agents_are_not_told_of_are_said() {
        let at = at("2026-11-16T16:00:00Z");
        let serving = |name: &str, is_away| upheld_desk::tasks::Serving {
            name: name.to_owned(),
            address: name.to_owned(),
            started_at: at,
            seen_at: at,
            is_away,
            is_late: false,
            tasks: Vec::new(),
        };
        let servers = |second_is_away| Servers {
            collectors: vec![serving("a:7443#1", false), serving("b:7443#1", second_is_away)],
            tasks: Vec::new(),
            free: Vec::new(),
            as_of: Some(at),
        };
        let says = |second_is_away, named| told_of(&servers(second_is_away), named).map(|finding| finding.says);
        assert!(says(false, 0).unwrap().contains("2 collectors serve and collector.toml names none"));
        assert_eq!((says(false, 1), says(false, 2), says(true, 0)), (None, None, None));
    }

    #[test]
    fn keys_from_before_the_last_change_of_the_root_are_said_with_the_command_that_copies_them() {
        let in_use = RootInUse { root: "new".to_owned(), at: at("2026-11-16T16:00:00Z") };
        let found = |own| root(Some(&in_use), own, Path::new("/var/lib/upheld-collector/pki"));
        let wrong = found("old");
        assert_eq!(
            wrong.says,
            "the root was changed at 2026-11-16T16:00:00Z to SHA256:new, and this collector still has SHA256:old"
        );
        let todo = wrong.todo.unwrap();
        assert!(todo.contains("scp -rp /var/lib/upheld-collector/pki THIS-HOST:/var/lib/upheld-collector/"), "{todo}");
        assert!(found("new").is_ok && root(None, "old", Path::new("pki")).is_ok);
    }
}
