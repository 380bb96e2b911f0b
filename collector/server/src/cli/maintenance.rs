//! `maintenance`: windows of agreed work, and whether one is in force.

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_desk::{
    Scope,
    maintenance::{MaintenanceError, NewWindow, WindowView},
};
use upheld_model::{AssetId, CheckId, ClientId, SiteId};
use upheld_web::words;

use super::{Context, typist};
use crate::{
    failure::{Exit, Failure},
    when,
};

/// What can be done with windows of work.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Enter a window; the book's own come with the book.
    Add(AddArgs),
    /// The windows, each with the stretch that goes on or comes next.
    List {
        /// Of one client, or of one site: `northgate`, `northgate/plant-2`.
        of: Option<String>,
    },
    /// End a window that was entered by hand: `northgate/M-3`.
    End {
        /// `northgate/M-3`.
        window: String,
    },
    /// Whether work on an asset or check is agreed at a moment, and why: `northgate/plant-2/nvr-02[/check]`.
    Why {
        /// `northgate/plant-2/nvr-02`, or with one check of it.
        what: String,
        /// At this time.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
}

/// A window to enter.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// `northgate/plant-2`.
    site: String,
    /// On this asset; may be given more than once. The whole site when neither assets nor checks are named.
    #[arg(long, value_name = "ASSET")]
    asset: Vec<AssetId>,
    /// On this check, `nvr-02/net.tcp`; may be given more than once.
    #[arg(long, value_name = "CHECK")]
    check: Vec<CheckId>,
    /// From when.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// For how long: `4h`.
    #[arg(long = "for", value_parser = when::span, value_name = "DURATION")]
    lasts: SignedDuration,
    /// What is done; the client reads it.
    #[arg(long)]
    reason: String,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Add(args) => add(args, context),
        Command::List { of } => list(of.as_deref(), context),
        Command::End { window } => end(&window, context),
        Command::Why { what, at } => why(&what, at.as_deref(), context),
    }
}

fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let (client, site) = place(&args.site)?;
    let for_s = args.lasts.as_secs().unsigned_abs();
    let (view, zone) = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let from = when::instant(&args.from, &zone)?;
        let AddArgs { asset: assets, check: checks, reason, .. } = args;
        let new = NewWindow { client, site, assets, checks, from, for_s, reason };
        Ok::<_, Failure>((desk.add_maintenance(new, &typist(), now).await?, zone))
    })?;
    let late = match view.next {
        Some((from, _)) if from < view.entered_at => "\n  It has begun already: it does not count for availability.",
        Some(_) => "",
        None => "\n  It is over already: it changes nothing.",
    };
    let text = format!("Entered {}.{late}", line(&view, &zone));
    context.output.result(&text, || json!({ "schema": "upheld.maintenance/1", "window": view }))?;
    Ok(Exit::Ok)
}

fn list(of: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let (client, site) = match of {
        None => (None, None),
        Some(of) => match of.split_once('/') {
            None => (Some(of.parse::<ClientId>().map_err(|error| Failure::of(Exit::Usage, &error))?), None),
            Some(_) => place(of).map(|(client, site)| (Some(client), Some(site)))?,
        },
    };
    let scope = client.map_or(Scope::Provider, Scope::Client);
    let (mut windows, zone) = context.with_desk(async |desk, now| {
        Ok::<_, Failure>((desk.maintenance(&scope, now).await?, context.zone(desk).await?))
    })?;
    windows.retain(|window| site.as_ref().is_none_or(|site| window.site == *site));
    let lines: Vec<_> = windows.iter().map(|window| line(window, &zone)).collect();
    let text = if lines.is_empty() { "No windows of work.".to_owned() } else { lines.join("\n") };
    context.output.result(&text, || json!({ "schema": "upheld.maintenance-list/1", "windows": windows }))?;
    Ok(Exit::Ok)
}

fn end(window: &str, context: &Context) -> Result<Exit, Failure> {
    let usage = || {
        Failure::new(Exit::Usage, format!("{window:?} is not a window"))
            .todo("write client/M-3, as it stands in: upheld-collector maintenance list")
    };
    let (client, number) = window.split_once('/').ok_or_else(usage)?;
    let client: ClientId = client.parse().map_err(|error| Failure::of(Exit::Usage, &error))?;
    let number = number.strip_prefix("M-").and_then(|number| number.parse().ok()).ok_or_else(usage)?;
    let (view, zone) = context.with_desk(async |desk, now| {
        let view = desk.end_maintenance(&client, number, &typist(), now).await?;
        Ok::<_, Failure>((view, context.zone(desk).await?))
    })?;
    let text = format!("Ended {}.", line(&view, &zone));
    context.output.result(&text, || json!({ "schema": "upheld.maintenance/1", "window": view }))?;
    Ok(Exit::Ok)
}

fn why(what: &str, at: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let usage = || {
        Failure::new(Exit::Usage, format!("{what:?} is not an asset"))
            .todo("write client/site/asset, or client/site/asset/check for one check of it")
    };
    let mut parts = what.splitn(4, '/');
    let (Some(client), Some(site), Some(asset)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(usage());
    };
    let client: ClientId = client.parse().map_err(|_| usage())?;
    let site: SiteId = site.parse().map_err(|_| usage())?;
    let check: Option<CheckId> =
        parts.next().map(|name| format!("{asset}/{name}").parse().map_err(|_| usage())).transpose()?;
    let asset: AssetId = asset.parse().map_err(|_| usage())?;
    let why = context.with_desk(async |desk, now| {
        let at = match at {
            Some(text) => when::instant(text, &context.zone(desk).await?)?,
            None => now,
        };
        let why = desk.why_maintenance(&Scope::Provider, (&client, &site), &asset, check.as_ref(), at);
        Ok::<_, Failure>(why.await?)
    })?;
    context.output.result(why.text.trim_end(), || json!({ "schema": "upheld.maintenance-why/1", "why": why }))?;
    Ok(Exit::Ok)
}

fn place(text: &str) -> Result<(ClientId, SiteId), Failure> {
    let usage = || Failure::new(Exit::Usage, format!("{text:?} is not a site")).todo("write client/site");
    let (client, site) = text.split_once('/').ok_or_else(usage)?;
    Ok((client.parse().map_err(|_| usage())?, site.parse().map_err(|_| usage())?))
}

/// One window in one line, times in the provider's zone.
fn line(view: &WindowView, zone: &TimeZone) -> String {
    let local = |at: Timestamp| words::local(at, zone.iana_name().unwrap_or("UTC"));
    let WindowView { client, window, site, upon, when, reason, origin, entered_at, entered_by, .. } = view;
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let stands = match (&view.ended_by, view.over_at, view.next) {
        (Some(by), Some(at), _) => format!("ended by {by} {}", local(at)),
        (_, Some(at), _) => format!("over since {}", local(at)),
        (_, None, Some((from, to))) if view.is_in_force => format!("in force, {} to {}", local(from), local(to)),
        (_, None, Some((from, to))) => format!("next {} to {}", local(from), local(to)),
        (_, None, None) => "never within a year".to_owned(),
    };
    let entered = local(*entered_at);
    format!(
        "{client}/{window}  {site}, {upon}{reason}  ({}; {stands}; entered {entered} by {entered_by}, {origin})",
        when.rule()
    )
}

impl From<MaintenanceError> for Failure {
    fn from(error: MaintenanceError) -> Self {
        match error {
            MaintenanceError::Desk(error) => error.into(),
            MaintenanceError::NoSuchWindow { .. } => {
                Self::of(Exit::Failed, &error).todo("upheld-collector maintenance list")
            }
            MaintenanceError::Lasts { .. } | MaintenanceError::NoReason => Self::of(Exit::Usage, &error),
            MaintenanceError::NoSuchSite { .. }
            | MaintenanceError::NoSuchPart { .. }
            | MaintenanceError::Over { .. }
            | MaintenanceError::OfTheBook { .. } => Self::of(Exit::Failed, &error),
        }
    }
}
