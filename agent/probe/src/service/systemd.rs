//! Services as systemd's manager tells over the system bus. Nobody needs a right to ask.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use upheld_model::{CheckId, Counter, Outcome, UnknownReason};
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Proxy};

use super::{
    State, all_that_start,
    judge::{self, Unit, Verdict},
};
use crate::{ProbeResult, deadline::Deadline, host::boot_id};

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
/// So many services of one host are looked at.
const UNITS_MAX: usize = 512;

/// A row of `ListUnitsByNames`: name, description, load, active, sub, following, path, job's number, kind and path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

pub(super) async fn run(state: &Mutex<State>, check: &CheckId, unit: Option<&str>, deadline: Deadline) -> ProbeResult {
    if !Path::new("/run/systemd/system").exists() {
        let why = "this host is not run by systemd: its services cannot be asked about";
        return ProbeResult::unknown(UnknownReason::CannotProbe, why);
    }
    let asked = async {
        let manager = Manager { bus: Connection::system().await? };
        match unit {
            Some(unit) => manager.one(state, check, &full_name(unit)).await,
            None => manager.all(state, check).await,
        }
    };
    match deadline.bound(asked).await {
        Some(Ok(result)) => result,
        Some(Err(error)) => {
            let is_refused = matches!(&error, zbus::Error::MethodError(name, _, _) if name.ends_with("AccessDenied"));
            let reason = if is_refused { UnknownReason::Permission } else { UnknownReason::Local };
            ProbeResult::unknown(reason, format!("systemd cannot be asked over the system bus: {error}"))
        }
        None => ProbeResult::unknown(UnknownReason::Local, "systemd did not answer over the system bus in time"),
    }
}

/// A name without a kind is a service's.
fn full_name(unit: &str) -> String {
    const KINDS: [&str; 11] = [
        ".service",
        ".socket",
        ".device",
        ".mount",
        ".automount",
        ".swap",
        ".target",
        ".path",
        ".timer",
        ".slice",
        ".scope",
    ];
    if KINDS.iter().any(|kind| unit.ends_with(kind)) { unit.to_owned() } else { format!("{unit}.service") }
}

struct Manager {
    bus: Connection,
}

impl Manager {
    /// One unit that is meant to run.
    async fn one(&self, state: &Mutex<State>, check: &CheckId, name: &str) -> zbus::Result<ProbeResult> {
        let unit = self.look(name).await?;
        let lately = lately(state, check, &unit);
        let result = match judge::judge(&unit, lately) {
            Verdict::Good(why) => ProbeResult::new(Outcome::Ok).evidence(with_restarts(why, &unit)),
            Verdict::Turning(why) => ProbeResult::new(Outcome::Warn).evidence(with_restarts(why, &unit)),
            Verdict::Wrong(why) => ProbeResult::bad(with_restarts(why, &unit)),
            Verdict::Missing => return Ok(super::missing(state, check, name)),
        };
        super::found(state, check, name);
        let words = [("active_state", &unit.active), ("sub_state", &unit.sub), ("result", &unit.result)];
        let said = words.into_iter().filter(|(_, word)| !word.is_empty());
        let mut result = said.fold(result, |result, (name, word)| result.value(name, word.as_str()));
        if unit.exit_code != 0 {
            result = result.value("exit_status", f64::from(unit.exit_status));
        }
        Ok(match unit.restarts {
            Some(restarts) => result
                .value("restarts_in_10_min", f64::from(lately))
                .counter("restarts", Counter(boot_id().as_str().into(), restarts.into())),
            None => result,
        })
    }

    /// All services that are to start with this host.
    async fn all(&self, state: &Mutex<State>, check: &CheckId) -> zbus::Result<ProbeResult> {
        let enabled = self.enabled().await?;
        let names: Vec<&str> = enabled.iter().map(String::as_str).collect();
        let rows: Vec<Row> = self.manager().await?.call("ListUnitsByNames", &(names,)).await?;
        let (mut wrong, mut turning, mut looked_at) = (Vec::new(), Vec::new(), 0_usize);
        for (name, _, load, active, sub, _, path, ..) in rows {
            // One that a link in the file system names and that is not there is not to start either.
            if load == "not-found" {
                continue;
            }
            looked_at += 1;
            let unit = if active == "active" {
                let restarts = self.property::<u32>(&path, "Service", "NRestarts").await.ok();
                Unit { name, load, active, sub, restarts, ..Unit::default() }
            } else {
                self.look_at(&name, &path).await?
            };
            // That a condition is not met is how a unit says that it is not for this host.
            if unit.active == "inactive" && unit.is_condition_unmet {
                continue;
            }
            match judge::judge(&unit, lately(state, check, &unit)) {
                Verdict::Wrong(why) => wrong.push(why),
                Verdict::Turning(why) => turning.push(why),
                Verdict::Good(_) | Verdict::Missing => {}
            }
        }
        Ok(all_that_start(looked_at, &wrong, &turning))
    }

    /// The services whose unit files are enabled, without templates, which stand for none by themselves.
    async fn enabled(&self) -> zbus::Result<Vec<String>> {
        let (states, patterns) = (["enabled", "enabled-runtime"].as_slice(), ["*.service"].as_slice());
        let files: Vec<(String, String)> =
            self.manager().await?.call("ListUnitFilesByPatterns", &(states, patterns)).await?;
        let name = |(path, _): (String, String)| path.rsplit('/').next().map(str::to_owned);
        let names = files.into_iter().filter_map(name).filter(|name| !name.contains("@."));
        Ok(names.take(UNITS_MAX).collect())
    }

    /// A unit by its name; one that is missing loads too, and says so in `LoadState`.
    async fn look(&self, name: &str) -> zbus::Result<Unit> {
        let path: OwnedObjectPath = self.manager().await?.call("LoadUnit", &(name,)).await?;
        self.look_at(name, &path).await
    }

    async fn look_at(&self, name: &str, path: &OwnedObjectPath) -> zbus::Result<Unit> {
        let mut unit = self.properties(path, "Unit").await?;
        let mut service = match name.ends_with(".service") {
            true => self.properties(path, "Service").await?,
            false => Properties::default(),
        };
        let was_asked = unit.take::<u64>("ConditionTimestampMonotonic").is_some_and(|at| at > 0);
        Ok(Unit {
            name: name.to_owned(),
            load: unit.text("LoadState"),
            active: unit.text("ActiveState"),
            sub: unit.text("SubState"),
            is_condition_unmet: was_asked && unit.take("ConditionResult") == Some(false),
            triggers: unit.take("TriggeredBy").unwrap_or_default(),
            result: service.text("Result"),
            kind: service.text("Type"),
            restarts: service.take("NRestarts"),
            exit_code: service.take("ExecMainCode").unwrap_or_default(),
            exit_status: service.take("ExecMainStatus").unwrap_or_default(),
        })
    }

    async fn manager(&self) -> zbus::Result<Proxy<'_>> {
        Proxy::new(&self.bus, NAME, MANAGER, format!("{NAME}.Manager")).await
    }

    async fn properties(&self, path: &OwnedObjectPath, interface: &str) -> zbus::Result<Properties> {
        let asked = self.asked(path).await?;
        Ok(Properties(asked.call("GetAll", &(format!("{NAME}.{interface}"),)).await?))
    }

    async fn property<T>(&self, path: &OwnedObjectPath, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant, Error = zbus::Error>,
    {
        let asked = self.asked(path).await?;
        let value: OwnedVariant = asked.call("Get", &(format!("{NAME}.{interface}"), name)).await?;
        T::try_from(value)
    }

    async fn asked<'a>(&'a self, path: &'a OwnedObjectPath) -> zbus::Result<Proxy<'a>> {
        Proxy::new(&self.bus, NAME, path, "org.freedesktop.DBus.Properties").await
    }
}

/// The properties of one interface.
#[derive(Default)]
struct Properties(BTreeMap<String, OwnedVariant>);

impl Properties {
    /// One of them; `None` where this systemd has no such property.
    fn take<T: TryFrom<OwnedVariant>>(&mut self, name: &str) -> Option<T> {
        T::try_from(self.0.remove(name)?).ok()
    }

    fn text(&mut self, name: &str) -> String {
        self.take(name).unwrap_or_default()
    }
}

/// How often the unit restarted lately.
fn lately(state: &Mutex<State>, check: &CheckId, unit: &Unit) -> u32 {
    let Some(count) = unit.restarts else { return 0 };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.restarts.entry((check.clone(), unit.name.clone())).or_default().counted(count, Instant::now())
}

fn with_restarts(why: String, unit: &Unit) -> String {
    match unit.restarts {
        None | Some(0) => why,
        Some(1) => format!("{why}; restarted once since somebody started it"),
        Some(often) => format!("{why}; restarted {often} times since somebody started it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_a_services() {
        for (name, full) in [
            ("recorder", "recorder.service"),
            ("recorder.service", "recorder.service"),
            ("backup.timer", "backup.timer"),
            ("getty@tty1", "getty@tty1.service"),
            ("org.example.Recorder", "org.example.Recorder.service"),
        ] {
            assert_eq!(full_name(name), full);
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let all: Vec<String> = (0..12).map(|number| format!("u{number}")).collect();
        assert!(super::super::listed(&all).ends_with("u9; and 2 more"), "{}", super::super::listed(&all));
    }
}
