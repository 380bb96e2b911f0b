-- The last certificate that each agent was given, and those before it that are void.
CREATE TABLE certificates (
    client TEXT NOT NULL, agent TEXT NOT NULL, ends INTEGER NOT NULL, void_before INTEGER, root TEXT,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_end ON certificates (ends);

-- Hosts that ask to be taken back under an identity that is known: by the key of their certificate request.
CREATE TABLE returns (
    client TEXT NOT NULL, agent TEXT NOT NULL, key BLOB NOT NULL, host TEXT NOT NULL, address TEXT NOT NULL,
    why TEXT NOT NULL, state TEXT NOT NULL, asked_at INTEGER NOT NULL, last_asked INTEGER NOT NULL,
    decided_at INTEGER, decided_by TEXT,
    PRIMARY KEY (client, agent, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX returns_by_state ON returns (state, asked_at);

-- Tokens for several hosts of a site, and the hosts that came with one.
CREATE TABLE site_tokens (
    hash BLOB NOT NULL PRIMARY KEY, client TEXT NOT NULL, site TEXT NOT NULL, created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL, expires_at INTEGER NOT NULL, uses_max INTEGER NOT NULL, uses INTEGER NOT NULL,
    networks TEXT NOT NULL, rule TEXT NOT NULL, revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE arrivals (
    client TEXT NOT NULL, agent TEXT NOT NULL, token BLOB NOT NULL, address TEXT NOT NULL, asked_at INTEGER NOT NULL,
    decided_at INTEGER, decided_by TEXT,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrivals_waiting ON arrivals (asked_at) WHERE decided_at IS NULL;

-- Agents of before: the last certificate of each was given out, at the latest, when it was last heard.
INSERT INTO certificates (client, agent, ends)
SELECT a.client, a.agent, 46 * 86400000000 + coalesce(
    (SELECT n.last_seen FROM agent_now n WHERE n.client = a.client AND n.agent = a.agent), a.enrolled_at)
FROM agents a;
