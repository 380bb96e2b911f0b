//! What really happens at the sites: outages that a run draws before it begins.

use upheld_model::{CheckId, Outcome};

use super::place::{CAMERA, GATEWAY, RECORDER, SERVER, SUPPLY, SWITCH, check};
use crate::{
    dice::Dice,
    line::{HOUR, MINUTE},
};

/// Between two outages of a site. A restored incident is watched for a quarter of an hour; within it a relapse is the same.
const APART: u64 = 40 * MINUTE;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The server's service.
    Service,
    /// The recorder writes nothing any more.
    Recorder,
    /// A camera.
    Camera,
    /// The gateway, and with it the agent's line.
    Uplink,
    /// A switch, and what hangs on it.
    Switch,
    /// The mains: the supply is on battery, and what it feeds is gone although it should not be. A camera may need longer.
    Power,
}

/// One cause at one site, and what it brings down: each check until when.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    pub(super) site: usize,
    pub(super) cause: Cause,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) down: Vec<(CheckId, u64)>,
}

/// All that goes wrong at the sites themselves.
#[derive(Debug, Clone)]
pub(super) struct Truth(pub(super) Vec<Outage>);

impl Truth {
    /// Outages until `ends`.
    pub(super) fn draw(sites: usize, ends: u64, dice: &mut Dice) -> Self {
        let mut all = Vec::new();
        for site in 0..sites {
            let mut at = 10 * MINUTE + dice.wait(40 * MINUTE);
            loop {
                let to = at + dice.between(4 * MINUTE, 70 * MINUTE);
                let late = to + dice.roll(20 * MINUTE);
                if late + APART > ends {
                    break;
                }
                let all_until = |names: &[&str], to: u64| names.iter().map(|name| (check(name), to)).collect();
                let (cause, down) = match dice.roll(7) {
                    0 => (Cause::Service, all_until(&[SERVER], to)),
                    1 => (Cause::Recorder, all_until(&[RECORDER], to)),
                    2 => (Cause::Camera, all_until(&[CAMERA], to)),
                    3 => (Cause::Uplink, all_until(&[GATEWAY], to)),
                    4 => (Cause::Switch, all_until(&[SWITCH, SERVER, CAMERA], to)),
                    5 => (Cause::Power, all_until(&[SWITCH, SERVER, RECORDER, CAMERA], to)),
                    _ => {
                        let mut down: Vec<(CheckId, u64)> = all_until(&[SWITCH, SERVER, RECORDER], to);
                        down.push((check(CAMERA), late));
                        (Cause::Power, down)
                    }
                };
                all.push(Outage { site, cause, from: at, to, down });
                at = late + APART + dice.wait(HOUR);
            }
        }
        Self(all)
    }

    /// What a probe sees at this moment.
    pub(super) fn outcome(&self, site: usize, check: &CheckId, at: u64) -> Outcome {
        let here = self.0.iter().filter(|outage| outage.site == site && outage.from <= at);
        let mut outcome = Outcome::Ok;
        for outage in here {
            if outage.down.iter().any(|(down, to)| down == check && at < *to) {
                return Outcome::Bad;
            }
            if outage.cause == Cause::Power && check.to_string() == SUPPLY && at < outage.to {
                outcome = Outcome::Warn;
            }
        }
        outcome
    }

    /// Whether the supply of a site is on battery.
    pub(super) fn is_on_battery(&self, site: usize, at: u64) -> bool {
        let here = |outage: &&Outage| outage.site == site && outage.cause == Cause::Power;
        self.0.iter().filter(here).any(|outage| outage.from <= at && at < outage.to)
    }

    /// Whether the site has no way out.
    pub(super) fn is_cut_off(&self, site: usize, at: u64) -> bool {
        let here = |outage: &&Outage| outage.site == site && outage.cause == Cause::Uplink;
        self.0.iter().filter(here).any(|outage| outage.from <= at && at < outage.to)
    }

    /// When anything of an asset failed: each check's stretch.
    pub(super) fn down(&self, site: usize, asset: &str) -> Vec<(u64, u64)> {
        let here = self.0.iter().filter(|outage| outage.site == site);
        let of_asset = here.flat_map(|outage| {
            let mine = outage.down.iter().filter(|(check, _)| check.asset.as_str() == asset);
            mine.map(|(_, to)| (outage.from, *to))
        });
        of_asset.collect()
    }
}
