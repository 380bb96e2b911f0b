//! What hosts propose to watch: a list of sites, and one site's with the change of its file, which a person takes or
//! dismisses.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form, Json,
    extract::{Path, Query, State},
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use upheld_desk::{
    DeskError,
    proposals::{ItemView, ProposalError, ProposalLine, ProposalView, Standing, Taken, Way},
    roles::Action,
};
use upheld_model::{ClientId, SiteId};

use super::client::shown;
use crate::{Portal, access::Reader, nav, problem::Refusal, words};

#[derive(Template)]
#[template(path = "proposals.html")]
struct ListPage {
    who: String,
    nav: Vec<nav::Place>,
    as_of: String,
    lines: Vec<Line>,
}

/// One site.
struct Line {
    place: String,
    sent: String,
    waiting: usize,
    taken: usize,
    dismissed: usize,
}

#[derive(Template)]
#[template(path = "proposal.html")]
struct SitePage {
    who: String,
    nav: Vec<nav::Place>,
    as_of: String,
    place: String,
    path: String,
    senders: Vec<String>,
    watched: usize,
    may_decide: bool,
    /// What is to be decided, and then suggestions.
    waiting: Vec<Entry>,
    suggested: Vec<Entry>,
    taken: Vec<Entry>,
    dismissed: Vec<Entry>,
    shows_dismissed: bool,
    diff: Vec<(char, String)>,
    has_patch: bool,
    folder: Option<String>,
    why_patch: Option<String>,
    /// What became of a decision, and whether it was carried out.
    decided: Option<(bool, String)>,
}

/// One thing that is proposed.
struct Entry {
    name: String,
    why: String,
    text: String,
    by: String,
}

/// What narrows or widens the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    all: Option<String>,
}

pub(super) async fn list(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let lines = portal.desk.proposals(reader.scope()).await.map_err(|error| Refusal::from(error).for_reader(false))?;
    let now = portal.now();
    shown(&ListPage {
        who: reader.name().to_owned(),
        nav: nav::of(&reader, "/agents"),
        as_of: words::local(now, "UTC"),
        lines: lines.into_iter().map(Line::of).collect(),
    })
}

pub(super) async fn list_json(State(portal): State<Portal>, reader: Reader) -> Result<Response, Refusal> {
    let proposals = portal.desk.proposals(reader.scope()).await?;
    Ok(Json(json!({ "schema": "upheld.proposals/1", "as_of": portal.now(), "proposals": proposals })).into_response())
}

pub(super) async fn page(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, site)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let bare = site.strip_suffix(".json");
    let is_json = bare.is_some();
    let place = place(&client, bare.unwrap_or(&site), is_json)?;
    let view = view(&portal, &reader, &place, is_json).await?;
    if is_json {
        return Ok(Json(json!({ "schema": "upheld.proposal/1", "proposal": view })).into_response());
    }
    show(&portal, &reader, &view, asked.all.is_some(), None)
}

/// What was taken and is not in the book yet, as `git apply` takes it from the book's folder.
pub(super) async fn patch(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, site)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let place = place(&client, &site, false)?;
    let view = view(&portal, &reader, &place, false).await?;
    let name = format!("attachment; filename=\"{client}-{site}.patch\"");
    let headers = [(CONTENT_TYPE, "text/x-patch; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, view.taken_patch_with_head()).into_response())
}

/// Takes or dismisses what is ticked.
pub(super) async fn decide(
    State(portal): State<Portal>,
    reader: Reader,
    Path((client, site)): Path<(String, String)>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let place = place(&client, &site, false)?;
    // Before anything is changed: whoever may not see it may not decide.
    view(&portal, &reader, &place, false).await?;
    let ticked: BTreeSet<String> =
        fields.iter().filter(|(name, _)| name == "item").map(|(_, value)| value.clone()).collect();
    let ticked: Vec<String> = ticked.into_iter().collect();
    let deed = fields.iter().find(|(name, _)| name == "do").map_or("", |(_, value)| value.as_str());
    let (who, now, (client, site)) = (&reader.0.actor, portal.now(), &place);
    let decided = match deed {
        "take" | "dismiss" if ticked.is_empty() => Ok("Nothing was decided: tick what is meant.".to_owned()),
        "take" => portal.desk.take_proposed(client, site, &ticked, who, now).await.map(|taken| taken_said(&taken)),
        "take-all" => portal.desk.take_proposed(client, site, &[], who, now).await.map(|taken| taken_said(&taken)),
        "dismiss" => portal
            .desk
            .dismiss_proposed(client, site, &ticked, who, now)
            .await
            .map(|items| format!("Dismissed: {}. Nobody is asked for it again.", items.join(", "))),
        _ => Ok("Nothing was decided: choose to take or to dismiss.".to_owned()),
    };
    let decided = match decided {
        Ok(said) => (!said.starts_with("Nothing"), said),
        Err(ProposalError::Desk(DeskError::Overtaken(what))) => {
            (false, format!("{what} was changed by somebody else at the same moment: look again and repeat."))
        }
        Err(ProposalError::Desk(error)) => return Err(Refusal::from(error).for_reader(false)),
        Err(error) => (false, format!("{}.", words::sentence(&error.to_string()).trim_end_matches('.'))),
    };
    let view = view(&portal, &reader, &place, false).await?;
    show(&portal, &reader, &view, false, Some(decided))
}

fn taken_said(taken: &Taken) -> String {
    let items = taken.items.join(", ");
    match (&taken.way, taken.version) {
        (Way::Applied { folder }, Some(version)) => {
            format!("Taken: {items}. It is written into {folder}, and book version {version} is in force.")
        }
        (Way::Applied { .. } | Way::Patch { .. }, _) => {
            format!("Taken: {items}. Apply the patch to your book and then the book; it is in force no sooner.")
        }
    }
}

fn place(client: &str, site: &str, is_json: bool) -> Result<(ClientId, SiteId), Refusal> {
    let place = client.parse().ok().zip(site.parse().ok());
    place.ok_or(Refusal::NotFound { is_json })
}

async fn view(
    portal: &Portal,
    reader: &Reader,
    (client, site): &(ClientId, SiteId),
    is_json: bool,
) -> Result<ProposalView, Refusal> {
    let view = portal.desk.proposal(reader.scope(), client, site).await;
    view.map_err(|error| Refusal::from(error).for_reader(is_json))
}

fn show(
    portal: &Portal,
    reader: &Reader,
    view: &ProposalView,
    shows_dismissed: bool,
    decided: Option<(bool, String)>,
) -> Result<Response, Refusal> {
    let now = portal.now();
    let of = |fits: &dyn Fn(&ItemView) -> bool| view.items.iter().filter(|item| fits(item)).map(Entry::of).collect();
    let sender = |sender: &upheld_desk::proposals::Sender| {
        format!("{} ({}), {}", sender.host, sender.agent, words::local(sender.sent_at, "UTC"))
    };
    let (folder, why_patch) = match &view.way {
        Way::Applied { folder } => (Some(folder.clone()), None),
        Way::Patch { why } => (None, Some(why.clone())),
    };
    shown(&SitePage {
        who: reader.name().to_owned(),
        nav: nav::of(reader, "/agents"),
        as_of: words::local(now, "UTC"),
        place: format!("{}/{}", view.client, view.site),
        path: view.path.clone(),
        senders: view.senders.iter().map(sender).collect(),
        watched: view.watched,
        may_decide: reader.may(Action::Propose),
        waiting: of(&|item| item.standing == Standing::Waiting && !item.is_suggestion),
        suggested: of(&|item| item.standing == Standing::Waiting && item.is_suggestion),
        taken: of(&|item| matches!(item.standing, Standing::Taken { .. })),
        dismissed: of(&|item| matches!(item.standing, Standing::Dismissed { .. })),
        shows_dismissed,
        diff: view.patch.lines().map(marked).collect(),
        has_patch: !view.taken_patch.is_empty(),
        folder,
        why_patch,
        decided,
    })
}

/// A line of a patch with its mark; the heads of files have none.
fn marked(line: &str) -> (char, String) {
    let mark = match line.chars().next() {
        Some('+') if !line.starts_with("+++ ") => '+',
        Some('-') if !line.starts_with("--- ") => '-',
        _ => ' ',
    };
    (mark, line.to_owned())
}

impl Line {
    fn of(line: ProposalLine) -> Self {
        let ProposalLine { client, site, sent_at, waiting, taken, dismissed } = line;
        Self { place: format!("{client}/{site}"), sent: words::local(sent_at, "UTC"), waiting, taken, dismissed }
    }
}

impl Entry {
    fn of(item: &ItemView) -> Self {
        let by = |verb: &str, by: &str, at: Timestamp| format!("{verb} by {by}, {}", words::local(at, "UTC"));
        Self {
            name: item.name.clone(),
            why: item.why.clone(),
            // Why it is there stands above it.
            text: item.lines.iter().skip_while(|line| line.starts_with('#')).cloned().collect::<Vec<_>>().join("\n"),
            by: match &item.standing {
                Standing::Waiting => String::new(),
                Standing::Taken { by: who, at } => by("taken", who, *at),
                Standing::Dismissed { by: who, at } => by("dismissed", who, *at),
            },
        }
    }
}
