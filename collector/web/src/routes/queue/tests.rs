//! The page of the queue as it is rendered.

use jiff::Timestamp;
use upheld_desk::{
    Actor, ClockView, Queue, QueueRow, Rights, Role, Scope, SignedIn,
    said::ClockSaid,
    views::{PauseSaid, QueueGroup},
};

use super::{Wanted, page::QueuePage};
use crate::access::Reader;

fn shown(queue: Queue, rights: Rights) -> String {
    QueuePage::of(&queue, &reader(rights), &Wanted::default()).shown().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn reader(rights: Rights) -> Reader {
    Reader(SignedIn { actor: Actor::person("dispatch"), scope: Scope::Provider, role: Role::Dispatcher, rights })
}

fn clock(stage: &str, remaining_s: u64, used_permille: u64, due: &str) -> ClockView {
    ClockView {
        stage: stage.into(),
        manner: vec!["remote".into(), "phone".into()],
        state: "running".into(),
        is_counting: true,
        started_at: Some(at("2026-11-17T13:00:00Z")),
        counted_s: 600,
        target_s: 600 + remaining_s,
        remaining_s: Some(remaining_s),
        used_permille,
        due: Some(at(due)),
        time_zone: "America/Chicago".into(),
        due_local: None,
        breached_at: None,
        satisfied_at: None,
        satisfied_by: None,
        pause: None,
        counts_again: None,
        source: "plan gold, target 2".into(),
        said: ClockSaid::default(),
    }
}

fn row(number: u32, group: QueueGroup, title: &str, clock: Option<ClockView>) -> QueueRow {
    QueueRow {
        incident: format!("northgate/INC-{number}").parse().unwrap(),
        group,
        title: title.into(),
        is_drill: false,
        client_name: "Northgate Foods".into(),
        site: "plant-2".parse().unwrap(),
        site_name: "Plant 2".into(),
        asset: Some("nvr-02".parse().unwrap()),
        class: upheld_model::IncidentClass::Recording,
        kind: upheld_model::IncidentKind::Down,
        state: "open".into(),
        priority: Some("P1".into()),
        plan: Some("Gold + Premium Response".into()),
        owner: None,
        opened_at: at("2026-11-17T13:00:00Z"),
        clock: clock.map(|clock| clock.said_at(at("2026-11-17T19:47:19Z"))),
    }
}

fn queue() -> Queue {
    let overdue = ClockView {
        breached_at: Some(at("2026-11-17T19:28:41Z")),
        remaining_s: Some(0),
        ..clock("respond", 0, 1080, "2026-11-17T19:28:41Z")
    };
    let outside = ClockView {
        is_counting: false,
        counts_again: Some(at("2026-11-18T14:00:00Z")),
        ..clock("resolve", 17_100, 410, "2026-11-18T15:00:00Z")
    };
    let paused = ClockView {
        state: "paused".into(),
        is_counting: false,
        due: None,
        pause: Some(PauseSaid { since: at("2026-11-17T16:30:00Z"), reasons: vec!["site-access".into()], ends: None }),
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
                    QueueGroup::LaterToday,
                    "NVR-02 stopped recording on 9 cameras",
                    Some(clock("resolve", 4061, 860, "2026-11-17T20:55:00Z")),
                )
            },
            row(
                2045,
                QueueGroup::LaterToday,
                "Backup of the VMS database missed",
                Some(clock("respond", 8280, 430, "2026-11-17T22:05:19Z")),
            ),
            row(2031, QueueGroup::OutsideHours, "Camera CAM-118 does not answer", Some(outside)),
            row(2029, QueueGroup::Paused, "Access server ACS-1: power supply failed", Some(paused)),
            QueueRow { priority: None, ..row(2046, QueueGroup::NoClock, "Workstation WS-3 does not answer", None) },
        ],
        recovery: None,
        commissioning: vec![],
        assets: 412,
        agents: 9,
        last_report: Some(at("2026-11-17T19:47:15Z")),
    }
}

#[test]
fn rows_stand_in_groups_of_time_and_are_coloured_by_the_share_used() {
    let page = shown(queue(), Rights::Respond);
    let places: Vec<usize> = [
        "Overdue (1)",
        "class=\"row-i bad\"",
        "Due within 1 hour (1)",
        "class=\"row-i warn\"",
        "Later today (2)",
        "class=\"row-i ok\"",
        "Outside covered hours, not counting (1)",
        "class=\"row-i pause\"",
        "Paused (1)",
        "No clock running (1)",
    ]
    .iter()
    .map(|text| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.matches("class=\"row-i warn\"").count(), 2, "within the hour, and 86 % used");
    assert!(page.contains("Next clock to run out: INC-2043 response, Northgate Foods"), "{page}");
    assert!(page.contains("<title>(1 overdue) Queue"));
}

#[test]
fn security_24_what_a_device_says_is_escaped_and_no_style_is_inline() {
    let page = shown(queue(), Rights::Respond);
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    assert!(!page.contains(" style="));
    assert!(!page.contains(" onclick="));
}

#[test]
fn an_action_is_offered_only_where_one_is_due_and_allowed() {
    let buttons = |rights| shown(queue(), rights).matches("/acknowledge\"").count();
    assert_eq!(buttons(Rights::Respond), 6, "all but the one that is taken");
    assert_eq!(buttons(Rights::Read), 0);
}

#[test]
fn an_empty_queue_says_so_in_a_sentence() {
    let page = shown(Queue { rows: vec![], ..queue() }, Rights::Read);
    assert!(page.contains("No clocks running. 412 assets watched by 9 agents, last report 4 s ago."), "{page}");
    assert!(page.contains("<div class=\"panel\" hidden"), "never a bare empty table");
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
    let page = shown(Queue { commissioning: vec![long], rows: vec![], ..queue() }, Rights::Read);
    let line = "Northgate Foods, Plant 2 has been in commissioning for 9 days and nothing there is ticketed: \
                upheld-collector commission northgate/plant-2 says what was found and how to end it.";
    assert_eq!(page.matches(line).count(), 1, "{page}");
}

#[test]
fn times_carry_their_zone_and_a_clock_that_stands_says_why_and_until_when() {
    let page = shown(queue(), Rights::Read);
    assert!(page.contains("<time datetime=\"2026-11-17T14:55:00-06:00\">due 14:55:00 CST</time>"), "{page}");
    for said in [
        "overdue since 13:28:41 CST",
        "outside hours, counts again Wed 18 Nov 08:00:00 CST",
        "paused for site-access since 10:30:00 CST",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[test]
fn the_address_says_what_is_shown_and_how_to_see_more() {
    let many: Vec<QueueRow> = (1..=120).map(|n| row(n, QueueGroup::NoClock, "Workstation", None)).collect();
    let wanted = Wanted { q: "work station&x".into(), ..Wanted::default() };
    assert_eq!(wanted.query(50), "?q=work%20station%26x");
    let page = |wanted: &Wanted| {
        let queue = Queue { rows: queue().rows.into_iter().chain(many.clone()).collect(), ..queue() };
        QueuePage::of(&queue, &reader(Rights::Respond), wanted).shown().unwrap()
    };
    let first = page(&Wanted::default());
    assert_eq!(first.matches("class=\"row-i").count(), 50);
    assert!(first.contains("77 more are open. <a class=\"btn\" href=\"/queue?rows=100\">"), "{first}");
    assert_eq!(page(&Wanted { rows: "100".into(), ..Wanted::default() }).matches("class=\"row-i").count(), 100);
    let none = page(&Wanted { q: "zzz".into(), ..Wanted::default() });
    assert!(none.contains("Nothing open is like that") && none.matches("class=\"row-i").count() == 0, "{none}");
    let found = page(&Wanted { q: "NVR-02 stopped".into(), show: "all".into(), ..Wanted::default() });
    assert_eq!(found.matches("class=\"row-i").count(), 1);
    let unassigned = page(&Wanted { show: "unassigned".into(), q: "nvr-02 stopped".into(), ..Wanted::default() });
    assert_eq!(unassigned.matches("class=\"row-i").count(), 0, "it is assigned");
}

#[test]
fn a_row_has_another_version_only_when_something_else_than_time_changed() {
    let versions = |queue: Queue| {
        let page = QueuePage::of(&queue, &reader(Rights::Respond), &Wanted::default());
        (page.snapshot, page.pieces.into_iter().map(|piece| piece.version).collect::<Vec<_>>())
    };
    let before = queue();
    let mut later = queue();
    later.as_of = at("2026-11-17T19:47:29Z");
    for clock in later.rows.iter_mut().filter_map(|row| row.clock.as_mut()) {
        *clock = clock.clone().said_at(later.as_of);
        if clock.is_counting {
            clock.remaining_s = clock.remaining_s.map(|left| left.saturating_sub(10));
            *clock = clock.clone().said_at(later.as_of);
        }
    }
    assert_eq!(versions(before.clone()), versions(later));
    let mut taken = before.clone();
    taken.rows[1].owner = Some("Dispatcher 2".into());
    let ((was, old), (is, new)) = (versions(before), versions(taken));
    assert_ne!(was, is);
    assert_eq!(old.iter().zip(&new).filter(|(old, new)| old != new).count(), 1, "one row");
}
