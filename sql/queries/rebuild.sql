-- name: become_owner
-- No more rights than it takes: the tables are the owner's.
SET ROLE celerytrail_owner;
SET statement_timeout = 0;
-- To compile a statement takes longer than it runs: Postgres takes what it looks at for far more than it is.
SET jit = off;

-- name: be_the_only_one
-- For as long as the session lasts, so that a rebuild that was killed does not hold up the next.
SELECT pg_try_advisory_lock(hashtextextended('celerytrail rebuild', 0));

-- name: let_others
SELECT pg_advisory_unlock(hashtextextended('celerytrail rebuild', 0));

-- name: tables
SELECT t FROM celerytrail.read_model_tables() AS t;

-- name: begin
SELECT celerytrail.begin_rebuild(%(made_by)s);

-- name: newest_migration
SELECT max(id) FROM celerytrail.migrations;

-- name: rows_left
-- About how many rows of the ledger are still to be read.
SELECT coalesce(sum(b.cnt), 0)::int8
FROM celerytrail.chain c
JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
LEFT JOIN shadow_of_celerytrail.progress p ON p.chain = c.chain
WHERE c.n > coalesce(p.n, 0);

-- name: stage
SELECT blocks, spans, actions FROM celerytrail.stage_rebuild(%(rows_at_once)s::int4);

-- name: one_moment
-- What is read from here on is what was committed at one moment: the ledger and the rows made of it.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

-- name: settle
SELECT celerytrail.settle_rebuild();

-- name: compare
SELECT celerytrail.compare_rebuild(%(table)s);

-- name: differences
SELECT key, column_name, stored, rebuilt FROM celerytrail.rebuild_differences(%(table)s, %(at_most)s::int4);

-- name: bound_wait
SET LOCAL lock_timeout = '30s';

-- name: lock
-- Transactions of the sink and the action API begin with one of these tables, so they wait here and not half way.
LOCK TABLE
    celerytrail.task_actions, celerytrail.streams, celerytrail.tasks, celerytrail.runs, celerytrail.run_ends,
    celerytrail.groups, celerytrail.workers, celerytrail.failures
IN EXCLUSIVE MODE;

-- name: repair
SELECT celerytrail.repair_from_rebuild(%(table)s, %(after_place)s::int8, %(up_to_place)s::int8);

-- name: end
SELECT celerytrail.end_rebuild();

-- name: record
-- Those of more than a year ago go.
WITH old AS (
    DELETE FROM celerytrail.rebuilds r WHERE r.ended_at < clock_timestamp() - interval '366 days'
)
INSERT INTO celerytrail.rebuilds (repaired, spans, actions, different, differing, seconds)
VALUES (
    %(repaired)s, %(spans)s::int8, %(actions)s::int8, %(different)s::int8, %(differing)s::jsonb, %(seconds)s::float8
);

-- name: step_back
RESET ROLE;
RESET statement_timeout;
RESET jit;
