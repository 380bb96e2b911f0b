//! Each asset's time, gap-free, from the facts that are stored (DETECTION 7).
//!
//! A stretch in which an agent was not heard, or in which the collector was out, is unknown only as far as no samples
//! of it came later: what the agent's journal tells afterwards rewrites it. What is unknown by its nature (an announced
//! shutdown, lost records, a site in commissioning) stays so. Which failed check makes an asset down is the word of the
//! plan in force at that time (`down_when`). The pieces touch and reach from the period's beginning to its end, or to
//! `as_of` where that is earlier.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{
    account::Stretch,
    availability::{self, AssetUptime, DownWhen, Maintenance, Seen, Timeline, UnknownWhy},
    book,
};
use upheld_detection::uptime::{CheckHistory, Piece, Span, Status, WhenFailed, partition_of, worst};
use upheld_model::{AssetId, CheckId, ClientId, EdgeKind, SiteId, UnknownReason};
use upheld_store::{ReadTx, facts::SiteKey};

use crate::{
    Desk, DeskError, Scope,
    book::CurrentBook,
    facts::{self, DayCells},
    maintenance, own, plan,
    tasks::{gaps, refuse_forgotten},
};

/// Samples of one check further apart than this leave a gap: nobody looked in between.
const GAP: SignedDuration = SignedDuration::from_secs(15 * 60);

impl Desk {
    /// The time of every asset of a client's site, or of all his sites.
    pub async fn uptime(
        &self,
        scope: &Scope,
        client: &ClientId,
        site: Option<&SiteId>,
        period: Stretch,
        as_of: Timestamp,
    ) -> Result<Vec<AssetUptime>, DeskError> {
        if !scope.includes(client) {
            return Err(DeskError::NoSuchIncident(client.to_string()));
        }
        let (client, site, shared) = (client.clone(), site.cloned(), std::sync::Arc::clone(&self.shared));
        self.store
            .read("desk.uptime", move |tx| {
                refuse_forgotten(tx, &client, period.from)?;
                let book = shared.books.current(tx)?;
                let mut assets = of_client(tx, &book, &client, period, as_of)?;
                assets.retain(|asset| site.as_ref().is_none_or(|site| asset.site == *site));
                Ok(assets)
            })
            .await
    }
}

/// The time of every asset of a client.
pub(crate) fn of_client(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    client: &ClientId,
    period: Stretch,
    as_of: Timestamp,
) -> Result<Vec<AssetUptime>, DeskError> {
    let span = Span { from: period.from, to: period.to.min(as_of) };
    let Some(known) = book.book.client(client).filter(|_| span.from < span.to) else { return Ok(Vec::new()) };
    let mut assets = Vec::new();
    for site in known.sites.values() {
        assets.extend(Seeing { tx, book, client, known, site, span, as_of }.assets()?);
    }
    Ok(assets)
}

/// How each check of a site stood over a period.
pub(super) fn of_checks(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    (client, site): (&ClientId, &SiteId),
    span: Span,
    as_of: Timestamp,
) -> Result<BTreeMap<CheckId, Vec<Piece>>, DeskError> {
    let Some(known) = book.book.client(client) else { return Ok(BTreeMap::new()) };
    let Some(site) = known.sites.get(site).filter(|_| span.from < span.to) else { return Ok(BTreeMap::new()) };
    let histories = Seeing { tx, book, client, known, site, span, as_of }.histories()?;
    let pieces = |history: &CheckHistory| partition_of(span, [(history, WhenFailed::Down)]);
    Ok(histories.iter().map(|(check, history)| (check.clone(), pieces(history))).collect())
}

/// One site over one period.
struct Seeing<'a> {
    tx: &'a dyn ReadTx,
    book: &'a CurrentBook,
    client: &'a ClientId,
    known: &'a book::Client,
    site: &'a book::Site,
    span: Span,
    as_of: Timestamp,
}

impl Seeing<'_> {
    fn assets(&self) -> Result<Vec<AssetUptime>, DeskError> {
        let histories = self.histories()?;
        let by_asset: BTreeMap<&AssetId, Vec<Piece>> =
            self.site.assets.keys().map(|id| (id, self.of_asset(id, &histories))).collect();
        let Span { from, to } = self.span;
        let work = maintenance::stretches(self.tx, self.client, &self.site.id, from, to)?;
        let mut found = Vec::new();
        for (id, asset) in &self.site.assets {
            let mut pieces = by_asset.get(id).cloned().unwrap_or_default();
            if self.down_when(asset.class, from).follows_cameras() {
                pieces = worst([vec![pieces], self.cameras(id, &by_asset)].concat());
            }
            let windows = work.iter().filter(|stretch| stretch.upon.asset(id)).map(|stretch| Maintenance {
                from: stretch.from,
                to: stretch.to,
                announced_at: stretch.entered_at,
                entered_at: stretch.entered_at,
                is_disputed: false,
            });
            found.push(AssetUptime {
                site: self.site.id.clone(),
                asset: id.clone(),
                class: asset.class,
                timeline: timeline(&pieces)?,
                maintenance: windows.collect(),
                causes: Vec::new(),
            });
        }
        Ok(found)
    }

    /// An asset's time by its own checks, under each version's word for what is down.
    fn of_asset(&self, id: &AssetId, histories: &BTreeMap<CheckId, CheckHistory>) -> Vec<Piece> {
        let Some(asset) = self.site.assets.get(id) else { return Vec::new() };
        let mut pieces: Vec<Piece> = Vec::new();
        for span in self.versions() {
            let down_when = self.down_when(asset.class, span.from);
            let checks = asset.checks.iter().filter_map(|check| {
                let is_named = down_when.names(check.probe.kind(), check.id.name.as_str());
                Some((histories.get(&check.id)?, if is_named { WhenFailed::Down } else { WhenFailed::Degraded }))
            });
            pieces.extend(partition_of(span, checks));
        }
        pieces
    }

    /// The cameras that record to an asset: where one is down, and nothing else of them.
    fn cameras(&self, recorder: &AssetId, by_asset: &BTreeMap<&AssetId, Vec<Piece>>) -> Vec<Vec<Piece>> {
        let records_here = |asset: &book::Asset| {
            asset.edges.iter().any(|edge| edge.kind == EdgeKind::RecordsTo && edge.to.value == *recorder)
        };
        let cameras = self.site.assets.values().filter(|asset| records_here(asset));
        let down = |piece: &Piece| Piece {
            status: if piece.status == Status::Down { Status::Down } else { Status::Up },
            ..*piece
        };
        cameras.filter_map(|camera| Some(by_asset.get(&camera.id)?.iter().map(down).collect())).collect()
    }

    /// The period cut where another version takes effect.
    fn versions(&self) -> Vec<Span> {
        let versions = self.known.agreement.iter().flat_map(|agreement| &agreement.versions);
        let mut cuts: Vec<Timestamp> = versions
            .map(|version| version.from)
            .filter(|from| self.span.from < *from && *from < self.span.to)
            .chain([self.span.from, self.span.to])
            .collect();
        cuts.sort();
        cuts.dedup();
        cuts.windows(2).map(|pair| Span { from: pair[0], to: pair[1] }).collect()
    }

    fn down_when(&self, class: upheld_model::AssetClass, at: Timestamp) -> DownWhen {
        let version = self.known.agreement.as_ref().and_then(|agreement| agreement.in_force(at).next());
        let plan = version.and_then(|version| self.book.book.plans.get(&version.plan.value));
        let words = plan.and_then(|plan| plan.availability.as_ref()).map(|measured| &measured.down_when);
        let own = words.and_then(|words| words.iter().find(|(of, _)| *of == class));
        // Words that do not read are listed by the book: any failed check is down then.
        own.and_then(|(_, text)| text.parse().ok()).unwrap_or_default()
    }

    /// What is known of each check: its findings and states, and when nobody looked.
    fn histories(&self) -> Result<BTreeMap<CheckId, CheckHistory>, DeskError> {
        let Span { from, to } = self.span;
        let key = SiteKey { client: self.client, site: &self.site.id };
        let plan = plan::site_of(&self.book.book, self.client, self.site, self.span)?;
        let known = facts::history(self.tx, plan, self.span, self.as_of, &DayCells::default())?;
        let watched = self.watched(key)?;
        let away = self.away(key)?;
        let mut histories = known.checks;
        for (check, history) in &mut histories {
            let seen = watched.get(check).map(Vec::as_slice).unwrap_or_default();
            for (span, reason) in &away {
                history.unwatched.extend(without(*span, seen).into_iter().map(|span| (span, *reason)));
            }
            if let Some(commissioned) = self.site.commissioned_at().filter(|at| from < *at) {
                history.unwatched.push((Span { from, to: commissioned.min(to) }, UnknownReason::NotMonitored));
            }
        }
        Ok(histories)
    }

    /// When samples of each check were taken: stretches, each as long as its samples are close together.
    fn watched(&self, key: SiteKey<'_>) -> Result<BTreeMap<CheckId, Vec<Span>>, DeskError> {
        let Span { from, to } = self.span;
        let mut watched: BTreeMap<CheckId, Vec<Span>> = BTreeMap::new();
        for row in self.tx.stretches(key, from, to)? {
            watched.entry(row.check).or_default().push(Span { from: row.from, to: row.to });
        }
        for (_, body) in self.tx.kept_of_site(key)? {
            for (check, stretch) in facts::read_kept(&body)?.latest() {
                watched.entry(check.clone()).or_default().push(Span { from: stretch.from, to: stretch.to });
            }
        }
        for spans in watched.values_mut() {
            *spans = joined(spans);
        }
        Ok(watched)
    }

    /// When nothing was heard: of an agent, and by the collector while it was out.
    fn away(&self, key: SiteKey<'_>) -> Result<Vec<(Span, UnknownReason)>, DeskError> {
        let Span { from, to } = self.span;
        let mut own: Vec<Span> = Vec::new();
        let runs = self.tx.runs_since(from)?;
        own.extend(gaps(&runs).into_iter().map(|(from, to)| Span { from, to }));
        for (since, until) in own::outages(self.tx, from)? {
            own.push(Span { from: since, to: until.min(self.as_of) });
        }
        own.sort_by_key(|span| span.from);
        let mut away: Vec<(Span, UnknownReason)> = Vec::new();
        for row in self.tx.unheard(key, from, to)? {
            // Whom the collector could not hear is not silent.
            let silent = without(Span { from: row.since, to: row.until }, &own);
            away.extend(silent.into_iter().map(|span| (span, UnknownReason::AgentSilent)));
        }
        away.extend(own.into_iter().map(|span| (span, UnknownReason::Collector)));
        Ok(away)
    }
}

/// Stretches in order, neighbours joined that are close together.
fn joined(spans: &[Span]) -> Vec<Span> {
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| span.from);
    let mut joined: Vec<Span> = Vec::new();
    for span in sorted {
        match joined.last_mut() {
            Some(last) if last.to.duration_until(span.from) <= GAP => last.to = last.to.max(span.to),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

/// What of a stretch lies in none of some others, which are in order and apart.
fn without(span: Span, others: &[Span]) -> Vec<Span> {
    let (mut left, mut reached) = (Vec::new(), span.from);
    for other in others.iter().filter(|other| other.to > span.from && other.from < span.to) {
        if reached < other.from {
            left.push(Span { from: reached, to: other.from });
        }
        reached = reached.max(other.to);
    }
    if reached < span.to {
        left.push(Span { from: reached, to: span.to });
    }
    left
}

/// Pieces as the agreement reads them.
fn timeline(pieces: &[Piece]) -> Result<Timeline, DeskError> {
    let seen = |status: Status| match status {
        Status::Up => Seen::Up,
        Status::Degraded => Seen::Degraded,
        Status::Down => Seen::Down,
        Status::Unknown { reason } => Seen::Unknown(why(reason)),
    };
    let pieces = pieces.iter().map(|piece| availability::Piece {
        from: piece.span.from,
        to: piece.span.to,
        state: seen(piece.status),
    });
    Timeline::new(pieces.collect()).map_err(|error| DeskError::unreadable("time of an asset", &error))
}

/// Why nobody knows, in the agreement's words.
fn why(reason: UnknownReason) -> UnknownWhy {
    match reason {
        UnknownReason::AgentSilent | UnknownReason::Suspended | UnknownReason::Corrupt | UnknownReason::NotKept => {
            UnknownWhy::AgentSilent
        }
        UnknownReason::Off => UnknownWhy::Off,
        UnknownReason::NotMonitored => UnknownWhy::NotMonitored,
        UnknownReason::Collector => UnknownWhy::Collector,
        UnknownReason::Pending => UnknownWhy::Pending,
        UnknownReason::CannotProbe
        | UnknownReason::NotAllowed
        | UnknownReason::Resolver
        | UnknownReason::Path
        | UnknownReason::Local
        | UnknownReason::Permission
        | UnknownReason::Credentials
        | UnknownReason::SecretMissing
        | UnknownReason::Stale => UnknownWhy::CannotJudge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span { from: Timestamp::from_second(from).unwrap(), to: Timestamp::from_second(to).unwrap() }
    }

    #[test]
    fn what_came_later_is_taken_out_of_a_silence() {
        let silence = span(100, 200);
        assert_eq!(without(silence, &[]), [silence]);
        assert_eq!(without(silence, &[span(50, 120), span(150, 160)]), [span(120, 150), span(160, 200)]);
        assert_eq!(without(silence, &[span(0, 300)]), []);
        assert_eq!(joined(&[span(2_000, 2_100), span(0, 10), span(20, 900)]), [span(0, 900), span(2_000, 2_100)]);
    }
}
