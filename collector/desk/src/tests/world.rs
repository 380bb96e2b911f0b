//! A provider with two clients, an agent that is a few lines long, and a receiver that remembers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use upheld_detection::own::Reading;
use upheld_evidence::{SigningKey, sign_chain, sign_enrolment};
use upheld_model::{
    AgentEvent, CheckId, Digest, Epoch, Finding, FindingEnd, IncidentRef, Mono, ObservedAt, RecordId, Seq,
    finding::CheckState,
};
use upheld_outbound::{Delivery, DeliveryKey, Outcome, notify::mail::Letter};
use upheld_store::{Store, StoreError, records::AgentKey, sqlite};
use upheld_wire::v1::{
    Body, CheckNow, ClockReading, Conflict, DeliverRequest, Delivered, EpochLink, Head, Now, PROTOCOL, Problem, Record,
    enroll::EnrollRequest,
    record::{batch_digest, chain, content_hash, root},
};

use crate::{
    Actor, AgentPeer, Certificate, DeliverAnswer, Desk, IncidentView, Scope, Secret, Secrets,
    deliverer::{Address, Boxed, Channel, How, Way},
    tasks::Report,
};

/// A Monday, ten in the morning in Chicago: inside coverage.
pub(super) const START: &str = "2026-11-16T16:00:00Z";

/// Where hosts come from.
pub(super) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 5));

pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) now: Timestamp,
    folder: Arc<TempDir>,
}

impl World {
    /// A collector with the book applied and a run begun.
    pub(super) async fn new() -> Self {
        Self::with(book()).await
    }

    /// The same with another book.
    pub(super) async fn with(book: BTreeMap<String, String>) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let store = sqlite::open(&folder.path().join("upheld.db")).unwrap();
        Self::over(store, book, folder).await
    }

    /// The same over a database that is not in its folder.
    pub(super) async fn over(store: Store, book: BTreeMap<String, String>, folder: Arc<TempDir>) -> Self {
        let world = Self { desk: Desk::new(store), now: at(START), folder };
        world.desk.apply_book(book, &ana(), world.now).await.unwrap();
        world.desk.start_run(world.now).await.unwrap();
        world
    }

    /// The same data folder in a new process: nothing of the old one's memory is left.
    pub(super) fn restarted(self) -> Self {
        let Self { desk, now, folder } = self;
        drop(desk);
        let store = sqlite::open(&folder.path().join("upheld.db")).unwrap();
        Self { desk: Desk::new(store), now, folder }
    }

    /// A copy of the database as it is.
    pub(super) fn copied(&self) -> std::path::PathBuf {
        let copy = self.folder.path().join("copy.db");
        sqlite::backup::snapshot(&self.folder.path().join("upheld.db"), &copy).unwrap();
        copy
    }

    /// All that was written since this copy is gone; the process is a new one.
    pub(super) fn put_back(self, copy: &std::path::Path) -> Self {
        let Self { desk, now, folder } = self;
        drop(desk);
        let lost = folder.path().join("lost.db");
        std::fs::copy(copy, &lost).unwrap();
        Self { desk: Desk::new(sqlite::open(&lost).unwrap()), now, folder }
    }

    /// The size of the database, without what is not in it yet.
    pub(super) fn file_bytes(&self) -> u64 {
        self.folder.path().join("upheld.db").metadata().unwrap().len()
    }

    /// Time passes for a collector that runs: it says so as its loop does.
    pub(super) async fn lives(&mut self, seconds: i64) {
        let until = self.now + SignedDuration::from_secs(seconds);
        while self.now < until {
            self.now = until.min(self.now + SignedDuration::from_secs(5));
            self.desk.alive_once(self.now).await.unwrap();
        }
    }

    /// The hourly task turns, so long by the collector's monotonic clock after its first time.
    pub(super) async fn lived(&self, seconds: u64) {
        let wall = self.now + SignedDuration::try_from(Duration::from_secs(seconds)).unwrap();
        self.desk.observe(Reading { wall, mono: Mono(seconds * 1_000_000_000) });
        self.desk.retention_once(wall).await.unwrap();
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// An agent at a client's site, enrolled as agents are.
    pub(super) async fn agent(&self, client: &str, site: &str) -> Agent {
        self.agent_with(7, client, site).await
    }

    /// One more, on another host.
    pub(super) async fn second_agent(&self, client: &str, site: &str) -> Agent {
        self.agent_with(8, client, site).await
    }

    async fn agent_with(&self, seed: u8, client: &str, site: &str) -> Agent {
        let (client, site) = (client.parse().unwrap(), site.parse().unwrap());
        let ttl = SignedDuration::from_hours(1);
        let token = self.desk.new_token(&client, &site, ttl, &ana(), self.now).await.unwrap();
        let key = SigningKey::from_seed(&[seed; 32]).unwrap();
        let mut request = enrolment(&token.token, &key, self.now);
        if seed == 8 {
            request.host = "srv-2".into();
        }
        let answer = self.desk.enroll(request, HOST, self.now, issue).await.unwrap();
        let peer = self.desk.peer(&answer.agent).await.unwrap().unwrap();
        Agent {
            peer,
            key,
            epoch: Epoch(1),
            previous: None,
            next: 0,
            chain: root(Epoch(1), None),
            held: Vec::new(),
            slow_by: SignedDuration::ZERO,
            checks: BTreeMap::new(),
        }
    }

    pub(super) async fn deliver(&self, agent: &Agent, request: DeliverRequest) -> DeliverAnswer {
        self.desk.deliver(&agent.peer, request, self.now).await
    }

    /// Delivers, and the collector takes it.
    pub(super) async fn take(&self, agent: &mut Agent, records: Vec<Record>) -> Delivered {
        let answer = self.deliver(agent, agent.request(records, self.now)).await;
        let delivered = delivered(answer);
        agent.believe(&delivered);
        delivered
    }

    /// The agent's TCP check of `srv-1` failed at this moment and was confirmed.
    pub(super) async fn fail(&self, agent: &mut Agent) -> Finding {
        let finding = agent.finding(self.now);
        let record = agent.record(vec![AgentEvent::FindingOpened { finding: finding.clone() }]);
        agent.say(&finding.check, CheckState::Failed, finding.first_bad);
        self.take(agent, vec![record]).await;
        finding
    }

    /// The finding ended at this moment.
    pub(super) async fn mend(&self, agent: &mut Agent, finding: &Finding) {
        let at = agent.claims(self.now);
        let end =
            FindingEnd { last_bad: ObservedAt(at.0 - SignedDuration::from_secs(10)), first_ok: at, confirmed_at: at };
        let record = agent.record(vec![AgentEvent::FindingClosed { id: finding.id(), end }]);
        agent.say(&finding.check, CheckState::Ok, at);
        self.take(agent, vec![record]).await;
    }

    pub(super) async fn view(&self, incident: &str) -> IncidentView {
        let incident: IncidentRef = incident.parse().unwrap();
        self.desk.incident(&Scope::Provider, &incident, self.now).await.unwrap()
    }

    pub(super) async fn all(&self) -> Vec<IncidentView> {
        self.desk.incidents(&Scope::Provider, None, 100, self.now).await.unwrap()
    }

    /// Five copies of the agent's disk tell five histories: it goes into quarantine.
    pub(super) async fn quarantine(&self, agent: &mut Agent) {
        let record = agent.record(Vec::new());
        self.take(agent, vec![record]).await;
        for fork in 1..=5_u8 {
            let mut clone = self.agent(agent.peer.client.as_str(), agent.peer.site.as_str()).await;
            clone.peer = agent.peer.clone();
            let other = clone.record_with(RecordId([fork; 16]), "{}".to_owned());
            self.deliver(&clone, clone.request(vec![other], self.now)).await;
        }
    }

    /// How many records the collector holds of an agent.
    pub(super) async fn held(&self, agent: &Agent) -> u64 {
        let peer = agent.peer.clone();
        let count = move |tx: &dyn upheld_store::ReadTx| {
            tx.count_records(AgentKey { client: &peer.client, agent: &peer.agent })
        };
        self.desk.store().read::<_, StoreError, _>("test.held", count).await.unwrap()
    }

    /// The words of the audit log, oldest first.
    pub(super) async fn audit(&self) -> Vec<String> {
        let rows = self.desk.store().read::<_, StoreError, _>("test.audit", |tx| tx.audit(1_000)).await.unwrap();
        rows.into_iter().rev().map(|row| row.what).collect()
    }

    /// One worker empties the outbox.
    pub(super) async fn send(&self, receiver: &Receiver) -> Report {
        self.desk.deliver_outbox_once("w-1", receiver, &AllSecrets, 100, self.now).await.unwrap()
    }
}

pub(super) struct Agent {
    pub(super) peer: AgentPeer,
    key: SigningKey,
    pub(super) epoch: Epoch,
    previous: Option<EpochLink>,
    next: u64,
    chain: Digest,
    held: Vec<Head>,
    /// By how much its clock is behind.
    pub(super) slow_by: SignedDuration,
    checks: BTreeMap<CheckId, CheckNow>,
}

impl Agent {
    /// The key that it signs with.
    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// What its clock shows at an instant.
    pub(super) fn claims(&self, at: Timestamp) -> ObservedAt {
        ObservedAt(at - self.slow_by)
    }

    /// A finding of the TCP check of `srv-1` that was confirmed at `at`.
    pub(super) fn finding(&self, at: Timestamp) -> Finding {
        let ago = |seconds| self.claims(at - SignedDuration::from_secs(seconds));
        Finding {
            check: "srv-1/net.tcp".parse().unwrap(),
            last_ok: Some(ago(16)),
            first_bad: ago(6),
            confirmed_at: ago(2),
            evidence: Some("connection refused".into()),
            culprit: None,
        }
    }

    /// The next record of its journal.
    pub(super) fn record(&mut self, events: Vec<AgentEvent>) -> Record {
        let body = Body { samples: Vec::new(), events };
        self.record_with(self.next_id(), serde_json::to_string(&body).unwrap())
    }

    /// A record of samples.
    pub(super) fn sampled(&mut self, samples: Vec<upheld_model::Sample>) -> Record {
        self.bodied(&Body { samples, events: Vec::new() })
    }

    /// A record of this body.
    pub(super) fn bodied(&mut self, body: &Body) -> Record {
        self.record_with(self.next_id(), serde_json::to_string(body).unwrap())
    }

    pub(super) fn record_with(&mut self, record_id: RecordId, body: String) -> Record {
        let salt = RecordId([1; 16]);
        let content = content_hash(&salt, &body);
        self.chain = chain(&self.chain, &record_id, &content);
        let record = Record {
            epoch: self.epoch,
            seq: Seq(self.next),
            record_id,
            content_hash: content,
            chain: self.chain,
            previous: self.previous.filter(|_| self.next == 0),
            sig: None,
            salt,
            omitted: None,
            body: serde_json::value::RawValue::from_string(body).unwrap(),
        };
        self.next += 1;
        record
    }

    fn next_id(&self) -> RecordId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        id[8..].copy_from_slice(&self.next.to_be_bytes());
        RecordId(id)
    }

    /// Begins a new life of the journal, as after a fork.
    pub(super) fn new_epoch(&mut self, epoch: u64) {
        let previous = EpochLink { epoch: self.epoch, len: self.next, chain: self.chain };
        (self.epoch, self.previous, self.next) = (Epoch(epoch), Some(previous), 0);
        self.chain = root(self.epoch, self.previous.as_ref());
    }

    /// The same content under a new name, as after a fork.
    pub(super) fn retag(&mut self, record: &Record) -> Record {
        self.record_with(record.record_id, record.body.get().to_owned())
    }

    pub(super) fn request(&self, mut records: Vec<Record>, now: Timestamp) -> DeliverRequest {
        if let Some(last) = records.last_mut() {
            last.sig = Some(sign_chain(&self.key, &last.chain).to_string());
        }
        DeliverRequest {
            protocol: PROTOCOL,
            heads: self.held.clone(),
            clock: ClockReading { wall: self.claims(now), mono: Mono(1), boot: "boot-1".parse().unwrap() },
            seen_checkpoint: None,
            now: Now { version: "0.1.0".into(), config_version: 1, checks: self.checks.clone(), ..Now::default() },
            batch_digest: batch_digest(&records),
            clock_of_records: None,
            records,
        }
    }

    /// It is told that the collector holds nothing of it, and believes that.
    pub(super) fn is_forgotten(&mut self) {
        self.held.clear();
    }

    /// Says in its "now" header how a check is.
    pub(super) fn say(&mut self, check: &CheckId, state: CheckState, since: ObservedAt) {
        self.checks.insert(check.clone(), CheckNow { state, since });
    }

    pub(super) fn believe(&mut self, delivered: &Delivered) {
        if let Some(head) = delivered.head {
            self.held.retain(|held| held.epoch != head.epoch);
            self.held.push(head);
        }
    }
}

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Takes,
    /// Takes it, and the answer is lost on the way.
    TakesButAnswerIsLost,
    /// Answers 503.
    IsBusy,
    /// Answers 400.
    Refuses,
}

/// A ticket system that takes whatever it is sent; where the book has a look-up it can be asked for a key.
pub(super) struct Receiver {
    pub(super) mood: Mutex<Mood>,
    /// Every POST that arrived, in order: (key, event).
    pub(super) posts: Mutex<Vec<(String, String)>>,
    pub(super) bodies: Mutex<Vec<serde_json::Value>>,
    /// Every mail that was taken, in order.
    pub(super) mails: Mutex<Vec<Mailed>>,
    /// Whether there is a mail server.
    pub(super) has_mail: bool,
}

/// A mail as its receiver has it.
#[derive(Debug, Clone)]
pub(super) struct Mailed {
    pub(super) to: String,
    pub(super) event: String,
    pub(super) letter: Letter,
}

impl Mailed {
    /// All that it says, both faces.
    pub(super) fn all(&self) -> String {
        let upheld_outbound::notify::mail::Rendered { subject, text, html } =
            self.letter.render("https://c.example").unwrap();
        format!("{subject}\n{text}\n{html}")
    }
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { has_mail: true, ..Self::without_mail() }
    }

    /// The same where nobody has set a mail server.
    pub(super) fn without_mail() -> Self {
        Self {
            mood: Mutex::new(Mood::Takes),
            posts: Mutex::default(),
            bodies: Mutex::default(),
            mails: Mutex::default(),
            has_mail: false,
        }
    }

    /// To whom which events were mailed, in order.
    pub(super) fn mailed(&self) -> Vec<(String, String)> {
        self.mails.lock().unwrap().iter().map(|mail| (mail.to.clone(), mail.event.clone())).collect()
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.posts.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
    }

    fn mail(&self, to: &str, delivery: &Delivery) -> Outcome {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::IsBusy => return Outcome::Retry { why: "450 busy".into(), not_before: None },
            Mood::Refuses => return Outcome::Permanent { why: format!("550 no such user {to}") },
            Mood::Takes | Mood::TakesButAnswerIsLost => {}
        }
        let letter = Letter::of_body(&delivery.body).unwrap();
        self.mails.lock().unwrap().push(Mailed { to: to.to_owned(), event: delivery.kind.to_string(), letter });
        match mood {
            Mood::TakesButAnswerIsLost => Outcome::Unclear { why: "timeout".into() },
            Mood::Takes | Mood::IsBusy | Mood::Refuses => {
                Outcome::Delivered { reference: "250 queued".into(), known_as: None }
            }
        }
    }

    fn post(&self, delivery: &Delivery) -> Outcome {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::IsBusy => return Outcome::Retry { why: "503".into(), not_before: None },
            Mood::Refuses => return Outcome::Permanent { why: "400".into() },
            Mood::Takes | Mood::TakesButAnswerIsLost => {}
        }
        self.posts.lock().unwrap().push((delivery.key.to_string(), delivery.kind.to_string()));
        self.bodies.lock().unwrap().push(serde_json::from_str(&delivery.body).unwrap());
        match mood {
            Mood::TakesButAnswerIsLost => Outcome::Unclear { why: "timeout".into() },
            Mood::Takes | Mood::IsBusy | Mood::Refuses => {
                Outcome::Delivered { reference: "T-1".into(), known_as: None }
            }
        }
    }
}

impl Channel for Receiver {
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, _: Timestamp) -> Boxed<'a, Outcome> {
        let (secret, can_be_asked) = match &to.way {
            Way::Mail { to } => return Box::pin(std::future::ready(self.mail(to, delivery))),
            Way::Webhook { secret, look_up, .. } => (secret.expose(), look_up.is_some()),
        };
        assert_eq!((to.channel.to_string().as_str(), secret), ("desk", b"desk-webhook".as_slice()));
        let has = |asked: &DeliveryKey| self.posts.lock().unwrap().iter().any(|(key, _)| key == asked.as_str());
        let outcome = match how {
            How::LookUpFirst { .. } if can_be_asked && *self.mood.lock().unwrap() == Mood::IsBusy => {
                Outcome::Unclear { why: "503".into() }
            }
            How::LookUpFirst { .. } if can_be_asked && has(&delivery.key) => {
                Outcome::Delivered { reference: "T-1".into(), known_as: None }
            }
            How::LookUpFirst { known_as } if can_be_asked && known_as.iter().any(has) => {
                let known_as = known_as.into_iter().find(has);
                Outcome::Delivered { reference: "T-1".into(), known_as }
            }
            How::LookUpFirst { .. } | How::Send => self.post(delivery),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn has_mail(&self) -> bool {
        self.has_mail
    }
}

/// Every secret is its own name.
pub(super) struct AllSecrets;

impl Secrets for AllSecrets {
    fn secret(&self, name: &str) -> Option<Secret> {
        Some(Secret::new(name))
    }
}

pub(super) fn enrolment(token: &str, key: &SigningKey, now: Timestamp) -> EnrollRequest {
    let csr_pem = "-----BEGIN CERTIFICATE REQUEST-----".to_owned();
    EnrollRequest {
        protocol: PROTOCOL,
        token: token.to_owned(),
        signing_key: key.public().to_string(),
        signing_proof: sign_enrolment(key, token, &csr_pem).to_string(),
        csr_pem,
        host: "srv-1".into(),
        version: "0.1.0".into(),
        wall: now,
    }
}

/// A certificate as the authority would make it at this moment: it lives for 45 days.
pub(super) fn certificate(of: &str, issued_at: Timestamp) -> Certificate {
    Certificate {
        chain_pem: format!("certificate of {of}"),
        roots_pem: "roots".into(),
        issued_at,
        ends: issued_at + SignedDuration::from_hours(45 * 24),
    }
}

pub(super) fn issue(agent: &upheld_model::AgentId, _: &EnrollRequest) -> Result<Certificate, String> {
    Ok(certificate(&agent.to_string(), at(START)))
}

pub(super) fn delivered(answer: DeliverAnswer) -> Delivered {
    match answer {
        DeliverAnswer::Delivered(delivered) => delivered,
        other @ (DeliverAnswer::Conflict(_) | DeliverAnswer::Problem(_)) => std::panic::panic_any(format!("{other:?}")),
    }
}

pub(super) fn conflict(answer: DeliverAnswer) -> Conflict {
    match answer {
        DeliverAnswer::Conflict(conflict) => conflict,
        other @ (DeliverAnswer::Delivered(_) | DeliverAnswer::Problem(_)) => {
            std::panic::panic_any(format!("{other:?}"))
        }
    }
}

pub(super) fn problem(answer: DeliverAnswer) -> Problem {
    match answer {
        DeliverAnswer::Problem(problem) => problem,
        other @ (DeliverAnswer::Delivered(_) | DeliverAnswer::Conflict(_)) => {
            std::panic::panic_any(format!("{other:?}"))
        }
    }
}

pub(super) fn ana() -> Actor {
    Actor::person("ana")
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The usual book, with a desk that can be asked what it has.
pub(super) fn book_with_look_up() -> BTreeMap<String, String> {
    let mut book = book();
    let provider = book.get_mut("provider.toml").unwrap();
    let look_up = "look_up = \"https://tickets.example.test/tickets?external_ref={reference}\"";
    *provider = provider.replace("secret = \"desk-webhook\"", &format!("secret = \"desk-webhook\", {look_up}"));
    book
}

/// The book: one plan, two clients, one of them without an agreement.
pub(crate) fn book() -> BTreeMap<String, String> {
    let site = "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n\n\
        [[asset]]\nid = \"srv-1\"\nclass = \"server\"\n\
        checks = [{ kind = \"host\" }, { kind = \"net.tcp\", target = \"10.0.0.5\", port = 8080 }]\n";
    let files = [
        (
            "provider.toml",
            "name = \"Example Integrators\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n\n\
             [channels.desk]\nwebhook = { url = \"https://tickets.example.test/hook\", secret = \"desk-webhook\" }\n",
        ),
        (
            "calendars/business.toml",
            "time_zone = \"America/Chicago\"\n\n[weekly]\nmon = [\"08:00-18:00\"]\ntue = [\"08:00-18:00\"]\n\
             wed = [\"08:00-18:00\"]\nthu = [\"08:00-18:00\"]\nfri = [\"08:00-18:00\"]\n",
        ),
        (
            "plans/gold.toml",
            "name = \"Gold\"\n\n[priority]\nhigh = { high = \"P1\", medium = \"P2\", low = \"P3\" }\n\
             medium = { high = \"P2\", medium = \"P3\", low = \"P4\" }\nlow = { high = \"P3\", medium = \"P4\", low = \"P5\" }\n\n\
             [[target]]\nstage = \"respond\"\nwithin = \"1h\"\ncalendar = \"business\"\nmanner = [\"remote\", \"phone\"]\n\
             warn_at = [\"50%\"]\n\n\
             [[target]]\nstage = \"resolve\"\nwithin = \"8h\"\ncalendar = \"business\"\npause_for = [\"site-access\"]\n\
             longest_pause = \"5d\"\n",
        ),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n",
        ),
        ("clients/acme/client.toml", "name = \"Acme Foods\"\n"),
        (
            "clients/acme/ssa.toml",
            "number = \"SSA-1\"\nsites = [\"north\"]\nfee = \"100.00/month\"\n\n\
             [[version]]\neffective_from = 2026-01-01\nsigned = 2025-12-12\nplan = \"gold\"\n",
        ),
        ("clients/acme/sites/north.toml", site),
        ("clients/other/client.toml", "name = \"Other Ltd\"\n"),
        ("clients/other/sites/north.toml", site),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}
