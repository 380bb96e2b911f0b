//! `uptime`: each asset's time over a period from the stored facts; with `--cases`, the calculator of TERMS 8.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use upheld_agreement::{
    account::Stretch,
    availability::{AssetUptime, Seen},
};
use upheld_desk::Scope;
use upheld_model::{ClientId, SiteId};

use super::{Context, cases, statement::PeriodArgs};
use crate::{
    failure::{Exit, Failure},
    when,
};

/// Whose time, or a file of cases.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `northgate`, `northgate/plant-2`.
    #[arg(required_unless_present = "cases", conflicts_with = "cases")]
    of: Option<String>,
    #[command(flatten)]
    period: PeriodArgs,
    /// As it was known at this time.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Every piece of time too, not the sums alone.
    #[arg(long)]
    pieces: bool,
    #[command(flatten)]
    cases: cases::MaybeCases,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Some(of) = &args.of else { return cases::uptime(&args.cases.given()?, context) };
    let (client, site) = place(of)?;
    let (assets, period, at, zone) = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let at = args.at.as_deref().map(|text| when::instant(text, &zone)).transpose()?.unwrap_or(now);
        let period = args.period.stretch(&zone, at)?;
        let assets = desk.uptime(&Scope::Provider, &client, site.as_ref(), period, at).await?;
        Ok::<_, Failure>((assets, period, at, zone))
    })?;
    if assets.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is known of {of} in this period"))
            .because("the book has no such client or site, or the period lies in the future")
            .todo("upheld-collector book explain CLIENT, or name another period: --month 2026-11"));
    }
    let until = period.to.min(at);
    let period = Stretch { from: period.from, to: until };
    let text = assets.iter().map(|asset| text(asset, period, args.pieces, &zone)).collect::<String>();
    context.output.result(&text, || {
        let assets: Vec<Value> = assets.iter().map(|asset| document(asset, period, args.pieces)).collect();
        json!({ "schema": "upheld.uptime/1", "client": client, "period": period, "assets": assets })
    })?;
    Ok(Exit::Ok)
}

fn place(text: &str) -> Result<(ClientId, Option<SiteId>), Failure> {
    let wrong = |error: String| Failure::new(Exit::Usage, error).todo("write northgate or northgate/plant-2");
    let (client, site) = match text.split_once('/') {
        Some((client, site)) => (client, Some(site)),
        None => (text, None),
    };
    let client = client.parse::<ClientId>().map_err(|error| wrong(error.to_string()))?;
    let site = site.map(str::parse::<SiteId>).transpose().map_err(|error| wrong(error.to_string()))?;
    Ok((client, site))
}

fn document(asset: &AssetUptime, period: Stretch, pieces: bool) -> Value {
    let mut document = json!({
        "site": asset.site,
        "asset": asset.asset,
        "class": asset.class,
        "sums": asset.timeline.sums(period.from, period.to),
        "maintenance": asset.maintenance,
    });
    if pieces {
        document["pieces"] = json!(asset.timeline.pieces());
    }
    document
}

fn text(asset: &AssetUptime, period: Stretch, pieces: bool, zone: &TimeZone) -> String {
    let sums = asset.timeline.sums(period.from, period.to);
    let mut text = format!(
        "{}/{}  up {} s, degraded {} s, down {} s, unknown {} s, in all {} s\n",
        asset.site,
        asset.asset,
        sums.up_s,
        sums.degraded_s,
        sums.down_s,
        sums.unknown_s(),
        sums.total_s()
    );
    // Writing to a String cannot fail.
    for (why, seconds) in &sums.unknown {
        let _ = writeln!(text, "  unknown: {why} {seconds} s");
    }
    let at = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if pieces {
        for piece in asset.timeline.pieces() {
            let state = match piece.state {
                Seen::Up => "up".to_owned(),
                Seen::Degraded => "degraded".to_owned(),
                Seen::Down => "down".to_owned(),
                Seen::Unknown(why) => format!("unknown ({why})"),
            };
            let _ = writeln!(text, "  {} to {}  {state}", at(piece.from), at(piece.to));
        }
        for window in &asset.maintenance {
            let _ = writeln!(text, "  {} to {}  maintenance", at(window.from), at(window.to));
        }
    }
    text
}
