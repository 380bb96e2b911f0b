//! What people ask of the desk, each under a key of its own, and what became of it.

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::words::Manner;
use upheld_desk::{
    Actor, Command, CommandError, Desk, Given, ProblemReport, Scope,
    commands::{DismissReason, KEY_KEPT},
};
use upheld_model::{Cause, ClientId, IncidentRef, SiteId};

use super::{
    place::{CHECKS, SITES},
    world::{MINUTE, SECOND},
};
use crate::dice::Dice;

/// What one person asks.
#[derive(Debug, Clone)]
pub(super) enum What {
    Command(IncidentRef, Given),
    Report(ClientId, SiteId, ProblemReport),
}

/// One thing asked, as often as it takes.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The key under which it is asked, and the words by which its fact is known.
    pub(super) token: String,
    pub(super) what: What,
    /// When it was first asked, in true time.
    pub(super) at_ms: u64,
    /// When it was carried out and answered first.
    pub(super) answered_at: Option<u64>,
    /// Nobody heard what became of it, once at least.
    pub(super) is_unclear: bool,
    /// Whether it must have left a fact: taking what one has taken says nothing new.
    pub(super) leaves_fact: bool,
    /// When it is asked again.
    pub(super) again_at: Option<u64>,
}

impl Asked {
    /// The next thing that somebody asks: about one of the open incidents, or a report of something new.
    pub(super) fn draw(dice: &mut Dice, number: u64, open: &[IncidentRef], now: Timestamp, now_ms: u64) -> Self {
        let token = format!("said-{number}.");
        let (what, leaves_fact) =
            match usize::try_from(dice.draw()).ok().and_then(|at| open.get(at % open.len().max(1))) {
                Some(incident) if !dice.once_in(6) => {
                    let (given, leaves_fact) = command(dice, &token, now);
                    (What::Command(incident.clone(), given), leaves_fact)
                }
                Some(_) | None => (report(dice, &token, now), true),
            };
        let again_at = dice.once_in(3).then(|| now_ms + dice.between(SECOND, 20 * MINUTE));
        Self { token, what, at_ms: now_ms, answered_at: None, is_unclear: false, leaves_fact, again_at }
    }

    /// Whether its key may still be known.
    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) < u64::try_from(KEY_KEPT.as_secs()).unwrap_or(0) * SECOND / 2
    }

    /// Asks it.
    pub(super) async fn ask(&self, desk: &Desk, now: Timestamp) -> Result<(), CommandError> {
        let desk = desk.once(&self.token);
        match &self.what {
            What::Command(incident, given) => {
                desk.give(&Scope::Provider, incident, given.clone(), &ana(), now).await.map(drop)
            }
            What::Report(client, site, report) => {
                let report = report.clone();
                desk.report_problem(&Scope::Provider, (client, site), report, &ana(), now).await.map(drop)
            }
        }
    }
}

pub(super) fn ana() -> Actor {
    Actor::person("ana")
}

/// A command with the token in its note, and whether it always leaves a fact.
fn command(dice: &mut Dice, token: &str, now: Timestamp) -> (Given, bool) {
    let (command, leaves_fact) = match dice.roll(12) {
        0 | 1 => (Command::Acknowledge, false),
        2 | 3 => (Command::Respond { manner: Manner::Remote, with_whom: None }, false),
        4 => (Command::Pause { reason: "site-access".parse().expect("a reason") }, true),
        5 | 6 => (Command::Resume, true),
        7 => (Command::SetCause { cause: Cause::Component }, false),
        8 => (Command::Update, true),
        9 => (Command::Resolve, false),
        10 => (Command::Reopen, false),
        _ if dice.once_in(4) => (Command::Dismiss { reason: DismissReason::FalseAlarm }, false),
        _ => (Command::Note, true),
    };
    // Some log afterwards what they did before.
    let late = dice.once_in(4).then(|| SignedDuration::from_secs(i64::try_from(dice.between(1, 1_800)).unwrap_or(60)));
    let at = late.map(|late| now - late);
    (Given { command, at, note: Some(token.to_owned()), revision: None }, leaves_fact)
}

fn report(dice: &mut Dice, token: &str, now: Timestamp) -> What {
    let (_, client, site) = SITES[usize::try_from(dice.roll(SITES.len() as u64)).unwrap_or(0)];
    let check = CHECKS[usize::try_from(dice.roll(CHECKS.len() as u64)).unwrap_or(0)];
    let asset = check.split('/').next().filter(|_| dice.once_in(2)).and_then(|asset| asset.parse().ok());
    let called_at = dice.once_in(3).then(|| now - SignedDuration::from_mins(10));
    let report = ProblemReport {
        asset,
        text: token.to_owned(),
        by: "Maria of the office".to_owned(),
        called_at,
        class: None,
        new: dice.once_in(2),
    };
    What::Report(client.parse().expect("a client's id"), site.parse().expect("a site's id"), report)
}
