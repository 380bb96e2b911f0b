-- Jobs as the book has them, each from the application that first had it so to the one that has it so no more.
CREATE TABLE jobs (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (client, site, asset, check_name, since)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX jobs_one_in_force ON jobs (client, site, asset, check_name) WHERE until IS NULL;

-- What was said of runs of jobs, in the collector's time; never thinned (DELIVERY 4).
CREATE TABLE job_runs (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL, at INTEGER NOT NULL,
    said TEXT NOT NULL, agent TEXT NOT NULL, source TEXT NOT NULL, received_at INTEGER NOT NULL,
    PRIMARY KEY (client, site, asset, check_name, at, said)
) STRICT, WITHOUT ROWID;

-- What became of each expected run, once that is decided. Unknown is decided again when an agent's journal arrives.
CREATE TABLE expected_runs (
    client TEXT NOT NULL, site TEXT NOT NULL, asset TEXT NOT NULL, check_name TEXT NOT NULL,
    expected_at INTEGER NOT NULL, decided_at INTEGER NOT NULL, body TEXT NOT NULL, was TEXT,
    PRIMARY KEY (client, site, asset, check_name, expected_at)
) STRICT, WITHOUT ROWID;
