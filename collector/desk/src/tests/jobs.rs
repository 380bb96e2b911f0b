//! Expected runs on the running collector: decided as a replay of the same facts decides them, once somebody listened.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    replay::{Document, Trace, Unknown, record, replay_with},
    uptime::Span,
};
use upheld_model::{
    AgentEvent, CheckId, Finding, IncidentClass, IncidentKind, ObservedAt, Outcome, RunEnd, Sample, sample::Value,
};
use upheld_wire::v1::Body;

use super::world::{Agent, World, ana, at, book};
use crate::{
    IncidentView, Scope,
    jobs::{RunView, RunsAsked},
    plan::{jobs_of, site_of},
};

/// A week of one nightly job: done, failed and retried, missed and late, its agent off, the line out (it ran; it did
/// not), failed. Bit by bit and all at once it is the same.
#[tokio::test]
async fn a_week_of_runs_is_decided_as_a_replay_decides_it() {
    let mut night = Nights::new(nightly("grace = \"2h\"")).await;
    night.live_until("2026-11-17T08:40:00Z").await;
    night.tell(RunEnd::Ok).await;
    night.live_until("2026-11-18T08:10:00Z").await;
    night.tell(RunEnd::Failed).await;
    assert_eq!(night.word("2026-11-18T08:00:00Z").await, "pending", "a retry may make it good");
    night.live_until("2026-11-18T09:10:00Z").await;
    night.tell(RunEnd::Ok).await;
    night.live_until("2026-11-19T10:05:00Z").await;
    let missed = night.backup_incidents().await;
    let [incident] = missed.as_slice() else { panic!("{missed:#?}") };
    assert_eq!((incident.class, incident.kind), (IncidentClass::Backup, IncidentKind::Down));
    let deadline = at("2026-11-19T10:00:00Z");
    assert_eq!((incident.detected_at, incident.received_at), (deadline, deadline), "F11: when its deadline passed");
    assert!(!incident.clocks.is_empty(), "an answer is owed");
    night.live_until("2026-11-19T15:00:00Z").await;
    night.tell(RunEnd::Ok).await;
    assert_eq!(night.word("2026-11-19T08:00:00Z").await, "late");
    // The host is off over the next one.
    night.live_until("2026-11-20T07:00:00Z").await;
    night.off_until("2026-11-20T12:00:00Z").await;
    assert_eq!(night.word("2026-11-20T08:00:00Z").await, "unknown");
    // The line is out over the next two: of one run the journal tells, of the other one that there was none.
    night.live_until("2026-11-21T06:00:00Z").await;
    night.cut_off_until("2026-11-21T14:00:00Z", Some("2026-11-21T08:30:00Z")).await;
    assert_eq!(night.told("2026-11-21T08:00:00Z").await, ("ok".to_owned(), Some("unknown".to_owned())));
    night.live_until("2026-11-22T06:00:00Z").await;
    night.cut_off_until("2026-11-22T14:00:00Z", None).await;
    night.live_until("2026-11-22T14:05:00Z").await;
    assert_eq!(night.told("2026-11-22T08:00:00Z").await, ("missed".to_owned(), Some("unknown".to_owned())));
    let incidents = night.backup_incidents().await;
    let replayed = incidents.iter().find(|one| one.detected_at == at("2026-11-22T10:00:00Z"));
    let received = replayed.map(|incident| (incident.received_at, incident.restored_at));
    assert_eq!(
        received,
        Some((at("2026-11-22T14:00:00Z"), None)),
        "nobody is late for what nobody knew: {incidents:#?}"
    );
    night.live_until("2026-11-23T08:20:00Z").await;
    night.tell(RunEnd::Failed).await;
    night.live_until("2026-11-24T08:30:00Z").await;
    night.tell(RunEnd::Ok).await;
    night.live_until("2026-11-24T10:30:00Z").await;

    let replayed = night.replayed();
    let words: Vec<_> = replayed.runs.iter().map(|run| run.outcome).collect();
    assert_eq!(words, ["ok", "ok", "late", "unknown", "ok", "missed", "failed", "ok"]);
    let decided: Vec<_> = night
        .runs()
        .await
        .iter()
        .map(|run| (run.expected_at, run.until, run.outcome, run.at))
        .filter(|run| run.2 != "pending")
        .collect();
    let expected: Vec<_> = replayed.runs.iter().map(|run| (run.expected, run.until, run.outcome, run.t)).collect();
    assert_eq!(decided, expected);
    let incidents = night.backup_incidents().await;
    let of_replay: Vec<_> = replayed.incidents.iter().filter(|one| one.class == IncidentClass::Backup).collect();
    assert!(!of_replay.is_empty());
    for one in of_replay {
        let live = incidents
            .iter()
            .find(|incident| incident.key == one.key)
            .unwrap_or_else(|| panic!("{one:#?} {incidents:#?}"));
        assert_eq!((live.detected_at, live.restored_at), (one.detected, one.restored));
    }
}

#[tokio::test]
async fn a_missed_run_and_the_old_files_of_the_same_job_are_one_incident() {
    let mut night = Nights::new(nightly("grace = \"2h\", seen_by = \"backup.files\"")).await;
    // Seen by its file alone, which is written from 08:30 to 08:40.
    night.live_until("2026-11-17T08:39:00Z").await;
    night.see_file(30.0, Outcome::Ok).await;
    assert_eq!(night.word("2026-11-17T08:00:00Z").await, "pending", "it is still written");
    night.live_until("2026-11-17T08:42:30Z").await;
    night.see_file(150.0, Outcome::Ok).await;
    let [run] = &night.runs().await[..1] else { panic!() };
    assert_eq!((run.outcome, run.at), ("ok", Some(at("2026-11-17T08:40:00Z"))));
    night.live_until("2026-11-17T09:00:00Z").await;
    night.see_file(1_200.0, Outcome::Ok).await;
    night.live_until("2026-11-18T10:05:00Z").await;
    assert_eq!(night.word("2026-11-18T08:00:00Z").await, "missed");
    let files: CheckId = "srv-1/backup.files".parse().unwrap();
    let now = ObservedAt(night.world.now);
    let finding =
        Finding { check: files, last_ok: None, first_bad: now, confirmed_at: now, evidence: None, culprit: None };
    night.deliver(vec![AgentEvent::FindingOpened { finding }]).await;
    night.live_until("2026-11-18T11:00:00Z").await;
    let all = night.backup_incidents().await;
    assert_eq!(all.len(), 1, "{all:#?}");
}

#[tokio::test]
async fn another_agents_signs_of_life_do_not_make_a_run_missed() {
    let mut night = Nights::new(nightly("grace = \"2h\"")).await;
    let mut other = night.world.second_agent("acme", "north").await;
    night.live_until("2026-11-17T08:40:00Z").await;
    night.tell(RunEnd::Ok).await;
    night.world.now = at("2026-11-18T09:59:00Z");
    for _ in 0..6 {
        night.world.take(&mut other, Vec::new()).await;
        night.world.desk.watch_once(night.world.now).await.unwrap();
        night.world.pass(30);
    }
    assert_eq!(night.word("2026-11-18T08:00:00Z").await, "unknown", "the one that tells of it is silent");
}

#[tokio::test]
async fn a_run_is_expected_once_where_clocks_change_and_by_the_schedule_of_its_time() {
    let mut night = Nights::new(nightly("grace = \"30min\"").replace_schedule("cron 30 2 * * *")).await;
    for (from, to, expected) in [
        (
            "2027-03-13T07:00:00Z",
            "2027-03-15T09:00:00Z",
            ["2027-03-13T08:30:00Z", "2027-03-14T08:00:00Z", "2027-03-15T07:30:00Z"],
        ),
        (
            "2027-11-06T06:00:00Z",
            "2027-11-08T10:00:00Z",
            ["2027-11-06T07:30:00Z", "2027-11-07T08:30:00Z", "2027-11-08T08:30:00Z"],
        ),
    ] {
        night.world.now = at(from);
        night.live_until(to).await;
        let since = at(from);
        let runs: Vec<_> = night.runs().await.into_iter().filter(|run| run.expected_at >= since).collect();
        let instants: Vec<_> = runs.iter().map(|run| run.expected_at.to_string()).collect();
        assert_eq!(instants, expected);
        assert!(runs.iter().all(|run| run.outcome == "missed"), "{runs:#?}");
    }
    // Another schedule counts from when it is applied, and what was decided stays.
    let before = night.runs().await;
    let changed = nightly("grace = \"30min\"").replace_schedule("every 6h");
    night.world.desk.apply_book(changed, &ana(), night.world.now).await.unwrap();
    night.live_until("2027-11-08T23:00:00Z").await;
    let after = night.runs().await;
    assert_eq!(after[..before.len()], before);
    let new: Vec<_> = after[before.len()..]
        .iter()
        .map(|run| (run.expected_at.to_string(), run.schedule.as_str(), run.outcome))
        .collect();
    assert_eq!(
        new,
        [
            ("2027-11-08T16:00:00Z".to_owned(), "every 6h", "missed"),
            ("2027-11-08T22:00:00Z".to_owned(), "every 6h", "missed"),
        ]
    );
    night.world.desk.apply_book(book(), &ana(), night.world.now).await.unwrap();
    night.live_until("2027-11-09T12:00:00Z").await;
    assert_eq!(night.runs().await, after, "a job that the book has no more is not expected");
}

#[tokio::test]
async fn nothing_is_expected_twice_by_a_collector_that_starts_again_and_agreed_work_excuses() {
    let mut night = Nights::new(nightly("grace = \"2h\"")).await;
    night.live_until("2026-11-17T09:58:00Z").await;
    let Nights { world, agent, lines, book } = night;
    let world = world.restarted();
    world.desk.start_run(world.now).await.unwrap();
    let mut night = Nights { world, agent, lines, book };
    night.live_until("2026-11-17T10:02:00Z").await;
    night.live_until("2026-11-17T10:10:00Z").await;
    let incidents = night.backup_incidents().await;
    assert_eq!((night.word("2026-11-17T08:00:00Z").await, incidents.len()), ("missed".to_owned(), 1));
    let window = crate::maintenance::NewWindow {
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        assets: vec![],
        checks: vec!["srv-1/nightly".parse().unwrap()],
        from: at("2026-11-18T07:00:00Z"),
        for_s: 4 * 3_600,
        reason: "new disks".to_owned(),
    };
    night.world.desk.add_maintenance(window, &ana(), night.world.now).await.unwrap();
    night.live_until("2026-11-18T10:05:00Z").await;
    assert_eq!(night.word("2026-11-18T08:00:00Z").await, "excused");
}

#[tokio::test]
async fn a_schedule_that_means_nothing_is_refused_with_its_place() {
    let world = World::new().await;
    let files = nightly("grace = \"2h\"").replace_schedule("cron 0 25 * * *");
    let Err(crate::ApplyError::Refused(refused)) = world.desk.apply_book(files.clone(), &ana(), world.now).await else {
        panic!("it was applied")
    };
    let [error] = refused.errors.as_slice() else { panic!("{:#?}", refused.errors) };
    let text = error.render(&files, false);
    assert!(text.contains("north.toml") && text.contains("cron 0 25 * * *"), "{text}");
}

/// A site whose one server has a nightly job.
fn nightly(more: &str) -> BTreeMap<String, String> {
    let mut files = book();
    let job = format!("{{ kind = \"backup.job\", name = \"nightly\", schedule = \"cron 0 2 * * *\", {more} }}");
    let site = format!(
        "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n\n[[asset]]\nid = \"srv-1\"\n\
         class = \"server\"\nchecks = [{{ kind = \"backup.files\", path = \"/srv/b\", age_max = \"26h\" }}, {job}]\n"
    );
    files.insert("clients/acme/sites/north.toml".to_owned(), site);
    files
}

trait ReplaceSchedule {
    fn replace_schedule(self, schedule: &str) -> Self;
}

impl ReplaceSchedule for BTreeMap<String, String> {
    fn replace_schedule(mut self, schedule: &str) -> Self {
        let site = self.get_mut("clients/acme/sites/north.toml").unwrap();
        *site = site.replace("cron 0 2 * * *", schedule);
        self
    }
}

/// The collector, its agent, and the trace of what happened.
struct Nights {
    world: World,
    agent: Agent,
    lines: Vec<String>,
    book: BTreeMap<String, String>,
}

impl Nights {
    async fn new(book: BTreeMap<String, String>) -> Self {
        let world = World::with(book.clone()).await;
        let agent = world.agent("acme", "north").await;
        let mut nights = Self { world, agent, lines: Vec::new(), book };
        nights.deliver(Vec::new()).await;
        nights
    }

    /// Delivers at this moment and lets the tasks run.
    async fn deliver(&mut self, events: Vec<AgentEvent>) {
        let records = if events.is_empty() { Vec::new() } else { vec![self.agent.record(events)] };
        self.world.take(&mut self.agent, records).await;
        self.world.desk.watch_once(self.world.now).await.unwrap();
    }

    fn beat(&mut self, at: Timestamp, received: Timestamp) {
        self.lines.push(format!(
            r#"{{"t":"{at}","rx":"{received}","site":"north","client":"acme","agent":"a1","event":"heartbeat"}}"#
        ));
    }

    /// A sign of life each half minute; of those that nothing can depend on, few are delivered.
    async fn live_until(&mut self, until: &str) {
        let until = at(until);
        while self.world.now < until {
            self.world.now = until.min(self.world.now + SignedDuration::from_secs(30));
            self.beat(self.world.now, self.world.now);
            let is_near = |hour: i64| {
                let into_day = self.world.now.as_second().rem_euclid(86_400);
                (into_day - hour * 3_600).abs() < 300
            };
            if until.duration_since(self.world.now) < SignedDuration::from_secs(200) || is_near(10) {
                self.deliver(Vec::new()).await;
            }
        }
    }

    async fn tell(&mut self, ended: RunEnd) {
        let job: CheckId = "srv-1/nightly".parse().unwrap();
        let now = self.world.now;
        self.line(now, now, ended);
        self.deliver(vec![AgentEvent::Ran { at: ObservedAt(now), job, ended, started: None, printed: vec![] }]).await;
    }

    fn line(&mut self, at: Timestamp, received: Timestamp, ended: RunEnd) {
        let what = match ended {
            RunEnd::Ok => "ok",
            RunEnd::Failed => "fail",
        };
        let line = record::run(at, Some("north"), &"srv-1/nightly".parse().unwrap(), what);
        self.lines.push(line.replacen('{', &format!(r#"{{"rx":"{received}","client":"acme","agent":"a1","#), 1));
    }

    /// The host is off: nothing listens, and its agent says so when it is back.
    async fn off_until(&mut self, until: &str) {
        let last = self.world.now;
        self.world.now = at(until);
        self.world.desk.watch_once(self.world.now).await.unwrap();
        let now = self.agent.claims(self.world.now);
        let back = AgentEvent::Started {
            at: now,
            boot: "boot-2".parse().unwrap(),
            last_alive: Some(ObservedAt(last)),
            clean: false,
        };
        self.deliver(vec![back]).await;
    }

    /// The line is out: the agent listens, and delivers what it heard when it is back.
    async fn cut_off_until(&mut self, until: &str, ran: Option<&str>) {
        let (from, until) = (self.world.now, at(until));
        self.world.now = from + SignedDuration::from_hours(5);
        self.world.desk.watch_once(self.world.now).await.unwrap();
        let decided = self.runs().await.into_iter().rfind(|run| run.outcome != "pending").unwrap();
        assert_eq!(decided.outcome, "unknown", "nothing was heard: {decided:#?}");
        let mut beat = from;
        while beat < until {
            beat += SignedDuration::from_secs(30);
            self.beat(beat, until);
        }
        self.world.now = until;
        let mut events = Vec::new();
        if let Some(ran) = ran.map(at) {
            self.line(ran, until, RunEnd::Ok);
            let job = "srv-1/nightly".parse().unwrap();
            events.push(AgentEvent::Ran {
                at: ObservedAt(ran),
                job,
                ended: RunEnd::Ok,
                started: None,
                printed: vec![],
            });
        }
        self.deliver(events).await;
    }

    async fn see_file(&mut self, age: f64, outcome: Outcome) {
        let sample = Sample {
            check: "srv-1/backup.files".parse().unwrap(),
            at: ObservedAt(self.world.now),
            took_us: 500,
            outcome,
            values: [("newest_age_s".to_owned(), Value::from(age))].into(),
            counters: BTreeMap::new(),
            evidence: None,
        };
        let record = self.agent.bodied(&Body { samples: vec![sample], events: Vec::new() });
        self.world.take(&mut self.agent, vec![record]).await;
    }

    async fn runs(&self) -> Vec<RunView> {
        let asked = RunsAsked { client: Some("acme".parse().unwrap()), site: None, job: None, since: Timestamp::MIN };
        self.world.desk.runs(&Scope::Provider, asked, self.world.now).await.unwrap()
    }

    async fn told(&self, expected: &str) -> (String, Option<String>) {
        let runs = self.runs().await;
        let run = runs.iter().find(|run| run.expected_at == at(expected)).unwrap_or_else(|| panic!("{runs:#?}"));
        (run.outcome.to_owned(), run.was.clone())
    }

    async fn word(&self, expected: &str) -> String {
        self.told(expected).await.0
    }

    async fn backup_incidents(&self) -> Vec<IncidentView> {
        let all = self.world.all().await;
        all.into_iter().filter(|incident| incident.class == IncidentClass::Backup).collect()
    }

    fn replayed(&self) -> Document {
        let read = crate::book::read_files(&self.book).unwrap();
        let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
        let entry = read.site(&client, &site).unwrap();
        let mut trace = Trace::default();
        self.lines.iter().for_each(|line| trace.line(line).unwrap());
        let period = trace.period().unwrap();
        let plan = site_of(&read, &client, entry, Span { from: period.from, to: period.to }).unwrap();
        let jobs = [((client, site), jobs_of(entry).unwrap())].into();
        replay_with(&trace, std::slice::from_ref(&plan), &jobs, Unknown::Refuse).unwrap()
    }
}
