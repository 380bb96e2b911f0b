-- What hosts propose to watch: the last proposal of each agent, and what people decided of each thing in it.
CREATE TABLE proposals (
    client TEXT NOT NULL, site TEXT NOT NULL, agent TEXT NOT NULL, sent_at INTEGER NOT NULL, assets TEXT NOT NULL,
    PRIMARY KEY (client, site, agent)
) STRICT, WITHOUT ROWID;
CREATE TABLE proposal_decisions (
    client TEXT NOT NULL, site TEXT NOT NULL, item TEXT NOT NULL, is_taken INTEGER NOT NULL, decided_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL, PRIMARY KEY (client, site, item)
) STRICT, WITHOUT ROWID;
