//! How this agent stands with its collector, and the requests that are under way: at most one of each kind.
//!
//! What is refused or fails here never stops the agent from observing; it shows in `status` and in the ailments that
//! travel with each report.

mod answer;
mod renewal;
mod returning;

use std::{rc::Rc, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::mpsc, time::Instant};
use upheld_delivery::sender::{self, Standing};
use upheld_model::{AgentId, DrillId};
use upheld_wire::v1::{AgentConfig, codes};

use super::Incoming;
use crate::{
    collectors::Collectors,
    config::{self, UnreadableConfig},
    http::{Answer, Doubt, NoAnswer},
    identity::TlsIdentity,
    secret::Held,
    state::StateFolder,
    uplink::{Reach, Uplink},
};
use answer::read_delivery;
pub(crate) use returning::NotBack;
use returning::Returning;

/// After a failed renewal the next try waits; thirty days are left for it.
const RENEW_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// A certificate that ends sooner than this and was not renewed is worth a person's look.
const RENEW_LATE: SignedDuration = SignedDuration::from_hours(10 * 24);
/// Clocks of agent and collector that differ by more than this are said; a minute is what people see on two watches.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_secs(60);

/// A request ended.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A delivery.
    Posted {
        /// Its number.
        no: u64,
        /// What came back.
        answer: sender::Answer,
        /// Whether it failed over this host's own certificate.
        doubt: Doubt,
    },
    /// The configuration was asked for.
    Config(Result<Answer, NoAnswer>),
    /// What is sealed to this agent was asked for; how often it was kept, or why not.
    Secrets(Result<Held, String>),
    /// It was asked what became of a drill.
    Drill {
        /// Which.
        id: DrillId,
        /// What came back.
        answer: Result<Answer, NoAnswer>,
    },
    /// A certificate was asked for: it is on disk, or this is why not.
    Renewed(Result<Box<TlsIdentity>, String>),
    /// The agent asked to be taken back.
    Returned(Result<Box<TlsIdentity>, NotBack>),
}

/// The state of the line.
pub(super) struct Link {
    pub(super) uplink: Rc<Uplink>,
    reach: Reach,
    incoming: mpsc::Sender<Incoming>,
    view: View,
    renew_from: Timestamp,
    posting: bool,
    fetching: bool,
    renewing: bool,
    /// `None` while the certificate is taken.
    returning: Option<Returning>,
}

/// What `status` shows of it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// How the agent stands with its collector.
    pub(crate) standing: Standing,
    /// When the last report was acknowledged.
    pub(crate) last_accepted: Option<Timestamp>,
    /// Until when the certificate is valid.
    pub(crate) certificate_ends: Timestamp,
    /// Why the configuration that the collector wants is not in use.
    pub(crate) config_refused: Option<String>,
    /// Why the last renewal failed.
    pub(crate) renewal_failed: Option<String>,
    /// The collector's clock minus this host's, at the last report.
    pub(crate) clock_difference: Option<SignedDuration>,
}

impl Link {
    pub(super) fn new(
        uplink: Uplink,
        reach: Reach,
        certificate: &TlsIdentity,
        incoming: mpsc::Sender<Incoming>,
    ) -> Self {
        let view = View {
            standing: Standing::Unknown,
            last_accepted: None,
            certificate_ends: certificate.not_after,
            config_refused: None,
            renewal_failed: None,
            clock_difference: None,
        };
        Self {
            uplink: Rc::new(uplink),
            reach,
            incoming,
            view,
            renew_from: certificate.renew_from(),
            posting: false,
            fetching: false,
            renewing: false,
            returning: None,
        }
    }

    /// What `status` shows.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Where the collectors are.
    pub(super) fn collectors(&self) -> Arc<Collectors> {
        Arc::clone(&self.reach.collectors)
    }

    /// Whether a report may be answered: the collector was not found away, or unwilling.
    pub(super) fn may_answer(&self) -> bool {
        match self.view.standing {
            Standing::Unknown | Standing::Good => true,
            Standing::Unreachable { .. } | Standing::Refused { .. } | Standing::Quarantined => false,
        }
    }

    /// Whether no report is under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.posting
    }

    /// Sends a report.
    pub(super) fn post(&mut self, no: u64, body: Vec<u8>) {
        self.posting = true;
        let uplink = Rc::clone(&self.uplink);
        self.spawn(async move {
            let answer = uplink.deliver(body).await;
            let doubt = answer.as_ref().err().map_or(Doubt::None, NoAnswer::doubts_us);
            Heard::Posted { no, answer: read_delivery(answer), doubt }
        });
    }

    /// Asks for the configuration, unless that is being done.
    pub(super) fn fetch_config(&mut self, version: u64) {
        if !std::mem::replace(&mut self.fetching, true) {
            tracing::debug!(version, "The collector names another configuration.");
            let uplink = Rc::clone(&self.uplink);
            self.spawn(async move { Heard::Config(uplink.fetch_config().await) });
        }
    }

    /// Asks for a new certificate from the day it is due (SECURITY 14).
    pub(super) fn renew_if_due(&mut self, state: &StateFolder, now: Timestamp) {
        // The certificate's days are the collector's. Before it was heard, its clock is not known, and nobody could renew.
        let Some(difference) = self.view.clock_difference else { return };
        if self.returning.is_none() && self.renew_from <= now.saturating_add(difference).unwrap_or(now) {
            self.renew(state, now);
        }
    }

    /// Asks for a new certificate with a new key, unless that is being done or was tried a moment ago.
    pub(super) fn renew(&mut self, state: &StateFolder, now: Timestamp) {
        if self.renewing || (self.view.renewal_failed.is_some() && now < self.renew_from) {
            return;
        }
        self.renewing = true;
        self.renew_from = now.saturating_add(RENEW_RETRY).unwrap_or(now);
        let (uplink, state) = (Rc::clone(&self.uplink), state.clone());
        self.spawn(async move { Heard::Renewed(renewal::renew(&uplink, state).await.map(Box::new)) });
    }

    /// Notes how the agent stands.
    pub(super) fn stands(&mut self, standing: Standing) {
        match &standing {
            Standing::Unknown => {}
            Standing::Good => tracing::info!("The collector takes reports."),
            Standing::Unreachable { why } => {
                tracing::warn!(why, "The collector is not reached; reports are kept and sent later.");
            }
            Standing::Refused { code } => {
                tracing::warn!(code, "The collector refuses this agent; it goes on observing and keeps its reports.");
            }
            Standing::Quarantined => {
                tracing::error!("Two hosts use this agent's identity; the provider must say which one is real.");
            }
        }
        self.view.standing = standing;
    }

    /// Notes what a report's answer says besides the delivery itself.
    pub(super) fn note_answer(&mut self, answer: &sender::Answer, doubt: Doubt, now: Timestamp) {
        self.posting = false;
        match doubt {
            Doubt::Said => self.begin_return(now),
            Doubt::Perhaps if self.has_ended(now) => self.begin_return(now),
            Doubt::Perhaps | Doubt::None => {}
        }
        match answer {
            sender::Answer::Delivered(delivered) => {
                self.view.last_accepted = Some(now);
                self.view.clock_difference = Some(now.duration_until(delivered.collector_time));
                self.returning = None;
            }
            sender::Answer::Refused { code, .. }
                if matches!(code.as_str(), codes::CERTIFICATE_VOID | codes::QUARANTINED) =>
            {
                self.begin_return(now);
            }
            sender::Answer::Conflict(_) | sender::Answer::Refused { .. } | sender::Answer::Failed { .. } => {}
        }
    }

    /// The certificate's time is over on this connection: another connection may show a newer one; else the agent asks
    /// to be taken back.
    pub(super) fn certificate_ended(&mut self, state: &StateFolder, now: Timestamp) {
        self.open_again(state);
        self.begin_return(now);
    }

    /// When something is to be done here.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.returning.as_ref().and_then(Returning::next_wake)
    }

    /// Asks to be taken back, where that is due.
    pub(super) fn return_if_due(&mut self, state: &StateFolder, agent: &AgentId) {
        if self.returning.as_mut().is_some_and(|returning| returning.asks(Instant::now())) {
            let (reach, state, agent) = (self.reach.clone(), state.clone(), agent.clone());
            self.spawn(async move { Heard::Returned(returning::ask(&reach, state, agent).await.map(Box::new)) });
        }
    }

    /// Whether the agent was taken back: the sender need not wait any longer.
    pub(super) fn returned(&mut self, state: &StateFolder, answer: Result<Box<TlsIdentity>, NotBack>) -> bool {
        let certificate = match answer {
            Ok(certificate) => certificate,
            Err(not) => {
                if let Some(returning) = &mut self.returning
                    && returning.waits(not, Instant::now())
                {
                    tracing::warn!("Not taken back: {}.", returning.words());
                }
                return false;
            }
        };
        tracing::info!(until = %certificate.not_after, "The collector took this agent back; its journal follows.");
        self.returning = None;
        self.view.certificate_ends = certificate.not_after;
        self.view.renewal_failed = None;
        self.renew_from = certificate.renew_from();
        self.open_again(state);
        true
    }

    fn begin_return(&mut self, now: Timestamp) {
        if self.returning.is_none() {
            let returning = Returning::begin(now, Instant::now());
            tracing::warn!("{}.", returning.words());
            self.returning = Some(returning);
        }
    }

    /// Whether the certificate has ended, by the collector's clock as far as it is known.
    fn has_ended(&self, now: Timestamp) -> bool {
        let there = self.view.clock_difference.and_then(|by| now.saturating_add(by).ok()).unwrap_or(now);
        self.view.certificate_ends <= there
    }

    /// Begins a line anew with what is on disk: roots, key and certificate.
    fn open_again(&mut self, state: &StateFolder) {
        match Uplink::open(state, &self.reach) {
            Ok(uplink) => self.uplink = Rc::new(uplink),
            Err(failure) => {
                tracing::warn!(%failure, "The line to the collector cannot be begun anew; the old one stays.");
            }
        }
    }

    /// Reads a configuration that was asked for; `None` when there is none to take.
    pub(super) fn read_config(
        &mut self,
        answer: Result<Answer, NoAnswer>,
    ) -> Option<Result<AgentConfig, UnreadableConfig>> {
        self.fetching = false;
        match answer {
            Ok(answer) if answer.status == 200 => Some(config::read(&answer.body)),
            Ok(answer) => {
                tracing::warn!(status = answer.status, "The collector gives no configuration; the old one stays.");
                None
            }
            Err(error) => {
                tracing::debug!(error = error.words(), "The configuration could not be fetched.");
                None
            }
        }
    }

    /// Notes that the wanted configuration is in use.
    pub(super) fn config_taken(&mut self) {
        self.view.config_refused = None;
    }

    /// Notes why it is not; whether that is news. The sender asks again and again.
    pub(super) fn config_refused(&mut self, why: String) -> bool {
        let is_news = self.view.config_refused.as_ref() != Some(&why);
        if is_news {
            tracing::warn!(why, "The collector's configuration is refused; the old one stays in use.");
            self.view.config_refused = Some(why);
        }
        is_news
    }

    /// Shows a renewed certificate on new connections.
    pub(super) fn take_certificate(&mut self, state: &StateFolder, renewed: Result<Box<TlsIdentity>, String>) {
        self.renewing = false;
        let shown = renewed.and_then(|certificate| match self.uplink.show(&certificate) {
            Ok(()) => Ok(certificate),
            Err(error) => Err(error.to_string()),
        });
        match shown {
            Ok(certificate) => {
                tracing::info!(until = %certificate.not_after, "The certificate was renewed.");
                self.view.certificate_ends = certificate.not_after;
                self.view.renewal_failed = None;
                self.renew_from = certificate.renew_from();
                // The provider's roots may be others now.
                self.open_again(state);
            }
            Err(why) => self.renewal_failed(why),
        }
    }

    fn renewal_failed(&mut self, why: String) {
        tracing::warn!(why, "The certificate could not be renewed; the next try is in ten minutes.");
        self.view.renewal_failed = Some(why);
    }

    /// What ails the line, in words for a person.
    pub(super) fn ailments(&self, now: Timestamp) -> Vec<String> {
        let mut ailments: Vec<String> = self.returning.iter().map(Returning::words).collect();
        if self.reach.clock.is_suspect() {
            ailments.push(
                "this host's clock is wrong: the collector's certificate is only valid at another time".to_owned(),
            );
        }
        if let Some(difference) = self.view.clock_difference.filter(|by| by.abs() > CLOCK_DIFFERENCE) {
            let (size, side) = (
                crate::words::duration(difference.unsigned_abs()),
                if difference.is_negative() { "ahead of" } else { "behind" },
            );
            ailments.push(format!("this host's clock is {size} {side} the collector's"));
        }
        if let Some(why) = &self.view.config_refused {
            ailments.push(format!("the collector's configuration is refused: {why}"));
        }
        if let Some(why) = &self.view.renewal_failed
            && now.duration_until(self.view.certificate_ends) < RENEW_LATE
        {
            let ends = self.view.certificate_ends;
            ailments.push(format!("the certificate ends {ends} and is not renewed: {why}"));
        }
        ailments
    }

    pub(super) fn spawn(&self, request: impl Future<Output = Heard> + 'static) {
        let incoming = self.incoming.clone();
        tokio::task::spawn_local(async move {
            let heard = request.await;
            // Nobody listens once the agent has ended.
            let _ = incoming.send(Incoming::Link(heard)).await;
        });
    }
}
