//! The generated sentence that names an incident.

use upheld_model::ProbeSpec;

use super::{Root, SiteView};

/// One sentence that says what does not work, e.g. `srv-1: TCP service on port 8080 does not answer`.
pub fn title(view: &SiteView, root: &Root) -> String {
    match root {
        Root::Check { check } => match view.checks.get(check) {
            Some(probe) => format!("{}: {}", check.asset, failure(probe)),
            None => format!("{}: check {} fails and is not configured any more", check.asset, check.name),
        },
        Root::Agent { agent, host: Some(host) } => format!("{}: agent {agent} on {host} is silent", view.site),
        Root::Agent { agent, host: None } => format!("{}: agent {agent} is silent", view.site),
    }
}

fn failure(probe: &ProbeSpec) -> String {
    match probe {
        ProbeSpec::Host { disk_bad_percent } => format!("a file system is more than {disk_bad_percent} % full"),
        ProbeSpec::NetIcmp { target, tcp_port: _ } if target == "gateway" => {
            "the default gateway does not answer".to_owned()
        }
        ProbeSpec::NetIcmp { target, tcp_port: _ } => format!("{target} does not answer ping"),
        ProbeSpec::NetTcp { target: _, port } => format!("TCP service on port {port} does not answer"),
        ProbeSpec::NetHttp { url, .. } => format!("web service at {} does not answer as it should", authority(url)),
        ProbeSpec::RecFreshness(spec) => format!("no new recording for more than {}", duration(spec.age_max_s)),
        ProbeSpec::BackupFiles(spec) => format!("no new backup for more than {}", duration(spec.age_max_s)),
    }
}

/// `scheme://host:port`, without path and query, which may hold secrets.
fn authority(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// The largest whole unit, or two.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}
