//! What is measured over a period, and what is owed for it: availability, credits, their cap.

use serde::Serialize;
use upheld_model::AssetClass;

use super::{Asked, hours, say};
use crate::{
    book::{
        Amount, Availability, AvailabilityPer, CountsAs, Credit, CreditLimits, CreditWhen, Exclusion, Rounding, Window,
    },
    money::Money,
    terms::{DowntimePer, LongestDowntime},
    words::Stage,
};

/// The objective of availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AvailabilityClaim {
    /// The plan's terms.
    pub terms: Availability,
    #[serde(skip)]
    counted_in: String,
}

/// One tier of what is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreditClaim {
    /// The plan's tier.
    pub tier: Credit,
    /// The period whose fee a share is of.
    pub window: Window,
    /// That period's fee by this version's prices, riders included.
    pub fee: Option<Money>,
    /// What the tier comes to; `None` where there is no fee to take a share of.
    pub worth: Option<Money>,
}

/// How far credits go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapClaim {
    /// The plan's limits.
    pub limits: CreditLimits,
    /// The period of the cap.
    pub window: Window,
    /// That period's fee.
    pub fee: Option<Money>,
    /// What the cap comes to.
    pub worth: Option<Money>,
}

pub(super) fn availability(asked: &Asked<'_>) -> Option<AvailabilityClaim> {
    let terms = asked.plan.availability.clone()?;
    let counted_in = hours::in_hours(&terms.calendar.value, asked.book.calendars.get(&terms.calendar.value));
    Some(AvailabilityClaim { terms, counted_in })
}

pub(super) fn credits(asked: &Asked<'_>) -> Vec<CreditClaim> {
    let (window, fee) = (window(asked), asked.fee_of(window(asked)));
    let rounding = rounding(asked);
    let claim = |tier: &Credit| {
        let worth = worth(&tier.amount, fee, rounding);
        CreditClaim { tier: tier.clone(), window, fee, worth }
    };
    asked.plan.credits.iter().map(claim).collect()
}

pub(super) fn cap(asked: &Asked<'_>) -> Option<CapClaim> {
    let limits = asked.plan.credit_limits.clone().filter(|_| !asked.plan.credits.is_empty())?;
    let (window, fee) = (window(asked), asked.fee_of(window(asked)));
    let worth = limits.cap.as_ref().and_then(|cap| worth(cap, fee, rounding(asked)));
    Some(CapClaim { limits, window, fee, worth })
}

/// Credits are settled by the window of the objective; by the month where there is none.
fn window(asked: &Asked<'_>) -> Window {
    asked.plan.availability.as_ref().map_or(Window::Month, |measured| measured.window)
}

fn rounding(asked: &Asked<'_>) -> Rounding {
    asked.plan.credit_limits.as_ref().map_or(Rounding::HalfEven, |limits| limits.rounding)
}

fn worth(amount: &Amount, fee: Option<Money>, rounding: Rounding) -> Option<Money> {
    match amount {
        Amount::Fixed(money) => Some(*money),
        Amount::OfFee(share) => {
            let (numerator, denominator) = share.parts();
            Some(fee?.share(u128::from(numerator), u128::from(denominator), rounding))
        }
    }
}

impl AvailabilityClaim {
    pub(super) fn say(&self) -> String {
        let Availability { objective, class, window, exclude, maintenance_notice_s, .. } = &self.terms;
        let what = self.subject();
        let mut said = vec![format!(
            "{} at least {} of each {window}, measured {}.",
            say::capital(&format!("{what} works")),
            objective.as_percent(),
            self.counted_in
        )];
        if self.terms.per == AvailabilityPer::Site && !class.is_empty() {
            said.push(format!("A site's figure is that of {} together.", classes(class, "every")));
        }
        let left_out: Vec<String> = exclude
            .iter()
            .map(|exclusion| match (exclusion, maintenance_notice_s) {
                (Exclusion::Maintenance, Some(notice)) => {
                    format!("maintenance that was agreed {} before at the latest", say::long_time(notice.0))
                }
                (Exclusion::Maintenance, None) => "agreed maintenance".to_owned(),
                (Exclusion::Client, _) => "what you cause yourself".to_owned(),
                (Exclusion::Utility, _) => "failures of the utility's power".to_owned(),
                (Exclusion::Isp, _) => "failures of the internet provider".to_owned(),
            })
            .collect();
        if !left_out.is_empty() {
            said.push(format!("Left out on both sides of the fraction: {}.", say::list(&left_out, "and")));
        }
        said.push(self.unknown());
        said.push(match self.terms.degraded {
            CountsAs::AsUp => "What works in part counts as working.".to_owned(),
            CountsAs::AsDown => "What works in part counts as down.".to_owned(),
            CountsAs::Exclude => "Time in which it works in part is left out.".to_owned(),
        });
        let down_when: Vec<String> =
            self.terms.down_when.iter().map(|(class, when)| format!("for {}, {when}", a(*class))).collect();
        if !down_when.is_empty() {
            said.push(format!("As down counts also: {}.", down_when.join("; ")));
        }
        said.join(" ")
    }

    fn subject(&self) -> String {
        match self.terms.per {
            AvailabilityPer::Asset if self.terms.class.is_empty() => "each asset".to_owned(),
            AvailabilityPer::Asset => classes(&self.terms.class, "each"),
            AvailabilityPer::Class => {
                format!("all equipment of a kind at a site ({}) together", classes(&self.terms.class, ""))
            }
            AvailabilityPer::Site => "each site".to_owned(),
        }
    }

    fn unknown(&self) -> String {
        let counts = match self.terms.unknown {
            CountsAs::Exclude => "Time of which nobody knows is never counted as working: it is left out",
            CountsAs::AsUp => {
                "Time of which nobody knows is shown as unknown and, in this formula only, counted as working"
            }
            CountsAs::AsDown => "Time of which nobody knows is counted as down",
        };
        let limit = self
            .terms
            .not_proven_above
            .map(|share| format!("; with more than {} of it the figure proves nothing", share.as_percent()))
            .unwrap_or_default();
        format!("{counts}{limit}.")
    }
}

impl CreditClaim {
    pub(super) fn say(&self) -> String {
        let when = match self.tier.when {
            CreditWhen::AvailabilityBelow(share) => {
                format!("If such a figure is below {} for a {}", share.as_percent(), self.window)
            }
            CreditWhen::DowntimeAbove(limit) => format!("For downtime of more than {}", downtime(limit)),
            CreditWhen::Missed(stage) => format!("For each incident in which we {} too late", too_late(stage)),
        };
        format!("{when}, we credit you {}.", amount(&self.tier.amount, self.window, self.worth))
    }
}

impl CapClaim {
    pub(super) fn say(&self) -> String {
        let mut said = vec![
            "Of several of these that apply to one figure, one downtime or one late promise, the highest is owed."
                .to_owned(),
        ];
        if let Some(cap) = &self.limits.cap {
            let most = amount(cap, self.window, self.worth);
            said.push(format!("All credits of a {} together are {most} at most.", self.window));
        }
        if let Some(fee) = self.fee {
            said.push(format!("A whole {}'s fee is {}, riders included.", self.window, say::money(fee)));
        }
        said.push(match self.limits.rounding {
            Rounding::HalfEven => "Halves of a cent are rounded to the even one.".to_owned(),
            Rounding::HalfUp => "Halves of a cent are rounded up.".to_owned(),
            Rounding::Down => "Parts of a cent are left off.".to_owned(),
        });
        said.join(" ")
    }
}

/// `12 hours in one event`.
pub(super) fn downtime(limit: LongestDowntime) -> String {
    let per = match limit.per {
        DowntimePer::Event => "in one event",
        DowntimePer::Month => "in a calendar month",
        DowntimePer::Quarter => "in a quarter",
        DowntimePer::AgreementYear => "in a year of the agreement",
    };
    format!("{} {per}", say::time(limit.seconds))
}

fn too_late(stage: Stage) -> &'static str {
    match stage {
        Stage::Acknowledge => "took it",
        Stage::Respond => "answered",
        Stage::OnSite => "came",
        Stage::Update => "told you how it stood",
        Stage::Workaround => "had you working again",
        Stage::Resolve => "had it working again",
        Stage::VisitReport => "sent the visit's report",
        Stage::RestoreTest => "restored a backup",
    }
}

/// `5 % of the month's fee (USD 110)`, `USD 25`.
fn amount(amount: &Amount, window: Window, worth: Option<Money>) -> String {
    match amount {
        Amount::Fixed(money) => say::money(*money),
        Amount::OfFee(share) => {
            let worth = worth.map(|worth| format!(" ({})", say::money(worth))).unwrap_or_default();
            format!("{} of the {window}'s fee{worth}", share.as_percent())
        }
    }
}

/// `each recorder, access panel and server`.
fn classes(classes: &[AssetClass], before: &str) -> String {
    let names: Vec<String> = classes.iter().map(|&class| noun(class)).collect();
    format!("{before} {}", say::list(&names, "and")).trim_start().to_owned()
}

/// With its article: `a recorder`, `an access panel`.
pub(super) fn a(class: AssetClass) -> String {
    match class {
        AssetClass::AccessPanel | AssetClass::InternetLink => format!("an {}", noun(class)),
        AssetClass::Other => "another asset".to_owned(),
        AssetClass::Ups
        | AssetClass::Switch
        | AssetClass::Gateway
        | AssetClass::Recorder
        | AssetClass::Camera
        | AssetClass::Server
        | AssetClass::Workstation => format!("a {}", noun(class)),
    }
}

/// What a class is called: `access panel`, `UPS`.
pub(super) fn noun(class: AssetClass) -> String {
    match class {
        AssetClass::Ups => "UPS".to_owned(),
        AssetClass::Switch
        | AssetClass::Gateway
        | AssetClass::InternetLink
        | AssetClass::Recorder
        | AssetClass::Camera
        | AssetClass::AccessPanel
        | AssetClass::Server
        | AssetClass::Workstation => say::unhyphened(class.as_str()),
        AssetClass::Other => "other asset".to_owned(),
    }
}
