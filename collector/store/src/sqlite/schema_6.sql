-- Restores from a backup that may lack facts: until a person has accepted the gap nothing is taken, told or breached.
CREATE TABLE restores (
    restore INTEGER PRIMARY KEY AUTOINCREMENT, restored_at INTEGER NOT NULL, missing_from INTEGER NOT NULL,
    missing_to INTEGER NOT NULL, accepted_at INTEGER, accepted_by TEXT
) STRICT;
CREATE INDEX restores_by_acceptance ON restores (accepted_at);
