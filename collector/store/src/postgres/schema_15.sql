-- Before which instant a client's facts were taken away, their time being over.
CREATE TABLE forgotten (client TEXT COLLATE "C" NOT NULL PRIMARY KEY, before_at BIGINT NOT NULL);
-- The ledger is append-only but for what was over before that instant.
DROP TRIGGER ledger_never_changes ON ledger;
CREATE TRIGGER ledger_never_changes BEFORE UPDATE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION upheld_append_only();
CREATE FUNCTION upheld_ledger_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM forgotten f JOIN incidents i ON i.client = f.client
            WHERE f.client = OLD.client AND i.number = OLD.number AND i.over_at < f.before_at) THEN RETURN OLD; END IF;
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END
$$;
CREATE TRIGGER ledger_never_shrinks BEFORE DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION upheld_ledger_stays();
