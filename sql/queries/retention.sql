-- What `celerytrail retain` and `celerytrail maintain` ask of the ledger, as role celerytrail_maintainer.

-- name: begin_session
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- To compile a statement takes longer than it runs: Postgres takes what it looks at for far more than it is.
SET jit = off;

-- name: old_days
SELECT o.day, o.groups, o.rows, o.announced_at IS NOT NULL FROM celerytrail.old_days(%(keep_days)s::int4) AS o;

-- name: is_below_horizon
SELECT %(day)s::date < celerytrail.retained_from();

-- name: announce
SELECT celerytrail.announce_day_drop(
    %(day)s::date, %(actor)s::text, %(actor_kind)s::text, %(reason)s::text
);

-- name: announcement_state
SELECT celerytrail.announcement_state(%(day)s::date);

-- name: drop_day
SELECT d.groups, d.rows FROM celerytrail.drop_day(%(day)s::date, %(without_checkpoint)s::bool) AS d;

-- name: forget_tasks
SELECT f.examined, f.up_to::text, f.removed
FROM celerytrail.forget_tasks(%(after)s::timestamptz, %(at_most)s::int4) AS f;

-- name: forget_leftovers
SELECT celerytrail.forget_leftovers(%(at_most)s::int4);

-- name: unforgotten_days
SELECT celerytrail.unforgotten_days(), celerytrail.retained_from()::text;

-- name: finish_forgetting
SELECT celerytrail.finish_forgetting(%(dropped_until)s::date, %(removed)s::jsonb);
