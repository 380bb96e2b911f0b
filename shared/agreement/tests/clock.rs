//! Life cycles of clocks as lists of operations (TERMS 4 and 5).

use common::{at, book, recorder_down};
use jiff::Timestamp;
use upheld_agreement::{
    book::Exclusion,
    clock::{
        Announced, CancelReason, Clock, ClockStart, ClockState, Counting, DisputeOutcome, DueAt, Effect, Fact,
        FactKind, FactRefused, Milestone, TermsChange, admit,
    },
    matching::{self, Set, resolve},
    terms::{PinnedTerms, SetBy},
    words::{Level, Manner, Priority, Stage},
};

mod common;

/// Monday 16 November 2026, 16:10 in Chicago: 1 h 50 m before the office closes.
const DETECTED: &str = "2026-11-16T22:10:00Z";

/// The sample without its rider and factors, so that the plan's own hours are seen: respond 4 h, on-site 8 h, resolve 16 h.
fn plain() -> PinnedTerms {
    terms(&[])
}

fn terms(more: &[(&str, &str, &str)]) -> PinnedTerms {
    let mut edits = vec![
        ("clients/northgate/ssa.toml", "riders = [\"premium-response\"]", "riders = []"),
        ("clients/northgate/sites/plant-2.toml", "distance = \"far\"", "distance = \"near\""),
        ("catalogue.toml", "complexity = \"high\"\n", ""),
    ];
    edits.extend_from_slice(more);
    resolve(&book(&edits), &recorder_down(DETECTED)).unwrap()
}

fn with_rider() -> PinnedTerms {
    resolve(&book(&[]), &recorder_down(DETECTED)).unwrap()
}

fn start() -> ClockStart {
    ClockStart::new(at(DETECTED), at(DETECTED))
}

/// A fact in Chicago time of November 2026: `16 16:20` is Monday 16:20.
fn on_time(number: u64, when: &str, kind: FactKind) -> Fact {
    late(number, when, when, kind)
}

fn late(number: u64, when: &str, recorded: &str, kind: FactKind) -> Fact {
    Fact { number, effective_at: local(when), recorded_at: local(recorded), who: "ana".to_owned(), kind }
}

fn local(when: &str) -> Timestamp {
    let (day, time) = when.split_once(' ').unwrap();
    let text = format!("2026-11-{day}T{time}:00-06:00");
    at(&text)
}

fn phone() -> FactKind {
    FactKind::Responded { manner: Manner::Phone, with_whom: Some("the plant manager".to_owned()) }
}

fn responded(manner: Manner) -> FactKind {
    FactKind::Responded { manner, with_whom: None }
}

fn paused(reason: &str) -> FactKind {
    FactKind::Paused { reason: reason.parse().unwrap(), note: None }
}

fn clock(terms: &PinnedTerms, stage: Stage, facts: &[Fact]) -> Clock {
    Clock::replay(terms, stage, &start(), facts).unwrap()
}

fn due(clock: &Clock, now: &str) -> Option<Timestamp> {
    clock.view(local(now)).due.instant()
}

#[test]
fn a_response_clock_counts_covered_hours_and_is_met_by_a_call() {
    let terms = plain();
    let running = clock(&terms, Stage::Respond, &[]);
    assert_eq!(due(&running, "16 16:10"), Some(local("17 10:10")));
    let view = running.view(local("16 17:10"));
    assert_eq!((view.counted_s, view.remaining_s), (3600, Some(3 * 3600)));
    assert_eq!(view.state, ClockState::Running { counting: Counting::Counted });
    let evening = running.view(local("16 20:00"));
    assert_eq!(evening.state, ClockState::Running { counting: Counting::OutsideCoverage });
    assert_eq!(evening.counted_s, 6600);
    let met = clock(&terms, Stage::Respond, &[on_time(1, "16 16:32", phone())]).view(local("16 18:00"));
    assert_eq!(met.state, ClockState::Met { at: local("16 16:32") });
    assert_eq!((met.counted_s, met.breached_at), (22 * 60, None));
    assert_eq!(met.satisfied_by.unwrap().what, "responded by phone with the plant manager (ana)");
}

#[test]
fn acknowledging_and_an_unaccepted_manner_do_not_satisfy_respond() {
    let facts = [on_time(1, "16 16:20", FactKind::Acknowledged), on_time(2, "16 16:30", responded(Manner::OnSite))];
    let view = clock(&plain(), Stage::Respond, &facts).view(local("16 17:00"));
    assert_eq!(view.state, ClockState::Running { counting: Counting::Counted });
    let by_agreement =
        terms(&[("plans/gold.toml", "manner = [\"remote\", \"phone\"]", "satisfied_by = \"acknowledge\"")]);
    let view = clock(&by_agreement, Stage::Respond, &facts[..1]).view(local("16 17:00"));
    assert_eq!(view.state, ClockState::Met { at: local("16 16:20") });
}

#[test]
fn a_breach_is_dated_by_its_due_and_the_clock_runs_on_until_met_late() {
    let terms = plain();
    let breached = clock(&terms, Stage::Respond, &[]);
    let view = breached.view(local("17 11:10"));
    assert_eq!(view.breached_at, Some(local("17 10:10")));
    assert_eq!(view.state, ClockState::Running { counting: Counting::Counted });
    assert_eq!((view.remaining_s, view.overdue_s), (Some(0), 3600));
    let late = clock(&terms, Stage::Respond, &[on_time(1, "17 11:10", phone())]).view(local("17 12:00"));
    assert_eq!(late.state, ClockState::MetLate { at: local("17 11:10") });
    assert_eq!(late.breached_at, Some(local("17 10:10")));
}

#[test]
fn satisfied_at_the_very_due_is_in_time() {
    let at_due = clock(&plain(), Stage::Respond, &[on_time(1, "17 10:10", phone())]);
    assert_eq!(at_due.view(local("17 12:00")).state, ClockState::Met { at: local("17 10:10") });
    let mut second_later = on_time(1, "17 10:10", phone());
    second_later.effective_at = at("2026-11-17T16:10:01Z");
    second_later.recorded_at = second_later.effective_at;
    let late = clock(&plain(), Stage::Respond, &[second_later]).view(local("17 12:00"));
    assert_eq!(late.state, ClockState::MetLate { at: at("2026-11-17T16:10:01Z") });
}

#[test]
fn where_two_targets_hold_the_earlier_due_counts() {
    let terms = with_rider();
    let running = clock(&terms, Stage::Respond, &[]);
    assert_eq!(due(&running, "16 16:10"), Some(local("16 17:10")));
    assert_eq!(running.view(local("16 16:10")).source, "plans/premium-response.toml override 1");
    let met = clock(&terms, Stage::Respond, &[on_time(1, "16 17:00", phone())]).view(local("16 18:00"));
    assert_eq!(met.state, ClockState::Met { at: local("16 17:00") });
}

#[test]
fn pauses_stop_the_clock_for_allowed_reasons_only_and_end_by_themselves() {
    let terms = plain();
    let before = due(&clock(&terms, Stage::Resolve, &[]), "16 16:10").unwrap();
    assert_eq!(before, local("18 12:10"));
    let open = [on_time(1, "17 10:30", paused("site-access"))];
    let waiting = clock(&terms, Stage::Resolve, &open);
    let view = waiting.view(local("17 11:00"));
    let ends = Some(local("22 10:30"));
    assert_eq!(
        view.state,
        ClockState::Paused { since: local("17 10:30"), reasons: vec!["site-access".parse().unwrap()], ends }
    );
    assert!(view.pauses[0].ends_by_itself);
    assert_eq!(waiting.next_deadline(local("17 11:00")), ends, "the longest pause ends by itself after five days");
    let resumed = [open[0].clone(), on_time(2, "17 11:15", FactKind::Resumed)];
    assert_eq!(due(&clock(&terms, Stage::Resolve, &resumed), "17 12:00"), Some(local("18 12:55")), "45 minutes later");
    assert_eq!(
        due(&clock(&terms, Stage::Respond, &open), "17 11:00"),
        Some(local("17 10:10")),
        "respond allows no pause"
    );
    let no_end = self::terms(&[("plans/gold.toml", "longest_pause = \"5d\"\n", "")]);
    assert_eq!(clock(&no_end, Stage::Resolve, &open).view(local("17 11:00")).due, DueAt::Paused);
}

#[test]
fn on_site_begins_after_the_response_or_after_it_was_due() {
    let terms = plain();
    let view = clock(&terms, Stage::OnSite, &[]).view(local("16 16:20"));
    assert_eq!(
        view.state,
        ClockState::Scheduled { begins: Some(local("17 12:10")) },
        "two covered hours after the due"
    );
    let answered = [on_time(1, "16 16:32", phone())];
    let chained = clock(&terms, Stage::OnSite, &answered);
    let view = chained.view(local("16 17:00"));
    assert_eq!(view.state, ClockState::Scheduled { begins: Some(local("17 08:32")) });
    assert_eq!(view.due, DueAt::At { at: local("17 16:32") });
    assert_eq!(chained.next_deadline(local("16 17:00")), Some(local("17 08:32")));
    let came = [answered[0].clone(), on_time(2, "17 09:00", responded(Manner::OnSite))];
    assert_eq!(
        clock(&terms, Stage::OnSite, &came).view(local("17 10:00")).state,
        ClockState::Met { at: local("17 09:00") }
    );
    let restored = [answered[0].clone(), on_time(2, "16 17:30", FactKind::Restored)];
    let not_needed = clock(&terms, Stage::OnSite, &restored).view(local("17 10:00"));
    assert_eq!(not_needed.state, ClockState::Cancelled { at: local("16 17:30"), why: CancelReason::Resolved });
}

#[test]
fn restoring_stops_the_resolution_and_a_relapse_lets_it_run_on() {
    let terms = plain();
    let restored = [on_time(1, "16 17:10", FactKind::Restored)];
    let view = clock(&terms, Stage::Resolve, &restored).view(local("16 17:30"));
    assert_eq!((view.state, view.counted_s), (ClockState::Met { at: local("16 17:10") }, 3600));
    let relapsed = [restored[0].clone(), on_time(2, "17 09:00", FactKind::Reopened)];
    let view = clock(&terms, Stage::Resolve, &relapsed).view(local("17 10:00"));
    assert_eq!(view.state, ClockState::Running { counting: Counting::Counted });
    assert_eq!(view.counted_s, 2 * 3600, "what lay between does not count");
    let earlier = clock(&terms, Stage::Resolve, &relapsed).view(local("16 17:30"));
    assert_eq!(earlier.state, ClockState::Met { at: local("16 17:10") }, "the past can be asked");
}

#[test]
fn what_was_resolved_first_needs_no_response_and_a_breach_stays() {
    let terms = plain();
    let resolved = |when| [on_time(1, when, FactKind::Resolved)];
    let view = clock(&terms, Stage::Respond, &resolved("16 17:00")).view(local("17 12:00"));
    assert_eq!(view.state, ClockState::Cancelled { at: local("16 17:00"), why: CancelReason::Resolved });
    assert_eq!(view.breached_at, None);
    let view = clock(&terms, Stage::Respond, &resolved("17 11:00")).view(local("17 12:00"));
    assert_eq!(view.breached_at, Some(local("17 10:10")));
}

#[test]
fn a_cancelled_clock_ends_and_reopening_continues_it() {
    let terms = plain();
    let cancelled = on_time(1, "16 17:10", FactKind::Cancelled { why: CancelReason::Duplicate });
    let view = clock(&terms, Stage::Respond, std::slice::from_ref(&cancelled)).view(local("17 12:00"));
    assert_eq!(view.state, ClockState::Cancelled { at: local("16 17:10"), why: CancelReason::Duplicate });
    let reopened = clock(&terms, Stage::Respond, &[cancelled, on_time(2, "17 08:00", FactKind::Reopened)]);
    assert_eq!(due(&reopened, "17 08:30"), Some(local("17 11:00")), "one of four hours was used");
}

#[test]
fn a_promise_by_the_next_business_day_is_kept_by_its_wall_time() {
    let low = terms(&[(
        "catalogue.toml",
        "urgency = \"high\"\nmanner = \"on-site\"",
        "urgency = \"low\"\nmanner = \"on-site\"",
    )]);
    assert_eq!(low.priority.as_str(), "P3");
    let past_cut_off = clock(&low, Stage::Respond, &[]);
    assert_eq!(due(&past_cut_off, "16 16:10"), Some(local("18 12:00")), "received after 16:00");
    let view = past_cut_off.view(local("16 17:10"));
    assert_eq!((view.counted_s, view.remaining_s), (3600, Some(50 * 60 + 10 * 3600 + 4 * 3600)));
    let met = clock(&low, Stage::Respond, &[on_time(1, "18 11:59", phone())]).view(local("18 13:00"));
    assert_eq!(met.state, ClockState::Met { at: local("18 11:59") });
}

/// The deadline driver: applies effects until nothing changes.
fn drive(clock: &Clock, now: &str, told: &mut Vec<Announced>) -> Vec<String> {
    let effects = clock.milestones_due(local(now), told);
    let said = effects.iter().map(in_words).collect();
    for effect in effects {
        match effect {
            Effect::Announce { announced } => told.push(announced),
            Effect::Withdraw { announced, .. } => told.retain(|known| *known != announced),
        }
    }
    assert_eq!(clock.milestones_due(local(now), told), [], "applied effects leave nothing to do");
    said
}

fn in_words(effect: &Effect) -> String {
    let milestone = |announced: &Announced| match announced.milestone {
        Milestone::Warning { fraction } => format!("warning {} at {}", fraction.as_percent(), announced.due_at),
        Milestone::Breach => format!("breach at {}", announced.due_at),
        Milestone::HandOver { fraction } => format!("hand over {} at {}", fraction.as_percent(), announced.due_at),
        Milestone::ManufacturerOverdue => format!("manufacturer overdue at {}", announced.due_at),
    };
    match effect {
        Effect::Announce { announced } => milestone(announced),
        Effect::Withdraw { announced, because } => format!("withdrawn: {}: {}", milestone(announced), because.what),
    }
}

#[test]
fn milestones_are_dated_by_their_deadline_and_told_once() {
    let running = clock(&plain(), Stage::Respond, &[]);
    let mut told = Vec::new();
    assert_eq!(running.next_deadline(local("16 16:10")), Some(local("17 08:10")));
    assert!(drive(&running, "17 08:09", &mut told).is_empty());
    assert_eq!(drive(&running, "17 08:10", &mut told), ["warning 50 % at 2026-11-17T14:10:00Z"]);
    assert_eq!(running.next_deadline(local("17 08:10")), Some(local("17 09:10")));
    let woke_late = drive(&running, "17 13:00", &mut told);
    assert_eq!(woke_late, ["warning 75 % at 2026-11-17T15:10:00Z", "breach at 2026-11-17T16:10:00Z"]);
    assert_eq!(told[2].noticed_at, local("17 13:00"));
    assert_eq!(running.next_deadline(local("17 13:00")), None);
}

#[test]
fn a_late_fact_withdraws_by_name_what_was_told_wrongly() {
    let terms = plain();
    let mut told = Vec::new();
    drive(&clock(&terms, Stage::Respond, &[]), "17 13:00", &mut told);
    assert_eq!(told.len(), 3);
    let logged_afterwards = [late(7, "17 08:30", "17 14:00", phone())];
    let replayed = clock(&terms, Stage::Respond, &logged_afterwards);
    assert_eq!(
        drive(&replayed, "17 14:00", &mut told),
        [
            "withdrawn: warning 75 % at 2026-11-17T15:10:00Z: responded at 2026-11-17T14:30:00Z, recorded at 2026-11-17T20:00:00Z by ana",
            "withdrawn: breach at 2026-11-17T16:10:00Z: responded at 2026-11-17T14:30:00Z, recorded at 2026-11-17T20:00:00Z by ana",
        ]
    );
    assert_eq!(replayed.view(local("17 14:00")).state, ClockState::Met { at: local("17 08:30") });
    assert_eq!(told.len(), 1, "the warning at half of the time was true");
}

#[test]
fn a_late_pause_moves_what_was_told() {
    let terms = plain();
    let mut told = Vec::new();
    drive(&clock(&terms, Stage::Resolve, &[]), "18 12:10", &mut told);
    let pause = [
        late(1, "17 08:00", "18 12:30", paused("client-decision")),
        late(2, "17 12:00", "18 12:30", FactKind::Resumed),
    ];
    let moved = clock(&terms, Stage::Resolve, &pause);
    assert_eq!(
        drive(&moved, "18 12:30", &mut told),
        [
            "withdrawn: hand over 50 % at 2026-11-17T20:10:00Z: resumed at 2026-11-17T18:00:00Z, recorded at 2026-11-18T18:30:00Z by ana",
            "withdrawn: breach at 2026-11-18T18:10:00Z: resumed at 2026-11-17T18:00:00Z, recorded at 2026-11-18T18:30:00Z by ana",
            "hand over 50 % at 2026-11-18T14:10:00Z",
        ]
    );
    assert_eq!(drive(&moved, "18 16:10", &mut told), ["breach at 2026-11-18T22:10:00Z"]);
}

#[test]
fn facts_that_cannot_be_are_refused_by_name() {
    let terms = plain();
    let ledger = [on_time(1, "16 16:20", FactKind::Opened), on_time(2, "17 10:00", paused("site-access"))];
    let refused = |fact: Fact| admit(&terms, &ledger, &fact).unwrap_err();
    let reasons: FactRefused = refused(on_time(3, "17 11:00", paused("parts-ordered")));
    assert_eq!(
        reasons.to_string(),
        "the agreement allows no pause for `parts-ordered`; it allows client-decision, site-access"
    );
    let names = [
        refused(late(3, "17 12:00", "17 11:00", phone())),
        refused(on_time(2, "17 11:00", FactKind::Acknowledged)),
        refused(on_time(3, "16 17:00", FactKind::Resumed)),
        refused(on_time(3, "17 11:00", FactKind::Reopened)),
        refused(on_time(3, "17 11:00", responded(Manner::Phone))),
        refused(Fact { who: " ".to_owned(), ..on_time(3, "17 11:00", FactKind::Acknowledged) }),
    ]
    .map(|refused| refused.name());
    assert_eq!(
        names,
        ["in-the-future", "number-taken", "not-paused", "not-ended", "phone-with-nobody", "nobody-says-so"]
    );
    for fact in [phone(), FactKind::Resumed, paused("client-decision"), FactKind::Resolved] {
        assert_eq!(admit(&terms, &ledger, &on_time(3, "17 11:00", fact)), Ok(()));
    }
}

#[test]
fn a_change_of_terms_is_a_fact_that_holds_them_whole() {
    let terms = reprioritised(Set { priority: Some(Priority::P1), ..Set::default() });
    let fact = on_time(3, "17 11:00", FactKind::TermsChanged { why: TermsChange::Priority, terms: Box::new(terms) });
    let text = serde_json::to_string(&fact).unwrap();
    assert!(text.contains(r#""fact":"terms-changed","why":"priority","terms":{"client":"northgate""#));
    assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
}

#[test]
fn what_people_set_is_kept_with_who_set_it() {
    let terms = reprioritised(Set { urgency: Some(Level::Low), ..Set::default() });
    let inputs = terms.inputs.clone().unwrap();
    assert_eq!((terms.priority, inputs.urgency.by), (Priority::P3, SetBy::Person { who: "ana".to_owned() }));
    assert_eq!(inputs.impact.by, SetBy::Book { source: "clients/northgate/ssa.toml asset_terms".to_owned() });
    assert!(
        terms.explanation.text().contains("urgency low: set by ana; the book gives high"),
        "{}",
        terms.explanation.text()
    );
    assert!(
        terms.targets.iter().all(|target| target.source != "plans/gold.toml target 1"),
        "that one is for P1 and P2"
    );
}

/// The terms of the sample after ana set something.
fn reprioritised(set: Set) -> PinnedTerms {
    let (book, query) = (book(&[]), recorder_down(DETECTED));
    let pinned = resolve(&book, &query).unwrap();
    matching::reprioritised(&book, &query, &pinned, set, "ana").unwrap()
}

#[test]
fn what_is_said_of_disputes_work_and_the_manufacturer_is_refused_by_name_where_it_cannot_be() {
    let terms = plain();
    let ledger = [
        on_time(1, "16 16:20", FactKind::Opened),
        late(2, "16 17:00", "16 18:00", paused("site-access")),
        on_time(3, "17 09:00", FactKind::Restored),
        on_time(4, "17 09:30", FactKind::Disputed { item: 2, why: "the gate was open".to_owned() }),
    ];
    let says = |when: &str, kind: FactKind| admit(&terms, &ledger, &on_time(9, when, kind)).map_err(|no| no.name());
    let disputed = |item| FactKind::Disputed { item, why: "no".to_owned() };
    let settled = |item| FactKind::DisputeSettled { item, outcome: DisputeOutcome::ProviderIsRight };
    let cause = |cause| FactKind::CauseSet { cause: Some(cause), note: None };
    let handed = |maker: &str| FactKind::HandedOver { maker: maker.parse().unwrap(), reference: None };
    let worked = |from, to| FactKind::Worked {
        worker: "ben".to_owned(),
        manner: Manner::OnSite,
        from: local(from),
        to: local(to),
        role: None,
        corrects: None,
    };
    for (when, kind, said) in [
        ("17 10:00", disputed(3), Ok(())),
        ("17 10:00", disputed(1), Err("not-disputable")),
        ("17 10:00", disputed(7), Err("not-disputable")),
        ("17 10:00", disputed(2), Err("disputed-before")),
        ("17 10:00", FactKind::Disputed { item: 3, why: " ".to_owned() }, Err("no-reason")),
        ("17 10:00", settled(2), Ok(())),
        ("17 10:00", settled(3), Err("not-disputed")),
        ("17 10:00", cause(Exclusion::Utility), Ok(())),
        ("17 10:00", cause(Exclusion::Maintenance), Err("maintenance-is-agreed")),
        ("17 10:00", handed("example-recorders"), Ok(())),
        ("17 10:00", handed("others"), Err("not-the-manufacturer")),
        ("17 10:00", FactKind::ManufacturerAnswered { with_whom: None }, Err("not-handed-over")),
        ("17 10:00", FactKind::VisitReported, Err("no-visit")),
        ("17 10:00", worked("17 09:00", "17 10:00"), Ok(())),
        ("17 10:00", worked("17 09:00", "17 09:00"), Err("no-work")),
        ("17 10:00", worked("17 09:00", "17 10:01"), Err("work-not-done")),
        ("17 10:00", FactKind::Updated { note: None }, Ok(())),
    ] {
        assert_eq!(says(when, kind.clone()), said, "{kind:?}");
    }
    let too_late = on_time(9, "30 17:59", disputed(3));
    assert_eq!(admit(&terms, &ledger, &too_late), Ok(()), "fourteen days from when the client could see it");
    let too_late = Fact { effective_at: local("30 23:00"), ..on_time(9, "30 23:00", disputed(2)) };
    let ledger = &ledger[..3];
    assert_eq!(admit(&terms, ledger, &too_late).unwrap_err().name(), "dispute-too-late");
}

#[test]
fn a_stage_without_a_promise_has_no_clock() {
    assert!(Clock::replay(&plain(), Stage::Workaround, &start(), &[]).is_err());
    let stages: Vec<_> = Clock::replay_all(&plain(), &start(), &[]).unwrap().iter().map(Clock::stage).collect();
    assert_eq!(stages, [Stage::Respond, Stage::OnSite, Stage::Resolve]);
}

/// The clocks of an incident of 2 November, 17:00: a business hour before closing, seven hours before the amendment.
fn before_the_amendment(edits: &[(&str, &str, &str)], facts: &[Fact]) -> Clock {
    let detected = local("02 17:00");
    let terms = resolve(&book(edits), &recorder_down(&detected.to_string())).unwrap();
    assert_eq!((terms.version, terms.amendments.len()), (1, 1));
    Clock::replay(&terms, Stage::Respond, &ClockStart::new(detected, detected), facts).unwrap()
}

#[test]
fn an_amendment_acts_on_a_clock_that_runs_when_it_takes_effect() {
    let clock = before_the_amendment(&[], &[]);
    assert_eq!(due(&clock, "02 23:59"), Some(local("03 11:00")), "four business hours until it is amended");
    assert_eq!(clock.next_deadline(local("02 17:00")), Some(local("03 00:00")), "the driver looks again then");
    let view = clock.view(local("03 08:30"));
    assert_eq!(
        view.due,
        DueAt::At { at: local("03 00:00") },
        "an hour was counted, and an hour is what the rider gives"
    );
    assert_eq!((view.breached_at, view.counted_s), (Some(local("03 00:00")), 3600 + 8 * 3600 + 1800));
    let graced = [("plans/premium-response.toml", "within = \"1h\"", "within = \"1h\"\ngrace = \"2h\"")];
    assert_eq!(
        due(&before_the_amendment(&graced, &[]), "03 00:00"),
        Some(local("03 02:00")),
        "F3: the change plus grace"
    );
}

#[test]
fn an_amendment_leaves_alone_what_has_ended_and_what_had_run_out() {
    let answered = [on_time(1, "02 17:30", phone())];
    let view = before_the_amendment(&[], &answered).view(local("03 12:00"));
    assert_eq!(
        (view.state, view.due),
        (ClockState::Met { at: local("02 17:30") }, DueAt::At { at: local("03 11:00") })
    );
    let short = [("plans/gold.toml", "within = \"4h\"", "within = \"30min\"")];
    let view = before_the_amendment(&short, &[]).view(local("03 12:00"));
    assert_eq!((view.due, view.breached_at), (DueAt::At { at: local("02 17:30") }, Some(local("02 17:30"))));
}

#[test]
fn what_was_told_before_an_amendment_is_not_taken_back() {
    let short = [("plans/gold.toml", "within = \"4h\"", "within = \"90min\"")];
    let clock = before_the_amendment(&short, &[]);
    let mut told = Vec::new();
    assert_eq!(drive(&clock, "02 23:00", &mut told), ["warning 50 % at 2026-11-02T23:45:00Z"]);
    let amended = drive(&clock, "03 00:00", &mut told);
    assert_eq!(amended, ["warning 75 % at 2026-11-03T06:00:00Z", "breach at 2026-11-03T06:00:00Z"]);
}
