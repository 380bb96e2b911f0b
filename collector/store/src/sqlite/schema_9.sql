-- When the week's digest of each client is due next, and the provider's.
CREATE TABLE digests (client TEXT NOT NULL PRIMARY KEY, due_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
