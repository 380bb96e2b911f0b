//! systemd's manager over the system bus: the agent asks it and starts no program (SECURITY 1).

use std::{path::Path, time::Duration};

use zbus::{Connection, OwnedObjectPath, Proxy};

/// A manager that does not answer sooner is as good as none.
const PATIENCE: Duration = Duration::from_secs(10);
/// At the end of this host's life there is no time to wait.
const AT_THE_END: Duration = Duration::from_secs(1);

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";

/// The manager, connected.
pub(super) struct Manager {
    bus: Connection,
}

impl Manager {
    pub(super) async fn connect() -> zbus::Result<Self> {
        let bus = tokio::time::timeout(PATIENCE, Connection::system()).await;
        Ok(Self {
            bus: bus.unwrap_or_else(|_| Err(zbus::Error::Failure("the system bus does not answer".to_owned())))?,
        })
    }

    /// Reads the unit files again.
    pub(super) async fn reload(&self) -> zbus::Result<()> {
        self.manager().await?.call("Reload", &()).await
    }

    pub(super) async fn enable(&self, units: &[&str]) -> zbus::Result<()> {
        let _: (bool, Vec<(String, String, String)>) =
            self.manager().await?.call("EnableUnitFiles", &(units, false, true)).await?;
        Ok(())
    }

    pub(super) async fn disable(&self, units: &[&str]) -> zbus::Result<()> {
        let _: Vec<(String, String, String)> = self.manager().await?.call("DisableUnitFiles", &(units, false)).await?;
        Ok(())
    }

    pub(super) async fn start(&self, unit: &str) -> zbus::Result<()> {
        let _: OwnedObjectPath = self.manager().await?.call("StartUnit", &(unit, "replace")).await?;
        Ok(())
    }

    pub(super) async fn restart(&self, unit: &str) -> zbus::Result<()> {
        let _: OwnedObjectPath = self.manager().await?.call("RestartUnit", &(unit, "replace")).await?;
        Ok(())
    }

    pub(super) async fn stop(&self, unit: &str) -> zbus::Result<()> {
        let _: OwnedObjectPath = self.manager().await?.call("StopUnit", &(unit, "replace")).await?;
        Ok(())
    }

    /// A property of a unit; a missing unit loads too, and says so in `LoadState`.
    pub(super) async fn property<T>(&self, unit: &str, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: zbus::Type + serde::de::DeserializeOwned,
    {
        let path: OwnedObjectPath = self.manager().await?.call("LoadUnit", &(unit,)).await?;
        let unit = Proxy::new(&self.bus, NAME, path, format!("{NAME}.{interface}")).await?;
        unit.get_property(name).await
    }

    async fn manager(&self) -> zbus::Result<Proxy<'_>> {
        Proxy::new(&self.bus, NAME, MANAGER, format!("{NAME}.Manager")).await
    }
}

/// Whether the host shuts down or reboots: the manager says `stopping` from the moment on that shutdown.target has a
/// job (systemd's manager_state()). Without such a manager, or an answer, no.
pub(super) async fn is_host_going_down() -> bool {
    if !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let asked = async {
        let manager = Manager::connect().await?;
        let state: String = manager.manager().await?.get_property("SystemState").await?;
        zbus::Result::Ok(state)
    };
    match tokio::time::timeout(AT_THE_END, asked).await {
        Ok(Ok(state)) => state == "stopping",
        Ok(Err(error)) => {
            tracing::debug!(%error, "The service manager does not say whether this host goes down.");
            false
        }
        Err(_) => false,
    }
}
