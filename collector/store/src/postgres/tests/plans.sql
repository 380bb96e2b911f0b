-- Rows enough that a plan matters, of 40 clients; then what PostgreSQL needs to know to plan.
SET session_replication_role = replica;
INSERT INTO agents (client, agent, site, host, status, signing_key, enrolled_at, status_at, first_seen)
    SELECT 'c' || i % 40, 'x' || i, 's' || i % 7, 'x' || i, 'active', decode(md5(i::text) || md5(i::text), 'hex'), i,
        i, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO agent_now (client, agent, last_seen, wall, mono, boot, offset_ms, version, config_version, waiting,
        oldest_waiting, checks, ailments)
    SELECT 'c' || i % 40, 'x' || i, i, i, i, 'x' || i, i, 'x' || i, i, i, CASE WHEN i % 50 > 0 THEN i END, 'x' || i,
        'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO tokens (hash, client, site, created_at, created_by, expires_at, used_at, used_by)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'c' || i % 40, 's' || i % 7, i, 'x' || i, i,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO heads (client, agent, epoch, len, chain, begun_at, ordinal)
    SELECT 'c' || i % 40, 'x' || i, i, i, decode(md5(i::text) || md5(i::text), 'hex'), i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO records (client, agent, epoch, seq, record_id, content_hash, chain, salt, sig, previous, received_at,
        offset_ms, body)
    SELECT 'c' || i % 40, 'x' || i, i, i, decode(md5(i::text) || md5(i::text), 'hex'),
        decode(md5(i::text) || md5(i::text), 'hex'), decode(md5(i::text) || md5(i::text), 'hex'),
        decode(md5(i::text) || md5(i::text), 'hex'), CASE WHEN i % 50 > 0 THEN 'x' || i END,
        CASE WHEN i % 50 > 0 THEN 'x' || i END, i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO known_records (client, agent, record_id, content_hash, received_at)
    SELECT 'c' || i % 40, 'x' || i, decode(md5(i::text) || md5(i::text), 'hex'),
        decode(md5(i::text) || md5(i::text), 'hex'), i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO dead_letters (client, agent, epoch, seq, received_at, reason, body)
    SELECT 'c' || i % 40, 'x' || i, i, i, i, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO forks (client, agent, fork, at)
    SELECT 'c' || i % 40, 'x' || i, decode(md5(i::text) || md5(i::text), 'hex'), i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO findings (client, site, asset, check_name, finding, agent, record_id, content_hash, received_at,
        offset_ms, opened, ended, incident, started_after, started_by, detected_at, ended_after, ended_by,
        end_confirmed_at, end_received_at)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, 'x' || i, 'x' || i, decode(md5(i::text) || md5(i::text),
        'hex'), decode(md5(i::text) || md5(i::text), 'hex'), i, i, 'x' || i, CASE WHEN i % 50 > 0 THEN 'x' || i END,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO numbers (client, next)
    SELECT 'c' || i, i
    FROM generate_series(1, 40) i;
INSERT INTO incidents (client, number, site, incident_key, dedup, state, opened_at, over_at, next_deadline, revision,
        body, terms, refusal)
    SELECT 'c' || i % 40, i, 's' || i % 7, decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, 'x' || i, i,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END, i, 'x' || i,
        CASE WHEN i % 50 > 0 THEN 'x' || i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO ledger (client, number, ordinal, effective_at, recorded_at, kind, who, body)
    SELECT 'c' || i % 40, i, i, i, i, 'x' || i, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO clocks (client, number, clock, state, due, next_deadline, revision, target, announced)
    SELECT 'c' || i % 40, i, 'x' || i, 'x' || i, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END, i,
        'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO outbox (client, key, number, event, channel, body, created_at, status, next_attempt_at, lease_owner,
        attempts, reference, delivered_at, last_error)
    SELECT 'c' || i % 40, 'x' || i, i, 'x' || i, 'x' || i, 'x' || i, i, 'active', CASE WHEN i % 50 > 0 THEN i END,
        CASE WHEN i % 50 > 0 THEN 'x' || i END, i, CASE WHEN i % 50 > 0 THEN 'x' || i END,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO attempts (client, key, attempt, worker, started_at, ended_at, outcome)
    SELECT 'c' || i % 40, 'x' || i, i, 'x' || i, i, CASE WHEN i % 50 > 0 THEN i END,
        CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO books (version, hash, files, applied_at, applied_by)
    SELECT i, decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO people (person, name, login)
    SELECT 'x' || i, 'x' || i, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO audit (at, who, client, what, detail)
    SELECT i, 'x' || i, 'c' || i % 40, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO api_tokens (hash, name, client, rights, created_at, created_by, expires_at, revoked_at, owner)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, 'c' || i % 40, 'x' || i, i, 'x' || i,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO login_links (hash, who, created_at, expires_at, used_at)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, i, i, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sessions (hash, who, begun_at, last_used_at, ended_at)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, i, i, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO runs (started_at, last_alive, is_over)
    SELECT i, i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO commands (who, key, at, asked)
    SELECT 'x' || i, 'x' || i, i, decode(md5(i::text) || md5(i::text), 'hex')
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO maintenance (client, number, site, origin, body, entered_at, entered_by, over_at, ended_by)
    SELECT 'c' || i % 40, i, 's' || i % 7, 'x' || i, 'x' || i, i, 'x' || i, CASE WHEN i % 50 > 0 THEN i END,
        CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO changes (client, site, asset, check_name, at, agent, received_at, state)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, i, 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO stretches (client, site, asset, check_name, from_at, agent, to_at, received_at, seen)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, i, 'x' || i, i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO kept_now (client, site, agent, body)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO hours (client, site, from_at, agent, body)
    SELECT 'c' || i % 40, 's' || i % 7, i, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO said (client, site, at, agent, kind, received_at, body)
    SELECT 'c' || i % 40, 's' || i % 7, i, 'x' || i, 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO unheard (client, site, since, agent, until)
    SELECT 'c' || i % 40, 's' || i % 7, i, 'x' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sites_due (client, site, due_at)
    SELECT 'c' || i % 40, 's' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO acceptances (client, agreement, version, hash, accepted_by, accepted_at, entered_by)
    SELECT 'c' || i % 40, 'x' || i, i, decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO jobs (client, site, asset, check_name, since, until, body)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, i, CASE WHEN i % 50 > 0 THEN i END, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO job_runs (client, site, asset, check_name, at, said, agent, source, received_at)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, i, 'x' || i, 'x' || i, 'x' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO expected_runs (client, site, asset, check_name, expected_at, decided_at, body, was)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, i, i, 'x' || i, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO own_outages (trouble, since, until)
    SELECT 'x' || i, i, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO restores (restored_at, missing_from, missing_to, accepted_at, accepted_by)
    SELECT i, i, i, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO users (person, role, client, password, created_at, created_by, changed_at, disabled_at)
    SELECT 'x' || i, 'technician', NULL, CASE WHEN i % 50 > 0 THEN 'x' || i END, i, 'x' || i, i,
        CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO password_links (hash, person, kind, created_at, created_by, expires_at, used_at)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, 'x' || i, i, 'x' || i, i,
        CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO digests (client, due_at)
    SELECT 'c' || i, i
    FROM generate_series(1, 40) i;
INSERT INTO certificates (client, agent, ends, void_before, root)
    SELECT 'c' || i % 40, 'x' || i, i, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO returns (client, agent, key, host, address, why, state, asked_at, last_asked, decided_at, decided_by)
    SELECT 'c' || i % 40, 'x' || i, decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, 'x' || i, 'x' || i,
        'x' || i, i, i, CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO site_tokens (hash, client, site, created_at, created_by, expires_at, uses_max, uses, networks, rule,
        revoked_at)
    SELECT decode(md5(i::text) || md5(i::text), 'hex'), 'c' || i % 40, 's' || i % 7, i, 'x' || i, i, i, i, 'x' || i,
        'x' || i, CASE WHEN i % 50 > 0 THEN i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO arrivals (client, agent, token, address, asked_at, decided_at, decided_by)
    SELECT 'c' || i % 40, 'x' || i, decode(md5(i::text) || md5(i::text), 'hex'), 'x' || i, i,
        CASE WHEN i % 50 > 0 THEN i END, CASE WHEN i % 50 > 0 THEN 'x' || i END
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sealing_keys (client, agent, key, told_at)
    SELECT 'c' || i % 40, 'x' || i, 'x' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sealed_secrets (client, site, name, set_at, set_by)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sealed_boxes (client, site, name, agent, key, sealed)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, 'x' || i, 'x' || i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO sealed_versions (client, site, version)
    SELECT 'c' || i % 40, 's' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO proposals (client, site, agent, sent_at, assets)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO proposal_decisions (client, site, item, is_taken, decided_at, decided_by)
    SELECT 'c' || i % 40, 's' || i % 7, 'x' || i, i % 2, i, 'x' || i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO late_hours (client, site, times)
    SELECT 'c' || i % 40, 's' || i, i
    FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
INSERT INTO forgotten (client, before_at)
    SELECT 'c' || i, i FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
ANALYZE;
