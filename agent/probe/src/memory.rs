//! What probes have learned of a site and must not learn anew after each restart.

use serde::{Deserialize, Serialize};

use crate::{
    boot, eventlog::EventLogMemory, host::DiskMemory, link::LinkMemory, log::LogMemory, path::PathMemory,
    process::ProcessMemory, service::ServiceMemory, smart::SmartMemory, snmp, switch::SwitchMemory, tls::KeyMemory,
    ups::battery::BatteryMemory,
};

/// The part of a prober's memory that outlives a process. Whoever runs it keeps it; a memory that is lost costs what was
/// usual, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What is usual at this host's ports.
    #[serde(default)]
    pub(crate) links: LinkMemory,
    /// Since when SNMP agents count.
    #[serde(default)]
    pub(crate) snmp_boots: snmp::BootMemory,
    /// What is usual at the ports of switches.
    #[serde(default)]
    pub(crate) switch_ports: SwitchMemory,
    /// The services that were found.
    #[serde(default)]
    pub(crate) services: ServiceMemory,
    /// The keys that servers showed first.
    #[serde(default)]
    pub(crate) keys: KeyMemory,
    /// How full this host's file systems were.
    #[serde(default)]
    pub(crate) disks: DiskMemory,
    /// What is known of the way out of the site.
    #[serde(default)]
    pub(crate) paths: PathMemory,
    /// What is known of this host's starts.
    #[serde(default)]
    pub(crate) boots: boot::BootMemory,
    /// The processes that were seen.
    #[serde(default)]
    pub(crate) processes: ProcessMemory,
    /// What supplies promised, and what they kept of it.
    #[serde(default)]
    pub(crate) batteries: BatteryMemory,
    /// Where the checks of event logs read on.
    #[serde(default)]
    pub(crate) event_logs: EventLogMemory,
    /// How far logs were read.
    #[serde(default)]
    pub(crate) logs: LogMemory,
    /// What disks counted within a week.
    #[serde(default)]
    pub(crate) smart: SmartMemory,
}
