//! An incident that a person reported (DETECTION 5, kind `reported`).

use jiff::Timestamp;
use upheld_model::{AssetId, ClientId, DeviceText, IncidentClass, IncidentKind, SiteId};

use super::{Begun, Bounds, Change, Desk, Incident, IncidentEffect, OpeningCause, Root};

/// The longest part of a report that stands in a title, in characters.
const TITLE_CHARS: usize = 80;

/// What a person reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its id, the same however often it is sent.
    pub id: String,
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// About which asset, where he named one.
    pub asset: Option<AssetId>,
    /// What it is about.
    pub class: IncidentClass,
    /// In his words.
    pub text: String,
    /// When he says he called: what he saw is as old at least, and he is the one who detected it.
    pub called_at: Timestamp,
    /// When the collector wrote it down: received (TERMS F11).
    pub entered_at: Timestamp,
}

/// The incident that a report opens. People and clocks deal with it at once, in commissioning too: somebody waits for
/// an answer.
pub fn opened(report: &Report) -> IncidentEffect {
    let Report { id, client, site, asset, class, text, called_at, entered_at } = report;
    let root = Root::Report { id: id.clone(), asset: asset.clone() };
    let incident = Incident {
        evidence_opening: Some(DeviceText::new(text)),
        ..Incident::begun(Begun {
            client,
            site,
            class: *class,
            kind: IncidentKind::Reported,
            root,
            opening: &OpeningCause::Report { id: id.clone() },
            rule: "report",
            title: title(site, asset.as_ref(), text),
            started: Bounds { not_before: None, not_after: *called_at },
            detected: *called_at,
            received: *entered_at,
        })
    };
    let desk = Desk::Begins { detected: *called_at, received: *entered_at };
    IncidentEffect { incident, change: Change::Opened, desk, due_at: *entered_at, noticed_at: *entered_at }
}

fn title(site: &SiteId, asset: Option<&AssetId>, text: &str) -> String {
    let subject = asset.map_or_else(|| site.to_string(), ToString::to_string);
    let short: String = text.chars().take(TITLE_CHARS).collect();
    let more = if text.chars().nth(TITLE_CHARS).is_some() { "…" } else { "" };
    format!("{subject}: {short}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_detected_when_he_called_and_received_when_it_was_entered() {
        let effect = opened(&report("r-1", Some("srv-1")));
        let incident = &effect.incident;
        assert_eq!((incident.detected, incident.received), (at(100), at(700)));
        assert_eq!(effect.desk, Desk::Begins { detected: at(100), received: at(700) });
        assert_eq!(incident.title, "srv-1: the lights are out");
        assert!(incident.is_open() && incident.is_ticketed() && incident.pages());
        assert_eq!(incident.assets().len(), 1);
    }

    #[test]
    fn two_reports_are_two_incidents_and_the_same_one_is_one() {
        let key = |id| {
            let incident = opened(&report(id, None)).incident;
            (incident.key, incident.dedup)
        };
        assert_eq!(key("r-1"), key("r-1"));
        assert_ne!(key("r-1").0, key("r-2").0);
        assert_ne!(key("r-1").1, key("r-2").1);
    }

    #[test]
    fn a_long_report_is_cut_in_the_title_only() {
        let long = Report { text: "x".repeat(300), ..report("r-1", None) };
        let incident = opened(&long).incident;
        assert_eq!(incident.title, format!("plant-2: {}…", "x".repeat(TITLE_CHARS)));
    }

    fn report(id: &str, asset: Option<&str>) -> Report {
        Report {
            id: id.to_owned(),
            client: "northgate".parse().unwrap(),
            site: "plant-2".parse().unwrap(),
            asset: asset.map(|asset| asset.parse().unwrap()),
            class: IncidentClass::Request,
            text: "the lights are out".to_owned(),
            called_at: at(100),
            entered_at: at(700),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
