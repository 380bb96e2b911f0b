//! Samples of checks that run here, scheduled by an engine of this process's own.

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use upheld_engine::{Effect, Engine, ProbeResult, Start};
use upheld_model::{CheckId, CheckSpec};
use upheld_probe::Prober;
use upheld_wire::v1::AgentConfig;

use super::out::Out;
use crate::{
    cli::Common,
    clocks,
    failure::{self, Code, Failure},
    run::{PROBES_AT_ONCE, probed},
    secret,
    settings::Settings,
    state::{Identity, StateFolder},
    uplink,
};

/// Outcomes that wait to be written.
const OUTCOMES_MAX: usize = 256;

pub(super) async fn write(
    common: &Common,
    state: &StateFolder,
    identity: &Identity,
    config: AgentConfig,
    lasts: Option<Duration>,
    out: &mut Out,
) -> Result<(), Failure> {
    let settings = Settings::load(common, Some(identity))?;
    let allow = settings.allow_list(common, Some(identity))?;
    let prober = Prober::new(allow, uplink::addresses(&settings.all_collectors(identity)).await);
    if settings.proxy.is_some() {
        prober.collector_is_behind_a_proxy();
    }
    prober.recall(state.probes());
    prober.secrets_are(secret::all(state, identity).0);
    let until = lasts.map(|lasts| Instant::now() + lasts);
    let boot = upheld_probe::host::boot_id();
    let mut engine = Engine::start(identity.agent.clone(), boot, Start::default(), clocks::reading());
    engine.configure(config, clocks::reading()).map_err(|error| {
        Failure::new(Code::Invalid, "the kept configuration is refused").why(failure::chain_of(&error))
    })?;
    let (outcomes, mut inbox) = mpsc::channel(OUTCOMES_MAX);
    let runs = Runs { prober, slots: Rc::new(Semaphore::new(PROBES_AT_ONCE)), outcomes };
    loop {
        carry_out(&mut engine, &runs, out)?;
        let wake = engine.poll_timeout().map(|at| Instant::now() + at.since(clocks::mono()));
        let next = [wake, until].into_iter().flatten().min();
        tokio::select! {
            // This function holds a sender of its own: it never closes.
            Some((check, result)) = inbox.recv() => {
                // One that is not awaited any more says nothing.
                let _ = engine.handle_outcome(&check, result, clocks::reading());
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            // Without a way to hear Ctrl-C the process ends by it, and what was flushed is there.
            Ok(()) = tokio::signal::ctrl_c() => break,
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            break;
        }
        if engine.poll_timeout().is_some_and(|at| at <= clocks::mono()) {
            engine.handle_timeout(clocks::reading());
        }
    }
    engine.flush();
    carry_out(&mut engine, &runs, out)
}

/// What runs probes.
struct Runs {
    prober: Prober,
    slots: Rc<Semaphore>,
    outcomes: mpsc::Sender<(CheckId, ProbeResult)>,
}

fn carry_out(engine: &mut Engine, runs: &Runs, out: &mut Out) -> Result<(), Failure> {
    while let Some(effect) = engine.poll_effect() {
        match effect {
            Effect::Probe(spec) => runs.begin(spec),
            Effect::Write { body, urgency: _ } => {
                body.samples.iter().try_for_each(|sample| out.sample(sample))?;
                out.flush()?;
            }
        }
    }
    Ok(())
}

impl Runs {
    fn begin(&self, spec: Arc<CheckSpec>) {
        let (prober, slots, outcomes) = (self.prober.clone(), Rc::clone(&self.slots), self.outcomes.clone());
        tokio::task::spawn_local(async move {
            // Closed by nobody.
            let slot = slots.acquire().await;
            let started = clocks::mono();
            let seen = prober.run(&spec).await;
            drop(slot);
            // Nobody listens once recording has ended.
            let _ = outcomes.send((spec.id.clone(), probed(seen, started))).await;
        });
    }
}
