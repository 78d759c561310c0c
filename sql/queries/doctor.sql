-- name: server
-- What this connection got of the server; any role may ask.
SELECT
    current_setting('server_version_num')::int4,
    current_setting('server_version'),
    pg_catalog.pg_encoding_to_char(d.encoding),
    current_setting('client_encoding')
FROM pg_catalog.pg_database d
WHERE d.datname = current_database();

-- name: clock
SELECT pg_catalog.clock_timestamp();

-- name: durability
SELECT
    current_setting('fsync') = 'on',
    current_setting('full_page_writes') = 'on',
    current_setting('synchronous_commit') <> 'off';

-- name: role_settings
-- Settings that a role of ours, or every role, begins a session of this database with.
SELECT coalesce(r.rolname, 'every role')::text, split_part(s.setting, '=', 1), substr(s.setting, strpos(s.setting, '=') + 1)
FROM pg_catalog.pg_db_role_setting c
LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid = c.setdatabase
CROSS JOIN LATERAL unnest(c.setconfig) AS s (setting)
WHERE (c.setrole = 0 OR r.rolname LIKE 'celerytrail\_%')
  AND (c.setdatabase = 0 OR d.datname = current_database())
ORDER BY 1, 2;

-- name: prepared
-- Transactions of this database that were prepared and neither committed nor rolled back.
SELECT current_setting('max_prepared_transactions')::int4, p.gid, p.owner::text, p.prepared
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.database = current_database()
ORDER BY p.prepared;

-- name: triggers
-- How many triggers of ours there are, and each that does not fire always, with the statement that makes it.
SELECT
    count(*) OVER (),
    t.tgenabled <> 'A',
    format('%I on celerytrail.%I', t.tgname, c.relname),
    CASE t.tgenabled WHEN 'D' THEN 'is switched off' WHEN 'R' THEN 'fires on replicas only' ELSE 'does not fire under session_replication_role = replica' END,
    format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER %I', c.relname, t.tgname)
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'celerytrail'
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND p.pronamespace = n.oid
ORDER BY c.relname, t.tgname;

-- name: partitions
-- Days from today to three days ahead that lack a partition.
SELECT d.day::date::text, p.parent
FROM pg_catalog.generate_series(0, 3) AS ahead
CROSS JOIN LATERAL (SELECT (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::date + ahead) AS d (day)
CROSS JOIN unnest(ARRAY['spans', 'leaf_groups', 'payloads']) AS p (parent)
WHERE NOT EXISTS (
    SELECT
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'celerytrail'
    WHERE c.relname = p.parent || '_' || to_char(d.day, 'YYYYMMDD') AND c.relispartition
)
ORDER BY d.day, p.parent;

-- name: ledger
SELECT ledger_id, format_version FROM celerytrail.ledger;

-- name: horizon
SELECT h.retained_from::text, h.retained_from > (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::date
FROM celerytrail.horizon h;

-- name: chains
-- Each chain: its head, its last link, and what the newest verification said.
SELECT
    h.chain, h.n, coalesce(l.n, 0) = h.n AND coalesce(l.hash = h.hash, true), v.verified_at, v.status,
    v.fingerprint_ok, v.verified_at < pg_catalog.clock_timestamp() - interval '1 day', v.trouble
FROM celerytrail.chain_head h
LEFT JOIN LATERAL (
    SELECT c.n, c.hash FROM celerytrail.chain c WHERE c.chain = h.chain ORDER BY c.n DESC LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
    SELECT k.verified_at, k.status, k.fingerprint_ok, k.trouble
    FROM celerytrail.verifications k
    WHERE k.chain = h.chain
    ORDER BY k.verified_at DESC
    LIMIT 1
) AS v ON true
ORDER BY h.chain;

-- name: batch_ids
SELECT (SELECT s.last_value FROM celerytrail.batch_seq s), (SELECT max(b.batch_id) FROM celerytrail.blocks b);

-- name: newest_migration
SELECT max(m.id) FROM celerytrail.migrations m;
