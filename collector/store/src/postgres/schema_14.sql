-- Several collectors on one database: who does which task, and who is there.
CREATE TABLE leases (
    task TEXT COLLATE "C" NOT NULL PRIMARY KEY, holder TEXT COLLATE "C" NOT NULL, fence BIGINT NOT NULL,
    taken_at BIGINT NOT NULL, until BIGINT NOT NULL
);
CREATE TABLE collectors (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY, address TEXT COLLATE "C" NOT NULL, started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
-- How often past hours of a site changed: who keeps in memory what they came to reads them again.
CREATE TABLE late_hours (
    client TEXT COLLATE "C" NOT NULL, site TEXT COLLATE "C" NOT NULL, times BIGINT NOT NULL,
    PRIMARY KEY (client, site)
);
