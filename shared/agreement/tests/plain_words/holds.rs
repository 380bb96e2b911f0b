//! The other parts of an agreement, each held against the part of the engine that acts on it.

use jiff::ToSpan;
use upheld_agreement::{
    availability::{AssetUptime, Piece, Rules, Seen, Timeline, UnknownWhy, Verdict},
    book::Exclusion,
    calendar::Calendar,
    downtime::{Downtime, cost, over_s},
    explain::{
        AssetClaim, AvailabilityClaim, CoversClaim, DisputeClaim, EscalationClaim, FollowsClaim, IssueClaim, KeptClaim,
        PreventionClaim, PriorityClaim,
    },
    matching::{Affected, Detected, MatchQuery, NoMatch, resolve},
    terms::PinnedTerms,
    words::Level,
};
use upheld_model::{AssetId, IncidentClass, IncidentKind, SiteId};

use super::{Case, hours, read};

/// Every asset of a covered site has terms, but for those left out.
pub(crate) fn covers(case: &Case, claim: &CoversClaim) {
    for site in case.client().sites.values() {
        for asset in site.assets.keys() {
            let is_left_out = claim.not_covered.contains(&(site.id.clone(), asset.clone()));
            let expected = claim.sites.contains(&site.id) && !is_left_out;
            match incident(case, &site.id, asset, IncidentClass::Environment, IncidentKind::Down) {
                Ok(terms) => assert!(expected && terms.version == case.said.version, "{asset}"),
                Err(NoMatch::AssetNotCovered { .. }) => assert!(is_left_out, "{asset}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// What the entry fits becomes that issue, wherever the client has such an asset.
pub(crate) fn issue(case: &Case, claim: &IssueClaim, text: &str) {
    assert!(text.contains(&format!("{} urgency", claim.urgency)), "{text}");
    let assets = case.client().sites.values().flat_map(|site| site.assets.values().map(move |asset| (site, asset)));
    for (site, asset) in assets {
        let matches = &claim.matches;
        if !matches.asset.is_empty() && !matches.asset.contains(&asset.class) {
            continue;
        }
        let class = matches.class.first().copied().unwrap_or(IncidentClass::Environment);
        let kind = matches.kind.first().copied().unwrap_or(IncidentKind::Down);
        let Ok(terms) = incident(case, &site.id, &asset.id, class, kind) else { continue };
        // An entry before it may fit as well; the first counts.
        let number = |id: &str| case.book.catalogue.issues.iter().position(|issue| issue.id.value == id);
        assert!(number(&terms.issue.id) <= number(&claim.id), "{}: {text}", terms.issue.id);
        if terms.issue.id == claim.id {
            assert_eq!((terms.issue.urgency, terms.issue.complexity), (claim.urgency, claim.complexity));
        }
    }
}

/// Each pair of impact and urgency that the sentence says gives the priority, and no other pair does.
pub(crate) fn priority(case: &Case, claim: &PriorityClaim, text: &str) {
    let list = text.trim_end_matches('.').split_once(" is ").unwrap().1;
    let mut said = Vec::new();
    // `high impact with high or medium urgency or medium impact with high urgency`
    for part in list.split(" urgency").filter(|part| !part.is_empty()) {
        let (impact, urgencies) = part.split_once(" impact with ").unwrap();
        let impact: Level = impact.rsplit([' ', ',']).next().unwrap().parse().unwrap();
        said.extend(urgencies.split(" or ").map(|urgency| (impact, urgency.parse::<Level>().unwrap())));
    }
    for &impact in Level::ALL {
        for &urgency in Level::ALL {
            let is_said = said.contains(&(impact, urgency));
            assert_eq!(case.plan().matrix.priority(impact, urgency) == claim.priority, is_said, "{text}");
        }
    }
}

/// Thirty days with exactly the share of downtime that is allowed keep the objective, a minute more does not; unknown
/// and degraded time count as the sentence says.
pub(crate) fn availability(case: &Case, claim: &AvailabilityClaim, text: &str) {
    let objective = read::percents(text)[0];
    let calendar = Calendar::compile(&case.book.calendars[&claim.terms.calendar.value]).unwrap();
    let rules = Rules::of(&claim.terms, calendar.clone());
    let (from, to) = (case.at, case.at + (30 * 24).hours());
    let counted_s = calendar.elapsed_s(from, to, &[]);
    let verdict = |state: Seen, seconds: u64| {
        // From the beginning on, so many counted seconds are in that state, the rest is up.
        let until = calendar.due(from, seconds, &[]).at().unwrap();
        let piece = |from, to, state| Piece { from, to, state };
        let timeline = Timeline::new(vec![piece(from, until, state), piece(until, to, Seen::Up)]).unwrap();
        let asset = AssetUptime {
            site: "office".parse().unwrap(),
            asset: "one".parse().unwrap(),
            class: claim.terms.class[0],
            timeline,
            maintenance: Vec::new(),
            causes: Vec::new(),
        };
        let measured = rules.measure(from, to, &[asset]);
        rules.verdict(&measured.values().next().unwrap().figure)
    };
    let (up, whole) = objective.parts();
    let allowed_s = counted_s * (whole - up) / whole;
    assert_eq!(verdict(Seen::Down, allowed_s), Verdict::Kept, "{text}");
    assert_eq!(verdict(Seen::Down, allowed_s + 60), Verdict::Missed, "{text}");
    let half = counted_s / 2;
    let degraded = if text.contains("in part counts as down") { Verdict::Missed } else { Verdict::Kept };
    assert_eq!(verdict(Seen::Degraded, half), degraded, "{text}");
    let limit = *read::percents(text).last().unwrap();
    let unknown = Seen::Unknown(UnknownWhy::AgentSilent);
    assert!(text.contains("never counted as working"));
    assert_eq!(verdict(unknown, limit.of(counted_s) + 60), Verdict::NotProven, "{text}");
    assert_eq!(verdict(unknown, limit.of(counted_s)), Verdict::Kept, "{text}");
    for (exclusion, said) in [
        (Exclusion::Maintenance, "maintenance"),
        (Exclusion::Client, "what you cause"),
        (Exclusion::Utility, "utility's power"),
        (Exclusion::Isp, "internet provider"),
    ] {
        assert_eq!(rules.exclude.contains(&exclusion), text.contains(said), "{text}");
    }
    assert!(read::durations(text).contains(&rules.maintenance_notice_s), "{text}");
}

pub(crate) fn asset(claim: &AssetClaim, text: &str) {
    let mut durations = read::durations(text.split_once(" stands behind it").map_or(text, |(own, _)| own)).into_iter();
    let limit = claim.terms.longest_downtime;
    assert_eq!(durations.next(), limit.map(|limit| limit.seconds), "{text}");
    if let Some(limit) = limit {
        let down = |seconds| Downtime { from: Default::default(), to: Default::default(), per: limit.per, seconds };
        assert_eq!(over_s(limit, &down(limit.seconds)), None);
        assert_eq!(over_s(limit, &down(limit.seconds + 1)), Some(1));
    }
    let an_hour = claim.terms.cost_of_downtime.map(|price| cost(price, 3600).unwrap().minor);
    assert_eq!(read::dollars(text).first().copied(), an_hour, "{text}");
    let terms = claim.terms.manufacturer.as_ref();
    let shares: Vec<_> = terms.into_iter().flat_map(|terms| [terms.hand_over_after, terms.share]).flatten().collect();
    assert_eq!(read::percents(text), shares, "{text}");
    if let Some(until) = terms.and_then(|terms| terms.until) {
        assert!(text.contains(&until.strftime("%-d %B %Y").to_string()), "{text}");
    }
    assert_eq!(text.contains("is critical"), claim.terms.criticality == Some(Level::High), "{text}");
}

pub(crate) fn escalation(claim: &EscalationClaim, text: &str) {
    let shares: Vec<_> = claim.terms.steps.iter().map(|step| step.at).collect();
    assert_eq!(read::percents(text), shares, "{text}");
}

pub(crate) fn prevention(claim: &PreventionClaim, text: &str) {
    let visits = claim.terms.visits.as_ref().unwrap();
    for class in &visits.equipment {
        assert!(text.to_lowercase().contains(&class.as_str().replace('-', " ")), "{text}");
    }
    let days = visits.report_within_business_days.unwrap();
    assert!(text.contains(&format!("within {days} business day")), "{text}");
    assert!(read::durations(text).contains(&claim.terms.lingering_after_s.unwrap().0), "{text}");
}

pub(crate) fn dispute(case: &Case, claim: &DisputeClaim, text: &str) {
    let site = case.client().sites.values().next().unwrap();
    let asset = site.assets.keys().next().unwrap();
    let terms = incident(case, &site.id, asset, IncidentClass::Environment, IncidentKind::Down).unwrap();
    assert_eq!(terms.dispute_within_s, Some(claim.within_s));
    assert_eq!(read::durations(text).into_iter().collect::<Vec<_>>(), [claim.within_s], "{text}");
}

/// From that day on the other version is in force, and the second before this one.
pub(crate) fn follows(case: &Case, claim: &FollowsClaim, text: &str) {
    let agreement = case.client().agreement.as_ref().unwrap();
    let in_force = |at| agreement.in_force(at).map(|version| version.number).collect::<Vec<_>>();
    assert_eq!(in_force(claim.from), [claim.version]);
    assert_eq!(in_force(claim.from - 1.second()), [case.said.version]);
    let day = hours::date(&read::words(text)[1..4].join(" ")).unwrap();
    let zone = jiff::tz::TimeZone::get(&case.book.provider.zone).unwrap();
    assert_eq!(day.to_zoned(zone).unwrap().timestamp(), claim.from, "{text}");
}

pub(crate) fn kept(case: &Case, claim: &KeptClaim, text: &str) {
    for feature in &claim.features {
        assert!(text.contains(feature) && case.book.not_acted_on().iter().any(|kept| kept.feature == *feature));
    }
}

fn incident(
    case: &Case,
    site: &SiteId,
    asset: &AssetId,
    class: IncidentClass,
    kind: IncidentKind,
) -> Result<PinnedTerms, NoMatch> {
    let query = MatchQuery {
        client: case.said.client.clone(),
        site: site.clone(),
        asset: Some(asset.clone()),
        detected: Detected::at(case.at),
        class,
        kind,
        check: None,
        affected: Affected::one(),
    };
    resolve(&case.book, &query)
}
