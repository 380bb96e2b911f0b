//! Puts one question to the calendar and to the walk, and compares.

use upheld_agreement::calendar::{Calendar, Due, Why};

use super::{
    amend,
    draw::{Dice, Question, Subject, Zones},
    walk::Naive,
};

/// Questions put to each random calendar; beside them comes one history of versions, under each of the five modes.
const QUESTIONS: usize = 9;

/// Judges `count` random cases; the answers that are wrong, each with its case.
pub(crate) fn run(zones: &Zones, seed: u64, count: usize) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let mut wrong = Vec::new();
    for _ in 0..count.div_ceil(QUESTIONS + 1) {
        let subject = Subject::draw(zones, &mut dice);
        let calendar = Calendar::compile(&subject.def).unwrap();
        let naive = Naive::new(&subject.def);
        for _ in 0..QUESTIONS {
            let question = Question::draw(&subject, &mut dice);
            if let Err(how) = judge(&calendar, &naive, &subject, &question) {
                wrong.push(format!("{how}\n  {question:?}\n  {:?}", subject.def));
            }
        }
        if let Err(how) = amend::judge(zones, &mut dice) {
            wrong.push(how);
        }
    }
    wrong
}

fn judge(calendar: &Calendar, naive: &Naive, subject: &Subject, question: &Question) -> Result<(), String> {
    let Question { start, end, target_s, pauses, rule } = question;
    let walked = naive.walk(*start, *end, subject.step_s, *target_s, pauses);
    let due = calendar.due(*start, *target_s, pauses);
    let is_held = pauses.iter().any(|pause| pause.to.is_none() && pause.from <= *end);
    let is_right = match (walked.due, due) {
        (Some(expected), due) => due == Due::At(expected),
        (None, Due::At(due)) => due > *end && !is_held,
        (None, Due::Paused) => pauses.iter().any(|pause| pause.to.is_none()),
        (None, Due::Never) => true,
    };
    if !is_right {
        return Err(format!("due is {due:?}, walked {:?}", walked.due));
    }
    // A target that runs out exactly where counting stops is due there (R4).
    for (stop, counted) in &walked.stops {
        let due = calendar.due(*start, *counted, pauses);
        if due != Due::At(*stop) {
            return Err(format!("due of {counted} s is {due:?}, counting stopped at {stop}"));
        }
    }
    let elapsed = calendar.elapsed_s(*start, *end, pauses);
    if elapsed != walked.elapsed_s {
        return Err(format!("elapsed is {elapsed}, walked {}", walked.elapsed_s));
    }
    judge_segments(calendar, naive, question, elapsed)?;
    match rule {
        Some(rule) if !pauses.iter().any(|pause| pause.to.is_none()) => {
            let due = calendar.due_by(*start, *rule, pauses);
            match naive.due_by(*start, *end, *rule, pauses) {
                Some(expected) if due != Due::At(expected) => Err(format!("due by is {due:?}, walked {expected}")),
                Some(_) | None => Ok(()),
            }
        }
        Some(_) | None => Ok(()),
    }
}

fn judge_segments(calendar: &Calendar, naive: &Naive, question: &Question, elapsed: u64) -> Result<(), String> {
    let segments = calendar.segments(question.start, question.end, &question.pauses);
    let (mut reached, mut counted) = (question.start, 0);
    for segment in &segments {
        let is_open = matches!(segment.why, Why::Counted | Why::Paused { .. });
        if segment.from != reached || segment.to <= segment.from || naive.is_open(segment.from) != is_open {
            return Err(format!("segment {segment:?} after {reached}"));
        }
        reached = segment.to;
        counted += segment.counted_s;
    }
    if reached == question.end && counted == elapsed { Ok(()) } else { Err(format!("segments {segments:?}")) }
}
