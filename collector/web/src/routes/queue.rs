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
    let queue = load(&portal, &reader).await.map_err(|refusal| refusal.for_reader(false))?;
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
    reminders: Vec<String>,
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
            groups: groups(queue, reader.may_decide(), limit),
            empty: words::nothing_runs(queue),
            reminders: queue.commissioning.iter().map(|site| words::still_commissioning(site, queue.as_of)).collect(),
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
            stage: words::stage(&clock.stage),
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
            (Some(at), _) => format!("since {}", words::local_short(at, &clock.time_zone, now)),
            (None, Some(at)) => format!("due {}", words::local_short(at, &clock.time_zone, now)),
            (None, None) => "no due meanwhile".to_owned(),
        };
        let used = clock.used_permille / 10;
        Self {
            stage: words::stage(&clock.stage),
            countdown: words::countdown_of(clock, now),
            left: words::seconds_left(clock, now).unwrap_or(0),
            ticks: clock.is_counting || group == QueueGroup::Overdue,
            due,
            exact: clock.breached_at.or(clock.due).map(|at| words::with_offset(at, &clock.time_zone)),
            used: used.min(100),
            said_used: format!("{used}\u{202f}%"),
        }
    }
}

fn href(row: &QueueRow) -> String {
    format!("/i/{}/{}", row.incident.client, row.incident.number)
}

#[cfg(test)]
mod tests {
    use upheld_desk::{Actor, Rights, Scope, SignedIn};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn reader(rights: Rights) -> Reader {
        Reader(SignedIn { actor: Actor::person("dispatch"), scope: Scope::Provider, rights })
    }

    fn clock(stage: &str, remaining_s: u64, used_permille: u64, due: &str) -> ClockView {
        ClockView {
            stage: stage.into(),
            manner: vec!["remote".into(), "phone".into()],
            state: "running".into(),
            is_counting: true,
            started_at: Some(at("2026-11-17T13:00:00Z")),
            counted_s: 600,
            remaining_s: Some(remaining_s),
            used_permille,
            due: Some(at(due)),
            time_zone: "America/Chicago".into(),
            due_local: None,
            breached_at: None,
            satisfied_at: None,
            satisfied_by: None,
        }
    }

    fn row(number: u32, group: QueueGroup, title: &str, clock: Option<ClockView>) -> QueueRow {
        QueueRow {
            incident: format!("northgate/INC-{number}").parse().unwrap(),
            group,
            title: title.into(),
            client_name: "Northgate Foods".into(),
            site: "plant-2".parse().unwrap(),
            site_name: "Plant 2".into(),
            asset: Some("nvr-02".parse().unwrap()),
            class: upheld_model::IncidentClass::Recording,
            kind: upheld_model::IncidentKind::Down,
            state: "open".into(),
            priority: Some("P1".into()),
            owner: None,
            opened_at: at("2026-11-17T13:00:00Z"),
            clock,
        }
    }

    fn queue() -> Queue {
        let overdue = ClockView {
            breached_at: Some(at("2026-11-17T19:28:41Z")),
            remaining_s: Some(0),
            ..clock("respond", 0, 1080, "2026-11-17T19:28:41Z")
        };
        let outside = ClockView { is_counting: false, ..clock("resolve", 17_100, 410, "2026-11-18T15:00:00Z") };
        let paused = ClockView {
            state: "paused".into(),
            is_counting: false,
            due: None,
            ..clock("resolve", 9_720, 660, "2026-11-18T15:00:00Z")
        };
        Queue {
            as_of: at("2026-11-17T19:47:19Z"),
            rows: vec![
                row(
                    2038,
                    QueueGroup::Overdue,
                    "Door controller AC-11 does not answer, 6 doors on cached rules",
                    Some(overdue),
                ),
                row(
                    2043,
                    QueueGroup::WithinHour,
                    "UPS on battery <script>alert(1)</script>",
                    Some(clock("respond", 761, 790, "2026-11-17T20:00:00Z")),
                ),
                QueueRow {
                    owner: Some("Technician 1".into()),
                    state: "taken".into(),
                    ..row(
                        2041,
                        QueueGroup::Later,
                        "NVR-02 stopped recording on 9 cameras",
                        Some(clock("resolve", 4061, 860, "2026-11-17T20:55:00Z")),
                    )
                },
                row(
                    2045,
                    QueueGroup::Later,
                    "Backup of the VMS database missed",
                    Some(clock("respond", 8280, 430, "2026-11-17T22:05:19Z")),
                ),
                row(2031, QueueGroup::OutsideHours, "Camera CAM-118 does not answer", Some(outside)),
                row(2029, QueueGroup::Paused, "Access server ACS-1: power supply failed", Some(paused)),
                QueueRow { priority: None, ..row(2046, QueueGroup::NoClock, "Workstation WS-3 does not answer", None) },
            ],
            commissioning: vec![],
            agents: 412,
            last_report: Some(at("2026-11-17T19:47:15Z")),
        }
    }

    #[test]
    fn rows_stand_in_groups_of_time_and_are_coloured_by_the_share_used() {
        let queue = queue();
        let reader = reader(Rights::Respond);
        let page = QueuePage::of(&queue, &reader, ROWS);
        let headings: Vec<(&str, usize)> = page.groups.iter().map(|group| (group.heading, group.count)).collect();
        assert_eq!(headings[0], ("Overdue", 1));
        assert_eq!(headings[2], ("Later", 2));
        let looks: Vec<&str> = page.groups.iter().flat_map(|group| &group.rows).map(|row| row.look).collect();
        assert_eq!(looks, ["bad", "warn", "warn", "ok", "pause", "pause", "pause"]);
        let next = page.next.expect("a clock runs");
        assert_eq!((next.incident.as_str(), next.countdown.as_str()), ("INC-2043", "0:12:41"));
        assert_eq!(page.title, "(1 overdue) Queue");
    }

    #[test]
    fn security_24_what_a_device_says_is_escaped_and_no_style_is_inline() {
        let page = QueuePage::of(&queue(), &reader(Rights::Respond), ROWS).render().unwrap();
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
        assert!(!page.contains(" style="));
        assert!(!page.contains(" onclick="));
    }

    #[test]
    fn an_action_is_offered_only_where_one_is_due_and_allowed() {
        let buttons = |rights| {
            let page = QueuePage::of(&queue(), &reader(rights), ROWS).render().unwrap();
            page.matches("/acknowledge\"").count()
        };
        assert_eq!(buttons(Rights::Respond), 6, "all but the one that is taken");
        assert_eq!(buttons(Rights::Read), 0);
    }

    #[test]
    fn an_empty_queue_says_so_in_a_sentence() {
        let queue = Queue { rows: vec![], ..queue() };
        let page = QueuePage::of(&queue, &reader(Rights::Read), ROWS).render().unwrap();
        assert!(page.contains("No clocks running, no open incidents. 412 agents, last report 4 s ago."), "{page}");
        assert!(!page.contains("<table"));
    }

    #[test]
    fn a_site_that_stays_in_commissioning_is_one_line() {
        let long = upheld_desk::CommissioningReminder {
            client: "northgate".parse().unwrap(),
            client_name: "Northgate Foods".into(),
            site: "plant-2".parse().unwrap(),
            site_name: "Plant 2".into(),
            since: at("2026-11-08T19:00:00Z"),
        };
        let queue = Queue { commissioning: vec![long], rows: vec![], ..queue() };
        let page = QueuePage::of(&queue, &reader(Rights::Read), ROWS).render().unwrap();
        let line = "Northgate Foods, Plant 2 has been in commissioning for 9 days and nothing there is ticketed: \
                    upheld-collector commission northgate/plant-2 says what was found and how to end it.";
        assert_eq!(page.matches(line).count(), 1, "{page}");
    }

    #[test]
    fn times_carry_their_zone_and_the_due_is_machine_readable() {
        let page = QueuePage::of(&queue(), &reader(Rights::Read), ROWS).render().unwrap();
        assert!(
            page.contains("<time class=\"nb\" datetime=\"2026-11-17T14:55:00-06:00\">due 14:55:00 CST</time>"),
            "{page}"
        );
        assert!(page.contains("since 13:28:41 CST"), "{page}");
    }
}
