//! Where it all stands: a provider with three clients, two of them with an agreement, and a ticket system that can be
//! asked what it has.

use std::collections::BTreeMap;

use upheld_desk::AgentPeer;
use upheld_model::CheckId;

use crate::house::peer_of;

/// Who watches what, whose it is, where.
pub(super) const SITES: [(&str, &str, &str); 3] =
    [("agent-1", "acme", "north"), ("agent-2", "other", "south"), ("agent-3", "third", "west")];
/// What fails at each site, each by itself.
pub(super) const CHECKS: [&str; 3] = ["srv-1/net.tcp", "srv-2/net.tcp", "srv-3/net.tcp"];
/// What the plan promises, at any time of the day.
pub(super) const RESPOND_MIN: i64 = 20;
pub(super) const RESOLVE_MIN: i64 = 60;

/// The agent of a site, as its certificate names it.
pub(super) fn peer(site: usize) -> AgentPeer {
    peer_of(SITES[site])
}

pub(super) fn check(number: usize) -> CheckId {
    CHECKS[number].parse().expect("a check's id")
}

/// The provider's book.
pub(super) fn book() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |path: String, text: String| drop(files.insert(path, text));
    add(
        "provider.toml".to_owned(),
        "name = \"Example Integrators\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n\n[channels.desk]\n\
         webhook = { url = \"https://tickets.example.test/hook\", secret = \"desk-webhook\", \
         look_up = \"https://tickets.example.test/tickets?external_ref={reference}\" }\n"
            .to_owned(),
    );
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| format!("{day} = [\"00:00-24:00\"]\n"));
    add("calendars/always.toml".to_owned(), format!("time_zone = \"America/Chicago\"\n\n[weekly]\n{}", days.concat()));
    add(
        "plans/gold.toml".to_owned(),
        format!(
            "name = \"Gold\"\n\n[priority]\nhigh = {{ high = \"P1\", medium = \"P2\", low = \"P3\" }}\n\
             medium = {{ high = \"P2\", medium = \"P3\", low = \"P4\" }}\nlow = {{ high = \"P3\", medium = \"P4\", low = \"P5\" }}\n\n\
             [[target]]\nstage = \"respond\"\nwithin = \"{RESPOND_MIN}min\"\ncalendar = \"always\"\nmanner = [\"remote\", \"phone\"]\n\
             warn_at = [\"50%\"]\n\n\
             [[target]]\nstage = \"resolve\"\nwithin = \"{RESOLVE_MIN}min\"\ncalendar = \"always\"\npause_for = [\"site-access\"]\n\
             longest_pause = \"1h\"\n"
        ),
    );
    add(
        "catalogue.toml".to_owned(),
        "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n"
            .to_owned(),
    );
    for (_, client, site) in SITES {
        add(format!("clients/{client}/client.toml"), format!("name = \"{client}\"\n"));
        add(format!("clients/{client}/sites/{site}.toml"), assets(site));
    }
    for (number, client, site) in [(1, "acme", "north"), (2, "other", "south")] {
        add(
            format!("clients/{client}/ssa.toml"),
            format!(
                "number = \"SSA-{number}\"\nsites = [\"{site}\"]\nfee = \"100.00/month\"\n\n\
                 [[version]]\neffective_from = 2026-01-01\nsigned = 2025-12-12\nplan = \"gold\"\n"
            ),
        );
    }
    files
}

fn assets(site: &str) -> String {
    let mut text = format!("name = \"{site}\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n");
    for check in CHECKS {
        let asset = check.split('/').next().unwrap_or(check);
        text.push_str(&format!(
            "\n[[asset]]\nid = \"{asset}\"\nclass = \"server\"\n\
             checks = [{{ kind = \"net.tcp\", target = \"10.0.0.5\", port = 8080 }}]\n"
        ));
    }
    text
}
