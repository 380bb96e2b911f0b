//! What is another thing on another system: places, what people are told to run, and Windows' own calls.
//!
//! A difference of a line or two stands where it is used; what needs calls of Windows is below, a file each.

#[cfg(any(windows, test))]
pub(crate) mod log;
#[cfg(windows)]
pub(crate) mod machine;
#[cfg(windows)]
pub(crate) mod manager;
#[cfg(windows)]
pub(crate) mod security;
#[cfg(any(windows, test))]
mod service_sid;

#[cfg(not(windows))]
mod words {
    /// Where an agent keeps its keys, its journal and its state when nobody says otherwise.
    pub(crate) const STATE_FOLDER: &str = "/var/lib/upheld";
    /// Where the settings are when nobody says otherwise.
    pub(crate) const SETTINGS_FILE: &str = "/etc/upheld/agent.toml";
    /// Where the allow file is when nobody says otherwise.
    pub(crate) const ALLOW_FILE: &str = "/etc/upheld/allow.toml";
    /// Makes this host an agent.
    pub(crate) const ENROLL: &str = "upheld-agent enroll '<link>'";
    /// Starts the service.
    pub(crate) const START: &str = "systemctl start upheld-agent";
    /// The same by whoever is not root.
    pub(crate) const START_WITH_RIGHTS: &str = "sudo systemctl start upheld-agent";
    /// Makes this program a service, by whoever is not root.
    pub(crate) const INSTALL_WITH_RIGHTS: &str = "sudo upheld-agent service install";
    /// The same, or another way.
    pub(crate) const INSTALL_OR_PACKAGE: &str = "sudo upheld-agent service install, or install the package";
    /// Says why the service ended.
    pub(crate) const WHY_IT_ENDED: &str = "journalctl -u upheld-agent -n 20";
    /// Sets the clock.
    pub(crate) const SET_CLOCK: &str = "timedatectl set-ntp true; then: timedatectl timesync-status";
    /// Shows free space; a path follows.
    pub(crate) const FREE_SPACE: &str = "df -h";
    /// Shows what takes space; a path follows.
    pub(crate) const LARGEST: &str = "du -xh --max-depth=2";
    /// Gives the state folder to the agent; its path follows.
    pub(crate) const TAKE_FOLDER: &str = "run as the agent's own user, or give it the folder: chown -R upheld:";
    /// Who may ask the agent.
    pub(crate) const WHO_MAY_ASK: &str = "ask as the agent's own user, or as root";
}

/// Makes this program a service.
pub(crate) const INSTALL: &str = "upheld-agent service install";

#[cfg(windows)]
mod words {
    /// Where an agent keeps its keys, its journal and its state when nobody says otherwise.
    pub(crate) const STATE_FOLDER: &str = r"C:\ProgramData\Upheld";
    /// Where the settings are when nobody says otherwise.
    pub(crate) const SETTINGS_FILE: &str = r"C:\ProgramData\Upheld\agent.toml";
    /// Where the allow file is when nobody says otherwise.
    pub(crate) const ALLOW_FILE: &str = r"C:\ProgramData\Upheld\allow.toml";
    /// Makes this host an agent.
    pub(crate) const ENROLL: &str = "upheld-agent enroll \"<link>\"";
    /// Starts the service.
    pub(crate) const START: &str = "upheld-agent service start";
    /// The same by whoever is no administrator.
    pub(crate) const START_WITH_RIGHTS: &str = "as an administrator: upheld-agent service start";
    /// Makes this program a service, by whoever is no administrator.
    pub(crate) const INSTALL_WITH_RIGHTS: &str = "as an administrator: upheld-agent service install";
    /// The same, or another way: there is none yet.
    pub(crate) const INSTALL_OR_PACKAGE: &str = INSTALL_WITH_RIGHTS;
    /// Says why the service ended.
    pub(crate) const WHY_IT_ENDED: &str = r"type C:\ProgramData\Upheld\agent.log";
    /// Sets the clock.
    pub(crate) const SET_CLOCK: &str = "as an administrator: w32tm /resync; then: w32tm /query /status";
    /// Shows free space; a path follows.
    pub(crate) const FREE_SPACE: &str = "dir";
    /// Shows what takes space; a path follows.
    pub(crate) const LARGEST: &str = "dir /s";
    /// Gives the state folder to the agent; its path follows.
    pub(crate) const TAKE_FOLDER: &str = "as an administrator; see who may: icacls";
    /// Who may ask the agent.
    pub(crate) const WHO_MAY_ASK: &str = "ask as an administrator";
}

pub(crate) use words::*;
