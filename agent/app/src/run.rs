//! `run`: the agent itself. One thread for everything that waits, one for the disk ([`crate::recorder`]).
//!
//! Gather, decide, act: whatever happens becomes an [`Incoming`], the engine and the sender decide, their effects are
//! carried out as tasks that answer with another [`Incoming`]. Without a collector it goes on from the last
//! configuration. It ends only when asked to, or when its state folder cannot be used at the start.

mod drill;
mod jobs;
mod link;
mod notify;
mod secrets;
mod start;
mod stop;

use std::{rc::Rc, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use upheld_delivery::{
    Moment,
    journal::Urgency,
    sender::{self, Answer, Event},
};
use upheld_engine::{
    Effect, Engine, ProbeResult, Reading,
    alarm::{Alarm, Alarms},
};
use upheld_model::{AgentEvent, CheckId, CheckSpec, DeviceText, DrillId, Mono};
use upheld_probe::Prober;
use upheld_wire::v1::{AgentConfig, Now};

use crate::{
    alarm::AlarmLine,
    cli::Common,
    clocks,
    config::{self, UnreadableConfig},
    failure::{Code, Failure},
    ran,
    recorder::{Command, Recorder, Report},
    state::{Identity, StateFolder},
    status, uplink,
};
use link::Link;
pub(crate) use link::View;
use notify::Notifier;
use stop::Stop;

/// Probes that run at once (surge-ping loses echoes of its own making beyond 64 in flight: PERFORMANCE, Ping sweep).
pub(crate) const PROBES_AT_ONCE: usize = 64;
/// Things that happened and wait for the loop; who brings more waits.
const INCOMING_MAX: usize = 256;
/// How often the states are kept and the certificate is looked at. After a crash at most this much of the journal is
/// folded again.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// Something happened.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A probe ran.
    Probed(CheckId, Box<ProbeResult>),
    /// The disk thread says something.
    Disk(Report),
    /// A request to the collector ended.
    Link(link::Heard),
    /// A message of this agent's own about a failure was taken, or not.
    Alarmed(Box<Alarm>, bool),
    /// Somebody asks for the status.
    Asked(oneshot::Sender<String>),
    /// A job tells that it ran.
    Ran(ran::Word, oneshot::Sender<String>),
    /// A person plays an outage, or asks for the one of this name.
    Drill(Option<DrillId>, oneshot::Sender<String>),
    /// A secret was changed on this host.
    SecretsChanged(oneshot::Sender<String>),
    /// Somebody wants the agent to end.
    Stop(&'static str),
}

/// Everything that the loop owns.
struct Agent {
    state: StateFolder,
    identity: Identity,
    engine: Engine,
    recorder: Recorder,
    link: Link,
    prober: Prober,
    /// What probes had learned when it was kept last.
    probes_kept: upheld_probe::Memory,
    secrets: secrets::Standing,
    slots: Rc<Semaphore>,
    /// Runs of jobs that have begun.
    open_runs: ran::open::OpenRuns,
    incoming: mpsc::Sender<Incoming>,
    started_at: Timestamp,
    housekeeping_at: Instant,
    alarms: Alarms,
    /// `None` where this host's administrator named no address.
    alarm_line: Option<AlarmLine>,
    /// The drill that was played last, by a person at this host.
    play: Option<drill::Play>,
    stop: Stop,
    notifier: Notifier,
}

/// Runs until told to stop.
pub(crate) async fn run(common: &Common, provider: &Arc<CryptoProvider>) -> Result<(), Failure> {
    let (incoming, inbox) = mpsc::channel(INCOMING_MAX);
    let state = StateFolder::new(&common.state);
    let identity = state.require_identity()?;
    state.refuse_root_for_another()?;
    let _lock = state.lock()?;
    stop::listen(incoming.clone())?;
    let (mut agent, reports) = Agent::start(common, state, identity, incoming.clone(), provider).await?;
    status::listen(&agent.state, incoming)?;
    agent.work(inbox, reports).await
}

impl Agent {
    async fn work(
        &mut self,
        mut inbox: mpsc::Receiver<Incoming>,
        mut reports: mpsc::Receiver<Report>,
    ) -> Result<(), Failure> {
        self.notifier.ready();
        loop {
            self.carry_out();
            let next = tokio::select! {
                // This agent holds a sender of its own inbox: it never closes.
                Some(incoming) = inbox.recv() => Some(incoming),
                report = reports.recv() => Some(Incoming::Disk(report.ok_or_else(journal_thread_ended)?)),
                () = sleep_until(self.next_wake()) => None,
            };
            match next {
                Some(Incoming::Disk(Report::Closed(closed))) => return stop::end(&self.state, closed),
                Some(incoming) => self.take(incoming),
                None => {}
            }
            self.do_what_is_due()?;
            let (standing, status) = (&self.link.view().standing, self.recorder.status());
            self.notifier.turned(|| status::in_one_line(standing, status.waiting));
        }
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Probed(check, result) => {
                if let Err(error) = self.engine.handle_outcome(&check, *result, clocks::reading()) {
                    tracing::debug!(%error, "An outcome came too late.");
                }
            }
            Incoming::Disk(Report::Effect(effect)) => self.sender_effect(effect),
            Incoming::Disk(Report::Ready { no, body }) => self.link.post(no, body),
            // Taken by the loop.
            Incoming::Disk(Report::Closed(_)) => {}
            Incoming::Link(heard) => self.hear(heard),
            Incoming::Alarmed(alarm, is_taken) => self.alarms.said(&alarm, is_taken, clocks::mono()),
            Incoming::Asked(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.status());
            }
            Incoming::Ran(word, answer) => {
                let taken = serde_json::to_string(&self.job_says(word)).unwrap_or_default();
                // Said behind its record, so that who hears it may rely on it. Where the disk thread is too far behind
                // nothing is answered, and who told it tells it again.
                self.carry_out();
                let now = self.moment();
                self.recorder.tell(now, Command::Answer(answer, taken));
            }
            Incoming::Drill(wanted, answer) => {
                let said = self.drill(wanted);
                // Whoever asked may have gone.
                let _ = answer.send(serde_json::to_string(&said).unwrap_or_default());
            }
            Incoming::SecretsChanged(answer) => {
                let said = self.secrets_changed();
                // Whoever asked may have gone.
                let _ = answer.send(serde_json::to_string(&said).unwrap_or_default());
            }
            Incoming::Stop(reason) => self.begin_stop(reason),
        }
    }

    fn do_what_is_due(&mut self) -> Result<(), Failure> {
        let reading = clocks::reading();
        if self.engine.poll_timeout().is_some_and(|at| at <= reading.mono) {
            self.engine.handle_timeout(reading);
        }
        if self.housekeeping_at <= Instant::now() {
            self.housekeeping_at = Instant::now() + HOUSEKEEPING;
            self.remember();
            self.look_at_alarms();
            self.say_how_it_goes();
        }
        self.link.return_if_due(&self.state, &self.identity.agent);
        self.go_on_stopping()
    }

    fn next_wake(&self) -> Instant {
        let now = clocks::mono();
        let engine = self.engine.poll_timeout().map(|at| Instant::now() + at.since(now));
        [engine, Some(self.housekeeping_at), self.stop.next_wake(), self.notifier.next_wake(), self.link.next_wake()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.housekeeping_at)
    }

    /// Hands the engine's effects on, in their order.
    fn carry_out(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Probe(spec) => self.probe(spec),
                Effect::Write { body, urgency } => {
                    let urgency = match urgency {
                        upheld_engine::Urgency::Batch => Urgency::Soon,
                        upheld_engine::Urgency::AtOnce => Urgency::Now,
                    };
                    let now = self.moment();
                    self.recorder.tell(now, Command::Append { body: Box::new(body), urgency });
                }
            }
        }
    }

    fn probe(&mut self, spec: Arc<CheckSpec>) {
        let (prober, slots, incoming) = (self.prober.clone(), Rc::clone(&self.slots), self.incoming.clone());
        tokio::task::spawn_local(async move {
            // Closed by nobody.
            let slot = slots.acquire().await;
            let started = clocks::mono();
            let seen = prober.run(&spec).await;
            drop(slot);
            // Nobody listens once the agent has ended.
            let _ = incoming.send(Incoming::Probed(spec.id.clone(), Box::new(probed(seen, started)))).await;
        });
    }

    /// Tells failures of critical assets to the address that stands in the settings, if the collector is away for long.
    fn look_at_alarms(&mut self) {
        let now = clocks::mono();
        let due = self.alarms.look(self.engine.critical_findings(), now);
        let (Some(line), Some(away)) = (&self.alarm_line, self.alarms.away_since(now)) else { return };
        let away_since = self.engine.observed_at(away);
        for alarm in due {
            let (line, identity, incoming) = (line.clone(), self.identity.clone(), self.incoming.clone());
            tokio::task::spawn_local(async move {
                let is_taken = line.tell(&identity, &alarm, away_since, clocks::wall()).await;
                // Nobody listens once the agent has ended.
                let _ = incoming.send(Incoming::Alarmed(Box::new(alarm), is_taken)).await;
            });
        }
    }

    /// The collector may have moved: what checks may reach follows it (SECURITY 3).
    fn look_up_collector(&self) {
        let (prober, collectors) = (self.prober.clone(), self.link.collectors());
        tokio::task::spawn_local(async move {
            let addresses = uplink::addresses(&collectors).await;
            if !addresses.is_empty() {
                prober.collector_is_at(addresses);
            }
        });
    }

    /// What the sender wants.
    fn sender_effect(&mut self, effect: sender::Effect) {
        match effect {
            sender::Effect::Post(post) => {
                let reading = clocks::reading();
                let clock = self.engine.clock_reading(reading);
                let now = Box::new(self.now_header(reading));
                // A step of the clock that was seen just now goes into the journal first: its records are dated by it.
                self.carry_out();
                let at = self.moment();
                self.recorder.tell(at, Command::Build { post, clock, now });
            }
            sender::Effect::FetchConfig { version } => self.link.fetch_config(version),
            sender::Effect::Renew => self.link.certificate_ended(&self.state, clocks::wall()),
            sender::Effect::RenewEarly => self.link.renew(&self.state, clocks::wall()),
            sender::Effect::Standing(standing) => {
                self.link.stands(standing);
                self.say_how_it_goes();
                self.look_up_collector();
            }
        }
    }

    fn hear(&mut self, heard: link::Heard) {
        match heard {
            link::Heard::Posted { no, answer, doubt } => {
                self.link.note_answer(&answer, doubt, clocks::wall());
                self.link.renew_if_due(&self.state, clocks::wall());
                if has_a_say(&answer) {
                    self.alarms.reached(clocks::mono());
                }
                self.look_at_secrets(&answer);
                self.tell(Event::Answered { no, answer });
            }
            link::Heard::Config(answer) => match self.link.read_config(answer) {
                Some(Ok(config)) => self.configure(config),
                Some(Err(unreadable)) => self.refuse(&unreadable),
                None => {}
            },
            link::Heard::Secrets(taken) => self.secrets_heard(taken),
            link::Heard::Drill { id, answer } => self.drill_heard(id, answer),
            link::Heard::Renewed(renewed) => self.link.take_certificate(&self.state, renewed),
            link::Heard::Returned(answer) => {
                if self.link.returned(&self.state, answer) {
                    self.tell(Event::CertificateChanged);
                }
            }
        }
    }

    /// Takes a configuration, or keeps the one before; either is recorded by the engine.
    fn configure(&mut self, config: AgentConfig) {
        let is_news = self.engine.config() != Some(&config);
        let heartbeat = Duration::from_millis(config.heartbeat_ms);
        match self.engine.configure(config, clocks::reading()) {
            Ok(()) => {
                self.link.config_taken();
                self.tell(Event::Pace { heartbeat });
                if let (true, Some(config)) = (is_news, self.engine.config()) {
                    tracing::info!(
                        version = config.version,
                        checks = config.checks.len(),
                        "A configuration was taken."
                    );
                    let config = Box::new(config.clone());
                    let now = self.moment();
                    self.recorder.tell(now, Command::KeepConfig(config));
                }
            }
            Err(error) => {
                self.link.config_refused(crate::failure::chain_of(&error));
            }
        }
    }

    /// Records that a configuration could not even be read.
    fn refuse(&mut self, unreadable: &UnreadableConfig) {
        let why = crate::failure::chain_of(unreadable);
        let refused = Some(DeviceText::new(&why));
        if self.link.config_refused(why) {
            let at = self.engine.observed_at(clocks::mono());
            self.engine.say(AgentEvent::Configured { at, version: unreadable.version, refused });
        }
    }

    fn remember(&mut self) {
        self.engine.flush();
        self.carry_out();
        let snapshot = Box::new(self.engine.snapshot(clocks::reading()));
        let now = self.moment();
        self.recorder.tell(now, Command::Remember(snapshot));
        let learned = self.prober.memory();
        if learned != self.probes_kept && self.recorder.tell(now, Command::KeepProbes(Box::new(learned.clone()))) {
            self.probes_kept = learned;
        }
    }

    fn tell(&mut self, event: Event) {
        let now = self.moment();
        self.recorder.tell(now, Command::Tell(event));
    }

    /// The present state as it travels with each report. The journal's part is added where the report is written.
    fn now_header(&mut self, reading: Reading) -> Now {
        Now {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ailments: self.ailments(),
            ..self.engine.now_header(reading)
        }
    }

    /// What ails this agent besides its journal, in words for a person.
    fn ailments(&self) -> Vec<String> {
        let dropped = self.recorder.dropped();
        let slow =
            (dropped > 0).then(|| format!("the disk does not keep up: {dropped} records were lost since the start"));
        let too_old = self.engine.config().and_then(config::too_old);
        self.link
            .ailments(clocks::wall())
            .into_iter()
            .chain(too_old)
            .chain(slow)
            .chain(self.secrets.ailment())
            .collect()
    }

    fn say_how_it_goes(&mut self) {
        let line = status::in_one_line(&self.link.view().standing, self.recorder.status().waiting);
        self.notifier.say(line);
    }

    fn moment(&self) -> Moment {
        let mono = clocks::mono();
        Moment { mono, wall: self.engine.observed_at(mono) }
    }

    fn status(&mut self) -> String {
        let header = self.now_header(clocks::reading());
        let journal = self.recorder.status();
        let kinds = self.engine.config().map(|config| &config.checks[..]).unwrap_or_default();
        let document =
            status::Document::running(&self.identity, &header, kinds, &journal, self.link.view(), self.started_at);
        serde_json::to_string(&document).unwrap_or_else(|error| format!(r#"{{"error":"{error}"}}"#))
    }
}

/// Whether the collector itself decided: one that takes nothing for now, or a proxy in front of it, is as good as away.
fn has_a_say(answer: &Answer) -> bool {
    match answer {
        Answer::Delivered(_) | Answer::Conflict(_) => true,
        Answer::Refused { status, .. } => matches!(status, 403 | 423),
        Answer::Failed { .. } => false,
    }
}

/// Without its journal the agent has nothing to stand on: whoever runs it starts it again.
fn journal_thread_ended() -> Failure {
    Failure::new(Code::Failed, "the journal's thread ended by itself")
        .why("a fault of upheld-agent; its last words are above")
        .help("start the agent again; what was synced is kept")
}

pub(crate) fn probed(seen: upheld_probe::ProbeResult, started: Mono) -> ProbeResult {
    let upheld_probe::ProbeResult { outcome, values, counters, evidence, took } = seen;
    ProbeResult { outcome, values, counters, evidence, started, took }
}
