-- Three kinds of data (DELIVERY 4). A record that tells something is a fact and stays; one of samples alone goes when its
-- time is over, and its identity stays for a while, so that it is recognised when it is sent again.
ALTER TABLE records ADD COLUMN is_fact INTEGER NOT NULL DEFAULT 1;
-- Within a text of JSON the quotes would be escaped: only a body's own key is found. Whose body is in doubt stays.
UPDATE records SET is_fact = 0 WHERE body NOT LIKE '%"events":[%' AND NOT EXISTS (SELECT 1 FROM dead_letters d
    WHERE d.client = records.client AND d.agent = records.agent AND d.epoch = records.epoch AND d.seq = records.seq);
CREATE INDEX records_of_samples ON records (client, agent, received_at) WHERE is_fact = 0;

CREATE TABLE known_records (
    client TEXT NOT NULL, agent TEXT NOT NULL, record_id BLOB NOT NULL, content_hash BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (client, agent, record_id, content_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_records_by_age ON known_records (client, agent, received_at);
