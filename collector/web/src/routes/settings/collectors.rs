//! Who serves the database and does what, for whoever runs the house: as `upheld-collector doctor` says it.

use askama::Template;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::json;
use upheld_desk::tasks::{Leased, Servers, Serving};

use super::Head;
use crate::{Portal, access::Reader, problem::Refusal, routes::client::shown};

#[derive(Template)]
#[template(path = "collectors.html")]
struct CollectorsPage {
    head: Head,
    is_alone: bool,
    wrong: Vec<(String, &'static str)>,
    tasks: Vec<TaskLine>,
    collectors: Vec<CollectorLine>,
    as_of: String,
}

/// One task in words.
struct TaskLine {
    task: String,
    holder: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// One collector in words.
struct CollectorLine {
    name: String,
    state: &'static str,
    seen: String,
    does: String,
}

pub(in crate::routes) async fn page(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let servers = portal.desk.servers().await.map_err(|no| Refusal::from(no).for_reader(false))?;
    let told = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let wrong = if servers.is_alone() { Vec::new() } else { servers.unwell() };
    shown(&CollectorsPage {
        head: Head::of(&reader, "/settings/collectors"),
        is_alone: servers.is_alone(),
        wrong: wrong.iter().map(|one| (one.to_string(), one.todo())).collect(),
        tasks: servers.tasks.iter().map(|task| task_line(task, told)).collect(),
        collectors: servers.collectors.iter().map(|one| collector_line(one, told)).collect(),
        as_of: told(servers.as_of.unwrap_or_else(|| portal.now())),
    })
}

pub(in crate::routes) async fn json(State(portal): State<Portal>, _: Reader) -> Result<Response, Refusal> {
    let servers: Servers = portal.desk.servers().await?;
    Ok(Json(json!({ "schema": "upheld.collectors/1", "servers": servers })).into_response())
}

fn task_line(task: &Leased, told: impl Fn(Timestamp) -> String) -> TaskLine {
    TaskLine {
        task: task.task.clone(),
        holder: task.holder.clone(),
        since: task.since.map(&told),
        until: task.until.map(told),
    }
}

fn collector_line(one: &Serving, told: impl Fn(Timestamp) -> String) -> CollectorLine {
    CollectorLine {
        name: one.name.clone(),
        state: match (one.is_away, one.is_late) {
            (true, _) => "away",
            (false, true) => "late",
            (false, false) => "serves",
        },
        seen: told(one.seen_at),
        does: if one.tasks.is_empty() { "stands by".to_owned() } else { one.tasks.join(", ") },
    }
}
