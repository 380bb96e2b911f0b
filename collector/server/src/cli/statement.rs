//! `statement`: did the client get what he pays for, over a month, a quarter or any period (TERMS 2).

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::json;
use upheld_agreement::account::{Account, Stretch};
use upheld_desk::{Scope, figures::StatementError};
use upheld_model::ClientId;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// Whose statement, over which period.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The client.
    client: ClientId,
    #[command(flatten)]
    period: PeriodArgs,
    /// Why one figure is what it is: a name from the statement's first column.
    #[arg(long, value_name = "FIGURE")]
    why: Option<String>,
    /// As it was known at this time.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// A period; the present month when nothing is said.
#[derive(Debug, clap::Args)]
pub(super) struct PeriodArgs {
    /// A calendar month: 2026-11.
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["quarter", "from", "to"])]
    month: Option<String>,
    /// A quarter: 2026-Q4.
    #[arg(long, value_name = "YYYY-Qn", conflicts_with_all = ["from", "to"])]
    quarter: Option<String>,
    /// From this time.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<String>,
    /// Until this time, exclusive.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let account = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let at = args.at.as_deref().map(|text| when::instant(text, &zone)).transpose()?.unwrap_or(now);
        let period = args.period.stretch(&zone, at)?;
        Ok::<_, Failure>(desk.statement(&Scope::Provider, &args.client, period, at).await?)
    })?;
    match &args.why {
        Some(figure) => why(figure, &account, context),
        None => {
            let text = account.text();
            context
                .output
                .result(&text, || json!({ "schema": "upheld.statement/1", "statement": account, "text": text }))
        }
    }?;
    Ok(Exit::Ok)
}

fn why(figure: &str, account: &Account, context: &Context) -> Result<(), Failure> {
    let because = account.why(figure).ok_or_else(|| {
        let names = account.figures();
        let nearest = names.iter().max_by(|a, b| {
            let like = |name: &str| strsim::jaro_winkler(name, figure);
            like(a).total_cmp(&like(b))
        });
        let failure = Failure::new(Exit::Usage, format!("the statement has no figure {figure:?}"));
        match nearest {
            Some(name) => failure.because("names are those of the first column").todo(format!("--why {name}")),
            None => failure.because("it has no figures at all"),
        }
    })?;
    context.output.result(&because, || json!({ "schema": "upheld.why/1", "figure": figure, "why": because }))
}

impl PeriodArgs {
    /// The period in the provider's zone.
    pub(super) fn stretch(&self, zone: &TimeZone, now: Timestamp) -> Result<Stretch, Failure> {
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            return Ok(Stretch { from: when::instant(from, zone)?, to: when::instant(to, zone)? });
        }
        let (first, months) = match (&self.month, &self.quarter) {
            (Some(month), _) => (month_of(month).ok_or_else(|| wrong(month, "--month 2026-11"))?, 1),
            (None, Some(quarter)) => (quarter_of(quarter).ok_or_else(|| wrong(quarter, "--quarter 2026-Q4"))?, 3),
            (None, None) => (zone.to_datetime(now).date().first_of_month(), 1),
        };
        let midnight = |date: Date| date.to_zoned(zone.clone()).map(|zoned| zoned.timestamp());
        let next = first.checked_add(months.months()).and_then(midnight);
        let out_of_range = |error: jiff::Error| Failure::new(Exit::Usage, error.to_string());
        Ok(Stretch { from: midnight(first).map_err(out_of_range)?, to: next.map_err(out_of_range)? })
    }
}

fn month_of(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

fn quarter_of(text: &str) -> Option<Date> {
    let (year, quarter) = text.split_once("-Q")?;
    let quarter: i8 = quarter.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
    Date::new(year.parse().ok()?, quarter * 3 - 2, 1).ok()
}

fn wrong(text: &str, example: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{text:?} is not such a period")).todo(format!("write it like {example}"))
}

impl From<StatementError> for Failure {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Desk(error) => error.into(),
            StatementError::NoAccount(why) => Self::of(Exit::Failed, &why).todo(
                "see the agreement: upheld-collector book explain CLIENT, or name another period: --month 2026-11",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(month: Option<&str>, quarter: Option<&str>) -> Result<(String, String), Failure> {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let text = |text: &str| text.to_owned();
        let args = PeriodArgs { month: month.map(text), quarter: quarter.map(text), from: None, to: None };
        let stretch = args.stretch(&zone, "2026-11-27T22:00:00Z".parse().unwrap())?;
        Ok((stretch.from.to_string(), stretch.to.to_string()))
    }

    #[test]
    fn months_and_quarters_are_the_providers() {
        let november = ("2026-11-01T05:00:00Z".to_owned(), "2026-12-01T06:00:00Z".to_owned());
        assert_eq!(asked(None, None).unwrap(), november);
        assert_eq!(asked(Some("2026-11"), None).unwrap(), november);
        assert_eq!(asked(None, Some("2026-Q4")).unwrap().0, "2026-10-01T05:00:00Z");
        for bad in ["2026", "2026-13", "November"] {
            assert!(asked(Some(bad), None).is_err(), "{bad}");
        }
        for bad in ["2026-Q5", "2026-4", "Q4"] {
            assert!(asked(None, Some(bad)).is_err(), "{bad}");
        }
    }
}
