//! What a client's page says, and its bars.

use askama::Template;
use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::{
    account::{Account, AvailabilityRow},
    availability::{Unit, Verdict},
    outcome::Kept,
    words::Stage,
};
use upheld_desk::{
    QueueRow,
    roles::Action,
    views::{Day, Overview, PauseToDispute, SystemDays},
};

use crate::{access::Reader, nav, words};

/// A day with this much downtime or more is a bad one.
const LONG_S: u64 = 4 * 3_600;
/// From this share of what is allowed on, in percent, a system is to be watched.
const WATCH_PERCENT: u64 = 60;
/// The width of one day in a row of bars.
const DAY_WIDTH: usize = 7;

#[derive(Template)]
#[template(path = "client.html")]
pub(super) struct ClientPage {
    who: String,
    nav: Vec<nav::Place>,
    name: String,
    client: String,
    href: String,
    as_of: String,
    as_of_exact: String,
    as_of_ms: i64,
    month: String,
    verdict: String,
    figures: Vec<Figure>,
    systems: Vec<System>,
    open: Vec<Open>,
    pauses: Vec<Paused>,
    counted: Vec<String>,
    may_report: bool,
    may_dispute: bool,
    key: String,
    places: Vec<(String, String)>,
    reporting: String,
    is_theirs: bool,
}

struct Figure {
    heading: &'static str,
    value: String,
    detail: String,
}

struct System {
    name: String,
    place: String,
    said: String,
    bars: Vec<(&'static str, String)>,
    share: String,
    look: &'static str,
    word: &'static str,
    bar: u64,
    minutes: String,
    rows: Vec<(String, String, String)>,
}

/// A pause with the form that disputes it.
struct Paused {
    action: String,
    number: String,
    item: u64,
    said: String,
}

struct Open {
    href: String,
    number: String,
    title: String,
    place: String,
    clock: String,
}

impl ClientPage {
    pub(super) fn of(overview: &Overview, reader: &Reader) -> Self {
        let (zone, now) = (&overview.time_zone, overview.as_of);
        let month = month(overview);
        let account = overview.account.as_ref();
        Self {
            who: reader.name().to_owned(),
            nav: nav::of(reader, &format!("/c/{}", overview.client)),
            name: overview.client_name.clone(),
            client: overview.client.to_string(),
            href: format!("/c/{}", overview.client),
            as_of: words::local(now, zone),
            as_of_exact: words::with_offset(now, zone),
            as_of_ms: now.as_millisecond(),
            verdict: verdict(overview, &month),
            figures: account.map(|account| figures(account, zone)).unwrap_or_default(),
            systems: overview.systems.iter().map(|system| System::of(system, account)).collect(),
            open: overview.open.iter().map(Open::of).collect(),
            pauses: if reader.may(Action::Give("dispute")) {
                overview.pauses.iter().map(|pause| Paused::of(pause, zone, now)).collect()
            } else {
                Vec::new()
            },
            counted: account.map(|account| counted(account, &month)).unwrap_or_default(),
            may_report: reader.may(Action::Report),
            may_dispute: reader.may(Action::Give("dispute")),
            key: format!("report-{}-{}", overview.client, now.as_microsecond()),
            places: places(overview),
            reporting: reporting(account),
            is_theirs: reader.scope().client().is_some(),
            month,
        }
    }
}

/// Where something may be wrong: each site in general, and each of its systems.
fn places(overview: &Overview) -> Vec<(String, String)> {
    let mut places: Vec<(String, String)> = Vec::new();
    for system in &overview.systems {
        let site = format!("{}/{}", overview.client, system.site);
        if places.iter().all(|(known, _)| *known != site) {
            places.push((site.clone(), format!("{}, in general", system.site_name)));
        }
        places.push((format!("{site}/{}", system.asset), format!("{}, {}", system.site_name, system.asset)));
    }
    places
}

/// `November 2026`.
fn month(overview: &Overview) -> String {
    let zone = TimeZone::get(&overview.time_zone).unwrap_or(TimeZone::UTC);
    overview.month.from.to_zoned(zone).strftime("%B %Y").to_string()
}

/// How one figure of availability stands.
enum Standing {
    Kept,
    Watch,
    Missed,
    NotProven,
    NothingCounted,
}

fn standing(row: &AvailabilityRow) -> Standing {
    let down_s = row.measured.figure.uptime.down_s;
    match row.verdict {
        Verdict::NothingCounted => Standing::NothingCounted,
        Verdict::NotProven => Standing::NotProven,
        Verdict::Kept | Verdict::Missed if down_s > row.allowed_down_s => Standing::Missed,
        Verdict::Kept | Verdict::Missed if down_s * 100 >= row.allowed_down_s * WATCH_PERCENT && down_s > 0 => {
            Standing::Watch
        }
        Verdict::Kept | Verdict::Missed => Standing::Kept,
    }
}

/// What a figure is about, in words.
fn unit(unit: &Unit) -> String {
    match unit {
        Unit::Asset { site: _, asset } => asset.to_string(),
        Unit::Class { site, class } => format!("{class} of {site}"),
        Unit::Site { site } => site.to_string(),
    }
}

fn said_down(row: &AvailabilityRow) -> String {
    let down_s = row.measured.figure.uptime.down_s;
    format!("{} down so far, {} allowed", words::two_units(down_s), words::two_units(row.allowed_down_s))
}

/// The sentence at the head: what is not kept first, never an average.
fn verdict(overview: &Overview, month: &str) -> String {
    let Some(account) = &overview.account else {
        let why = overview.no_account.as_deref().unwrap_or("there is no agreement");
        return format!("Nothing is promised in {month}: {why}.");
    };
    let rows = &account.availability;
    let Some(first) = rows.first() else {
        return format!("No availability is promised in {month}; what was answered and fixed in time stands below.");
    };
    let is_same = rows.iter().all(|row| row.objective == first.objective);
    let promised = if is_same { first.objective.as_percent() } else { "share of the time".to_owned() };
    let of = |wanted: fn(&Standing) -> bool| rows.iter().filter(|row| wanted(&standing(row))).collect::<Vec<_>>();
    let kept = of(|standing| matches!(standing, Standing::Kept | Standing::Watch | Standing::NothingCounted)).len();
    let things = if rows.len() == 1 { "system" } else { "systems" };
    let mut said = if kept == rows.len() {
        match kept {
            1 => format!("{} is keeping the promised {promised}.", words::sentence(&unit(&first.unit))),
            many => format!("All {many} systems are keeping the promised {promised}."),
        }
    } else {
        let verb = if kept == 1 { "is" } else { "are" };
        format!("{kept} of {} {things} {verb} keeping the promised {promised}.", rows.len())
    };
    for row in of(|standing| matches!(standing, Standing::Missed)) {
        said.push_str(&format!(" {} is not: {} in {month}.", unit(&row.unit), said_down(row)));
    }
    let not_proven = of(|standing| matches!(standing, Standing::NotProven));
    if let (3.., Some(most)) =
        (not_proven.len(), not_proven.iter().map(|row| row.measured.figure.tally.unknown_s).max())
    {
        said.push_str(&format!(
            " Of {} it is not proven: nobody knows of up to {} each.",
            not_proven.len(),
            words::two_units(most)
        ));
        return said;
    }
    for row in not_proven {
        let unknown_s = row.measured.figure.tally.unknown_s;
        said.push_str(&format!(
            " Of {} it is not proven: nobody knows of {}.",
            unit(&row.unit),
            words::two_units(unknown_s)
        ));
    }
    said
}

/// Answered in time, fixed in time, the longest downtime, credits.
fn figures(account: &Account, zone: &str) -> Vec<Figure> {
    let of = |stage: Stage, heading: &'static str| {
        let of_stage = || account.targets.iter().filter(move |row| row.outcome.stage == stage);
        let count = |kept: Kept| of_stage().filter(|row| row.outcome.kept == kept).count();
        let (in_time, late) = (count(Kept::InTime), count(Kept::Late) + count(Kept::Missed));
        let is_late = |kept| matches!(kept, Kept::Late | Kept::Missed);
        let names: Vec<&str> =
            of_stage().filter(|row| is_late(row.outcome.kept)).take(3).map(|row| row.incident.as_str()).collect();
        let mut detail = match (late, count(Kept::Open)) {
            (0, 0) => String::new(),
            (0, open) => format!("{open} still open"),
            (late, 0) => format!("{late} not in time: {}", names.join(", ")),
            (late, open) => format!("{late} not in time: {}; {open} still open", names.join(", ")),
        };
        if detail.is_empty() {
            detail = if in_time == 0 { "nothing was decided".to_owned() } else { "none late".to_owned() };
        }
        let due = in_time + late;
        let value = if due == 0 { "–".to_owned() } else { format!("{in_time} of {due}") };
        Figure { heading, value, detail }
    };
    let longest = account
        .time
        .iter()
        .flat_map(|time| time.down.iter().map(move |down| (down.seconds(), time, down)))
        .max_by_key(|(seconds, _, _)| *seconds);
    let longest = Figure {
        heading: "Longest downtime",
        value: longest.map_or_else(|| "none".to_owned(), |(seconds, _, _)| words::two_units(seconds)),
        detail: longest.map_or_else(
            || "nothing was down".to_owned(),
            |(_, time, down)| format!("{}, from {}", time.asset, words::local(down.from, zone)),
        ),
    };
    let credits = &account.credits;
    let growing = credits.windows.iter().filter(|window| !window.is_final && window.owed.minor > 0);
    let growing: Vec<String> = growing
        .map(|window| format!("{} so far, decided {}", window.owed, words::local(window.window.to, zone)))
        .collect();
    let credits = Figure {
        heading: "Credits to you",
        value: credits.owed.to_string(),
        detail: match (&credits.not_said, growing.is_empty()) {
            (Some(why), _) => why.clone(),
            (None, false) => growing.join("; "),
            (None, true) => "nothing else is running up".to_owned(),
        },
    };
    vec![of(Stage::Respond, "Answered in time"), of(Stage::Resolve, "Fixed in time"), longest, credits]
}

/// What reporting costs: nothing, and what is left of the included hours.
fn reporting(account: Option<&Account>) -> String {
    let included = account.and_then(|account| account.labour.included.last());
    let left = included.map(|included| {
        format!(
            " Included hours left this month: {} of {}.",
            words::two_units(included.left_s),
            words::two_units(included.given_s)
        )
    });
    format!("Reporting is free.{}", left.unwrap_or_default())
}

/// How the figures are counted, in sentences.
fn counted(account: &Account, month: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in &account.versions {
        let riders: String = part.riders.iter().map(|rider| format!(" + {rider}")).collect();
        let (from, zone) = (part.time.from, &account.zone);
        lines.push(format!(
            "{} v{}: {}{riders}, counted from {}.",
            account.agreement,
            part.version,
            part.plan,
            words::local(from, zone)
        ));
    }
    if let Some(row) = account.availability.first() {
        let tally = row.measured.figure.tally;
        lines.push(format!(
            "{} per system, over the covered hours of {month}; announced work and hours outside coverage are left out.",
            row.objective.as_percent(),
        ));
        lines.push(format!(
            "Of {}, for one: {} up, {} degraded, {} down, {} of which nobody knows, {} left out.",
            unit(&row.unit),
            words::two_units(tally.up_s),
            words::two_units(tally.degraded_s),
            words::two_units(tally.down_s),
            words::two_units(tally.unknown_s),
            words::two_units(tally.excluded_s),
        ));
    }
    lines.push("Time of which nobody knows is shown as no data, never as up.".to_owned());
    lines.push(format!(
        "The same figures on the provider's host, each with its why: upheld-collector statement {}",
        account.client
    ));
    lines
}

impl Paused {
    fn of(pause: &PauseToDispute, zone: &str, now: Timestamp) -> Self {
        let note = pause.note.as_ref().map(|note| format!(" “{note}”")).unwrap_or_default();
        Self {
            action: format!("/i/{}/{}/dispute", pause.incident.client, pause.incident.number),
            number: pause.incident.number.to_string(),
            item: pause.item,
            said: format!(
                "{} was paused for {} from {}, says {}.{note}",
                pause.incident.number,
                pause.reason.replace('-', " "),
                words::local_short(pause.since, zone, now),
                pause.by
            ),
        }
    }
}

impl System {
    fn of(system: &SystemDays, account: Option<&Account>) -> Self {
        let rows = account.map(|account| account.availability.as_slice()).unwrap_or_default();
        let row = rows.iter().find(|row| match &row.unit {
            Unit::Asset { site, asset } => *site == system.site && *asset == system.asset,
            Unit::Class { site, class } => *site == system.site && *class == system.class,
            Unit::Site { site } => *site == system.site,
        });
        let down_s: u64 = account
            .and_then(|account| account.time.iter().find(|time| time.site == system.site && time.asset == system.asset))
            .map_or(0, |time| time.sums.down_s);
        let (look, word) = match row.map(standing) {
            Some(Standing::Kept) => ("ok", "✓ kept"),
            Some(Standing::Watch) => ("warn", "▲ watch"),
            Some(Standing::Missed) => ("bad", "■ missed"),
            Some(Standing::NotProven) => ("warn", "▲ not proven"),
            Some(Standing::NothingCounted) => ("pause", "nothing counted yet"),
            None => ("pause", "no target"),
        };
        let used = row.map(|row| {
            let down_s = row.measured.figure.uptime.down_s;
            down_s.saturating_mul(1_000).checked_div(row.allowed_down_s).unwrap_or(if down_s > 0 { 1_000 } else { 0 })
        });
        Self {
            name: system.asset.to_string(),
            place: format!("{}, {}", system.class, system.site_name),
            said: said_days(&system.days),
            bars: bars(&system.days),
            share: row.map(|row| row.measured.figure.shown().replace(" %", "\u{202f}%")).unwrap_or_default(),
            look,
            word,
            bar: crate::routes::queue::bar(used.unwrap_or(0)),
            minutes: match row {
                Some(row) => format!(
                    "{} of {} allowed",
                    words::two_units(row.measured.figure.uptime.down_s),
                    words::two_units(row.allowed_down_s)
                ),
                None => format!("{} down, not in the agreement", words::two_units(down_s)),
            },
            rows: system.days.iter().filter(|day| day.down_s > 0).map(table_row).collect(),
        }
    }
}

fn table_row(day: &Day) -> (String, String, String) {
    let unknown = if day.unknown_s > 0 { words::two_units(day.unknown_s) } else { "–".to_owned() };
    (day.date.strftime("%a %-d %b %Y").to_string(), words::two_units(day.down_s), unknown)
}

/// What a day's bar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BarState {
    NoData,
    Work,
    Up,
    Short,
    Long,
}

impl BarState {
    const ALL: [Self; 5] = [Self::Up, Self::Work, Self::Short, Self::Long, Self::NoData];

    fn of(day: &Day) -> Self {
        match day {
            Day { down_s: LONG_S.., .. } => Self::Long,
            Day { down_s: 1.., .. } => Self::Short,
            Day { work_s: 1.., .. } => Self::Work,
            // Unknown is never shown as up.
            Day { up_s, unknown_s, .. } if unknown_s >= up_s => Self::NoData,
            Day { .. } => Self::Up,
        }
    }

    /// Height and colour carry the state.
    fn look(self) -> (&'static str, usize) {
        match self {
            Self::NoData => ("f-none", 5),
            Self::Work => ("f-maint", 11),
            Self::Up => ("f-up", 18),
            Self::Short => ("f-warn", 26),
            Self::Long => ("f-bad", 34),
        }
    }
}

/// One path for each state.
fn bars(days: &[Day]) -> Vec<(&'static str, String)> {
    let mut paths = Vec::new();
    for state in BarState::ALL {
        let (look, height) = state.look();
        let path: String = days
            .iter()
            .enumerate()
            .filter(|(_, day)| BarState::of(day) == state)
            .map(|(index, _)| format!("M{} {}h5v{height}h-5z", index * DAY_WIDTH, 34 - height))
            .collect();
        if !path.is_empty() {
            paths.push((look, path));
        }
    }
    paths
}

/// The finding of a row of bars, for those who do not see it.
fn said_days(days: &[Day]) -> String {
    let count = |state| days.iter().filter(|day| BarState::of(day) == state).count();
    let parts: Vec<String> = [
        (BarState::Long, "with 4 h or more of downtime"),
        (BarState::Short, "with less downtime"),
        (BarState::Work, "with announced work"),
        (BarState::NoData, "without data"),
        (BarState::Up, "up"),
    ]
    .into_iter()
    .filter(|(state, _)| count(*state) > 0)
    .map(|(state, words)| format!("{} {words}", count(state)))
    .collect();
    format!("{} days: {}", days.len(), parts.join(", "))
}

impl Open {
    fn of(row: &QueueRow) -> Self {
        let asset = row.asset.as_ref().map(|asset| format!(" · {asset}")).unwrap_or_default();
        Self {
            href: format!("/i/{}/{}", row.incident.client, row.incident.number),
            number: row.incident.number.to_string(),
            title: row.title.clone(),
            place: format!("{}{asset}", row.site_name),
            clock: row.clock.as_ref().map_or_else(|| "no clock runs".to_owned(), |clock| clock.said.line.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(up_s: u64, down_s: u64, unknown_s: u64, work_s: u64) -> Day {
        Day { date: jiff::civil::date(2026, 11, 17), up_s, down_s, unknown_s, work_s }
    }

    #[test]
    fn a_day_says_its_worst_and_what_nobody_knows_is_never_up() {
        for (day, state) in [
            (day(86_400, 0, 0, 0), BarState::Up),
            (day(86_300, 100, 0, 600), BarState::Short),
            (day(0, LONG_S, 0, 0), BarState::Long),
            (day(86_400, 0, 0, 3_600), BarState::Work),
            (day(0, 0, 86_400, 0), BarState::NoData),
            (day(0, 0, 0, 0), BarState::NoData),
            (day(40_000, 0, 46_400, 0), BarState::NoData),
        ] {
            assert_eq!(BarState::of(&day), state, "{day:?}");
        }
        let days = [day(86_400, 0, 0, 0), day(0, LONG_S, 0, 0)];
        assert_eq!(bars(&days), [("f-up", "M0 16h5v18h-5z".to_owned()), ("f-bad", "M7 0h5v34h-5z".to_owned())]);
        assert_eq!(said_days(&days), "2 days: 1 with 4 h or more of downtime, 1 up");
    }
}
