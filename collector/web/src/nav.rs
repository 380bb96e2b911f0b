//! The way through the portal: the places that somebody may go to.

use upheld_desk::roles::Action;

use crate::access::Reader;

/// A place: its name, its address, whether it is here.
pub(crate) type Place = (&'static str, String, bool);

/// Where the settings begin.
pub(crate) const SETTINGS: &str = "/settings/account";

/// Where this reader may go.
pub(crate) fn of(reader: &Reader, here: &str) -> Vec<Place> {
    let places = match reader.scope().client() {
        Some(client) => vec![
            ("Overview", format!("/c/{client}"), Action::Look),
            ("Incidents", "/queue".to_owned(), Action::Look),
            ("Report a problem", "/report".to_owned(), Action::Report),
            ("Settings", SETTINGS.to_owned(), Action::Account),
        ],
        None => vec![
            ("Queue", "/queue".to_owned(), Action::Look),
            ("Clients", "/clients".to_owned(), Action::Clients),
            ("Agents", "/agents".to_owned(), Action::Look),
            ("Report a problem", "/report".to_owned(), Action::Report),
            ("Settings", SETTINGS.to_owned(), Action::Account),
        ],
    };
    let allowed = places.into_iter().filter(|(.., action)| reader.may(*action));
    allowed.map(|(name, href, _)| (name, href.clone(), href == here)).collect()
}
