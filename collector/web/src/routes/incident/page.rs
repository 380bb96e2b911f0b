//! What the incident's page shows, in words.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use upheld_desk::{
    ClockView, IncidentView,
    roles::Action,
    views::{DeliveryView, DisputeView, Related, TermsView, TimelineEntry},
};

use super::{
    Seen,
    answer::Typed,
    forms::{self, Form, Kind},
    strips::{self, Strips},
    why::{self, Reason, Why, WhyRow},
};
use crate::{access::Reader, nav, problem::Refusal, words};

#[derive(Template)]
#[template(path = "incident.html")]
pub(super) struct IncidentPage<'a> {
    view: &'a IncidentView,
    who: &'a str,
    nav: Vec<nav::Place>,
    as_of: String,
    as_of_exact: String,
    as_of_ms: i64,
    as_of_s: i64,
    place: String,
    facts: Vec<(&'static str, String)>,
    clocks: Vec<ClockBox>,
    whys: Vec<Why>,
    explained: &'a str,
    strips: Option<Strips>,
    related: Vec<(&'static str, &'a Related)>,
    terms: String,
    rules: Vec<(String, String)>,
    reasons: Vec<Reason>,
    pinned: Option<String>,
    timeline: Vec<Entry>,
    told: Vec<Told>,
    href: String,
    /// Whether it shows the present; a look back does not read itself again, and nothing on it ticks.
    is_now: bool,
    key: String,
    revision: u64,
    wants_owner: bool,
    answer: Option<Answer>,
    forms: Vec<Form>,
    disputes: &'a [DisputeView],
    refused: Option<String>,
}

/// The form of a response.
struct Answer {
    manners: Vec<&'static str>,
    typed: Typed,
    zone: String,
    earliest: String,
    latest: String,
}

struct ClockBox {
    look: &'static str,
    why: String,
    stage: String,
    state: String,
    countdown: String,
    left: i64,
    ticks: bool,
    bar: u64,
    sentence: String,
    detail: String,
}

struct Entry {
    exact: String,
    at: String,
    what: String,
}

struct Told {
    look: &'static str,
    word: &'static str,
    what: String,
    when: String,
    exact: String,
    more: String,
}

impl<'a> IncidentPage<'a> {
    /// The page; `sent` is the command whose form was sent and not carried out, with what was typed.
    pub(super) fn of(seen: &'a Seen, reader: &'a Reader, sent: Option<(&str, &Typed)>) -> Self {
        let (view, now, zone) = (&seen.view, seen.at, seen.zone());
        let offers = |name: &str| {
            let offered = view.offers.commands.iter().copied().find(|offered| *offered == name);
            seen.is_now && offered.is_some_and(|name| reader.may(Action::Give(name)))
        };
        let may_answer = view.resolved_at.is_none() && offers("respond");
        let typed = sent.filter(|(name, _)| *name == "respond").map(|(_, typed)| typed.clone());
        let forms = forms::of(view, zone, now, sent).into_iter().filter(|form| offers(form.name)).collect();
        let (terms, reasons, pinned) = terms(&view.terms);
        Self {
            who: reader.name(),
            nav: nav::of(reader, ""),
            as_of: words::local_short(now, zone, now),
            as_of_exact: words::with_offset(now, zone),
            as_of_ms: now.as_millisecond(),
            as_of_s: now.as_second(),
            place: place(view),
            facts: facts(view, zone),
            clocks: view.clocks.iter().map(|clock| ClockBox::of(clock, seen.is_now)).collect(),
            whys: why::of(view, &seen.explained),
            explained: &seen.explained.text,
            strips: strips::of(&seen.signals, zone, now),
            related: related(view),
            terms,
            rules: why::rules(&seen.explained),
            reasons,
            pinned,
            timeline: view.timeline.iter().rev().map(|entry| Entry::of(entry, zone)).collect(),
            told: view.deliveries.iter().rev().map(|delivery| Told::of(delivery, zone)).collect(),
            href: format!("/i/{}/{}", view.incident.client, view.incident.number),
            // One key for each time that the page is drawn; they are kept per person.
            key: format!("page-{}-{}", view.incident.number, now.as_microsecond()),
            revision: view.revision,
            is_now: seen.is_now,
            wants_owner: offers("acknowledge"),
            answer: may_answer.then(|| Answer::of(view, zone, now, typed.unwrap_or_default())),
            forms,
            disputes: &view.disputes,
            refused: None,
            view,
        }
    }

    /// The same, saying why what was typed was not done.
    pub(super) fn refusing(mut self, why: String) -> Self {
        self.refused = Some(why);
        self
    }

    pub(super) fn show(&self) -> Result<Response, Refusal> {
        let page = self.render().map_err(|error| Refusal::Unavailable { why: error.to_string(), is_json: false })?;
        let status = if self.refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
        Ok((status, Html(page)).into_response())
    }
}

impl Answer {
    fn of(view: &IncidentView, zone: &str, now: Timestamp, typed: Typed) -> Self {
        Self {
            manners: forms::manners(view),
            typed,
            zone: words::zone_now(zone, now),
            earliest: words::civil(view.started_after.unwrap_or(view.started_by), zone),
            latest: words::civil(now, zone),
        }
    }
}

fn place(view: &IncidentView) -> String {
    let asset = view.asset.as_ref().map(|asset| format!(" / {asset}")).unwrap_or_default();
    format!("{} / {}{asset}", view.client_name, view.site_name)
}

fn facts(view: &IncidentView, zone: &str) -> Vec<(&'static str, String)> {
    let local = |at: Timestamp| words::local(at, zone);
    let began = match view.started_after {
        Some(after) => format!("between {} and {}", local(after), local(view.started_by)),
        None => format!("by {}", local(view.started_by)),
    };
    let mut facts = vec![
        ("State", view.state.replace('-', " ")),
        ("Owner", view.owner.clone().unwrap_or_else(|| "unassigned".to_owned())),
        ("Began", began),
        ("Detected", local(view.detected_at)),
        ("Received", local(view.received_at)),
    ];
    facts.extend(view.reports.first().map(|report| {
        (
            "Reported",
            format!(
                "{} by {}, entered {} by {}",
                local(report.called_at),
                report.by,
                local(report.entered_at),
                report.entered_by
            ),
        )
    }));
    if view.cause.confidence_percent > 0 {
        facts.push(("Cause", format!("{}, says {}", view.cause.cause.as_str().replace('-', " "), view.cause.by)));
    }
    facts.extend(view.merged_into.as_ref().map(|into| ("Part of", into.to_string())));
    facts.extend(view.manufacturer.as_ref().map(|maker| ("Manufacturer", maker.sentence.clone())));
    facts.extend(view.cost.clone().map(|cost| ("Cost", cost)));
    facts.extend(view.restored_at.map(|at| ("Restored", local(at))));
    facts.extend(view.resolved_at.map(|at| ("Resolved", local(at))));
    facts.extend(view.check.as_ref().map(|check| ("Check", check.to_string())));
    facts.extend(view.evidence.clone().map(|evidence| ("Evidence", evidence)));
    facts
}

/// With which other incidents it has to do, and how.
fn related(view: &IncidentView) -> Vec<(&'static str, &Related)> {
    let parent = view.brought_about_by.iter().map(|parent| ("brought this about", parent));
    parent.chain(view.did_not_come_back.iter().map(|child| ("did not come back", child))).collect()
}

/// The terms in a sentence, why these, and the hash under which they are pinned.
fn terms(terms: &TermsView) -> (String, Vec<Reason>, Option<String>) {
    match terms {
        TermsView::Pinned { agreement, version, hash, priority, because } => {
            // The version's label names its agreement already.
            let label = if version.contains(agreement) { version.clone() } else { format!("{agreement} {version}") };
            (format!("{label}, {priority}"), why::reasons(because), Some(hash.clone()))
        }
        TermsView::None { refusal, why } => {
            (words::sentence(&format!("none promised ({}): {why}", refusal.replace('-', " "))), Vec::new(), None)
        }
    }
}

impl ClockBox {
    fn of(clock: &ClockView, is_now: bool) -> Self {
        let is_overdue = clock.breached_at.is_some() && clock.satisfied_at.is_none();
        let is_met = clock.satisfied_at.is_some();
        let is_late = is_met && clock.breached_at.is_some();
        let look = match (is_overdue || is_late, is_met, clock.is_counting) {
            (true, _, _) => "bad",
            (_, true, _) => "ok",
            (_, _, true) if clock.used_permille >= 750 => "warn",
            (_, _, true) => "ok",
            (_, _, false) => "pause",
        };
        let said = &clock.said;
        Self {
            look,
            why: why::id(&clock.stage),
            stage: said.stage.clone(),
            state: if is_overdue { "■ overdue".to_owned() } else { words::state(clock) },
            countdown: match (is_met, is_late) {
                (true, true) => "■ late".to_owned(),
                (true, false) => "✓ in time".to_owned(),
                (false, _) => said.countdown.clone(),
            },
            left: said.left_s.unwrap_or(0),
            ticks: is_now && !is_met && (clock.is_counting || is_overdue),
            bar: crate::routes::queue::bar(clock.used_permille),
            sentence: words::sentence(&said.standing),
            detail: format!(
                "{} of {} counted, {}",
                words::two_units(clock.counted_s),
                words::two_units(clock.target_s),
                said.used
            ),
        }
    }
}

impl Entry {
    fn of(entry: &TimelineEntry, zone: &str) -> Self {
        let who = entry.who.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
        let text = if entry.text.is_empty() { String::new() } else { format!(": {}", entry.text) };
        let late = if entry.recorded_at.duration_since(entry.effective_at).as_secs() >= 60 {
            format!(" (recorded {})", words::local(entry.recorded_at, zone))
        } else {
            String::new()
        };
        Self {
            exact: words::with_offset(entry.effective_at, zone),
            at: words::local(entry.effective_at, zone),
            what: words::sentence(&format!("{}{who}{text}{late}", entry.what.replace('-', " "))),
        }
    }
}

/// A reference as it can be read aloud; the page's data has it whole.
fn short(reference: &str) -> String {
    const CHARS: usize = 20;
    match reference.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &reference[..end]),
        None => reference.to_owned(),
    }
}

impl Told {
    fn of(delivery: &DeliveryView, zone: &str) -> Self {
        let attempts = match delivery.attempts {
            0 => "not tried yet".to_owned(),
            1 => "1 attempt".to_owned(),
            many => format!("{many} attempts"),
        };
        let reference = delivery.reference.as_ref().map(|its| format!(", there {}", short(its))).unwrap_or_default();
        let (look, word, at) = match delivery.delivered_at {
            Some(at) => ("ok", "✓ posted", at),
            None if delivery.status == "failed" => ("bad", "■ failed", delivery.created_at),
            None => ("warn", "▲ waiting", delivery.created_at),
        };
        let error = delivery.last_error.as_ref().filter(|_| delivery.delivered_at.is_none());
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        Self {
            look,
            word,
            what: format!("{} to {}", delivery.event, delivery.channel),
            when: if delivery.delivered_at.is_some() {
                words::local(at, zone)
            } else {
                format!("since {}", words::local(at, zone))
            },
            exact: words::with_offset(at, zone),
            more: format!("{attempts}{reference}{error}"),
        }
    }
}
