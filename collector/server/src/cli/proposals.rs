//! `proposals list | show | accept | dismiss`: what hosts propose to watch, and what becomes of it.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::json;
use upheld_desk::{
    Scope,
    proposals::{ItemView, ProposalError, ProposalView, Standing, Way},
};

use super::{Context, secret::SitePath, typist};
use crate::failure::{Exit, Failure};

/// What can be done with proposals.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sites whose hosts propose something that the book does not have.
    List,
    /// What is proposed for a site, and how the site's file would change.
    Show {
        /// CLIENT/SITE.
        site: SitePath,
        /// Print what was taken and is not in the book yet, as a patch for `git apply` in the book's folder.
        #[arg(long, conflicts_with = "all")]
        patch: bool,
        /// What was dismissed too.
        #[arg(long)]
        all: bool,
    },
    /// Take it: into the collector's own starter book, else into a patch.
    Accept {
        /// CLIENT/SITE.
        site: SitePath,
        /// What, by the names of `proposals show`; all that waits but suggestions without any.
        items: Vec<String>,
    },
    /// Dismiss it: nobody is asked for it again.
    Dismiss {
        /// CLIENT/SITE.
        site: SitePath,
        /// What, by the names of `proposals show`; all that waits but suggestions without any.
        items: Vec<String>,
    },
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List => list(context),
        Command::Show { site, patch, all } => show(&site, patch, all, context),
        Command::Accept { site, items } => accept(&site, &items, context),
        Command::Dismiss { site, items } => dismiss(&site, &items, context),
    }
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let lines = context.with_desk(async |desk, _| desk.proposals(&Scope::Provider).await)?;
    let mut text = String::new();
    for line in &lines {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{}/{}  {} to decide, {} taken and not in the book yet, {} dismissed; last sent {:.0}",
            line.client, line.site, line.waiting, line.taken, line.dismissed, line.sent_at
        );
    }
    let text = if lines.is_empty() {
        "No host proposes anything. On a host of a site: upheld-agent discover --propose".to_owned()
    } else {
        text.trim_end().to_owned()
    };
    context.output.result(&text, || json!({ "schema": "upheld.proposals/1", "proposals": lines }))?;
    Ok(Exit::Ok)
}

fn show(SitePath { client, site }: &SitePath, patch: bool, all: bool, context: &Context) -> Result<Exit, Failure> {
    let view = context.with_desk(async |desk, _| desk.proposal(&Scope::Provider, client, site).await)?;
    if patch && view.taken_patch.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            format!("nothing that was taken for {client}/{site} waits for the book"),
        )
        .todo(format!("upheld-collector{} proposals accept {client}/{site}", context.data_option())));
    }
    let text = if patch { view.taken_patch.clone() } else { in_words(&view, all, context) };
    let text = text.trim_end_matches('\n');
    context.output.result(text, || json!({ "schema": "upheld.proposal/1", "proposal": view }))?;
    Ok(Exit::Ok)
}

fn in_words(view: &ProposalView, all: bool, context: &Context) -> String {
    let place = format!("{}/{}", view.client, view.site);
    let mut lines: Vec<String> = Vec::new();
    for sender in &view.senders {
        lines.push(format!("{} ({}) proposed, {:.0}", sender.host, sender.agent, sender.sent_at));
    }
    if view.senders.is_empty() {
        lines.push(format!("No host of {place} has proposed anything: upheld-agent discover --propose"));
    }
    if view.watched > 0 {
        lines.push(format!("{} of the things that were found: watched already", view.watched));
    }
    let mut part = |head: &str, fits: &dyn Fn(&ItemView) -> bool| {
        let items: Vec<&ItemView> = view.items.iter().filter(|item| fits(item)).collect();
        if !items.is_empty() {
            lines.push(String::new());
            lines.push(format!("{head}:"));
            lines.extend(items.into_iter().map(in_a_line));
        }
    };
    part("To decide", &|item| item.standing == Standing::Waiting && !item.is_suggestion);
    part("Suggestions, taken by name only", &|item| item.standing == Standing::Waiting && item.is_suggestion);
    part("Taken, and not in the book in force yet", &|item| matches!(item.standing, Standing::Taken { .. }));
    if all {
        part("Dismissed", &|item| matches!(item.standing, Standing::Dismissed { .. }));
    }
    if !view.patch.is_empty() {
        lines.push(String::new());
        lines.extend(view.patch.lines().map(str::to_owned));
    }
    let option = context.data_option();
    let is_dismissed = |item: &&ItemView| matches!(item.standing, Standing::Dismissed { .. });
    let dismissed = view.items.iter().filter(is_dismissed).count();
    if dismissed > 0 && !all {
        lines.push(String::new());
        lines.push(format!("{dismissed} dismissed before: upheld-collector{option} proposals show {place} --all"));
    }
    if view.items.iter().any(|item| item.standing == Standing::Waiting) {
        lines.push(String::new());
        lines.push(format!("Take it: upheld-collector{option} proposals accept {place} [NAME…]"));
        lines.push(format!("Or not:  upheld-collector{option} proposals dismiss {place} NAME…"));
    }
    lines.join("\n")
}

fn in_a_line(item: &ItemView) -> String {
    let by = match &item.standing {
        Standing::Waiting => String::new(),
        Standing::Taken { by, at } => format!(" (taken by {by}, {at:.0})"),
        Standing::Dismissed { by, at } => format!(" (dismissed by {by}, {at:.0})"),
    };
    format!("  {}  {}{by}", item.name, item.why)
}

fn accept(SitePath { client, site }: &SitePath, items: &[String], context: &Context) -> Result<Exit, Failure> {
    let taken = context.with_desk(async |desk, now| desk.take_proposed(client, site, items, &typist(), now).await)?;
    let names = taken.items.join(", ");
    let option = context.data_option();
    let text = match (&taken.way, taken.version) {
        (Way::Applied { folder }, Some(version)) => {
            format!("Taken: {names}. Written into {folder}; book version {version} is in force.")
        }
        (Way::Applied { .. }, None) => format!("Taken: {names}."),
        (Way::Patch { why }, _) => format!(
            "Taken: {names}. It is in force when your book has it ({why}):\n  upheld-collector{option} proposals show \
             {client}/{site} --patch > new.patch\n  in the book's folder: git apply new.patch, then upheld-collector{option} \
             book apply ."
        ),
    };
    context.output.result(&text, || json!({ "schema": "upheld.proposal-accept/1", "taken": taken }))?;
    Ok(Exit::Ok)
}

fn dismiss(SitePath { client, site }: &SitePath, items: &[String], context: &Context) -> Result<Exit, Failure> {
    let items =
        context.with_desk(async |desk, now| desk.dismiss_proposed(client, site, items, &typist(), now).await)?;
    let text = format!(
        "Dismissed: {}. Nobody is asked for it again; with --all `proposals show` lists it, and it can be accepted by name.",
        items.join(", ")
    );
    context.output.result(&text, || json!({ "schema": "upheld.proposal-dismiss/1", "items": items }))?;
    Ok(Exit::Ok)
}

impl From<ProposalError> for Failure {
    fn from(error: ProposalError) -> Self {
        match error {
            ProposalError::Desk(error) => error.into(),
            ProposalError::Apply(error) => error.into(),
            ProposalError::NoSuchItem { .. }
            | ProposalError::Nothing(_)
            | ProposalError::Cannot(_)
            | ProposalError::Refused(_)
            | ProposalError::Beside { .. } => Self::of(Exit::Failed, &error),
        }
    }
}
