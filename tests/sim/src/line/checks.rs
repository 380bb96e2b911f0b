//! What must hold at the end: I1 to I3 and I12, by the truth that stands beside what the product holds.

use super::{
    agent::Seen,
    chaos::Plan,
    world::{MINUTE, Post, World},
};

/// I1: how soon a live transition is committed.
const LIVE_MS: u64 = 10_000;
/// A quarantined agent asks so often whether it still is, and then sends what waits.
const ASKS_WITHIN_MS: u64 = 5 * MINUTE + LIVE_MS;
/// Of thinned samples one stays of each check in so long.
const CELL_MS: i64 = 300_000;

/// Two copies of 64 epochs, some tags and gaps each, and the next ones written beside them.
const STATE_BYTES_MAX: u64 = 256 << 10;

impl World {
    /// All of it, once everything is drained; from `calm_from` on nothing went wrong.
    pub(super) fn check(&mut self, calm_from: u64) -> Result<(), String> {
        for (index, post) in self.posts.iter().enumerate() {
            let said = |what: String| format!("agent {index}: {what}");
            post.tables.check_chains().map_err(said)?;
            post.check_facts(&self.plan).map_err(said)?;
            post.check_heads().map_err(said)?;
            post.check_live(calm_from).map_err(said)?;
            post.check_room().map_err(said)?;
        }
        Ok(())
    }
}

impl Post {
    /// I1: what was durable and not destroyed is held exactly once, or said to be gone.
    fn check_facts(&self, plan: &Plan) -> Result<(), String> {
        // A sample may be in a summary as well, when its machine was set back in between.
        let counts =
            |number: &u64| !plan.may_thin() || self.agent.seen.get(number).is_some_and(|seen| seen.is_transition);
        let doubled: Vec<u64> = self.tables.doubled().into_iter().filter(counts).collect();
        if !doubled.is_empty() {
            return Err(format!("I1: doubled: {doubled:?}"));
        }
        let is_astray = |number: &u64| {
            let is_poison = self.agent.seen.get(number).is_some_and(|seen| seen.is_poison);
            self.tables.committed(*number).is_some() && self.tables.is_dead_letter(*number) != is_poison
        };
        if let Some(number) = self.agent.durable.iter().find(|number| is_astray(number)) {
            return Err(format!("I1: {number} is not where it belongs: among the dead letters, or not"));
        }
        let lost = self.agent.durable.iter().filter(|number| self.tables.committed(**number).is_none());
        let unsaid = lost.filter(|number| {
            let Some(seen) = self.agent.seen.get(number) else { return true };
            let may_go = plan.may_lose(seen.is_transition, self.tables.ever.contains(number));
            !may_go || !(self.tables.is_told_gone(seen.dated_ms) || self.is_summed_up(seen, plan))
        });
        let unsaid: Vec<&u64> = unsaid.collect();
        let stubs = self.tables.omitted();
        let thinned = self.agent.durable.iter().filter(|number| {
            let seen = self.agent.seen.get(number).filter(|seen| !seen.is_transition);
            let is_lost = self.tables.committed(**number).is_none();
            is_lost && seen.is_some_and(|seen| !self.tables.is_told_gone(seen.dated_ms))
        });
        let thinned = thinned.count();
        if unsaid.is_empty() && thinned > stubs {
            return Err(format!(
                "I1: {thinned} samples are gone without a gap, and {stubs} records say that theirs are"
            ));
        }
        if unsaid.is_empty() {
            return Ok(());
        }
        let example = unsaid.first().and_then(|number| self.agent.seen.get(number));
        Err(format!(
            "I1: {} of {} lost: {unsaid:?}, {example:?}; told gone: {:?}; {plan:?}",
            unsaid.len(),
            self.agent.durable.len(),
            self.tables.gone()
        ))
    }

    /// Whether a sample was given up for room as it should be: its hash stands in its place (counted apart), and of its five
    /// minutes one is there, unless what was left of it went as well, or lay where there is a gap by now. One that nobody can
    /// read is in no summary.
    fn is_summed_up(&self, lost: &Seen, plan: &Plan) -> bool {
        let cell = lost.dated_ms.div_euclid(CELL_MS);
        let stays = |seen: &Seen| !seen.is_transition && seen.dated_ms.div_euclid(CELL_MS) == cell;
        let is_there = || self.tables.held().any(|number| self.agent.seen.get(&number).is_some_and(stays));
        let may_be_bare = lost.is_poison || self.tables.is_bare() || !self.tables.gone().is_empty();
        plan.may_thin() && !lost.is_transition && (may_be_bare || is_there())
    }

    fn check_heads(&self) -> Result<(), String> {
        for head in self.agent.status().iter().flat_map(|status| &status.heads) {
            let held = self.tables.head(head.epoch);
            if held.is_none_or(|held| held.len < head.len || (held.len == head.len && held.chain != head.chain)) {
                return Err(format!("I2: the agent believes {head:?}, held is {held:?}"));
            }
        }
        Ok(())
    }

    /// I1: while nothing goes wrong, a transition is committed within ten seconds. Only an agent in quarantine may be later:
    /// it asks every five minutes whether that has ended, and what it saw until then follows at once.
    fn check_live(&self, calm_from: u64) -> Result<(), String> {
        for ended in self.quarantines.iter().filter(|one| one.released.is_some_and(|at| at >= calm_from)) {
            let waited = ended.released.and_then(|released| Some(ended.asked? - released));
            if waited.is_none_or(|waited| waited > ASKS_WITHIN_MS) {
                return Err(format!("I8: {ended:?}: it does not ask whether the quarantine has ended"));
            }
        }
        let due = |seen: &Seen| {
            let holds = self.quarantines.iter().filter(|one| one.from <= seen.at_ms + LIVE_MS);
            let asked = holds.filter_map(|one| one.asked.filter(|asked| seen.at_ms <= *asked)).max();
            asked.unwrap_or(0).max(seen.at_ms) + LIVE_MS
        };
        let calm = self.agent.seen.iter().filter(|(_, seen)| seen.is_transition && seen.at_ms >= calm_from);
        let late =
            calm.filter(|(number, seen)| self.tables.committed(**number).is_none_or(|committed| committed > due(seen)));
        let late: Vec<_> = late.map(|(number, seen)| (seen.at_ms, self.tables.committed(*number))).collect();
        if late.is_empty() {
            Ok(())
        } else {
            Err(format!("I1: live, seen and committed at: {late:?}; calm from {calm_from}, {:?}", self.quarantines))
        }
    }

    /// I12: budget, one segment more while it is written, and the reserve; the state does not grow with them.
    fn check_room(&self) -> Result<(), String> {
        let (records, state) = (self.agent.disk_bytes_max, self.agent.state_bytes_max);
        let most = self.agent.budget() + 4 * (8 << 10) + (16 << 10);
        if records <= most && state <= STATE_BYTES_MAX {
            Ok(())
        } else {
            Err(format!("I12: {records} bytes on disk and {state} of state, the budget is {}", self.agent.budget()))
        }
    }
}
