-- Instants are microseconds since 1970 UTC. Text bodies are JSON that the store does not read.
-- Every table of a client's rows is led by the client, so that a distributed database can shard by it.

CREATE TABLE agents (
    client TEXT NOT NULL, agent TEXT NOT NULL, site TEXT NOT NULL, host TEXT NOT NULL, status TEXT NOT NULL,
    signing_key BLOB NOT NULL, enrolled_at INTEGER NOT NULL, status_at INTEGER NOT NULL, first_seen INTEGER,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX agents_by_id ON agents (agent);
CREATE INDEX agents_unheard ON agents (enrolled_at) WHERE first_seen IS NULL;

CREATE TABLE agent_now (
    client TEXT NOT NULL, agent TEXT NOT NULL, last_seen INTEGER NOT NULL, wall INTEGER NOT NULL, mono INTEGER NOT NULL,
    boot TEXT NOT NULL, offset_ms INTEGER NOT NULL, version TEXT NOT NULL, config_version INTEGER NOT NULL,
    waiting INTEGER NOT NULL, oldest_waiting INTEGER, checks TEXT NOT NULL, ailments TEXT NOT NULL,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_now_by_last_seen ON agent_now (last_seen);

CREATE TABLE tokens (
    hash BLOB NOT NULL PRIMARY KEY, client TEXT NOT NULL, site TEXT NOT NULL, created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER, used_by TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE heads (
    client TEXT NOT NULL, agent TEXT NOT NULL, epoch INTEGER NOT NULL, len INTEGER NOT NULL, chain BLOB NOT NULL,
    begun_at INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    PRIMARY KEY (client, agent, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    client TEXT NOT NULL, agent TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, record_id BLOB NOT NULL,
    content_hash BLOB NOT NULL, chain BLOB NOT NULL, salt BLOB NOT NULL, sig TEXT, previous TEXT,
    received_at INTEGER NOT NULL, offset_ms INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_by_place ON records (client, agent, epoch, seq);
CREATE INDEX records_by_content ON records (client, agent, record_id, content_hash);

CREATE TABLE dead_letters (
    client TEXT NOT NULL, agent TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    received_at INTEGER NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (client, agent, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE forks (
    client TEXT NOT NULL, agent TEXT NOT NULL, fork BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (client, agent, fork)
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL, finding TEXT NOT NULL,
    agent TEXT NOT NULL, record_id BLOB NOT NULL, content_hash BLOB NOT NULL, received_at INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL, opened TEXT NOT NULL, ended TEXT, incident INTEGER,
    PRIMARY KEY (client, site, asset, check_name, finding)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_open ON findings (client, site) WHERE ended IS NULL;

CREATE TABLE numbers (client TEXT NOT NULL PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    client TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL, incident_key BLOB NOT NULL, dedup TEXT NOT NULL,
    state TEXT NOT NULL, opened_at INTEGER NOT NULL, over_at INTEGER, next_deadline INTEGER, revision INTEGER NOT NULL, body TEXT NOT NULL, terms TEXT, refusal TEXT,
    PRIMARY KEY (client, number)
) STRICT;
CREATE UNIQUE INDEX incidents_by_key ON incidents (client, incident_key);
CREATE UNIQUE INDEX incidents_one_open ON incidents (client, dedup) WHERE over_at IS NULL;
CREATE INDEX incidents_open ON incidents (client, number) WHERE over_at IS NULL;
CREATE INDEX incidents_of_site ON incidents (client, site, over_at);
CREATE INDEX incidents_by_deadline ON incidents (next_deadline) WHERE next_deadline IS NOT NULL;
CREATE INDEX incidents_by_opening ON incidents (opened_at);

CREATE TABLE ledger (
    client TEXT NOT NULL, number INTEGER NOT NULL, ordinal INTEGER NOT NULL, effective_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (client, number, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE clocks (
    client TEXT NOT NULL, number INTEGER NOT NULL, clock TEXT NOT NULL, state TEXT NOT NULL, due INTEGER,
    next_deadline INTEGER, revision INTEGER NOT NULL, target TEXT NOT NULL, announced TEXT NOT NULL,
    PRIMARY KEY (client, number, clock)
) STRICT, WITHOUT ROWID;
CREATE INDEX clocks_by_deadline ON clocks (next_deadline) WHERE next_deadline IS NOT NULL;

CREATE TABLE outbox (
    client TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, event TEXT NOT NULL, channel TEXT NOT NULL,
    body TEXT NOT NULL, created_at INTEGER NOT NULL, status TEXT NOT NULL, next_attempt_at INTEGER, lease_owner TEXT,
    attempts INTEGER NOT NULL, reference TEXT, delivered_at INTEGER, last_error TEXT,
    PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_attempt ON outbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outbox_by_incident ON outbox (client, number);

CREATE TABLE attempts (
    client TEXT NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL, worker TEXT NOT NULL, started_at INTEGER NOT NULL,
    ended_at INTEGER, outcome TEXT,
    PRIMARY KEY (client, key, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE books (
    version INTEGER NOT NULL PRIMARY KEY, hash BLOB NOT NULL, files TEXT NOT NULL, applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL
) STRICT;

CREATE TABLE people (person TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX people_by_name ON people (name);

CREATE TABLE audit (
    entry INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, client TEXT, what TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER ledger_never_changes BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_never_shrinks BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE api_tokens (
    hash BLOB NOT NULL PRIMARY KEY, name TEXT NOT NULL, client TEXT, rights TEXT NOT NULL, created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL, expires_at INTEGER, revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE login_links (
    hash BLOB NOT NULL PRIMARY KEY, who TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash BLOB NOT NULL PRIMARY KEY, who TEXT NOT NULL, begun_at INTEGER NOT NULL, last_used_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL, last_alive INTEGER NOT NULL, is_over INTEGER NOT NULL
) STRICT;
