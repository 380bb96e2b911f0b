//! What `enroll` prints when it is done.

use std::path::{Path, PathBuf};

use serde::Serialize;
use upheld_wire::v1::AgentConfig;

use crate::{cli::Common, clocks, failure::Failure, output, platform, sends, state::Identity};

/// What `enroll --json` prints.
#[derive(Debug, Serialize)]
struct Enrolled<'a> {
    schema: &'static str,
    agent: &'a str,
    client: &'a str,
    client_name: &'a str,
    site: &'a str,
    site_name: &'a str,
    provider_name: &'a str,
    collector: &'a str,
    /// Others that serve the same provider, asked when that one does not answer.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    collectors: &'a [String],
    checks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<PathBuf>,
    is_clock_suspect: bool,
    /// Whether it waits for a person at the provider.
    waits: bool,
}

/// Prints who this host is from here on, and what it will send.
pub(super) fn print(
    common: &Common,
    identity: &Identity,
    config: &AgentConfig,
    set_aside: Option<PathBuf>,
    is_clock_suspect: bool,
    waits: bool,
) -> Result<(), Failure> {
    if common.json {
        let enrolled = Enrolled {
            schema: "upheld.enrolled/1",
            agent: identity.agent.as_str(),
            client: identity.client.as_str(),
            client_name: &identity.client_name,
            site: identity.site.as_str(),
            site_name: &identity.site_name,
            provider_name: &identity.provider_name,
            collector: &identity.collector,
            collectors: &identity.collectors,
            checks: config.checks.len(),
            set_aside,
            is_clock_suspect,
            waits,
        };
        return output::json(&enrolled);
    }
    if let Some(folder) = set_aside {
        eprintln!("  Set aside   the earlier enrolment is in {}", folder.display());
    }
    if is_clock_suspect {
        eprintln!(
            "  Clock       this host's clock is wrong; set it ({} here, {} at the collector)",
            clocks::wall().strftime("%F %T UTC"),
            identity.enrolled_at.strftime("%F %T UTC")
        );
    }
    let mut lines =
        vec![format!("  Client      {}, site {} (from the link)", identity.client_name, identity.site_name)];
    lines.push(if waits {
        format!(
            "  Waits       for a person at the provider: upheld-collector agent approve {}. Nothing is taken before.",
            identity.agent
        )
    } else {
        format!("  Will send   {}. No pictures, no sound; `status --sends` lists all.", sends::summary(config))
    });
    lines.push(if starts_by_itself(common) {
        format!("Enrolled as {}. The service starts by itself; see: upheld-agent status", identity.agent)
    } else if cfg!(windows) && common.state == Path::new(platform::STATE_FOLDER) {
        format!("Enrolled as {}. Start it, from here on and after each boot: {}", identity.agent, platform::INSTALL)
    } else {
        format!("Enrolled as {}. Start it: upheld-agent --state {} run", identity.agent, common.state.display())
    });
    output::lines(&lines)
}

/// Whether a unit of the service manager waits for the identity that was just written.
fn starts_by_itself(common: &Common) -> bool {
    let is_here = |folder: &str| Path::new(folder).join("upheld-agent.path").exists();
    common.state == Path::new(platform::STATE_FOLDER)
        && Path::new("/run/systemd/system").exists()
        && ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"].into_iter().any(is_here)
}
