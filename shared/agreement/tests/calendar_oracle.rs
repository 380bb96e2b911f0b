//! The calendar against an oracle of another kind: a walk of minutes and seconds that asks the zone for each.
//!
//! `cargo run --release -p upheld-agreement --example oracle -- 1000000` does the same for longer.

#[path = "calendar_oracle/amend.rs"]
mod amend;
#[path = "calendar_oracle/draw.rs"]
mod draw;
#[path = "calendar_oracle/judge.rs"]
mod judge;
#[path = "calendar_oracle/walk.rs"]
mod walk;

/// Some seconds in the development profile.
const CASES: usize = 4_000;

#[test]
fn random_calendars_in_all_zones_agree_with_the_walk() {
    let zones = draw::Zones::all();
    let (names, odd) = zones.count();
    assert!(names > 400 && odd > 400, "{names} zones, {odd} odd transitions: the database is incomplete");
    let wrong = judge::run(&zones, 20_261_121, CASES);
    assert!(wrong.is_empty(), "{} of {CASES} wrong, the first:\n{}", wrong.len(), wrong[0]);
}
