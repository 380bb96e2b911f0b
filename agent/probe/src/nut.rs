//! `ups.nut`: a power supply with a battery, as its NUT server tells (protocol 1.3, PROBES 1).
//!
//! The connection is kept between runs. At its begin, and again when the status changes, everything that the server
//! knows of the supply is listed; otherwise a run asks for a handful of variables in one go. Nothing is ever said that
//! changes something there: no LOGIN, PRIMARY, FSD, INSTCMD or SET. A server or driver that does not answer is *unknown*,
//! never bad: it says nothing about the power.
//!
//! NUT counts no transfers to battery, so they are counted here, within an epoch that begins with this process. A driver
//! tells its server of a change once a second, and of a dip of 1.2 s perhaps for one second only: looks that are one
//! second apart could just miss it. So a check that runs each second looks twice in each run, half a second apart.
//!
//! Not built: STARTTLS, and with it credentials, which no reading needs.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod line;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use upheld_model::{CheckId, Counter, Outcome, UnknownReason};

use crate::{
    ProbeResult,
    allow::Reach,
    deadline::Deadline,
    target::Targets,
    tcp,
    ups::{self, Held, Variables},
};
use line::{Line, TalkError};

/// A connection that no check has used for so long belongs to a check that is not configured any more.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// The time between two looks of one run.
const BETWEEN: Duration = Duration::from_millis(500);

/// How often a run looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    Once,
    Twice,
}

impl Looks {
    /// Twice where runs are a second apart.
    pub(crate) fn at(every: Duration) -> Self {
        if every <= 2 * BETWEEN { Self::Twice } else { Self::Once }
    }
}

/// What the checks of supplies remember of their earlier runs.
pub(crate) struct Nut {
    supplies: Mutex<BTreeMap<CheckId, Supply>>,
}

/// Which supply, and where its server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) target: String,
    pub(crate) port: u16,
    pub(crate) ups: String,
}

/// One check's supply.
struct Supply {
    address: Address,
    line: Option<Line>,
    held: Held,
    used: Instant,
}

impl Nut {
    pub(crate) fn new() -> Self {
        Self { supplies: Mutex::default() }
    }

    /// Looks at a supply; twice when that is asked for, and tells of the look that saw more.
    pub(crate) async fn run(
        &self,
        targets: &Targets,
        check: &CheckId,
        address: &Address,
        looks: Looks,
        deadline: Deadline,
    ) -> ProbeResult {
        let first = self.look(targets, check, address, deadline).await;
        if looks == Looks::Once || !is_judged(&first) || deadline.left() < 2 * BETWEEN {
            return first;
        }
        tokio::time::sleep(BETWEEN).await;
        let second = self.look(targets, check, address, deadline).await;
        if !is_judged(&second) {
            return first;
        }
        let counters = second.counters.clone();
        let tells_more = second.outcome != Outcome::Ok && first.outcome == Outcome::Ok;
        ProbeResult { counters, ..if tells_more { second } else { first } }
    }

    async fn look(&self, targets: &Targets, check: &CheckId, address: &Address, deadline: Deadline) -> ProbeResult {
        let kept = self.take(check, address);
        let asked = match ask(targets, kept, address, deadline).await {
            Ok(asked) => asked,
            Err(result) => {
                let supplies = self.supplies();
                return ups::add_last_words(result, supplies.get(check).map(|supply| &supply.held));
            }
        };
        let now = Instant::now();
        let mut supplies = self.supplies();
        // Taken a moment ago under this name, and only this run gives it back.
        let Some(supply) = supplies.get_mut(check) else {
            return ProbeResult::unknown(UnknownReason::Local, "the check was changed while it ran");
        };
        supply.line = Some(asked.line);
        let judged = ups::judge(&mut supply.held, &asked.said, now);
        let counter = Counter(supply.held.epoch().into(), supply.held.transfers());
        drop(supplies);
        ups::tell(judged, &asked.said, None, asked.is_listing).counter("transfers", counter)
    }

    /// The connection of the run before, if there is one; what is remembered of another supply is forgotten.
    fn take(&self, check: &CheckId, address: &Address) -> Option<Line> {
        let mut supplies = self.supplies();
        supplies.values_mut().filter(|supply| supply.used.elapsed() > IDLE_MAX).for_each(|supply| supply.line = None);
        let begin = || Supply { address: address.clone(), line: None, held: Held::new(), used: Instant::now() };
        let supply = supplies.entry(check.clone()).or_insert_with(begin);
        if supply.address != *address {
            *supply = begin();
        }
        supply.used = Instant::now();
        supply.line.take()
    }

    fn supplies(&self) -> MutexGuard<'_, BTreeMap<CheckId, Supply>> {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_judged(result: &ProbeResult) -> bool {
    match result.outcome {
        Outcome::Ok | Outcome::Warn | Outcome::Bad => true,
        Outcome::Unknown { .. } => false,
    }
}

/// What one look heard.
struct Asked {
    line: Line,
    said: Variables,
    is_listing: bool,
}

/// Asks over the kept connection; over a new one when there is none or when the server has closed it.
async fn ask(
    targets: &Targets,
    kept: Option<Line>,
    address: &Address,
    deadline: Deadline,
) -> Result<Asked, ProbeResult> {
    let Address { target, port, ups } = address;
    if let Some(mut line) = kept {
        match deadline.bound(line.look(ups)).await {
            Some(Ok((said, is_listing))) => return Ok(Asked { line, said, is_listing }),
            // A server that was restarted, or that sheds clients which are silent for a minute.
            Some(Err(TalkError::Io(_) | TalkError::Closed)) => {}
            Some(Err(error)) => return Err(error.judge(address)),
            None => return Err(no_answer(target, *port)),
        }
    }
    let addresses = targets.addresses(target, Reach::Nut(*port), deadline).await?;
    let connected =
        tcp::connect(&addresses, *port, deadline).await.map_err(|failed| ups::as_silence(failed, "the NUT server"))?;
    let mut line = Line::new(connected.stream);
    match deadline.bound(line.list(ups)).await {
        Some(Ok(said)) => Ok(Asked { line, said, is_listing: true }),
        Some(Err(TalkError::Refused(token))) if token == "UNKNOWN-UPS" => {
            let known = deadline.bound(line.supplies()).await.and_then(Result::ok).unwrap_or_default();
            Err(unknown_ups(address, &known))
        }
        Some(Err(error)) => Err(error.judge(address)),
        None => Err(no_answer(target, *port)),
    }
}

/// The names of the supplies that a server knows; none when it is not asked, or does not answer as one.
pub(crate) async fn supplies(targets: &Targets, target: &str, port: u16, deadline: Deadline) -> Vec<String> {
    let Ok(addresses) = targets.addresses(target, Reach::Nut(port), deadline).await else { return Vec::new() };
    let Ok(connected) = tcp::connect(&addresses, port, deadline).await else { return Vec::new() };
    let mut line = Line::new(connected.stream);
    deadline.bound(line.supplies()).await.and_then(Result::ok).unwrap_or_default()
}

fn no_answer(target: &str, port: u16) -> ProbeResult {
    let why = format!("the NUT server at {target} port {port} does not answer in time");
    ProbeResult::unknown(UnknownReason::Stale, why)
}

fn unknown_ups(address: &Address, known: &[String]) -> ProbeResult {
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let why = format!("the NUT server knows no supply {:?}; it knows: {known}", address.ups);
    ProbeResult::unknown(UnknownReason::CannotProbe, why)
}

#[cfg(test)]
mod tests;
