//! The week in one mail: what was kept, from the statement, and what needs an eye beside the queue, from the digest.
//!
//! When it is due next is a stored row for each client and one for the provider, by the wall clock of whoever it is for. After
//! a stop the last week is told once, however many have passed; who is told for the first time waits for his first due.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::{
    account::{Account, Stretch},
    book::{Book, Client, MailKind, MailTo},
};
use upheld_model::ClientId;
use upheld_outbound::{
    EventKind,
    notify::mail::{Letter, Listed, Section},
};
use upheld_store::ReadTx;

use super::{ChannelName, letters};
use crate::{
    Desk, DeskError, Digest, Scope,
    book::CurrentBook,
    case::messages::{self, NO_INCIDENT, content_key},
    clock,
    figures::StatementError,
    own::OWN_CLIENT,
    tasks::Report,
};

/// Whose week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's, for the provider's people.
    Provider,
    /// One client's, for his own people.
    Client(ClientId),
}

/// What is to be done about one due.
#[derive(Debug)]
enum Step {
    /// It is noted, or moved because the book says another day.
    Move { id: ClientId, was: Option<Timestamp>, due_at: Timestamp },
    /// Nobody is told any more.
    Remove { id: ClientId },
    /// A week is over.
    Tell { id: ClientId, whose: Whose, ways: Vec<ChannelName>, was: Timestamp, week: Stretch, next: Timestamp },
}

impl Desk {
    /// Writes the digests that are due into the outbox, each once.
    pub async fn digests_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("digests");
        if self.is_clock_in_doubt() {
            return Ok(report);
        }
        let shared = Arc::clone(&self.shared);
        let steps = self
            .store
            .read("digests.look", move |tx| match shared.books.current(tx) {
                Ok(book) => look(tx, &book, now),
                Err(DeskError::NoBook) => Ok(Vec::new()),
                Err(error) => Err(error),
            })
            .await?;
        for step in steps {
            report.seen += 1;
            match self.take_step(step, now).await {
                Ok(true) => report.changed += 1,
                // Somebody else was quicker.
                Ok(false) => {}
                Err(error) => report.failures.push(error.to_string()),
            }
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }

    async fn take_step(&self, step: Step, now: Timestamp) -> Result<bool, DeskError> {
        match step {
            Step::Move { id, was, due_at } => {
                self.store.write("digests.move", move |tx| Ok(tx.move_digest(&id, was, due_at)?)).await
            }
            Step::Remove { id } => {
                self.store.write("digests.remove", move |tx| tx.remove_digest(&id).map_err(DeskError::from)).await?;
                Ok(true)
            }
            Step::Tell { id, whose, ways, was, week, next } => {
                let body = letters::body(&self.week(&whose, week).await?)?;
                self.store
                    .write("digests.tell", move |tx| {
                        if !tx.move_digest(&id, Some(was), next)? {
                            return Ok(false);
                        }
                        for way in ways {
                            let channel = way.to_string();
                            let fields = ["upheld-digest/1", id.as_str(), &channel, &week.to.to_string()];
                            let (key, body) = (content_key(&fields), body.clone());
                            let sealed = messages::Sealed { channel, key, body, at: now };
                            messages::put(tx, (&id, NO_INCIDENT), EventKind::DigestWeekly, sealed, now)?;
                        }
                        Ok(true)
                    })
                    .await
            }
        }
    }

    /// What is said of a week. Everything is as known at its end.
    pub(crate) async fn week(&self, whose: &Whose, week: Stretch) -> Result<Letter, DeskError> {
        let book = self.current_book().await?;
        match whose {
            Whose::Client(client) => {
                let digest = self.digest(&Scope::Client(client.clone()), Some(client), week.from, week.to).await?;
                let said = self.week_of(client, week).await?;
                Ok(of_client(&book, client, week, &said, &digest))
            }
            Whose::Provider => {
                let digest = self.digest(&Scope::Provider, None, week.from, week.to).await?;
                let mut said = BTreeMap::new();
                for client in book.book.clients.values().filter(|client| !is_over(client, &book.book, week.to)) {
                    said.insert(client.id.clone(), self.week_of(&client.id, week).await?);
                }
                Ok(of_provider(&book, week, &said, &digest))
            }
        }
    }

    /// The account of a client's week; `Err` says in words why there is none.
    async fn week_of(&self, client: &ClientId, week: Stretch) -> Result<Result<Account, String>, DeskError> {
        match self.statement(&Scope::Provider, client, week, week.to).await {
            Ok(account) => Ok(Ok(account)),
            Err(StatementError::NoAccount(why)) => Ok(Err(why.to_string())),
            Err(StatementError::Desk(error)) => Err(error),
        }
    }
}

/// Whose digest is to be told, and by which ways.
fn told(book: &Book, now: Timestamp) -> Result<BTreeMap<ClientId, (Whose, Vec<ChannelName>)>, DeskError> {
    let wants = |to: &MailTo| to.of.contains(&MailKind::Digest);
    let mut all = BTreeMap::new();
    let channels = book.provider.channels.iter().filter(|(_, to)| to.mail.as_ref().is_some_and(wants));
    let ways: Vec<_> = channels.map(|(name, _)| ChannelName::Mail(name.clone())).collect();
    if !ways.is_empty() {
        let own = OWN_CLIENT.parse().map_err(|error| DeskError::unreadable("client", &error))?;
        all.insert(own, (Whose::Provider, ways));
    }
    for client in book.clients.values().filter(|client| !is_over(client, book, now)) {
        let people = client.mail.iter().filter(|(_, to)| wants(to));
        let ways: Vec<_> = people.map(|(name, _)| ChannelName::ClientMail(name.clone())).collect();
        if !ways.is_empty() {
            all.insert(client.id.clone(), (Whose::Client(client.id.clone()), ways));
        }
    }
    Ok(all)
}

/// Whether he has ceased to be a client.
fn is_over(client: &Client, book: &Book, now: Timestamp) -> bool {
    let today = zone_of(book, &Whose::Client(client.id.clone())).to_datetime(now).date();
    client.ended.is_some_and(|ended| ended < today)
}

/// The wall clock by which a week ends: that of a client's first site, by name; the provider's for himself and for a client
/// without a site.
fn zone_of(book: &Book, whose: &Whose) -> TimeZone {
    let site = match whose {
        Whose::Provider => None,
        Whose::Client(client) => book.client(client).and_then(|client| client.sites.values().next()),
    };
    let name = site.map_or(&book.provider.zone, |site| &site.zone);
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn look(tx: &dyn ReadTx, book: &CurrentBook, now: Timestamp) -> Result<Vec<Step>, DeskError> {
    let mut rows: BTreeMap<ClientId, Timestamp> =
        tx.digests()?.into_iter().map(|row| (row.client, row.due_at)).collect();
    let when = book.book.provider.digest;
    let mut steps = Vec::new();
    for (id, (whose, ways)) in told(&book.book, now)? {
        let zone = zone_of(&book.book, &whose);
        let next = when.after(now, &zone);
        match rows.remove(&id) {
            None => steps.push(Step::Move { id, was: None, due_at: next }),
            Some(due_at) if due_at == next => {}
            Some(due_at) if due_at > now => steps.push(Step::Move { id, was: Some(due_at), due_at: next }),
            Some(due_at) => {
                // The last one that fell due; where the book has moved the day meanwhile, the one that was noted.
                let to = when.last(now, &zone).max(due_at);
                let week = Stretch { from: when.week_before(to, &zone), to };
                steps.push(Step::Tell { id, whose, ways, was: due_at, week, next });
            }
        }
    }
    steps.extend(rows.into_keys().map(|id| Step::Remove { id }));
    Ok(steps)
}

/// `3 things to look at`.
fn to_look_at(digest: &Digest) -> Option<String> {
    match digest.sites.iter().map(|site| site.sentences.len()).sum::<usize>() {
        0 => None,
        1 => Some("1 thing to look at".to_owned()),
        many => Some(format!("{many} things to look at")),
    }
}

fn ends(week: Stretch, zone: &TimeZone) -> String {
    week.to.to_zoned(zone.clone()).strftime("week to %a %-d %b").to_string()
}

fn period(week: Stretch, zone: &TimeZone) -> (String, String) {
    let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    ("Period".to_owned(), format!("{} to {}", local(week.from), local(week.to)))
}

fn sections(digest: &Digest, whose: &Whose) -> Vec<Section> {
    let heading = |site: &crate::digest::SiteDigest| match whose {
        Whose::Provider => format!("{}, {}", site.client_name, site.site_name),
        Whose::Client(_) => site.site_name.clone(),
    };
    let site = |site| Section { heading: heading(site), text: site.sentences.join("\n"), is_prose: true };
    digest.sites.iter().map(site).collect()
}

fn of_client(
    book: &CurrentBook,
    client: &ClientId,
    week: Stretch,
    said: &Result<Account, String>,
    digest: &Digest,
) -> Letter {
    let whose = Whose::Client(client.clone());
    let zone = zone_of(&book.book, &whose);
    let name = book.book.client(client).map_or_else(|| client.to_string(), |client| client.name.clone());
    let mut verdict = match said {
        Ok(account) => account.verdict(),
        Err(_) => "nothing is promised".to_owned(),
    };
    if let Some(eye) = to_look_at(digest) {
        verdict = format!("{verdict}; {eye}");
    }
    let paid = match said {
        Ok(account) => account.said().join("\n"),
        Err(why) => format!("There is nothing to account for: {why}."),
    };
    let mut all = vec![Section { heading: "Did you get what you pay for?".to_owned(), text: paid, is_prose: true }];
    all.extend(sections(digest, &whose));
    let ends = ends(week, &zone);
    Letter {
        facts: vec![period(week, &zone)],
        sections: all,
        path: Some(format!("/c/{client}")),
        ..letters::plain(format!("{name}, {ends}: {verdict}"), format!("{name}, {ends}: {verdict}."))
    }
}

fn of_provider(
    book: &CurrentBook,
    week: Stretch,
    said: &BTreeMap<ClientId, Result<Account, String>>,
    digest: &Digest,
) -> Letter {
    let zone = zone_of(&book.book, &Whose::Provider);
    let with_account: Vec<&Account> = said.values().filter_map(|said| said.as_ref().ok()).collect();
    let all = with_account.len();
    let missed = with_account.iter().filter(|account| account.is_missed()).count();
    let unproven = with_account.iter().filter(|account| !account.is_missed() && !account.is_proven()).count();
    let mut verdict = match (all, missed, unproven) {
        (0, _, _) => "nothing is promised to anybody".to_owned(),
        (1, 0, 0) => "the one client got what was promised".to_owned(),
        (all, 0, 0) => format!("all {all} clients got what was promised"),
        (all, 0, unproven) => format!("nothing missed, for {unproven} of {all} clients not everything is proven"),
        (all, missed, 0) => format!("{missed} of {all} clients did not get what was promised"),
        (all, missed, unproven) => {
            format!("{missed} of {all} clients did not get what was promised, for {unproven} not everything is proven")
        }
    };
    if let Some(eye) = to_look_at(digest) {
        verdict = format!("{verdict}; {eye}");
    }
    let name = |id: &ClientId| book.book.client(id).map_or_else(|| id.to_string(), |client| client.name.clone());
    let line = |(id, said): (&ClientId, &Result<Account, String>)| Listed {
        text: match said {
            Ok(account) => format!("{}: {}", name(id), account.verdict()),
            Err(why) => format!("{}: {why}", name(id)),
        },
        path: Some(format!("/c/{id}")),
    };
    // What was not kept comes first.
    let mut listed: Vec<_> = said.iter().collect();
    listed.sort_by_key(|(_, said)| !said.as_ref().is_ok_and(Account::is_missed));
    let ends = ends(week, &zone);
    let subject = format!("{}{}: {verdict}", ends[..1].to_uppercase(), &ends[1..]);
    Letter {
        facts: vec![period(week, &zone)],
        listed: listed.into_iter().map(line).collect(),
        sections: sections(digest, &Whose::Provider),
        path: Some("/clients".to_owned()),
        ..letters::plain(subject.clone(), format!("{subject}."))
    }
}
