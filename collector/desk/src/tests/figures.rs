//! Figures from the stored ledger: work, cost, what-if, statement.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use upheld_agreement::{
    account::{Account, Stretch},
    availability::{AssetUptime, UnknownWhy, Verdict},
    book::Book,
    outcome::Kept,
    what_if::what_if,
    words::Manner,
};
use upheld_model::{AgentEvent, IncidentNumber, finding::CheckState};

use super::world::{Agent, START, World, ana, at, book};
use crate::{CommandError, Response, Scope, WorkEntry};

/// The world's book with rates, a price of downtime, availability and credits.
fn priced() -> BTreeMap<String, String> {
    let mut files = book();
    let mut add = |path: &str, text: &str| files.get_mut(path).unwrap().push_str(text);
    add("calendars/business.toml", "\n[bands]\nbusiness = \"weekly\"\nafter-hours = \"rest\"\n");
    add(
        "plans/gold.toml",
        "\n[availability]\nobjective = \"99.5%\"\ncalendar = \"business\"\nclass = [\"server\"]\nnot_proven_above = \"5%\"\n\
         exclude = [\"maintenance\", \"client\"]\nmaintenance_notice = \"1h\"\n\
         [[credit]]\nwhen = \"availability < 99.5%\"\namount = \"5% of fee\"\n\
         [[credit]]\nwhen = \"missed respond\"\namount = \"7.00\"\n[credit_limits]\ncap = \"25% of fee\"\n\
         [[rate]]\nband = \"business\"\nremote = \"included\"\non-site = \"145.00/h\"\n\
         [[rate]]\nband = \"after-hours\"\nremote = \"165.00/h\"\non-site = \"210.00/h\"\nminimum = \"1h\"\n\
         increment = \"15min\"\ntravel = \"95.00\"\n",
    );
    add(
        "clients/acme/ssa.toml",
        "\n[[asset_terms]]\nasset = \"north/srv-1\"\nlongest_downtime = \"4h per month\"\ncost_of_downtime = \"400.00/h\"\n",
    );
    files
}

fn work(from: &str, to: &str, corrects: Option<u64>) -> WorkEntry {
    WorkEntry { worker: "ben".to_owned(), manner: Manner::OnSite, from: at(from), to: at(to), corrects, note: None }
}

#[tokio::test]
async fn work_is_entered_and_corrected_by_a_further_fact() {
    let mut world = World::with(priced()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(4 * 3_600);
    let incident = "acme/INC-1".parse().unwrap();
    let (who, now) = (ana(), world.now);
    let enter = |entry| world.desk.add_work(&Scope::Provider, &incident, entry, &who, now);
    enter(work("2026-11-16T17:00:00Z", "2026-11-16T19:00:00Z", None)).await.unwrap();
    let entries = world.desk.work_of(&Scope::Provider, &incident).await.unwrap();
    let first = entries[0].fact;
    let view = enter(work("2026-11-16T17:30:00Z", "2026-11-16T19:00:00Z", Some(first))).await.unwrap();
    assert_eq!(view.timeline.iter().filter(|entry| entry.what == "worked").count(), 2, "nothing is rewritten");
    let entries = world.desk.work_of(&Scope::Provider, &incident).await.unwrap();
    let charged: Vec<_> = entries.iter().filter(|entry| entry.is_charged()).map(|entry| entry.work.from).collect();
    assert_eq!(charged, [at("2026-11-16T17:30:00Z")]);
    let twice = enter(work("2026-11-16T18:00:00Z", "2026-11-16T19:00:00Z", Some(first))).await.unwrap_err();
    assert!(
        matches!(&twice, CommandError::NotAllowed { allowed, .. } if *allowed == entries[1].fact.to_string()),
        "{twice}"
    );
    for (from, to) in [
        ("2026-11-16T19:00:00Z", "2026-11-16T19:00:00Z"),
        ("2026-11-16T19:00:00Z", "2026-11-16T23:00:00Z"),
        ("2026-11-01T19:00:00Z", "2026-11-16T19:00:00Z"),
    ] {
        assert!(matches!(enter(work(from, to, None)).await, Err(CommandError::Time { .. })), "{from} {to}");
    }
    assert_eq!(world.audit().await.iter().filter(|what| *what == "incident.worked").count(), 2);
}

#[tokio::test]
async fn sending_someone_is_priced_now_and_at_the_next_opening() {
    let mut world = World::with(priced()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    let office = world.desk.cost(&Scope::Provider, &incident, 3_600, world.now).await.unwrap();
    assert!(office.sentence.contains("ending someone for 1 h costs USD 145.00 now (business)"), "{}", office.sentence);
    world.now = at("2026-11-17T02:00:00Z");
    let night = world.desk.cost(&Scope::Provider, &incident, 3_600, world.now).await.unwrap();
    assert_eq!(night.version.as_deref(), Some("SSA-1 v1"));
    for part in [
        "costs USD 305.00 now (after-hours, with USD 95.00 for the way) and USD 145.00 at the next opening, Tue 2026-11-17 08:00 CST (business)",
        "1 h of remote work costs USD 165.00 now (after-hours) and USD 0.00 at the next opening",
        "1 h on the telephone has no price (the plan has no rate for `phone` in band `business`",
        // Ten hours and six seconds since the first bad sample.
        "Its downtime has cost the client USD 4,000.67 so far: 10 h",
    ] {
        assert!(night.sentence.contains(part), "{part}\n{}", night.sentence);
    }
    assert_eq!(
        world.view("acme/INC-1").await.cost.as_ref(),
        Some(&night.sentence),
        "the page and the API say the same"
    );
    assert_eq!(world.all().await[0].cost, None, "lists do not");
    let other = Scope::Client("other".parse().unwrap());
    assert!(world.desk.cost(&other, &incident, 3_600, world.now).await.is_err());
    world.pass(60);
    assert_eq!(night.downtime.unwrap().seconds, SignedDuration::from_hours(10).as_secs().unsigned_abs() + 6);
}

/// The agent says that both its checks are good from this moment on.
async fn both_good(world: &World, agent: &mut Agent) {
    let good = |check: &str| AgentEvent::StateChanged {
        check: check.parse().unwrap(),
        state: CheckState::Ok,
        at: upheld_model::ObservedAt(world.now),
    };
    let record = agent.record(vec![good("srv-1/host"), good("srv-1/net.tcp")]);
    world.take(agent, vec![record]).await;
}

/// The agent is heard every minute for so many minutes.
async fn heard(world: &mut World, agent: &mut Agent, minutes: u32) {
    for _ in 0..minutes {
        world.pass(60);
        world.take(agent, Vec::new()).await;
    }
}

fn state(agent: &mut Agent, state: CheckState, at_text: &str) -> upheld_wire::v1::Record {
    let (check, at) = ("srv-1/net.tcp".parse().unwrap(), upheld_model::ObservedAt(at(at_text)));
    agent.record(vec![AgentEvent::StateChanged { check, state, at }])
}

/// Good from 16:00, failed from 16:59:54 to 19:00, answered at 19:00, heard until 20:00.
async fn afternoon() -> (World, Agent) {
    let mut world = World::with(priced()).await;
    let mut agent = world.agent("acme", "north").await;
    both_good(&world, &mut agent).await;
    heard(&mut world, &mut agent, 60).await;
    let failed = state(&mut agent, CheckState::Failed, "2026-11-16T16:59:58Z");
    world.take(&mut agent, vec![failed]).await;
    let finding = world.fail(&mut agent).await;
    heard(&mut world, &mut agent, 120).await;
    let good = state(&mut agent, CheckState::Ok, "2026-11-16T19:00:00Z");
    world.take(&mut agent, vec![good]).await;
    world.mend(&mut agent, &finding).await;
    let response = Response {
        effective_at: Some(world.now),
        manner: "phone".into(),
        with_whom: Some("plant manager".into()),
        note: None,
    };
    let incident = "acme/INC-1".parse().unwrap();
    world.desk.respond(&Scope::Provider, &incident, response, &ana(), world.now).await.unwrap();
    heard(&mut world, &mut agent, 60).await;
    (world, agent)
}

async fn uptime(world: &World, from: &str, to: &str) -> AssetUptime {
    let period = Stretch { from: at(from), to: at(to) };
    let client = "acme".parse().unwrap();
    world.desk.uptime(&Scope::Provider, &client, None, period, world.now).await.unwrap().remove(0)
}

async fn november(world: &World) -> Account {
    let period = Stretch { from: at("2026-11-01T05:00:00Z"), to: at("2026-12-01T06:00:00Z") };
    world.desk.statement(&Scope::Provider, &"acme".parse().unwrap(), period, world.now).await.unwrap()
}

#[tokio::test]
async fn an_assets_time_sums_to_the_period_and_what_nobody_saw_is_unknown() {
    let (mut world, _) = afternoon().await;
    let seen = uptime(&world, START, "2026-11-16T20:00:00Z").await;
    let sums = seen.timeline.sums(at(START), at("2026-11-16T20:00:00Z"));
    assert_eq!((sums.up_s, sums.down_s, sums.unknown_s()), (3_594 + 3_600, 7_206, 0), "{:?}", seen.timeline);
    // Silent from 20:00 on.
    world.pass(3_600);
    let (from, to) = ("2026-11-16T15:00:00Z", "2026-11-16T21:00:00Z");
    let sums = uptime(&world, from, to).await.timeline.sums(at(from), at(to));
    assert_eq!(sums.total_s(), 6 * 3_600);
    assert_eq!(sums.unknown.get(&UnknownWhy::NotMonitored), Some(&3_600), "{sums:?}");
    assert_eq!(sums.unknown.get(&UnknownWhy::AgentSilent), Some(&3_600), "{sums:?}");
}

#[tokio::test]
async fn what_the_journal_tells_later_rewrites_the_unknown() {
    let (mut world, mut agent) = afternoon().await;
    let (from, to) = ("2026-11-16T20:00:00Z", "2026-11-16T22:00:00Z");
    world.pass(7_200);
    // It is heard again, but its journal is still on the way.
    world.take(&mut agent, Vec::new()).await;
    let sums = uptime(&world, from, to).await.timeline.sums(at(from), at(to));
    assert_eq!((sums.up_s, sums.unknown.get(&UnknownWhy::AgentSilent)), (0, Some(&7_200)), "{sums:?}");
    let samples: Vec<_> = (0..=120)
        .flat_map(|minute| {
            let taken = (at(from) + SignedDuration::from_mins(minute)).to_string();
            ["srv-1/host", "srv-1/net.tcp"].map(
                |check| serde_json::json!({ "check": check, "at": taken, "took_us": 10, "outcome": { "is": "ok" } }),
            )
        })
        .collect();
    let body = serde_json::json!({ "samples": samples, "events": [] }).to_string();
    let record = agent.record_with(upheld_model::RecordId([9; 16]), body);
    world.take(&mut agent, vec![record]).await;
    let sums = uptime(&world, from, to).await.timeline.sums(at(from), at(to));
    assert_eq!((sums.up_s, sums.unknown_s()), (7_200, 0), "{sums:?}");
}

#[tokio::test]
async fn a_statement_says_what_was_kept_and_never_calls_the_unknown_up() {
    let (mut world, _) = afternoon().await;
    let incident = "acme/INC-1".parse().unwrap();
    let visit = work("2026-11-16T17:10:00Z", "2026-11-16T18:40:00Z", None);
    world.desk.add_work(&Scope::Provider, &incident, visit, &ana(), world.now).await.unwrap();
    world.now = at("2026-12-02T12:00:00Z");
    let account = november(&world).await;
    let respond = account.targets.iter().find(|row| row.outcome.stage.as_str() == "respond").unwrap();
    assert_eq!((respond.incident.as_str(), respond.outcome.kept), ("acme/INC-1", Kept::Late));
    assert_eq!(account.time[0].sums.total_s(), 2_595_600);
    assert_eq!(account.time[0].sums.down_s, 7_206);
    assert_eq!(account.time[0].cost_of_downtime.unwrap().to_string(), "USD 800.67");
    assert_eq!(account.availability[0].verdict, Verdict::NotProven, "the agent has been silent ever since");
    let downtime = account.downtime.iter().find(|row| row.source == "asset_terms").unwrap();
    assert_eq!((downtime.downtime.seconds, downtime.over_s), (7_206, None));
    assert_eq!(account.credits.owed.to_string(), "USD 7.00");
    assert_eq!(account.labour.total.to_string(), "USD 217.50", "an hour and a half at 145.00");
    assert_eq!(account.text(), november(&world).await.text());
    let text = account.text();
    for part in [
        "1 came late: acme/INC-1 (respond)",
        "not proven, too much is unknown: north/srv-1",
        "Credits: USD 7.00 are owed to you.",
        "target/acme/INC-1/respond  late, due 2026-11-16 12:00:00 CST, v1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let other = Scope::Client("other".parse().unwrap());
    let period = account.period;
    assert!(world.desk.statement(&other, &"acme".parse().unwrap(), period, world.now).await.is_err());
}

#[tokio::test]
async fn the_stored_ledger_replays_under_another_book() {
    let (world, _) = afternoon().await;
    let client = "acme".parse().unwrap();
    let all = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let page = world.desk.past_page(&client, all, IncidentNumber(0)).await.unwrap();
    assert_eq!((page.incidents.len(), page.behind), (1, None));
    let slower: BTreeMap<String, String> =
        priced().into_iter().map(|(path, text)| (path, text.replace("within = \"1h\"", "within = \"4h\""))).collect();
    let found = what_if(&page.incidents, &Book::read(&slower).unwrap(), world.now).unwrap();
    assert_eq!((found.before.breaches, found.after.breaches, found.changed.len()), (1, 0, 1));
}
