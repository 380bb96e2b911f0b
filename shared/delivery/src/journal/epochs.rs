//! Epochs: one life of the journal each. A new one begins when records cannot travel under their old names.
//!
//! Re-tagging copies nothing: a span in the state says which places the records have in the new epoch.

use upheld_model::{AgentEvent, DeviceText, Digest, Epoch, UnknownReason};
use upheld_wire::v1::{EpochLink, Head, limits::HEADS_MAX, record::root};

use super::{
    Journal, JournalError,
    read::{Damage, Trouble},
    segments::{Piece, Tag, name_of},
    state::EpochState,
};
use crate::storage::{Fault, Storage, StorageError};

/// What stands in the way of sending everything under the names that it has.
#[derive(Default)]
struct Findings {
    /// Records that need new names.
    stranded: Vec<Piece>,
    /// Where nothing is left, in milliseconds.
    gaps: Vec<(i64, i64)>,
    /// Epochs whose end moves.
    cuts: Vec<Cut>,
}

/// Where an epoch ends from now on.
struct Cut {
    index: usize,
    len: u64,
    /// What it still names was written before, in milliseconds.
    ended_ms: i64,
}

impl<S: Storage> Journal<S> {
    /// A restored collector holds less than we believed: takes its word, so that all it lost is sent again, and says
    /// what is not here any more.
    ///
    /// # Errors
    /// The records could not be read; the next answer will ask again.
    pub fn believe(&mut self, heads: &[Head]) -> Result<(), JournalError> {
        let _ = self.flush(self.now);
        for index in 0..self.epochs.len() {
            let mine = self.epochs[index].clone();
            let none = Head { epoch: mine.epoch, len: 0, chain: Digest::ZERO };
            let held = heads.iter().copied().find(|held| held.epoch == mine.epoch).unwrap_or(none);
            if held.len >= mine.acked.len {
                continue;
            }
            let own = if held.len == 0 { Some(Digest::ZERO) } else { self.chain_or_heal(&mine, held.len)? };
            if own.is_some_and(|own| own != held.chain) {
                self.part(held)?;
            } else if let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.epoch == mine.epoch) {
                epoch.acked = held;
                epoch.urgent_to = epoch.len;
            }
        }
        self.heal(UnknownReason::NotKept)?;
        self.save_state();
        Ok(())
    }

    /// The collector holds another history of `held.epoch`: what it does not provably hold of ours goes under a new
    /// epoch. Records that it does hold are recognised there by id and content.
    ///
    /// # Errors
    /// As [`Journal::believe`].
    pub fn part(&mut self, held: Head) -> Result<(), JournalError> {
        let _ = self.flush(self.now);
        let Some(index) = self.epochs.iter().position(|epoch| epoch.epoch == held.epoch) else { return Ok(()) };
        let mine = self.epochs[index].clone();
        let own = if held.len == 0 || held.len > mine.len { None } else { self.chain_or_heal(&mine, held.len)? };
        let kept = if own == Some(held.chain) { Some(held) } else { self.acknowledged_front(&mine, held) };
        let keep = kept.map_or(0, |kept| kept.len);
        let what = format!("history parts from the collector's in epoch {} at {keep}; a new epoch begins", held.epoch);
        let is_current = index + 1 == self.epochs.len();
        self.begin_epoch(UnknownReason::Corrupt, |journal| {
            let findings = journal.find_behind(held.epoch, keep, index);
            let is_anything = !findings.stranded.is_empty() || !findings.gaps.is_empty();
            (is_current || is_anything).then_some(findings)
        })?;
        if let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.epoch == held.epoch) {
            epoch.acked = kept.unwrap_or(Head { epoch: held.epoch, len: 0, chain: Digest::ZERO });
            epoch.len = keep;
            epoch.tip = epoch.acked.chain;
        }
        self.owe(AgentEvent::Journal { at: self.now.wall, what: DeviceText::new(&what) });
        self.forget_epochs();
        self.save_state();
        Ok(())
    }

    /// What was acknowledged of an epoch and is not here any more, where the collector holds another history of it that is
    /// longer (this machine was set back, say). It is claimed as before: were it forgotten, nobody would be told once the
    /// collector loses it too.
    ///
    /// This rests on what an acknowledgement said: the collector held this chain at this length, and a history only grows, so
    /// that a longer one has it in front. Of a collector that was restored to less and then took more of this epoch from a
    /// copy of this host that is not so: it answers the claim with its own chain at that place, which is no longer, and then
    /// nothing is claimed.
    fn acknowledged_front(&self, mine: &EpochState, held: Head) -> Option<Head> {
        let (len, chain) = match self.pieces_of(mine.epoch).first() {
            Some(first) => (first.first, first.before?),
            None => (mine.acked.len, mine.acked.chain),
        };
        let is_claimed = 0 < len && len <= mine.acked.len && len < held.len;
        is_claimed.then_some(Head { epoch: mine.epoch, len, chain })
    }

    /// Finds what cannot be sent under the names it has and gives it new ones; says what is gone.
    pub(super) fn heal(&mut self, reason: UnknownReason) -> Result<(), JournalError> {
        let has_begun = self.begin_epoch(reason, |journal| {
            let findings = journal.find_stranded();
            (!findings.stranded.is_empty() || !findings.cuts.is_empty()).then_some(findings)
        })?;
        if has_begun {
            self.forget_epochs();
            self.save_state();
        }
        Ok(())
    }

    /// Looks at a segment again after damage was met in it.
    pub(super) fn step_over(&mut self, damage: Damage) -> Result<(), JournalError> {
        let found = self.segments.iter_mut().find(|segment| segment.number == damage.segment);
        let Some(segment) = found else { return Ok(()) };
        let before = segment.places();
        segment.unreadable.extend(damage.place);
        segment.rescan(&self.storage)?;
        if segment.places() == before {
            // Whoever looks again would meet the same for ever.
            let detail = "it reads well as a whole and not in part".to_owned();
            let error = StorageError { what: "read", name: name_of(damage.segment), fault: Fault::Broken, detail };
            return Err(error.into());
        }
        self.is_open = false;
        let what = DeviceText::new(&format!("damage was found in {}", name_of(damage.segment)));
        self.owe(AgentEvent::Journal { at: self.now.wall, what });
        Ok(())
    }

    /// An epoch that segments speak of and the state does not.
    pub(super) fn learn_epoch(&mut self, epoch: Epoch, previous: Option<EpochLink>) {
        if self.epochs.iter().all(|known| known.epoch != epoch) {
            let empty = self.empty_epoch(epoch, previous);
            // It is as old as its records: what of them is given up later is a gap from the oldest on.
            let oldest_ms = self.pieces_of(epoch).iter().map(|piece| piece.first_ms).min();
            let began_ms = oldest_ms.map_or(empty.began_ms, |oldest| oldest.min(empty.began_ms));
            self.epochs.push(EpochState { tip: root(epoch, previous.as_ref()), began_ms, ..empty });
        }
    }

    /// The first record of an epoch says how long the one before it was, and so does the header of its segment: a last
    /// record that is damaged is missed even where the state that counted it is lost. A state that knows when the epoch
    /// ended knows its length, too: less than that, where its last records have moved to a newer epoch.
    pub(super) fn believe_links(&mut self) {
        let links = self.segments.iter().filter_map(|segment| {
            let first_ms = segment.extents.first()?.first_ms;
            Some((segment.header?.previous?, first_ms))
        });
        for (link, first_ms) in links.collect::<Vec<_>>() {
            if let Some(before) = self.epochs.iter_mut().find(|known| known.epoch == link.epoch && known.len < link.len)
                && before.ended_ms.is_none()
            {
                before.len = link.len;
                before.tip = link.chain;
                before.ended_ms = Some(first_ms);
            }
        }
    }

    /// An epoch whose first records are not here, and not damaged either: they were acknowledged and given up for room,
    /// and the process ended before that was saved (a full disk saves nothing). The header of the segment that went on says
    /// how many they were and what their chain is, so that is claimed: a collector that holds less answers `behind`, and
    /// only then they are a gap.
    pub(super) fn believe_beginnings(&mut self) {
        for index in 0..self.epochs.len() {
            let epoch = self.epochs[index].epoch;
            let first = self.pieces_of(epoch).first().copied();
            let begins = first.and_then(|piece| Some((piece.first, piece.before?)));
            if let Some((len, chain)) = begins.filter(|(len, _)| *len > self.epochs[index].acked.len) {
                self.epochs[index].acked = Head { epoch, len, chain };
            }
        }
    }

    /// Sets each epoch's length and chain by what is on disk.
    pub(super) fn measure_epochs(&mut self) {
        for index in 0..self.epochs.len() {
            let mut epoch = self.epochs[index].clone();
            let end = self.pieces_of(epoch.epoch).last().map_or(0, Piece::end);
            let (remembered, tip) = (epoch.len, epoch.tip);
            epoch.len = remembered.max(end).max(epoch.acked.len);
            if epoch.len > remembered {
                epoch.tip = Digest::ZERO;
                let len = epoch.len;
                epoch.tip = match self.chain_at(&epoch, len) {
                    Ok(Some(chain)) => chain,
                    Ok(None) | Err(_) => Digest::ZERO,
                };
            } else {
                epoch.tip = tip;
            }
            epoch.urgent_to = epoch.len;
            self.epochs[index] = epoch;
        }
    }

    pub(super) fn begin_empty_epoch(&mut self) {
        let epoch = self.draw_epoch();
        let fresh = EpochState { tip: root(epoch, None), ..self.empty_epoch(epoch, None) };
        self.epochs.push(fresh);
    }

    fn find_stranded(&self) -> Findings {
        let mut findings = Findings::default();
        let all = self.segments.iter().flat_map(super::segments::Segment::pieces);
        findings.stranded = all.filter(|piece| piece.epoch.is_none()).collect();
        for (index, epoch) in self.epochs.iter().enumerate() {
            let (mut expected, mut last, mut end) = (epoch.acked.len, None, None);
            let last_ms = |last: &Option<Piece>| last.as_ref().map_or(epoch.began_ms, |piece| self.last_ms(piece));
            for piece in self.pieces_of(epoch.epoch) {
                if piece.end() > expected {
                    if piece.first > expected {
                        let first_ms = self.first_ms(&piece);
                        end.get_or_insert((expected, first_ms));
                        findings.gaps.push((last_ms(&last), first_ms));
                    }
                    if end.is_some() {
                        findings.stranded.push(piece.starting(expected));
                    }
                    expected = piece.end();
                }
                last = Some(piece);
            }
            let ended_ms = self.ended_ms(epoch);
            if expected < epoch.len {
                end.get_or_insert((expected, ended_ms));
                findings.gaps.push((last_ms(&last), ended_ms));
            }
            let is_current = index + 1 == self.epochs.len();
            if is_current && epoch.tip == Digest::ZERO {
                end.get_or_insert((expected, ended_ms));
            }
            findings.cuts.extend(end.map(|(len, ended_ms)| Cut { index, len, ended_ms }));
        }
        findings
    }

    /// What lies behind place `keep` of an epoch that is cut there, and what is missing in between.
    fn find_behind(&self, epoch: Epoch, keep: u64, index: usize) -> Findings {
        let behind = self.pieces_of(epoch).into_iter().filter(|piece| piece.end() > keep);
        let mut behind = behind.map(|piece| piece.starting(keep)).peekable();
        let state = &self.epochs[index];
        let ended_ms = behind.peek().map_or_else(|| self.ended_ms(state), |first| self.first_ms(first));
        let cuts = vec![Cut { index, len: keep, ended_ms }];
        let mut findings = Findings { cuts, ..Findings::default() };
        // What was in front of them and is gone: nobody asks for it under a name that is given up.
        if behind.peek().map_or(state.len, |first| first.first) > keep {
            findings.gaps.push((state.began_ms, ended_ms));
        }
        for piece in behind {
            if let Some(before) = findings.stranded.last().filter(|before| before.end() < piece.first) {
                findings.gaps.push((self.last_ms(before), self.first_ms(&piece)));
            }
            findings.stranded.push(piece);
        }
        if let Some(last) = findings.stranded.last().filter(|last| last.end() < state.len) {
            findings.gaps.push((self.last_ms(last), self.ended_ms(state)));
        }
        findings
    }

    /// When the last record of an epoch was written at the latest, in milliseconds.
    fn ended_ms(&self, epoch: &EpochState) -> i64 {
        epoch.ended_ms.unwrap_or_else(|| self.now.wall.0.as_millisecond())
    }

    /// Ends the current epoch and begins one with the records that `find` wants in front; `false` when it wants none.
    /// Damage that is met on the way is stepped over, and what is left looked for again.
    fn begin_epoch(
        &mut self,
        reason: UnknownReason,
        find: impl Fn(&Self) -> Option<Findings>,
    ) -> Result<bool, JournalError> {
        let epoch = self.draw_epoch();
        let (findings, (previous, tags, len, tip)) = loop {
            let Some(mut findings) = find(self) else { return Ok(false) };
            // In the order in which they were written, whatever their epochs: between two neighbours of an epoch lies
            // what was written between them, and so does a gap.
            findings.stranded.sort_by_key(|piece| (piece.segment, piece.from));
            match self.plan_epoch(epoch, &findings) {
                Ok(plan) => break (findings, plan),
                Err(Trouble::Storage(error)) => return Err(error.into()),
                Err(Trouble::Damaged(damage)) => self.step_over(damage)?,
            }
        };
        for (piece, tag) in tags {
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == piece.segment) {
                segment.retag(piece.from, piece.to, Some(tag));
            }
        }
        for cut in &findings.cuts {
            self.epochs[cut.index].len = cut.len;
            self.epochs[cut.index].ended_ms = Some(cut.ended_ms);
        }
        self.owe_gaps(&findings.gaps, reason);
        let empty = self.empty_epoch(epoch, previous);
        // It begins with records that are older than it, those that wait for a disk too: what of them is lost later is a
        // gap from the oldest on.
        let moved_ms = findings.stranded.iter().map(|piece| piece.first_ms);
        let oldest_ms = moved_ms.chain(self.pending.first_ms()).min();
        let began_ms = oldest_ms.map_or(empty.began_ms, |oldest| oldest.min(empty.began_ms));
        self.epochs.push(EpochState { len, tip, urgent_to: len, began_ms, ..empty });
        self.is_open = false;
        self.renumber_pending();
        Ok(true)
    }

    /// The link to the epoch before, the new tags, and the new epoch's length and chain.
    #[allow(clippy::type_complexity)]
    fn plan_epoch(
        &mut self,
        epoch: Epoch,
        findings: &Findings,
    ) -> Result<(Option<EpochLink>, Vec<(Piece, Tag)>, u64, Digest), Trouble> {
        let previous = match self.epochs.last().cloned() {
            Some(last) => {
                let cut = findings.cuts.iter().find(|cut| cut.index + 1 == self.epochs.len());
                let len = cut.map_or(last.len, |cut| cut.len);
                let chain = self.chain_at(&last, len)?.unwrap_or(last.acked.chain);
                Some(EpochLink { epoch: last.epoch, len, chain })
            }
            None => None,
        };
        let (mut tip, mut len, mut tags) = (root(epoch, previous.as_ref()), 0, Vec::new());
        for piece in &findings.stranded {
            tags.push((*piece, Tag { epoch, first: len, before: tip }));
            let (after, count) = self.chain_over(piece, tip)?;
            tip = after;
            len += count;
        }
        Ok((previous, tags, len, tip))
    }

    fn chain_or_heal(&mut self, epoch: &EpochState, len: u64) -> Result<Option<Digest>, JournalError> {
        match self.chain_at(epoch, len) {
            Ok(chain) => Ok(chain),
            Err(Trouble::Storage(error)) => Err(error.into()),
            Err(Trouble::Damaged(damage)) => {
                self.step_over(damage)?;
                Ok(None)
            }
        }
    }

    /// Forgets epochs that the collector never held and of which nothing is left, and the oldest beyond what a request
    /// may name.
    pub(super) fn forget_epochs(&mut self) {
        let used: Vec<Epoch> =
            self.segments.iter().flat_map(super::segments::Segment::pieces).filter_map(|piece| piece.epoch).collect();
        let Some(current) = self.epochs.last().map(|last| last.epoch) else { return };
        let mut too_many = self.epochs.len().saturating_sub(HEADS_MAX);
        self.epochs.retain(|epoch| {
            let is_used = epoch.epoch == current || used.contains(&epoch.epoch);
            let is_old = too_many > 0 && !is_used;
            too_many -= usize::from(is_old);
            is_used || (epoch.acked.len > 0 && !is_old)
        });
    }

    fn empty_epoch(&self, epoch: Epoch, previous: Option<EpochLink>) -> EpochState {
        EpochState {
            epoch,
            previous,
            len: 0,
            tip: Digest::ZERO,
            acked: Head { epoch, len: 0, chain: Digest::ZERO },
            began_ms: self.now.wall.0.as_millisecond(),
            ended_ms: None,
            urgent_to: 0,
        }
    }

    fn draw_epoch(&mut self) -> Epoch {
        let mut bytes = [0; 8];
        (self.random)(&mut bytes);
        Epoch(u64::from_le_bytes(bytes))
    }
}
