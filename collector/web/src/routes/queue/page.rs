//! What the queue's page shows, in words; its rows are fragments of their own, so that one that changed can be sent
//! without the others.

use std::hash::{DefaultHasher, Hasher as _};

use askama::Template;
use jiff::Timestamp;
use upheld_desk::{Queue, QueueRow, roles::Action, said::ClockSaid, views::QueueGroup};

use super::Wanted;
use crate::{access::Reader, nav, words};

#[derive(Template)]
#[template(path = "queue.html")]
pub(super) struct QueuePage {
    who: String,
    nav: Vec<nav::Place>,
    pub(super) as_of: Moment,
    pub(super) title: String,
    pub(super) sum: Piece,
    /// Headings and rows in their order.
    pub(super) pieces: Vec<Piece>,
    empty: String,
    reminders: Vec<String>,
    hidden: usize,
    more: String,
    all: String,
    query: String,
    wanted: Wanted,
    clients: Vec<(String, String)>,
    is_client: bool,
    /// Whether it shows the present; a look back is not told of changes, and nothing on it ticks.
    is_now: bool,
    /// What the page shows, as one number: a stream that begins with it sends nothing that the page has.
    pub(super) snapshot: String,
}

/// A piece of finished HTML with a name and a version: the version changes when something other than the passing of
/// time does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) html: String,
}

/// A moment thrice: for people, for `datetime`, and as milliseconds of the server's clock.
pub(super) struct Moment {
    pub(super) said: String,
    pub(super) exact: String,
    pub(super) unix_ms: i64,
}

/// The counts at the head, and the clock that runs out next.
#[derive(Template)]
#[template(path = "queue-sum.html")]
struct Sum {
    id: &'static str,
    version: String,
    next: Option<Next>,
    overdue: usize,
    within_hour: usize,
    counting: usize,
    unassigned: usize,
    as_of_s: i64,
}

struct Next {
    incident: String,
    href: String,
    client: String,
    said: ClockSaid,
}

#[derive(Template)]
#[template(path = "queue-group.html")]
struct Heading {
    id: String,
    version: String,
    heading: &'static str,
    count: usize,
}

#[derive(Template)]
#[template(path = "queue-row.html")]
struct Row {
    id: String,
    version: String,
    look: &'static str,
    word: &'static str,
    href: String,
    incident: String,
    title: String,
    place: String,
    plan: String,
    priority: String,
    owner: String,
    wants_owner: bool,
    manner: String,
    /// What is said of it when it is new, of the most urgent only.
    news: Option<String>,
    clock: Option<RowClock>,
    as_of_s: i64,
}

struct RowClock {
    said: ClockSaid,
    ticks: bool,
    exact: Option<String>,
    /// In twentieths of the bar.
    bar: u64,
}

impl QueuePage {
    pub(super) fn of(queue: &Queue, reader: &Reader, wanted: &Wanted) -> Self {
        let clients = clients(queue);
        let rows = wanted.of(queue, reader.name());
        let as_of_s = queue.as_of.as_second();
        let count = |group| rows.iter().filter(|row| row.group == group).count();
        let overdue = count(QueueGroup::Overdue);
        let zone = rows.iter().find_map(|row| row.clock.as_ref()).map_or("UTC", |clock| clock.time_zone.as_str());
        let next = rows.iter().copied().filter(|row| is_about_to_run_out(row)).find_map(Next::of);
        let sum = Sum {
            id: "sum",
            version: String::new(),
            next,
            overdue,
            within_hour: count(QueueGroup::WithinHour),
            counting: rows.iter().filter_map(|row| row.clock.as_ref()).filter(|clock| clock.is_counting).count(),
            unassigned: rows.iter().filter(|row| row.owner.is_none()).count(),
            as_of_s,
        };
        let (limit, total) = (wanted.rows(), rows.len());
        let (sum, pieces) = (sum.piece(), pieces(&rows, reader.may(Action::Give("acknowledge")), limit, queue.as_of));
        let snapshot =
            digest(&(&sum.version, pieces.iter().map(|piece| (&piece.id, &piece.version)).collect::<Vec<_>>()));
        Self {
            who: reader.name().to_owned(),
            nav: nav::of(reader, "/queue"),
            as_of: Moment {
                said: words::local_short(queue.as_of, zone, queue.as_of),
                exact: words::with_offset(queue.as_of, zone),
                unix_ms: queue.as_of.as_millisecond(),
            },
            title: if overdue > 0 { format!("({overdue} overdue) Queue") } else { "Queue".to_owned() },
            sum,
            pieces,
            empty: if wanted.is_narrow() {
                "Nothing open is like that: choose “All”, or clear the search.".to_owned()
            } else {
                words::nothing_runs(queue)
            },
            reminders: words::reminders(queue),
            hidden: total.saturating_sub(limit),
            more: wanted.query(limit.saturating_add(super::ROWS)),
            all: wanted.query(total),
            query: wanted.query(limit),
            wanted: wanted.clone(),
            clients,
            is_now: wanted.at.is_none(),
            is_client: reader.scope().client().is_some(),
            snapshot,
        }
    }

    pub(super) fn shown(&self) -> askama::Result<String> {
        self.render()
    }
}

/// The clients that have something open, for the choice among them.
fn clients(queue: &Queue) -> Vec<(String, String)> {
    let mut clients: Vec<_> =
        queue.rows.iter().map(|row| (row.client_name.clone(), row.incident.client.to_string())).collect();
    clients.sort();
    clients.dedup();
    clients
}

fn is_about_to_run_out(row: &QueueRow) -> bool {
    match row.group {
        QueueGroup::WithinHour | QueueGroup::LaterToday | QueueGroup::Later => true,
        QueueGroup::Overdue | QueueGroup::OutsideHours | QueueGroup::Paused | QueueGroup::NoClock => false,
    }
}

fn pieces(rows: &[&QueueRow], may_take: bool, limit: usize, as_of: Timestamp) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut shown: Option<QueueGroup> = None;
    for row in rows.iter().take(limit) {
        if shown != Some(row.group) {
            shown = Some(row.group);
            let count = rows.iter().filter(|other| other.group == row.group).count();
            pieces.push(Heading::piece(words::group(row.group), count));
        }
        pieces.push(Row::of(row, may_take, as_of).piece());
    }
    pieces
}

impl Next {
    fn of(row: &QueueRow) -> Option<Self> {
        let clock = row.clock.as_ref().filter(|clock| clock.is_counting)?;
        Some(Self {
            incident: row.incident.number.to_string(),
            href: href(row),
            client: row.client_name.clone(),
            said: clock.said.clone(),
        })
    }
}

impl Sum {
    fn piece(mut self) -> Piece {
        let next = self.next.as_ref().map(|next| (&next.href, &next.said.stage, &next.said.standing));
        self.version = digest(&(next, self.overdue, self.within_hour, self.counting, self.unassigned));
        Piece { id: self.id.to_owned(), html: rendered(&self), version: self.version }
    }
}

impl Heading {
    fn piece(heading: &'static str, count: usize) -> Piece {
        let id = format!("g-{}", heading.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "-"));
        let piece = Self { id, version: count.to_string(), heading, count };
        Piece { html: rendered(&piece), id: piece.id, version: piece.version }
    }
}

impl Row {
    fn of(row: &QueueRow, may_take: bool, now: Timestamp) -> Self {
        let asset = row.asset.as_ref().map(|asset| format!(" · {asset}")).unwrap_or_default();
        let (look, word) = look(row);
        Self {
            id: format!("r-{}-{}", row.incident.client, row.incident.number),
            version: String::new(),
            look,
            word,
            href: href(row),
            incident: row.incident.number.to_string(),
            title: row.title.clone(),
            place: format!("{} · {} · {}{asset}", row.incident.number, row.client_name, row.site_name),
            plan: row.plan.clone().unwrap_or_else(|| "nothing promised".to_owned()),
            priority: row.priority.clone().unwrap_or_else(|| "no priority".to_owned()),
            owner: row.owner.clone().unwrap_or_else(|| "Unassigned".to_owned()),
            wants_owner: may_take && row.owner.is_none() && row.state == "open",
            manner: row.clock.as_ref().map(|clock| clock.manner.join(" or ")).unwrap_or_default(),
            news: row
                .priority
                .as_deref()
                .filter(|priority| *priority == "P1")
                .map(|priority| format!("New, {priority}: {} {}", row.incident.number, row.title)),
            clock: row.clock.as_ref().map(|clock| RowClock {
                said: clock.said.clone(),
                ticks: clock.is_counting || row.group == QueueGroup::Overdue,
                exact: clock.breached_at.or(clock.due).map(|at| words::with_offset(at, &clock.time_zone)),
                bar: bar(clock.used_permille),
            }),
            as_of_s: now.as_second(),
        }
    }

    fn piece(mut self) -> Piece {
        // What only passes with time is not a change: the page counts that down itself.
        let clock = self.clock.as_ref().map(|clock| {
            let stands = (!clock.ticks).then_some(&clock.said.countdown);
            (&clock.said.stage, &clock.said.standing, stands, clock.ticks, clock.bar)
        });
        let shown = (&self.title, &self.place, &self.plan, &self.priority, &self.owner, self.wants_owner, &self.manner);
        self.version = digest(&(clock, shown, self.look, self.word));
        Piece { html: rendered(&self), id: self.id, version: self.version }
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
        QueueGroup::LaterToday | QueueGroup::Later if is_close => ("warn", "▲ nearly used"),
        QueueGroup::LaterToday | QueueGroup::Later => ("ok", "✓ in time"),
    }
}

/// A share in twentieths of a bar, never empty once something is used and never full before all is.
pub(in crate::routes) fn bar(permille: u64) -> u64 {
    match permille {
        0 => 0,
        1000.. => 20,
        some => (some / 50).clamp(1, 19),
    }
}

fn href(row: &QueueRow) -> String {
    format!("/i/{}/{}", row.incident.client, row.incident.number)
}

/// What was hashed, as a version: it is compared within one run of the server, and a restart sends everything again.
fn digest(shown: &impl std::hash::Hash) -> String {
    let mut hasher = DefaultHasher::new();
    shown.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// A fragment that cannot be rendered is an empty one; the page around it is refused by its own rendering.
fn rendered(piece: &impl Template) -> String {
    piece.render().unwrap_or_default()
}
