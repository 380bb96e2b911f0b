//! Portal and API: routes per resource, templates, who may see what.

use std::net::SocketAddr;

/// Where a request came from; the doors put it into the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);
