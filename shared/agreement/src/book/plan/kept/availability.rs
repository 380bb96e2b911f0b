//! The objective of availability (TERMS 2).

use serde::Serialize;
use upheld_model::AssetClass;

use crate::{
    book::{
        code::Code,
        diagnostic::Diagnostic,
        fields::{Fields, Node, Read, Reading, entries},
        scalar::{PlainSeconds, read_words},
        source::Located,
    },
    ratio::Ratio,
    words::BookName,
};

/// The objective of availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Availability {
    /// The share of time that is promised.
    pub objective: Ratio,
    /// Measured over what.
    pub per: AvailabilityPer,
    /// Which classes of assets.
    pub class: Vec<AssetClass>,
    /// Inside which calendar.
    pub calendar: Located<BookName>,
    /// In which window.
    pub window: Window,
    /// What is left out.
    pub exclude: Vec<Exclusion>,
    /// The notice that maintenance needs.
    pub maintenance_notice_s: Option<PlainSeconds>,
    /// How unknown counts.
    pub unknown: CountsAs,
    /// More unknown than this and the figure is not proven.
    pub not_proven_above: Option<Ratio>,
    /// How degraded counts.
    pub degraded: CountsAs,
    /// What makes a class down ([`crate::availability::DownWhen`]).
    pub down_when: Vec<(AssetClass, String)>,
}

impl Read for Availability {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "availability", reading)?;
        let objective = fields.required::<Located<Ratio>>("objective", reading);
        let per = fields.optional("per", reading).unwrap_or(AvailabilityPer::Asset);
        let class = fields.list("class", reading);
        let calendar = fields.required("calendar", reading);
        let window = fields.optional("window", reading).unwrap_or(Window::Month);
        let exclude = fields.list("exclude", reading);
        let maintenance_notice_s = fields.optional("maintenance_notice", reading);
        let unknown = fields.optional("unknown", reading).unwrap_or(CountsAs::Exclude);
        let not_proven_above = fields.optional("not_proven_above", reading);
        let degraded = fields.optional("degraded", reading).unwrap_or(CountsAs::AsUp);
        let down_when = fields.node("down_when").map(|node| read_down_when(node, reading)).unwrap_or_default();
        fields.finish(reading);
        let objective = objective?;
        if objective.value > Ratio::ONE {
            reading.report(Diagnostic::new(Code::OutOfBounds, &objective.place, "nothing is up for more than 100 %"));
        }
        Some(Self {
            objective: objective.value,
            per,
            class,
            calendar: calendar?,
            window,
            exclude,
            maintenance_notice_s,
            unknown,
            not_proven_above,
            degraded,
            down_when,
        })
    }
}

fn read_down_when(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<(AssetClass, String)> {
    let mut found = Vec::new();
    for (key, value) in entries(node, "what makes a class down", reading) {
        match key.get_ref().parse::<AssetClass>() {
            Ok(class) => {
                let Some(text) = String::read(value, reading) else { continue };
                // Other words are a promise all the same: they are kept, listed, and any failed check is down.
                if text.parse::<crate::availability::DownWhen>().is_err() {
                    reading.keep("down_when in words of its own", value);
                }
                found.push((class, text));
            }
            Err(error) => {
                let place = reading.place(key);
                reading.report(Diagnostic::new(Code::UnknownWord, &place, error.to_string()));
            }
        }
    }
    found
}

upheld_model::vocabulary!(
    /// Over what availability is measured.
    AvailabilityPer, "unit of availability", {
        /// Each asset.
        Asset = "asset",
        /// All assets of a class at a site.
        Class = "class",
        /// A whole site.
        Site = "site",
    }
);

upheld_model::vocabulary!(
    /// The window of an objective.
    Window, "window", {
        /// A calendar month.
        Month = "month",
        /// A quarter.
        Quarter = "quarter",
        /// A year.
        Year = "year",
    }
);

upheld_model::vocabulary!(
    /// Time that availability leaves out.
    Exclusion, "exclusion", {
        /// Agreed maintenance, with notice.
        Maintenance = "maintenance",
        /// What the client caused.
        Client = "client",
        /// The utility's power.
        Utility = "utility",
        /// The internet provider.
        Isp = "isp",
    }
);

upheld_model::vocabulary!(
    /// How a doubtful state counts in the formula (F8).
    CountsAs, "way to count", {
        /// In neither part of the fraction.
        Exclude = "exclude",
        /// As up.
        AsUp = "as_up",
        /// As down.
        AsDown = "as_down",
    }
);

read_words!(
    AvailabilityPer "unit of availability", Window "window", Exclusion "exclusion", CountsAs "way to count"
);
