//! Portal and API: routes per resource, templates, who may see what.
//!
//! [`portal`] gives the router that stands behind the portal's door. Pages and API show the desk's views and give
//! the desk's commands, and hold no rule of their own: no SQL, no arithmetic on clocks. Every page has a `.json`
//! twin of the same data. Nothing is changed by a GET; everything that changes needs a session whose request came
//! from our own pages, or an API token (SECURITY 23-26, 28). Another client's incident and one that does not exist
//! get the same answer. A failure of the store is a 503 that says so.
//!
//! Where to look next: [`routes`] for the map of addresses, `access` for who may come in, `words` for how times and
//! clocks are said, `assets/app.css` for the look.
#![forbid(unsafe_code)]

mod access;
mod headers;
mod nav;
mod problem;
mod routes;
pub mod words;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use jiff::Timestamp;
use upheld_desk::{Desk, NewToken};

pub use access::gate::Who;
pub use routes::{Route, routes};

/// Where a request came from; the doors put it into the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);

/// What a person takes to a new host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHost {
    /// The link that enrols it, for a host that has the agent.
    pub link: String,
    /// The line that installs the agent and enrols it; `None` where no packages are offered.
    pub install: Option<String>,
}

/// What the portal needs beside the desk.
#[derive(Clone)]
pub struct Portal {
    /// The desk.
    pub desk: Desk,
    /// Reads the wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// What enrols a host with a token: the server knows its address, its root's fingerprint and the release key.
    pub new_host: Arc<dyn Fn(&NewToken) -> NewHost + Send + Sync>,
    /// The portal's address as people type it: `https://collector.example:7443`.
    pub url: String,
    /// The process's metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What of the collector's own certificates is worth a look, for `/healthz`: it names nobody.
    pub certificates: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
}

impl Portal {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// The portal and the API as one router.
pub fn portal(portal: Portal) -> Router {
    headers::secured(access::to_login::led(access::origin::guarded(routes::all(portal))))
}
