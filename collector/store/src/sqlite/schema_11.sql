-- Secrets of sites' probes (SECURITY 4): the key of each agent to which they are sealed, which there are, and the boxes, which
-- only their agents can open.
CREATE TABLE sealing_keys (
    client TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL, told_at INTEGER NOT NULL,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_secrets (
    client TEXT NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL, set_at INTEGER NOT NULL, set_by TEXT NOT NULL,
    PRIMARY KEY (client, site, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_boxes (
    client TEXT NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL,
    sealed TEXT NOT NULL, PRIMARY KEY (client, site, name, agent)
) STRICT, WITHOUT ROWID;
-- Grows with each change of a site's secrets.
CREATE TABLE sealed_versions (
    client TEXT NOT NULL, site TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (client, site)
) STRICT, WITHOUT ROWID;
