-- Several collectors on one database (a PostgreSQL): who does which task, and who is there. A file has no rows here.
CREATE TABLE leases (
    task TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, taken_at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE collectors (
    name TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, started_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- How often past hours of a site changed: who keeps in memory what they came to reads them again.
CREATE TABLE late_hours (
    client TEXT NOT NULL, site TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (client, site)
) STRICT, WITHOUT ROWID;
