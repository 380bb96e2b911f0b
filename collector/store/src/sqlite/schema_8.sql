-- Links by which a person chooses a password: an invitation, or a reset.
CREATE TABLE password_links (
    hash BLOB NOT NULL PRIMARY KEY, person TEXT NOT NULL, kind TEXT NOT NULL, created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX password_links_open ON password_links (person) WHERE used_at IS NULL;
CREATE INDEX login_links_open ON login_links (who) WHERE used_at IS NULL;
CREATE INDEX sessions_open ON sessions (who) WHERE ended_at IS NULL;

-- A token that a person made on his own page never has more rights than he has; the host's command line makes others.
ALTER TABLE api_tokens ADD COLUMN owner TEXT;
CREATE INDEX api_tokens_of_owner ON api_tokens (owner, created_at) WHERE owner IS NOT NULL;

CREATE INDEX audit_by_client ON audit (client, entry);
CREATE INDEX audit_by_who ON audit (who, entry);
CREATE INDEX audit_by_what ON audit (what, entry);
