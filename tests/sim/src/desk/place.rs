//! Where it all stands: a provider's book with a site of each of two clients, and what hangs on what there.

use std::collections::BTreeMap;

use upheld_desk::AgentPeer;
use upheld_model::CheckId;

use crate::house::peer_of;

/// Each site has the same assets: who watches them, whose they are, where.
pub(super) const SITES: [(&str, &str, &str); 2] = [("agent-1", "acme", "north"), ("agent-2", "other", "south")];

/// What all of a site hangs on.
pub(super) const SUPPLY: &str = "ups-1/ups.nut";
pub(super) const GATEWAY: &str = "gw-1/net.icmp";
pub(super) const SWITCH: &str = "sw-1/net.icmp";
pub(super) const SERVER: &str = "srv-1/net.tcp";
pub(super) const RECORDER: &str = "rec-1/rec.freshness";
pub(super) const CAMERA: &str = "cam-1/net.icmp";

/// The agent of a site, as its certificate names it.
pub(super) fn peer(site: usize) -> AgentPeer {
    peer_of(SITES[site])
}

pub(super) fn check(name: &str) -> CheckId {
    name.parse().expect("a check's id")
}

/// The provider's book.
pub(super) fn book() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |path: &str, text: &str| drop(files.insert(path.to_owned(), text.to_owned()));
    add(
        "provider.toml",
        "name = \"Example Integrators\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n\n\
         [channels.desk]\nwebhook = { url = \"https://tickets.example.test/hook\", secret = \"desk-webhook\" }\n",
    );
    add(
        "calendars/always.toml",
        "time_zone = \"America/Chicago\"\n\n[weekly]\nmon = [\"00:00-24:00\"]\ntue = [\"00:00-24:00\"]\nwed = [\"00:00-24:00\"]\n\
         thu = [\"00:00-24:00\"]\nfri = [\"00:00-24:00\"]\nsat = [\"00:00-24:00\"]\nsun = [\"00:00-24:00\"]\n",
    );
    add(
        "plans/gold.toml",
        "name = \"Gold\"\n\n[priority]\nhigh = { high = \"P1\", medium = \"P2\", low = \"P3\" }\n\
         medium = { high = \"P2\", medium = \"P3\", low = \"P4\" }\nlow = { high = \"P3\", medium = \"P4\", low = \"P5\" }\n\n\
         [[target]]\nstage = \"respond\"\nwithin = \"1h\"\ncalendar = \"always\"\nmanner = [\"remote\", \"phone\"]\n\
         warn_at = [\"50%\"]\n\n\
         [[target]]\nstage = \"resolve\"\nwithin = \"8h\"\ncalendar = \"always\"\n",
    );
    add(
        "catalogue.toml",
        "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n",
    );
    for (_, client, site) in SITES {
        add(&format!("clients/{client}/client.toml"), &format!("name = \"{client}\"\n"));
        add(&format!("clients/{client}/sites/{site}.toml"), &assets(site));
    }
    add(
        "clients/acme/ssa.toml",
        "number = \"SSA-1\"\nsites = [\"north\"]\nfee = \"100.00/month\"\n\n\
         [[version]]\neffective_from = 2026-01-01\nsigned = 2025-12-12\nplan = \"gold\"\n",
    );
    files
}

fn assets(site: &str) -> String {
    let mut text = format!("name = \"{site}\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n");
    let mut asset = |id: &str, class: &str, edges: &str, check: &str| {
        text.push_str(&format!(
            "\n[[asset]]\nid = \"{id}\"\nclass = \"{class}\"\n{edges}checks = [{{ {check}, every = \"60s\", fail_after = 2, \
             recover_after = 2 }}]\n"
        ));
    };
    let ping = "kind = \"net.icmp\", target = \"10.0.0.5\"";
    let powered = "powered_by = [\"ups-1\"]\n";
    asset("ups-1", "ups", "", "kind = \"ups.nut\", target = \"10.0.0.9\", ups = \"rack\"");
    asset("gw-1", "gateway", "", ping);
    asset("sw-1", "switch", powered, ping);
    let behind = format!("{powered}connected_to = [\"sw-1\"]\n");
    asset("srv-1", "server", &behind, "kind = \"net.tcp\", target = \"10.0.0.6\", port = 8080");
    asset("rec-1", "recorder", powered, "kind = \"rec.freshness\", path = \"/srv/recordings\", age_max = \"5min\"");
    asset("cam-1", "camera", "connected_to = [\"sw-1\"]\nrecords_to = [\"rec-1\"]\n", ping);
    text
}
