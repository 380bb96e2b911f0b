//! What each column costs: fee, credits and labour, client by client, from the one account (F9).
//!
//! Both columns are cut at the period alike, so that what differs is the terms and nothing else: a window that reaches
//! beyond it counts as far as it lies inside, and its credit is owed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::ClientId;

use super::{WhatIf, monthly_fee};
use crate::{
    account::{Happened, IncidentTargets, Question, Stretch, Windows, account},
    book::Book,
    money::Money,
};

/// Both columns' money, client by client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Under what was agreed; empty where no book of that time is known.
    pub before: BTreeMap<ClientId, ClientColumn>,
    /// Under the other book.
    pub after: BTreeMap<ClientId, ClientColumn>,
}

/// What one client's agreement came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientColumn {
    /// What a month costs at the end of the period; `None` where that is not said by the month.
    pub fee_per_month: Option<Money>,
    /// What the period costs.
    pub fee: Option<Money>,
    /// What is owed; `None` where it cannot be said.
    pub credits: Option<Money>,
    /// What the work cost.
    pub labour: Option<Money>,
    /// Entries of work without a price.
    pub not_priced: u64,
    /// Why something cannot be said.
    pub not_said: Option<String>,
}

/// A column over all clients. What cannot be said for one cannot be said for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Per month.
    pub fee_per_month: Option<Money>,
    /// For the period.
    pub fee: Option<Money>,
    /// Owed to clients.
    pub credits: Option<Money>,
    /// Charged for work.
    pub labour: Option<Money>,
}

/// What both columns cost over a period, for every client of whom something happened or who has an agreement.
pub fn columns(
    found: &WhatIf,
    (before, after): (Option<&Book>, &Book),
    clients: &BTreeSet<ClientId>,
    happened: &BTreeMap<ClientId, Happened>,
    period: Stretch,
    as_of: Timestamp,
) -> Columns {
    let side = |book: &Book, breached: &BTreeMap<ClientId, Vec<IncidentTargets>>| {
        let of = |client: &ClientId| {
            let targets = breached.get(client).cloned().unwrap_or_default();
            let known = happened.get(client).cloned().unwrap_or_default();
            (client.clone(), column(book, client, Happened { targets, ..known }, period, as_of))
        };
        clients.iter().map(of).collect()
    };
    Columns {
        before: before.map(|book| side(book, &found.breached_before)).unwrap_or_default(),
        after: side(after, &found.breached_after),
    }
}

fn column(book: &Book, client: &ClientId, happened: Happened, period: Stretch, as_of: Timestamp) -> ClientColumn {
    let question = Question { client, period, as_of, windows: Windows::Cut };
    match account(book, question, &happened) {
        Ok(account) => ClientColumn {
            fee_per_month: account.versions.last().and_then(|part| part.monthly),
            fee: account.fee,
            credits: account.credits.not_said.is_none().then_some(account.credits.owed),
            labour: Some(account.labour.total),
            not_priced: account.labour.not_priced,
            not_said: account.credits.not_said,
        },
        Err(error) => ClientColumn {
            fee_per_month: monthly_fee(book, client, period.from),
            fee: None,
            credits: None,
            labour: None,
            not_priced: 0,
            not_said: Some(error.to_string()),
        },
    }
}

impl Sums {
    /// The sum of some clients' columns.
    pub fn of<'a>(columns: impl Iterator<Item = &'a ClientColumn> + Clone) -> Self {
        let sum = |pick: fn(&ClientColumn) -> Option<Money>| {
            let mut total: Option<Money> = None;
            for column in columns.clone() {
                let part = pick(column)?;
                let minor = total.map_or(0, |total| total.minor).checked_add(part.minor)?;
                total = Some(Money { minor, currency: part.currency });
            }
            total
        };
        Self {
            fee_per_month: sum(|column| column.fee_per_month),
            fee: sum(|column| column.fee),
            credits: sum(|column| column.credits),
            labour: sum(|column| column.labour),
        }
    }
}
