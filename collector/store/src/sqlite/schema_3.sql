-- Agreed windows of work, from the book and from people, each with the instant at which it was entered.
CREATE TABLE maintenance (
    client TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL, origin TEXT NOT NULL, body TEXT NOT NULL,
    entered_at INTEGER NOT NULL, entered_by TEXT NOT NULL, over_at INTEGER, ended_by TEXT,
    PRIMARY KEY (client, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_of_site ON maintenance (client, site, over_at);
