//! What holds for every ledger (F6, F7, F12), and for every rider (TERMS 2).

use std::sync::OnceLock;

use common::{at, book, recorder_down};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use upheld_agreement::{
    book::Book,
    calendar::Calendar,
    cases::{AmendMode, Version, amend},
    clock::{
        Announced, CancelReason, Clock, ClockStart, ClockState, DisputeOutcome, DueAt, Effect, Fact, FactKind,
        TermsChange,
    },
    matching::{Set, expedited, reprioritised, resolve},
    terms::PinnedTerms,
    words::{Manner, Priority, Stage},
};

mod common;
mod small;

const DETECTED: &str = "2026-11-16T22:10:00Z";

/// The small book's terms, with a clock for every stage but two, and what they can be changed to.
fn changes() -> &'static [PinnedTerms] {
    static TERMS: OnceLock<Vec<PinnedTerms>> = OnceLock::new();
    TERMS.get_or_init(|| {
        let (book, query) = (small::book(&[]), small::query(at(DETECTED)));
        let terms = resolve(&book, &query).unwrap();
        let set = |priority| Set { priority: Some(priority), ..Set::default() };
        let low = reprioritised(&book, &query, &terms, set(Priority::P3), "ana").unwrap();
        let fast = expedited(&book, &query, &terms, &"fast".parse().unwrap(), at(DETECTED), "ana").unwrap();
        vec![terms, low, fast]
    })
}

/// The sample's terms with the rider, the small book's, and those of an incident that meets an amendment four days later, one for each
/// way of meeting it.
fn all_terms() -> &'static [PinnedTerms] {
    static TERMS: OnceLock<Vec<PinnedTerms>> = OnceLock::new();
    TERMS.get_or_init(|| {
        let modes = ["carry_elapsed", "prorate", "restart_from_change", "restart_from_start"];
        let later = "effective_from = 2026-11-18T16:30:00.5Z";
        let amended = modes.map(|mode| {
            let mode = format!("open_incidents = \"{mode}\"");
            let edits = [
                (SSA, "effective_from = 2026-11-03", later),
                (SSA, "open_incidents = \"carry_elapsed\"", mode.as_str()),
                (RIDER, "within = \"1h\"", "within = \"30h\"\ngrace = \"90min\""),
            ];
            resolve(&book(&edits), &recorder_down(DETECTED)).unwrap()
        });
        assert!(amended.iter().all(|terms| terms.amendments.len() == 1));
        let sample = resolve(&book(&[]), &recorder_down(DETECTED)).unwrap();
        [sample, changes()[0].clone()].into_iter().chain(amended).collect()
    })
}

fn terms() -> impl Strategy<Value = &'static PinnedTerms> {
    (0..all_terms().len()).prop_map(|index| &all_terms()[index])
}

const SSA: &str = "clients/northgate/ssa.toml";
const RIDER: &str = "plans/premium-response.toml";
const GOLD: &str = "plans/gold.toml";

fn start() -> ClockStart {
    ClockStart::new(at(DETECTED), at(DETECTED))
}

fn after_start(seconds: i64) -> Timestamp {
    at(DETECTED) + SignedDuration::from_secs(seconds)
}

fn millis_after_start(millis: i64) -> Timestamp {
    at(DETECTED) + SignedDuration::from_millis(millis)
}

fn kind() -> impl Strategy<Value = FactKind> {
    prop_oneof![
        Just(FactKind::Opened),
        Just(FactKind::Acknowledged),
        prop_oneof![Just(Manner::Remote), Just(Manner::Phone), Just(Manner::OnSite)]
            .prop_map(|manner| FactKind::Responded { manner, with_whom: Some("x".to_owned()) }),
        prop_oneof![Just("site-access"), Just("client-decision"), Just("not-allowed")]
            .prop_map(|reason| FactKind::Paused { reason: reason.parse().unwrap(), note: None }),
        Just(FactKind::Resumed),
        Just(FactKind::Restored),
        Just(FactKind::Resolved),
        Just(FactKind::Reopened),
        Just(FactKind::Cancelled { why: CancelReason::Duplicate }),
        Just(FactKind::Updated { note: None }),
        Just(FactKind::VisitReported),
        Just(FactKind::RestoreTested),
        (0..2_usize, any::<bool>()).prop_map(|(index, is_bought)| {
            let (why, index) = if is_bought { (TermsChange::Expedite, 2) } else { (TermsChange::Priority, index) };
            FactKind::TermsChanged { why, terms: Box::new(changes()[index].clone()) }
        }),
        (1..9_u64).prop_map(|item| FactKind::Disputed { item, why: "no".to_owned() }),
        (1..9_u64, any::<bool>()).prop_map(|(item, is_right)| {
            let outcome = if is_right { DisputeOutcome::ClientIsRight } else { DisputeOutcome::ProviderIsRight };
            FactKind::DisputeSettled { item, outcome }
        }),
        Just(FactKind::HandedOver { maker: "acme".parse().unwrap(), reference: None }),
    ]
}

/// Facts of two weeks at any millisecond, each recorded up to a day after it took effect.
fn ledger() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (0..14 * 86_400_000_i64, 0..86_400_000_i64, kind());
    proptest::collection::vec(fact, 0..12).prop_map(|facts| {
        facts
            .into_iter()
            .zip(1..)
            .map(|((effective, lag, kind), number)| Fact {
                number,
                effective_at: millis_after_start(effective),
                recorded_at: millis_after_start(effective + lag),
                who: "ana".to_owned(),
                kind,
            })
            .collect()
    })
}

fn apply(effects: Vec<Effect>, told: &mut Vec<Announced>) {
    for effect in effects {
        match effect {
            Effect::Announce { announced } => told.push(announced),
            Effect::Withdraw { announced, .. } => told.retain(|known| *known != announced),
        }
    }
}

/// Without a due comes last.
fn order(due: DueAt) -> Timestamp {
    due.instant().unwrap_or(Timestamp::MAX)
}

fn dated(told: &[Announced]) -> Vec<(upheld_agreement::clock::Milestone, Timestamp)> {
    let mut dated: Vec<_> = told.iter().map(|told| (told.milestone, told.due_at)).collect();
    dated.sort();
    dated
}

/// Whoever wakes at each deadline tells everything at its instant, and has nothing left to tell.
fn wake_at_every_deadline(terms: &PinnedTerms, facts: &[Fact]) -> Result<(), TestCaseError> {
    let end = after_start(40 * 86_400);
    for stage in terms.stages() {
        let clock = Clock::replay(terms, stage, &start(), facts).unwrap();
        let (mut told, mut now) = (Vec::new(), start().received);
        while let Some(next) = clock.next_deadline(now).filter(|&next| next <= end) {
            prop_assert!(next > now);
            let effects = clock.milestones_due(next, &told);
            for effect in &effects {
                match effect {
                    Effect::Announce { announced } => prop_assert_eq!(announced.due_at, next, "told in time"),
                    Effect::Withdraw { .. } => prop_assert!(false, "nothing was told wrongly"),
                }
            }
            apply(effects, &mut told);
            now = next;
        }
        prop_assert_eq!(clock.milestones_due(end, &told), vec![]);
    }
    Ok(())
}

/// Once, a clock whose end was known already did not wake at a change of its terms before that end, and what the new terms
/// made fall due was told late or not at all.
#[test]
fn a_clock_that_ends_after_a_change_of_terms_wakes_at_the_change() {
    for terms in all_terms() {
        for new in &changes()[..2] {
            let fact = |number, effective_at, kind| Fact {
                number,
                effective_at,
                recorded_at: effective_at,
                who: "ana".to_owned(),
                kind,
            };
            let kind = FactKind::TermsChanged { why: TermsChange::Priority, terms: Box::new(new.clone()) };
            let facts = [fact(1, millis_after_start(1), kind), fact(2, at("2026-11-17T16:00:00Z"), FactKind::Restored)];
            wake_at_every_deadline(terms, &facts).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_facts_arrive_does_not_show(
        terms in terms(),
        facts in ledger(),
        order in proptest::collection::vec(any::<u64>(), 12),
        at_s in 0..20 * 86_400_i64,
    ) {
        let mut shuffled: Vec<_> = facts.iter().zip(&order).map(|(fact, key)| (*key, fact.clone())).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let twice: Vec<Fact> = shuffled.iter().chain(&shuffled).map(|(_, fact)| fact.clone()).collect();
        let now = after_start(at_s);
        for stage in terms.stages() {
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            let other = Clock::replay(terms, stage, &start(), &twice).unwrap();
            prop_assert_eq!(clock.view(now), other.view(now));
            prop_assert_eq!(clock.next_deadline(now), other.next_deadline(now));
            prop_assert_eq!(clock.explain(terms, now), other.explain(terms, now));
        }
    }

    #[test]
    fn what_was_told_live_ends_as_what_a_replay_tells(terms in terms(), facts in ledger()) {
        let mut by_receipt = facts.clone();
        by_receipt.sort_by_key(|fact| (fact.recorded_at, fact.number));
        let end = after_start(40 * 86_400);
        for stage in terms.stages() {
            let mut live = Vec::new();
            for known in 1..=by_receipt.len() {
                let clock = Clock::replay(terms, stage, &start(), &by_receipt[..known]).unwrap();
                apply(clock.milestones_due(by_receipt[known - 1].recorded_at, &live), &mut live);
            }
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            apply(clock.milestones_due(end, &live), &mut live);
            let mut replayed = Vec::new();
            apply(clock.milestones_due(end, &replayed), &mut replayed);
            prop_assert_eq!(dated(&live), dated(&replayed));
            prop_assert_eq!(clock.milestones_due(end, &live), vec![]);
        }
    }

    #[test]
    fn waking_at_every_deadline_misses_nothing(terms in terms(), facts in ledger()) {
        wake_at_every_deadline(terms, &facts)?;
    }

    #[test]
    fn acknowledging_never_satisfies_respond(terms in terms(), facts in ledger()) {
        let acknowledged: Vec<Fact> = facts
            .into_iter()
            .filter(|fact| !matches!(fact.kind, FactKind::Responded { .. }))
            .collect();
        let clock = Clock::replay(terms, Stage::Respond, &start(), &acknowledged).unwrap();
        let state = clock.view(after_start(40 * 86_400)).state;
        let is_met = matches!(state, ClockState::Met { .. } | ClockState::MetLate { .. });
        prop_assert!(!is_met, "{state:?}");
    }

    #[test]
    fn a_disputed_pause_is_never_due_later_if_the_client_is_right(
        terms in terms(),
        facts in ledger(),
        disputed in 0..12_usize,
        at_s in 0..20 * 86_400_i64,
    ) {
        let mut facts: Vec<Fact> =
            facts.into_iter().filter(|fact| !matches!(fact.kind, FactKind::Disputed { .. })).collect();
        let pauses: Vec<u64> =
            facts.iter().filter(|fact| matches!(fact.kind, FactKind::Paused { .. })).map(|fact| fact.number).collect();
        let Some(&item) = pauses.get(disputed % pauses.len().max(1)) else { return Ok(()) };
        let said = after_start(0);
        let kind = FactKind::Disputed { item, why: "no".to_owned() };
        facts.retain(|fact| !matches!(fact.kind, FactKind::DisputeSettled { item: settled, .. } if settled == item));
        facts.push(Fact { number: 99, effective_at: said, recorded_at: said, who: "client".to_owned(), kind });
        let now = after_start(at_s);
        for stage in [Stage::Acknowledge, Stage::Respond, Stage::Workaround, Stage::Resolve] {
            let Ok(clock) = Clock::replay(terms, stage, &start(), &facts) else { continue };
            let view = clock.view(now);
            let Some(other) = view.if_client_is_right else { continue };
            prop_assert!(order(other.due) <= order(view.due), "{:?} and {:?}", other.due, view.due);
            prop_assert!(other.counted_s >= view.counted_s);
        }
    }

    #[test]
    fn a_rider_bought_for_one_incident_never_lengthens(facts in ledger(), bought_s in 0..14 * 86_400_i64) {
        let terms = &changes()[0];
        let is_change = |fact: &Fact| matches!(fact.kind, FactKind::TermsChanged { .. });
        let facts: Vec<Fact> = facts.into_iter().filter(|fact| !is_change(fact)).collect();
        let at = after_start(bought_s);
        let kind = FactKind::TermsChanged { why: TermsChange::Expedite, terms: Box::new(changes()[2].clone()) };
        let bought = Fact { number: 99, effective_at: at, recorded_at: at, who: "ana".to_owned(), kind };
        let with: Vec<Fact> = facts.iter().cloned().chain([bought]).collect();
        let due = |facts: &[Fact]| {
            let clock = Clock::replay(terms, Stage::Respond, &start(), facts).unwrap();
            order(clock.view(after_start(20 * 86_400)).due)
        };
        prop_assert!(due(&with) <= due(&facts));
    }

    #[test]
    fn the_rows_of_an_explanation_follow_each_other_and_add_up(
        terms in terms(),
        facts in ledger(),
        at_s in 0..20 * 86_400_i64,
    ) {
        let now = after_start(at_s);
        for stage in terms.stages() {
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            let explained = clock.explain(terms, now);
            prop_assert!(explained.rows.windows(2).all(|pair| pair[0].to == pair[1].from));
            let past: u64 = explained.rows.iter().filter(|row| row.is_past).map(|row| row.counted_s).sum();
            prop_assert_eq!(past, explained.clock.counted_s);
            let reaches_due = explained.clock.breached_at.is_none() && explained.clock.due.instant().is_some();
            if let (true, Some(promised), false) = (reaches_due, explained.promised_s, explained.rows.is_empty()) {
                let all: u64 = explained.rows.iter().map(|row| row.counted_s).sum();
                prop_assert_eq!(all, promised);
                prop_assert_eq!(explained.rows.last().and_then(|row| row.left_s), Some(0));
            }
        }
    }

    #[test]
    fn an_explanation_is_the_same_in_text_cells_and_json(
        terms in terms(),
        facts in ledger(),
        at_s in 0..20 * 86_400_i64,
    ) {
        let now = after_start(at_s);
        for clock in Clock::replay_all(terms, &start(), &facts).unwrap() {
            let explained = clock.explain(terms, now);
            let json = serde_json::to_string(&explained).unwrap();
            let read: upheld_agreement::explain::Explanation = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read, &explained);
            prop_assert_eq!((read.headline(), read.cells(), read.notes()), (explained.headline(), explained.cells(), explained.notes()));
            // The text is the headline, the cells and the notes, and nothing else but the head of the table.
            let text = explained.text();
            let mut lines = text.lines();
            let headline = format!("{}: {}", explained.name(), explained.headline());
            prop_assert_eq!(lines.next(), Some(headline.as_str()));
            let cells = explained.cells();
            let past = explained.rows.iter().filter(|row| row.is_past).count();
            if !cells.is_empty() {
                let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
                prop_assert_eq!(head, ["from", "to", "counted", "left", "why"]);
            }
            for (index, cells) in cells.iter().enumerate() {
                if index == past {
                    prop_assert_eq!(lines.next().map(str::trim), Some(explained.divider()));
                }
                let line = lines.next().unwrap();
                let said: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
                let all = [&cells.from, &cells.to, &cells.counted, &cells.left, &cells.why, &cells.source];
                let all: Vec<&str> = all.into_iter().map(String::as_str).filter(|cell| !cell.is_empty()).collect();
                prop_assert_eq!(said, all);
            }
            for note in explained.notes() {
                prop_assert_eq!(lines.next(), Some(note.as_str()));
            }
            let rest: Vec<&str> = lines.collect();
            let terms_text = explained.terms_text();
            prop_assert_eq!(rest, terms_text.lines().collect::<Vec<_>>());
            // Version, rule and calendar are named, and every pause that took covered time.
            let is_named = terms_text.contains(&explained.version) && explained.rule.contains(explained.calendar.as_str());
            prop_assert!(is_named || explained.rule.contains("next business day"));
            for row in &explained.rows {
                prop_assert!(!row.source.is_empty() && row.from < row.to);
            }
        }
    }

    #[test]
    fn a_live_clock_and_a_case_answer_the_same_for_an_amendment(
        mode in 0..4_usize,
        first_h in 1..40_u64,
        next_h in 1..40_u64,
        change_h in 1..200_i64,
        begins_s in 0..10 * 86_400_i64,
    ) {
        let detected = after_start(begins_s);
        let change = detected + SignedDuration::from_hours(change_h);
        let (word, mode) = [
            ("carry_elapsed", AmendMode::CarryElapsed),
            ("prorate", AmendMode::Prorate),
            ("restart_from_change", AmendMode::RestartFromChange),
            ("restart_from_start", AmendMode::RestartFromStart),
        ][mode];
        // The second version changes the plan, so that one target stands on each side.
        let mut files = common::built();
        // A resolution shorter than the response is refused, and is not what is looked at.
        common::edit(&mut files, GOLD, "within = \"16h\"", "within = \"400h\"");
        let plan = files[GOLD].clone();
        files.insert("plans/other.toml".to_owned(), plan);
        let (plain, other) = ("within = \"4h\"\ncalendar = \"business\"", format!("within = \"{next_h}h\"\ncalendar = \"24x7\""));
        common::edit(&mut files, "plans/other.toml", plain, &other);
        common::edit(&mut files, GOLD, "within = \"4h\"", &format!("within = \"{first_h}h\""));
        common::edit(&mut files, SSA, "effective_from = 2026-11-03", &format!("effective_from = {change}\nplan = \"other\""));
        common::edit(&mut files, SSA, "riders = [\"premium-response\"]\nopen_incidents = \"carry_elapsed\"", &format!("open_incidents = \"{word}\""));
        let book = Book::read(&files).unwrap();
        let terms = resolve(&book, &recorder_down(&detected.to_string())).unwrap();
        prop_assert_eq!(terms.amendments.len(), 1);
        let version = |effective_from, name: &str, hours: u64| Version {
            effective_from,
            calendar: Calendar::compile(&book.calendars[&name.parse().unwrap()]).unwrap(),
            target_s: hours * 3600,
        };
        let versions = [version(None, "business", first_h), version(Some(change), "24x7", next_h)];
        let expected = amend(detected, mode, &versions, &[]).unwrap();
        let clock = Clock::replay(&terms, Stage::Respond, &ClockStart::new(detected, detected), &[]).unwrap();
        let view = clock.view(after_start(60 * 86_400));
        prop_assert_eq!(view.due.instant(), expected.due.due.at());
        // Before the change nothing is amended, and a breach of that time is not taken back.
        let before = clock.view(change - SignedDuration::from_secs(1));
        let first = versions[0].calendar.due(detected, versions[0].target_s, &[]).at();
        prop_assert_eq!(before.due.instant(), first);
        if first.is_some_and(|first| first < change) {
            prop_assert_eq!(view.breached_at, first);
        }
    }

    #[test]
    fn a_rider_never_lengthens(hours in 1..40_u64, calendar in prop_oneof![Just("24x7"), Just("business")], begins in 0..30 * 86_400_i64) {
        let without = book(&[("clients/northgate/ssa.toml", "riders = [\"premium-response\"]", "riders = []")]);
        let rider = format!("within = \"{hours}h\"\ncalendar = \"{calendar}\"");
        let with = book(&[("plans/premium-response.toml", "within = \"1h\"\ncalendar = \"24x7\"", &rider)]);
        let detected = after_start(begins);
        let due = |book| {
            let terms = &resolve(book, &recorder_down(&detected.to_string())).unwrap();
            let start = ClockStart::new(detected, detected);
            Clock::replay(terms, Stage::Respond, &start, &[]).unwrap().view(detected).due.instant().unwrap()
        };
        prop_assert!(due(&with) <= due(&without));
    }
}
