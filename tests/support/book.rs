//! The books that the end-to-end tests apply.

use std::path::Path;

use crate::program::write;

/// The client of every test book.
pub const CLIENT: &str = "northgate";
/// Its site.
pub const SITE: &str = "plant-2";

/// Writes a book with one client, one commissioned site and the given assets (TOML of the site file).
///
/// Coverage is round the clock, so that what a test expects does not depend on when it runs.
pub fn write_book(folder: &Path, assets: &str, webhook: Option<(&str, &str)>) {
    let desk = webhook.map_or(String::new(), |(url, secret)| {
        format!("\n[channels.desk]\nwebhook = {{ url = \"{url}\", secret = \"{secret}\" }}\n")
    });
    write(
        &folder.join("provider.toml"),
        &format!("name = \"Test provider\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n{desk}"),
    );
    write(
        &folder.join("calendars/24x7.toml"),
        "time_zone = \"America/Chicago\"\n\n[weekly]\nevery-day = [\"00:00-24:00\"]\n",
    );
    write(&folder.join("plans/round-the-clock.toml"), PLAN);
    write(&folder.join("catalogue.toml"), CATALOGUE);
    write(&folder.join(format!("clients/{CLIENT}/client.toml")), "name = \"Northgate Foods\"\n");
    write(
        &folder.join(format!("clients/{CLIENT}/ssa.toml")),
        &format!(
            "number = \"SSA-T-1\"\nsites = [\"{SITE}\"]\nfee = \"100.00/month\"\n\n[[version]]\neffective_from = 2026-01-01\nplan = \"round-the-clock\"\n"
        ),
    );
    write(
        &folder.join(format!("clients/{CLIENT}/sites/{SITE}.toml")),
        &format!("name = \"Plant 2\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n{assets}"),
    );
}

const PLAN: &str = r#"name = "Round the clock"

[priority]
high   = { high = "P1", medium = "P2", low = "P3" }
medium = { high = "P2", medium = "P3", low = "P4" }
low    = { high = "P3", medium = "P4", low = "P5" }

[[target]]
stage = "respond"
within = "1h"
calendar = "24x7"
manner = ["remote", "phone"]
warn_at = ["50%"]

[[target]]
stage = "resolve"
within = "8h"
calendar = "24x7"
pause_for = ["site-access"]
"#;

const CATALOGUE: &str = r#"[[issue]]
id = "ANY"
name = "Anything"
category = "hardware"
match = {}
urgency = "medium"
"#;
