-- name: begin_session
-- A statement that hangs must not keep the maintainer from its next round.
SET statement_timeout = '30s';
SET lock_timeout = '5s';
-- Some statements are long and look at little: to compile them takes a hundred times as long as to run them.
SET jit = off;

-- name: hardening_gaps
SELECT gap FROM celerytrail.hardening_gaps() AS gap;

-- name: make_partitions
-- The days from today to some days ahead. Returns how many were made.
SELECT celerytrail.ensure_partitions(
    (clock_timestamp() AT TIME ZONE 'UTC')::date,
    (clock_timestamp() AT TIME ZONE 'UTC')::date + %(days_ahead)s::int4
);

-- name: watch_sessions
SELECT pid, role_name, reason, ended
FROM celerytrail.watch_sessions(
    make_interval(secs => %(statement_seconds)s::float8),
    make_interval(secs => %(idle_seconds)s::float8),
    make_interval(secs => %(session_seconds)s::float8),
    make_interval(secs => %(writer_seconds)s::float8)
);

-- name: remove_large_objects
SELECT celerytrail.remove_large_objects(%(at_most)s::int4);

-- name: restore_roles
SELECT restored FROM celerytrail_admin.restore_roles() AS restored;

-- name: collect_orphans
SELECT examined, removed
FROM celerytrail.collect_orphans(
    %(scan)s, make_interval(days => %(older_than_days)s::int4), %(at_most)s::int4
);

-- name: trim_quarantine
SELECT celerytrail.trim_quarantine(make_interval(days => %(older_than_days)s::int4), %(at_most)s::int4);

-- name: conclude_lost
-- Runs whose process is gone, as rows of the ledger.
SELECT task_id, run_id, worker, last_seen_at FROM celerytrail.conclude_lost(%(at_most)s::int4);

-- name: check_read_model
-- A sample of tasks against the ledger; no row when the last one is young.
SELECT sampled, different, incomparable, task_id, column_name, stored, recomputed
FROM celerytrail.check_read_model(%(sample)s::int4, %(every_seconds)s::int4);

-- name: login_roles
SELECT role_name::text FROM celerytrail_admin.login_roles() AS role_name ORDER BY 1;

-- name: set_role_password
-- The verifier is made by the client, so that no password reaches the server or its log.
SELECT celerytrail_admin.set_role_password(%(role_name)s::name, %(verifier)s);
