-- Commands given under a key of their giver's (UX 3.4). Some databases of version 1 have the table already.
CREATE TABLE IF NOT EXISTS commands (
    who TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, asked BLOB NOT NULL,
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_by_time ON commands (at);
