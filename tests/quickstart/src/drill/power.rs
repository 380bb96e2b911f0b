//! The drill `power`: the supply goes on battery and back, all that hangs on it fails, and all but one return. One
//! incident says so, one linked incident remains for what stayed down, and there is one ticket.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Links, Report, clock_of, explain, instant, respond, text, wait_for_message};
use crate::{
    book,
    receiver::Posted,
    service::Service,
    stage::{self, Stage},
};

/// How long the devices' checks may take to be confirmed one way or the other.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(45);
/// An access panel has 120 s to come back after its cause has cleared; what is still down then is an incident.
const SETTLED_WITHIN: Duration = Duration::from_secs(120 + 60);
/// How long a second ticket is waited for.
const QUIET_FOR: Duration = Duration::from_secs(5);
/// A supply that is on battery for so long is an incident by itself, and ticketed.
const ON_BATTERY_MAX_S: f64 = 60.0;

/// The instants of what the drill does.
struct Done {
    on_battery: Timestamp,
    failed: Timestamp,
    on_line: Timestamp,
    returned: Timestamp,
}

/// Runs the drill.
pub(crate) async fn run(stage: &mut Stage) -> Result<Report> {
    let lost = book::LOST_ASSET;
    let done = break_power(stage).await?;
    stage::say(&format!("{lost} stays down; after its time to settle (2 min) it becomes an incident of its own …"));
    let opened = wait_for_message(stage, SETTLED_WITHIN, "incident.opened", lost).await?;
    let reference = text(&opened.body, "/data/incident").context("the ticket names no incident")?;
    stage::say(&format!("Ticket for {reference} arrived; its signature is right."));
    // A second ticket would come with the first or not at all.
    tokio::time::sleep(QUIET_FOR).await;
    let child = explain(stage, &reference).await?;
    let parent = parent(stage, &child).await?;
    let tickets = tickets(stage);

    respond(stage, &reference).await.context("recording the response fact")?;
    let answered = explain(stage, &reference).await?;
    restart(stage, lost).await?;
    stage::say(&format!("{lost} is back; waiting for the restoration to be confirmed …"));
    let restored = wait_for_message(stage, CONFIRMED_WITHIN, "incident.restored", lost).await?;
    let resolved = resolve(stage, &reference).await?;
    report(stage, &done, &Followed { reference, opened, restored, child, parent, answered, resolved, tickets })
}

/// What was seen of the incidents.
struct Followed {
    reference: String,
    opened: Posted,
    restored: Posted,
    child: Value,
    parent: Value,
    answered: Value,
    resolved: Value,
    tickets: Vec<String>,
}

/// On battery, everything fails; back on line, everything but one returns.
async fn break_power(stage: &mut Stage) -> Result<Done> {
    let devices: Vec<String> = stage.devices.keys().cloned().collect();
    let ups = stage.ups.as_mut().context("the drill needs the supply")?;
    ups.set("OB DISCHRG").await?;
    let on_battery = Timestamp::now();
    stage::say(&format!("{} is on battery; its {} devices lose power …", book::UPS, devices.len()));
    let mut addresses = Vec::new();
    for asset in &devices {
        let device = stage.devices.remove(asset).context("the device is not running")?;
        addresses.push((asset.clone(), device.stop().await));
    }
    wait_for_states(stage, &devices, "failed").await?;
    let failed = Timestamp::now();
    stage.ups.as_mut().context("the supply was there before")?.set("OL").await?;
    let on_line = Timestamp::now();
    for (asset, address) in addresses {
        if asset == book::LOST_ASSET {
            stage.lost = Some(address);
        } else {
            stage.devices.insert(asset, Service::start_at(address).await?);
        }
    }
    stage::say(&format!("{} is on line again; all devices but one are back …", book::UPS));
    let back: Vec<String> = devices.into_iter().filter(|asset| asset != book::LOST_ASSET).collect();
    wait_for_states(stage, &back, "ok").await?;
    Ok(Done { on_battery, failed, on_line, returned: Timestamp::now() })
}

/// Waits until the agent says of each device's check that it is in a state.
async fn wait_for_states(stage: &mut Stage, devices: &[String], state: &str) -> Result<()> {
    let what = format!("{} checks {state}", devices.len());
    stage
        .wait_within(CONFIRMED_WITHIN, &what, async |stage| {
            let status = stage.agent_status().await?;
            let checks = status["checks"].as_array().context("the agent's status has no checks")?;
            let is_so = |asset: &String| {
                checks.iter().any(|check| check["check"] == format!("{asset}/net.tcp") && check["state"] == state)
            };
            Ok(devices.iter().all(is_so).then_some(()))
        })
        .await
}

async fn restart(stage: &mut Stage, asset: &str) -> Result<()> {
    let address = stage.lost.take().context("nothing was left without power")?;
    stage.devices.insert(asset.to_owned(), Service::start_at(address).await?);
    Ok(())
}

/// The incident that brought another one about, as that one names it.
async fn parent(stage: &Stage, child: &Value) -> Result<Value> {
    let named = text(child, "/incident/brought_about_by/incident");
    explain(stage, &named.context("the incident of what stayed down names none that brought it about")?).await
}

/// Everything that was ticketed, by its incident.
fn tickets(stage: &Stage) -> Vec<String> {
    let inbox = stage.receiver.inbox();
    let opened = inbox.posted.values().filter(|posted| posted.kind == "incident.opened");
    opened.filter_map(|posted| text(&posted.body, "/data/incident")).collect()
}

async fn resolve(stage: &Stage, reference: &str) -> Result<Value> {
    let data = stage.data();
    stage
        .collector(&["resolve", reference, "--by", "quickstart", "--data", &data, "--json"])
        .await
        .context("resolving the incident")?;
    explain(stage, reference).await
}

fn report(stage: &Stage, done: &Done, followed: &Followed) -> Result<Report> {
    let (child, parent) = (&followed.child["incident"], &followed.parent["incident"]);
    let said = |value: &Value, pointer| text(value, pointer).unwrap_or_default();
    let answered = clock_of(&followed.answered, "respond").context("the incident has no response clock")?;
    let devices = stage.devices.len();
    let sentence = format!("{devices} checks on {devices} assets failed; did not come back: {}", book::LOST_ASSET);
    let mut links = Links::default();
    links.add("on-battery", Some(done.on_battery), format!("{} goes on battery", book::UPS));
    links.add("failed", Some(done.failed), format!("{devices} checks are confirmed as failed"));
    links.add("on-line", Some(done.on_line), format!("{} is on line again", book::UPS));
    links.add("returned", Some(done.returned), format!("all but {} are confirmed as good", book::LOST_ASSET));
    links.add("promoted", instant(child, "/opened_at"), said(child, "/title"));
    links.add("posted", Some(followed.opened.at), "the one ticket was delivered, its signature verified");
    links.add("responded", instant(answered, "/satisfied_at"), said(answered, "/satisfied_by"));
    links.add("restored", Some(followed.restored.at), format!("{} is back", book::LOST_ASSET));

    let on_battery_s = (done.on_line - done.on_battery).total(jiff::Unit::Second)?;
    links.require(on_battery_s < ON_BATTERY_MAX_S, format!("the supply was on battery for {on_battery_s:.0} s"));
    links.require(parent["asset"] == book::UPS, "the cause is not the supply's");
    links.require(followed.tickets.len() == 1, format!("there is not one ticket: {}", followed.tickets.join(", ")));
    links.require(said(parent, "/title").contains(&sentence), format!("the sentence does not say: {sentence}"));
    links.require(followed.tickets == [followed.reference.clone()], "the ticket is not that of what stayed down");
    let children = parent["did_not_come_back"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_named = matches!(children, [one] if one["incident"] == followed.reference.as_str());
    links.require(is_named, "the cause does not name what did not come back");
    links.require(child["terms"]["is"] == "pinned", "the client's terms were not found");
    links.require(answered["state"] == "met", "the response fact did not satisfy the response clock");
    links.require(followed.resolved["incident"]["state"] == "resolved", "the incident was not resolved");
    links.require_order();
    let document = json!({
        "schema": "upheld.quickstart/1",
        "ok": links.missing.is_empty(),
        "drill": "power",
        "calendar": stage.calendar.word(),
        "incident": followed.reference,
        "title": child["title"],
        "cause": { "incident": parent["incident"], "title": parent["title"], "by": parent["cause"] },
        "steps": links.steps,
        "on_battery_s": on_battery_s,
        "tickets": followed.tickets,
        "agreement": child["terms"],
        "due": answered["due"],
        "missing": links.missing,
    });
    let text = format!(
        "{}  {}\n{}  {}\n{}{}",
        said(parent, "/incident"),
        said(parent, "/title"),
        followed.reference,
        said(child, "/title"),
        links.lines(),
        said(&followed.child, "/text"),
    );
    Ok(Report { document, text, missing: links.missing })
}
