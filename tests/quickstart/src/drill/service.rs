//! The drill `service`: a door controller stops answering, is ticketed, answered, and comes back.

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

/// The goal of PERFORMANCE.md: from confirmation to the posted ticket.
const POSTED_WITHIN_S: f64 = 2.0;

/// The longest wait for one message.
const WITHIN: Duration = Duration::from_secs(60);

/// What was gathered on the way.
struct Chain {
    fault: Timestamp,
    opened: Posted,
    restored: Posted,
    reference: String,
    /// As it was explained before it was answered.
    before: Value,
    /// And after.
    after: Value,
}

/// Stops the device, follows the chain, answers the incident, starts the device again.
pub(crate) async fn run(stage: &mut Stage) -> Result<Report> {
    let asset = book::SERVICE_ASSET;
    let fault = Timestamp::now();
    let address = stage.devices.remove(asset).context("the device is not running")?.stop().await;
    stage::say(&format!("The TCP service of {asset} on {address} was stopped; waiting for the incident …"));

    let opened = wait_for_message(stage, WITHIN, "incident.opened", asset).await?;
    let reference = text(&opened.body, "/data/incident").context("the ticket names no incident")?;
    stage::say(&format!("Ticket for {reference} arrived; its signature is right."));
    let before = explain(stage, &reference).await?;
    respond(stage, &reference).await.context("recording the response fact")?;
    let after = explain(stage, &reference).await?;

    stage.devices.insert(asset.to_owned(), Service::start_at(address).await?);
    stage::say("The TCP service is back; waiting for the restoration to be confirmed …");
    let restored = wait_for_message(stage, WITHIN, "incident.restored", asset).await?;
    report(stage, &Chain { fault, opened, restored, reference, before, after }).await
}

async fn report(stage: &Stage, chain: &Chain) -> Result<Report> {
    let incident = &chain.before["incident"];
    let clock = clock_of(&chain.before, "respond").context("the incident has no response clock")?;
    let answered = clock_of(&chain.after, "respond").context("the incident lost its response clock")?;
    let explanation = explanation(&chain.before).context("the response clock has no explanation")?;
    let calculator = ask_calculator(stage, clock, explanation).await?;
    let said = |value: &Value, pointer| text(value, pointer).unwrap_or_default();
    let mut links = Links::default();
    links.add("fault", Some(chain.fault), "the TCP service stopped");
    links.add("confirmed", instant(incident, "/detected_at"), "the agent confirmed the failure");
    links.add("received", instant(incident, "/received_at"), "the collector committed it");
    links.add("incident", instant(incident, "/opened_at"), said(incident, "/title"));
    links.add("clock", instant(clock, "/started_at"), format!("response clock {}", said(clock, "/state")));
    links.add("posted", Some(chain.opened.at), "the ticket was delivered, its signature verified");
    links.add("responded", instant(answered, "/satisfied_at"), said(answered, "/satisfied_by"));
    links.add("restored", Some(chain.restored.at), "the service is back, and that was delivered too");

    links.require(incident["terms"]["is"] == "pinned", "the client's terms were not found");
    links.require(answered["state"] == "met", "the response fact did not satisfy the response clock");
    links.require(text(clock, "/due").is_some(), "the response clock has no due");
    links.require(clock["due"] == calculator["answer"]["due"], "the clock and the calculator disagree about the due");
    let counting = clock["is_counting"] == (stage.calendar == book::Calendar::Open);
    links.require(counting, "whether the clock counts does not follow from the calendar");
    links.require(explanation["rows"].as_array().is_some_and(|s| !s.is_empty()), "the due is not explained");
    links.require_order();
    let confirmed = instant(incident, "/detected_at").unwrap_or(chain.fault);
    let posted_after_confirmed_s = (chain.opened.at - confirmed).total(jiff::Unit::Second)?;
    let document = json!({
        "schema": "upheld.quickstart/1",
        "ok": links.missing.is_empty(),
        "drill": "service",
        "calendar": stage.calendar.word(),
        "incident": chain.reference,
        "title": incident["title"],
        "steps": links.steps,
        "agreement": incident["terms"],
        "posted_after_confirmed_s": posted_after_confirmed_s,
        "posted_within_goal": posted_after_confirmed_s <= POSTED_WITHIN_S,
        "due": clock["due"],
        "due_local": clock["due_local"],
        "calculator": calculator,
        "segments": explanation["rows"],
        "missing": links.missing,
    });
    let text = format!(
        "{}  {}\n{}  posted {posted_after_confirmed_s:.2} s after it was confirmed\n{}",
        chain.reference,
        said(incident, "/title"),
        links.lines(),
        said(&chain.before, "/text"),
    );
    Ok(Report { document, text, missing: links.missing })
}

fn explanation(explained: &Value) -> Option<&Value> {
    explained["clocks"].as_array()?.iter().find(|explanation| explanation["clock"]["stage"] == "respond")
}

/// Asks `clock due --cases`, which needs no server, the question that the clock answered: same calendar, same start,
/// same target.
async fn ask_calculator(stage: &Stage, clock: &Value, explanation: &Value) -> Result<Value> {
    let zone = stage.sample.zone();
    let (from, to) = stage.calendar.hours(stage.since, zone);
    let week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let weekly: serde_json::Map<String, Value> =
        week.iter().map(|day| ((*day).to_owned(), json!([[from, to]]))).collect();
    let case = json!({
        "id": "drill",
        "kind": "due",
        "calendar": { "tz": zone.iana_name(), "weekly": weekly },
        "start": clock["started_at"],
        "pauses": [],
        "target_s": explanation["promised_s"],
    });
    let answer = stage
        .programs
        .json_with_input("upheld-collector", &["clock", "due", "--cases", "-"], &format!("{case}\n"))
        .await
        .context("asking the calculator")?;
    Ok(json!({ "case": case, "answer": answer }))
}
