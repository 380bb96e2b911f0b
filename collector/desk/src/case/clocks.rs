//! The clocks of one incident: replayed from its ledger, and the rows that say when to look again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::clock::{
    Announced, Calendars, Clock, ClockState, Effect, LateFact, ManufacturerClock, Milestone,
};
use upheld_detection::own::Trouble;
use upheld_model::mutant::{Rule, is_broken};
use upheld_outbound::EventKind;
use upheld_store::{Tx, clocks::ClockRow};

use super::{
    Case, entry,
    messages::{self, Subject},
    promise::Promise,
    text,
};
use crate::{DeskError, book::CurrentBook, recovery};

/// What has been announced of one clock, and what of it was taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was announced.
    pub(crate) announced: Announced,
    /// The late fact that took it back (F7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<LateFact>,
}

/// Replays all clocks of an incident; none where nothing is promised.
pub(crate) fn replay(case: &Case) -> Result<Vec<Clock>, DeskError> {
    replay_with(case, &mut Calendars::default())
}

/// The same with calendars that were compiled before.
pub(crate) fn replay_with(case: &Case, calendars: &mut Calendars) -> Result<Vec<Clock>, DeskError> {
    let Promise::Pinned(pinned) = &case.promise else { return Ok(Vec::new()) };
    Clock::replay_all_with(&pinned.terms, &pinned.start, &entry::facts(&case.ledger), calendars)
        .map_err(|error| DeskError::unreadable("calendar of an incident", &error))
}

/// The manufacturer's own clock; `None` where the terms name no manufacturer who promises anything.
pub(crate) fn manufacturer(case: &Case) -> Result<Option<ManufacturerClock>, DeskError> {
    match &case.promise {
        Promise::NotAsked | Promise::None(_) => Ok(None),
        Promise::Pinned(pinned) => ManufacturerClock::replay(&pinned.terms, &entry::facts(&case.ledger))
            .map_err(|error| DeskError::unreadable("calendar of a manufacturer", &error)),
    }
}

/// Takes back what a late fact made wrong, and notes when to look again: at once where something fell due by `now`. That
/// is announced by the clocks' task, which holds the wall clock against the monotonic one before it believes it.
pub(crate) fn settle(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    clocks: &[Clock],
    now: Timestamp,
) -> Result<(), DeskError> {
    settle_as(tx, book, case, clocks, Settling::Noting, now)
}

/// The same, and announces what fell due.
pub(crate) fn announce(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    clocks: &[Clock],
    now: Timestamp,
) -> Result<(), DeskError> {
    settle_as(tx, book, case, clocks, Settling::Announcing, now)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settling {
    Noting,
    Announcing,
}

fn settle_as(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    clocks: &[Clock],
    settling: Settling,
    now: Timestamp,
) -> Result<(), DeskError> {
    let manufacturer = manufacturer(case)?;
    if clocks.is_empty() && manufacturer.is_none() {
        return Ok(());
    }
    // What may be missing could pause or meet it: nothing falls due until a person has seen the gap.
    let is_held = recovery::waiting(&*tx)?.is_some() && !is_broken(Rule::RecoveryIsSilent);
    let rows = tx.clocks(&case.row.client, case.row.number)?;
    // By a clock that is in doubt nothing is announced; when it may be believed again the deadline has passed (DELIVERY 4).
    let is_in_doubt = tx.own_outage_open(Trouble::Clock.as_str())?.is_some() && !is_broken(Rule::DoubtIsSilent);
    for running in clocks.iter().map(Running::Ours).chain(manufacturer.as_ref().map(Running::Manufacturers)) {
        let held = rows.iter().find(|row| row.clock == running.name());
        let mut told: Vec<Told> = match held {
            Some(row) => serde_json::from_str(&row.announced)
                .map_err(|error| DeskError::unreadable("announcements of a clock", &error))?,
            None => Vec::new(),
        };
        let standing: Vec<_> = told.iter().filter(|told| told.withdrawn.is_none()).map(|told| told.announced).collect();
        let due = if is_in_doubt || is_held { Vec::new() } else { running.milestones_due(now, &standing) };
        let is_left = |effect: &Effect| settling == Settling::Noting && matches!(effect, Effect::Announce { .. });
        let (left, due): (Vec<_>, Vec<_>) = due.into_iter().partition(is_left);
        for effect in due {
            let (event, subject, dated) = carry_out(&mut told, running.name(), effect);
            messages::tell(tx, book, case, clocks, event, &subject, dated, now)?;
        }
        let row = running.row(case, now)?;
        let row = ClockRow {
            revision: held.map_or(0, |row| row.revision),
            announced: if is_broken(Rule::AnnouncedIsStored) {
                "[]".to_owned()
            } else {
                text("announcements of a clock", &told)?
            },
            // It is looked at again as soon as it may be announced, whatever was passed by then, and also if it has ended.
            next_deadline: if is_in_doubt || is_held || !left.is_empty() {
                Some(Timestamp::UNIX_EPOCH)
            } else {
                row.next_deadline
            },
            ..row
        };
        match held {
            None => tx.insert_clock(&row)?,
            Some(held) if *held == row => {}
            Some(_) => {
                if !tx.update_clock(&row)? {
                    return Err(DeskError::Overtaken("the clock"));
                }
            }
        }
    }
    Ok(())
}

/// A clock that has a row: one of ours, or the manufacturer's beside them.
enum Running<'a> {
    Ours(&'a Clock),
    Manufacturers(&'a ManufacturerClock),
}

impl Running<'_> {
    /// Its name within the incident.
    fn name(&self) -> &'static str {
        match self {
            Self::Ours(clock) => clock.stage().as_str(),
            Self::Manufacturers(_) => "manufacturer",
        }
    }

    fn milestones_due(&self, now: Timestamp, told: &[Announced]) -> Vec<Effect> {
        match self {
            Self::Ours(clock) => clock.milestones_due(now, told),
            Self::Manufacturers(clock) => clock.milestones_due(now, told),
        }
    }

    /// Its row, with nothing announced.
    fn row(&self, case: &Case, now: Timestamp) -> Result<ClockRow, DeskError> {
        let (state, due, next_deadline, source) = match self {
            Self::Ours(clock) => {
                let view = clock.view(now);
                (state_word(&view.state), view.due, clock.next_deadline(now), view.source)
            }
            Self::Manufacturers(clock) => {
                let view = clock.view(now);
                (view.state.word(), view.due, clock.next_deadline(now), view.source)
            }
        };
        Ok(ClockRow {
            client: case.row.client.clone(),
            number: case.row.number,
            clock: self.name().to_owned(),
            state: state.to_owned(),
            due: due.instant(),
            next_deadline,
            revision: 0,
            target: text("target of a clock", &source)?,
            announced: String::new(),
        })
    }
}

fn carry_out(told: &mut Vec<Told>, clock: &'static str, effect: Effect) -> (EventKind, Subject, Timestamp) {
    match effect {
        Effect::Announce { announced } => {
            told.push(Told { announced, withdrawn: None });
            let event = match announced.milestone {
                Milestone::Warning { .. } => EventKind::ClockWarning,
                Milestone::Breach => EventKind::ClockBreached,
                Milestone::HandOver { .. } => EventKind::ClockHandOver,
                Milestone::ManufacturerOverdue => EventKind::ManufacturerOverdue,
            };
            (event, Subject::Milestone { clock, announced, because: None }, announced.due_at)
        }
        Effect::Withdraw { announced, because } => {
            if let Some(told) = told.iter_mut().find(|told| told.withdrawn.is_none() && told.announced == announced) {
                told.withdrawn = Some(because.clone());
            }
            let subject = Subject::Milestone { clock, announced, because: Some(because) };
            (EventKind::ClockWithdrawn, subject, announced.due_at)
        }
    }
}

/// The state's word: in the table, the API and on the page.
pub(crate) fn state_word(state: &ClockState) -> &'static str {
    match state {
        ClockState::Scheduled { .. } => "scheduled",
        ClockState::Running { .. } => "running",
        ClockState::Paused { .. } => "paused",
        ClockState::Met { .. } => "met",
        ClockState::MetLate { .. } => "met-late",
        ClockState::Cancelled { .. } => "cancelled",
    }
}
