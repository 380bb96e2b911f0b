//! The queue: open incidents by the time left on the clock that runs out first (UX 2.2).
//!
//! What is shown stands in the address: `?show=unassigned|mine`, `?client=`, `?q=`, `?rows=100`, `?at=` for the clocks as of
//! an instant. The page is finished on
//! the server; [`events`] sends the rows that changed since.

pub(super) mod events;
mod page;
#[cfg(test)]
mod tests;

use axum::{
    Json,
    extract::{Query, State},
    response::Html,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::{Queue, QueueRow};

use crate::{Portal, access::Reader, problem::Refusal};
use page::QueuePage;
pub(in crate::routes) use page::bar;

/// Rows on one page before "show more".
const ROWS: usize = 50;
/// More than this is no page any more.
const ROWS_MAX: usize = 5_000;
/// The longest search that is looked for, in characters.
const SEARCH_MAX: usize = 200;

/// What the address may say. An empty field is an absent one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    /// How many rows at most.
    #[serde(default)]
    rows: String,
    /// `unassigned`, `mine`; everything else is all.
    #[serde(default)]
    show: String,
    /// One client's.
    #[serde(default)]
    client: String,
    /// What number, title, client, site, asset or owner must contain.
    #[serde(default)]
    q: String,
    /// As of when; now when absent.
    at: Option<Timestamp>,
}

impl Wanted {
    fn rows(&self) -> usize {
        self.rows.parse().unwrap_or(ROWS).clamp(1, ROWS_MAX)
    }

    fn search(&self) -> String {
        self.q.trim().chars().take(SEARCH_MAX).collect::<String>().to_lowercase()
    }

    /// Whether anything is left out.
    fn is_narrow(&self) -> bool {
        matches!(self.show.as_str(), "unassigned" | "mine") || !self.client.is_empty() || !self.search().is_empty()
    }

    /// The rows that are asked for.
    fn of<'a>(&self, queue: &'a Queue, who: &str) -> Vec<&'a QueueRow> {
        let search = self.search();
        let is_wanted = |row: &&QueueRow| {
            let is_shown = match self.show.as_str() {
                "unassigned" => row.owner.is_none(),
                "mine" => row.owner.as_deref() == Some(who),
                _ => true,
            };
            is_shown
                && (self.client.is_empty() || row.incident.client.as_str() == self.client)
                && (search.is_empty() || holds(row, &search))
        };
        queue.rows.iter().filter(is_wanted).collect()
    }

    /// The same question as an address's query, with another number of rows.
    fn query(&self, rows: usize) -> String {
        let mut said = Vec::new();
        for (name, value) in [("show", &self.show), ("client", &self.client), ("q", &self.q)] {
            if !value.trim().is_empty() {
                said.push(format!("{name}={}", encoded(value.trim())));
            }
        }
        said.extend(self.at.map(|at| format!("at={at}")));
        if rows != ROWS {
            said.push(format!("rows={rows}"));
        }
        if said.is_empty() { String::new() } else { format!("?{}", said.join("&")) }
    }
}

fn holds(row: &QueueRow, search: &str) -> bool {
    let asset = row.asset.as_ref().map(ToString::to_string).unwrap_or_default();
    let number = row.incident.to_string();
    let owner = row.owner.as_deref().unwrap_or_default();
    [&number, &row.title, &row.client_name, &row.site_name, &asset, owner]
        .iter()
        .any(|text| text.to_lowercase().contains(search))
}

/// Percent-encoded for a query: everything that is not a letter, a digit or one of `-._~`.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
        out
    })
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Refusal> {
    let queue = portal
        .desk
        .queue(reader.scope(), wanted.at.unwrap_or(portal.now()))
        .await
        .map_err(|error| Refusal::from(error).for_reader(false))?;
    QueuePage::of(&queue, &reader, &wanted)
        .shown()
        .map(Html)
        .map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })
}

pub(super) async fn json(
    State(portal): State<Portal>,
    reader: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let mut queue = portal.desk.queue(reader.scope(), wanted.at.unwrap_or(portal.now())).await?;
    let rows: Vec<QueueRow> = wanted.of(&queue, reader.name()).into_iter().cloned().collect();
    queue.rows = rows;
    Ok(Json(json!({ "schema": "upheld.queue/1", "queue": queue })))
}
