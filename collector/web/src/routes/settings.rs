//! Settings: one's own account and tokens, the accounts that somebody keeps, the audit. No page needs a script.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod collectors;
pub(super) mod tokens;
pub(super) mod users;

use jiff::Timestamp;
use upheld_desk::{AccountError, DeskError, roles::Action, views::Places};

use crate::{Portal, access::Reader, nav, problem::Refusal, words};

/// What every page of the settings has at its head.
struct Head {
    who: String,
    nav: Vec<nav::Place>,
    places: Vec<nav::Place>,
}

impl Head {
    fn of(reader: &Reader, here: &str) -> Self {
        let places = [
            ("Account", "/settings/account", Action::Account),
            ("Tokens", "/settings/tokens", Action::Account),
            ("People", "/settings/users", Action::Readers),
            ("Audit", "/settings/audit", Action::Audit),
            ("Collectors", "/settings/collectors", Action::Audit),
        ];
        let places = places.into_iter().filter(|(_, _, action)| reader.may(*action));
        Self {
            who: reader.name().to_owned(),
            nav: nav::of(reader, nav::SETTINGS),
            places: places.map(|(name, href, _)| (name, href.to_owned(), href == here)).collect(),
        }
    }
}

/// What stands in the way, for the page; what is no matter of the page is a refusal of its own.
fn in_words(error: AccountError, now: Timestamp) -> Result<String, Refusal> {
    if let AccountError::Wait { until } = error {
        return Ok(super::login::wait(until, now));
    }
    if matches!(error, AccountError::Desk(DeskError::NoBook)) {
        return Ok("There is no book of agreements yet, and so no client.".to_owned());
    }
    if matches!(error, AccountError::Desk(_) | AccountError::NoSuchUser(_)) {
        return Err(Refusal::from(error).for_reader(false));
    }
    Ok(format!("{}.", words::sentence(&error.to_string())))
}

/// The zone in which the provider reads times, and the clients in the reader's scope: UTC and none before there is a book.
async fn places(portal: &Portal, reader: &Reader) -> Result<Places, Refusal> {
    match portal.desk.places(reader.scope()).await {
        Ok(known) => Ok(known),
        Err(DeskError::NoBook) => Ok(Places { time_zone: "UTC".to_owned(), clients: Vec::new() }),
        Err(error) => Err(Refusal::from(error).for_reader(false)),
    }
}

/// The zone in which the provider reads times.
async fn zone(portal: &Portal, reader: &Reader) -> Result<String, Refusal> {
    Ok(places(portal, reader).await?.time_zone)
}
