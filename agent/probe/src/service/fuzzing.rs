//! Any texts as what systemd says of a unit.

use std::time::Instant;

use super::judge::{Restarts, Unit, Verdict, judge};
use crate::{ProbeResult, fuzzing::hold};

/// The lines are its properties in the order of [`Unit`]; what is missing is empty.
pub(crate) fn unit(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let mut unit = Unit {
        name: next(),
        load: next(),
        active: next(),
        sub: next(),
        result: next(),
        kind: next(),
        restarts: next().parse().ok(),
        exit_code: next().parse().unwrap_or_default(),
        exit_status: next().parse().unwrap_or_default(),
        is_condition_unmet: next() == "unmet",
        ..Unit::default()
    };
    unit.triggers = lines.map(str::to_owned).collect();
    let mut restarts = Restarts::default();
    let counts = unit.restarts.into_iter().flat_map(|count| [0, count, count / 2, u32::MAX, count]);
    let lately = counts.map(|count| restarts.counted(count, Instant::now())).last().unwrap_or_default();
    match judge(&unit, lately) {
        Verdict::Good(why) | Verdict::Turning(why) | Verdict::Wrong(why) => hold(&ProbeResult::bad(why)),
        Verdict::Missing => {}
    }
}
