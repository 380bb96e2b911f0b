//! The drill: the TCP service stops for real, and the chain from fault to ticket is followed step by step.

use std::fmt;

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    book,
    receiver::Posted,
    service::Service,
    stage::{self, Stage},
};

/// The goal of PERFORMANCE.md: from confirmation to the posted ticket.
const POSTED_WITHIN_S: f64 = 2.0;

/// What happened, with the instant of each step.
#[derive(Debug, Serialize)]
pub(crate) struct Chain {
    schema: &'static str,
    ok: bool,
    calendar: &'static str,
    incident: String,
    title: String,
    steps: Vec<Step>,
    agreement: Value,
    posted_after_confirmed_s: f64,
    posted_within_goal: bool,
    due: Option<String>,
    due_local: Option<String>,
    /// The same question, asked of `clock due --cases` without a server.
    calculator: Calculator,
    segments: Value,
    missing: Vec<String>,
    #[serde(skip)]
    explanation: String,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    at: Timestamp,
    what: String,
}

#[derive(Debug, Serialize)]
struct Calculator {
    case: Value,
    answer: Value,
}

/// Breaks the service, follows the chain, answers the incident, mends the service.
pub(crate) async fn run(stage: &mut Stage) -> Result<Chain> {
    let fault = Timestamp::now();
    let address = stage.service.take().context("the TCP service is not running")?.stop().await;
    stage::say(&format!("The TCP service on {address} was stopped; waiting for the incident …"));

    let opened = wait_for_ticket(stage, "incident.opened").await?;
    let reference = text(&opened.body, "/data/incident").context("the ticket names no incident")?;
    stage::say(&format!("Ticket for {reference} arrived; its signature is right."));
    let before = explain(stage, &reference).await?;

    let data = stage.data();
    let respond =
        ["respond", reference.as_str(), "--manner", "remote", "--by", "quickstart", "--data", &data, "--json"];
    stage.collector(&respond).await.context("recording the response fact")?;
    let after = explain(stage, &reference).await?;

    stage.service = Some(Service::start_at(address).await?);
    stage::say("The TCP service is back; waiting for the restoration to be confirmed …");
    let restored = wait_for_ticket(stage, "incident.restored").await?;

    let clock = respond_clock(&before).context("the incident has no response clock")?;
    let calculator = ask_calculator(stage, clock).await?;
    chain(stage, fault, &opened, &restored, &reference, &before, &after, calculator)
}

/// Fails by naming every link that is missing.
pub(crate) fn complete(chain: &Chain) -> Result<()> {
    if chain.ok {
        return Ok(());
    }
    bail!("the chain is not complete: {}", chain.missing.join("; "))
}

async fn wait_for_ticket(stage: &mut Stage, kind: &str) -> Result<Posted> {
    let kind = kind.to_owned();
    let what = format!("the webhook {kind} for {}", book::SERVICE_ASSET);
    stage
        .wait(&what, async |stage| {
            let inbox = stage.receiver.inbox();
            if let Some(why) = inbox.refused.first() {
                bail!("the receiver refused a webhook: {why}");
            }
            Ok(inbox
                .posted
                .values()
                .find(|posted| posted.kind == kind && posted.body["data"]["asset"] == book::SERVICE_ASSET)
                .cloned())
        })
        .await
}

async fn explain(stage: &Stage, reference: &str) -> Result<Value> {
    stage.collector(&["explain", reference, "--data", &stage.data(), "--json"]).await
}

fn respond_clock(explained: &Value) -> Option<&Value> {
    explained["incident"]["clocks"].as_array()?.iter().find(|clock| clock["stage"] == "respond")
}

fn respond_explanation(explained: &Value) -> Option<&Value> {
    explained["clocks"].as_array()?.iter().find(|explanation| explanation["clock"]["stage"] == "respond")
}

/// Asks the calculator the question that the clock answered: same calendar, same start, same target.
async fn ask_calculator(stage: &Stage, clock: &Value) -> Result<Calculator> {
    let (from, to) = stage.calendar.hours(stage.since);
    let week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let weekly: serde_json::Map<String, Value> =
        week.iter().map(|day| ((*day).to_owned(), json!([[from, to]]))).collect();
    let case = json!({
        "id": "drill",
        "kind": "due",
        "calendar": { "tz": "UTC", "weekly": weekly },
        "start": clock["started_at"],
        "pauses": [],
        "target_s": 3600,
    });
    let answer = stage
        .programs
        .json_with_input("upheld-collector", &["clock", "due", "--cases", "-"], &format!("{case}\n"))
        .await
        .context("asking the calculator")?;
    Ok(Calculator { case, answer })
}

#[expect(clippy::too_many_arguments, reason = "each is one link of the chain that is put together here")]
fn chain(
    stage: &Stage,
    fault: Timestamp,
    opened: &Posted,
    restored: &Posted,
    reference: &str,
    before: &Value,
    after: &Value,
    calculator: Calculator,
) -> Result<Chain> {
    let incident = &before["incident"];
    let clock = respond_clock(before).context("the incident has no response clock")?;
    let answered = respond_clock(after).context("the incident lost its response clock")?;
    let explanation = respond_explanation(before).context("the response clock has no explanation")?;
    let mut links = Links { steps: Vec::new(), missing: Vec::new() };
    links.add("fault", Some(fault), "the TCP service stopped".to_owned());
    links.add("confirmed", instant(incident, "/detected_at"), "the agent confirmed the failure".to_owned());
    links.add("received", instant(incident, "/received_at"), "the collector committed it".to_owned());
    links.add("incident", instant(incident, "/opened_at"), text(incident, "/title").unwrap_or_default());
    links.add(
        "clock",
        instant(clock, "/started_at"),
        format!("response clock {}", text(clock, "/state").unwrap_or_default()),
    );
    links.add("posted", Some(opened.at), "the ticket was delivered, its signature verified".to_owned());
    links.add("responded", instant(answered, "/satisfied_at"), text(answered, "/satisfied_by").unwrap_or_default());
    links.add("restored", Some(restored.at), "the service is back, and that was delivered too".to_owned());

    links.require(incident["terms"]["is"] == "pinned", "the client's terms were not found");
    links.require(answered["state"] == "met", "the response fact did not satisfy the response clock");
    links.require(text(clock, "/due").is_some(), "the response clock has no due");
    links.require(clock["due"] == calculator.answer["due"], "the clock and the calculator disagree about the due");
    let counting = clock["is_counting"] == (stage.calendar == book::Calendar::Open);
    links.require(counting, "whether the clock counts does not follow from the calendar");
    links.require(explanation["rows"].as_array().is_some_and(|s| !s.is_empty()), "the due is not explained");
    links.require(in_order(&links.steps), "the steps are not in order");
    let confirmed = instant(incident, "/detected_at").unwrap_or(fault);
    let posted_after_confirmed_s = (opened.at - confirmed).total(jiff::Unit::Second)?;
    Ok(Chain {
        schema: "upheld.quickstart/1",
        ok: links.missing.is_empty(),
        calendar: stage.calendar.word(),
        incident: reference.to_owned(),
        title: text(incident, "/title").unwrap_or_default(),
        agreement: incident["terms"].clone(),
        posted_after_confirmed_s,
        posted_within_goal: posted_after_confirmed_s <= POSTED_WITHIN_S,
        due: text(clock, "/due"),
        due_local: text(clock, "/due_local"),
        calculator,
        segments: explanation["rows"].clone(),
        missing: links.missing,
        steps: links.steps,
        explanation: text(before, "/text").unwrap_or_default(),
    })
}

struct Links {
    steps: Vec<Step>,
    missing: Vec<String>,
}

impl Links {
    fn add(&mut self, step: &'static str, at: Option<Timestamp>, what: String) {
        match at {
            Some(at) => self.steps.push(Step { step, at, what }),
            None => self.missing.push(format!("no instant for the step {step:?}")),
        }
    }

    fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.missing.push(otherwise.to_owned());
        }
    }
}

/// The agent's clock and ours are the same machine's, but stamps are cut to milliseconds on their way.
fn in_order(steps: &[Step]) -> bool {
    let cut = |at: Timestamp| at.as_millisecond();
    steps.iter().filter(|step| step.step != "clock").is_sorted_by_key(|step| cut(step.at))
}

fn instant(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.incident, self.title)?;
        for step in &self.steps {
            let at = step.at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S%.3f UTC");
            writeln!(f, "  {:<10} {at}  {}", step.step, step.what)?;
        }
        writeln!(f, "  posted {:.2} s after it was confirmed", self.posted_after_confirmed_s)?;
        write!(f, "{}", self.explanation)
    }
}
