//! The stages that come again, changes of terms, disputes and the manufacturer, as lists of operations with times that
//! were computed by hand (TERMS 2, 4 and 5).

use jiff::Timestamp;
use small::{book, clock, drive, due, fact, late, on, on_site, paused, phone, query, start, terms, updated};
use upheld_agreement::{
    book::Exclusion,
    clock::{
        Calendars, CancelReason, Cause, Clock, ClockState, Counting, DisputeOutcome, DueAt, Fact, FactKind,
        ManufacturerClock, ManufacturerState, TermsChange, cause, current_terms, disputes,
    },
    matching::{Set, expedited, reprioritised, resolve},
    outcome::{Kept, outcomes},
    terms::PinnedTerms,
    words::{Priority, Stage},
};

mod small;

#[test]
fn an_update_is_due_again_from_the_last_one_or_from_the_due_that_was_missed() {
    let terms = terms(&[]);
    let none = clock(&terms, Stage::Update, "16 16:10", &[]);
    assert_eq!(due(&none, "16 16:10"), Some(on("17 08:10")), "1 h 50 m on Monday, ten minutes on Tuesday");
    let told = [fact(1, "16 17:00", updated())];
    let once = clock(&terms, Stage::Update, "16 16:10", &told);
    assert_eq!(due(&once, "16 17:30"), Some(on("17 09:00")));
    let view = once.view(on("17 12:00"));
    assert_eq!((view.missed, view.breached_at), (vec![on("17 09:00"), on("17 11:00")], Some(on("17 09:00"))));
    assert_eq!((view.due, view.counted_s, view.remaining_s), (DueAt::At { at: on("17 13:00") }, 3600, Some(3600)));
    assert_eq!(view.state, ClockState::Running { counting: Counting::Counted });
    let said = once.explain(&terms, on("17 12:00"));
    assert_eq!(said.headline(), "1 h left, due Tue 17 Nov 13:00:00 UTC (2 h covered, 50 % used)");
    assert!(said.notes().contains(&"Missed: due Tue 17 Nov 09:00:00 UTC, Tue 17 Nov 11:00:00 UTC.".to_owned()));
    assert!(said.rule.starts_with("update every 2 h of calendar `business`"), "{}", said.rule);
    let twice = [told[0].clone(), fact(2, "17 12:30", updated())];
    assert_eq!(due(&clock(&terms, Stage::Update, "16 16:10", &twice), "17 13:00"), Some(on("17 14:30")));
    let kept = [fact(1, "16 17:00", updated()), fact(2, "17 09:00", updated())];
    let kept = clock(&terms, Stage::Update, "16 16:10", &kept).view(on("17 09:30"));
    assert_eq!((kept.missed, kept.due), (vec![], DueAt::At { at: on("17 11:00") }), "at the very due is in time");
}

#[test]
fn each_missed_update_is_an_outcome_of_its_own() {
    let terms = terms(&[]);
    let come_out = |facts: &[Fact], as_of: &str| -> Vec<(u32, Kept, Option<Timestamp>)> {
        let all = outcomes(&terms, &start("16 16:10"), facts, &mut Calendars::default(), on(as_of)).unwrap();
        let updates = all.into_iter().filter(|outcome| outcome.stage == Stage::Update);
        updates.map(|outcome| (outcome.round, outcome.kept, outcome.breached_at)).collect()
    };
    let told = [fact(1, "16 17:00", updated()), fact(2, "17 12:00", FactKind::Restored)];
    let (first, second) = (Some(on("17 09:00")), Some(on("17 11:00")));
    assert_eq!(come_out(&told[..1], "17 08:00"), [(1, Kept::Open, None)]);
    assert_eq!(come_out(&told[..1], "17 10:00"), [(1, Kept::Missed, first)]);
    assert_eq!(come_out(&told[..1], "17 11:30"), [(1, Kept::Missed, first), (2, Kept::Missed, second)]);
    assert_eq!(come_out(&told, "17 18:00"), [(1, Kept::Missed, first), (2, Kept::Late, second)]);
}

#[test]
fn updates_end_with_the_incident_and_go_on_when_it_is_reopened() {
    let terms = terms(&[]);
    let facts = [
        fact(1, "17 08:30", updated()),
        fact(2, "17 09:00", FactKind::Restored),
        fact(3, "17 10:00", updated()),
        fact(4, "17 12:00", FactKind::Reopened),
    ];
    let restored = clock(&terms, Stage::Update, "17 08:00", &facts[..2]).view(on("17 18:00"));
    assert_eq!((restored.state, restored.missed), (ClockState::Met { at: on("17 09:00") }, vec![]));
    let reopened = clock(&terms, Stage::Update, "17 08:00", &facts);
    assert_eq!(due(&reopened, "17 12:00"), Some(on("17 13:30")), "half an hour of two was used");
    assert_eq!(reopened.view(on("17 13:45")).missed, [on("17 13:30")]);
    let cancelled = [fact(1, "17 11:00", FactKind::Cancelled { why: CancelReason::Merged })];
    let view = clock(&terms, Stage::Update, "17 08:00", &cancelled).view(on("17 18:00"));
    assert_eq!(view.state, ClockState::Cancelled { at: on("17 11:00"), why: CancelReason::Merged });
    assert_eq!(view.missed, [on("17 10:00")], "a breach stays");
}

#[test]
fn a_pause_holds_the_update_that_it_falls_into_and_no_later_one() {
    let terms = terms(&[]);
    let facts = [
        fact(1, "17 09:00", paused()),
        fact(2, "17 09:30", updated()),
        fact(3, "17 10:00", FactKind::Resumed),
        fact(4, "17 11:00", updated()),
    ];
    let held = clock(&terms, Stage::Update, "17 08:00", &facts[..2]);
    assert_eq!(held.view(on("17 09:45")).due, DueAt::Paused, "the pause began before the update and goes on");
    let resumed = clock(&terms, Stage::Update, "17 08:00", &facts[..3]);
    assert_eq!(due(&resumed, "17 10:00"), Some(on("17 12:00")));
    assert_eq!(due(&clock(&terms, Stage::Update, "17 08:00", &facts), "17 11:00"), Some(on("17 13:00")));
}

#[test]
fn each_missed_update_is_a_breach_of_its_own_and_a_late_one_withdraws_what_followed() {
    let terms = terms(&[]);
    let running = clock(&terms, Stage::Update, "17 08:00", &[]);
    assert_eq!(running.next_deadline(on("17 08:00")), Some(on("17 09:30")));
    let mut told = Vec::new();
    let said = drive(&running, "17 13:00", &mut told);
    assert_eq!(said, ["warning 75 % 17 09:30", "breach 17 10:00", "warning 75 % 17 11:30", "breach 17 12:00"]);
    assert_eq!(running.next_deadline(on("17 13:00")), Some(on("17 13:30")));
    let logged_afterwards = [late(1, "17 10:30", "17 13:00", updated())];
    let replayed = clock(&terms, Stage::Update, "17 08:00", &logged_afterwards);
    let said = drive(&replayed, "17 13:00", &mut told);
    assert_eq!(
        said,
        [
            "withdrawn warning 75 % 17 11:30: fact Some(1)",
            "withdrawn breach 17 12:00: fact Some(1)",
            "warning 75 % 17 12:00",
            "breach 17 12:30",
        ]
    );
}

#[test]
fn a_visit_is_reported_within_its_time_and_without_one_nothing_is_due() {
    let terms = terms(&[]);
    let stage = Stage::VisitReport;
    let waiting = clock(&terms, stage, "16 08:00", &[]).view(on("16 12:00"));
    assert_eq!((waiting.state, waiting.due), (ClockState::Scheduled { begins: None }, DueAt::NotBegun));
    let facts = [
        fact(1, "16 14:00", on_site()),
        fact(2, "16 16:00", FactKind::Resolved),
        fact(3, "17 09:00", FactKind::VisitReported),
        fact(4, "18 09:00", FactKind::Reopened),
        fact(5, "18 10:00", on_site()),
    ];
    let visited = clock(&terms, stage, "16 08:00", &facts[..2]);
    assert_eq!(due(&visited, "16 17:00"), Some(on("17 14:00")), "resolving it does not end it");
    assert_eq!(visited.view(on("17 15:00")).missed, [on("17 14:00")]);
    let reported = clock(&terms, stage, "16 08:00", &facts[..3]).view(on("17 18:00"));
    assert_eq!(reported.state, ClockState::Met { at: on("17 09:00") });
    assert_eq!(due(&clock(&terms, stage, "16 08:00", &facts), "18 11:00"), Some(on("19 10:00")), "the second visit");
    let unvisited = clock(&terms, stage, "16 08:00", &facts[1..2]).view(on("17 18:00"));
    assert_eq!(unvisited.state, ClockState::Cancelled { at: on("16 16:00"), why: CancelReason::Resolved });
}

#[test]
fn a_restore_test_is_due_after_the_repair_and_falls_with_a_relapse() {
    let terms = terms(&[]);
    let stage = Stage::RestoreTest;
    let facts = [
        fact(1, "16 14:00", FactKind::Restored),
        fact(2, "16 14:00", FactKind::Resolved),
        fact(3, "17 20:00", FactKind::Reopened),
        fact(4, "18 09:00", FactKind::Restored),
        fact(5, "18 15:00", FactKind::RestoreTested),
    ];
    let view = |known: usize, now: &str| clock(&terms, stage, "16 08:00", &facts[..known]).view(on(now));
    assert_eq!(view(0, "16 12:00").state, ClockState::Scheduled { begins: None });
    assert_eq!(view(2, "16 15:00").due, DueAt::At { at: on("17 14:00") });
    let fallen = view(3, "17 21:00");
    assert_eq!((fallen.state, fallen.missed), (ClockState::Scheduled { begins: None }, vec![on("17 14:00")]));
    assert_eq!(view(4, "18 10:00").due, DueAt::At { at: on("19 09:00") });
    assert_eq!(view(5, "18 16:00").state, ClockState::MetLate { at: on("18 15:00") }, "the first was missed");
}

/// A change of priority as a fact.
fn changed(number: u64, when: &str, from: &PinnedTerms, priority: Priority) -> Fact {
    let set = Set { priority: Some(priority), ..Set::default() };
    let terms = reprioritised(&book(&[]), &query(on("16 08:00")), from, set, "ana").unwrap();
    assert_eq!(terms.priority, priority);
    fact(number, when, FactKind::TermsChanged { why: TermsChange::Priority, terms: Box::new(terms) })
}

/// The terms of an incident that is of priority P3 from the beginning.
fn less_pressing() -> PinnedTerms {
    let low = ("catalogue.toml", "urgency = \"high\"", "urgency = \"low\"");
    let terms = terms(&[low]);
    assert_eq!(terms.priority, Priority::P3);
    PinnedTerms { version_hash: small::terms(&[]).version_hash, ..terms }
}

#[test]
fn a_change_of_priority_carries_the_counted_seconds_over() {
    let (high, low) = (terms(&[]), less_pressing());
    let resolve = |terms, facts: &[Fact]| clock(terms, Stage::Resolve, "16 08:00", facts);
    let tightened = resolve(&low, &[changed(1, "17 08:00", &low, Priority::P1)]);
    assert_eq!(due(&tightened, "16 18:00"), Some(on("19 18:00")), "forty hours before it is changed");
    assert_eq!(due(&tightened, "17 08:00"), Some(on("17 14:00")), "ten of sixteen hours are used");
    let no_breach_in_the_past = resolve(&low, &[changed(1, "18 09:00", &low, Priority::P1)]);
    let view = no_breach_in_the_past.view(on("18 10:00"));
    assert_eq!(
        (view.due, view.breached_at),
        (DueAt::At { at: on("18 11:00") }, None),
        "the change and two hours' grace"
    );
    let loosened = resolve(&high, &[changed(1, "17 08:00", &high, Priority::P3)]);
    assert_eq!(due(&loosened, "17 08:00"), Some(on("19 18:00")));
    let too_late = resolve(&high, &[changed(1, "17 15:00", &high, Priority::P3)]).view(on("17 16:00"));
    assert_eq!((too_late.due, too_late.breached_at), (DueAt::At { at: on("17 14:00") }, Some(on("17 14:00"))));
    let there_and_back = [changed(1, "17 08:00", &low, Priority::P1), changed(2, "17 10:00", &low, Priority::P4)];
    assert_eq!(due(&resolve(&low, &there_and_back), "17 11:00"), Some(on("19 18:00")), "nothing is lost on the way");
}

#[test]
fn a_change_of_priority_is_told_in_the_explanation() {
    let low = less_pressing();
    let clock = clock(&low, Stage::Resolve, "16 08:00", &[changed(1, "17 08:00", &low, Priority::P1)]);
    let said = clock.explain(&low, on("17 09:00"));
    let note = "From Tue 17 Nov 08:00:00 UTC: SSA-1 v1: priority P1, seconds carried over (ana).";
    assert!(said.notes().contains(&note.to_owned()), "{:?}", said.notes());
    assert!(said.terms_text().contains("priority P1, before P3: changed by ana"), "{}", said.terms_text());
    assert_eq!(said.source, "plans/p.toml target 4");
}

#[test]
fn what_a_higher_priority_promises_for_the_first_time_counts_from_the_change() {
    let low = less_pressing();
    let facts = [changed(1, "17 08:00", &low, Priority::P1)];
    let stages = |facts: &[Fact]| -> Vec<Stage> {
        Clock::replay_all(&low, &start("16 08:00"), facts).unwrap().iter().map(Clock::stage).collect()
    };
    assert_eq!(stages(&[]), [Stage::Respond, Stage::Resolve]);
    assert_eq!(stages(&facts).len(), 6);
    let update = clock(&low, Stage::Update, "16 08:00", &facts);
    assert_eq!(update.view(on("16 12:00")).state, ClockState::Scheduled { begins: Some(on("17 08:00")) });
    assert_eq!(due(&update, "17 08:30"), Some(on("17 10:00")));
    assert_eq!(update.view(on("17 13:00")).missed, [on("17 10:00"), on("17 12:00")]);
    let over = [fact(1, "16 17:00", FactKind::Resolved), changed(2, "17 08:00", &low, Priority::P1)];
    let never = clock(&low, Stage::Update, "16 08:00", &over).view(on("17 13:00"));
    assert_eq!(never.state, ClockState::Cancelled { at: on("16 17:00"), why: CancelReason::Resolved });
}

#[test]
fn the_running_update_is_tightened_with_the_rest() {
    let slow = (
        "plans/p.toml",
        "[[target]]\nstage = \"respond\"\npriority = [\"P2\"",
        "[[target]]\nstage = \"update\"\npriority = [\"P2\", \"P3\"]\nevery = \"8h\"\ncalendar = \"business\"\n\n[[target]]\nstage = \"respond\"\npriority = [\"P2\"",
    );
    let book = book(&[slow]);
    let high = resolve(&book, &query(on("16 08:00"))).unwrap();
    let change = |from: &PinnedTerms, priority| {
        let set = Set { priority: Some(priority), ..Set::default() };
        reprioritised(&book, &query(on("16 08:00")), from, set, "ana").unwrap()
    };
    let low = change(&high, Priority::P3);
    let terms = Box::new(change(&low, Priority::P1));
    let facts = [fact(1, "16 11:00", FactKind::TermsChanged { why: TermsChange::Priority, terms })];
    let update = clock(&low, Stage::Update, "16 08:00", &facts);
    assert_eq!(due(&update, "16 10:00"), Some(on("16 16:00")), "every eight hours");
    let view = update.view(on("16 11:30"));
    assert_eq!(view.missed, [on("16 11:00")], "three of two hours are used: due at the change, not before it");
    assert_eq!(view.due, DueAt::At { at: on("16 13:00") });
}

#[test]
fn a_rider_bought_for_one_incident_counts_from_then_and_lengthens_nothing() {
    let (book, query, terms) = (book(&[]), query(on("16 08:00")), terms(&[]));
    let bought = |number, when: &str| {
        let fast = expedited(&book, &query, &terms, &"fast".parse().unwrap(), on(when), "ana").unwrap();
        assert_eq!(fast.expedited[0].price, book.riders[&"fast".parse().unwrap()].price);
        fact(number, when, FactKind::TermsChanged { why: TermsChange::Expedite, terms: Box::new(fast) })
    };
    let respond = |facts: &[Fact]| clock(&terms, Stage::Respond, "16 16:10", facts);
    assert_eq!(due(&respond(&[]), "16 17:00"), Some(on("17 10:10")));
    let early = respond(&[bought(1, "16 17:00")]);
    assert_eq!(due(&early, "16 16:30"), Some(on("17 10:10")), "before it is bought");
    assert_eq!(due(&early, "16 17:00"), Some(on("16 18:00")), "an hour, round the clock, from then");
    assert_eq!(early.view(on("16 17:30")).source, "plans/fast.toml override 1");
    let late = respond(&[bought(1, "17 09:30")]);
    assert_eq!(due(&late, "17 09:45"), Some(on("17 10:10")), "the earlier due counts");
    let met = respond(&[bought(1, "16 17:00"), fact(2, "16 17:50", phone())]).view(on("16 19:00"));
    assert_eq!(met.state, ClockState::Met { at: on("16 17:50") });
    let mut told = Vec::new();
    assert_eq!(drive(&respond(&[]), "17 09:20", &mut told), ["warning 50 % 17 08:10", "warning 75 % 17 09:10"]);
    assert_eq!(drive(&late, "17 09:45", &mut told), [""; 0], "what was told stays told");
    let fast = current_terms(&terms, std::slice::from_ref(&bought(1, "16 17:00"))).clone();
    assert!(expedited(&book, &query, &fast, &"fast".parse().unwrap(), on("16 18:00"), "ana").is_err());
    let set = Set { priority: Some(Priority::P4), ..Set::default() };
    let both = reprioritised(&book, &query, &fast, set, "ana").unwrap();
    assert_eq!(both.riders, fast.riders, "what was bought stays bought");
}

#[test]
fn a_disputed_pause_is_counted_both_ways_until_settled() {
    let terms = terms(&[]);
    let disputed = FactKind::Disputed { item: 1, why: "the gate was open".to_owned() };
    let settled = |outcome| FactKind::DisputeSettled { item: 1, outcome };
    let mut facts = vec![
        fact(1, "17 09:00", paused()),
        fact(2, "17 11:00", FactKind::Resumed),
        fact(3, "17 12:00", disputed),
        fact(4, "17 15:30", FactKind::Resolved),
    ];
    let resolve = |facts: &[Fact]| clock(&terms, Stage::Resolve, "16 08:00", facts);
    let open = resolve(&facts[..3]);
    let view = open.view(on("17 12:30"));
    let other = view.if_client_is_right.clone().unwrap();
    assert_eq!((view.due, other.due), (DueAt::At { at: on("17 16:00") }, DueAt::At { at: on("17 14:00") }));
    assert_eq!((view.counted_s, other.counted_s), (12 * 3600 + 1800, 14 * 3600 + 1800));
    let view = open.view(on("17 15:00"));
    assert_eq!((view.breached_at, view.if_client_is_right.unwrap().breached_at), (None, Some(on("17 14:00"))));
    assert_eq!(open.view(on("17 11:30")).if_client_is_right, None, "nothing was disputed yet");
    let said = open.explain(&terms, on("17 15:00"));
    let notes = said.notes();
    let disputed = "Disputed by ana Tue 17 Nov 12:00:00 UTC: fact 1, paused for site-access Tue 17 Nov 09:00:00 UTC by ana: \
                    the gate was open; not settled.";
    assert!(notes.contains(&disputed.to_owned()), "{notes:?}");
    assert!(
        notes.contains(
            &"If the client is right: due Tue 17 Nov 14:00:00 UTC, 17 h counted, missed Tue 17 Nov 14:00:00 UTC."
                .to_owned()
        ),
        "{notes:?}"
    );
    assert!(said.cells().iter().any(|cells| cells.why == "paused: site-access (ana, disputed)"));
    let respond = clock(&terms, Stage::Respond, "16 08:00", &facts[..3]).view(on("17 15:00"));
    assert!(respond.disputes.is_empty(), "the response was not held by it");

    let mut told = Vec::new();
    let met = resolve(&facts);
    assert_eq!(met.view(on("17 16:00")).state, ClockState::Met { at: on("17 15:30") });
    assert_eq!(drive(&met, "17 16:30", &mut told), ["hand over 50 % 16 16:00"]);
    facts.push(fact(5, "17 17:00", settled(DisputeOutcome::ClientIsRight)));
    let won = resolve(&facts);
    let view = won.view(on("17 17:00"));
    assert_eq!((view.state, view.breached_at), (ClockState::MetLate { at: on("17 15:30") }, Some(on("17 14:00"))));
    assert_eq!(view.if_client_is_right, None);
    assert_eq!(
        drive(&won, "17 17:00", &mut told),
        ["breach 17 14:00"],
        "dated by its due, noticed when it was settled"
    );
    assert_eq!(won.view(on("17 16:30")).state, ClockState::Met { at: on("17 15:30") }, "the past can be asked");
    facts[4] = fact(5, "17 17:00", settled(DisputeOutcome::ProviderIsRight));
    let lost = resolve(&facts).view(on("17 17:00"));
    assert_eq!(
        (lost.breached_at, lost.disputes[0].settled.as_ref().unwrap().outcome),
        (None, DisputeOutcome::ProviderIsRight)
    );
}

#[test]
fn a_disputed_resolution_runs_on_in_the_clients_count() {
    let terms = terms(&[]);
    let facts = [
        fact(1, "17 10:00", FactKind::Restored),
        fact(2, "17 10:00", FactKind::Resolved),
        fact(3, "17 13:00", FactKind::Disputed { item: 2, why: "no picture".to_owned() }),
    ];
    let view = clock(&terms, Stage::Resolve, "16 08:00", &facts).view(on("17 15:00"));
    assert_eq!(view.state, ClockState::Met { at: on("17 10:00") });
    let other = view.if_client_is_right.unwrap();
    assert_eq!(other.state, ClockState::Running { counting: Counting::Counted });
    assert_eq!((other.counted_s, other.breached_at), (17 * 3600, Some(on("17 14:00"))));
    let respond = clock(&terms, Stage::Respond, "17 09:00", &facts).view(on("17 15:00"));
    assert_eq!(respond.state, ClockState::Cancelled { at: on("17 10:00"), why: CancelReason::Resolved });
    assert_eq!(respond.if_client_is_right.unwrap().breached_at, Some(on("17 13:00")));
}

#[test]
fn a_cause_holds_until_it_is_taken_back_or_struck() {
    let set = |number, when: &str, cause| fact(number, when, FactKind::CauseSet { cause, note: None });
    let mut facts = vec![set(1, "16 09:00", Some(Exclusion::Client)), set(2, "16 10:00", Some(Exclusion::Utility))];
    let found = cause(&facts).unwrap();
    assert_eq!((found.fact, found.cause, found.dispute.is_none()), (2, Exclusion::Utility, true));
    facts.push(fact(3, "16 11:00", FactKind::Disputed { item: 2, why: "the lights were on".to_owned() }));
    assert!(matches!(cause(&facts), Some(Cause { fact: 2, dispute: Some(_), .. })));
    let dispute = disputes(&facts).remove(0);
    assert_eq!(
        (dispute.what.as_str(), dispute.effective_at, dispute.by.as_str()),
        ("cause set", on("16 10:00"), "ana")
    );
    facts.push(fact(4, "16 12:00", FactKind::DisputeSettled { item: 2, outcome: DisputeOutcome::ClientIsRight }));
    assert_eq!(cause(&facts).unwrap().fact, 1, "what was set before it holds again");
    facts.push(set(5, "16 13:00", None));
    assert_eq!(cause(&facts), None);
}

#[test]
fn the_manufacturer_is_handed_it_at_the_fraction_unless_he_has_it() {
    let terms = terms(&[]);
    let handed = FactKind::HandedOver { maker: "acme".parse().unwrap(), reference: Some("RMA-7".to_owned()) };
    let mut told = Vec::new();
    let none = clock(&terms, Stage::Resolve, "16 08:00", &[]);
    assert_eq!(none.next_deadline(on("16 08:00")), Some(on("16 16:00")));
    assert_eq!(drive(&none, "16 16:00", &mut told), ["hand over 50 % 16 16:00"]);
    for (effective, recorded) in [("16 16:00", "16 16:00"), ("16 16:00", "16 17:00"), ("16 16:30", "16 17:00")] {
        let answer = [late(1, effective, recorded, handed.clone())];
        let answered = clock(&terms, Stage::Resolve, "16 08:00", &answer);
        assert_eq!(drive(&answered, recorded, &mut told), [""; 0], "{effective}: it was done on that message");
    }
    let late = [late(1, "16 15:00", "16 17:00", handed)];
    let told_too_early = drive(&clock(&terms, Stage::Resolve, "16 08:00", &late), "16 17:00", &mut told);
    assert_eq!(told_too_early, ["withdrawn hand over 50 % 16 16:00: fact Some(1)"]);
    let ended = ("clients/c/ssa.toml", "maker = \"acme\"", "maker = \"acme\", until = 2026-11-15");
    let ended = small::terms(&[ended]);
    assert_eq!(drive(&clock(&ended, Stage::Resolve, "16 08:00", &[]), "16 17:00", &mut Vec::new()), [""; 0]);
}

#[test]
fn the_manufacturers_clock_runs_in_his_hours_and_satisfies_none_of_ours() {
    let terms = terms(&[]);
    let facts = [
        fact(
            1,
            "16 15:00",
            FactKind::HandedOver { maker: "acme".parse().unwrap(), reference: Some("RMA-7".to_owned()) },
        ),
        fact(2, "17 10:00", FactKind::ManufacturerAnswered { with_whom: Some("second level".to_owned()) }),
    ];
    let his = |facts: &[Fact]| ManufacturerClock::replay(&terms, facts).unwrap().unwrap();
    assert_eq!(his(&[]).view(on("16 12:00")).state, ManufacturerState::NotHandedOver);
    let waiting = his(&facts[..1]);
    let view = waiting.view(on("16 20:00"));
    assert_eq!(view.state, ManufacturerState::Waiting { counting: Counting::OutsideCoverage });
    assert_eq!((view.due, view.counted_s), (DueAt::At { at: on("17 09:00") }, 3 * 3600));
    assert_eq!((view.reference.as_deref(), view.source.as_str()), (Some("RMA-7"), "manufacturers/acme.toml promises"));
    assert_eq!(waiting.next_deadline(on("16 20:00")), Some(on("17 09:00")));
    let answered = his(&facts).view(on("17 12:00"));
    assert!(matches!(answered.state, ManufacturerState::Answered { .. }));
    assert_eq!(answered.breached_at, Some(on("17 09:00")), "an hour too late");
    let ours = clock(&terms, Stage::Respond, "16 15:00", &facts).view(on("17 12:00"));
    assert_eq!(ours.state, ClockState::Running { counting: Counting::Counted });
    let next_day = ("manufacturers/acme.toml", "\"4h\"", "\"next business day\"");
    let next_day = ManufacturerClock::replay(&small::terms(&[next_day]), &facts[..1]).unwrap().unwrap();
    assert_eq!(next_day.view(on("16 20:00")).due, DueAt::At { at: on("17 23:59:59") });
    let over = [facts[0].clone(), fact(2, "16 16:00", FactKind::Resolved)];
    assert_eq!(his(&over).view(on("17 12:00")).state, ManufacturerState::NotNeeded { at: on("16 16:00") });
}

#[test]
fn a_wall_time_moves_by_whole_covered_dates_that_were_paused() {
    let low = less_pressing();
    let respond = |began: &str, facts: &[Fact]| clock(&low, Stage::Respond, began, facts);
    let pause = |from: &str, to: &str| [fact(1, from, paused()), fact(2, to, FactKind::Resumed)];
    for (began, paused, expected) in [
        ("16 15:59", None, "17 12:00"),
        ("16 16:00", None, "17 12:00"),
        ("16 16:01", None, "18 12:00"),
        ("20 17:00", None, "24 12:00"),
        ("21 10:00", None, "23 12:00"),
        ("16 10:00", Some(("17 08:00", "17 18:00")), "18 12:00"),
        ("16 10:00", Some(("17 08:01", "17 18:00")), "17 12:00"),
        ("16 10:00", Some(("16 12:00", "18 18:00")), "19 12:00"),
        ("16 10:00", Some(("20 08:00", "20 18:00")), "17 12:00"),
    ] {
        let facts = paused.map(|(from, to)| pause(from, to).to_vec()).unwrap_or_default();
        assert_eq!(due(&respond(began, &facts), "30 00:00"), Some(on(expected)), "{began} {paused:?}");
    }
    let open = [fact(1, "16 12:00", paused())];
    assert_eq!(respond("16 10:00", &open).view(on("16 13:00")).due, DueAt::Paused);
}
