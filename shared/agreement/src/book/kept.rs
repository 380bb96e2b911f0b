//! How long things are kept: `[retention]` of provider.toml (DELIVERY 4).

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_model::ClientId;

use super::{
    Agreement, Book, Client, PlainSeconds, Retention,
    fields::{Fields, Node, Read, Reading},
};

const DAY_S: u64 = 86_400;
/// Facts after the agreement's end, where the book does not say.
const FACTS_S: u64 = 7 * 366 * DAY_S;
/// The least: a year's statement, and the days in which it may be disputed, rest on them.
const FACTS_MIN_S: u64 = 400 * DAY_S;
/// Samples, where the book does not say.
const SAMPLES_S: u64 = 30 * DAY_S;
/// The least: agents that were away for as long send what they have then.
const SAMPLES_MIN_S: u64 = 7 * DAY_S;

impl Book {
    /// How long samples are kept after they were received.
    pub fn samples_for(&self) -> SignedDuration {
        let kept = self.provider.retention.as_ref().and_then(|retention| retention.samples_s);
        seconds(kept.map_or(SAMPLES_S, |kept| kept.0))
    }

    /// How long facts are kept after the end of the agreement under which they happened; what happened under none, after
    /// it happened.
    pub fn facts_for(&self) -> SignedDuration {
        let kept = self.provider.retention.as_ref().and_then(|retention| retention.facts_s);
        seconds(kept.map_or(FACTS_S, |kept| kept.0))
    }

    /// Before this instant no fact of a client need be kept at `now`: everything in it is older than [`Self::facts_for`] and
    /// not of the time of an agreement that has not ended for so long. `None` for a client that the book does not name: then nobody knows what was agreed,
    /// and nothing may go.
    pub fn facts_needed_from(&self, client: &ClientId, now: Timestamp) -> Option<Timestamp> {
        let client = self.client(client)?;
        let past = now.saturating_sub(self.facts_for()).unwrap_or(Timestamp::MIN);
        let Some(agreement) = &client.agreement else { return Some(past) };
        if self.ended(client, agreement).is_some_and(|ended| ended <= past) {
            return Some(past);
        }
        let begins = agreement.versions.iter().map(|version| version.from).min();
        Some(begins.map_or(past, |begins| begins.min(past)))
    }

    /// When the last version of an agreement ends, or the client ceases to be one; `None` while nothing ends it.
    fn ended(&self, client: &Client, agreement: &Agreement) -> Option<Timestamp> {
        let last = agreement.versions.iter().max_by_key(|version| version.from);
        let by_itself = last.and_then(|last| agreement.ends(last));
        let zone = TimeZone::get(&self.provider.zone).unwrap_or(TimeZone::UTC);
        let with_the_client = client.ended.and_then(|day| day.tomorrow().ok()?.to_zoned(zone).ok());
        by_itself.into_iter().chain(with_the_client.map(|day| day.timestamp())).min()
    }
}

fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

impl Read for Retention {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "retention", reading)?;
        let facts = fields.optional("facts", reading);
        let why = "a year's statement and the time to dispute it rest on them: write facts = \"400d\" or more";
        let facts_s = at_least(facts, FACTS_MIN_S, why, fields.node("facts"), reading);
        let samples = fields.optional("samples", reading);
        let why =
            "what an agent could not send is a week old when it has room for no more: write samples = \"7d\" or more";
        let samples_s = at_least(samples, SAMPLES_MIN_S, why, fields.node("samples"), reading);
        fields.finish(reading);
        Some(Self { facts_s, samples_s })
    }
}

fn at_least(
    read: Option<PlainSeconds>,
    least: u64,
    why: &str,
    node: Option<&Node<'_>>,
    reading: &mut Reading<'_>,
) -> Option<PlainSeconds> {
    let (read, node) = (read?, node?);
    if read.0 < least {
        reading.bad_value(node, format!("{} days are too few: {why}", read.0 / DAY_S));
        return None;
    }
    Some(read)
}
