//! The way through the portal: the places that somebody may go to.

use crate::access::Reader;

/// A place: its name, its address, whether it is here.
pub(crate) type Place = (&'static str, String, bool);

/// Where this reader may go.
pub(crate) fn of(reader: &Reader, here: &str) -> Vec<Place> {
    let mut places = match reader.scope().client() {
        Some(client) => vec![("Overview", format!("/c/{client}")), ("Incidents", "/queue".to_owned())],
        None => {
            vec![("Queue", "/queue".to_owned()), ("Clients", "/clients".to_owned()), ("Agents", "/agents".to_owned())]
        }
    };
    if reader.may_respond() {
        places.push(("Report a problem", "/report".to_owned()));
    }
    places.into_iter().map(|(name, href)| (name, href.clone(), href == here)).collect()
}
