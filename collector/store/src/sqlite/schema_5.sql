-- The collector's own troubles: its line, its data door, its clock. When it was down the runs say.
CREATE TABLE own_outages (
    trouble TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
    PRIMARY KEY (trouble, since)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX own_outages_one_open ON own_outages (trouble) WHERE until IS NULL;
CREATE INDEX own_outages_by_end ON own_outages (until);
