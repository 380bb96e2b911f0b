//! Whom and what somebody may name: the clients in his scope with their sites and assets, as forms offer them.

use std::sync::Arc;

use upheld_model::{AssetId, ClientId, SiteId};

use super::Scope;
use crate::{Desk, DeskError};

/// What the book of this moment has in a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The provider's zone (IANA), in which a form's times are read.
    pub time_zone: String,
    /// The clients in scope, by id.
    pub clients: Vec<ClientPlaces>,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPlaces {
    /// Whose.
    pub client: ClientId,
    /// What people call him.
    pub name: String,
    /// His sites, by id.
    pub sites: Vec<SitePlace>,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePlace {
    /// Which.
    pub site: SiteId,
    /// What people call it.
    pub name: String,
    /// What stands there.
    pub assets: Vec<AssetId>,
}

impl Desk {
    /// The clients of the book that are in scope; [`DeskError::NoBook`] before there is one.
    pub async fn places(&self, scope: &Scope) -> Result<Places, DeskError> {
        let (scope, shared) = (scope.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.places", move |tx| {
                let book = &shared.books.current(tx)?.book;
                let in_scope = book.clients.iter().filter(|(id, _)| scope.includes(id));
                let clients = in_scope.map(|(id, client)| ClientPlaces {
                    client: id.clone(),
                    name: client.name.clone(),
                    sites: client
                        .sites
                        .values()
                        .map(|site| SitePlace {
                            site: site.id.clone(),
                            name: site.name.clone(),
                            assets: site.assets.keys().cloned().collect(),
                        })
                        .collect(),
                });
                Ok(Places { time_zone: book.provider.zone.clone(), clients: clients.collect() })
            })
            .await
    }
}

impl ClientPlaces {
    /// Each site as a form names it, `northgate/plant-2`, and as people do.
    pub fn named(&self) -> impl Iterator<Item = (String, String)> {
        self.sites
            .iter()
            .map(|site| (format!("{}/{}", self.client, site.site), format!("{}, {}", self.name, site.name)))
    }
}
