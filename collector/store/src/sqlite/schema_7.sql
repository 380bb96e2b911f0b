-- Accounts of people. Names, the one to log in with too, stand in the one table of people.
ALTER TABLE people ADD COLUMN login TEXT;
CREATE UNIQUE INDEX people_by_login ON people (login) WHERE login IS NOT NULL;

CREATE TABLE users (
    person TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, client TEXT, password TEXT, created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL, changed_at INTEGER NOT NULL, disabled_at INTEGER,
    CHECK ((role IN ('client-owner', 'client-reader')) = (client IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_client ON users (client);
