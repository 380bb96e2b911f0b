//! Notes when the agent is built: the floor under a clock that may be years behind (SECURITY 39). A packager who
//! wants the same bytes twice sets `SOURCE_DATE_EPOCH`.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse::<u64>().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("cargo::rustc-env=UPHELD_BUILT_UNIX_S={}", given.unwrap_or(clock));
}
