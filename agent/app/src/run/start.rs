//! The beginning: everything that can be wrong with this host is found here, before the first probe.

use std::{rc::Rc, sync::Arc, time::Duration};

use rustls::crypto::CryptoProvider;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use upheld_delivery::Moment;
use upheld_engine::{Engine, Start, alarm::Alarms};
use upheld_model::ObservedAt;
use upheld_probe::Prober;

use super::{
    Agent, INCOMING_MAX, Incoming, PROBES_AT_ONCE, link::Link, notify::Notifier, secrets::Standing, stop::Stop,
};
use crate::{
    alarm::AlarmLine,
    cli::Common,
    clocks,
    failure::{Code, Failure},
    identity::{self, TlsIdentity},
    memory::Memory,
    ran,
    recorder::{Recorder, Report},
    settings::Settings,
    state::{Identity, StateFolder},
    uplink::{self, Reach, Uplink},
};

/// The longest wait for the collector's name.
const NAME_WAIT: Duration = Duration::from_secs(2);

impl Agent {
    /// Reads files and keys, opens the journal, and goes on where the last run ended.
    pub(super) async fn start(
        common: &Common,
        state: StateFolder,
        identity: Identity,
        incoming: mpsc::Sender<Incoming>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, mpsc::Receiver<Report>), Failure> {
        let settings = Settings::load(common, Some(&identity))?;
        let allow = settings.allow_list(common, Some(&identity))?;
        if let Some(address) = settings.jobs {
            ran::http::listen(address, incoming.clone());
        }
        let tls_identity = TlsIdentity::load(&state)?;
        let is_proxied = settings.proxy.is_some();
        let reach = Reach::of(&identity, &settings, provider);
        let uplink = Uplink::open(&state, &reach)?;
        let alarm_line =
            settings.alarm.map(|target| AlarmLine::new(target, provider)).transpose().map_err(|error| {
                Failure::new(Code::Failed, "cannot set up TLS for the alarm address").why(error.to_string())
            })?;
        let signing_key = identity::load_signing_key(&state)?;
        let config = state.config()?;
        let addresses = tokio::time::timeout(NAME_WAIT, uplink::addresses(&reach.collectors)).await;
        let prober = Prober::new(allow, addresses.unwrap_or_default());
        let probes_kept = state.probes();
        prober.recall(probes_kept.clone());
        if is_proxied {
            prober.collector_is_behind_a_proxy();
        }

        let secrets = Standing::begin(&state, &identity, &prober);
        let memory = Memory::recall(&state);
        let (reporter, reports) = mpsc::channel(INCOMING_MAX);
        let reading = clocks::reading();
        let now = Moment { mono: reading.mono, wall: ObservedAt(reading.wall) };
        let (recorder, recovered) =
            Recorder::start(&state, signing_key, memory.as_ref(), settings.journal_bytes, now, reporter)?;
        prober.wake(recovered.opened.last_written.map(|at| at.0));
        let start = Start {
            last_alive: recovered.opened.last_written,
            clean: recovered.opened.clean,
            snapshot: memory.map(|memory| memory.snapshot),
            journalled_since: recovered.tail,
        };
        let engine = Engine::start(identity.agent.clone(), upheld_probe::host::boot_id(), start, clocks::reading());
        let link = Link::new(uplink, reach, &tls_identity, incoming.clone());
        let mut agent = Self {
            state,
            identity,
            engine,
            recorder,
            link,
            prober,
            probes_kept,
            secrets,
            slots: Rc::new(Semaphore::new(PROBES_AT_ONCE)),
            open_runs: ran::open::OpenRuns::default(),
            incoming,
            started_at: clocks::wall(),
            housekeeping_at: Instant::now(),
            alarms: Alarms::new(clocks::mono()),
            alarm_line,
            play: None,
            stop: Stop::default(),
            notifier: Notifier::new(),
        };
        if let Some(config) = config {
            agent.configure(config);
        }
        tracing::info!(
            agent.id = %agent.identity.agent,
            client.id = %agent.identity.client,
            site.id = %agent.identity.site,
            checks = agent.engine.config().map_or(0, |config| config.checks.len()),
            "The agent runs."
        );
        Ok((agent, reports))
    }
}
