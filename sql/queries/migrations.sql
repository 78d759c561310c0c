-- name: server
-- What decides whether the server is suitable.
SELECT
    current_setting('server_version_num')::int,
    current_setting('server_version'),
    current_setting('server_encoding');

-- name: lock
-- One migrator at a time; waits as long as lock_timeout allows. The key is "celerytrail" cut to 8 bytes.
SELECT pg_advisory_lock(7161116826484895090);

-- name: unlock
SELECT pg_advisory_unlock(7161116826484895090);

-- name: is_there
SELECT to_regclass('celerytrail.migrations') IS NOT NULL;

-- name: create_table
CREATE SCHEMA IF NOT EXISTS celerytrail;
CREATE TABLE IF NOT EXISTS celerytrail.migrations (
    id int4 PRIMARY KEY,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    breaking bool NOT NULL DEFAULT true,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE celerytrail.migrations IS 'Which migrations were applied, with the SHA-256 of each file.';

-- name: applied
SELECT id, name, sha256, breaking FROM celerytrail.migrations ORDER BY id;

-- name: record
INSERT INTO celerytrail.migrations (id, name, sha256, breaking)
VALUES (%(id)s, %(name)s, %(sha256)s, %(breaking)s);

-- name: make_partitions_ahead
SELECT celerytrail.ensure_partitions(
    (clock_timestamp() AT TIME ZONE 'UTC')::date,
    (clock_timestamp() AT TIME ZONE 'UTC')::date + 3
);
