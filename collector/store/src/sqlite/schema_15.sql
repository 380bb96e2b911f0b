-- Before which instant a client's facts were taken away, their time being over.
CREATE TABLE forgotten (client TEXT NOT NULL PRIMARY KEY, before_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- The ledger is append-only but for what was over before that instant.
DROP TRIGGER ledger_never_shrinks;
CREATE TRIGGER ledger_never_shrinks BEFORE DELETE ON ledger
    WHEN NOT EXISTS (SELECT 1 FROM forgotten f JOIN incidents i ON i.client = f.client
        WHERE f.client = OLD.client AND i.number = OLD.number AND i.over_at < f.before_at)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
