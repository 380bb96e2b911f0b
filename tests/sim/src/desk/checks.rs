//! What must hold at the end: incidents and uptime against the truth.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_agreement::{account::Stretch, availability::Seen};
use upheld_desk::Scope;
use upheld_detection::incident::Incident;
use upheld_store::{incidents::IncidentRow as Row, records::AgentKey};

use super::{
    collector::{run_ms, stamp},
    place::{SITES, peer},
    truth::{Cause, Outage},
    world::World,
};
use crate::line::MINUTE;

/// From the first bad moment until the desk may still say up: a check each minute, and what is on its way.
const SEEN_WITHIN: i64 = 150_000;
/// How long before and after an agent's own trouble what it says is not held against the truth.
const NEAR: u64 = 20 * MINUTE;
/// So long before the run uptime is asked for.
const BEFORE: i64 = 3_600_000;
/// Without samples for longer than this an asset is not up.
const UNSEEN_AFTER: i64 = 17 * 60_000;

pub(super) fn at_the_end(world: &mut World) -> Result<(), String> {
    let rows = world.collector.incidents()?;
    one_at_a_time(&rows)?;
    if !world.collector.was_unaware {
        all_over(&rows)?;
    }
    for row in &rows {
        world.trace.note(0, row.opened_at.as_millisecond().unsigned_abs());
        world.trace.note(u64::from(row.number.0), row.over_at.map_or(0, |at| at.as_millisecond().unsigned_abs()));
    }
    certificates(world)?;
    causes(world, &rows)?;
    for site in 0..SITES.len() {
        uptime(world, site)?;
    }
    Ok(())
}

/// I5: one open incident of a dedup key at a time.
fn one_at_a_time(rows: &[Row]) -> Result<(), String> {
    let mut by_key: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_key.entry((row.client.as_str(), row.dedup.as_str())).or_default().push(row);
    }
    for rows in by_key.values_mut() {
        rows.sort_by_key(|row| (row.over_at.is_none(), row.over_at, row.number));
        if rows.iter().filter(|row| row.over_at.is_none()).count() > 1 {
            return Err(format!("I5: several are open of one key: {}", said(rows)));
        }
    }
    Ok(())
}

fn title(row: &Row) -> String {
    read(row).map(|incident| incident.title).unwrap_or_else(|error| error)
}

fn read(row: &Row) -> Result<Incident, String> {
    serde_json::from_str(&row.body).map_err(|error| format!("an incident cannot be read: {error}"))
}

/// Incidents in words, for who looks for what went wrong.
pub(super) fn said(rows: &[&Row]) -> String {
    let one = |row: &&Row| {
        let (over, title) = (row.over_at.map(run_ms), title(row));
        let Row { client, number, dedup, state, opened_at, .. } = row;
        format!("{client}/{number} {dedup} ({title}) opened {} {state} over {over:?}", run_ms(*opened_at))
    };
    rows.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// I13: where everything works again, nothing that was down or silent is open.
fn all_over(rows: &[Row]) -> Result<(), String> {
    let lasts = |row: &&Row| {
        let is_short = row.dedup.contains("down") || row.dedup.contains("silent");
        row.over_at.is_none() && is_short
    };
    let open: Vec<&Row> = rows.iter().filter(lasts).collect();
    if open.is_empty() { Ok(()) } else { Err(format!("I13: all works again, and open is {}", said(&open))) }
}

/// I11: an agent's records are its certificate's client's, and no other client has any.
fn certificates(world: &World) -> Result<(), String> {
    for site in 0..SITES.len() {
        let agent = peer(site).agent;
        let counts = world.collector.read(move |tx| {
            let count = |at: usize| tx.count_records(AgentKey { client: &peer(at).client, agent: &agent });
            (0..SITES.len()).map(count).collect::<Result<Vec<_>, _>>()
        })?;
        let foreign = counts.iter().enumerate().any(|(at, count)| at != site && *count > 0);
        if foreign || counts[site] == 0 {
            return Err(format!("I11: records of agent {site} by client: {counts:?}"));
        }
    }
    Ok(())
}

/// Every outage that an untroubled agent watched is one incident, of the asset that failed first.
fn causes(world: &World, rows: &[Row]) -> Result<(), String> {
    if world.collector.was_misled {
        return Ok(());
    }
    for outage in &world.truth.0 {
        let (from, to) = (outage.from, outage.down.iter().map(|(_, to)| *to).max().unwrap_or(outage.to));
        if is_troubled(world, outage.site, from, to) {
            continue;
        }
        let found = incidents_of(outage, rows)?;
        // What hangs on a cause for longer than people may be made to wait is an incident of its own (DETECTION 4.2).
        let client = peer(outage.site).client;
        // Unstable power holds what follows it.
        let is_held = rows.iter().any(|row| row.client == client && row.dedup.contains("unstable"));
        let is_one = match outage.cause {
            Cause::Power | Cause::Switch => is_held || !found.is_empty(),
            Cause::Service | Cause::Recorder | Cause::Camera | Cause::Uplink => found.len() == 1,
        };
        if !is_one {
            return Err(format!("I5: {outage:?} is {} incidents: {}", found.len(), said(&found)));
        }
    }
    Ok(())
}

/// The incidents of what failed, that began with an outage.
fn incidents_of<'a>(outage: &Outage, rows: &'a [Row]) -> Result<Vec<&'a Row>, String> {
    let client = peer(outage.site).client;
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| row.client == client) {
        let incident = read(row)?;
        let began = run_ms(incident.started.not_after);
        let (from, to) = (outage.from.cast_signed() - 5_000, outage.to.cast_signed());
        if incident.kind == upheld_model::IncidentKind::Down && (from..to).contains(&began) {
            found.push(row);
        }
    }
    Ok(found)
}

/// Whether the agent of a site did not observe all of a stretch, or lost what it did.
fn is_troubled(world: &World, site: usize, from: u64, to: u64) -> bool {
    world.posts[site].troubled.iter().any(|(began, ended)| began.saturating_sub(NEAR) < to && from < ended + NEAR)
}

/// I6 and I7: each asset's time is whole, says down where that was seen, and up nowhere by default.
fn uptime(world: &mut World, site: usize) -> Result<(), String> {
    let (from, to) = (stamp(0, -BEFORE), stamp(world.now_ms, 0));
    let client = peer(site).client;
    let asked = world.collector.ask(async |desk| {
        desk.uptime(&Scope::Provider, &client, None, Stretch { from, to }, to).await.map_err(|error| error.to_string())
    })??;
    for asset in &asked {
        let name = asset.asset.as_str();
        let pieces: Vec<(i64, i64, Seen)> =
            asset.timeline.pieces().iter().map(|piece| (run_ms(piece.from), run_ms(piece.to), piece.state)).collect();
        whole(name, &pieces, to)?;
        for (from, to, seen) in &pieces {
            let word = match seen {
                Seen::Up => 1,
                Seen::Degraded => 2,
                Seen::Down => 3,
                Seen::Unknown(_) => 4,
            };
            world.trace.note(from.unsigned_abs(), to.unsigned_abs() ^ word);
        }
        if !world.collector.was_misled {
            before(name, &pieces)?;
            against_truth(world, site, name, &pieces)?;
        }
    }
    Ok(())
}

/// I6: the pieces touch and are the period.
fn whole(asset: &str, pieces: &[(i64, i64, Seen)], to: Timestamp) -> Result<(), String> {
    let mut at = -BEFORE;
    for (from, to, _) in pieces {
        if *from != at || to <= from {
            return Err(format!("I6: {asset}: a piece from {from} to {to} follows what ended at {at}"));
        }
        at = *to;
    }
    if at == run_ms(to) { Ok(()) } else { Err(format!("I6: {asset}: the time ends at {at} instead of {}", run_ms(to))) }
}

/// I7: before anybody looked nothing was up.
fn before(asset: &str, pieces: &[(i64, i64, Seen)]) -> Result<(), String> {
    match pieces.iter().find(|(from, _, seen)| *from < 0 && *seen == Seen::Up) {
        Some(up) => Err(format!("I7: nobody looked at {asset} yet, and the desk says {up:?}")),
        None => Ok(()),
    }
}

fn against_truth(world: &World, site: usize, asset: &str, pieces: &[(i64, i64, Seen)]) -> Result<(), String> {
    let down = world.truth.down(site, asset);
    let within = |from: i64, to: i64, is: fn(&Seen) -> bool| {
        pieces.iter().find(|(begins, ends, seen)| is(seen) && *begins < to && from < *ends)
    };
    for (from, to) in &down {
        let (first, last) = (from.cast_signed() + SEEN_WITHIN, to.cast_signed());
        if first >= last || is_troubled(world, site, *from, *to) {
            continue;
        }
        if let Some(up) = within(first, last, |seen| *seen == Seen::Up) {
            return Err(format!("I7: {asset} of site {site} was down from {from} to {to}, and the desk says {up:?}"));
        }
    }
    for (from, to) in &world.posts[site].troubled {
        let (first, last) = (from.cast_signed() + UNSEEN_AFTER, to.cast_signed() - 60_000);
        let is_destroyed = world.plan.rolls_back;
        if first >= last || is_destroyed {
            continue;
        }
        if let Some(up) = within(first, last, |seen| *seen == Seen::Up) {
            return Err(format!("I7: nobody looked at {asset} of site {site} from {from} to {to}: {up:?}"));
        }
    }
    // Where it worked and an untroubled agent looked, it was up.
    for (from, to, seen) in pieces.iter().filter(|(_, _, seen)| *seen != Seen::Up) {
        let (begins, ends) = (from.unsigned_abs(), to.unsigned_abs());
        let is_near_down = down.iter().any(|(from, to)| from.saturating_sub(MINUTE) < ends && begins < to + 3 * MINUTE);
        let is_on_battery = asset == "ups-1" || *from < 5 * 60_000;
        if is_near_down || is_on_battery || is_troubled(world, site, begins, ends) || ends - begins < MINUTE {
            continue;
        }
        return Err(format!("I1: {asset} of site {site} worked and was looked at from {from} to {to}: {seen:?}"));
    }
    Ok(())
}
