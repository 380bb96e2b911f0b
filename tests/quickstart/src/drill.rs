//! The drills: something breaks for real, and the chain from the fault to the ticket and back is followed step by step.

pub(crate) mod power;
pub(crate) mod service;

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::Value;

use crate::{receiver::Posted, stage::Stage};

/// What a drill showed.
pub(crate) struct Report {
    /// As one JSON document.
    pub(crate) document: Value,
    /// As text.
    pub(crate) text: String,
    /// The links of the chain that are missing.
    missing: Vec<String>,
}

impl Report {
    /// Fails by naming every link that is missing.
    pub(crate) fn complete(&self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        bail!("the chain is not complete: {}", self.missing.join("; "))
    }
}

/// One step, and when it was.
#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    at: Timestamp,
    what: String,
}

/// The chain while it is put together.
#[derive(Default)]
struct Links {
    steps: Vec<Step>,
    missing: Vec<String>,
}

impl Links {
    fn add(&mut self, step: &'static str, at: Option<Timestamp>, what: impl Into<String>) {
        match at {
            Some(at) => self.steps.push(Step { step, at, what: what.into() }),
            None => self.missing.push(format!("no instant for the step {step:?}")),
        }
    }

    fn require(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.missing.push(otherwise.into());
        }
    }

    /// The agent's clock and ours are the same machine's, but stamps are cut to milliseconds on their way.
    fn require_order(&mut self) {
        let cut = |step: &Step| step.at.as_millisecond();
        let in_order = self.steps.iter().filter(|step| step.step != "clock").is_sorted_by_key(cut);
        self.require(in_order, "the steps are not in order");
    }

    /// One line for each step.
    fn lines(&self) -> String {
        let line = |step: &Step| {
            let at = step.at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S%.3f UTC");
            format!("  {:<10} {at}  {}\n", step.step, step.what)
        };
        self.steps.iter().map(line).collect()
    }
}

/// Waits for the first message of a kind about an asset.
async fn wait_for_message(stage: &mut Stage, within: Duration, kind: &str, asset: &str) -> Result<Posted> {
    let what = format!("the webhook {kind} for {asset}");
    stage
        .wait_within(within, &what, async |stage| {
            let inbox = stage.receiver.inbox();
            if let Some(why) = inbox.refused.first() {
                bail!("the receiver refused a webhook: {why}");
            }
            let found =
                inbox.posted.values().find(|posted| posted.kind == kind && posted.body["data"]["asset"] == asset);
            Ok(found.cloned())
        })
        .await
}

async fn explain(stage: &Stage, reference: &str) -> Result<Value> {
    stage.collector(&["explain", reference, "--data", &stage.data(), "--json"]).await
}

async fn respond(stage: &Stage, reference: &str) -> Result<Value> {
    let data = stage.data();
    let respond = ["respond", reference, "--manner", "remote", "--by", "quickstart", "--data", &data, "--json"];
    stage.collector(&respond).await
}

/// The clock of a stage as the incident's page says it.
fn clock_of<'v>(explained: &'v Value, stage: &str) -> Option<&'v Value> {
    explained["incident"]["clocks"].as_array()?.iter().find(|clock| clock["stage"] == stage)
}

fn instant(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}
