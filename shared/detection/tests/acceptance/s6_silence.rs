//! S6: silence of one site, of a town, and of nobody but ourselves.

use std::collections::BTreeSet;

use upheld_detection::{plan::Site, replay::Document};
use upheld_model::{AssetClass, IncidentKind};

use crate::{
    dice::Dice,
    site::{Building, Story, site},
};

const HOUR: f64 = 3_600.0;

#[test]
fn one_site_out_is_that_site_within_six_minutes() {
    runs().for_each(|(seed, sites)| one_site_out(seed, sites));
}

/// One site of so many is out.
pub(crate) fn one_site_out(seed: u64, sites: usize) {
    let mut dice = Dice::new(seed);
    let provider = Provider::of(sites);
    let (out, at, back) = (dice.below(sites), dice.within(900.0, 1_500.0), dice.within(2_400.0, 3_000.0));
    let told = provider.told(&mut dice, |site, t| !(site == out && at <= t && t < back), |_| {});
    let [incident] = told.incidents.as_slice() else { panic!("{seed} {sites}: {:#?}", told.incidents) };
    assert_eq!((incident.kind, incident.root.as_str()), (IncidentKind::Silent, provider.name(out)));
    let silent_for = provider.at(at).duration_until(incident.opened).as_secs_f64();
    assert!((240.0..=360.0).contains(&silent_for), "{seed}: {silent_for}");
    assert!(incident.restored.is_some() && incident.ticketed);
    assert_eq!(told.pages, 1);
}

#[test]
fn a_town_out_is_an_incident_each_and_one_message() {
    runs().filter(|(_, sites)| *sites >= 10).for_each(|(seed, sites)| a_town_out(seed, sites));
}

/// Six sites go within a minute; there are ten or more.
pub(crate) fn a_town_out(seed: u64, sites: usize) {
    let mut dice = Dice::new(seed);
    let provider = Provider::of(sites);
    let (first, at) = (dice.below(sites - 5), dice.within(900.0, 1_500.0));
    let begins: Vec<f64> = (0..6).map(|_| at + dice.within(0.0, 60.0)).collect();
    let is_up = |site: usize, t: f64| !(first..first + 6).contains(&site) || t < begins[site - first];
    let told = provider.told(&mut dice, is_up, |_| {});
    assert_eq!(told.incidents.len(), 6, "{seed} {sites}: {:#?}", told.incidents);
    let clients: BTreeSet<_> = provider.sites[first..first + 6].iter().map(|site| &site.client).collect();
    let message = format!("6 sites of {} clients silent since", clients.len());
    for incident in &told.incidents {
        assert_eq!(incident.kind, IncidentKind::Silent);
        assert!(incident.title.contains(&message), "{}", incident.title);
        let silent_for = provider.at(at).duration_until(incident.opened).as_secs_f64();
        assert!(silent_for <= 60.0 + 360.0, "{silent_for}");
    }
    assert_eq!(told.pages, 1);
}

#[test]
fn our_own_line_out_is_our_own_incident_and_nobody_elses() {
    runs().for_each(|(seed, sites)| our_own_line_out(seed, sites));
}

/// The collector's own line is out.
pub(crate) fn our_own_line_out(seed: u64, sites: usize) {
    let mut dice = Dice::new(seed);
    let provider = Provider::of(sites);
    let (at, lasts) = (dice.within(900.0, 1_500.0), dice.within(200.0, 1_200.0));
    let noticed = dice.within(1.0, 60.0);
    let is_up = |_: usize, t: f64| t < at || at + lasts <= t;
    let told = provider.told(&mut dice, is_up, |story| {
        story.collector(at + noticed, "anchors-lost");
        story.collector(at + lasts, "anchors-back");
    });
    let [incident] = told.incidents.as_slice() else { panic!("{seed} {sites}: {:#?}", told.incidents) };
    assert_eq!(incident.root, "collector");
    assert_eq!(told.pages, 1);
}

#[test]
fn after_its_start_the_collector_blames_nobody_until_it_has_listened() {
    runs().for_each(|(seed, sites)| after_a_start(seed, sites));
}

/// The collector was down, and one site goes out meanwhile.
pub(crate) fn after_a_start(seed: u64, sites: usize) {
    let mut dice = Dice::new(seed);
    let provider = Provider::of(sites);
    let (at, lasts) = (dice.within(900.0, 1_500.0), dice.within(100.0, 900.0));
    // A site that goes out meanwhile is found out after the guard: as long as we were away.
    let out = dice.below(sites);
    let is_up = |site: usize, t: f64| t < at || (site != out && at + lasts <= t);
    let told = provider.told(&mut dice, is_up, |story| {
        story.collector(at, "down");
        story.collector(at + lasts, "up");
    });
    let silent: Vec<_> = told.incidents.iter().filter(|incident| incident.kind == IncidentKind::Silent).collect();
    assert_eq!(silent.len(), 1, "{seed} {sites}: {:#?}", told.incidents);
    let heard_again = provider.at(at + lasts).duration_until(silent[0].opened).as_secs_f64();
    assert!(heard_again >= lasts.min(900.0) - 1.0 && heard_again <= 901.0, "{heard_again} after {lasts}");
}

#[test]
fn an_agent_alone_is_its_host_and_last_words_say_why() {
    let plan = site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["host host"]);
    let mut story = Story::new();
    for n in 0..120 {
        let at = f64::from(n) * 30.0;
        story.event(at, "plant-2", "a1", r#","event":"heartbeat""#);
        if at < 900.0 {
            story.event(at, "plant-2", "srv-1", r#","event":"heartbeat""#);
        }
    }
    let told = story.told(std::slice::from_ref(&plan));
    assert_eq!(told.incidents.len(), 1);
    assert_eq!(told.incidents[0].root, "srv-1");
    assert!(told.incidents[0].title.contains("the site is heard"), "{}", told.incidents[0].title);

    let mut story = Story::new();
    (0..30).for_each(|n| story.event(f64::from(n) * 30.0, "plant-2", "a1", r#","event":"heartbeat""#));
    story.event(880.0, "plant-2", "a1", r#","event":"last-gasp","reason":"battery low""#);
    story.collector(HOUR, "up");
    let told = story.told(&[plan]);
    assert_eq!(told.incidents[0].root, "plant-2");
    assert!(told.incidents[0].title.contains("power"), "{}", told.incidents[0].title);
}

#[test]
fn a_host_that_is_known_to_be_down_is_not_silent_besides() {
    let plan = site("northgate", "plant-2").with("srv-1", AssetClass::Server, &[], &["ping net.icmp"]);
    let mut story = Story::new();
    for n in 0..120 {
        let at = f64::from(n) * 30.0;
        story.event(at, "plant-2", "a1", r#","event":"heartbeat""#);
        story.sample(at, "srv-1/ping", if at < 900.0 { "ok" } else { "bad" }, "");
        if at < 900.0 {
            story.event(at, "plant-2", "srv-1", r#","event":"heartbeat""#);
        }
    }
    let told = story.told(&[plan]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.kind, incident.root.as_str(), told.pages), (IncidentKind::Down, "srv-1", 1));
}

#[test]
fn without_heartbeats_nobody_is_silent() {
    let provider = Provider::of(3);
    let mut story = Story::new();
    story.event(0.0, provider.name(0), "a1", r#","event":"boot""#);
    story.collector(HOUR, "up");
    assert_eq!(story.told(&provider.sites).incidents, []);
}

/// 100 runs: many small providers, few large ones.
fn runs() -> impl Iterator<Item = (u64, usize)> {
    (0..100).map(|seed| (seed, [1, 3, 10, 10, 10][seed as usize % 5]))
}

struct Provider {
    sites: Vec<Site>,
}

impl Provider {
    /// A client has one site or two.
    fn of(sites: usize) -> Self {
        let client = |n: usize| format!("client-{}", n * 2 / 3);
        Self { sites: (0..sites).map(|n| site(&client(n), &format!("site-{n}"))).collect() }
    }

    fn name(&self, site: usize) -> &str {
        self.sites[site].site.as_str()
    }

    fn at(&self, second: f64) -> jiff::Timestamp {
        Story::new().at(second)
    }

    fn told(&self, dice: &mut Dice, is_up: impl Fn(usize, f64) -> bool, more: impl FnOnce(&mut Story)) -> Document {
        let mut story = Story::new();
        for n in 0..self.sites.len() {
            let mut at = dice.within(0.0, 30.0);
            while at < HOUR {
                if is_up(n, at) {
                    story.event(at, self.name(n), &format!("agent-{n}"), r#","event":"heartbeat""#);
                }
                at += 30.0;
            }
        }
        story.collector(HOUR, "up");
        more(&mut story);
        dice.shuffle(&mut story.lines);
        story.told(&self.sites)
    }
}
