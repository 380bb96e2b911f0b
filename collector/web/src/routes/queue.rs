//! The queue: open incidents by the time left on the clock that runs out first (UX 2.2).

use askama::Template;
use axum::{
    Json,
    extract::{Query, State},
    response::Html,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use upheld_desk::{ClockView, Queue, QueueRow, views::QueueGroup};

use crate::{Portal, access::Reader, problem::Refusal, words};

/// Rows on one page before "show all".
const ROWS: usize = 100;

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    rows: Option<String>,
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Refusal> {
    let queue = load(&portal, &reader).await.map_err(|refusal| refusal.as_json(false))?;
    let limit = if wanted.rows.as_deref() == Some("all") { usize::MAX } else { ROWS };
    QueuePage::of(&queue, &reader, limit)
        .render()
        .map(Html)
        .map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })
}

pub(super) async fn json(State(portal): State<Portal>, reader: Reader) -> Result<Json<Value>, Refusal> {
    let queue = load(&portal, &reader).await?;
    Ok(Json(json!({ "schema": "upheld.queue/1", "queue": queue })))
}

async fn load(portal: &Portal, reader: &Reader) -> Result<Queue, Refusal> {
    Ok(portal.desk.queue(reader.scope(), portal.now()).await?)
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage<'a> {
    who: &'a str,
    as_of: Moment,
    title: String,
    next: Option<Next>,
    overdue: usize,
    within_hour: usize,
    running: usize,
    groups: Vec<Group>,
    empty: String,
    hidden: usize,
}

/// A moment twice: for people and for `datetime`.
struct Moment {
    said: String,
    exact: String,
}

/// The clock that runs out next.
struct Next {
    incident: String,
    href: String,
    stage: String,
    client: String,
    countdown: String,
    left: i64,
}

struct Group {
    heading: &'static str,
    count: usize,
    rows: Vec<Row>,
}

struct Row {
    look: &'static str,
    word: &'static str,
    href: String,
    incident: String,
    title: String,
    place: String,
    priority: String,
    owner: String,
    wants_owner: bool,
    manner: String,
    clock: Option<RowClock>,
}

struct RowClock {
    stage: String,
    countdown: String,
    left: i64,
    ticks: bool,
    due: String,
    exact: Option<String>,
    used: u64,
    said_used: String,
}

impl<'a> QueuePage<'a> {
    fn of(queue: &Queue, reader: &'a Reader, limit: usize) -> Self {
        let count = |group| queue.rows.iter().filter(|row| row.group == group).count();
        let overdue = count(QueueGroup::Overdue);
        let zone = queue.rows.iter().find_map(|row| row.clock.as_ref()).map_or("UTC", |clock| clock.time_zone.as_str());
        let next = queue.rows.iter().find(|row| is_about_to_run_out(row)).and_then(|row| Next::of(row, queue.as_of));
        Self {
            who: reader.name(),
            as_of: Moment {
                said: words::local_short(queue.as_of, zone, queue.as_of),
                exact: words::with_offset(queue.as_of, zone),
            },
            title: if overdue > 0 { format!("({overdue} overdue) Queue") } else { "Queue".to_owned() },
            next,
            overdue,
            within_hour: count(QueueGroup::WithinHour),
            running: queue.rows.iter().filter_map(|row| row.clock.as_ref()).filter(|clock| clock.is_counting).count(),
            groups: groups(queue, reader.may_respond(), limit),
            empty: words::nothing_runs(queue),
            hidden: queue.rows.len().saturating_sub(limit),
        }
    }
}

fn is_about_to_run_out(row: &QueueRow) -> bool {
    match row.group {
        QueueGroup::WithinHour | QueueGroup::Later => true,
        QueueGroup::Overdue | QueueGroup::OutsideHours | QueueGroup::Paused | QueueGroup::NoClock => false,
    }
}

impl Next {
    fn of(row: &QueueRow, now: Timestamp) -> Option<Self> {
        let clock = row.clock.as_ref()?;
        Some(Self {
            incident: row.incident.number.to_string(),
            href: href(row),
            stage: clock.stage.clone(),
            client: row.client_name.clone(),
            countdown: words::countdown_of(clock, now),
            left: words::seconds_left(clock, now)?,
        })
    }
}

fn groups(queue: &Queue, may_respond: bool, limit: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut shown: Option<QueueGroup> = None;
    for row in queue.rows.iter().take(limit) {
        if shown != Some(row.group) {
            shown = Some(row.group);
            let count = queue.rows.iter().filter(|other| other.group == row.group).count();
            groups.push(Group { heading: words::group(row.group), count, rows: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.rows.push(Row::of(row, may_respond, queue.as_of));
        }
    }
    groups
}

impl Row {
    fn of(row: &QueueRow, may_respond: bool, now: Timestamp) -> Self {
        let asset = row.asset.as_ref().map(|asset| format!(" · {asset}")).unwrap_or_default();
        let (look, word) = look(row);
        Self {
            look,
            word,
            href: href(row),
            incident: row.incident.number.to_string(),
            title: row.title.clone(),
            place: format!("{} · {} · {}{asset}", row.incident.number, row.client_name, row.site_name),
            priority: row.priority.clone().unwrap_or_else(|| "none promised".to_owned()),
            owner: row.owner.clone().unwrap_or_else(|| "Unassigned".to_owned()),
            wants_owner: may_respond && row.owner.is_none() && row.state == "open",
            manner: row.clock.as_ref().map(|clock| clock.manner.join(" or ")).unwrap_or_default(),
            clock: row.clock.as_ref().map(|clock| RowClock::of(clock, row.group, now)),
        }
    }
}

/// Colour by the share that is used (75 % and more is amber), with a word beside it: colour never stands alone.
fn look(row: &QueueRow) -> (&'static str, &'static str) {
    let is_close = row.clock.as_ref().is_some_and(|clock| clock.used_permille >= 750);
    match row.group {
        QueueGroup::Overdue => ("bad", "■ overdue"),
        QueueGroup::OutsideHours => ("pause", "‖ not counting"),
        QueueGroup::Paused => ("pause", "‖ paused"),
        QueueGroup::NoClock => ("pause", ""),
        QueueGroup::WithinHour => ("warn", "▲ due soon"),
        QueueGroup::Later if is_close => ("warn", "▲ nearly used"),
        QueueGroup::Later => ("ok", "✓ in time"),
    }
}

impl RowClock {
    fn of(clock: &ClockView, group: QueueGroup, now: Timestamp) -> Self {
        let due = match (clock.breached_at, clock.due) {
            (Some(at), _) => format!("overdue since {}", words::local_short(at, &clock.time_zone, now)),
            (None, Some(at)) => format!("due {}", words::local_short(at, &clock.time_zone, now)),
            (None, None) => words::state(clock),
        };
        let used = clock.used_permille.div_ceil(10);
        Self {
            stage: clock.stage.clone(),
            countdown: words::countdown_of(clock, now),
            left: words::seconds_left(clock, now).unwrap_or(0),
            ticks: clock.is_counting || group == QueueGroup::Overdue,
            due,
            exact: clock.breached_at.or(clock.due).map(|at| words::with_offset(at, &clock.time_zone)),
            used: used.min(100),
            said_used: format!("{used} %"),
        }
    }
}

fn href(row: &QueueRow) -> String {
    format!("/i/{}/{}", row.incident.client, row.incident.number)
}
