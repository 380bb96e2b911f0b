//! `commission`: what was found while a site was set up, and what the provider makes incidents of.

use std::fmt::Write as _;

use serde_json::json;
use upheld_desk::{AsFound, CommissionError, IncidentView, views::TermsView};
use upheld_model::{ClientId, IncidentNumber, IncidentRef, SiteId};
use upheld_web::words;

use super::{Context, typist};
use crate::failure::{Exit, Failure};

/// Which site, and what to open.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `northgate/plant-2`.
    of: String,
    /// Once commissioning has ended: make ordinary incidents of these, with clocks from this moment on.
    #[arg(long, value_name = "REF", num_args = 1..)]
    open: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (client, site) = place(&args.of)?;
    let ticked = args.open.iter().map(|text| reference(text, &client)).collect::<Result<Vec<_>, _>>()?;
    let (opened, found) = context.with_desk(async |desk, now| {
        let opened = if ticked.is_empty() {
            Vec::new()
        } else {
            let opened = desk.open_as_found((&client, &site), &ticked, &typist(), now).await;
            opened.map_err(|error| refused(error, context))?
        };
        Ok::<_, Failure>((opened, desk.as_found(&client, &site, now).await?))
    })?;
    let text = if opened.is_empty() { text(&found, context) } else { opened.iter().map(opening).collect() };
    context
        .output
        .result(text.trim_end(), || json!({ "schema": "upheld.commission/1", "opened": opened, "as_found": found }))?;
    Ok(Exit::Ok)
}

fn place(text: &str) -> Result<(ClientId, SiteId), Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, why).todo("upheld-collector commission northgate/plant-2");
    let (client, site) = text.split_once('/').ok_or_else(|| wrong(format!("{text:?} names no site of a client")))?;
    let client = client.parse::<ClientId>().map_err(|error| wrong(error.to_string()))?;
    let site = site.parse::<SiteId>().map_err(|error| wrong(error.to_string()))?;
    Ok((client, site))
}

/// `INC-7` of this client, or a whole reference.
fn reference(text: &str, client: &ClientId) -> Result<IncidentRef, Failure> {
    let bare = text.parse::<IncidentNumber>().ok().map(|number| IncidentRef { client: client.clone(), number });
    bare.map_or_else(|| text.parse::<IncidentRef>(), Ok).map_err(|error| Failure::of(Exit::Usage, &error))
}

fn refused(error: CommissionError, context: &Context) -> Failure {
    let data = context.data_option();
    match error {
        CommissionError::Desk(error) => error.into(),
        CommissionError::Still { ref client, ref site, from: None } => Failure::of(Exit::Failed, &error)
            .because(format!("clients/{client}/sites/{site}.toml has no line `commissioned = DATE`"))
            .todo(format!("write the date into the book, then: upheld-collector{data} book apply DIR")),
        CommissionError::Still { ref client, ref site, from: Some(_) } => Failure::of(Exit::Failed, &error)
            .because(format!("`commissioned = DATE` of clients/{client}/sites/{site}.toml has not come"))
            .todo("open it then, or write an earlier date into the book and apply it"),
        CommissionError::NotFoundThere { ref client, ref site, .. } => Failure::of(Exit::Failed, &error)
            .todo(format!("see what was found: upheld-collector{data} commission {client}/{site}")),
        CommissionError::Over { ref incident, .. } => Failure::of(Exit::Failed, &error)
            .todo(format!("if it is to be dealt with all the same: upheld-collector{data} reopen {incident}")),
    }
}

fn opening(view: &IncidentView) -> String {
    let mut text = format!("{} {}: opened; its clocks count from here.\n", view.incident, view.title);
    if let TermsView::None { why, .. } = &view.terms {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  none promised: {why}");
    }
    for clock in &view.clocks {
        let _ = writeln!(text, "  {}", clock.said.line);
    }
    text
}

fn text(found: &AsFound, context: &Context) -> String {
    let AsFound { client, site, site_name, time_zone, since, commissioned, is_over, as_of, assets, without_findings } =
        found;
    let local = |at| words::local(at, time_zone);
    let since =
        since.map_or_else(|| "no agent is enrolled there yet".to_owned(), |at| format!("watched since {}", local(at)));
    let mut text =
        format!("{site_name} ({client}/{site}) as found while commissioning; {since}, as of {}.\n", local(*as_of));
    for asset in assets {
        let name = asset.asset.as_ref().map_or_else(|| "The site itself".to_owned(), ToString::to_string);
        let class = asset.class.map(|class| format!(" ({class})")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{name}{class}");
        for sentence in &asset.sentences {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    let others = if assets.is_empty() { "" } else { "other " };
    let _ = match without_findings {
        0 => writeln!(text),
        1 => writeln!(text, "\nNothing was found on 1 {others}asset."),
        many => writeln!(text, "\nNothing was found on {many} {others}assets."),
    };
    let data = context.data_option();
    let _ = match (commissioned, is_over) {
        (Some(at), true) => writeln!(
            text,
            "Commissioned since {}. What is to be dealt with: upheld-collector{data} commission {client}/{site} --open INC-…",
            local(*at)
        ),
        (Some(at), false) => writeln!(text, "Still being commissioned until {}: nothing is ticketed.", local(*at)),
        (None, _) => writeln!(
            text,
            "Still being commissioned: nothing is ticketed. To end it, write `commissioned = DATE` into \
             clients/{client}/sites/{site}.toml and apply the book."
        ),
    };
    text
}
