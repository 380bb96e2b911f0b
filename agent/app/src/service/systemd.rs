//! systemd's half: unit files, the program's place, and what the manager is asked to do.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Services, State, bus::Manager};
use crate::{
    failure::{Code, Failure},
    platform,
};

/// The units as the package has them.
const SERVICE: &str = include_str!("../../dist/upheld-agent.service");
const PATH: &str = include_str!("../../dist/upheld-agent.path");
const UNITS: [&str; 2] = ["upheld-agent.service", "upheld-agent.path"];
/// Where an administrator's units are.
const FOLDER: &str = "/etc/systemd/system";
/// Where packages put theirs.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where the program is put: a service cannot run what lies in somebody's home.
const PROGRAM: &str = "/usr/local/bin/upheld-agent";
/// A stopping agent has 30 s by its unit.
const STOPPING: Duration = Duration::from_secs(40);

/// The service manager of this host.
pub(super) struct Systemd;

impl Services for Systemd {
    async fn install(&self) -> Result<Vec<String>, Failure> {
        refuse_if_packaged()?;
        let manager = manager("install").await?;
        let mut done = Vec::new();
        if put_program().map_err(|error| cannot_write(PROGRAM, &error))? {
            done.push(format!("this program is in {PROGRAM}"));
        }
        for (unit, text) in UNITS.into_iter().zip([service_text(), PATH.to_owned()]) {
            let place = Path::new(FOLDER).join(unit);
            if fs::read_to_string(&place).is_ok_and(|there| there == text) {
                continue;
            }
            replace(&place, text.as_bytes(), 0o644)
                .map_err(|error| cannot_write(&place.display().to_string(), &error))?;
            done.push(format!("{} is written", place.display()));
        }
        manager.reload().await.map_err(asked)?;
        manager.enable(&UNITS).await.map_err(asked)?;
        manager.start(UNITS[1]).await.map_err(asked)?;
        manager.restart(UNITS[0]).await.map_err(asked)?;
        // The older one says its last words first; one that is not enrolled ends as inactive.
        wait_until(&manager, &["active", "inactive", "failed"]).await?;
        done.push("the service starts with this host; see: upheld-agent service status".to_owned());
        if !Path::new("/var/lib/upheld/identity.json").exists() {
            done.push("it begins once this host is enrolled: sudo upheld-agent enroll '<link>'".to_owned());
        }
        Ok(done)
    }

    async fn start(&self) -> Result<Vec<String>, Failure> {
        let manager = manager("start").await?;
        require_unit(&manager).await?;
        manager.start(UNITS[0]).await.map_err(asked)?;
        match wait_until(&manager, &["active", "inactive", "failed"]).await?.as_str() {
            "active" => Ok(vec!["the service runs".to_owned()]),
            // A unit whose condition does not hold ends without an error: this host is not enrolled.
            state => Err(Failure::new(Code::Failed, format!("the service is {state}"))
                .help(format!("is this host enrolled? upheld-agent doctor; why it ended: {}", platform::WHY_IT_ENDED))),
        }
    }

    async fn stop(&self) -> Result<Vec<String>, Failure> {
        let manager = manager("stop").await?;
        require_unit(&manager).await?;
        manager.stop(UNITS[0]).await.map_err(asked)?;
        wait_until(&manager, &["inactive", "failed"]).await?;
        Ok(vec!["the service is stopped until this host's next start, or: upheld-agent service start".to_owned()])
    }

    async fn state(&self) -> Result<State, Failure> {
        require_systemd()?;
        let manager = Manager::connect().await.map_err(asked)?;
        let unit = UNITS[0];
        let load: String = manager.property(unit, "Unit", "LoadState").await.map_err(asked)?;
        let place: String = manager.property(unit, "Unit", "FragmentPath").await.map_err(asked)?;
        let installed = (load == "loaded").then_some(place);
        Ok(State {
            schema: "upheld.agent-service/1",
            active: manager.property(unit, "Unit", "ActiveState").await.map_err(asked)?,
            // A unit that is not there is no service: it has neither.
            says: match installed {
                Some(_) => manager.property(unit, "Service", "StatusText").await.map_err(asked)?,
                None => String::new(),
            },
            restarts: match installed {
                Some(_) => Some(manager.property(unit, "Service", "NRestarts").await.map_err(asked)?),
                None => Some(0),
            },
            installed,
        })
    }

    async fn uninstall(&self) -> Result<Vec<String>, Failure> {
        refuse_if_packaged()?;
        let manager = manager("uninstall").await?;
        let there: Vec<PathBuf> =
            UNITS.iter().map(|unit| Path::new(FOLDER).join(unit)).filter(|place| place.exists()).collect();
        if there.is_empty() {
            return Ok(vec!["upheld-agent is no service of this host; nothing was changed".to_owned()]);
        }
        for unit in UNITS.into_iter().rev() {
            manager.stop(unit).await.map_err(asked)?;
        }
        wait_until(&manager, &["inactive", "failed"]).await?;
        manager.disable(&UNITS).await.map_err(asked)?;
        let mut done = Vec::new();
        for place in there.into_iter().chain([PathBuf::from(PROGRAM)]).filter(|place| place.exists()) {
            fs::remove_file(&place).map_err(|error| cannot_write(&place.display().to_string(), &error))?;
            done.push(format!("{} is removed", place.display()));
        }
        manager.reload().await.map_err(asked)?;
        done.push("kept: /var/lib/upheld (keys, journal) and /etc/upheld".to_owned());
        Ok(done)
    }
}

/// Starting and stopping are for what is there, whoever brought it.
async fn require_unit(manager: &Manager) -> Result<(), Failure> {
    let load: String = manager.property(UNITS[0], "Unit", "LoadState").await.map_err(asked)?;
    if load == "loaded" {
        return Ok(());
    }
    Err(Failure::new(Code::Missing, "upheld-agent is no service of this host").help(platform::INSTALL_OR_PACKAGE))
}

/// Waits for one of the states, and says which.
async fn wait_until(manager: &Manager, states: &[&str]) -> Result<String, Failure> {
    let stopped = async {
        loop {
            let state: String = manager.property(UNITS[0], "Unit", "ActiveState").await.map_err(asked)?;
            let job: (u32, zbus::OwnedObjectPath) = manager.property(UNITS[0], "Unit", "Job").await.map_err(asked)?;
            if job.0 == 0 && states.contains(&state.as_str()) {
                return Ok(state);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(STOPPING, stopped).await.unwrap_or_else(|_| {
        Err(Failure::new(Code::TryAgain, format!("the service manager was not done within {} s", STOPPING.as_secs()))
            .help("the same command once more; meanwhile: systemctl status upheld-agent"))
    })
}

/// The package's unit with this program's place and a user that need not be made: systemd makes `upheld` while the
/// service runs, and gives it the state folder.
fn service_text() -> String {
    SERVICE
        .replace("ExecStart=/usr/bin/upheld-agent", &format!("ExecStart={PROGRAM}"))
        .replace("User=upheld\n", "User=upheld\nDynamicUser=yes\n")
}

fn refuse_if_packaged() -> Result<(), Failure> {
    let found = PACKAGED.iter().map(|folder| Path::new(folder).join(UNITS[0])).find(|place| place.exists());
    found.map_or(Ok(()), |place| {
        Err(Failure::new(Code::Failed, "this host's package brings the service")
            .why(format!("{} is there", place.display()))
            .help("systemctl status upheld-agent; to remove it: apt-get remove upheld-agent"))
    })
}

fn require_systemd() -> Result<(), Failure> {
    if Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    Err(Failure::new(Code::Missing, "this host does not run systemd")
        .why("/run/systemd/system is not there")
        .help("run it by your own service manager: upheld-agent run"))
}

async fn manager(verb: &str) -> Result<Manager, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Code::Failed, format!("only root may {verb} a service"))
            .why("units and programs of the system belong to root; nothing was changed")
            .help(format!("sudo upheld-agent service {verb}")));
    }
    require_systemd()?;
    Manager::connect().await.map_err(asked)
}

fn asked(error: zbus::Error) -> Failure {
    Failure::new(Code::Failed, "the service manager did not do what it was asked")
        .because(error)
        .help("is the system bus there? systemctl status dbus; then the same command again")
}

/// Copies this program to its place, unless it is there; whether it did. One that runs from there is not disturbed:
/// the copy takes its name, not its file.
fn put_program() -> io::Result<bool> {
    let own = std::env::current_exe()?;
    if own == Path::new(PROGRAM) {
        return Ok(false);
    }
    let bytes = fs::read(own)?;
    if fs::read(PROGRAM).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    replace(Path::new(PROGRAM), &bytes, 0o755)?;
    Ok(true)
}

/// Puts a file of the system in place, whole or not at all.
fn replace(place: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let temporary = place.with_extension("new");
    fs::write(&temporary, bytes)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, place)
}

fn cannot_write(what: &str, error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("cannot change {what}"))
        .why(error.to_string())
        .help("look at the disk: df -h /etc /usr")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_without_a_package_runs_the_copied_program_as_a_user_that_systemd_makes() {
        let text = service_text();
        assert!(text.contains("\nExecStart=/usr/local/bin/upheld-agent run\nUser=upheld\nDynamicUser=yes\n"), "{text}");
        assert!(text.contains("\nCapabilityBoundingSet=CAP_NET_RAW\n"), "the rest is the package's: {text}");
    }
}
