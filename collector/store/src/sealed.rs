//! Secrets of sites' probes, sealed to their agents (SECURITY 4): no row holds a value that can be read here.

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, SecretName, SiteId};

use crate::{
    StoreError,
    sql::{Asked, At, Parsed, Query, Read, Row, Sql, params, query, texts},
};

/// One secret of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Its name.
    pub name: SecretName,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub set_by: String,
}

/// A secret as it was sealed to one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxRow {
    /// Its name.
    pub name: SecretName,
    /// The agent.
    pub agent: AgentId,
    /// The agent's public key at that time, 64 hexadecimal digits.
    pub key: String,
    /// The box, hexadecimal.
    pub sealed: String,
}

/// Reading sealed secrets.
pub trait SealedReads {
    /// The key to which an agent's secrets are sealed; `None` before it told one.
    fn sealing_key(&self, client: &ClientId, agent: &AgentId) -> Result<Option<String>, StoreError>;
    /// How often a site's secrets were changed.
    fn sealed_version(&self, client: &ClientId, site: &SiteId) -> Result<u64, StoreError>;
    /// A site's secrets, by name.
    fn sealed_secrets(&self, client: &ClientId, site: &SiteId) -> Result<Vec<SealedRow>, StoreError>;
    /// A site's boxes, by name and agent.
    fn sealed_boxes(&self, client: &ClientId, site: &SiteId) -> Result<Vec<BoxRow>, StoreError>;
}

/// Writing sealed secrets.
pub trait SealedWrites {
    /// Notes an agent's key; whether it is another than before.
    fn put_sealing_key(
        &mut self,
        client: &ClientId,
        agent: &AgentId,
        key: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Puts a secret and all its boxes in the place of those before.
    fn put_sealed(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        row: &SealedRow,
        boxes: &[BoxRow],
    ) -> Result<(), StoreError>;
    /// Removes a secret and its boxes; whether there was one.
    fn remove_sealed(&mut self, client: &ClientId, site: &SiteId, name: &SecretName) -> Result<bool, StoreError>;
}

const KEY: Query = query!("sealing_keys.get", "SELECT key FROM sealing_keys WHERE client = ?1 AND agent = ?2");
const PUT_KEY: Query = query!(
    "sealing_keys.put",
    "INSERT INTO sealing_keys (client, agent, key, told_at) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (client, agent) DO UPDATE SET key = excluded.key, told_at = excluded.told_at \
     WHERE sealing_keys.key <> excluded.key"
);
const VERSION: Query =
    query!("sealed_versions.get", "SELECT version FROM sealed_versions WHERE client = ?1 AND site = ?2");
const BUMP: Query = query!(
    "sealed_versions.bump",
    "INSERT INTO sealed_versions (client, site, version) VALUES (?1, ?2, 1) \
     ON CONFLICT (client, site) DO UPDATE SET version = sealed_versions.version + 1"
);
const SECRETS: Query = query!(
    "sealed_secrets.of_site",
    "SELECT name, set_at, set_by FROM sealed_secrets WHERE client = ?1 AND site = ?2 ORDER BY name"
);
const PUT_SECRET: Query = query!(
    "sealed_secrets.put",
    "INSERT INTO sealed_secrets (client, site, name, set_at, set_by) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (client, site, name) DO UPDATE SET set_at = excluded.set_at, set_by = excluded.set_by"
);
const REMOVE_SECRET: Query =
    query!("sealed_secrets.remove", "DELETE FROM sealed_secrets WHERE client = ?1 AND site = ?2 AND name = ?3");
const BOXES: Query = query!(
    "sealed_boxes.of_site",
    "SELECT name, agent, key, sealed FROM sealed_boxes WHERE client = ?1 AND site = ?2 ORDER BY name, agent"
);
const PUT_BOX: Query = query!(
    "sealed_boxes.put",
    "INSERT INTO sealed_boxes (client, site, name, agent, key, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
);
const REMOVE_BOXES: Query =
    query!("sealed_boxes.remove", "DELETE FROM sealed_boxes WHERE client = ?1 AND site = ?2 AND name = ?3");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[KEY, VERSION, SECRETS, BOXES, REMOVE_SECRET, REMOVE_BOXES];

fn sealed_row(row: &Row<'_>) -> Read<SealedRow> {
    let (name, set_at) = (row.get::<Parsed<_>>(0)?.0, row.get::<At>(1)?.0);
    Ok(SealedRow { name, set_at, set_by: row.get(2)? })
}

fn box_row(row: &Row<'_>) -> Read<BoxRow> {
    let (name, agent) = (row.get::<Parsed<_>>(0)?.0, row.get::<Parsed<_>>(1)?.0);
    Ok(BoxRow { name, agent, key: row.get(2)?, sealed: row.get(3)? })
}

/// [`SealedReads::sealed_version`] as it is asked.
pub(crate) fn ask_version<'a>(client: &'a ClientId, site: &'a SiteId) -> Asked<'a> {
    (&VERSION, texts([client.as_str(), site.as_str()]))
}

/// [`SealedReads::sealing_key`] as it is asked.
pub(crate) fn ask_key<'a>(client: &'a ClientId, agent: &'a AgentId) -> Asked<'a> {
    (&KEY, texts([client.as_str(), agent.as_str()]))
}

impl SealedReads for Sql<'_> {
    fn sealing_key(&self, client: &ClientId, agent: &AgentId) -> Result<Option<String>, StoreError> {
        self.one(&KEY, [client.as_str(), agent.as_str()], |row| row.get(0))
    }

    fn sealed_version(&self, client: &ClientId, site: &SiteId) -> Result<u64, StoreError> {
        let version: Option<i64> = self.one(&VERSION, [client.as_str(), site.as_str()], |row| row.get(0))?;
        Ok(version.unwrap_or_default().unsigned_abs())
    }

    fn sealed_secrets(&self, client: &ClientId, site: &SiteId) -> Result<Vec<SealedRow>, StoreError> {
        self.all(&SECRETS, [client.as_str(), site.as_str()], sealed_row)
    }

    fn sealed_boxes(&self, client: &ClientId, site: &SiteId) -> Result<Vec<BoxRow>, StoreError> {
        self.all(&BOXES, [client.as_str(), site.as_str()], box_row)
    }
}

impl SealedWrites for Sql<'_> {
    fn put_sealing_key(
        &mut self,
        client: &ClientId,
        agent: &AgentId,
        key: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.run(&PUT_KEY, params![client.as_str(), agent.as_str(), key, At(at)])? > 0)
    }

    fn put_sealed(
        &mut self,
        client: &ClientId,
        site: &SiteId,
        row: &SealedRow,
        boxes: &[BoxRow],
    ) -> Result<(), StoreError> {
        let SealedRow { name, set_at, set_by } = row;
        self.run(&PUT_SECRET, params![client.as_str(), site.as_str(), name.as_str(), At(*set_at), set_by])?;
        self.run(&REMOVE_BOXES, [client.as_str(), site.as_str(), name.as_str()])?;
        for BoxRow { name, agent, key, sealed } in boxes {
            let of = [client.as_str(), site.as_str(), name.as_str(), agent.as_str(), key, sealed];
            self.run(&PUT_BOX, of)?;
        }
        self.run(&BUMP, [client.as_str(), site.as_str()])?;
        Ok(())
    }

    fn remove_sealed(&mut self, client: &ClientId, site: &SiteId, name: &SecretName) -> Result<bool, StoreError> {
        let of = [client.as_str(), site.as_str(), name.as_str()];
        let was_there = self.run(&REMOVE_SECRET, of)? > 0;
        if was_there {
            self.run(&REMOVE_BOXES, of)?;
            self.run(&BUMP, [client.as_str(), site.as_str()])?;
        }
        Ok(was_there)
    }
}
