-- Agreed windows of work, from the book and from people, each with the instant at which it was entered.
CREATE TABLE maintenance (
    client TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL, origin TEXT NOT NULL, body TEXT NOT NULL,
    entered_at INTEGER NOT NULL, entered_by TEXT NOT NULL, over_at INTEGER, ended_by TEXT,
    PRIMARY KEY (client, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_of_site ON maintenance (client, site, over_at);
-- Facts that judgements rest on, in the collector's time; never thinned (DELIVERY 4).
-- Findings of version 2 are found by when they were received; their own instants stay in their text.
ALTER TABLE findings ADD COLUMN started_after INTEGER;
ALTER TABLE findings ADD COLUMN started_by INTEGER;
ALTER TABLE findings ADD COLUMN detected_at INTEGER;
ALTER TABLE findings ADD COLUMN ended_after INTEGER;
ALTER TABLE findings ADD COLUMN ended_by INTEGER;
ALTER TABLE findings ADD COLUMN end_confirmed_at INTEGER;
ALTER TABLE findings ADD COLUMN end_received_at INTEGER;
UPDATE findings SET started_by = received_at;
UPDATE findings SET ended_by = received_at WHERE ended IS NOT NULL;
CREATE INDEX findings_by_begin ON findings (client, site, started_by);
CREATE INDEX findings_by_end ON findings (client, site, ended_by) WHERE ended_by IS NOT NULL;

-- Every change of a check's state, as its agent said it.
CREATE TABLE changes (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL, at INTEGER NOT NULL,
    agent TEXT NOT NULL, received_at INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (client, site, asset, check_name, at, agent)
) STRICT, WITHOUT ROWID;

-- Stretches of samples that say the same, as far as judging looks at it. The latest one of each check is in kept_now.
CREATE TABLE stretches (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL, from_at INTEGER NOT NULL,
    agent TEXT NOT NULL, to_at INTEGER NOT NULL, received_at INTEGER NOT NULL, seen TEXT NOT NULL,
    PRIMARY KEY (client, site, asset, check_name, from_at, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX stretches_by_end ON stretches (client, site, to_at);

-- Where the fold of an agent's samples stands: one row an agent, so that an upload writes one row.
CREATE TABLE kept_now (
    client TEXT NOT NULL, site TEXT NOT NULL, agent TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (client, site, agent)
) STRICT, WITHOUT ROWID;

-- Sums of an agent's samples by the local hour.
CREATE TABLE hours (
    client TEXT NOT NULL, site TEXT NOT NULL, from_at INTEGER NOT NULL, agent TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (client, site, from_at, agent)
) STRICT, WITHOUT ROWID;

-- What agents said beside their samples: starts, last words, gaps, hosts that booted.
CREATE TABLE said (
    client TEXT NOT NULL, site TEXT NOT NULL, at INTEGER NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL,
    received_at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (client, site, at, agent, kind)
) STRICT, WITHOUT ROWID;

-- Stretches in which an agent was not heard for longer than three heartbeats; the one that lasts is not here.
CREATE TABLE unheard (
    client TEXT NOT NULL, site TEXT NOT NULL, since INTEGER NOT NULL, agent TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (client, site, since, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX unheard_by_end ON unheard (client, site, until);

-- When each site must be judged again though nothing is received.
CREATE TABLE sites_due (
    client TEXT NOT NULL, site TEXT NOT NULL, due_at INTEGER NOT NULL,
    PRIMARY KEY (client, site)
) STRICT, WITHOUT ROWID;
CREATE INDEX sites_due_by_time ON sites_due (due_at);

-- Versions of agreements that the client has accepted, each by the hash that he was shown.
CREATE TABLE acceptances (
    client TEXT NOT NULL, agreement TEXT NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
    accepted_by TEXT NOT NULL, accepted_at INTEGER NOT NULL, entered_by TEXT NOT NULL,
    PRIMARY KEY (client, agreement, version, hash)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER acceptances_never_change BEFORE UPDATE ON acceptances
    BEGIN SELECT RAISE(ABORT, 'an acceptance is append-only'); END;
CREATE TRIGGER acceptances_never_shrink BEFORE DELETE ON acceptances
    BEGIN SELECT RAISE(ABORT, 'an acceptance is append-only'); END;
